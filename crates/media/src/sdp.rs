//! Offer and answer (RFC 3264): one audio stream, G.711 and telephone-event.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use sdp_types::{Attribute, Connection, Media, MediaType, Origin, Session, Time, TransportProto};

use crate::Codec;

/// Our end of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Local {
    /// The address that SDP tells.
    pub address: IpAddr,
    /// The even RTP port.
    pub port: u16,
    /// The `o=` line's session id, the same for the whole dialog.
    pub session_id: u64,
    /// The `o=` line's version: one more in each description that differs from the one before.
    pub version: u64,
    /// What we want to do with the stream: `SendRecv` but for hold.
    pub direction: Direction,
}

impl Local {
    /// The same end, in a description that differs from the last one (RFC 3264 §8).
    #[must_use]
    pub fn bumped(self) -> Local {
        Local { version: self.version + 1, ..self }
    }
}

/// What we can, the most wanted codec first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// The codecs; never empty.
    pub codecs: Vec<Codec>,
    /// Whether keys are offered by RFC 4733.
    pub telephone_event: bool,
}

impl Default for Capabilities {
    fn default() -> Self {
        Capabilities { codecs: vec![Codec::Pcmu, Codec::Pcma], telephone_event: true }
    }
}

/// Which way a stream flows, seen from us.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Direction {
    /// Both ways.
    #[default]
    SendRecv,
    /// We only send: the far end listens and says nothing.
    SendOnly,
    /// We only receive: the far end has put us on hold and may play its music.
    RecvOnly,
    /// Neither way.
    Inactive,
}

impl Direction {
    /// What is left of what we want after the far end has said what it wants.
    fn meet(self, theirs: Direction) -> Direction {
        let (sends, receives) = (self.sends() && theirs.receives(), self.receives() && theirs.sends());
        match (sends, receives) {
            (true, true) => Direction::SendRecv,
            (true, false) => Direction::SendOnly,
            (false, true) => Direction::RecvOnly,
            (false, false) => Direction::Inactive,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Direction::SendRecv => "sendrecv",
            Direction::SendOnly => "sendonly",
            Direction::RecvOnly => "recvonly",
            Direction::Inactive => "inactive",
        }
    }

    fn of(attributes: &[Attribute]) -> Option<Direction> {
        let all = [Direction::SendRecv, Direction::SendOnly, Direction::RecvOnly, Direction::Inactive];
        attributes.iter().find_map(|attribute| all.into_iter().find(|direction| direction.name() == attribute.attribute))
    }

    /// Whether we may send.
    pub fn sends(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::SendOnly)
    }

    /// Whether the far end may send.
    pub fn receives(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::RecvOnly)
    }
}

/// What two descriptions agreed on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Negotiated {
    /// The codec of both ways.
    pub codec: Codec,
    /// The payload type on packets that come in.
    pub payload_type: u8,
    /// The payload type on packets that we send.
    pub remote_payload_type: u8,
    /// RFC 4733 keys; `None`: the far end cannot, so keys are listened for in the audio.
    pub dtmf: Option<KeyTypes>,
    /// The packet time that the far end wants, in milliseconds.
    pub ptime_ms: u8,
    /// Where the far end wants its RTP.
    pub remote: SocketAddr,
    /// Where the far end wants its RTCP.
    pub remote_rtcp: SocketAddr,
    /// Which way the stream flows, seen from us; anything without sending is a hold.
    pub direction: Direction,
    /// RTCP shares the RTP port.
    pub rtcp_mux: bool,
}

impl Negotiated {
    /// Whether the far end has put us on hold.
    pub fn is_held(&self) -> bool {
        !self.direction.sends()
    }
}

/// The payload types of telephone-event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyTypes {
    /// On packets that come in.
    pub payload_type: u8,
    /// On packets that we send.
    pub remote_payload_type: u8,
}

/// Why a description cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    /// Longer than [`OCTETS_MAX`].
    #[error("the description is longer than {OCTETS_MAX} octets")]
    TooLong,
    /// Not SDP.
    #[error("the description cannot be read")]
    Malformed,
    /// No audio stream over RTP/AVP with an address.
    #[error("there is no audio stream that can be used")]
    NoAudio,
    /// No codec that both have.
    #[error("there is no codec that both sides have")]
    NoCommonCodec,
    /// An answer that does not fit its offer.
    #[error("the answer does not fit the offer")]
    NotAnAnswer,
}

impl SdpError {
    /// The SIP status that refuses the description: 488 (RFC 3261 §13.3.1.3).
    pub fn status(&self) -> u16 {
        488
    }
}

/// The longest description that is read, in octets.
pub const OCTETS_MAX: usize = 16 * 1024;

/// Writes an offer: our codecs, telephone-event, 20 ms, rtcp-mux.
pub fn offer(local: &Local, can: &Capabilities) -> Bytes {
    let mut types: Vec<Type> = can.codecs.iter().map(|codec| Type::sound(*codec, codec.payload_type())).collect();
    if can.telephone_event {
        types.push(Type { payload_type: KEYS_TYPE, kind: Kind::Keys });
    }
    print(local, vec![audio(local, &types, local.direction, AVP, true)])
}

/// Writes an offer within a session that has agreed on something: the same codec and the same payload types (RFC 3264 §8.3.2).
pub fn offer_again(local: &Local, agreed: &Negotiated) -> Bytes {
    let mut types = vec![Type::sound(agreed.codec, agreed.payload_type)];
    types.extend(agreed.dtmf.map(|keys| Type { payload_type: keys.payload_type, kind: Kind::Keys }));
    print(local, vec![audio(local, &types, local.direction, AVP, agreed.rtcp_mux)])
}

/// Writes the answer to an offer: exactly one codec, telephone-event if it was offered, every other stream refused by port 0.
pub fn answer(offer: &[u8], local: &Local, can: &Capabilities) -> Result<(Bytes, Negotiated), SdpError> {
    let offer = read(offer)?;
    let (index, stream) = first_audio(&offer)?;
    let kinds = |wanted: &[Kind]| stream.types.iter().find(|found| wanted.contains(&found.kind)).copied();
    let codecs: Vec<Kind> = can.codecs.iter().map(|codec| Kind::Sound(*codec)).collect();
    let sound = kinds(&codecs).ok_or(SdpError::NoCommonCodec)?;
    let keys = kinds(&[Kind::Keys]).filter(|_| can.telephone_event);
    let negotiated =
        stream.agree(local.direction, (sound, sound), keys.map(|keys| (keys, keys))).ok_or(SdpError::NoCommonCodec)?;
    let types: Vec<Type> = [Some(sound), keys].into_iter().flatten().collect();
    let says = local.direction.meet(stream.direction);
    let medias =
        offer.medias.iter().enumerate().map(|(at, media)| {
            if at == index { audio(local, &types, says, &media.proto, stream.rtcp_mux) } else { refused(media) }
        });
    Ok((print(local, medias.collect()), negotiated))
}

/// Reads the answer to the offer that we made.
pub fn accept(offer: &[u8], answer: &[u8]) -> Result<Negotiated, SdpError> {
    let ours = read(offer)?;
    let (index, ours) = first_audio(&ours)?;
    let answer = read(answer)?;
    let media = answer.medias.get(index).ok_or(SdpError::NotAnAnswer)?;
    let theirs = Stream::read(&answer, media).ok_or(SdpError::NoAudio)?;
    let sound = theirs.types.iter().find_map(|theirs| match theirs.kind {
        Kind::Sound(_) => Some((ours.of(theirs.kind)?, *theirs)),
        Kind::Keys => None,
    });
    let keys = theirs.of(Kind::Keys).and_then(|theirs| Some((ours.of(Kind::Keys)?, theirs)));
    let sound = sound.ok_or(SdpError::NoCommonCodec)?;
    let direction = ours.direction;
    theirs
        .agree(direction, sound, keys)
        .map(|agreed| Negotiated { rtcp_mux: agreed.rtcp_mux && ours.rtcp_mux, ..agreed })
        .ok_or(SdpError::NoAudio)
}

/// A payload type and what it stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Type {
    payload_type: u8,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Sound(Codec),
    Keys,
}

impl Type {
    fn sound(codec: Codec, payload_type: u8) -> Type {
        Type { payload_type, kind: Kind::Sound(codec) }
    }

    /// What a payload type stands for in a stream; `None`: nothing that we know.
    fn read(media: &Media, format: &str) -> Option<Type> {
        let payload_type = format.parse::<u8>().ok().filter(|payload_type| *payload_type < 128)?;
        let mapped = media.get_attribute_values("rtpmap").flatten().find_map(|value| {
            let (number, encoding) = value.trim().split_once(' ')?;
            (number.parse() == Ok(payload_type)).then(|| encoding.trim().to_ascii_lowercase())
        });
        let kind = match mapped.as_deref() {
            Some("pcmu/8000" | "pcmu/8000/1") => Kind::Sound(Codec::Pcmu),
            Some("pcma/8000" | "pcma/8000/1") => Kind::Sound(Codec::Pcma),
            Some("telephone-event/8000" | "telephone-event/8000/1") => Kind::Keys,
            Some(_) => return None,
            None => Kind::Sound(Codec::of_payload_type(payload_type)?),
        };
        Some(Type { payload_type, kind })
    }
}

/// A description's audio stream, as far as it concerns us.
#[derive(Debug)]
struct Stream {
    types: Vec<Type>,
    remote: SocketAddr,
    remote_rtcp: SocketAddr,
    /// Seen from who wrote it.
    direction: Direction,
    ptime_ms: u8,
    rtcp_mux: bool,
}

impl Stream {
    /// Reads an audio stream over RTP; `None` if it is another one, or is refused.
    fn read(session: &Session, media: &Media) -> Option<Stream> {
        let is_audio = media.media == "audio" && matches!(media.proto.as_str(), AVP | "RTP/AVPF");
        if !is_audio || media.port == 0 {
            return None;
        }
        let connection = media.connections.first().or(session.connection.as_ref())?;
        let ip = address(&connection.connection_address)?;
        let stated = Direction::of(&media.attributes).or(Direction::of(&session.attributes)).unwrap_or_default();
        // RFC 3264 §8.4: the old way to put somebody on hold is an address that is none.
        let direction = if ip.is_unspecified() { Direction::SendOnly.meet_hold(stated) } else { stated };
        Some(Stream {
            types: media.fmt.split_ascii_whitespace().filter_map(|format| Type::read(media, format)).collect(),
            remote: SocketAddr::new(ip, media.port),
            remote_rtcp: rtcp(media, ip),
            direction,
            ptime_ms: ptime(media),
            rtcp_mux: media.has_attribute("rtcp-mux"),
        })
    }

    fn of(&self, kind: Kind) -> Option<Type> {
        self.types.iter().find(|found| found.kind == kind).copied()
    }

    /// What is agreed on; each pair is our payload type (for what comes in) and theirs.
    fn agree(&self, ours: Direction, sound: (Type, Type), keys: Option<(Type, Type)>) -> Option<Negotiated> {
        let Kind::Sound(codec) = sound.1.kind else { return None };
        Some(Negotiated {
            codec,
            payload_type: sound.0.payload_type,
            remote_payload_type: sound.1.payload_type,
            dtmf: keys
                .map(|(ours, theirs)| KeyTypes { payload_type: ours.payload_type, remote_payload_type: theirs.payload_type }),
            ptime_ms: self.ptime_ms,
            remote: self.remote,
            remote_rtcp: if self.rtcp_mux { self.remote } else { self.remote_rtcp },
            direction: ours.meet(self.direction),
            rtcp_mux: self.rtcp_mux,
        })
    }
}

impl Direction {
    /// A direction, seen from the far end, without its receiving.
    fn meet_hold(self, stated: Direction) -> Direction {
        if stated.sends() { self } else { Direction::Inactive }
    }
}

fn read(description: &[u8]) -> Result<Session, SdpError> {
    if description.len() > OCTETS_MAX {
        return Err(SdpError::TooLong);
    }
    Session::parse(description).map_err(|_| SdpError::Malformed)
}

fn first_audio(session: &Session) -> Result<(usize, Stream), SdpError> {
    let mut streams = session.medias.iter().enumerate();
    streams.find_map(|(index, media)| Stream::read(session, media).map(|stream| (index, stream))).ok_or(SdpError::NoAudio)
}

/// The address of a `c=` line; `None` where packets cannot be sent from one to one.
fn address(text: &str) -> Option<IpAddr> {
    text.trim().parse::<IpAddr>().ok().filter(|ip| !ip.is_multicast())
}

/// Where RTCP goes: what `a=rtcp` says (RFC 3605), else one port above.
fn rtcp(media: &Media, ip: IpAddr) -> SocketAddr {
    let said = media.get_first_attribute_value("rtcp").flatten().and_then(|value| {
        let mut words = value.split_ascii_whitespace();
        let port = words.next()?.parse().ok().filter(|port| *port != 0)?;
        Some(SocketAddr::new(words.nth(2).and_then(address).unwrap_or(ip), port))
    });
    said.unwrap_or(SocketAddr::new(ip, media.port.saturating_add(1)))
}

/// The packet time that the far end wants: what `a=ptime` says within 10 to 60 ms and `a=maxptime`, else 20 ms.
fn ptime(media: &Media) -> u8 {
    let number =
        |name: &'static str| media.get_first_attribute_value(name).flatten().and_then(|value| value.trim().parse::<u8>().ok());
    let most = number("maxptime").filter(|most| *most >= 10).unwrap_or(60);
    let wanted = number("ptime").filter(|wanted| (10..=60).contains(wanted) && wanted % 10 == 0).unwrap_or(20);
    wanted.min(most - most % 10)
}

/// Writes our audio stream.
fn audio(local: &Local, types: &[Type], direction: Direction, proto: &str, rtcp_mux: bool) -> Media {
    let formats: Vec<String> = types.iter().map(|entry| entry.payload_type.to_string()).collect();
    let mut media = Media::new(MediaType::Audio, local.port, TransportProto::RtpAvp, formats.join(" "));
    media.proto = proto.to_owned();
    for Type { payload_type, kind } in types {
        match kind {
            Kind::Sound(codec) => media.add_attribute_with_value("rtpmap", format!("{payload_type} {}", codec.name())),
            Kind::Keys => {
                media.add_attribute_with_value("rtpmap", format!("{payload_type} telephone-event/8000"));
                media.add_attribute_with_value("fmtp", format!("{payload_type} 0-15"));
            }
        }
    }
    media.add_attribute_with_value("ptime", "20");
    media.add_attribute_from_str(direction.name());
    media.add_attribute_with_value("rtcp", (local.port | 1).to_string());
    if rtcp_mux {
        media.add_attribute_from_str("rtcp-mux");
    }
    media
}

/// Refuses a stream (RFC 3264 §6).
fn refused(offered: &Media) -> Media {
    let mut media = Media::new(MediaType::Audio, 0, TransportProto::RtpAvp, "0");
    media.media.clone_from(&offered.media);
    media.proto.clone_from(&offered.proto);
    media.fmt.clone_from(&offered.fmt);
    media
}

fn print(local: &Local, medias: Vec<Media>) -> Bytes {
    let mut session = Session::new(Origin::with_ip_addr(local.session_id, local.version, local.address), "baton");
    session.connection = Some(Connection::from_ip_addr(local.address));
    session.times = vec![Time::new(0, 0)];
    session.medias = medias;
    let mut text = Vec::new();
    session.write(&mut text).expect("writing to memory does not fail");
    Bytes::from(text)
}

/// The payload type of telephone-event in our offers.
const KEYS_TYPE: u8 = 101;
const AVP: &str = "RTP/AVP";

#[cfg(test)]
mod tests;
