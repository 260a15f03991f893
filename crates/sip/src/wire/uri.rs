//! URIs: RFC 3261 §19.1, and any other scheme as it is.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::host::split_port;
use super::shape::UriShape;
use super::{Host, HostPort, Rule, Text, limits, quick, scan, serde_as_written, tel::Tel};

/// What kind of URI it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// `sip:`
    Sip,
    /// `sips:`
    Sips,
    /// `tel:` (RFC 3966)
    Tel,
    /// Any other; nothing of it is understood but its text.
    Other,
}

/// A URI, as written. `==` compares the texts; [`Uri::is_same`] compares by the rules of RFC 3261 §19.1.4.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uri {
    pub(super) text: Text,
    pub(super) scheme: Scheme,
    pub(super) scheme_end: u16,
    /// Behind the `@`; equal to `scheme_end + 1` where there is none. A tel or other URI has everything in `host_start..host_end`.
    pub(super) host_start: u16,
    /// Behind host and port.
    pub(super) host_end: u16,
    /// Behind the parameters.
    pub(super) params_end: u16,
    pub(super) host: Option<Host>,
    pub(super) port: Option<u16>,
}

impl Uri {
    /// Reads `text`, a part of `whole`.
    pub(crate) fn cut(whole: &Text, text: &str) -> Result<Uri, Rule> {
        let mut read = UriShape::NONE;
        if quick::uri(text.as_bytes(), 0, &mut read) == Some(text.len()) {
            return Ok(read.owned(whole, text));
        }
        if text.len() > limits::URI_MAX || !scan::is_visible(text) {
            return Err(Rule::Uri);
        }
        let colon = scan::find(text, b':').ok_or(Rule::Uri)?;
        match &text[..colon] {
            "sip" => Uri::cut_sip(whole, text, Scheme::Sip, colon),
            "sips" => Uri::cut_sip(whole, text, Scheme::Sips, colon),
            scheme if scheme.eq_ignore_ascii_case("sip") => Uri::cut_sip(whole, text, Scheme::Sip, colon),
            scheme if scheme.eq_ignore_ascii_case("sips") => Uri::cut_sip(whole, text, Scheme::Sips, colon),
            scheme if scheme.eq_ignore_ascii_case("tel") => {
                let end = text.find(';').unwrap_or(text.len());
                Tel::check(&text[colon + 1..])?;
                Uri::opaque(whole, text, Scheme::Tel, colon, end)
            }
            scheme => {
                let is_scheme = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
                let first = scheme.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic());
                if !first || !scheme.bytes().all(is_scheme) || colon + 1 == text.len() {
                    return Err(Rule::Uri);
                }
                Uri::opaque(whole, text, Scheme::Other, colon, text.len())
            }
        }
    }

    fn opaque(whole: &Text, text: &str, scheme: Scheme, colon: usize, end: usize) -> Result<Uri, Rule> {
        Ok(Uri {
            text: whole.part(text),
            scheme,
            scheme_end: short(colon)?,
            host_start: short(colon + 1)?,
            host_end: short(end)?,
            params_end: short(text.len())?,
            host: None,
            port: None,
        })
    }

    fn cut_sip(whole: &Text, text: &str, scheme: Scheme, colon: usize) -> Result<Uri, Rule> {
        let bytes = text.as_bytes();
        // An unescaped `@` cannot stand in user, host or parameters; careless peers leave it so in embedded headers.
        let host_start = match scan::find(&text[colon + 1..], b'@') {
            Some(at) if !is_in_headers_without_user(&text[colon + 1..colon + 1 + at]) => {
                check_user(&text[colon + 1..colon + 1 + at])?;
                colon + at + 2
            }
            _ => colon + 1,
        };
        let host_end = bytes[host_start..].iter().position(|byte| matches!(byte, b';' | b'?'));
        let host_end = host_end.map_or(text.len(), |at| host_start + at);
        let params_end = scan::find(&text[host_end..], b'?').map_or(text.len(), |at| host_end + at);
        let (host, port) = split_port(&text[host_start..host_end])?;
        let host = Host::cut(whole, host)?;
        if host_end < params_end && !text[host_end + 1..params_end].split(';').all(is_param) {
            return Err(Rule::Uri);
        }
        if params_end < text.len() && !text[params_end + 1..].split('&').all(is_header) {
            return Err(Rule::Uri);
        }
        Ok(Uri {
            text: whole.part(text),
            scheme,
            scheme_end: short(colon)?,
            host_start: short(host_start)?,
            host_end: short(host_end)?,
            params_end: short(params_end)?,
            host: Some(host),
            port,
        })
    }

    /// A SIP URI of its parts; `user` is escaped as needed, empty for none.
    pub fn sip(user: &str, at: &HostPort) -> Uri {
        let user = escape_user(user);
        let text = if user.is_empty() { format!("sip:{at}") } else { format!("sip:{user}@{at}") };
        let host_end = text.len();
        let host_start = host_end - at.to_string().len();
        let short = |number: usize| u16::try_from(number).unwrap_or(u16::MAX);
        Uri {
            scheme: Scheme::Sip,
            scheme_end: 3,
            host_start: short(host_start),
            host_end: short(host_end),
            params_end: short(host_end),
            text: Text::from(text),
            host: Some(at.host.clone()),
            port: at.port,
        }
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What kind it is.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Whether it is `sip:` or `sips:`.
    pub fn is_sip(&self) -> bool {
        matches!(self.scheme, Scheme::Sip | Scheme::Sips)
    }

    /// The scheme as written, without the colon.
    pub fn scheme_text(&self) -> &str {
        &self.text[..self.scheme_end.into()]
    }

    /// The user as written, without password; for `tel:` the number; none if there is none.
    pub fn user(&self) -> Option<&str> {
        match self.scheme {
            Scheme::Sip | Scheme::Sips => {
                let user = self.user_info()?;
                Some(scan::cut(user, b':').map_or(user, |(user, _)| user))
            }
            Scheme::Tel => self.text.get(self.host_start.into()..self.host_end.into()),
            Scheme::Other => None,
        }
    }

    /// The user with its escapes taken out.
    pub fn user_plain(&self) -> Option<Cow<'_, str>> {
        self.user().map(scan::unescape)
    }

    /// The password as written.
    pub fn password(&self) -> Option<&str> {
        self.user_info()?.split_once(':').map(|(_, password)| password)
    }

    /// What stands before the `@`, with the password.
    fn user_info(&self) -> Option<&str> {
        let (start, end) = (usize::from(self.scheme_end) + 1, usize::from(self.host_start));
        self.text.get(start..end.checked_sub(1)?).filter(|_| end > start)
    }

    /// The host of a `sip:` or `sips:` URI.
    pub fn host(&self) -> Option<&Host> {
        self.host.as_ref()
    }

    /// The port, if it is written.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Host and port of a `sip:` or `sips:` URI.
    pub fn host_port(&self) -> Option<HostPort> {
        self.host.clone().map(|host| HostPort { host, port: self.port })
    }

    /// The address of the host, if it is one.
    pub fn ip(&self) -> Option<IpAddr> {
        self.host.as_ref().and_then(Host::ip)
    }

    /// The parameters, as written.
    pub fn params(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.params_text().split(';').skip(1).map(|param| match param.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (param, None),
        })
    }

    fn params_text(&self) -> &str {
        &self.text[self.host_end.into()..self.params_end.into()]
    }

    /// A parameter's value: `Some(None)` if it is there without one, `None` if it is not there.
    pub fn param(&self, name: &str) -> Option<Option<&str>> {
        self.params().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Whether it has `lr`: a loose router (RFC 3261 §16.12).
    pub fn is_loose(&self) -> bool {
        self.param("lr").is_some()
    }

    /// The headers embedded behind `?`, escapes taken out.
    pub fn headers(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        let pairs = self.headers_text().split('&').filter(|pair| !pair.is_empty());
        pairs
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(name, value)| (scan::unescape(name), scan::unescape(value)))
    }

    /// The headers embedded behind `?`, each as name and value of its own, escapes taken out.
    pub fn embedded_headers(&self) -> Vec<(String, String)> {
        self.headers().map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
    }

    /// The embedded header of this name, escapes taken out.
    pub fn header(&self, name: &str) -> Option<Cow<'_, str>> {
        self.headers().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    fn headers_text(&self) -> &str {
        self.text.get(usize::from(self.params_end) + 1..).unwrap_or_default()
    }

    /// Whether headers are embedded.
    pub fn has_headers(&self) -> bool {
        usize::from(self.params_end) < self.text.len()
    }

    /// The same without embedded headers.
    pub fn without_headers(&self) -> Uri {
        Uri { text: self.text.part(&self.text[..self.params_end.into()]), ..self.clone() }
    }

    /// The same with a parameter, which replaces one of the same name; escaped as needed. A name that is no token changes nothing.
    #[must_use]
    pub fn with_param(&self, name: &str, value: Option<&str>) -> Uri {
        let name = escape_param(name);
        let mut params: String = self.params_but(&name);
        if !name.is_empty() {
            params.push(';');
            params.push_str(&name);
        }
        if let Some(value) = value {
            params.push('=');
            params.push_str(&escape_param(value));
        }
        self.with_params_text(&params)
    }

    /// The same without a parameter.
    #[must_use]
    pub fn without_param(&self, name: &str) -> Uri {
        self.with_params_text(&self.params_but(name))
    }

    /// The same with an embedded header more, escaped as needed.
    #[must_use]
    pub fn with_header(&self, name: &str, value: &str) -> Uri {
        let separator = if self.has_headers() { '&' } else { '?' };
        let text = format!("{}{separator}{}={}", self.text, escape_header(name), escape_header(value));
        text.parse().unwrap_or_else(|_: Rule| self.clone())
    }

    fn params_but(&self, name: &str) -> String {
        let mut out = String::new();
        for param in self.params_text().split(';').skip(1) {
            if !param.split('=').next().unwrap_or_default().eq_ignore_ascii_case(name) {
                out.push(';');
                out.push_str(param);
            }
        }
        out
    }

    fn with_params_text(&self, params: &str) -> Uri {
        let text = format!("{}{params}{}", &self.text[..self.host_end.into()], &self.text[self.params_end.into()..]);
        // What was read before and only got escaped text added can be read again, unless it has grown beyond its limit.
        text.parse().unwrap_or_else(|_: Rule| self.clone())
    }

    /// The number of a `tel:` URI, or of a SIP URI with `user=phone` or a user that looks like a number.
    pub fn tel(&self) -> Option<Tel> {
        match self.scheme {
            Scheme::Tel => Tel::read(self.user()?, self.param("phone-context").flatten()),
            Scheme::Sip | Scheme::Sips => {
                let user = self.user_plain()?;
                let number = user.split(';').next().unwrap_or_default();
                Tel::read(number, user.split(';').find_map(|param| param.strip_prefix("phone-context=")))
            }
            Scheme::Other => None,
        }
    }

    /// Whether both mean the same by RFC 3261 §19.1.4 (which is not transitive); `tel:` by RFC 3966 §4; others by their text.
    pub fn is_same(&self, other: &Uri) -> bool {
        if self.scheme != other.scheme {
            return false;
        }
        match self.scheme {
            Scheme::Other => self.text == other.text,
            Scheme::Tel => self.tel() == other.tel() && tel_params_agree(self, other) && tel_params_agree(other, self),
            Scheme::Sip | Scheme::Sips => self.is_same_sip(other),
        }
    }

    fn is_same_sip(&self, other: &Uri) -> bool {
        let host = matches!((&self.host, &other.host), (Some(one), Some(two)) if one.is_same(two));
        let user = match (self.user_info(), other.user_info()) {
            (Some(one), Some(two)) => scan::unescape(one) == scan::unescape(two),
            (one, two) => one.is_none() && two.is_none(),
        };
        // These count even where only one side has them; any other counts only where both have it.
        let counts =
            |name: &str| ["user", "ttl", "method", "maddr", "transport"].iter().any(|known| known.eq_ignore_ascii_case(name));
        host && user
            && self.port == other.port
            && params_agree(self, other, counts)
            && params_agree(other, self, counts)
            && self.headers_are_those_of(other)
    }

    fn headers_are_those_of(&self, other: &Uri) -> bool {
        let sorted = |uri: &Uri| {
            let mut all: Vec<_> = uri.headers().map(|(name, value)| (name.to_ascii_lowercase(), value.into_owned())).collect();
            all.sort();
            all
        };
        sorted(self) == sorted(other)
    }

    /// A copy that keeps no message alive.
    pub fn detached(&self) -> Uri {
        let host = match &self.host {
            Some(Host::Name(name)) => Some(Host::Name(name.detached())),
            host => host.clone(),
        };
        Uri { text: self.text.detached(), host, ..self.clone() }
    }
}

/// Every parameter counts (RFC 3966 §4); the context is a part of the number.
fn tel_params_agree(one: &Uri, two: &Uri) -> bool {
    params_agree(&one.without_param("phone-context"), &two.without_param("phone-context"), |_| true)
}

/// A parameter that is written more than once, which RFC 3261 §19.1.1 forbids, has all of these values in their order: so each URI is the same as
/// itself.
fn params_agree(one: &Uri, two: &Uri, counts: impl Fn(&str) -> bool) -> bool {
    one.params().all(|(name, _)| match two.param(name) {
        Some(_) => param_values(one, name).eq(param_values(two, name)),
        None => !counts(name),
    })
}

fn param_values<'u>(uri: &'u Uri, name: &'u str) -> impl Iterator<Item = Option<String>> + 'u {
    let named = uri.params().filter(move |(known, _)| known.eq_ignore_ascii_case(name));
    named.map(|(_, value)| value.map(|value| scan::unescape(value).to_ascii_lowercase()))
}

/// Whether what stands before the first `@` is already a host with headers: `host?Replaces=a` of `sip:host?Replaces=a@b`.
fn is_in_headers_without_user(text: &str) -> bool {
    scan::cut(text, b'?').is_some_and(|(before, after)| {
        let host = before.split(';').next().unwrap_or_default();
        let is_host = split_port(host)
            .is_ok_and(|(host, _)| host.contains(['.', '[']) && (host.starts_with('[') || host.bytes().all(scan::is_host_byte)));
        after.contains('=') && is_host
    })
}

fn check_user(text: &str) -> Result<(), Rule> {
    let (user, password) = scan::cut(text, b':').unwrap_or((text, ""));
    if user.is_empty() || !scan::is_user(user) || !scan::is_password(password) {
        return Err(Rule::Uri);
    }
    Ok(())
}

fn is_param(param: &str) -> bool {
    let (name, value) = scan::cut(param, b'=').unwrap_or((param, "-"));
    !name.is_empty() && !value.is_empty() && scan::is_uri_param(name) && scan::is_uri_param(value)
}

fn is_header(header: &str) -> bool {
    let (name, value) = header.split_once('=').unwrap_or((header, ""));
    !name.is_empty() && scan::escapes_are_whole(name) && scan::escapes_are_whole(value)
}

fn escape_user(text: &str) -> String {
    scan::escape(text, |byte| byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/".contains(&byte))
}

fn escape_param(text: &str) -> String {
    scan::escape(text, |byte| byte.is_ascii_alphanumeric() || b"-_.!~*'()[]/:&+$".contains(&byte))
}

fn escape_header(text: &str) -> String {
    scan::escape(text, |byte| byte.is_ascii_alphanumeric() || b"-_.!~*'()[]/?:+$".contains(&byte))
}

fn short(number: usize) -> Result<u16, Rule> {
    u16::try_from(number).map_err(|_| Rule::TooLong)
}

impl FromStr for Uri {
    type Err = Rule;

    fn from_str(text: &str) -> Result<Uri, Rule> {
        let text = Text::from(text);
        Uri::cut(&text, &text)
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

serde_as_written!(Uri);
