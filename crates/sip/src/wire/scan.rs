//! Which bytes may stand where, and how lists are cut.

use super::alphabet::{BLANK, DIGIT, HOST, PARAM, TOKEN, USER, VALUE, VISIBLE, all, is};
use super::{Rule, Text};

/// What comes before and after the first `byte` (ASCII).
#[inline]
pub(crate) fn cut(text: &str, byte: u8) -> Option<(&str, &str)> {
    let at = find(text, byte)?;
    Some((&text[..at], &text[at + 1..]))
}

/// What comes before and after the first white space.
pub(crate) fn cut_at_blank(text: &str) -> Option<(&str, &str)> {
    let at = text.bytes().position(|byte| is(byte, BLANK))?;
    Some((&text[..at], &text[at + 1..]))
}

/// Where the first `byte` stands. The texts are a few words long; a search that takes a run-up is slower.
#[inline]
pub(crate) fn find(text: &str, byte: u8) -> Option<usize> {
    text.bytes().position(|one| one == byte)
}

/// Where the first semicolon stands that is not quoted.
pub(crate) fn end_of_param(text: &str) -> Option<usize> {
    match text.bytes().position(|byte| matches!(byte, b';' | b'"'))? {
        at if text.as_bytes()[at] == b';' => Some(at),
        _ => find_outside(text, b';', false),
    }
}

/// Whether a URI may consist of it.
pub(crate) fn is_visible(text: &str) -> bool {
    all(text, VISIBLE)
}

/// A host name, by its letters.
pub(crate) fn is_host(text: &str) -> bool {
    all(text, HOST)
}

/// A host name; `_` is not in the grammar but in many a network.
pub(crate) fn is_host_byte(byte: u8) -> bool {
    is(byte, HOST)
}

/// The user part of a SIP URI; `#` is not in the grammar but on every keypad.
pub(crate) fn is_user(text: &str) -> bool {
    all(text, USER) && escapes_are_whole(text)
}

/// The password of a SIP URI.
pub(crate) fn is_password(text: &str) -> bool {
    text.bytes().all(|byte| is(byte, USER) && !matches!(byte, b';' | b'?' | b'/')) && escapes_are_whole(text)
}

/// Name or value of a URI's parameter.
pub(crate) fn is_uri_param(text: &str) -> bool {
    all(text, PARAM) && escapes_are_whole(text)
}

/// A token.
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && all(text, TOKEN)
}

/// A bare value of a header's parameter.
pub(crate) fn is_value(text: &str) -> bool {
    !text.is_empty() && all(text, VALUE)
}

/// Whether each `%` is followed by two hexadecimal digits.
pub(crate) fn escapes_are_whole(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut found = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'%');
    found.all(|(at, _)| bytes.get(at + 1..at + 3).is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit)))
}

/// Without white space at both ends.
pub(crate) fn trim(text: &str) -> &str {
    trim_end(trim_start(text))
}

/// Without white space at the end.
pub(crate) fn trim_end(text: &str) -> &str {
    let blank = text.bytes().rev().take_while(|byte| is(*byte, BLANK)).count();
    &text[..text.len() - blank]
}

/// Without white space at the start.
pub(crate) fn trim_start(text: &str) -> &str {
    let blank = text.bytes().take_while(|byte| is(*byte, BLANK)).count();
    &text[blank..]
}

/// One byte of a token.
pub(crate) fn is_token_byte(byte: u8) -> bool {
    is(byte, TOKEN)
}

/// A decimal number of digits only; none if there are none, or if it does not fit.
pub(crate) fn number(text: &str) -> Option<u64> {
    if text.is_empty() || !all(text, DIGIT) {
        return None;
    }
    text.parse().ok()
}

/// The length of the quoted string that `text` begins with, both quotes included; none if it does not end.
pub(crate) fn quoted_length(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// Where `sought` first stands outside of quotes (and, if `angles`, of `<…>`); none if nowhere.
pub(crate) fn find_outside(text: &str, sought: u8, angles: bool) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    loop {
        let rest = bytes.get(at..)?;
        at += if angles { memchr_with_angles(sought, rest)? } else { memchr::memchr2(sought, b'"', rest)? };
        match bytes[at] {
            byte if byte == sought => return Some(at),
            b'"' => at += quoted_length(&text[at..])?,
            _ => at += memchr::memchr(b'>', &bytes[at..])? + 1,
        }
    }
}

fn memchr_with_angles(sought: u8, rest: &[u8]) -> Option<usize> {
    memchr::memchr3(sought, b'"', b'<', rest)
}

/// The values of a list, cut at commas outside of quotes and angle brackets, without white space around them. Yields empty ones too.
#[derive(Debug, Clone)]
pub struct Items<'a> {
    rest: Option<&'a str>,
    is_list: bool,
}

/// Cuts a list; everything is one value if it is none.
pub(crate) fn items(text: &str, is_list: bool) -> Items<'_> {
    Items { rest: Some(text), is_list }
}

impl<'a> Iterator for Items<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let rest = self.rest?;
        match self.is_list.then(|| find_outside(rest, b',', true)).flatten() {
            Some(comma) => {
                self.rest = Some(&rest[comma + 1..]);
                Some(trim(&rest[..comma]))
            }
            None => {
                self.rest = None;
                Some(trim(rest))
            }
        }
    }
}

/// A value by itself, as a text: in a message no value goes over a line (RFC 3261 §7.3.1), so none may be read that would end one where it is written.
pub(super) fn one_line(text: &str) -> Result<Text, Rule> {
    match memchr::memchr2(b'\r', b'\n', text.as_bytes()) {
        Some(_) => Err(Rule::LineEnd),
        None => Ok(Text::from(text)),
    }
}

/// Takes the escapes `%XX` out of a part of a URI. Bytes that are then not UTF-8 become U+FFFD.
pub(crate) fn unescape(text: &str) -> std::borrow::Cow<'_, str> {
    if !text.contains('%') {
        return text.into();
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match (byte, bytes.get(at + 1).and_then(hex), bytes.get(at + 2).and_then(hex)) {
            (b'%', Some(high), Some(low)) => {
                out.push(high << 4 | low);
                at += 3;
            }
            _ => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned().into()
}

fn hex(byte: &u8) -> Option<u8> {
    char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// Writes `%XX` for every byte that is not `allowed`.
pub(crate) fn escape(text: &str, allowed: impl Fn(u8) -> bool) -> String {
    use std::fmt::Write;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii() && byte != b'%' && allowed(byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            write!(out, "%{byte:02X}").unwrap_or_default();
        }
    }
    out
}

/// Takes quotes and backslashes off a quoted string; other text stays as it is.
pub(crate) fn unquote(text: &str) -> std::borrow::Cow<'_, str> {
    let Some(inner) = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) else { return text.into() };
    if !inner.contains('\\') {
        return inner.into();
    }
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(char) = chars.next() {
        out.extend(if char == '\\' { chars.next() } else { Some(char) });
    }
    out.into()
}

/// Writes text as a quoted string; control characters become spaces.
pub(crate) fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for char in text.chars() {
        match char {
            '"' | '\\' => out.extend(['\\', char]),
            char if char.is_control() => out.push(' '),
            char => out.push(char),
        }
    }
    out.push('"');
    out
}

/// The `name=value` pairs of a challenge: cut at commas outside of quotes; quotes are taken off, backslashes stay, for they are hashed.
pub(crate) fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    items(text, true).filter_map(|pair| pair.split_once('=')).map(|(name, value)| {
        let value = trim(value);
        (trim(name), value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value))
    })
}
