//! A description, as far as it concerns us. As nearly all are written it is read in one pass over its lines, and nothing of it is copied; one that is
//! written in any other way is left to a reader that knows every form.

use sdp_types::Session;

use super::{OCTETS_MAX, SdpError};

/// A line `a=name` or `a=name:value`.
pub(super) type Attribute<'a> = (&'a str, Option<&'a str>);

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Description<'a> {
    /// The address of its `c=` line.
    pub(super) connection: Option<&'a str>,
    pub(super) attributes: Vec<Attribute<'a>>,
    pub(super) medias: Vec<Media<'a>>,
}

/// One stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Media<'a> {
    pub(super) media: &'a str,
    pub(super) port: u16,
    pub(super) proto: &'a str,
    pub(super) formats: &'a str,
    /// The address of its first `c=` line.
    pub(super) connection: Option<&'a str>,
    pub(super) attributes: Vec<Attribute<'a>>,
}

impl<'a> Media<'a> {
    /// The values of all attributes of a name.
    pub(super) fn values(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.attributes.iter().filter(move |(known, _)| *known == name).filter_map(|(_, value)| *value)
    }

    /// The value of the first attribute of a name.
    pub(super) fn value(&self, name: &str) -> Option<&'a str> {
        self.attributes.iter().find(|(known, _)| *known == name).and_then(|(_, value)| *value)
    }

    /// Whether an attribute is there.
    pub(super) fn has(&self, name: &str) -> bool {
        self.attributes.iter().any(|(known, _)| *known == name)
    }
}

/// Reads a description and looks at it.
pub(super) fn read<R>(bytes: &[u8], look: impl FnOnce(&Description<'_>) -> Result<R, SdpError>) -> Result<R, SdpError> {
    if bytes.len() > OCTETS_MAX {
        return Err(SdpError::TooLong);
    }
    if let Some(description) = quick(bytes) {
        return look(&description);
    }
    let session = Session::parse(bytes).map_err(|_| SdpError::Malformed)?;
    look(&of(&session))
}

fn of(session: &Session) -> Description<'_> {
    Description {
        connection: session.connection.as_ref().map(|connection| connection.connection_address.as_str()),
        attributes: session.attributes.iter().map(attribute).collect(),
        medias: session
            .medias
            .iter()
            .map(|media| Media {
                media: &media.media,
                port: media.port,
                proto: &media.proto,
                formats: &media.fmt,
                connection: media.connections.first().map(|connection| connection.connection_address.as_str()),
                attributes: media.attributes.iter().map(attribute).collect(),
            })
            .collect(),
    }
}

fn attribute(attribute: &sdp_types::Attribute) -> Attribute<'_> {
    (&attribute.attribute, attribute.value.as_deref())
}

/// The short way; it only ever says what the long way would say, or nothing.
fn quick(bytes: &[u8]) -> Option<Description<'_>> {
    let mut rest = std::str::from_utf8(bytes).ok().filter(|_| memchr::memchr(0, bytes).is_none())?;
    if line(&mut rest)? != "v=0" || !is_origin(line(&mut rest)?.strip_prefix("o=")?) {
        return None;
    }
    let mut read = Description::default();
    let mut has_name = false;
    while !rest.is_empty() {
        let line = line(&mut rest)?;
        let value = line.get(2..).filter(|_| line.as_bytes()[1] == b'=')?;
        match (line.as_bytes()[0], read.medias.last_mut()) {
            (b'a', None) => read.attributes.push(attribute_of(value)),
            (b'a', Some(media)) => media.attributes.push(attribute_of(value)),
            (b'c', None) if read.connection.is_none() => read.connection = Some(address(value)?),
            (b'c', Some(media)) if media.connection.is_none() => media.connection = Some(address(value)?),
            (b'm', _) => read.medias.push(media(value)?),
            (b's', None) if !has_name => has_name = true,
            (b't', None) if is_time(value) => {}
            _ => return None,
        }
    }
    Some(read)
}

/// Takes the next line; none where it does not end, or where a CR stands within it.
fn line<'a>(rest: &mut &'a str) -> Option<&'a str> {
    let (line, after) = cut(rest, b'\n')?;
    *rest = after;
    let line = line.strip_suffix('\r').unwrap_or(line);
    memchr::memchr(b'\r', line.as_bytes()).is_none().then_some(line)
}

/// What stands before and behind the first `byte` (ASCII).
fn cut(text: &str, byte: u8) -> Option<(&str, &str)> {
    let at = memchr::memchr(byte, text.as_bytes())?;
    Some((&text[..at], &text[at + 1..]))
}

/// Takes the next word; the last one leaves nothing.
fn word<'a>(rest: &mut Option<&'a str>) -> Option<&'a str> {
    let text = rest.take()?;
    let Some((word, after)) = cut(text, b' ') else { return Some(text) };
    *rest = Some(after);
    Some(word)
}

fn attribute_of(value: &str) -> Attribute<'_> {
    cut(value, b':').map_or((value, None), |(name, value)| (name, Some(value)))
}

/// `- 7 1 IN IP4 192.0.2.9`
fn is_origin(value: &str) -> bool {
    let mut rest = Some(value);
    let is_some = |word: Option<&str>| word.is_some_and(|word| !word.is_empty());
    is_some(word(&mut rest))
        && is_some(word(&mut rest))
        && word(&mut rest).is_some_and(is_number)
        && word(&mut rest).is_some_and(is_kind)
        && word(&mut rest).is_some_and(is_kind)
        && is_some(word(&mut rest))
        && rest.is_none()
}

/// The address of `IN IP4 192.0.2.9`.
fn address(value: &str) -> Option<&str> {
    let mut rest = Some(value);
    let kinds = word(&mut rest).is_some_and(is_kind) && word(&mut rest).is_some_and(is_kind);
    word(&mut rest).filter(|address| kinds && !address.is_empty() && rest.is_none())
}

/// `0 0`
fn is_time(value: &str) -> bool {
    cut(value, b' ').is_some_and(|(from, to)| is_number(from) && is_number(to))
}

/// `audio 20000 RTP/AVP 0 8`
fn media(value: &str) -> Option<Media<'_>> {
    let (media, rest) = cut(value, b' ')?;
    let (port, rest) = cut(rest, b' ').filter(|(port, _)| is_number(port))?;
    let (proto, formats) = cut(rest, b' ')?;
    Some(Media { media, port: port.parse().ok()?, proto, formats, connection: None, attributes: Vec::with_capacity(12) })
}

fn is_number(text: &str) -> bool {
    (1..=19).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_kind(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: &str = "v=0\r\no=- 7 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\na=tool:x\r\nm=audio 4000 RTP/AVP 8 0 101\r\n\
                         a=rtpmap:8 PCMA/8000\r\na=sendrecv\r\nm=video 0 RTP/AVP 31\r\nc=IN IP6 ::1\r\na=x:\r\n";

    /// What both ways read, one of which may say nothing.
    fn both(text: &[u8]) -> bool {
        let session = Session::parse(text).ok();
        let long = session.as_ref().map(of);
        let short = quick(text);
        assert!(short.is_none() || short == long, "{}", String::from_utf8_lossy(text));
        short.is_some()
    }

    #[test]
    fn both_ways_read_the_same() {
        assert!(both(USUAL.as_bytes()) && both(USUAL.replace("\r\n", "\n").as_bytes()));
        for (from, to) in [
            ("s=-", "i=x"),
            ("t=0 0", "t=0  0"),
            ("a=tool", "b=AS"),
            ("4000", "4000/2"),
            ("IN IP6 ::1", "IN  IP6 ::1"),
            ("8 0 101", ""),
        ] {
            assert!(USUAL.contains(from));
            assert!(!both(USUAL.replacen(from, to, 1).as_bytes()) || to.is_empty(), "{to}");
        }
    }

    #[test]
    fn whatever_is_bent_is_read_in_the_same_way_or_not_the_short_one() {
        let spice = [
            "\r",
            "\n",
            "\0",
            " ",
            "  ",
            "=",
            ":",
            "/",
            "m=",
            "c=IN IP4 1.2.3.4\r\n",
            "t=1 2\r\n",
            "o=",
            "s=x\r\n",
            "\u{e4}",
            "9",
            "-",
        ];
        let mut state = 7_u64;
        let mut roll = |sides: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % sides
        };
        let mut short = 0;
        for _ in 0..20_000 {
            let mut text = USUAL.as_bytes().to_vec();
            for _ in 0..=roll(3) {
                let at = roll(text.len());
                if roll(3) == 0 {
                    text.remove(at);
                } else {
                    text.splice(at..at, spice[roll(spice.len())].bytes());
                }
            }
            short += usize::from(both(&text));
        }
        assert!(short > 1_000, "{short}");
    }
}
