//! The head of a message in one pass: as nearly all peers write it, each byte is looked at once.

use super::alphabet::{BLANK, TOKEN, is, printable, run};
use super::message::{Line, Start};
use super::shape::Span;
use super::typed::{Taken, Typed};
use super::{Method, Name, limits, quick};

/// How many lines a head has at most, usually.
const LINES_USUAL: usize = 20;

/// A head whose lines all end as they should and are headers, none of them continued, without control characters but tabulators.
pub(super) struct Head {
    /// Where the start line ends, without its line end.
    pub(super) start_end: usize,
    /// Behind the empty line.
    pub(super) end: usize,
    /// What the start line says, if it is written as usual.
    pub(super) start: Option<Start>,
    pub(super) lines: Vec<Line>,
    /// What the first lines say.
    pub(super) typed: Typed,
    /// How many lines these are: the first one that is written in another way, and all behind it, are left to the long way.
    pub(super) read: usize,
}

/// How much of a head is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// Where its lines are.
    Lines,
    /// What they say, too.
    Values,
}

impl Head {
    /// Nothing where it is another one, or has no end.
    #[inline]
    pub(super) fn read(bytes: &[u8], depth: Depth) -> Option<Head> {
        let bytes = &bytes[..bytes.len().min(limits::HEAD_MAX)];
        let start = start(bytes);
        let start_end = start.as_ref().map_or_else(|| line_end(bytes, 0), |(_, end)| Some(*end))?;
        let mut head = Head {
            start_end,
            end: start_end + 2,
            start: start.map(|(start, _)| start),
            lines: Vec::with_capacity(LINES_USUAL),
            typed: Typed::empty(),
            read: if depth == Depth::Values { usize::MAX } else { 0 },
        };
        while bytes.get(head.end)? != &b'\r' {
            head.line(bytes)?;
        }
        head.end = ends_at(bytes, head.end).then_some(head.end + 2)?;
        head.read = head.read.min(head.lines.len());
        Some(head)
    }

    /// Reads the line at its end.
    #[inline]
    fn line(&mut self, bytes: &[u8]) -> Option<()> {
        let start = self.end;
        let (name, name_end, colon) = label(bytes, start)?;
        let value_start = match bytes.get(colon + 1..)? {
            [b' ', next, ..] if !is(*next, BLANK) => colon + 2,
            _ => run(bytes, colon + 1, BLANK),
        };
        let taken = if self.read > self.lines.len() { self.typed.take(bytes, name, value_start) } else { Taken::Unneeded };
        let (value_end, end) = match taken {
            Taken::To(end) => (end, end),
            Taken::Unneeded => ends_behind(bytes, value_start)?,
            Taken::Strange => {
                self.read = self.lines.len();
                ends_behind(bytes, value_start)?
            }
        };
        if end - start > limits::HEADER_MAX || self.lines.len() == limits::HEADERS_MAX {
            return None;
        }
        self.lines.push(Line {
            name,
            name_start: start as u16,
            name_end: name_end as u16,
            value_start: value_start as u16,
            value_end: value_end as u16,
        });
        self.end = end + 2;
        Some(())
    }
}

/// The name of the header that begins at `start`, where it ends, and where its colon is; nothing for a continuation.
#[inline]
fn label(bytes: &[u8], start: usize) -> Option<(Name, usize, usize)> {
    match bytes.get(start..)?.first_chunk().and_then(Name::before_colon) {
        Some((name, length)) if name != Name::Other => Some((name, start + length, start + length)),
        Some(_) | None => strange_label(bytes, start),
    }
}

/// The same for a name that is not known, or has white space before its colon.
#[inline(never)]
fn strange_label(bytes: &[u8], start: usize) -> Option<(Name, usize, usize)> {
    let end = run(bytes, start, TOKEN);
    let name = std::str::from_utf8(bytes.get(start..end)?).ok()?;
    let colon = run(bytes, end, BLANK);
    let is_label = bytes.get(colon) == Some(&b':') && !name.is_empty() && name.len() <= limits::NAME_MAX;
    is_label.then(|| (Name::of(name), end, colon))
}

/// Whether a line ends at `at`.
#[inline(always)]
pub(super) fn ends_at(bytes: &[u8], at: usize) -> bool {
    bytes.get(at..).and_then(|rest| rest.first_chunk()) == Some(b"\r\n")
}

/// Where the line ends that goes on at `from`; nothing if there is a control character before that other than a tabulator.
#[inline]
fn line_end(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        at = printable(bytes, at, b' ');
        match bytes.get(at)? {
            b'\r' => return ends_at(bytes, at).then_some(at),
            b'\t' | 0x80.. => at += 1,
            _ => return None,
        }
    }
}

/// Where the value ends that begins at `start`, without the white space behind it, and where its line does.
#[inline]
fn ends_behind(bytes: &[u8], start: usize) -> Option<(usize, usize)> {
    let end = line_end(bytes, start)?;
    let mut value_end = end;
    while value_end > start && is(bytes[value_end - 1], BLANK) {
        value_end -= 1;
    }
    Some((value_end, end))
}

/// What the start line says, and where it ends, if it is written as usual.
#[inline]
fn start(bytes: &[u8]) -> Option<(Start, usize)> {
    let word = run(bytes, 0, TOKEN);
    if let Some(method) = Method::of_bytes(&bytes[..word])
        && bytes.get(word) == Some(&b' ')
    {
        let (uri, end) = quick::uri(bytes, word + 1)?;
        let rest = bytes.get(end..)?.first_chunk::<10>()?;
        return (rest == b" SIP/2.0\r\n").then_some((Start::Request { method, uri }, end + 8));
    }
    bytes.strip_prefix(b"SIP/2.0 ")?;
    let (status @ 100..=699, 11) = quick::number(bytes, 8, 3)? else { return None };
    let end = line_end(bytes, 12).filter(|_| bytes[11] == b' ')?;
    let phrase = if end > 12 { Span::new(12, end) } else { Span::NONE };
    Some((Start::Response { status: status as u16, phrase }, end))
}
