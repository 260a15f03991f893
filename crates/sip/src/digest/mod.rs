//! Digest authentication: RFC 7616 as RFC 8760 brings it to SIP, and RFC 2617 for old peers. Here we are the one who is asked; `guard` asks.

mod guard;

pub use guard::{Guard, Known, Verdict};

use std::fmt;

use md5::Md5;
use sha2::{Digest as _, Sha256, Sha512_256};

use crate::wire::{Header, Message, Name};

/// Who we are to whoever asks.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    user: String,
    password: String,
}

/// A request to be authenticated.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// Its method.
    pub method: &'a str,
    /// Its Request-URI, as written.
    pub uri: &'a str,
    /// Its body; counts only where the challenge wants `auth-int`.
    pub body: &'a [u8],
    /// How often the nonce has been used, this time included: from 1.
    pub nonce_count: u32,
    /// A name that nobody can guess.
    pub cnonce: &'a str,
}

/// How the digest is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hash {
    /// MD5: what old peers have.
    Md5,
    /// SHA-512/256.
    Sha512,
    /// SHA-256: what RFC 8760 wants everybody to have, and therefore the one that is preferred.
    Sha256,
}

/// By which algorithms somebody may prove who they are. What is offered follows from who they are, never from what was sent in their name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Algorithms {
    /// SHA-256 and, for whoever does not have it, MD5.
    #[default]
    Any,
    /// SHA-256 alone.
    Sha256,
    /// MD5 alone: some old phones give up at a name that they do not know, whatever stands beside it.
    Md5,
}

/// What the digest covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quality {
    /// Method and URI, without counting (RFC 2617 §3.2.2.1 for peers of RFC 2069).
    Old,
    /// Method and URI.
    Auth,
    /// Method, URI and body.
    AuthInt,
}

/// A challenge that can be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    realm: String,
    nonce: String,
    opaque: Option<String>,
    /// As written, to be repeated.
    algorithm: Option<String>,
    hash: Hash,
    is_session: bool,
    quality: Quality,
    is_stale: bool,
    is_proxy: bool,
}

/// The challenges of a 401 or 407 that can be answered, the best one of each realm. One that names a scheme, an algorithm or a quality of
/// protection that we do not have is left out.
pub fn challenges(response: &Message) -> Vec<Challenge> {
    let www = response.headers(Name::WwwAuthenticate).filter_map(|value| Challenge::read(value, false));
    let proxy = response.headers(Name::ProxyAuthenticate).filter_map(|value| Challenge::read(value, true));
    let mut best: Vec<Challenge> = Vec::new();
    for challenge in www.chain(proxy) {
        match best.iter_mut().find(|known| known.realm == challenge.realm && known.is_proxy == challenge.is_proxy) {
            Some(known) if known.hash < challenge.hash => *known = challenge,
            Some(_) => {}
            None => best.push(challenge),
        }
    }
    best
}

impl Challenge {
    /// Reads the value of a WWW-Authenticate or (`is_proxy`) a Proxy-Authenticate. None: it cannot be answered.
    pub fn read(value: &str, is_proxy: bool) -> Option<Challenge> {
        let (scheme, rest) = value.split_once([' ', '\t'])?;
        if !scheme.eq_ignore_ascii_case("Digest") {
            return None;
        }
        let param = |name: &str| {
            crate::wire::pairs(rest).find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
        };
        let algorithm = param("algorithm");
        let (hash, is_session) = read_algorithm(algorithm.as_deref().unwrap_or("MD5"))?;
        let quality = match param("qop") {
            None => Quality::Old,
            Some(all) => {
                let has = |name: &str| all.split(',').any(|one| one.trim().eq_ignore_ascii_case(name));
                let offered = [(has("auth"), Quality::Auth), (has("auth-int"), Quality::AuthInt)];
                offered.into_iter().find(|(has, _)| *has)?.1
            }
        };
        let is_stale = param("stale").is_some_and(|stale| stale.eq_ignore_ascii_case("true"));
        let (realm, nonce, opaque) = (param("realm")?, param("nonce")?, param("opaque"));
        Some(Challenge { realm, nonce, opaque, algorithm, hash, is_session, quality, is_stale, is_proxy })
    }

    /// The nonce.
    pub fn nonce(&self) -> &str {
        &self.nonce
    }

    /// For what the credentials are wanted.
    pub fn realm(&self) -> &str {
        &self.realm
    }

    /// Whether only the nonce was too old, not the password wrong.
    pub fn is_stale(&self) -> bool {
        self.is_stale
    }

    /// Whether a proxy asks.
    pub fn is_proxy(&self) -> bool {
        self.is_proxy
    }

    /// How the digest is made.
    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// What the digest covers.
    pub fn quality(&self) -> Quality {
        self.quality
    }

    /// The digest of RFC 7616 §3.4.1 as hexadecimal digits.
    fn response(&self, user: &str, password: &str, ask: &Ask<'_>) -> String {
        let hash = |parts: &[&[u8]]| self.hash.of(parts);
        let mut a1 = hash(&[user.as_bytes(), self.realm.as_bytes(), password.as_bytes()]);
        if self.is_session {
            a1 = hash(&[a1.as_bytes(), self.nonce.as_bytes(), ask.cnonce.as_bytes()]);
        }
        let (method, uri) = (ask.method.as_bytes(), ask.uri.as_bytes());
        let a2 = match self.quality {
            Quality::Old | Quality::Auth => hash(&[method, uri]),
            Quality::AuthInt => hash(&[method, uri, hash(&[ask.body]).as_bytes()]),
        };
        let (a1, a2, nonce) = (a1.as_bytes(), a2.as_bytes(), self.nonce.as_bytes());
        match self.quality.name() {
            None => hash(&[a1, nonce, a2]),
            Some(quality) => hash(&[a1, nonce, count(ask).as_bytes(), ask.cnonce.as_bytes(), quality.as_bytes(), a2]),
        }
    }
}

fn count(ask: &Ask<'_>) -> String {
    format!("{:08x}", ask.nonce_count)
}

fn read_algorithm(text: &str) -> Option<(Hash, bool)> {
    let known = [("MD5", Hash::Md5), ("SHA-256", Hash::Sha256), ("SHA-512-256", Hash::Sha512)];
    let (name, is_session) = match text.len().checked_sub(5).and_then(|at| text.split_at_checked(at)) {
        Some((name, suffix)) if suffix.eq_ignore_ascii_case("-sess") => (name, true),
        Some(_) | None => (text, false),
    };
    known.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, hash)| (hash, is_session))
}

impl Hash {
    /// The hash of the parts with colons between them, as hexadecimal digits.
    fn of(self, parts: &[&[u8]]) -> String {
        let text = parts.join(&b':');
        match self {
            Hash::Md5 => hex::encode(Md5::digest(text)),
            Hash::Sha256 => hex::encode(Sha256::digest(text)),
            Hash::Sha512 => hex::encode(Sha512_256::digest(text)),
        }
    }
}

impl Algorithms {
    /// Their names, the one that is preferred first.
    pub(crate) fn names(self) -> &'static [&'static str] {
        match self {
            Algorithms::Any => &["SHA-256", "MD5"],
            Algorithms::Sha256 => &["SHA-256"],
            Algorithms::Md5 => &["MD5"],
        }
    }

    /// Whether an answer may be made by it.
    pub(crate) fn has(self, hash: Hash) -> bool {
        match hash {
            Hash::Md5 => self != Algorithms::Sha256,
            Hash::Sha256 => self != Algorithms::Md5,
            // It is never offered.
            Hash::Sha512 => false,
        }
    }

    /// What is offered to somebody who may be one or the other.
    pub(crate) fn or(self, other: Algorithms) -> Algorithms {
        if self == other { self } else { Algorithms::Any }
    }
}

impl Quality {
    fn name(self) -> Option<&'static str> {
        match self {
            Quality::Old => None,
            Quality::Auth => Some("auth"),
            Quality::AuthInt => Some("auth-int"),
        }
    }
}

impl Credentials {
    /// A user and a password.
    pub fn new(user: impl Into<String>, password: impl Into<String>) -> Credentials {
        Credentials { user: user.into(), password: password.into() }
    }

    /// The header that answers a challenge: Authorization, or Proxy-Authorization where a proxy asked.
    pub fn answer(&self, challenge: &Challenge, ask: &Ask<'_>) -> Header {
        let user = self.user.replace('\\', "\\\\").replace('"', "\\\"");
        let response = challenge.response(&user, &self.password, ask);
        let mut value = format!("Digest username=\"{user}\", realm=\"{}\", nonce=\"{}\"", challenge.realm, challenge.nonce);
        value += &format!(", uri=\"{}\", response=\"{response}\"", ask.uri);
        if let Some(algorithm) = &challenge.algorithm {
            value += &format!(", algorithm={algorithm}");
        }
        if let Some(quality) = challenge.quality.name() {
            value += &format!(", cnonce=\"{}\", qop={quality}, nc={}", ask.cnonce, count(ask));
        } else if challenge.is_session {
            value += &format!(", cnonce=\"{}\"", ask.cnonce);
        }
        if let Some(opaque) = &challenge.opaque {
            value += &format!(", opaque=\"{opaque}\"");
        }
        let name = if challenge.is_proxy { Name::ProxyAuthorization } else { Name::Authorization };
        Header::new(name.text(), value)
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Credentials({:?})", self.user)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RFC_7616: &str = "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", \
                            opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"";

    fn answer(challenge: &str, password: &str, cnonce: &str) -> String {
        let challenge = Challenge::read(challenge, false).expect("a challenge that can be answered");
        let ask = Ask { method: "GET", uri: "/dir/index.html", body: b"", nonce_count: 1, cnonce };
        Credentials::new("Mufasa", password).answer(&challenge, &ask).value
    }

    fn response(header: &str) -> &str {
        header.split("response=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a response")
    }

    #[test]
    fn the_examples_of_the_rfcs_come_out_as_printed_there() {
        let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
        let md5 = answer(&format!("{RFC_7616}, algorithm=MD5"), "Circle of Life", cnonce);
        assert_eq!(response(&md5), "8ca523f5e9506fed4657c9700eebdbec");
        let sha = answer(&format!("{RFC_7616}, algorithm=SHA-256"), "Circle of Life", cnonce);
        assert_eq!(response(&sha), "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1");
        let old = "Digest realm=\"testrealm@host.com\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\"";
        assert_eq!(response(&answer(old, "CircleOfLife", "0a4f113b")), "1949323746fe6a43ef61f9606e7febea");
        let counted = answer(&format!("{old}, qop=\"auth\""), "Circle Of Life", "0a4f113b");
        assert_eq!(response(&counted), "6629fae49393a05397450978507c4ef1");
        assert!(counted.contains(", cnonce=\"0a4f113b\", qop=auth, nc=00000001"), "{counted}");
    }

    #[test]
    fn nothing_is_repeated_that_was_not_asked_for() {
        let old = answer("Digest realm=\"r\", nonce=\"n\"", "secret", "c");
        assert!(!old.contains("qop") && !old.contains("nc=") && !old.contains("algorithm") && !old.contains("opaque"), "{old}");
        assert!(!old.contains("secret") && !format!("{:?}", Credentials::new("u", "secret")).contains("secret"));
    }

    #[test]
    fn sha_256_is_preferred_and_what_we_do_not_have_is_left_out() {
        let header = |value: &str| format!("WWW-Authenticate: {value}\r\n");
        let head = "SIP/2.0 401 Unauthorized\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\n\
                    Call-ID: 1\r\nCSeq: 1 INVITE\r\n";
        let all = [
            "Digest realm=\"a\", nonce=\"1\", algorithm=MD5",
            "Digest realm=\"a\", nonce=\"2\", algorithm=SHA-256, qop=\"auth\"",
            "Digest realm=\"a\", nonce=\"3\", algorithm=SHA3-1000",
            "Digest realm=\"b\", nonce=\"4, \\\"quoted\\\"\", algorithm=sha-256-SESS, qop=auth, stale=TRUE",
            "Digest realm=\"c\", nonce=\"5\", qop=\"auth-conf\"",
            "Basic realm=\"d\"",
            "Digest realm=\"e\"",
            "Digest",
        ];
        let text = format!("{head}{}Proxy-Authenticate: Digest realm=\"a\",nonce=\"6\"\r\n\r\n", all.map(header).concat());
        let message = Message::parse(text.into_bytes().into()).expect("a response");
        let found = challenges(&message);
        let facts: Vec<_> = found.iter().map(|one| (one.nonce(), one.hash(), one.is_stale(), one.is_proxy())).collect();
        let expected =
            [("2", Hash::Sha256, false, false), ("4, \\\"quoted\\\"", Hash::Sha256, true, false), ("6", Hash::Md5, false, true)];
        assert_eq!(facts, expected);
        let ask = Ask { method: "INVITE", uri: "sip:c@d", body: b"", nonce_count: 1, cnonce: "c" };
        assert_eq!(Credentials::new("u", "p").answer(&found[2], &ask).name, "Proxy-Authorization");
    }

    #[test]
    fn a_body_counts_only_where_it_is_asked_for() {
        let answer = |challenge: &str, body: &[u8]| {
            let ask = Ask { method: "INVITE", uri: "sip:c@d", body, nonce_count: 2, cnonce: "c" };
            let challenge = Challenge::read(challenge, true).expect("a challenge that can be answered");
            Credentials::new("u\"v", "p").answer(&challenge, &ask).value
        };
        let only = "Digest realm=\"r\", nonce=\"n\", qop=\"auth-int\", algorithm=SHA-512-256";
        let both = "Digest realm=\"r\", nonce=\"n\", qop=\"auth-int,auth\"";
        assert_ne!(answer(only, b"one"), answer(only, b"two"));
        assert_eq!(answer(both, b"one"), answer(both, b"two"));
        assert!(answer(only, b"").contains("username=\"u\\\"v\"") && answer(only, b"").contains("nc=00000002"));
    }

    #[test]
    fn a_challenge_that_is_cut_off_or_bent_anywhere_is_read_or_left() {
        let whole = format!("{RFC_7616}, algorithm=SHA-256-sess, stale=true");
        for at in 0..=whole.len() {
            let ask = Ask { method: "GET", uri: "/", body: b"", nonce_count: u32::MAX, cnonce: "" };
            let bent = ["\"", "\\", ",", "=", " ", "\u{e4}"].map(|piece| format!("{}{piece}{}", &whole[..at], &whole[at..]));
            for text in bent.iter().map(String::as_str).chain([&whole[..at]]) {
                if let Some(challenge) = Challenge::read(text, false) {
                    assert!(Credentials::new("u", "p").answer(&challenge, &ask).value.starts_with("Digest username="));
                }
            }
        }
    }
}
