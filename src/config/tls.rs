//! `[tls]`, `[[certificate]]`, and what trunks and AIs say about TLS for themselves.

use std::path::PathBuf;

use baton_sip::wire::Uri;
use baton_sip::{ServerName, Transport, Wanted};
use baton_switchboard::Network;

use super::fault::Findings;
use super::read::Draft;
use super::value;
use super::walk::{Found, Parsed, Section, Walk};
use crate::tls::{Clients, Identity, Oldest, Peer, Pin, Roots, TlsSettings, Wildcards};

/// `[tls]`
#[derive(Default)]
pub(super) struct TlsDraft {
    identity: Option<Identity>,
    roots: Roots,
    clients: Clients,
    oldest: Oldest,
    wildcards: Wildcards,
}

/// Reads `[tls]`.
pub(super) fn read(walk: &mut Walk<'_>, mut at: Section<'_>) -> Found<TlsDraft> {
    let identity = pair(walk, &mut at, "certificate", "key");
    let roots = at.text(walk, "roots", |text| match text {
        "machine" => Ok(Roots::Machine),
        _ => path(text).map(Roots::File),
    });
    let asked = at.text(walk, "clients", |text| match text {
        "any" => Ok(None),
        "ask" => Ok(Some(Clients::Asked as fn(PathBuf) -> Clients)),
        "require" => Ok(Some(Clients::Required as fn(PathBuf) -> Clients)),
        _ => value::one_of(text, &["any", "ask", "require"], &[]),
    });
    let client_roots = at.text(walk, "client_roots", path);
    let clients = match (asked.flatten(), client_roots) {
        (Some(clients), Some(roots)) => clients(roots),
        (None, None) => Clients::Anybody,
        (Some(_), None) => {
            let what = "says that clients need a certificate, but not whose signature is good, write `client_roots = \"/etc/baton/clients.pem\"`";
            at.fault(walk, "clients", what);
            Clients::Anybody
        }
        (None, Some(_)) => {
            at.fault(walk, "client_roots", "says whose signature is good, but nobody is asked, write `clients = \"require\"`");
            Clients::Anybody
        }
    };
    let oldest = at.text(walk, "oldest", |text| match text {
        "1.2" => Ok(Oldest::Tls12),
        "1.3" => Ok(Oldest::Tls13),
        _ => value::one_of(text, &["1.2", "1.3"], &[]),
    });
    let wildcards = match at.flag(walk, "wildcards") {
        Some(true) => Wildcards::Taken,
        Some(false) | None => Wildcards::Refused,
    };
    let (roots, oldest) = (roots.unwrap_or_default(), oldest.unwrap_or_default());
    at.finish(walk, &[], TlsDraft { identity, roots, clients, oldest, wildcards })
}

/// Reads a `[[certificate]]`.
pub(super) fn read_certificate(walk: &mut Walk<'_>, mut at: Section<'_>) -> Found<Identity> {
    let certificate = at.required(walk, "certificate", "\"/etc/baton/other.pem\"", path).unwrap_or_default();
    let key = at.required(walk, "key", "\"/etc/baton/other.key\"", path).unwrap_or_default();
    at.finish(walk, &[], Identity { certificate, key })
}

/// The keys of a trunk or an AI that begin with `tls_`; none where it is not called by TLS.
pub(super) fn of_peer(walk: &mut Walk<'_>, at: &mut Section<'_>, uri: &str, sources: &[Network]) -> Option<Peer> {
    let identity = pair(walk, at, "tls_certificate", "tls_key");
    let roots = at.text(walk, "tls_roots", path);
    let name = at.text(walk, "tls_name", value::domain).map(|name| ServerName::new(&name));
    let pin = at.text(walk, "tls_pin", pin);
    if pin.is_some() && (roots.is_some() || name.is_some()) {
        let other = if roots.is_some() { "tls_roots" } else { "tls_name" };
        at.fault(walk, other, "says nothing where the one certificate is pinned, leave it or `tls_pin` out");
    }
    let has_any = identity.is_some() || roots.is_some() || name.is_some() || pin.is_some();
    let uri = uri.parse::<Uri>().ok()?;
    if has_any && !is_secure(&uri) {
        let key = ["tls_certificate", "tls_roots", "tls_name", "tls_pin"].into_iter().find(|key| at.has(key)).unwrap_or("uri");
        at.fault(
            walk,
            key,
            "is for peers that are called by TLS, write `sips:` or `;transport=tls` in their URI, or leave it out",
        );
    }
    let host = ServerName::new(&uri.host()?.to_string());
    is_secure(&uri).then(|| Peer { host, name, identity, roots, pin, sources: sources.to_vec() })
}

/// What is looked at when everything is read: whoever is called by TLS, or listens by it, needs something for that.
pub(super) fn together(findings: &mut Findings<'_>, draft: &Draft) {
    let sip = &draft.sip;
    let has_identity = draft.tls.value.identity.is_some() || !draft.certificates.is_empty();
    for (at, listen) in sip.value.listen.iter().enumerate().filter(|(_, listen)| listen.transport.is_secure() && !has_identity) {
        let what = format!("`{listen}` needs a certificate, write `[tls]` with `certificate` and `key`");
        findings.add(sip.places.nth("listen", at), sip.places.key("listen"), what);
    }
    let listens = |transport| sip.value.listen.iter().any(|listen| listen.transport == transport);
    let trunks = draft.trunks.iter().map(|found| (found.value.uri.clone(), found.value.tls.as_ref(), &found.places));
    let ais = draft.ais.iter().map(|found| (found.value.uri.replace("{to}", "0"), found.value.tls.as_ref(), &found.places));
    let aes = draft.aes.iter().map(|found| (found.value.uri.clone(), None, &found.places));
    let mut peers: Vec<&Peer> = Vec::new();
    for (uri, own, places) in trunks.chain(ais).chain(aes) {
        let by = uri.parse::<Uri>().ok().and_then(|uri| fixed(&uri)).filter(|by| !listens(*by));
        let what = match by {
            Some(Transport::Tls) => Some("is called by TLS, but their answers have nowhere to go, write `tls:` into sip.listen"),
            Some(Transport::Ws) => Some("is called by WebSocket, but Baton has none, write `ws:` into sip.listen"),
            Some(Transport::Wss) => Some("is called by WebSocket under TLS, but Baton has none, write `wss:` into sip.listen"),
            Some(Transport::Udp | Transport::Tcp) | None => None,
        };
        if let Some(what) = what {
            findings.add(places.of("uri"), places.key("uri"), what);
        }
        let Some(own) = own else { continue };
        let differs = |other: &&Peer| other.host == own.host && Peer { sources: own.sources.clone(), ..(*other).clone() } != *own;
        if peers.iter().any(differs) {
            let what = "is the host of another peer whose `tls_…` keys are others, write the same into both";
            findings.add(places.of("uri"), places.key("uri"), what);
        }
        peers.push(own);
    }
}

/// Everything about TLS, from all over the file.
pub(super) fn settings(draft: &Draft) -> TlsSettings {
    let own = &draft.tls.value;
    let more = draft.certificates.iter().map(|found| found.value.clone());
    let of_trunks = draft.trunks.iter().filter_map(|found| found.value.tls.clone());
    let of_ais = draft.ais.iter().filter_map(|found| found.value.tls.clone());
    let mut peers: Vec<Peer> = Vec::new();
    for peer in of_trunks.chain(of_ais) {
        match peers.iter_mut().find(|known| known.host == peer.host) {
            Some(known) => known.sources.extend(peer.sources),
            None => peers.push(peer),
        }
    }
    TlsSettings {
        identities: own.identity.clone().into_iter().chain(more).collect(),
        roots: own.roots.clone(),
        clients: own.clients.clone(),
        oldest: own.oldest,
        wildcards: own.wildcards,
        peers,
    }
}

fn is_secure(uri: &Uri) -> bool {
    fixed(uri).is_some_and(Transport::is_secure)
}

/// The transport that a URI insists on.
fn fixed(uri: &Uri) -> Option<Transport> {
    match Transport::of_uri(uri) {
        Wanted::Only(transport) => Some(transport),
        Wanted::Any | Wanted::Unknown => None,
    }
}

fn pair(walk: &mut Walk<'_>, at: &mut Section<'_>, certificate: &'static str, key: &'static str) -> Option<Identity> {
    match (at.text(walk, certificate, path), at.text(walk, key, path)) {
        (Some(certificate), Some(key)) => Some(Identity { certificate, key }),
        (None, None) => None,
        (Some(_), None) if at.has(key) => None,
        (None, Some(_)) if at.has(certificate) => None,
        (Some(_), None) => at.incomplete(walk, certificate, key),
        (None, Some(_)) => at.incomplete(walk, key, certificate),
    }
}

/// The path of a file in PEM.
fn path(text: &str) -> Parsed<PathBuf> {
    match text.contains("-----BEGIN") {
        true => Err("is the content of a file, write its path".to_owned()),
        false => value::plain(text).map(PathBuf::from),
    }
}

/// `sha256:` and 64 digits, with or without colons between them.
fn pin(text: &str) -> Parsed<Pin> {
    let wrong =
        || format!("`{text}` is no fingerprint, write `sha256:` and the 64 digits of `openssl x509 -noout -fingerprint -sha256`");
    let digits: String = text.strip_prefix("sha256:").ok_or_else(wrong)?.chars().filter(|sign| *sign != ':').collect();
    let octet = |at: usize| digits.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    let octets: Option<Vec<u8>> = (0..digits.len()).step_by(2).map(octet).collect();
    octets.and_then(|octets| octets.try_into().ok()).map(Pin).ok_or_else(wrong)
}
