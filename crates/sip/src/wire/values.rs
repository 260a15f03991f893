//! Values of headers that have a shape of their own.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use super::{Method, NameAddr, Params, Rule, Text, Uri, limits, scan, serde_as_written};

/// A CSeq.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CSeq {
    /// Below 2^31.
    pub number: u32,
    /// The method of the request.
    pub method: Method,
}

impl CSeq {
    pub(crate) fn cut(whole: &Text, text: &str) -> Result<CSeq, Rule> {
        let (number, method) = scan::cut_at_blank(text).ok_or(Rule::Malformed)?;
        let method = scan::trim(method);
        let number =
            scan::number(number).filter(|number| *number <= limits::CSEQ_MAX).and_then(|number| u32::try_from(number).ok());
        if !scan::is_token(method) || method.len() > limits::METHOD_MAX {
            return Err(Rule::Malformed);
        }
        Ok(CSeq { number: number.ok_or(Rule::Malformed)?, method: Method::cut(whole, method) })
    }
}

impl fmt::Display for CSeq {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.number, self.method)
    }
}

/// A token with parameters behind it: what many headers are.
fn cut_token<'a>(whole: &Text, text: &'a str) -> Result<(&'a str, Params), Rule> {
    let (token, params) = text.split_once(';').map_or((text, None), |(token, params)| (token, Some(params)));
    let token = scan::trim(token);
    if !scan::is_token(token) {
        return Err(Rule::Malformed);
    }
    Ok((token, params.map_or(Ok(Params::default()), |params| Params::cut(whole, params))?))
}

/// A Content-Type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentType {
    /// `application` of `application/sdp`.
    pub kind: Text,
    /// `sdp` of `application/sdp`.
    pub subkind: Text,
    /// The parameters.
    pub params: Params,
}

impl ContentType {
    pub(crate) fn cut(whole: &Text, text: &str) -> Result<ContentType, Rule> {
        let (kind, rest) = text.split_once('/').ok_or(Rule::Malformed)?;
        let (subkind, params) = cut_token(whole, scan::trim(rest))?;
        let kind = scan::trim(kind);
        if !scan::is_token(kind) {
            return Err(Rule::Malformed);
        }
        Ok(ContentType { kind: whole.part(kind), subkind: whole.part(subkind), params })
    }

    /// Whether it is this type (`application/sdp`), whatever its parameters; types compare without case.
    pub fn is(&self, text: &str) -> bool {
        text.split_once('/')
            .is_some_and(|(kind, subkind)| self.kind.eq_ignore_ascii_case(kind) && self.subkind.eq_ignore_ascii_case(subkind))
    }
}

impl fmt::Display for ContentType {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}{}", self.kind, self.subkind, self.params)
    }
}

/// A Reason (RFC 3326): why a request was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// `SIP` or `Q.850`.
    pub protocol: Text,
    /// Its parameters.
    pub params: Params,
}

impl Reason {
    pub(crate) fn cut(whole: &Text, text: &str) -> Result<Reason, Rule> {
        let (protocol, params) = cut_token(whole, text)?;
        Ok(Reason { protocol: whole.part(protocol), params })
    }

    /// The status or cause.
    pub fn cause(&self) -> Option<u16> {
        self.params.value("cause")?.parse().ok()
    }

    /// For people.
    pub fn text(&self) -> Option<Cow<'_, str>> {
        self.params.text("text")
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}{}", self.protocol, self.params)
    }
}

/// A Refer-To (RFC 3515): whom to call, and the headers that its URI wants in that call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferTo(pub NameAddr);

impl ReferTo {
    pub(crate) fn cut(whole: &Text, text: &str) -> Result<ReferTo, Rule> {
        NameAddr::cut(whole, text).map(ReferTo)
    }

    /// Whom to call, without the embedded headers.
    pub fn target(&self) -> Uri {
        self.0.uri.without_headers()
    }

    /// The dialog that the call is to replace (RFC 3891), if its URI says so.
    pub fn replaces(&self) -> Option<Replaces> {
        self.0.uri.header("Replaces")?.parse().ok()
    }

    /// The method that its URI asks for; INVITE if none.
    pub fn method(&self) -> Method {
        self.0.uri.param("method").flatten().map_or(Method::Invite, Method::from)
    }
}

impl fmt::Display for ReferTo {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// A Replaces (RFC 3891): which dialog a new one takes the place of. Tags as the receiver sees them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Replaces {
    /// The Call-ID.
    pub call_id: Text,
    /// The receiver's own tag.
    pub to_tag: Text,
    /// The other end's tag.
    pub from_tag: Text,
    /// Whether it may only replace a dialog that is not confirmed yet.
    pub early_only: bool,
}

impl Replaces {
    pub(crate) fn cut(whole: &Text, text: &str) -> Result<Replaces, Rule> {
        let (call_id, params) = text.split_once(';').ok_or(Rule::Malformed)?;
        let call_id = scan::trim(call_id);
        let params = Params::cut(whole, params)?;
        let tag = |name| params.value(name).map(Text::from).ok_or(Rule::Malformed);
        if call_id.is_empty() || !call_id.bytes().all(|byte| (0x21..0x7f).contains(&byte)) {
            return Err(Rule::Malformed);
        }
        Ok(Replaces {
            call_id: whole.part(call_id),
            to_tag: tag("to-tag")?,
            from_tag: tag("from-tag")?,
            early_only: params.has("early-only"),
        })
    }
}

impl fmt::Display for Replaces {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let early = if self.early_only { ";early-only" } else { "" };
        write!(out, "{};to-tag={};from-tag={}{early}", self.call_id, self.to_tag, self.from_tag)
    }
}

/// A Retry-After.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryAfter {
    /// In so many seconds.
    pub seconds: u32,
    /// `duration` among them: for how long it can be reached then.
    pub params: Params,
}

impl RetryAfter {
    pub(crate) fn cut(whole: &Text, text: &str) -> Result<RetryAfter, Rule> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let rest = scan::trim(&text[digits..]);
        let rest = match rest.strip_prefix('(') {
            // A comment for people (RFC 3261 §20.33); one inside of another is too clever.
            Some(comment) => scan::trim(comment.split_once(')').ok_or(Rule::Malformed)?.1),
            None => rest,
        };
        let params = match rest.strip_prefix(';') {
            Some(params) => Params::cut(whole, params)?,
            None if rest.is_empty() => Params::default(),
            None => return Err(Rule::Malformed),
        };
        let seconds = scan::number(&text[..digits]).ok_or(Rule::Malformed)?;
        Ok(RetryAfter { seconds: u32::try_from(seconds).map_err(|_| Rule::Malformed)?, params })
    }
}

impl fmt::Display for RetryAfter {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}{}", self.seconds, self.params)
    }
}

/// A Subscription-State (RFC 6665 §8.2.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionState {
    /// `active`, `pending`, `terminated` …
    pub state: Text,
    /// `reason`, `expires`, `retry-after`.
    pub params: Params,
}

impl SubscriptionState {
    pub(crate) fn cut(whole: &Text, text: &str) -> Result<SubscriptionState, Rule> {
        let (state, params) = cut_token(whole, text)?;
        Ok(SubscriptionState { state: whole.part(state), params })
    }

    /// Whether no NOTIFY follows.
    pub fn is_terminated(&self) -> bool {
        self.state.eq_ignore_ascii_case("terminated")
    }
}

impl fmt::Display for SubscriptionState {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}{}", self.state, self.params)
    }
}

/// An Event (RFC 6665 §8.2.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The package: `refer`, `dialog`, `message-summary` …
    pub package: Text,
    /// `id` among them.
    pub params: Params,
}

impl Event {
    pub(crate) fn cut(whole: &Text, text: &str) -> Result<Event, Rule> {
        let (package, params) = cut_token(whole, text)?;
        Ok(Event { package: whole.part(package), params })
    }

    /// The id that tells subscriptions of one dialog apart.
    pub fn id(&self) -> Option<&str> {
        self.params.value("id")
    }
}

impl fmt::Display for Event {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}{}", self.package, self.params)
    }
}

macro_rules! read_from_text {
    ($($type:ty),*) => {$(
        impl FromStr for $type {
            type Err = Rule;

            fn from_str(text: &str) -> Result<Self, Rule> {
                let text = scan::one_line(text)?;
                <$type>::cut(&text, scan::trim(&text))
            }
        }
    )*};
}

read_from_text!(CSeq, ContentType, Reason, ReferTo, Replaces, RetryAfter, SubscriptionState, Event);
serde_as_written!(CSeq, ContentType, Reason, ReferTo, Replaces, RetryAfter, SubscriptionState, Event);
