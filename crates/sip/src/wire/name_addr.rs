//! Addresses with names: From, To, Contact, Route, Refer-To.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use super::shape::AddrShape;
use super::{Params, Rule, Text, Uri, quick, scan, serde_as_written};

/// A URI with a display name before and parameters behind it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NameAddr {
    /// As written, with its quotes if it has any.
    display: Text,
    /// The URI.
    pub uri: Uri,
    /// The parameters of the header, not those of the URI.
    pub params: Params,
}

impl NameAddr {
    /// An address without parameters; control characters in the name become spaces, an empty name is none.
    pub fn new(display: Option<&str>, uri: Uri) -> NameAddr {
        let display =
            display.filter(|display| !display.is_empty()).map_or_else(Text::default, |display| Text::from(scan::quote(display)));
        NameAddr { display, uri, params: Params::default() }
    }

    /// Reads `text`, a part of `whole`: `"Name" <uri>;params`, `Name <uri>;params` or `uri;params`.
    pub(crate) fn cut(whole: &Text, text: &str) -> Result<NameAddr, Rule> {
        let mut read = AddrShape::NONE;
        if quick::name_addr(text.as_bytes(), 0, &mut read) == Some(text.len()) {
            return Ok(read.owned(whole, text));
        }
        let text = scan::trim(text);
        let open = if text.starts_with('"') {
            let quoted = scan::quoted_length(text).ok_or(Rule::NameAddr)?;
            let between = text[quoted..].len() - scan::trim_start(&text[quoted..]).len();
            Some(quoted + between).filter(|open| text.as_bytes().get(*open) == Some(&b'<'))
        } else {
            scan::find(text, b'<')
        };
        match open {
            Some(open) => NameAddr::cut_bracketed(whole, text, open),
            None if text.starts_with('"') => Err(Rule::NameAddr),
            None => NameAddr::cut_bare(whole, text),
        }
    }

    /// An address of parts that have been read; `display` with its quotes.
    pub(super) fn of_parts(display: Text, uri: Uri, params: Params) -> NameAddr {
        NameAddr { display, uri, params }
    }

    fn cut_bracketed(whole: &Text, text: &str, open: usize) -> Result<NameAddr, Rule> {
        let display = scan::trim(&text[..open]);
        // RFC 3261 §25.1: an unquoted name is a row of tokens. Letters beyond ASCII are not, but are what people are called.
        let is_name = |word: &str| word.bytes().all(|byte| !byte.is_ascii() || scan::is_token_byte(byte));
        if !display.is_empty() && !display.starts_with('"') && !display.split([' ', '\t']).all(is_name) {
            return Err(Rule::NameAddr);
        }
        let close = open + scan::find(&text[open..], b'>').ok_or(Rule::NameAddr)?;
        let uri = Uri::cut(whole, &text[open + 1..close])?;
        let rest = scan::trim(&text[close + 1..]);
        let params = match rest.strip_prefix(';') {
            Some(params) => Params::cut(whole, params)?,
            None if rest.is_empty() => Params::default(),
            None => return Err(Rule::NameAddr),
        };
        Ok(NameAddr { display: whole.part(display), uri, params })
    }

    /// RFC 3261 §20: without angle brackets, parameters are the header's, and the URI may hold neither comma nor question mark.
    fn cut_bare(whole: &Text, text: &str) -> Result<NameAddr, Rule> {
        let (uri, params) = scan::cut(text, b';').unwrap_or((text, ""));
        let uri = scan::trim(uri);
        if uri.bytes().any(|byte| matches!(byte, b',' | b'?')) {
            return Err(Rule::NameAddr);
        }
        let params = if uri.len() == text.len() || !text.contains(';') { Params::default() } else { Params::cut(whole, params)? };
        Ok(NameAddr { display: Text::default(), uri: Uri::cut(whole, uri)?, params })
    }

    /// The display name with its quotes, if it has any.
    pub(super) fn display_as_written(&self) -> &str {
        &self.display
    }

    /// The display name without quotes and backslashes; empty if there is none.
    pub fn display(&self) -> Cow<'_, str> {
        scan::unquote(&self.display)
    }

    /// The same with another display name; empty: none.
    #[must_use]
    pub fn with_display(self, display: &str) -> NameAddr {
        NameAddr { params: self.params, ..NameAddr::new(Some(display), self.uri) }
    }

    /// The tag (RFC 3261 §19.3).
    pub fn tag(&self) -> Option<&str> {
        self.params.value("tag")
    }

    /// The same with this tag.
    #[must_use]
    pub fn with_tag(mut self, tag: &str) -> NameAddr {
        self.params.set("tag", Some(tag));
        self
    }

    /// The same without a tag.
    #[must_use]
    pub fn without_tag(mut self) -> NameAddr {
        self.params.remove("tag");
        self
    }

    /// A copy that keeps no message alive.
    pub fn detached(&self) -> NameAddr {
        NameAddr { display: self.display.detached(), uri: self.uri.detached(), params: self.params.detached() }
    }
}

impl From<Uri> for NameAddr {
    fn from(uri: Uri) -> NameAddr {
        NameAddr::new(None, uri)
    }
}

impl FromStr for NameAddr {
    type Err = Rule;

    fn from_str(text: &str) -> Result<NameAddr, Rule> {
        let text = scan::one_line(text)?;
        NameAddr::cut(&text, &text)
    }
}

impl fmt::Display for NameAddr {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.display.is_empty() {
            write!(out, "{} ", self.display)?;
        }
        write!(out, "<{}>{}", self.uri, self.params)
    }
}

serde_as_written!(NameAddr);
