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
    /// The first one.
    pub(super) contact: Option<AddrShape>,
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
    /// Its value is taken, and its line ends here.
    To(usize),
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
            contact: None,
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
        let taken =
            if name.is_needed() { self.value(bytes, name, at).map_or(Taken::Strange, Taken::To) } else { Taken::Unneeded };
        if !matches!(taken, Taken::Strange) {
            self.names.add(name);
        }
        taken
    }

    /// Takes a value that routing needs, and says where its line ends.
    #[inline]
    fn value(&mut self, bytes: &[u8], name: Name, at: usize) -> Option<usize> {
        let end = if name == Name::Via {
            return self.take_vias(bytes, at);
        } else if name == Name::From {
            let (from, end) = quick::name_addr(bytes, at)?;
            self.from = from;
            end
        } else if name == Name::To {
            let (to, end) = quick::name_addr(bytes, at)?;
            self.to = to;
            end
        } else if name == Name::CallId {
            let end = printable(bytes, at, b'!');
            self.call_id = Span::new(at, end);
            end.max(at + 1)
        } else if name == Name::CSeq {
            let (number, end) = quick::number(bytes, at, 9)?;
            let method_end = run(bytes, end + 1, TOKEN);
            self.cseq = CSeq { number, method: Method::of_bytes(bytes.get(end + 1..method_end)?)? };
            (bytes[end] == b' ').then_some(method_end)?
        } else if name == Name::Contact {
            return self.take_contacts(bytes, at);
        } else if name == Name::MaxForwards {
            let (number, end) = quick::number(bytes, at, 3)?;
            self.max_forwards = Some(u8::try_from(number).ok()?);
            end
        } else if name == Name::ContentLength {
            let (number, end) = quick::number(bytes, at, 9).filter(|_| !self.names.has(name))?;
            self.length = Some(number as usize);
            end
        } else {
            return self.take_hops(bytes, name, at);
        };
        ends_at(bytes, end).then_some(end)
    }

    #[inline]
    fn take_vias(&mut self, bytes: &[u8], at: usize) -> Option<usize> {
        let mut first = None;
        let (count, end) = list(bytes, at, quick::via, |via| {
            first.get_or_insert(via);
        })?;
        if self.vias == 0 {
            self.via = first?;
        }
        self.vias += count;
        (self.vias <= limits::LIST_MAX).then_some(end)
    }

    #[inline]
    fn take_contacts(&mut self, bytes: &[u8], at: usize) -> Option<usize> {
        let mut first = None;
        let (count, end) = list(bytes, at, quick::name_addr, |contact| {
            first.get_or_insert(contact);
        })?;
        if self.contacts == 0 {
            self.contact = first;
        }
        self.contacts += count;
        (self.contacts <= limits::LIST_MAX).then_some(end)
    }

    #[inline]
    fn take_hops(&mut self, bytes: &[u8], name: Name, at: usize) -> Option<usize> {
        let known = self.routes.len();
        let read = list(bytes, at, quick::name_addr, |hop| {
            if name == Name::Route {
                self.routes.push(hop);
            }
        });
        match read.filter(|(count, _)| self.hops + count <= limits::LIST_MAX) {
            Some((count, end)) => {
                self.hops += count;
                Some(end)
            }
            None => {
                self.routes.truncate(known);
                None
            }
        }
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
        if name.is_single() {
            if self.names.has(name) {
                return Err(Rule::Twice(name));
            }
            seen.once(name, value);
        } else if name == Name::Via {
            for value in values(head, name, value, &mut self.vias) {
                let via = ViaShape::read(head, value?).map_err(|_| Rule::Value(name))?;
                if !self.names.has(name) {
                    self.via = via;
                    self.names.add(name);
                }
            }
        } else if name == Name::Contact && value != "*" {
            for value in values(head, name, value, &mut self.contacts) {
                let contact = AddrShape::read(head, value?).map_err(|_| Rule::Value(name))?;
                self.contact.get_or_insert(contact);
            }
        } else if name == Name::Route || name == Name::RecordRoute {
            for value in values(head, name, value, &mut self.hops) {
                let hop = AddrShape::read(head, value?).map_err(|_| Rule::Value(name))?;
                if name == Name::Route {
                    self.routes.push(hop);
                }
            }
        }
        self.names.add(name);
        Ok(())
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
fn list<T>(
    bytes: &[u8],
    at: usize,
    read: impl Fn(&[u8], usize) -> Option<(T, usize)>,
    mut keep: impl FnMut(T),
) -> Option<(usize, usize)> {
    let (mut at, mut count) = (at, 0);
    loop {
        let (one, end) = read(bytes, at)?;
        count += 1;
        keep(one);
        if ends_at(bytes, end) {
            return Some((count, end));
        }
        if bytes.get(end) != Some(&b',') || count == limits::LIST_MAX {
            return None;
        }
        at = run(bytes, end + 1, BLANK);
    }
}

/// The places of the values in a list, each of which is counted.
fn values<'h>(head: &'h Text, name: Name, list: &'h str, count: &'h mut usize) -> impl Iterator<Item = Result<Span, Rule>> {
    // Without a comma, as nearly everywhere, there is one value.
    scan::items(list, memchr::memchr(b',', list.as_bytes()).is_some()).map(move |value| {
        *count += 1;
        if *count > limits::LIST_MAX {
            return Err(Rule::TooLong);
        }
        Span::of(head, value).map_err(|_| Rule::Value(name))
    })
}

fn address(head: &Text, name: Name, value: &str) -> Result<AddrShape, Rule> {
    Span::of(head, value).and_then(|span| AddrShape::read(head, span)).map_err(|_| Rule::Value(name))
}

fn is_call_id(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| (0x21..0x7f).contains(&byte))
}
