//! The short way: values as nearly all peers write them, read in one pass over their bytes by a table. What is written in any other way is left
//! to the readers that know every form; this one only ever says what they would say, or nothing. Each reader says where its value ends: whoever
//! asks looks what stands there. Shapes are written where they stay: one that is written piece by piece, and then copied as a whole, has to be
//! waited for.

use std::net::Ipv4Addr;

use super::alphabet::{BLANK, HOST, PLAIN_PARAM, PLAIN_USER, QUOTED, TOKEN, VALUE, stop};
use super::shape::{AddrShape, HostShape, Span, UriShape, ViaShape};
use super::{Scheme, limits};

/// Reads the SIP URI that begins at `start`, and says where it ends.
#[inline(always)]
pub(super) fn uri(bytes: &[u8], start: usize, into: &mut UriShape) -> Option<usize> {
    let (scheme, colon) = match bytes.get(start..)? {
        [b's', b'i', b'p', b':', ..] => (Scheme::Sip, start + 3),
        [b's', b'i', b'p', b's', b':', ..] => (Scheme::Sips, start + 4),
        _ => return None,
    };
    let first = colon + 1;
    let (user_end, behind_user) = stop(bytes, first, PLAIN_USER);
    let is_user = user_end > first && behind_user == b'@';
    let (user, host_start) = if is_user { (Span::new(first, user_end), user_end + 1) } else { (Span::NONE, first) };
    let (name_end, behind_host) = host(bytes, host_start, into.host.insert(HostShape::NONE))?;
    let (port, host_end) = port(bytes, name_end, behind_host)?;
    let (mut end, mut behind) = (host_end, if port.is_some() { at(bytes, host_end) } else { behind_host });
    while behind == b';' {
        let start = end + 1;
        (end, behind) = stop(bytes, start, PLAIN_PARAM);
        some(start, end)?;
        if behind == b'=' {
            let start = end + 1;
            (end, behind) = stop(bytes, start, PLAIN_PARAM);
            some(start, end)?;
        }
    }
    if end - start > limits::URI_MAX || !is_short(end) {
        return None;
    }
    into.span = Span::new(start, end);
    (into.scheme, into.scheme_end) = (scheme, colon as u16);
    (into.host_start, into.host_end, into.params_end) = (host_start as u16, host_end as u16, end as u16);
    (into.user, into.port) = (user, port);
    Some(end)
}

/// The byte at a place; NUL behind the last.
#[inline(always)]
fn at(bytes: &[u8], place: usize) -> u8 {
    bytes.get(place).copied().unwrap_or_default()
}

/// The end of what must not be empty.
#[inline(always)]
fn some(start: usize, end: usize) -> Option<usize> {
    (end > start).then_some(end)
}

/// Whether a place can be said in 16 bits.
#[inline(always)]
fn is_short(place: usize) -> bool {
    place <= usize::from(u16::MAX)
}

/// Reads the host at `start`, and says where it ends, and the byte that stands there.
#[inline(always)]
fn host(bytes: &[u8], start: usize, into: &mut HostShape) -> Option<(usize, u8)> {
    let (end, behind) = stop(bytes, start, HOST);
    let name = bytes.get(start..end)?;
    let last = name.last().filter(|_| name.len() <= limits::HOST_MAX)?;
    match last.is_ascii_digit().then(|| v4(name)).flatten() {
        Some(address) => *into = HostShape::V4(address),
        None => *into = HostShape::Name(Span::new(start, end)),
    }
    Some((end, behind))
}

/// An IPv4 address as its standard wants it: four numbers, none with a zero in front.
#[inline(always)]
fn v4(bytes: &[u8]) -> Option<Ipv4Addr> {
    let (mut address, mut at) = (0, 0);
    for place in 0..4 {
        if place > 0 {
            (bytes.get(at) == Some(&b'.')).then_some(())?;
            at += 1;
        }
        let (number, end) = number(bytes, at, 3).filter(|(_, end)| *end == at + 1 || bytes[at] != b'0')?;
        address = address << 8 | u32::from(u8::try_from(number).ok()?);
        at = end;
    }
    (at == bytes.len()).then(|| Ipv4Addr::from_bits(address))
}

/// The port behind the byte at a place, if that is a colon, and where it ends.
#[inline(always)]
fn port(bytes: &[u8], at: usize, byte: u8) -> Option<(Option<u16>, usize)> {
    if byte != b':' {
        return Some((None, at));
    }
    let (port, end) = number(bytes, at + 1, 5)?;
    Some((Some(u16::try_from(port).ok()?), end))
}

/// The number of at most `most` digits (no more than nine) at `start`, and where it ends.
#[inline(always)]
pub(super) fn number(bytes: &[u8], start: usize, most: usize) -> Option<(u32, usize)> {
    let (mut number, mut at) = (0, start);
    while let Some(digit) = bytes.get(at).map(|byte| byte.wrapping_sub(b'0')).filter(|digit| *digit < 10) {
        if at - start == most {
            return None;
        }
        number = number * 10 + u32::from(digit);
        at += 1;
    }
    Some((number, some(start, at)?))
}

/// Whether these are parameters of a header, without white space and quotes.
#[inline]
pub(super) fn are_params(bytes: &[u8]) -> bool {
    params(bytes, 0, b"").is_some_and(|(_, end)| end == bytes.len())
}

/// The parameters of a header from `start` on: the value of the first one that is named `sought`, and where they end.
#[inline(always)]
fn params(bytes: &[u8], start: usize, sought: &[u8]) -> Option<(Span, usize)> {
    let (mut value, mut at) = (Span::NONE, start);
    loop {
        let (name_end, end, behind) = param(bytes, at)?;
        if value.end == 0 && name_end - at == sought.len() && bytes[at..name_end].eq_ignore_ascii_case(sought) {
            some(name_end, end)?;
            value = Span::new(name_end + 1, end);
        }
        if behind != b';' {
            return Some((value, end));
        }
        at = end + 1;
    }
}

/// The parameter at `at`: where its name ends, where all of it does, and the byte that stands there.
#[inline(always)]
fn param(bytes: &[u8], at: usize) -> Option<(usize, usize, u8)> {
    let (name_end, behind) = stop(bytes, at, TOKEN);
    some(at, name_end)?;
    if behind != b'=' {
        return Some((name_end, name_end, behind));
    }
    let (end, behind) = stop(bytes, name_end + 1, VALUE);
    Some((name_end, some(name_end + 1, end)?, behind))
}

/// The parameters behind the semicolon at `at`, if one is there; see [`params`].
#[inline(always)]
fn params_behind(bytes: &[u8], at: usize, sought: &[u8]) -> Option<(Span, Span, usize)> {
    if bytes.get(at) != Some(&b';') {
        return Some((Span::NONE, Span::NONE, at));
    }
    let (value, end) = params(bytes, at + 1, sought).filter(|(_, end)| is_short(*end))?;
    Some((Span::new(at + 1, end), value, end))
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
        let Some((name_end, end, behind)) = param(bytes, at) else { return Found::Unclear };
        let is_whole = end == bytes.len() || behind == b';';
        if name_end - at == name.len() && bytes[at..name_end].eq_ignore_ascii_case(name.as_bytes()) {
            return if is_whole { Found::Yes(text.get(name_end + 1..end)) } else { Found::Unclear };
        }
        match behind {
            b';' => at = end + 1,
            _ if is_whole => return Found::No,
            _ => return Found::Unclear,
        }
    }
    Found::No
}

/// Reads the address with angle brackets, and with no name or a quoted one, at `start`, and says where it ends.
#[inline]
pub(super) fn name_addr(bytes: &[u8], start: usize, into: &mut AddrShape) -> Option<usize> {
    let (display, open) = match bytes.get(start)? {
        b'<' => (Span::NONE, start),
        b'"' => {
            let (quote, ends) = stop(bytes, start + 1, QUOTED);
            let (open, opens) = stop(bytes, quote + 1, BLANK);
            if (ends, opens) != (b'"', b'<') {
                return None;
            }
            (Span::new(start, quote + 1), open)
        }
        _ => return None,
    };
    let close = uri(bytes, open + 1, &mut into.uri)?;
    if at(bytes, close) != b'>' {
        return None;
    }
    let (params, tag, end) = params_behind(bytes, close + 1, b"tag")?;
    (into.display, into.params, into.tag) = (display, params, tag);
    Some(end)
}

/// What every Via begins with.
const PROTOCOL: &[u8; 8] = b"SIP/2.0/";

/// Reads the Via at `start`, and says where it ends.
#[inline]
pub(super) fn via(bytes: &[u8], start: usize, into: &mut ViaShape) -> Option<usize> {
    if bytes.get(start..)?.first_chunk() != Some(PROTOCOL) {
        return None;
    }
    let transport = start + PROTOCOL.len();
    let (transport_end, behind) = stop(bytes, transport, TOKEN);
    if transport_end == transport || behind != b' ' {
        return None;
    }
    let (host_end, behind_host) = host(bytes, transport_end + 1, &mut into.host)?;
    let (port, port_end) = port(bytes, host_end, behind_host)?;
    let (params, branch, end) = params_behind(bytes, port_end, b"branch")?;
    into.transport = Span::new(transport, transport_end);
    (into.port, into.params, into.branch) = (port, params, branch);
    is_short(end).then_some(end)
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
