//! Offer and answer (RFC 3264): one audio stream, G.711 and telephone-event.

use std::fmt::{self, Write as _};
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::Codec;

mod description;

use description::{Attribute, Description, Media};

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

    fn of(attributes: &[Attribute<'_>]) -> Option<Direction> {
        let all = [Direction::SendRecv, Direction::SendOnly, Direction::RecvOnly, Direction::Inactive];
        attributes.iter().find_map(|(name, _)| all.into_iter().find(|direction| direction.name() == *name))
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
    print(local, |out| audio(out, local, &types, local.direction, AVP, true))
}

/// Writes an offer within a session that has agreed on something: the same codec and the same payload types (RFC 3264 §8.3.2).
pub fn offer_again(local: &Local, agreed: &Negotiated) -> Bytes {
    let mut types = vec![Type::sound(agreed.codec, agreed.payload_type)];
    types.extend(agreed.dtmf.map(|keys| Type { payload_type: keys.payload_type, kind: Kind::Keys }));
    print(local, |out| audio(out, local, &types, local.direction, AVP, agreed.rtcp_mux))
}

/// Writes the answer to an offer: exactly one codec, telephone-event if it was offered, every other stream refused by port 0.
pub fn answer(offer: &[u8], local: &Local, can: &Capabilities) -> Result<(Bytes, Negotiated), SdpError> {
    description::read(offer, |offer| answer_to(offer, local, can))
}

fn answer_to(offer: &Description<'_>, local: &Local, can: &Capabilities) -> Result<(Bytes, Negotiated), SdpError> {
    let (index, stream) = first_audio(offer)?;
    let kinds = |wanted: &[Kind]| stream.types.iter().find(|found| wanted.contains(&found.kind)).copied();
    let codecs: Vec<Kind> = can.codecs.iter().map(|codec| Kind::Sound(*codec)).collect();
    let sound = kinds(&codecs).ok_or(SdpError::NoCommonCodec)?;
    let keys = kinds(&[Kind::Keys]).filter(|_| can.telephone_event);
    let negotiated =
        stream.agree(local.direction, (sound, sound), keys.map(|keys| (keys, keys))).ok_or(SdpError::NoCommonCodec)?;
    let types: Vec<Type> = [Some(sound), keys].into_iter().flatten().collect();
    let says = local.direction.meet(stream.direction);
    let answer = print(local, |out| {
        offer.medias.iter().enumerate().try_for_each(|(at, media)| match at == index {
            true => audio(out, local, &types, says, media.proto, stream.rtcp_mux),
            false => refused(out, media),
        })
    });
    Ok((answer, negotiated))
}

/// Reads the answer to the offer that we made.
pub fn accept(offer: &[u8], answer: &[u8]) -> Result<Negotiated, SdpError> {
    let (index, ours) = description::read(offer, first_audio)?;
    description::read(answer, |answer| agreed_by(index, &ours, answer))
}

fn agreed_by(index: usize, ours: &Stream, answer: &Description<'_>) -> Result<Negotiated, SdpError> {
    let media = answer.medias.get(index).ok_or(SdpError::NotAnAnswer)?;
    let theirs = Stream::read(answer, media).ok_or(SdpError::NoAudio)?;
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
    fn read(media: &Media<'_>, format: &str) -> Option<Type> {
        let payload_type = format.parse::<u8>().ok().filter(|payload_type| *payload_type < 128)?;
        let mapped = media.values("rtpmap").find_map(|value| {
            let (number, encoding) = value.trim().split_once(' ')?;
            (number.parse() == Ok(payload_type)).then_some(encoding.trim())
        });
        let kind = match mapped.map(|encoding| encoding.strip_suffix("/1").unwrap_or(encoding)) {
            Some(encoding) if encoding.eq_ignore_ascii_case("pcmu/8000") => Kind::Sound(Codec::Pcmu),
            Some(encoding) if encoding.eq_ignore_ascii_case("pcma/8000") => Kind::Sound(Codec::Pcma),
            Some(encoding) if encoding.eq_ignore_ascii_case("telephone-event/8000") => Kind::Keys,
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
    fn read(session: &Description<'_>, media: &Media<'_>) -> Option<Stream> {
        let is_audio = media.media == "audio" && matches!(media.proto, AVP | "RTP/AVPF");
        if !is_audio || media.port == 0 {
            return None;
        }
        let ip = address(media.connection.or(session.connection)?)?;
        let stated = Direction::of(&media.attributes).or(Direction::of(&session.attributes)).unwrap_or_default();
        // RFC 3264 §8.4: the old way to put somebody on hold is an address that is none.
        let direction = if ip.is_unspecified() { Direction::SendOnly.meet_hold(stated) } else { stated };
        Some(Stream {
            types: media.formats.split_ascii_whitespace().filter_map(|format| Type::read(media, format)).collect(),
            remote: SocketAddr::new(ip, media.port),
            remote_rtcp: rtcp(media, ip),
            direction,
            ptime_ms: ptime(media),
            rtcp_mux: media.has("rtcp-mux"),
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

fn first_audio(session: &Description<'_>) -> Result<(usize, Stream), SdpError> {
    let mut streams = session.medias.iter().enumerate();
    streams.find_map(|(index, media)| Stream::read(session, media).map(|stream| (index, stream))).ok_or(SdpError::NoAudio)
}

/// The address of a `c=` line; `None` where packets cannot be sent from one to one.
fn address(text: &str) -> Option<IpAddr> {
    text.trim().parse::<IpAddr>().ok().filter(|ip| !ip.is_multicast())
}

/// Where RTCP goes: what `a=rtcp` says (RFC 3605), else one port above.
fn rtcp(media: &Media<'_>, ip: IpAddr) -> SocketAddr {
    let said = media.value("rtcp").and_then(|value| {
        let mut words = value.split_ascii_whitespace();
        let port = words.next()?.parse().ok().filter(|port| *port != 0)?;
        Some(SocketAddr::new(words.nth(2).and_then(address).unwrap_or(ip), port))
    });
    said.unwrap_or(SocketAddr::new(ip, media.port.saturating_add(1)))
}

/// The packet time that the far end wants: what `a=ptime` says within 10 to 60 ms and `a=maxptime`, else 20 ms.
fn ptime(media: &Media<'_>) -> u8 {
    let number = |name: &str| media.value(name).and_then(|value| value.trim().parse::<u8>().ok());
    let most = number("maxptime").filter(|most| *most >= 10).unwrap_or(60);
    let wanted = number("ptime").filter(|wanted| (10..=60).contains(wanted) && wanted % 10 == 0).unwrap_or(20);
    wanted.min(most - most % 10)
}

/// Writes our audio stream.
fn audio(out: &mut String, local: &Local, types: &[Type], direction: Direction, proto: &str, rtcp_mux: bool) -> fmt::Result {
    write!(out, "m=audio {} {proto}", local.port)?;
    types.iter().try_for_each(|entry| write!(out, " {}", entry.payload_type))?;
    out.push_str("\r\n");
    for Type { payload_type, kind } in types {
        match kind {
            Kind::Sound(codec) => write!(out, "a=rtpmap:{payload_type} {}\r\n", codec.name())?,
            Kind::Keys => {
                write!(out, "a=rtpmap:{payload_type} telephone-event/8000\r\na=fmtp:{payload_type} 0-15\r\n")?;
            }
        }
    }
    write!(out, "a=ptime:20\r\na={}\r\na=rtcp:{}\r\n", direction.name(), local.port | 1)?;
    if rtcp_mux {
        out.push_str("a=rtcp-mux\r\n");
    }
    Ok(())
}

/// Refuses a stream (RFC 3264 §6). What it repeats was read from one line, so that it cannot end another.
fn refused(out: &mut String, offered: &Media<'_>) -> fmt::Result {
    write!(out, "m={} 0 {} {}\r\n", offered.media, offered.proto, offered.formats)
}

fn print(local: &Local, medias: impl FnOnce(&mut String) -> fmt::Result) -> Bytes {
    let Local { address, session_id, version, .. } = local;
    let kind = if address.is_ipv4() { "IP4" } else { "IP6" };
    let mut text = String::with_capacity(TEXT_USUAL);
    let head =
        write!(text, "v=0\r\no=- {session_id} {version} IN {kind} {address}\r\ns=baton\r\nc=IN {kind} {address}\r\nt=0 0\r\n");
    head.and_then(|()| medias(&mut text)).expect("writing to memory does not fail");
    text.shrink_to_fit();
    Bytes::from(text)
}

/// Octets that a description of ours has at most, usually.
const TEXT_USUAL: usize = 320;
/// The payload type of telephone-event in our offers.
const KEYS_TYPE: u8 = 101;
const AVP: &str = "RTP/AVP";

#[cfg(test)]
mod tests;
