//! The short way: values as nearly all peers write them, read in one pass over their bytes by a table. What is written in any other way is left
//! to the readers that know every form; this one only ever says what they would say, or nothing.

use std::net::Ipv4Addr;

use super::alphabet::{BLANK, DIGIT, HOST, PLAIN_PARAM, PLAIN_USER, TOKEN, VALUE, is, run};
use super::message::Line;
use super::shape::{AddrShape, HostShape, Span, UriShape, ViaShape};
use super::{Name, Scheme, limits};

/// The header in `bytes[start..end]`, which is a line without its end; nothing for a continuation, or where there is no name.
#[inline]
pub(super) fn line(bytes: &[u8], start: usize, end: usize) -> Option<Line> {
    let name_end = run(bytes, start, TOKEN);
    let name = bytes.get(start..name_end).filter(|name| !name.is_empty() && name.len() <= limits::NAME_MAX)?;
    let colon = if bytes.get(name_end) == Some(&b':') { name_end } else { run(bytes, name_end, BLANK) };
    if bytes.get(colon) != Some(&b':') || end - start > limits::HEADER_MAX || end > usize::from(u16::MAX) {
        return None;
    }
    let value_start = run(bytes, colon + 1, BLANK);
    let mut value_end = end;
    while value_end > value_start && is(bytes[value_end - 1], BLANK) {
        value_end -= 1;
    }
    Some(Line {
        name: Name::of_token(name),
        name_start: start as u16,
        name_end: name_end as u16,
        value_start: value_start as u16,
        value_end: value_end as u16,
    })
}

/// Whether a head may be read the short way: as many line ends as carriage returns, and no other control character but the tabulator.
pub(super) fn is_clean(head: &[u8], ends: usize) -> bool {
    // Without a way out in the middle the compiler looks at many bytes at once; a sum of 128 fits into a byte.
    let mut returns = 0;
    let mut strange = 0;
    for piece in head.chunks(128) {
        let (mut some, mut none) = (0_u8, 0_u8);
        for byte in piece {
            some += u8::from(*byte == b'\r');
            none |= u8::from(*byte < 0x20) & u8::from(byte.wrapping_sub(b'\t') > 1) & u8::from(*byte != b'\r');
            none |= u8::from(*byte == 0x7f);
        }
        returns += usize::from(some);
        strange |= none;
    }
    strange == 0 && returns == ends
}

/// The SIP URI that begins at `start`, and where it ends; whoever asks looks what stands there. All places are those of `bytes`, which is no longer
/// than a [`Span`] can say.
#[inline]
fn uri(bytes: &[u8], start: usize) -> Option<(UriShape, usize)> {
    let (scheme, colon) = match bytes.get(start..)? {
        [b's', b'i', b'p', b':', ..] => (Scheme::Sip, start + 3),
        [b's', b'i', b'p', b's', b':', ..] => (Scheme::Sips, start + 4),
        _ => return None,
    };
    let first = colon + 1;
    let user_end = run(bytes, first, PLAIN_USER);
    let host_start = if user_end > first && bytes.get(user_end) == Some(&b'@') { user_end + 1 } else { first };
    let name_end = run(bytes, host_start, HOST);
    let host = host(bytes, host_start, name_end)?;
    let (port, host_end) = port(bytes, name_end)?;
    let mut end = host_end;
    while bytes.get(end) == Some(&b';') {
        let name_end = some(end + 1, run(bytes, end + 1, PLAIN_PARAM))?;
        end = if bytes.get(name_end) == Some(&b'=') {
            some(name_end + 1, run(bytes, name_end + 1, PLAIN_PARAM))?
        } else {
            name_end
        };
    }
    if end - start > limits::URI_MAX {
        return None;
    }
    let shape = UriShape {
        span: Span::new(start, end),
        scheme,
        scheme_end: colon as u16,
        host_start: host_start as u16,
        host_end: host_end as u16,
        params_end: end as u16,
        host: Some(host),
        port,
    };
    Some((shape, end))
}

/// The end of what must not be empty.
#[inline(always)]
fn some(start: usize, end: usize) -> Option<usize> {
    (end > start).then_some(end)
}

/// Whether places in it can be said in 16 bits.
#[inline(always)]
fn is_short(bytes: &[u8]) -> bool {
    bytes.len() <= usize::from(u16::MAX)
}

/// A SIP URI that is all of `bytes` from `start` on.
#[inline]
pub(super) fn whole_uri(bytes: &[u8], start: usize) -> Option<UriShape> {
    uri(bytes, start).filter(|(_, end)| *end == bytes.len() && is_short(bytes)).map(|(uri, _)| uri)
}

#[inline]
fn host(bytes: &[u8], start: usize, end: usize) -> Option<HostShape> {
    let name = bytes.get(start..end)?;
    let last = name.last().filter(|_| name.len() <= limits::HOST_MAX)?;
    let address = if last.is_ascii_digit() { v4(name) } else { None };
    Some(address.map_or(HostShape::Name(Span::new(start, end)), HostShape::V4))
}

/// An IPv4 address as its standard wants it: four numbers, none with a zero in front.
#[inline]
fn v4(bytes: &[u8]) -> Option<Ipv4Addr> {
    let mut parts = [0_u8; 4];
    let mut at = 0;
    for (place, part) in parts.iter_mut().enumerate() {
        if place > 0 {
            (bytes.get(at) == Some(&b'.')).then_some(())?;
            at += 1;
        }
        let end = run(bytes, at, DIGIT);
        let digits =
            bytes.get(at..end).filter(|digits| matches!(digits.len(), 1..=3) && (digits.len() == 1 || digits[0] != b'0'))?;
        let number = digits.iter().fold(0_u16, |number, digit| number * 10 + u16::from(digit - b'0'));
        *part = u8::try_from(number).ok()?;
        at = end;
    }
    (at == bytes.len()).then(|| Ipv4Addr::from(parts))
}

/// The port behind a colon, if one is there, and where it ends.
#[inline]
fn port(bytes: &[u8], at: usize) -> Option<(Option<u16>, usize)> {
    if bytes.get(at) != Some(&b':') {
        return Some((None, at));
    }
    let end = run(bytes, at + 1, DIGIT);
    let digits = bytes.get(at + 1..end).filter(|digits| matches!(digits.len(), 1..=5))?;
    let number = digits.iter().fold(0_u32, |number, digit| number * 10 + u32::from(digit - b'0'));
    Some((Some(u16::try_from(number).ok()?), end))
}

/// Whether these are parameters of a header, without white space and quotes.
#[inline]
pub(super) fn are_params(bytes: &[u8], start: usize) -> bool {
    let mut at = start;
    loop {
        let Some((_, end)) = param(bytes, at) else { return false };
        match bytes.get(end) {
            None => return true,
            Some(b';') => at = end + 1,
            Some(_) => return false,
        }
    }
}

/// The parameter at `at`: where its name ends, and where all of it does.
#[inline(always)]
fn param(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let name_end = some(at, run(bytes, at, TOKEN))?;
    if bytes.get(name_end) != Some(&b'=') {
        return Some((name_end, name_end));
    }
    Some((name_end, some(name_end + 1, run(bytes, name_end + 1, VALUE))?))
}

/// What the short way knows of a parameter that is looked for.
pub(super) enum Found<'a> {
    /// It is there, with this value or with none.
    Yes(Option<&'a str>),
    /// It is not there.
    No,
    /// The text is one for the long way.
    Unclear,
}

/// Looks for a parameter.
#[inline]
pub(super) fn find<'a>(text: &'a str, name: &str) -> Found<'a> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let Some((name_end, end)) = param(bytes, at) else { return Found::Unclear };
        if name_end - at == name.len() && bytes[at..name_end].eq_ignore_ascii_case(name.as_bytes()) {
            return match bytes.get(end) {
                None | Some(b';') => Found::Yes(text.get(name_end + 1..end)),
                Some(_) => Found::Unclear,
            };
        }
        match bytes.get(end) {
            None => return Found::No,
            Some(b';') => at = end + 1,
            Some(_) => return Found::Unclear,
        }
    }
    Found::No
}

/// An address with angle brackets, and with no name or a quoted one, from `start` to the end.
#[inline]
pub(super) fn name_addr(bytes: &[u8], start: usize) -> Option<AddrShape> {
    let (display, open) = match bytes.get(start)? {
        b'<' => (Span::default(), start),
        b'"' => {
            let quote = start + 1 + bytes.get(start + 1..)?.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
            let open = run(bytes, quote + 1, BLANK);
            if bytes[quote] != b'"' || bytes.get(open) != Some(&b'<') {
                return None;
            }
            (Span::new(start, quote + 1), open)
        }
        _ => return None,
    };
    let (uri, close) = uri(bytes, open + 1)?;
    if bytes.get(close) != Some(&b'>') || !is_short(bytes) {
        return None;
    }
    let params = match bytes.get(close + 1) {
        None => Span::default(),
        Some(b';') => are_params(bytes, close + 2).then(|| Span::new(close + 2, bytes.len()))?,
        Some(_) => return None,
    };
    Some(AddrShape { display, uri, params })
}

/// What every Via begins with.
const PROTOCOL: &[u8] = b"SIP/2.0/";

/// A Via, from `start` to the end.
#[inline]
pub(super) fn via(bytes: &[u8], start: usize) -> Option<ViaShape> {
    if !bytes.get(start..)?.starts_with(PROTOCOL) || !is_short(bytes) {
        return None;
    }
    let transport = start + PROTOCOL.len();
    let transport_end = some(transport, run(bytes, transport, TOKEN))?;
    if bytes.get(transport_end) != Some(&b' ') {
        return None;
    }
    let host_start = transport_end + 1;
    let host_end = some(host_start, run(bytes, host_start, HOST))?;
    let host = host(bytes, host_start, host_end)?;
    let (port, end) = port(bytes, host_end)?;
    let params = match bytes.get(end) {
        None => Span::default(),
        Some(b';') => are_params(bytes, end + 1).then(|| Span::new(end + 1, bytes.len()))?,
        Some(_) => return None,
    };
    Some(ViaShape { transport: Span::new(transport, transport_end), host, port, params })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_those_that_the_standard_library_reads() {
        let texts = [
            "1.2.3.4",
            "0.0.0.0",
            "255.255.255.255",
            "256.1.1.1",
            "01.2.3.4",
            "1.2.3",
            "1.2.3.4.5",
            "1..2.3",
            "1.2.3.",
            "1.2.3.1000",
            ".1.2.3",
            "1.2.3.4 ",
            "a.2.3.4",
            "00.0.0.0",
            "1.2.3.04",
        ];
        for text in texts {
            assert_eq!(v4(text.as_bytes()), text.parse().ok(), "{text}");
        }
    }
}
