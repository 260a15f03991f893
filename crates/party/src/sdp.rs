//! The little SDP that a party speaks: one audio stream of G.711 µ-law with telephone-event.

use std::net::{IpAddr, SocketAddr};

use crate::Way;

/// What the far side's SDP says about where and how to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemoteMedia {
    /// Where its RTP is to go.
    pub rtp: SocketAddr,
    /// Payload type of telephone-event, if it takes any.
    pub telephone_event: Option<u8>,
}

/// Writes an offer or an answer whose audio goes both ways; `telephone_event` is the payload type to name.
pub fn write(local: SocketAddr, session: u64, version: u64, telephone_event: u8) -> String {
    write_one(local, session, version, telephone_event, Way::SendRecv)
}

/// As [`write`], with the audio going as told.
pub fn write_one(local: SocketAddr, session: u64, version: u64, telephone_event: u8, way: Way) -> String {
    let way = way.name();
    let (ip, port) = (local.ip(), local.port());
    let family = if ip.is_ipv4() { "IP4" } else { "IP6" };
    format!(
        "v=0\r\no=party {session} {version} IN {family} {ip}\r\ns=party\r\nc=IN {family} {ip}\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP 0 {telephone_event}\r\na=rtpmap:0 PCMU/8000\r\n\
         a=rtpmap:{telephone_event} telephone-event/8000\r\na=fmtp:{telephone_event} 0-15\r\na=ptime:20\r\na={way}\r\n"
    )
}

/// Reads where to send; `None` if there is no usable audio stream that speaks µ-law.
pub fn read(body: &[u8]) -> Option<RemoteMedia> {
    let text = std::str::from_utf8(body).ok()?;
    let (mut session_address, mut media_address, mut port, mut telephone_event) = (None, None, None, None);
    let (mut in_audio, mut in_media) = (false, false);
    for line in text.lines() {
        let Some((kind, value)) = line.split_once('=') else { continue };
        match kind {
            "m" => {
                in_media = true;
                in_audio = value.starts_with("audio ") && port.is_none();
                if in_audio {
                    port = Some(audio_port(value)?);
                }
            }
            "c" if in_audio => media_address = connection(value),
            "c" if !in_media => session_address = connection(value),
            "a" if in_audio => telephone_event = event_type(value).or(telephone_event),
            _ => {}
        }
    }
    let address = media_address.or(session_address)?;
    Some(RemoteMedia { rtp: SocketAddr::new(address, port?), telephone_event })
}

/// The port of an `m=audio` line that offers payload type 0; a port of 0 is a refused stream.
fn audio_port(value: &str) -> Option<u16> {
    let mut words = value.split_ascii_whitespace().skip(1);
    let port = words.next()?.parse().ok().filter(|port| *port != 0)?;
    words.skip(1).any(|payload_type| payload_type == "0").then_some(port)
}

fn connection(value: &str) -> Option<IpAddr> {
    value.split_ascii_whitespace().nth(2)?.parse().ok()
}

fn event_type(value: &str) -> Option<u8> {
    let (payload_type, encoding) = value.strip_prefix("rtpmap:")?.split_once(' ')?;
    encoding.to_ascii_lowercase().starts_with("telephone-event/").then(|| payload_type.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        let local: SocketAddr = "127.0.0.1:4000".parse().unwrap();
        let media = read(write(local, 7, 1, 96).as_bytes());
        assert_eq!(media, Some(RemoteMedia { rtp: local, telephone_event: Some(96) }));
    }

    #[test]
    fn a_refused_stream_and_a_strange_codec_give_nothing() {
        let good = write("127.0.0.1:4000".parse().unwrap(), 7, 1, 101);
        assert_eq!(read(good.replace("audio 4000", "audio 0").as_bytes()), None);
        assert_eq!(read(good.replace("AVP 0 101", "AVP 8 101").as_bytes()), None);
        assert_eq!(read(b"v=0\r\n"), None);
        assert_eq!(read(&[0xff, 0xfe]), None);
    }

    #[test]
    fn the_address_of_the_stream_wins_over_the_session_s() {
        let text = "v=0\r\nc=IN IP4 10.0.0.1\r\nm=audio 4000 RTP/AVP 0\r\nc=IN IP4 10.0.0.2\r\nm=video 5000 RTP/AVP 96\r\nc=IN IP4 10.0.0.3\r\n";
        assert_eq!(read(text.as_bytes()).unwrap().rtp, "10.0.0.2:4000".parse().unwrap());
    }
}
