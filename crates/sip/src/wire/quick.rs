//! The short way: values as nearly all peers write them, read in one pass over their bytes by a table. What is written in any other way is left
//! to the readers that know every form; this one only ever says what they would say, or nothing. Each reader says where its value ends: whoever
//! asks looks what stands there.

use std::net::Ipv4Addr;

use super::alphabet::{BLANK, HOST, PLAIN_PARAM, PLAIN_USER, QUOTED, TOKEN, VALUE, run};
use super::shape::{AddrShape, HostShape, Span, UriShape, ViaShape};
use super::{Scheme, limits};

/// The SIP URI that begins at `start`, and where it ends.
#[inline(always)]
pub(super) fn uri(bytes: &[u8], start: usize) -> Option<(UriShape, usize)> {
    let (scheme, colon) = match bytes.get(start..)? {
        [b's', b'i', b'p', b':', ..] => (Scheme::Sip, start + 3),
        [b's', b'i', b'p', b's', b':', ..] => (Scheme::Sips, start + 4),
        _ => return None,
    };
    let first = colon + 1;
    let user_end = run(bytes, first, PLAIN_USER);
    let is_user = user_end > first && bytes.get(user_end) == Some(&b'@');
    let (user, host_start) = if is_user { (Span::new(first, user_end), user_end + 1) } else { (Span::NONE, first) };
    let (host, name_end) = host(bytes, host_start)?;
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
    if end - start > limits::URI_MAX || !is_short(end) {
        return None;
    }
    let shape = UriShape {
        span: Span::new(start, end),
        scheme,
        scheme_end: colon as u16,
        host_start: host_start as u16,
        host_end: host_end as u16,
        params_end: end as u16,
        user,
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

/// Whether a place can be said in 16 bits.
#[inline(always)]
fn is_short(place: usize) -> bool {
    place <= usize::from(u16::MAX)
}

/// The host at `start`, and where it ends.
#[inline(always)]
fn host(bytes: &[u8], start: usize) -> Option<(HostShape, usize)> {
    let end = run(bytes, start, HOST);
    let name = bytes.get(start..end)?;
    let last = name.last().filter(|_| name.len() <= limits::HOST_MAX)?;
    let address = if last.is_ascii_digit() { v4(name) } else { None };
    Some((address.map_or(HostShape::Name(Span::new(start, end)), HostShape::V4), end))
}

/// An IPv4 address as its standard wants it: four numbers, none with a zero in front.
#[inline(always)]
fn v4(bytes: &[u8]) -> Option<Ipv4Addr> {
    let mut parts = [0_u8; 4];
    let mut at = 0;
    for (place, part) in parts.iter_mut().enumerate() {
        if place > 0 {
            (bytes.get(at) == Some(&b'.')).then_some(())?;
            at += 1;
        }
        let (number, end) = number(bytes, at, 3).filter(|(_, end)| *end == at + 1 || bytes[at] != b'0')?;
        *part = u8::try_from(number).ok()?;
        at = end;
    }
    (at == bytes.len()).then(|| Ipv4Addr::from(parts))
}

/// The port behind a colon, if one is there, and where it ends.
#[inline(always)]
fn port(bytes: &[u8], at: usize) -> Option<(Option<u16>, usize)> {
    if bytes.get(at) != Some(&b':') {
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
        let (name_end, end) = param(bytes, at)?;
        if value.end == 0 && name_end - at == sought.len() && bytes[at..name_end].eq_ignore_ascii_case(sought) {
            some(name_end, end)?;
            value = Span::new(name_end + 1, end);
        }
        if bytes.get(end) != Some(&b';') {
            return Some((value, end));
        }
        at = end + 1;
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

/// An address with angle brackets, and with no name or a quoted one, at `start`, and where it ends.
#[inline]
pub(super) fn name_addr(bytes: &[u8], start: usize) -> Option<(AddrShape, usize)> {
    let (display, open) = match bytes.get(start)? {
        b'<' => (Span::NONE, start),
        b'"' => {
            let quote = run(bytes, start + 1, QUOTED);
            let open = run(bytes, quote + 1, BLANK);
            if bytes.get(quote) != Some(&b'"') || bytes.get(open) != Some(&b'<') {
                return None;
            }
            (Span::new(start, quote + 1), open)
        }
        _ => return None,
    };
    let (uri, close) = uri(bytes, open + 1)?;
    if bytes.get(close) != Some(&b'>') {
        return None;
    }
    let (params, tag, end) = params_behind(bytes, close + 1, b"tag")?;
    Some((AddrShape { display, uri, params, tag }, end))
}

/// What every Via begins with.
const PROTOCOL: &[u8; 8] = b"SIP/2.0/";

/// The Via at `start`, and where it ends.
#[inline]
pub(super) fn via(bytes: &[u8], start: usize) -> Option<(ViaShape, usize)> {
    if bytes.get(start..)?.first_chunk() != Some(PROTOCOL) {
        return None;
    }
    let transport = start + PROTOCOL.len();
    let transport_end = some(transport, run(bytes, transport, TOKEN))?;
    if bytes.get(transport_end) != Some(&b' ') {
        return None;
    }
    let (host, host_end) = host(bytes, transport_end + 1)?;
    let (port, port_end) = port(bytes, host_end)?;
    let (params, branch, end) = params_behind(bytes, port_end, b"branch")?;
    is_short(end).then_some((ViaShape { transport: Span::new(transport, transport_end), host, port, params, branch }, end))
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
