//! A message that has been read.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::parse::parse_datagram;
use super::scan;
use super::shape::{Span, UriShape};
use super::typed::Typed;
use super::values::{CSeq, ContentType, Event, Reason, ReferTo, Replaces, RetryAfter, SubscriptionState};
use super::{AddrRef, Fault, Method, Name, NameAddr, Sought, Text, UriRef, Via, ViaRef};

/// A request or response. Cheap to clone; it keeps the bytes it was read from.
#[derive(Clone)]
pub struct Message(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    /// The bytes from the start line to the end of the body.
    pub(super) raw: Bytes,
    /// The head: as it came, but continuation lines are joined. All places are in it.
    pub(super) head: Text,
    pub(super) lines: Vec<Line>,
    /// Whether lines can be repeated as they came: nothing in them could end a line or needs to be neutralised.
    pub(super) is_plain: bool,
    pub(super) start: Start,
    pub(super) typed: Typed,
    pub(super) body: Bytes,
}

/// A set of names.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Names([u64; 2]);

impl Names {
    #[inline]
    pub(crate) fn add(&mut self, name: Name) {
        self.0[usize::from(name as u8 >> 6 & 1)] |= 1 << (name as u8 & 63);
    }

    #[inline]
    pub(crate) fn has(self, name: Name) -> bool {
        self.0[usize::from(name as u8 >> 6 & 1)] & 1 << (name as u8 & 63) != 0
    }
}

const _: () = assert!((Name::Other as u8) < 128, "a name has a bit of its own");

/// The first line.
#[derive(Clone)]
pub(super) enum Start {
    Request { method: Method, uri: UriShape },
    Response { status: u16, phrase: Span },
}

/// Where a header stands in the head.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line {
    pub(crate) name: Name,
    /// Whether it is written as we write lines, up to its value: a known name in its long form, a colon, a space.
    pub(super) is_canonical: bool,
    /// Whether its value was seen to be a single one.
    pub(super) is_one: bool,
    pub(crate) name_start: u16,
    pub(crate) name_end: u16,
    pub(crate) value_start: u16,
    pub(crate) value_end: u16,
}

impl Line {
    pub(crate) fn name_in(self, head: &str) -> &str {
        head.get(self.name_start.into()..self.name_end.into()).unwrap_or_default()
    }

    pub(crate) fn value_in(self, head: &str) -> &str {
        head.get(self.value_start.into()..self.value_end.into()).unwrap_or_default()
    }

    #[inline]
    fn is(self, head: &str, sought: Sought<'_>) -> bool {
        self.name == sought.name && (sought.name != Name::Other || self.name_in(head).eq_ignore_ascii_case(sought.text))
    }
}

impl Message {
    /// Reads one datagram; see [`parse_datagram`].
    pub fn parse(bytes: Bytes) -> Result<Message, Fault> {
        parse_datagram(bytes)
    }

    /// The bytes it came as, from the start line to the end of the body.
    pub fn raw(&self) -> &Bytes {
        &self.0.raw
    }

    /// Whether it is a request.
    pub fn is_request(&self) -> bool {
        matches!(self.0.start, Start::Request { .. })
    }

    /// The method: of the request, or of the request that it answers.
    pub fn method(&self) -> &str {
        self.0.typed.cseq.method.as_str()
    }

    /// The status of a response; 0 for a request.
    pub fn status(&self) -> u16 {
        match &self.0.start {
            Start::Request { .. } => 0,
            Start::Response { status, .. } => *status,
        }
    }

    /// The reason phrase of a response; empty for a request.
    pub fn phrase(&self) -> &str {
        match &self.0.start {
            Start::Request { .. } => "",
            Start::Response { phrase, .. } => phrase.of_text(&self.0.head),
        }
    }

    /// The Request-URI; none for a response.
    pub fn request_uri(&self) -> Option<UriRef<'_>> {
        match &self.0.start {
            Start::Request { uri, .. } => Some(UriRef::new(&self.0.head, uri)),
            Start::Response { .. } => None,
        }
    }

    /// The topmost Via.
    pub fn via(&self) -> ViaRef<'_> {
        ViaRef::new(&self.0.head, &self.0.typed.via)
    }

    /// All Vias, topmost first.
    pub fn vias(&self) -> Vec<Via> {
        self.typed(Name::Via, Via::cut)
    }

    /// From.
    pub fn from(&self) -> AddrRef<'_> {
        AddrRef::new(&self.0.head, &self.0.typed.from)
    }

    /// To.
    pub fn to(&self) -> AddrRef<'_> {
        AddrRef::new(&self.0.head, &self.0.typed.to)
    }

    /// The Call-ID.
    pub fn call_id(&self) -> &str {
        self.0.typed.call_id.of_text(&self.0.head)
    }

    /// The CSeq.
    pub fn cseq(&self) -> &CSeq {
        &self.0.typed.cseq
    }

    /// How many more elements it may pass; none if it does not say.
    pub fn max_forwards(&self) -> Option<u8> {
        self.0.typed.max_forwards
    }

    /// The first Contact; none too if it is `*`.
    pub fn contact(&self) -> Option<AddrRef<'_>> {
        self.0.typed.contact().map(|contact| AddrRef::new(&self.0.head, contact))
    }

    /// All Contacts; `*` is not among them.
    pub fn contacts(&self) -> Vec<NameAddr> {
        self.typed(Name::Contact, NameAddr::cut)
    }

    /// The Routes, nearest first.
    pub fn routes(&self) -> impl ExactSizeIterator<Item = AddrRef<'_>> {
        self.0.typed.routes.iter().map(|route| AddrRef::new(&self.0.head, route))
    }

    /// The Record-Routes, in the order of the message.
    pub fn record_routes(&self) -> Vec<NameAddr> {
        self.typed(Name::RecordRoute, NameAddr::cut)
    }

    /// The Content-Type.
    pub fn content_type(&self) -> Option<ContentType> {
        self.one(Name::ContentType, ContentType::cut)
    }

    /// Whether Supported, Require or another list of tokens holds this one; tokens compare without case.
    pub fn has_token(&self, name: Name, token: &str) -> bool {
        self.headers(name).any(|known| known.eq_ignore_ascii_case(token))
    }

    /// The Reasons (RFC 3326); malformed ones are left out.
    pub fn reasons(&self) -> Vec<Reason> {
        self.typed(Name::Reason, Reason::cut)
    }

    /// The Refer-To (RFC 3515).
    pub fn refer_to(&self) -> Option<ReferTo> {
        self.one(Name::ReferTo, ReferTo::cut)
    }

    /// The Referred-By (RFC 3892).
    pub fn referred_by(&self) -> Option<NameAddr> {
        self.one(Name::ReferredBy, NameAddr::cut)
    }

    /// The Replaces (RFC 3891).
    pub fn replaces(&self) -> Option<Replaces> {
        self.one(Name::Replaces, Replaces::cut)
    }

    /// The Retry-After.
    pub fn retry_after(&self) -> Option<RetryAfter> {
        self.one(Name::RetryAfter, RetryAfter::cut)
    }

    /// The Subscription-State (RFC 6665).
    pub fn subscription_state(&self) -> Option<SubscriptionState> {
        self.one(Name::SubscriptionState, SubscriptionState::cut)
    }

    /// The Event (RFC 6665).
    pub fn event(&self) -> Option<Event> {
        self.one(Name::Event, Event::cut)
    }

    /// Expires, in seconds. RFC 3261 §20.19 ends it at 2^32-1.
    pub fn expires(&self) -> Option<u32> {
        let text = self.header(Name::Expires)?;
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse().unwrap_or(u32::MAX))
    }

    /// The body.
    pub fn body(&self) -> &Bytes {
        &self.0.body
    }

    /// The value of the first header of this name (a [`Name`] or any text), white space at its ends taken off.
    pub fn header<'a>(&self, name: impl Into<Sought<'a>>) -> Option<&str> {
        let sought = name.into();
        let head = self.0.head.as_str();
        self.named(sought.name).iter().find(|line| line.is(head, sought)).map(|line| line.value_in(head))
    }

    /// The values of all headers of this name, in order. Where a header is a list, its lines are cut at their commas; empty values are left out.
    pub fn headers<'m, 'a: 'm>(&'m self, name: impl Into<Sought<'a>>) -> impl Iterator<Item = &'m str> {
        let sought = name.into();
        let head = self.0.head.as_str();
        let lines = self.named(sought.name).iter().filter(move |line| line.is(head, sought));
        lines.flat_map(move |line| scan::items(line.value_in(head), line.name.is_list())).filter(|value| !value.is_empty())
    }

    /// The lines of a known name.
    pub(super) fn lines(&self, name: Name) -> impl Iterator<Item = &Line> {
        self.named(name).iter().filter(move |line| line.name == name)
    }

    /// All lines, if one of this name is among them.
    fn named(&self, name: Name) -> &[Line] {
        if self.0.typed.names.has(name) { &self.0.lines } else { &[] }
    }

    /// The value of a line.
    pub(super) fn value_of(&self, line: &Line) -> &str {
        line.value_in(&self.0.head)
    }

    /// The values of a line, as [`Message::headers`] cuts it.
    pub(super) fn values_of(&self, line: &Line) -> impl Iterator<Item = &str> {
        scan::items(self.value_of(line), line.name.is_list()).filter(|value| !value.is_empty())
    }

    /// Every header, in order, as name (as written) and value.
    pub fn all_headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let head = self.0.head.as_str();
        self.0.lines.iter().map(move |line| (line.name_in(head), line.value_in(head)))
    }

    fn typed<T>(&self, name: Name, cut: impl Fn(&Text, &str) -> Result<T, super::Rule>) -> Vec<T> {
        self.headers(name).filter_map(|value| cut(&self.0.head, value).ok()).collect()
    }

    fn one<T>(&self, name: Name, cut: impl Fn(&Text, &str) -> Result<T, super::Rule>) -> Option<T> {
        self.header(name).and_then(|value| cut(&self.0.head, value).ok())
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self.0.head.split("\r\n").next().unwrap_or_default();
        write!(out, "Message({first:?}, {} headers, {} bytes)", self.0.lines.len(), self.0.raw.len())
    }
}

impl PartialEq for Message {
    fn eq(&self, other: &Message) -> bool {
        self.0.raw == other.0.raw
    }
}

impl Eq for Message {}

impl serde::Serialize for Message {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.raw())
    }
}

impl<'de> serde::Deserialize<'de> for Message {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = <Bytes as serde::Deserialize>::deserialize(deserializer)?;
        Message::parse(bytes).map_err(|fault| serde::de::Error::custom(format!("{fault:?}")))
    }
}
