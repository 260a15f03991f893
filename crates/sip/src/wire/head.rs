//! The head of a message in one pass: as nearly all peers write it, each byte is looked at once.

use super::alphabet::{BLANK, TOKEN, is, printable, run};
use super::message::{Line, Start};
use super::shape::{Span, UriShape};
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
    /// How many lines have been taken: the first one that is written in another way, and all behind it, are left to the long way.
    pub(super) read: usize,
}

/// How much of a head is to be read.
pub(super) enum Depth<'t> {
    /// Where its lines are.
    Lines,
    /// What they say, too.
    Values(&'t mut Typed),
}

impl Head {
    /// Nothing where it is another one, or has no end.
    #[inline]
    pub(super) fn read(bytes: &[u8], depth: &mut Depth<'_>) -> Option<Head> {
        let bytes = &bytes[..bytes.len().min(limits::HEAD_MAX)];
        let start = start(bytes);
        let start_end = start.as_ref().map_or_else(|| line_end(bytes, 0), |(_, end)| Some(*end))?;
        let mut head = Head {
            start_end,
            end: start_end + 2,
            start: start.map(|(start, _)| start),
            lines: Vec::with_capacity(LINES_USUAL),
            read: if matches!(depth, Depth::Values(_)) { usize::MAX } else { 0 },
        };
        while bytes.get(head.end)? != &b'\r' {
            head.line(bytes, depth)?;
        }
        head.end = ends_at(bytes, head.end).then_some(head.end + 2)?;
        head.read = head.read.min(head.lines.len());
        Some(head)
    }

    /// Reads the line at its end.
    #[inline]
    fn line(&mut self, bytes: &[u8], depth: &mut Depth<'_>) -> Option<()> {
        let start = self.end;
        let Label { name, end: name_end, colon, is_printed } = label(bytes, start)?;
        let (value_start, is_canonical) = match bytes.get(colon + 1..)?.first_chunk() {
            Some([b' ', next]) if !is(*next, BLANK) => (colon + 2, is_printed),
            Some(_) | None => (run(bytes, colon + 1, BLANK), false),
        };
        let taken = match depth {
            Depth::Values(typed) if self.read > self.lines.len() => typed.take(bytes, name, value_start),
            Depth::Values(_) | Depth::Lines => Taken::Unneeded,
        };
        let (value_end, end, is_one) = match taken {
            Taken::One(end) => (end, end, true),
            Taken::Some(end) => (end, end, false),
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
            is_canonical,
            is_one,
            name_start: start as u16,
            name_end: name_end as u16,
            value_start: value_start as u16,
            value_end: value_end as u16,
        });
        self.end = end + 2;
        Some(())
    }
}

/// What stands in front of a value.
struct Label {
    name: Name,
    end: usize,
    colon: usize,
    /// Whether the name is written as we print it.
    is_printed: bool,
}

/// The label of the header that begins at `start`; nothing for a continuation.
#[inline(always)]
fn label(bytes: &[u8], start: usize) -> Option<Label> {
    match bytes.get(start..)?.first_chunk().and_then(Name::before_colon) {
        Some((name, length, is_printed)) if name != Name::Other => {
            Some(Label { name, end: start + length, colon: start + length, is_printed })
        }
        Some(_) | None => strange_label(bytes, start),
    }
}

/// The same for a name that is not known, or has white space before its colon.
#[inline(never)]
fn strange_label(bytes: &[u8], start: usize) -> Option<Label> {
    let end = run(bytes, start, TOKEN);
    let name = std::str::from_utf8(bytes.get(start..end)?).ok()?;
    let colon = run(bytes, end, BLANK);
    let is_label = bytes.get(colon) == Some(&b':') && !name.is_empty() && name.len() <= limits::NAME_MAX;
    is_label.then(|| Label { name: Name::of(name), end, colon, is_printed: false })
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

/// Where the value ends that begins at `start`, without the white space behind it, and where its line does; how many values it holds is not seen.
#[inline]
fn ends_behind(bytes: &[u8], start: usize) -> Option<(usize, usize, bool)> {
    let end = line_end(bytes, start)?;
    let mut value_end = end;
    while value_end > start && is(bytes[value_end - 1], BLANK) {
        value_end -= 1;
    }
    Some((value_end, end, false))
}

/// What the start line says, and where it ends, if it is written as usual.
#[inline]
fn start(bytes: &[u8]) -> Option<(Start, usize)> {
    let word = run(bytes, 0, TOKEN);
    if let Some(method) = Method::of_bytes(&bytes[..word])
        && bytes.get(word) == Some(&b' ')
    {
        let mut uri = UriShape::NONE;
        let end = quick::uri(bytes, word + 1, &mut uri)?;
        let rest = bytes.get(end..)?.first_chunk::<10>()?;
        return (rest == b" SIP/2.0\r\n").then_some((Start::Request { method, uri }, end + 8));
    }
    bytes.strip_prefix(b"SIP/2.0 ")?;
    let (status @ 100..=699, 11) = quick::number(bytes, 8, 3)? else { return None };
    let end = line_end(bytes, 12).filter(|_| bytes[11] == b' ')?;
    let phrase = if end > 12 { Span::new(12, end) } else { Span::NONE };
    Some((Start::Response { status: status as u16, phrase }, end))
}
