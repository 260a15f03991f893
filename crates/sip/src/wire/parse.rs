//! From bytes to messages.

use std::sync::Arc;

use bytes::Bytes;

use super::fault::Refusal;
use super::head::{Depth, Head};
use super::message::{Inner, Line, Message, Start};
use super::shape::{Span, UriShape};
use super::typed::Typed;
use super::{Fault, Method, Name, Rule, Scheme, Text, Via, limits, scan};

/// Reads one datagram (RFC 3261 §18.3): line ends before the start line are skipped, bytes behind the body that Content-Length announces are
/// ignored, a body that is shorter is a fault.
pub fn parse_datagram(bytes: Bytes) -> Result<Message, Fault> {
    let skip = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    if bytes.len() > limits::MESSAGE_MAX {
        return Err(Fault::silent(Rule::TooLong));
    }
    if skip == bytes.len() {
        return Err(Fault::silent(Rule::Empty));
    }
    let bytes = if skip > 0 { bytes.slice(skip..) } else { bytes };
    let mut typed = Typed::empty();
    let draft = match Draft::read(bytes, Depth::Values(&mut typed)) {
        Ok(draft) => draft,
        Err(rule) => return Err(Fault::silent(rule)),
    };
    match draft.checked(&mut typed) {
        Ok((start, end)) => Ok(draft.sealed(start, typed, end)),
        Err(rule) => Err(draft.refuse(rule)),
    }
}

/// Lines that have been told apart, nothing more.
struct Draft {
    raw: Bytes,
    head: Text,
    /// Where the start line ends, without its line end.
    start_end: usize,
    head_end: usize,
    /// What was read of the start line while lines were told apart.
    start: Option<Start>,
    lines: Vec<Line>,
    /// How many of the lines were read then.
    read: usize,
    /// The first thing that was wrong with a line.
    broken: Option<Rule>,
    /// Whether the head is as it came, without control characters but line ends and tabulators.
    is_plain: bool,
}

/// What stands where in the head.
struct Lines {
    start_end: usize,
    head_end: usize,
    is_folded: bool,
}

impl Draft {
    #[inline(always)]
    fn read(raw: Bytes, mut depth: Depth<'_>) -> Result<Draft, Rule> {
        if let Some(Head { start_end, end, start, lines, read }) = Head::read(&raw, &mut depth)
            && let Some(head) = Text::from_utf8(raw.slice(..end))
        {
            return Ok(Draft { raw, head, start_end, head_end: end, start, lines, read, broken: None, is_plain: true });
        }
        if let Depth::Values(typed) = depth {
            *typed = Typed::empty();
        }
        Draft::read_any(raw)
    }

    fn read_any(raw: Bytes) -> Result<Draft, Rule> {
        let found = find_lines(&raw)?;
        let head = raw.slice(..found.head_end);
        let (head, head_end) = match Text::from_utf8(head.clone()) {
            Some(text) if !found.is_folded => (text, found.head_end),
            Some(text) => (Text::from(joined(&text)), found.head_end),
            // Old phones write names in Latin-1: what is not UTF-8 is read as such.
            None => {
                let text: String = head.iter().copied().map(char::from).collect();
                (Text::from(if found.is_folded { joined(&text) } else { text }), found.head_end)
            }
        };
        if head.len() > limits::HEAD_MAX {
            return Err(Rule::TooLong);
        }
        let (lines, broken) = index(&head, found.start_end + 2);
        let start_end = found.start_end;
        Ok(Draft { raw, head, start_end, head_end, start: None, lines, read: 0, broken, is_plain: false })
    }

    /// The start line, and where the body ends, of a message that breaks no rule.
    #[inline]
    fn checked(&self, typed: &mut Typed) -> Result<(Start, usize), Rule> {
        let start = match &self.start {
            Some(start) => start.clone(),
            None => self.start()?,
        };
        if let Some(rule) = self.broken {
            return Err(rule);
        }
        typed.complete(&self.head, &self.lines[self.read..])?;
        match &start {
            Start::Request { method, .. } if *method != typed.cseq.method => return Err(Rule::CSeqMethod),
            Start::Request { .. } | Start::Response { .. } => {}
        }
        let length = if self.read == self.lines.len() { typed.length } else { content_length(&self.lines, &self.head)? };
        Ok((start, self.body_end(length)?))
    }

    #[inline]
    fn sealed(self, start: Start, typed: Typed, end: usize) -> Message {
        Message(Arc::new(Inner {
            body: self.raw.slice(self.head_end..end),
            raw: if end == self.raw.len() { self.raw } else { self.raw.slice(..end) },
            head: self.head,
            lines: self.lines,
            is_plain: self.is_plain,
            start,
            typed,
        }))
    }

    fn start_line(&self) -> &str {
        self.head.get(..self.start_end).or_else(|| self.head.split("\r\n").next()).unwrap_or_default()
    }

    #[inline]
    fn start(&self) -> Result<Start, Rule> {
        let line = self.start_line();
        if is_status_line(line) {
            return self.status_line(line);
        }
        let (method, rest) = scan::cut(line, b' ').ok_or(Rule::StartLine)?;
        let (uri, version) = rest.rsplit_once(' ').ok_or(Rule::StartLine)?;
        if !version.eq_ignore_ascii_case("SIP/2.0") {
            return Err(if is_version(version) { Rule::Version } else { Rule::StartLine });
        }
        if !scan::is_token(method) || method.len() > limits::METHOD_MAX {
            return Err(Rule::Method);
        }
        if uri.starts_with('<') {
            return Err(Rule::RequestUri);
        }
        let uri = UriShape::read(&self.head, self.span(uri)?)?;
        if matches!(uri.scheme, Scheme::Sip | Scheme::Sips) && uri.params_end < uri.span.end {
            return Err(Rule::RequestUri);
        }
        Ok(Start::Request { method: Method::cut(&self.head, method), uri })
    }

    fn status_line(&self, line: &str) -> Result<Start, Rule> {
        let rest = line.get(7..).and_then(|rest| rest.strip_prefix(' ')).ok_or(Rule::StartLine)?;
        let (status, phrase) = rest.split_once(' ').unwrap_or((rest, ""));
        let number = scan::number(status).filter(|_| status.len() == 3).and_then(|number| u16::try_from(number).ok());
        match number {
            Some(status @ 100..=699) => Ok(Start::Response { status, phrase: self.span(phrase)? }),
            Some(_) | None => Err(Rule::Status),
        }
    }

    /// Where a part of the head stands.
    fn span(&self, part: &str) -> Result<Span, Rule> {
        Span::of(&self.head, part)
    }

    fn body_end(&self, length: Option<usize>) -> Result<usize, Rule> {
        match length {
            Some(length) if length > self.raw.len() - self.head_end => Err(Rule::BodyShort),
            Some(length) => Ok(self.head_end + length),
            None => Ok(self.raw.len()),
        }
    }

    /// What becomes of a message that breaks a rule: only a request other than ACK can be answered, and only one that says where it came from.
    fn refuse(&self, rule: Rule) -> Fault {
        let line = self.start_line();
        let method = line.split(' ').next().unwrap_or_default();
        let is_request = !is_status_line(line) && line.rsplit(' ').find(|word| !word.is_empty()).is_some_and(is_version);
        let value = |name: Name| self.lines.iter().filter(move |line| line.name == name).map(|line| line.value_in(&self.head));
        let via = value(Name::Via).next().and_then(|value| Via::cut_leniently(&self.head, value));
        let Some(via) = via.filter(|_| is_request && method != "ACK" && scan::is_token(method)) else {
            return Fault::silent(rule);
        };
        let mut repeated = Vec::new();
        let behind_top = value(Name::Via).next().map(|first| scan::items(first, true).skip(1));
        let vias = behind_top.into_iter().flatten().chain(value(Name::Via).skip(1));
        let vias = vias.filter(|value| !value.is_empty()).take(limits::LIST_MAX);
        repeated.extend(vias.map(|value| (Name::Via, self.head.part(value))));
        for name in [Name::From, Name::To, Name::CallId, Name::CSeq] {
            repeated.extend(value(name).next().map(|value| (name, self.head.part(value))));
        }
        let special = [(Rule::Version, 505), (Rule::TooLong, 513)];
        let status = special.into_iter().find(|(special, _)| *special == rule).map_or(400, |(_, status)| status);
        Fault::refused(rule, Refusal { status, method: self.head.part(method), via, repeated })
    }
}

/// Finds the start line and the end of the head, and whether lines are continued.
fn find_lines(raw: &[u8]) -> Result<Lines, Rule> {
    let mut at = 0;
    let mut start_end = None;
    let mut is_folded = false;
    loop {
        let length = memchr::memchr(b'\n', &raw[at..]).ok_or(Rule::HeadEnd)?;
        let line = raw[at..at + length].strip_suffix(b"\r").ok_or(Rule::LineEnd)?;
        if memchr::memchr(b'\r', line).is_some() {
            return Err(Rule::LineEnd);
        }
        if line.is_empty() {
            return start_end.map(|start_end| Lines { start_end, head_end: at + 2, is_folded }).ok_or(Rule::StartLine);
        }
        match start_end {
            None => start_end = Some(line.len()),
            Some(_) => is_folded |= matches!(line[0], b' ' | b'\t'),
        }
        at += length + 1;
        if at > limits::HEAD_MAX {
            return Err(Rule::TooLong);
        }
    }
}

/// The same text with continuation lines joined to their first lines (RFC 3261 §7.3.1); no byte moves.
fn joined(text: &str) -> String {
    text.replace("\r\n ", "   ").replace("\r\n\t", "  \t")
}

/// The headers from `start` on, and the first thing that is wrong with any of them.
fn index(head: &str, start: usize) -> (Vec<Line>, Option<Rule>) {
    let bytes = head.as_bytes();
    let (mut lines, mut broken) = (Vec::with_capacity(24), controls(bytes));
    let mut at = start;
    while let Some(length) = bytes.get(at..).and_then(|rest| memchr::memchr(b'\n', rest)) {
        let line = head.get(at..(at + length).saturating_sub(1)).unwrap_or_default();
        if line.is_empty() {
            break;
        }
        if lines.len() == limits::HEADERS_MAX {
            broken = broken.or(Some(Rule::TooLong));
            break;
        }
        match cut_line(line, at) {
            Ok(line) => lines.push(line),
            Err(rule) => broken = broken.or(Some(rule)),
        }
        at += length + 1;
    }
    (lines, broken)
}

fn cut_line(line: &str, at: usize) -> Result<Line, Rule> {
    let colon = scan::find(line, b':').ok_or(Rule::HeaderName)?;
    let name = scan::trim_end(&line[..colon]);
    if !scan::is_token(name) || name.len() > limits::NAME_MAX {
        return Err(Rule::HeaderName);
    }
    if line.len() > limits::HEADER_MAX {
        return Err(Rule::TooLong);
    }
    let rest = &line[colon + 1..];
    let from_start = scan::trim_start(rest);
    let value = scan::trim_end(from_start);
    let value_start = at + colon + 1 + (rest.len() - from_start.len());
    let short = |number: usize| u16::try_from(number).map_err(|_| Rule::TooLong);
    Ok(Line {
        name: Name::of(name),
        is_canonical: false,
        is_one: false,
        name_start: short(at)?,
        name_end: short(at + name.len())?,
        value_start: short(value_start)?,
        value_end: short(value_start + value.len())?,
    })
}

/// Control characters may stand only behind a backslash in a quoted string (RFC 3261 §25.1: quoted-pair).
fn controls(head: &[u8]) -> Option<Rule> {
    let is_control = |byte: u8| (byte < 0x20 && !matches!(byte, b'\r' | b'\n' | b'\t')) || byte == 0x7f;
    // Without a way out in the middle the compiler looks at many bytes at once.
    if !head.iter().fold(false, |found, byte| found | is_control(*byte)) {
        return None;
    }
    let bare = head.iter().enumerate().any(|(at, byte)| is_control(*byte) && (at == 0 || head[at - 1] != b'\\'));
    bare.then_some(Rule::Control)
}

/// The length that all Content-Lengths agree on; none if there is none. Two that disagree are what smuggles one message in the body of another.
pub(super) fn content_length(lines: &[Line], head: &str) -> Result<Option<usize>, Rule> {
    let mut agreed = None;
    for line in lines.iter().filter(|line| line.name == Name::ContentLength) {
        let length = scan::number(line.value_in(head)).ok_or(Rule::Value(Name::ContentLength))?;
        let length = usize::try_from(length).map_err(|_| Rule::Value(Name::ContentLength))?;
        if agreed.is_some_and(|agreed| agreed != length) {
            return Err(Rule::Twice(Name::ContentLength));
        }
        agreed = Some(length);
    }
    Ok(agreed)
}

fn is_status_line(line: &str) -> bool {
    line.get(..7).is_some_and(|version| version.eq_ignore_ascii_case("SIP/2.0"))
        && matches!(line.as_bytes().get(7), Some(b' ') | None)
}

fn is_version(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let numbers = text.get(..4).filter(|name| name.eq_ignore_ascii_case("SIP/")).and_then(|_| text[4..].split_once('.'));
    numbers.is_some_and(|(major, minor)| digits(major) && digits(minor))
}

/// The lines of a head on a stream.
#[inline(never)]
fn draft(head: &[u8]) -> Result<Draft, Rule> {
    Draft::read(Bytes::copy_from_slice(head), Depth::Lines)
}

/// The length of the body behind a head on a stream, where it must be said.
pub(super) fn framed_length(head: &[u8]) -> Result<usize, Fault> {
    let draft = draft(head).map_err(Fault::silent)?;
    // A line that one reader takes for a header and another does not is how lengths are hidden.
    let length = match draft.broken {
        Some(rule) => Err(rule),
        None => content_length(&draft.lines, &draft.head).and_then(|length| length.ok_or(Rule::Unframed)),
    };
    length.map_err(|rule| draft.refuse(rule))
}

/// The fault of a head on a stream that breaks `rule`.
pub(super) fn refuse_head(head: &[u8], rule: Rule) -> Fault {
    match draft(head) {
        Ok(draft) => draft.refuse(rule),
        Err(rule) => Fault::silent(rule),
    }
}
