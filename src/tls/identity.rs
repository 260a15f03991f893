//! Whether a certificate is good for a name (RFC 5922 §7).

use std::net::IpAddr;

use super::certificate::Subject;
use super::settings::Wildcards;

/// Whom somebody must be.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wanted<'a> {
    /// The domain of a SIP URI.
    Domain(&'a str),
    /// An address that stands in a SIP URI instead of a domain.
    Address(IpAddr),
}

/// Whether a certificate that says this is theirs.
pub(super) fn is(subject: &Subject, wanted: Wanted<'_>, wildcards: Wildcards) -> bool {
    match wanted {
        Wanted::Domain(domain) => domains(subject).into_iter().any(|identity| covers(identity, domain, wildcards)),
        Wanted::Address(address) => {
            let written = |host: &str| host.trim_matches(['[', ']']).parse() == Ok(address);
            subject.addresses.contains(&address) || subject.uris.iter().filter_map(|uri| domain(uri)).any(written)
        }
    }
}

/// RFC 5922 §7.1: the domains of `sip:` URIs without a user; where there are none, the names; where there is no subjectAltName at all, the
/// common name.
pub(super) fn domains(subject: &Subject) -> Vec<&str> {
    let of_uris: Vec<&str> = subject.uris.iter().filter_map(|uri| domain(uri)).collect();
    match of_uris.is_empty() {
        false => of_uris,
        true => subject.names.iter().chain(&subject.common).map(String::as_str).collect(),
    }
}

/// The host of a `sip:` URI that stands for a domain and not for somebody in it.
fn domain(uri: &str) -> Option<&str> {
    let (scheme, rest) = uri.split_once(':')?;
    let host = rest.split([';', '?']).next()?;
    let is_domain = scheme.eq_ignore_ascii_case("sip") && !rest.contains('@') && !host.is_empty();
    let end =
        if host.starts_with('[') { host.find(']').map_or(host.len(), |at| at + 1) } else { host.find(':').unwrap_or(host.len()) };
    is_domain.then(|| &host[..end])
}

/// RFC 5922 §7.2: in any case of letters, and as a whole.
pub(super) fn covers(identity: &str, domain: &str, wildcards: Wildcards) -> bool {
    if identity.eq_ignore_ascii_case(domain) {
        return true;
    }
    match (wildcards, identity.strip_prefix("*."), domain.split_once('.')) {
        (Wildcards::Taken, Some(parent), Some((label, rest))) => {
            !label.is_empty() && parent.contains('.') && parent.eq_ignore_ascii_case(rest)
        }
        (Wildcards::Taken | Wildcards::Refused, _, _) => false,
    }
}
