//! What routing needs of a head: what must be there once, and every address on the way.

use super::alphabet::{BLANK, TOKEN, printable, run};
use super::head::ends_at;
use super::message::{Line, Names};
use super::shape::{AddrShape, Span, ViaShape};
use super::values::CSeq;
use super::{Method, Name, Rule, Text, limits, quick, scan};

/// The values themselves; what is empty here is not there yet.
pub(super) struct Typed {
    /// Which names there are, by their numbers: most that is asked for is not there.
    pub(super) names: Names,
    /// The first one.
    pub(super) via: ViaShape,
    pub(super) from: AddrShape,
    pub(super) to: AddrShape,
    pub(super) call_id: Span,
    pub(super) cseq: CSeq,
    pub(super) max_forwards: Option<u8>,
    /// The first one, if there are any.
    contact: AddrShape,
    pub(super) routes: Vec<AddrShape>,
    /// What Content-Length says.
    pub(super) length: Option<usize>,
    vias: usize,
    contacts: usize,
    /// Routes and Record-Routes.
    hops: usize,
}

/// What became of a header that was to be read the short way.
pub(super) enum Taken {
    /// Its one value is taken, and its line ends here.
    One(usize),
    /// The same with several values.
    Some(usize),
    /// Routing does not need it.
    Unneeded,
    /// Nothing is taken: it is written in another way, or must not be there.
    Strange,
}

impl Typed {
    /// Nothing yet.
    #[inline]
    pub(super) fn empty() -> Typed {
        Typed {
            names: Names::default(),
            via: ViaShape::NONE,
            from: AddrShape::NONE,
            to: AddrShape::NONE,
            call_id: Span::NONE,
            cseq: CSeq { number: 0, method: Method::Invite },
            max_forwards: None,
            contact: AddrShape::NONE,
            routes: Vec::new(),
            length: None,
            vias: 0,
            contacts: 0,
            hops: 0,
        }
    }

    /// Takes the header whose value begins at `at` by the short way.
    #[inline]
    pub(super) fn take(&mut self, bytes: &[u8], name: Name, at: usize) -> Taken {
        if name.is_single() && self.names.has(name) {
            return Taken::Strange;
        }
        let taken = if !name.is_needed() {
            Taken::Unneeded
        } else {
            match if name.is_list() { self.take_list(bytes, name, at) } else { self.take_one(bytes, name, at) } {
                Some((1, end)) => Taken::One(end),
                Some((_, end)) => Taken::Some(end),
                None => return Taken::Strange,
            }
        };
        self.names.add(name);
        taken
    }

    /// Takes a value that a line has one of: one, and where the line ends.
    #[inline]
    fn take_one(&mut self, bytes: &[u8], name: Name, at: usize) -> Option<(usize, usize)> {
        let end = if name == Name::From {
            quick::name_addr(bytes, at, &mut self.from)?
        } else if name == Name::To {
            quick::name_addr(bytes, at, &mut self.to)?
        } else if name == Name::CallId {
            let end = printable(bytes, at, b'!');
            self.call_id = Span::new(at, end);
            end.max(at + 1)
        } else if name == Name::CSeq {
            let (number, end) = quick::number(bytes, at, 9)?;
            let method_end = run(bytes, end + 1, TOKEN);
            self.cseq = CSeq { number, method: Method::of_bytes(bytes.get(end + 1..method_end)?)? };
            (bytes[end] == b' ').then_some(method_end)?
        } else if name == Name::MaxForwards {
            let (number, end) = quick::number(bytes, at, 3)?;
            self.max_forwards = Some(u8::try_from(number).ok()?);
            end
        } else {
            let (number, end) = quick::number(bytes, at, 9).filter(|_| !self.names.has(name))?;
            self.length = Some(number as usize);
            end
        };
        ends_at(bytes, end).then_some((1, end))
    }

    /// Takes the values of a list: how many there are, and where the line ends. Only what is taken whole counts.
    #[inline]
    fn take_list(&mut self, bytes: &[u8], name: Name, at: usize) -> Option<(usize, usize)> {
        let known = self.routes.len();
        let (count, taken) = if name == Name::Via {
            let (is_top, mut other) = (self.vias == 0, ViaShape::NONE);
            let taken =
                list(bytes, at, |place, at| quick::via(bytes, at, if is_top && place == 0 { &mut self.via } else { &mut other }));
            (&mut self.vias, taken)
        } else {
            let (is_first, mut other) = (self.contacts == 0, AddrShape::NONE);
            let taken = list(bytes, at, |place, at| {
                let into = if name == Name::Route {
                    self.routes.push(AddrShape::NONE);
                    self.routes.last_mut()?
                } else if name == Name::Contact && is_first && place == 0 {
                    &mut self.contact
                } else {
                    &mut other
                };
                quick::name_addr(bytes, at, into)
            });
            (if name == Name::Contact { &mut self.contacts } else { &mut self.hops }, taken)
        };
        match taken.filter(|(more, _)| *count + more <= limits::LIST_MAX) {
            Some((more, end)) => {
                *count += more;
                Some((more, end))
            }
            None => {
                self.routes.truncate(known);
                None
            }
        }
    }

    /// The first Contact.
    #[inline]
    pub(super) fn contact(&self) -> Option<&AddrShape> {
        (self.contacts > 0).then_some(&self.contact)
    }

    /// Reads the lines that were not taken, the long way, and sees whether all is there that must be.
    #[inline]
    pub(super) fn complete(&mut self, head: &Text, rest: &[Line]) -> Result<(), Rule> {
        let mut seen = Seen::default();
        for line in rest {
            self.see(head, *line, &mut seen)?;
        }
        for name in [Name::From, Name::To, Name::CallId, Name::CSeq] {
            if !self.names.has(name) {
                return Err(Rule::Missing(name));
            }
        }
        if seen.call_id.is_some_and(|call_id| !is_call_id(call_id)) {
            return Err(Rule::Value(Name::CallId));
        }
        if !self.names.has(Name::Via) {
            return Err(Rule::Missing(Name::Via));
        }
        if rest.is_empty() { Ok(()) } else { self.take_seen(head, &seen) }
    }

    fn see<'h>(&mut self, head: &'h Text, line: Line, seen: &mut Seen<'h>) -> Result<(), Rule> {
        let (name, value) = (line.name, line.value_in(head));
        let is_first = !self.names.has(name);
        self.names.add(name);
        if name.is_single() {
            seen.once(name, value);
            return if is_first { Ok(()) } else { Err(Rule::Twice(name)) };
        }
        if name == Name::Via {
            each(head, name, value, &mut self.vias, |place, span| {
                let via = ViaShape::read(head, span)?;
                if place == 1 {
                    self.via = via;
                }
                Ok(())
            })
        } else if name == Name::Contact && value != "*" {
            each(head, name, value, &mut self.contacts, |place, span| {
                let contact = AddrShape::read(head, span)?;
                if place == 1 {
                    self.contact = contact;
                }
                Ok(())
            })
        } else if name == Name::Route || name == Name::RecordRoute {
            each(head, name, value, &mut self.hops, |_, span| {
                let hop = AddrShape::read(head, span)?;
                if name == Name::Route {
                    self.routes.push(hop);
                }
                Ok(())
            })
        } else {
            Ok(())
        }
    }

    fn take_seen(&mut self, head: &Text, seen: &Seen<'_>) -> Result<(), Rule> {
        if let Some(from) = seen.from {
            self.from = address(head, Name::From, from)?;
        }
        if let Some(to) = seen.to {
            self.to = address(head, Name::To, to)?;
        }
        if let Some(call_id) = seen.call_id {
            self.call_id = Span::of(head, call_id)?;
        }
        if let Some(cseq) = seen.cseq {
            self.cseq = CSeq::cut(head, cseq).map_err(|_| Rule::Value(Name::CSeq))?;
        }
        if let Some(hops) = seen.max_forwards {
            let hops = scan::number(hops).and_then(|number| u8::try_from(number).ok());
            self.max_forwards = Some(hops.ok_or(Rule::Value(Name::MaxForwards))?);
        }
        Ok(())
    }
}

/// The values of headers that may be there once, which were not taken.
#[derive(Default)]
struct Seen<'h> {
    from: Option<&'h str>,
    to: Option<&'h str>,
    call_id: Option<&'h str>,
    cseq: Option<&'h str>,
    max_forwards: Option<&'h str>,
}

impl<'h> Seen<'h> {
    fn once(&mut self, name: Name, value: &'h str) {
        if name == Name::From {
            self.from = Some(value);
        } else if name == Name::To {
            self.to = Some(value);
        } else if name == Name::CallId {
            self.call_id = Some(value);
        } else if name == Name::CSeq {
            self.cseq = Some(value);
        } else if name == Name::MaxForwards {
            self.max_forwards = Some(value);
        }
    }
}

/// Reads values with commas between them, from `at` to the end of the line: how many there are, and where that is.
#[inline(always)]
fn list(bytes: &[u8], at: usize, mut read: impl FnMut(usize, usize) -> Option<usize>) -> Option<(usize, usize)> {
    let (mut at, mut count) = (at, 0);
    loop {
        let end = read(count, at)?;
        count += 1;
        if ends_at(bytes, end) {
            return Some((count, end));
        }
        if bytes.get(end) != Some(&b',') || count == limits::LIST_MAX {
            return None;
        }
        at = run(bytes, end + 1, BLANK);
    }
}

/// Reads each value of a list with its number among all of its kind.
fn each(
    head: &Text,
    name: Name,
    list: &str,
    count: &mut usize,
    mut read: impl FnMut(usize, Span) -> Result<(), Rule>,
) -> Result<(), Rule> {
    // Without a comma, as nearly everywhere, there is one value.
    for value in scan::items(list, memchr::memchr(b',', list.as_bytes()).is_some()) {
        *count += 1;
        if *count > limits::LIST_MAX {
            return Err(Rule::TooLong);
        }
        Span::of(head, value).and_then(|span| read(*count, span)).map_err(|_| Rule::Value(name))?;
    }
    Ok(())
}

fn address(head: &Text, name: Name, value: &str) -> Result<AddrShape, Rule> {
    Span::of(head, value).and_then(|span| AddrShape::read(head, span)).map_err(|_| Rule::Value(name))
}

fn is_call_id(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| (0x21..0x7f).contains(&byte))
}
