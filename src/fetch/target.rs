//! A URL that requests may be sent to.

use std::fmt;
use std::str::FromStr;

use hyper::Uri;

/// An `http` or `https` URL, without credentials and without a fragment.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Target {
    scheme: Scheme,
    /// A name or an address; IPv6 without brackets.
    host: String,
    port: u16,
    /// Host and port as the header `Host` names them.
    authority: String,
    path: String,
}

/// How a connection is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Scheme {
    /// In the clear.
    Http,
    /// Over TLS.
    Https,
}

/// Why a text is no URL that requests may be sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TargetError {
    /// Not a URL at all, or one of another kind.
    #[error("is no URL, write `https://host/path`")]
    NoUrl,
    /// User name or password in it would end up in logs.
    #[error("has credentials in it, leave them out")]
    Credentials,
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Target, TargetError> {
        if text.contains(['#', '\\']) || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(TargetError::NoUrl);
        }
        let uri: Uri = text.parse().map_err(|_| TargetError::NoUrl)?;
        let (scheme, usual) = match uri.scheme_str() {
            Some("http") => (Scheme::Http, 80),
            Some("https") => (Scheme::Https, 443),
            Some(_) | None => return Err(TargetError::NoUrl),
        };
        let authority = uri.authority().ok_or(TargetError::NoUrl)?;
        if authority.as_str().contains('@') {
            return Err(TargetError::Credentials);
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() || host.contains('%') || (authority.as_str() != authority.host() && authority.port().is_none()) {
            return Err(TargetError::NoUrl);
        }
        let port = authority.port_u16().unwrap_or(usual);
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        Ok(Target { scheme, host, port, authority: authority.to_string(), path })
    }
}

impl Target {
    pub(super) fn scheme(&self) -> Scheme {
        self.scheme
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn authority(&self) -> &str {
        &self.authority
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// The same place with `path` behind what it has: `https://host/v1` and `/audio/speech`.
    #[must_use]
    pub(crate) fn join(&self, path: &str) -> Target {
        Target { path: format!("{}{path}", self.path.trim_end_matches('/')), ..self.clone() }
    }

    /// Scheme, host and port: what a log line may show of a URL, whose path may hold a secret.
    pub(crate) fn place(&self) -> String {
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        format!("{scheme}://{}", self.authority)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.place(), self.path)
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({}/…)", self.place())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_read_with_its_usual_port() {
        for (text, host, port, path) in [
            ("https://crm.example/baton?x=1", "crm.example", 443, "/baton?x=1"),
            ("http://127.0.0.1:9/", "127.0.0.1", 9, "/"),
            ("http://[::1]:80", "::1", 80, "/"),
            ("HTTPS://Host", "Host", 443, "/"),
        ] {
            let target: Target = text.parse().expect(text);
            assert_eq!((target.host(), target.port(), target.path()), (host, port, path), "{text}");
        }
        let target: Target = "https://voice.example/v1/".parse().unwrap();
        assert_eq!(target.join("/audio/speech").to_string(), "https://voice.example/v1/audio/speech");
    }

    #[test]
    fn what_is_no_such_url_is_refused() {
        for text in [
            "",
            "crm.example",
            "ftp://x/",
            "file:///etc/passwd",
            "gopher://x",
            "http://",
            "http:///x",
            "http://x:99999/",
            "http://x:y/",
            "http://x\r\nHost: y/",
            "http://x/#top",
            "http:\\\\x\\y",
            "http://x y/",
            "http://[::1",
            "http://[fe80::1%25lo]/",
            "http://x:",
        ] {
            assert_eq!(text.parse::<Target>(), Err(TargetError::NoUrl), "{text}");
        }
        assert_eq!("http://me:secret@x/".parse::<Target>(), Err(TargetError::Credentials));
        assert_eq!("http://public.example@127.0.0.1/".parse::<Target>(), Err(TargetError::Credentials));
    }

    #[test]
    fn a_path_is_not_shown_where_it_may_hold_a_secret() {
        let target: Target = "https://hooks.example/T0/s3cret".parse().unwrap();
        assert!(!format!("{target:?}").contains("s3cret"));
        assert_eq!(target.place(), "https://hooks.example");
    }
}
