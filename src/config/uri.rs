//! URIs of peers: what of them a configuration may say, and the checks that name what is wrong.

use std::net::IpAddr;

use baton_sip::wire::Uri;
use baton_sip::{Transport, Wanted};

use super::value::domain;
use super::walk::Parsed;

/// The URI of a trunk: `sip:host`, perhaps with a port.
pub(super) fn trunk(text: &str) -> Parsed<String> {
    sip(text, "sip:192.0.2.1:5060").map(|()| text.to_owned())
}

/// The URI of an AI, in which `{to}` stands for the dialled number.
pub(super) fn ai(text: &str) -> Parsed<String> {
    for (at, _) in text.match_indices('{') {
        if !text[at..].starts_with("{to}") {
            return Err(format!("`{text}` holds `{{`, only `{{to}}` is known: it stands for the dialled number"));
        }
    }
    sip(&text.replace("{to}", "0"), "sip:ai@127.0.0.1:5080")
        .map(|()| text.to_owned())
        .map_err(|what| what.replace(&text.replace("{to}", "0"), text))
}

/// The URI of an AE.
pub(super) fn ae(text: &str) -> Parsed<String> {
    if let Some(number) = text.strip_prefix("tel:") {
        return super::value::number(number)
            .map(|number| format!("tel:{number}"))
            .map_err(|_| format!("`{text}` is no URI of a phone, write `sip:name@192.0.2.5:5060` or `tel:+15550142`"));
    }
    sip(text, "sip:michael@192.0.2.5:5060").map(|()| text.to_owned())
}

/// The user part of a `sip:` URI or the number of a `tel:` URI.
pub(super) fn user(text: &str) -> Option<&str> {
    let rest = text.split_once(':')?.1;
    match text.starts_with("tel:") {
        true => Some(rest),
        false => rest.split_once('@').map(|(user, _)| user),
    }
}

/// The address in a `sip:` or `sips:` URI, if its host is one.
pub(super) fn address(text: &str) -> Option<IpAddr> {
    let rest = text.strip_prefix("sip:").or_else(|| text.strip_prefix("sips:"))?;
    let rest = rest.split_once('@').map_or(rest, |(_, host)| host);
    let host_port = rest.split([';', '?']).next()?;
    match host_port.strip_prefix('[') {
        Some(v6) => v6.split(']').next()?.parse().ok(),
        None => host_port.split(':').next()?.parse().ok(),
    }
}

fn sip(text: &str, example: &str) -> Parsed<()> {
    let wrong = |why: &str| Err(format!("`{text}` is no SIP URI ({why}), write `{example}`"));
    if ["ws:", "wss:", "http:", "https:"].iter().any(|scheme| text.starts_with(scheme)) {
        return Err(format!("`{text}`: only SIP is built yet in this version, write `{example}`"));
    }
    if text.chars().any(char::is_whitespace) {
        return wrong("it holds a blank");
    }
    let Some(rest) = text.strip_prefix("sip:").or_else(|| text.strip_prefix("sips:")) else {
        return wrong("it does not begin with `sip:` or `sips:`");
    };
    let hosted = match rest.split_once('@') {
        Some(("", _)) => return wrong("nothing stands before `@`"),
        Some((_, hosted)) => hosted,
        None => rest,
    };
    let host_port = hosted.split([';', '?']).next().unwrap_or(hosted);
    let (host, port) = match host_port.strip_prefix('[') {
        Some(v6) => match v6.split_once(']') {
            Some((host, "")) => (host, None),
            Some((host, port)) => (host, port.strip_prefix(':').or(Some(""))),
            None => return wrong("`[` is not closed"),
        },
        None => host_port.split_once(':').map_or((host_port, None), |(host, port)| (host, Some(port))),
    };
    if domain(host).is_err() {
        return wrong("its host is neither an address nor a name");
    }
    match port.map(str::parse::<u16>) {
        Some(Ok(0) | Err(_)) => wrong("its port is not one from 1 to 65535"),
        None | Some(Ok(_)) => match text.parse::<Uri>().as_ref().map(Transport::of_uri) {
            Ok(Wanted::Any | Wanted::Only(_)) => Ok(()),
            Ok(Wanted::Unknown) => {
                wrong("its transport is none of `udp`, `tcp`, `tls`, `ws`, `wss`, or does not go with `sips:`")
            }
            Err(_) => wrong("a sign in it has no place there"),
        },
    }
}
