//! The payload on its way in and out of SIP headers.

use baton_contract::{Caller, Context, TransferId};
use baton_sip::wire::Header;

use crate::settings::UserToUser;

/// The longest display name that is put into a From header, in characters.
const DISPLAY_CHARS_MAX: usize = 60;

/// The longest value of a context header that is taken, in bytes.
const HEADER_BYTES_MAX: usize = 4_096;

/// The longest value of a context header that we send, in bytes.
const OUT_BYTES_MAX: usize = 512;

/// How many context headers of one message are taken.
const HEADERS_MAX: usize = 32;

/// Reads context out of headers, or headers embedded in a URI: `X-Baton-Summary`, `User-to-User` and their like.
///
/// What is not a known field is kept under its name without `X-Baton-`, in lower case with `_` for `-`.
pub(crate) fn context_from<'a>(headers: impl Iterator<Item = (&'a str, &'a str)>) -> Context {
    let mut context = Context::default();
    let mut caller = Caller::default();
    for (name, value) in headers.take(HEADERS_MAX) {
        let value = printable(value, HEADER_BYTES_MAX);
        let Some(field) = field_of(name) else { continue };
        match field.as_str() {
            "call" | "transfer" | "resume" | "purpose" | "note" | "ae" | "mode" | "outcome" => {}
            "summary" => context.summary = Some(value),
            "reason" => context.reason = Some(value),
            "intent" => context.intent = Some(value),
            "next_step" => context.next_step = Some(value),
            "name" | "caller" => caller.name = Some(value),
            "company" => caller.company = Some(value),
            "role" => caller.role = Some(value),
            "number" => caller.number = Some(value),
            "timezone" => caller.timezone = Some(value),
            "language" => caller.language = Some(value),
            _ => {
                context.other.insert(field, value.into());
            }
        }
    }
    if caller != Caller::default() {
        context.caller = Some(caller);
    }
    context
}

/// The main fields of a context as headers, for an AI that goes on with a caller.
pub(crate) fn context_headers(context: &Context) -> Vec<Header> {
    let caller = context.caller.clone().unwrap_or_default();
    let fields = [
        ("X-Baton-Summary", &context.summary),
        ("X-Baton-Reason", &context.reason),
        ("X-Baton-Intent", &context.intent),
        ("X-Baton-Next-Step", &context.next_step),
        ("X-Baton-Name", &caller.name),
        ("X-Baton-Company", &caller.company),
        ("X-Baton-Role", &caller.role),
        ("X-Baton-Number", &caller.number),
        ("X-Baton-Timezone", &caller.timezone),
        ("X-Baton-Language", &caller.language),
    ];
    let written = fields.into_iter().filter_map(|(name, value)| Some((name, printable(value.as_deref()?, OUT_BYTES_MAX))));
    written.filter(|(_, value)| !value.is_empty()).map(|(name, value)| Header::new(name, value)).collect()
}

fn field_of(name: &str) -> Option<String> {
    let lower = name.to_ascii_lowercase().replace('-', "_");
    if lower == "user_to_user" {
        return Some(lower);
    }
    lower.strip_prefix("x_baton_").filter(|rest| !rest.is_empty()).map(str::to_owned)
}

/// Who calls and why, for the display of the AE's phone: `Jamie, NovaCorp: pricing`.
pub(crate) fn display_name(context: &Context, from: &str) -> String {
    let caller = context.caller.as_ref();
    let name = caller.and_then(|caller| caller.name.as_deref()).unwrap_or(from);
    let company = caller.and_then(|caller| caller.company.as_deref()).map(|company| format!(", {company}"));
    let why = context.intent.as_deref().or(context.reason.as_deref()).map(|why| format!(": {}", why.replace('_', " ")));
    let whole = format!("{name}{}{}", company.unwrap_or_default(), why.unwrap_or_default());
    printable(&whole, DISPLAY_CHARS_MAX * 4)
        .chars()
        .filter(|c| !matches!(c, '"' | '\\' | '<' | '>'))
        .take(DISPLAY_CHARS_MAX)
        .collect()
}

/// The value of a Call-Info that tells a phone why somebody calls (RFC 9796 §6), without a card of who does.
pub(crate) fn call_reason(context: &Context) -> Option<String> {
    let why = context.intent.as_deref().or(context.reason.as_deref())?.replace('_', " ");
    let why: String =
        printable(&why, DISPLAY_CHARS_MAX * 4).chars().filter(|c| !matches!(c, '"' | '\\')).take(DISPLAY_CHARS_MAX).collect();
    (!why.is_empty()).then(|| format!("<data:>;purpose=jcard;call-reason=\"{why}\""))
}

/// Which share of the payload's main fields a context has, from 0 to 1.
pub(crate) fn completeness(context: &Context) -> f64 {
    let caller = context.caller.as_ref();
    let there = [
        caller.is_some_and(|caller| caller.name.is_some()),
        caller.is_some_and(|caller| caller.verified.is_some()),
        context.intent.is_some(),
        context.summary.is_some(),
        context.reason.is_some(),
        context.confidence.is_some(),
        context.next_step.is_some(),
        context.consent.is_some(),
        !context.sentiment.is_empty(),
        !context.transcript.is_empty(),
    ];
    let count = there.iter().filter(|field| **field).count();
    f64::from(u8::try_from(count).unwrap_or(u8::MAX)) / 10.0
}

impl UserToUser {
    /// The value of the header.
    pub(crate) fn value(self, transfer: TransferId) -> String {
        match self {
            UserToUser::Hex => user_to_user(transfer),
            UserToUser::Isdn => isdn_user_to_user(transfer),
        }
    }
}

/// The value of User-to-User (RFC 7433): the transfer's id, in hexadecimal.
pub(crate) fn user_to_user(transfer: TransferId) -> String {
    let hex: String = transfer.to_string().bytes().map(|byte| format!("{byte:02x}")).collect();
    format!("{hex};encoding=hex")
}

/// The same as ISDN's user-to-user information (RFC 7434), for phones behind exchanges that know no other: the first octet says that
/// characters follow (ITU-T Q.931 §4.5.30, IA5).
pub(crate) fn isdn_user_to_user(transfer: TransferId) -> String {
    let hex: String = transfer.to_string().bytes().map(|byte| format!("{byte:02x}")).collect();
    format!("04{hex};purpose=isdn-uui;encoding=hex;content=isdn-uui")
}

/// `text` without control characters, cut to at most `bytes_max` bytes.
pub(crate) fn printable(text: &str, bytes_max: usize) -> String {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use baton_contract::IdSource;
    use baton_time::Wall;

    use super::*;

    #[test]
    fn headers_become_context_and_unknown_ones_are_kept() {
        let headers = [
            ("X-Baton-Summary", "Wants a quote."),
            ("x-baton-name", "Jamie"),
            ("User-to-User", "cafe;encoding=hex"),
            ("X-Baton-Plan-Tier", "gold"),
            ("X-Baton-Call", "c_1"),
            ("Subject", "no"),
        ];
        let context = context_from(headers.into_iter());
        assert_eq!(
            serde_json::to_value(context).unwrap(),
            serde_json::json!({
                "caller": {"name": "Jamie"}, "summary": "Wants a quote.", "user_to_user": "cafe;encoding=hex", "plan_tier": "gold"
            })
        );
    }

    #[test]
    fn a_display_name_says_who_and_why_and_cannot_break_out_of_its_quotes() {
        let context = context_from(
            [("X-Baton-Name", "Ja\"mie\r\nVia: x"), ("X-Baton-Company", "NovaCorp"), ("X-Baton-Intent", "pricing")].into_iter(),
        );
        assert_eq!(display_name(&context, "+1555"), "Jamie  Via: x, NovaCorp: pricing");
        assert_eq!(display_name(&Context::default(), "+1555"), "+1555");
        let long = context_from([("X-Baton-Name", "é".repeat(500).as_str())].into_iter());
        assert_eq!(display_name(&long, "").chars().count(), DISPLAY_CHARS_MAX);
    }

    #[test]
    fn a_payload_is_complete_when_all_its_main_fields_are_there() {
        assert_eq!(completeness(&Context::default()), 0.0);
        let some = context_from([("X-Baton-Name", "Jamie"), ("X-Baton-Intent", "pricing")].into_iter());
        assert_eq!(completeness(&some), 0.2);
    }

    #[test]
    fn user_to_user_carries_the_transfer_and_fits_into_128_octets() {
        let id = TransferId::new(&mut IdSource::seeded(1), Wall::from_seconds(1));
        let value = user_to_user(id);
        assert!(value.len() <= 128, "{value}");
        assert!(value.starts_with("745f"), "{value}");
        let isdn = isdn_user_to_user(id);
        let octets = isdn.split(';').next().map(|hex| hex.len() / 2);
        assert!(octets.is_some_and(|octets| octets <= 128), "{isdn}");
        assert!(isdn.starts_with("04745f") && isdn.ends_with(";purpose=isdn-uui;encoding=hex;content=isdn-uui"), "{isdn}");
    }
}
