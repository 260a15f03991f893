//! What can be wrong with a message, and what is to be done about it.

use std::fmt;
use std::net::SocketAddr;

use bytes::Bytes;
use thiserror::Error;

use super::builder::Builder;
use super::{Name, Text, Via};

/// A rule that a message, or a value of it, breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Error)]
pub enum Rule {
    /// Nothing but line ends: a keep-alive, not an error of anybody.
    #[error("nothing but line ends")]
    Empty,
    /// The first line is neither a request line nor a status line.
    #[error("the first line is neither a request nor a status line")]
    StartLine,
    /// The version is not SIP/2.0.
    #[error("the version is not SIP/2.0")]
    Version,
    /// The method is not a token, or too long.
    #[error("the method is not a token")]
    Method,
    /// The status is not 100 to 699.
    #[error("the status is not 100 to 699")]
    Status,
    /// There is no empty line after the headers.
    #[error("the headers do not end")]
    HeadEnd,
    /// A line does not end with CR LF, or has a CR or LF inside.
    #[error("a line does not end with CR LF")]
    LineEnd,
    /// A control character stands outside of an escape.
    #[error("a control character")]
    Control,
    /// A header has no colon, or its name is not a token.
    #[error("a header without a proper name")]
    HeaderName,
    /// A header that must be there is not.
    #[error("{} is missing", .0.text())]
    Missing(Name),
    /// A header that may be there once is there more than once.
    #[error("{} is there twice", .0.text())]
    Twice(Name),
    /// The value of a header does not follow its grammar.
    #[error("{} is malformed", .0.text())]
    Value(Name),
    /// The CSeq names another method than the request line.
    #[error("the method of CSeq is not that of the request line")]
    CSeqMethod,
    /// Content-Length says more than there is.
    #[error("the body is shorter than Content-Length")]
    BodyShort,
    /// A stream's message has no Content-Length.
    #[error("no Content-Length on a stream")]
    Unframed,
    /// A limit is exceeded: the whole message, its head, a header, their number.
    #[error("longer than the limit")]
    TooLong,
    /// A URI does not follow its grammar.
    #[error("a malformed URI")]
    Uri,
    /// The Request-URI has headers, or stands in angle brackets.
    #[error("a Request-URI with headers or angle brackets")]
    RequestUri,
    /// A host is neither a name nor an address.
    #[error("a malformed host")]
    Host,
    /// A port is not a number below 65,536.
    #[error("a malformed port")]
    Port,
    /// Parameters do not follow their grammar.
    #[error("malformed parameters")]
    Params,
    /// A name-addr does not follow its grammar.
    #[error("a malformed address")]
    NameAddr,
    /// A Via does not follow its grammar.
    #[error("a malformed Via")]
    Via,
    /// A number, token or text does not follow its grammar.
    #[error("a malformed value")]
    Malformed,
}

/// A message that is not let in, and what is to be done with it.
#[derive(Debug, Clone, Error)]
#[error("{rule}")]
pub struct Fault {
    /// The broken rule.
    pub rule: Rule,
    /// Where the refusal would go; none: the message is to be dropped in silence.
    refusal: Option<Box<Refusal>>,
}

/// What a refusal repeats of the request.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) method: Text,
    pub(crate) via: Via,
    /// Further Vias, and From, To, Call-ID, CSeq as far as they are there.
    pub(crate) repeated: Vec<(Name, Text)>,
}

impl Fault {
    /// A message that can only be dropped.
    pub(crate) fn silent(rule: Rule) -> Fault {
        Fault { rule, refusal: None }
    }

    pub(crate) fn refused(rule: Rule, refusal: Refusal) -> Fault {
        Fault { rule, refusal: Some(Box::new(refusal)) }
    }

    /// The status to refuse it with: 400, 505 or 513; none: it must be dropped.
    pub fn status(&self) -> Option<u16> {
        self.refusal.as_ref().map(|refusal| refusal.status)
    }

    /// The method of the refused request, as far as it could be read; empty otherwise.
    pub fn method(&self) -> &str {
        self.refusal.as_ref().map_or("", |refusal| &refusal.method)
    }

    /// The topmost Via of the refused request, for its way back.
    pub fn via(&self) -> Option<&Via> {
        self.refusal.as_ref().map(|refusal| &refusal.via)
    }

    /// The response that refuses a request which came from `source`, with `received` and `rport` filled in. None: nothing may be answered.
    pub fn response(&self, source: SocketAddr) -> Option<Bytes> {
        let refusal = self.refusal.as_deref()?;
        let phrase = match refusal.status {
            505 => "Version Not Supported".to_owned(),
            513 => "Message Too Large".to_owned(),
            _ => format!("Bad Request: {}", Capital(self.rule)),
        };
        let mut via = refusal.via.clone();
        via.stamp(source);
        let mut builder = Builder::response(refusal.status, &phrase).header(Name::Via, &via);
        for (name, value) in &refusal.repeated {
            builder = builder.header(*name, value);
        }
        Some(builder.build())
    }
}

struct Capital(Rule);

impl fmt::Display for Capital {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        let mut chars = text.chars();
        match chars.next() {
            Some(first) => write!(out, "{}{}", first.to_uppercase(), chars.as_str()),
            None => Ok(()),
        }
    }
}
