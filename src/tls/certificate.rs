//! What of a certificate concerns us: whose it is and until when (RFC 5280 §4.1). Its signatures are looked at elsewhere.

use std::net::IpAddr;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// The object identifier of subjectAltName, 2.5.29.17.
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];

/// The object identifier of commonName, 2.5.4.3.
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];

const BOOLEAN: u8 = 0x01;
const OCTETS: u8 = 0x04;
const OBJECT: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;
const ALT_DNS: u8 = 0x82;
const ALT_URI: u8 = 0x86;
const ALT_IP: u8 = 0x87;

/// Whose a certificate is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Subject {
    /// URIs of subjectAltName.
    pub(super) uris: Vec<String>,
    /// Names of subjectAltName.
    pub(super) names: Vec<String>,
    /// Addresses of subjectAltName.
    pub(super) addresses: Vec<IpAddr>,
    /// The common name; none where there is a subjectAltName, which then is all that counts.
    pub(super) common: Option<String>,
    /// The digits of the time at which it ends.
    pub(super) end: String,
}

impl Subject {
    /// When it ends.
    pub(super) fn good_until(&self) -> Option<Timestamp> {
        let number = |from: usize| self.end.get(from..from + 2).and_then(|digits| digits.parse::<i8>().ok());
        let year = self.end.get(..4)?.parse().ok()?;
        let end = DateTime::new(year, number(4)?, number(6)?, number(8)?, number(10)?, number(12)?, 0).ok()?;
        end.to_zoned(TimeZone::UTC).ok().map(|end| end.timestamp())
    }
}

/// Reads a certificate; none if it is none.
pub(super) fn read(der: &[u8]) -> Option<Subject> {
    let mut fields = Der(Der(Der(der).of(SEQUENCE)?).of(SEQUENCE)?);
    if fields.peek() == Some(VERSION) {
        fields.next()?;
    }
    let (_serial, _signature, _issuer) = (fields.next()?, fields.next()?, fields.next()?);
    let mut validity = Der(fields.of(SEQUENCE)?);
    let (_begin, end) = (validity.next()?, validity.next()?);
    let common = common_name(fields.of(SEQUENCE)?);
    let mut subject = Subject { end: digits(end)?, ..Subject::default() };
    let _key = fields.next()?;
    while let Some((tag, content)) = fields.next() {
        if tag == EXTENSIONS && alternatives(content, &mut subject)? == Alternatives::There {
            return Some(subject);
        }
    }
    Some(Subject { common, ..subject })
}

#[derive(PartialEq, Eq)]
enum Alternatives {
    There,
    Missing,
}

/// Reads subjectAltName, if it is among the extensions.
fn alternatives(extensions: &[u8], subject: &mut Subject) -> Option<Alternatives> {
    let mut extensions = Der(Der(extensions).of(SEQUENCE)?);
    while !extensions.0.is_empty() {
        let mut extension = Der(extensions.of(SEQUENCE)?);
        let object = extension.of(OBJECT)?;
        if extension.peek() == Some(BOOLEAN) {
            extension.next()?;
        }
        let value = extension.of(OCTETS)?;
        if object != SUBJECT_ALT_NAME {
            continue;
        }
        let mut names = Der(Der(value).of(SEQUENCE)?);
        while !names.0.is_empty() {
            match names.next()? {
                (ALT_URI, uri) => subject.uris.extend(text(uri)),
                (ALT_DNS, name) => subject.names.extend(text(name)),
                (ALT_IP, octets) => subject.addresses.extend(address(octets)),
                _ => {}
            }
        }
        return Some(Alternatives::There);
    }
    Some(Alternatives::Missing)
}

/// The last common name of a distinguished name: the most specific one.
fn common_name(name: &[u8]) -> Option<String> {
    let mut parts = Der(name);
    let mut common = None;
    while let Some(set) = parts.of(SET) {
        let mut attribute = Der(Der(set).of(SEQUENCE)?);
        if attribute.of(OBJECT)? == COMMON_NAME {
            common = attribute.next().and_then(|(_, value)| text(value));
        }
    }
    common
}

/// Printable ASCII only: a name with a NUL or a line end in it is nobody's.
fn text(bytes: &[u8]) -> Option<String> {
    bytes.iter().all(u8::is_ascii_graphic).then(|| String::from_utf8_lossy(bytes).into_owned())
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(octets).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from)).ok()
}

/// Year, month, day, hour, minute and second in fourteen digits.
fn digits((tag, value): (u8, &[u8])) -> Option<String> {
    let written = text(value)?;
    match tag {
        // RFC 5280 §4.1.2.5.1: two digits from 50 on are of the last century.
        UTC_TIME => Some(format!("{}{written}", if written.as_str() < "50" { "20" } else { "19" })),
        GENERALIZED_TIME => Some(written),
        _ => None,
    }
}

/// Values one behind the other in DER.
#[derive(Clone, Copy)]
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// The next value, with its tag.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&[tag, short], rest) = self.0.split_first_chunk()?;
        let (length, rest) = match short {
            0..=0x7f => (usize::from(short), rest),
            0x81..=0x84 => {
                let (octets, rest) = rest.split_at_checked(usize::from(short & 0x7f))?;
                (octets.iter().fold(0, |length, octet| length << 8 | usize::from(*octet)), rest)
            }
            // Indefinite lengths are for BER, longer ones for nobody.
            _ => return None,
        };
        let (value, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, value))
    }

    /// The next value, which must have this tag.
    fn of(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next().filter(|(found, _)| *found == tag).map(|(_, value)| value)
    }
}
