//! What the network says about a caller's number: which one it is where the caller shows none (P-Asserted-Identity, RFC 3325), `verstat` (3GPP TS
//! 24.229 §7.2A.20) and the PASSporT of an Identity header (RFC 8224, RFC 8588), and why they call (RFC 9796). Baton believes none of it for itself:
//! whoever reads the payload sees them, and nobody takes a bare number for a proof.

use baton_contract::{Caller, Context};
use baton_sip::InviteRequest;
use baton_sip::wire::{NameAddr, Uri};
use serde_json::{Map, Value, json};

use crate::payload::printable;

/// The longest Identity header that is kept, in bytes: those of carriers have some 700.
const IDENTITY_BYTES_MAX: usize = 2_048;

/// The longest `verstat`, in bytes.
const VERSTAT_BYTES_MAX: usize = 64;

/// The longest `call-reason`, in bytes.
const REASON_BYTES_MAX: usize = 256;

/// Whom From names who shows no number (RFC 3323 §4.1.1.3, and what gateways write in its place).
const NOBODY: [&str; 5] = ["anonymous", "unavailable", "unknown", "restricted", "private"];

/// The number or name of whoever calls.
pub(crate) fn caller_of(invite: &InviteRequest) -> String {
    let asserted = invite.message.headers("P-Asserted-Identity").filter_map(|value| value.parse::<NameAddr>().ok());
    named(&invite.from.uri, asserted.map(|one| one.uri), invite.message.headers("Privacy"))
}

/// From's; where that names nobody, the one that the network vouches for, unless the caller wants it kept (RFC 3325 §9.3: `id`; RFC 3323 §4.2).
fn named<'p>(from: &Uri, mut asserted: impl Iterator<Item = Uri>, mut privacy: impl Iterator<Item = &'p str>) -> String {
    let user = |uri: &Uri| {
        let user = uri.user_plain()?.into_owned();
        // What stands behind the number says more about it (RFC 3966 §5.1), and is no part of it.
        let bare = user.split(';').next().unwrap_or_default().to_owned();
        (!bare.is_empty() && !NOBODY.iter().any(|nobody| bare.eq_ignore_ascii_case(nobody))).then_some(bare)
    };
    let is_private = |value: &str| {
        value.split(';').any(|one| ["id", "user", "header"].iter().any(|kind| one.trim().eq_ignore_ascii_case(kind)))
    };
    let shown = user(from).or_else(|| if privacy.any(is_private) { None } else { asserted.find_map(|one| user(&one)) });
    shown.unwrap_or_else(|| NOBODY[0].to_owned())
}

/// `caller.verstat`, `caller.attestation`, `caller.identity` and `caller.call_reason`, as far as the INVITE has them.
pub(crate) fn attested(invite: &InviteRequest) -> Context {
    let mut other = Map::new();
    let asserted: Option<Uri> =
        invite.message.header("P-Asserted-Identity").and_then(|value| value.parse::<NameAddr>().ok()).map(|one| one.uri);
    let verstat = asserted.as_ref().and_then(verstat_of).or_else(|| verstat_of(&invite.from.uri));
    other.extend(verstat.map(|verstat| ("verstat".to_owned(), json!(verstat))));
    if let Some(identity) = invite.message.header("Identity").filter(|value| value.len() <= IDENTITY_BYTES_MAX) {
        other.extend(attestation_of(identity).map(|attest| ("attestation".to_owned(), json!(attest))));
        other.insert("identity".to_owned(), json!(printable(identity, IDENTITY_BYTES_MAX)));
    }
    let reason = invite.message.headers("Call-Info").find_map(call_reason_of);
    other.extend(reason.map(|reason| ("call_reason".to_owned(), json!(reason))));
    let caller = (!other.is_empty()).then(|| Caller { other, ..Caller::default() });
    Context { caller, ..Context::default() }
}

/// `TN-Validation-Passed`, `TN-Validation-Failed` or `No-TN-Validation`: a parameter of the URI, or of the number in its user part.
fn verstat_of(uri: &Uri) -> Option<String> {
    let of_uri = || uri.param("verstat").flatten().map(str::to_owned);
    let of_user = || {
        let user = uri.user_plain()?.into_owned();
        user.split(';').find_map(|part| part.strip_prefix("verstat=").map(str::to_owned))
    };
    of_user().or_else(of_uri).map(|verstat| printable(&verstat, VERSTAT_BYTES_MAX)).filter(|verstat| !verstat.is_empty())
}

/// The `call-reason` of one Call-Info (RFC 9796 §6). Its URI is nobody's whom we would call, and may be an empty `data:`: only what stands behind it counts.
fn call_reason_of(value: &str) -> Option<String> {
    let (_, parameters) = value.split_once('>')?;
    let info: NameAddr = format!("<sip:call-info.invalid>{parameters}").parse().ok()?;
    let reason = printable(&info.params.text("call-reason")?, REASON_BYTES_MAX);
    (!reason.is_empty()).then_some(reason)
}

/// How sure the signer is of the number (A, B or C), from the claims of a PASSporT whose signature nobody has checked.
fn attestation_of(identity: &str) -> Option<String> {
    let token = identity.split(';').next()?.trim();
    let claims = base64url(token.split('.').nth(1)?)?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    let attest = claims.get("attest")?.as_str()?;
    matches!(attest, "A" | "B" | "C").then(|| attest.to_owned())
}

/// RFC 4648 §5, without padding.
fn base64url(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let (mut held, mut bits) = (0_u32, 0_u32);
    for sign in text.bytes() {
        let value = match sign {
            b'A'..=b'Z' => sign - b'A',
            b'a'..=b'z' => sign - b'a' + 26,
            b'0'..=b'9' => sign - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            _ => return None,
        };
        held = (held << 6) | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits) as u8);
            held &= (1 << bits) - 1;
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verstat_stands_in_the_uri_or_behind_the_number() {
        for (uri, verstat) in [
            ("sip:+15550123@carrier.example;verstat=TN-Validation-Passed", Some("TN-Validation-Passed")),
            ("sip:+15550123;verstat=TN-Validation-Failed@carrier.example;user=phone", Some("TN-Validation-Failed")),
            ("tel:+15550123;verstat=No-TN-Validation", Some("No-TN-Validation")),
            ("sip:+15550123@carrier.example;verstat", None),
            ("sip:+15550123@carrier.example", None),
        ] {
            assert_eq!(verstat_of(&uri.parse().expect("a URI")).as_deref(), verstat, "{uri}");
        }
    }

    #[test]
    fn whoever_shows_no_number_is_who_the_network_says_unless_they_want_that_kept() {
        let carrier = ["\"Jamie\" <sip:+15550123;verstat=TN-Validation-Passed@carrier.example;user=phone>", "<tel:+15550124>"];
        for (from, asserted, privacy, shown) in [
            ("sip:+15550142@pbx.example", &carrier[..], None, "+15550142"),
            ("sip:+15550142;phone-context=x@pbx.example", &[], None, "+15550142"),
            ("sip:jamie@pbx.example", &carrier, None, "jamie"),
            ("sip:anonymous@anonymous.invalid", &carrier, None, "+15550123"),
            ("sip:pbx.example", &carrier[1..], Some("none"), "+15550124"),
            ("sip:Anonymous@anonymous.invalid", &carrier, Some("id"), "anonymous"),
            ("sip:unavailable@pbx.example", &carrier, Some("header; Critical"), "anonymous"),
            ("sip:anonymous@anonymous.invalid", &[], None, "anonymous"),
            ("sip:anonymous@anonymous.invalid", &["nonsense <"], None, "anonymous"),
        ] {
            let asserted = asserted.iter().filter_map(|value| value.parse::<NameAddr>().ok()).map(|one| one.uri);
            assert_eq!(named(&from.parse().expect("a URI"), asserted, privacy.into_iter()), shown, "{from} {privacy:?}");
        }
    }

    #[test]
    fn why_somebody_calls_is_a_parameter_of_call_info() {
        for (value, reason) in [
            ("<data:>;purpose=jcard;call-reason=\"Broken order\"", Some("Broken order")),
            ("<https://carrier.example/jcard>;call-reason=\"\\\"quoted\\\"\";purpose=jcard", Some("\"quoted\"")),
            ("<https://carrier.example/photo>;purpose=icon", None),
            ("<data:>;purpose=jcard;call-reason=\"\"", None),
            ("nothing", None),
        ] {
            assert_eq!(call_reason_of(value).as_deref(), reason, "{value}");
        }
    }

    #[test]
    fn the_attestation_is_read_out_of_the_claims_and_nothing_else_is_taken_for_one() {
        // {"attest":"A","dest":{"tn":["15550100"]},"iat":1,"orig":{"tn":"15550123"},"origid":"x"}
        let claims = "eyJhdHRlc3QiOiJBIiwiZGVzdCI6eyJ0biI6WyIxNTU1MDEwMCJdfSwiaWF0IjoxLCJvcmlnIjp7InRuIjoiMTU1NTAxMjMifSwib3JpZ2lkIjoieCJ9";
        assert_eq!(
            attestation_of(&format!("eyJhbGciOiJFUzI1NiJ9.{claims}.c2ln;info=<https://cert.example>")).as_deref(),
            Some("A")
        );
        for identity in ["", "x", "a.b.c", "..", "a.e30.c", "a.eyJhdHRlc3QiOiJEIn0.c", "a.eyJhdHRlc3QiOjF9.c", "a.%%.c"] {
            assert_eq!(attestation_of(identity), None, "{identity}");
        }
        assert_eq!(base64url("aGk_"), Some(vec![b'h', b'i', b'?']));
    }
}
