//! Parameters of headers: `;name=value;flag`.

use std::borrow::Cow;
use std::fmt;

use super::{Rule, Text, quick, scan};

/// The parameters behind the value of a header, in their order, as written.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Params {
    /// Without the first semicolon; empty if there are none.
    text: Text,
}

impl Params {
    /// Reads `text`, a part of `whole`, which begins behind the first semicolon.
    pub(crate) fn cut(whole: &Text, text: &str) -> Result<Params, Rule> {
        if quick::are_params(text.as_bytes()) {
            return Ok(Params::checked(whole, text));
        }
        let text = scan::trim(text);
        let mut rest = Some(text);
        while let Some(all) = rest {
            let (param, after) = next(all);
            let (name, value) = split(param);
            let is_value = value.is_none_or(|value| {
                scan::is_value(value) || (value.starts_with('"') && scan::quoted_length(value) == Some(value.len()))
            });
            if !scan::is_token(name) || !is_value {
                return Err(Rule::Params);
            }
            rest = after;
        }
        Ok(Params { text: whole.part(text) })
    }

    /// Those in `text`, a part of `whole`, which has been read.
    pub(super) fn checked(whole: &Text, text: &str) -> Params {
        Params { text: whole.part(text) }
    }

    /// As written, without the first semicolon.
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn detached(&self) -> Params {
        Params { text: self.text.detached() }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// All, as written: name, and value with its quotes if it has any.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        all(&self.text)
    }

    /// The parameter's value: `Some(None)` if it is there without one, `None` if it is not there. Names compare without case.
    pub fn find(&self, name: &str) -> Option<Option<&str>> {
        find(&self.text, name)
    }

    /// The parameter's value as written; none if it has none or is not there.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.find(name).flatten()
    }

    /// The parameter's value without quotes and backslashes.
    pub fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        self.value(name).map(scan::unquote)
    }

    /// Whether the parameter is there, with or without a value.
    pub fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// Sets a parameter, in its place if it is there, else as the last one. A value that is no plain word is quoted; a name that is no token
    /// changes nothing.
    pub fn set(&mut self, name: &str, value: Option<&str>) {
        if !scan::is_token(name) {
            return;
        }
        let mut all = String::with_capacity(self.text.len() + name.len() + value.map_or(0, str::len) + 4);
        let mut is_set = false;
        for (known, standing) in self.iter() {
            if !known.eq_ignore_ascii_case(name) {
                push(&mut all, known, standing);
            } else if !is_set {
                is_set = true;
                push_safely(&mut all, name, value);
            }
        }
        if !is_set {
            push_safely(&mut all, name, value);
        }
        self.text = Text::from(all);
    }

    /// Takes a parameter out.
    pub fn remove(&mut self, name: &str) {
        if self.has(name) {
            let mut all = String::with_capacity(self.text.len());
            let keep = self.iter().filter(|(known, _)| !known.eq_ignore_ascii_case(name));
            keep.for_each(|(known, value)| push(&mut all, known, value));
            self.text = Text::from(all);
        }
    }
}

/// All parameters of `text`, as written.
fn all(text: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    let mut rest = Some(text).filter(|text| !text.is_empty());
    std::iter::from_fn(move || {
        let (param, after) = next(rest?);
        rest = after;
        Some(split(param))
    })
}

/// The value of a parameter in `text`: `Some(None)` if it is there without one.
#[inline]
pub(super) fn find<'a>(text: &'a str, name: &str) -> Option<Option<&'a str>> {
    match quick::find(text, name) {
        quick::Found::Yes(value) => Some(value),
        quick::Found::No => None,
        quick::Found::Unclear => all(text).find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value),
    }
}

/// Writes a parameter behind others as it stands.
fn push(all: &mut String, name: &str, value: Option<&str>) {
    if !all.is_empty() {
        all.push(';');
    }
    all.push_str(name);
    if let Some(value) = value {
        all.push('=');
        all.push_str(value);
    }
}

/// The same for a value that is quoted where it is no plain word.
fn push_safely(all: &mut String, name: &str, value: Option<&str>) {
    match value {
        Some(value) if !scan::is_value(value) => push(all, name, Some(&scan::quote(value))),
        value => push(all, name, value),
    }
}

/// The first parameter, and what follows its semicolon.
fn next(text: &str) -> (&str, Option<&str>) {
    // Where nothing is quoted, as nearly everywhere, the first semicolon is the end.
    match scan::end_of_param(text) {
        Some(end) => (&text[..end], Some(&text[end + 1..])),
        None => (text, None),
    }
}

fn split(param: &str) -> (&str, Option<&str>) {
    match scan::cut(param, b'=') {
        Some((name, value)) => (scan::trim(name), Some(scan::trim(value))),
        None => (scan::trim(param), None),
    }
}

impl fmt::Display for Params {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().try_for_each(|(name, value)| match value {
            Some(value) => write!(out, ";{name}={value}"),
            None => write!(out, ";{name}"),
        })
    }
}
