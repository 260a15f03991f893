//! The page itself: who, why and what next at the top, the rest below, the transcript folded away.

use baton_contract::{At, CallView, Context, Problem, TransferState, TransferView, Utterance};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::{Map, Value};

use super::STYLE;
use crate::text::{clean, number};

/// The longest single text on the page, in characters.
const TEXT_CHARS_MAX: usize = 2_000;

/// The most entries of one list on the page; of a transcript, the last ones.
const ENTRIES_MAX: usize = 200;

/// The page of a transfer.
pub(super) fn page(transfer: &TransferView, call: &CallView, context: &Context) -> Markup {
    let caller = context.caller.clone().unwrap_or_default();
    let name = caller.name.as_deref().or(caller.number.as_deref()).unwrap_or(&call.from);
    let about = [caller.role.as_deref(), caller.company.as_deref()];
    let about: Vec<String> = about.into_iter().flatten().map(text).collect();
    let body = html! {
        header {
            h1 { (text(name)) @if !about.is_empty() { small { (about.join(", ")) } } }
            span.state { (state(transfer)) }
        }
        (summary(transfer, context))
        @if let Some(next) = &context.next_step { section.next { h2 { "Next step" } p { (text(next)) } } }
        (facts(call, context))
        (mood(&context.sentiment))
        (list("Objections", context.objections.iter().map(|one| text(one))))
        (list("Done so far", context.actions.iter().map(|done| joined(&done.what, &done.result))))
        (list("Already written", context.writes.iter().map(|one| text(one))))
        (sources(context))
        (rest(&context.other))
        (transcript(&context.transcript))
        footer { "Call " (call.id) " · transfer " (transfer.id) " · requested " (hour(transfer.requested_at)) " UTC" }
    };
    whole(&text(name), &body)
}

/// The page that says why there is none.
pub(super) fn refusal(problem: &Problem) -> Markup {
    let body = html! { section { h1 { (text(&problem.title)) } p { (text(&problem.detail)) } } };
    whole(&text(&problem.title), &body)
}

fn whole(title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " · Baton" }
                style { (PreEscaped(STYLE)) }
            }
            body { main { (body) } }
        }
    }
}

fn text(raw: &str) -> String {
    clean(raw, TEXT_CHARS_MAX)
}

fn joined(what: &str, result: &str) -> String {
    if result.is_empty() { text(what) } else { format!("{}: {}", text(what), text(result)) }
}

fn state(transfer: &TransferView) -> String {
    let name = match (transfer.state, transfer.outcome) {
        (TransferState::Ended, Some(outcome)) => outcome.name(),
        (state, _) => state.name(),
    };
    name.replace('_', " ")
}

fn summary(transfer: &TransferView, context: &Context) -> Markup {
    let reason = context.reason.as_ref().or(transfer.reason.as_ref()).map(|reason| text(reason).replace('_', " "));
    let intent = context.intent.as_deref().map(|intent| text(intent).replace('_', " "));
    let why: Vec<String> = [intent, reason].into_iter().flatten().collect();
    html! {
        section.summary {
            p { @match &context.summary { Some(summary) => (text(summary)), None => "No summary was handed over." } }
            @if !why.is_empty() { p.why { (why.join(" · ")) } }
        }
    }
}

fn facts(call: &CallView, context: &Context) -> Markup {
    let caller = context.caller.clone().unwrap_or_default();
    let account = context.account.clone().unwrap_or_default();
    let signals = context.signals.clone().unwrap_or_default();
    let consent = context.consent.clone().unwrap_or_default();
    let said = |value: &Option<String>| value.as_deref().map(text);
    let facts = [
        ("Pain", said(&signals.pain)),
        ("Timeline", said(&signals.timeline)),
        ("Budget", said(&signals.budget)),
        ("Decides", context.decision_maker.map(yes_no)),
        ("Number", Some(caller.number.as_deref().map_or_else(|| text(&call.from), text))),
        ("Identity", caller.verified.map(|is_verified| if is_verified { "verified" } else { "not verified" }.to_owned())),
        ("Time zone", said(&caller.timezone)),
        ("Account", said(&account.id)),
        ("Tier", said(&account.tier)),
        ("Size", account.size.map(number)),
        ("Yearly revenue", account.arr.map(number)),
        ("Looked after by", account.assigned_ae.as_ref().map(|ae| text(ae.as_str()))),
        ("AI's confidence", context.confidence.map(|share| format!("{:.0} %", share * 100.0))),
        ("Knows it was an AI", consent.ai_disclosed.map(yes_no)),
        ("May be recorded", consent.recording.map(yes_no)),
        ("May be called", consent.call.map(yes_no)),
    ];
    let more = [&caller.other, &account.other, &signals.other, &consent.other];
    html! {
        section {
            dl {
                @for (name, value) in facts { @if let Some(value) = value { div { dt { (name) } dd { (value) } } } }
                @for (name, value) in more.into_iter().flatten().take(ENTRIES_MAX) { (fact(name, value)) }
            }
        }
    }
}

fn yes_no(yes: bool) -> String {
    if yes { "yes" } else { "no" }.to_owned()
}

fn fact(name: &str, value: &Value) -> Markup {
    let value = match value {
        Value::String(string) => text(string),
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            text(&other.to_string())
        }
    };
    html! { div { dt { (text(name).replace('_', " ")) } dd { (value) } } }
}

/// The caller's mood turn by turn, as a line from -1 to 1.
fn mood(turns: &[f64]) -> Markup {
    let turns: Vec<f64> = turns.iter().rev().take(ENTRIES_MAX).rev().map(|turn| turn.clamp(-1.0, 1.0)).collect();
    if turns.len() < 2 {
        return html! {};
    }
    let mut path = String::new();
    for (turn, x) in turns.iter().zip(0_u32..) {
        let y = if turn.is_finite() { 20.0 - turn * 16.0 } else { 20.0 };
        path.push_str(&format!("{}{} {y:.1}", if x == 0 { "M" } else { " L" }, x * 10));
    }
    let width = (turns.len() - 1) * 10;
    html! {
        section {
            h2 { "Mood, turn by turn" }
            svg.spark viewBox=(format!("-2 0 {} 40", width + 4)) preserveAspectRatio="none" role="img" aria-label="Sentiment over the call" {
                line x1="0" y1="20" x2=(width) y2="20" vector-effect="non-scaling-stroke" {}
                path d=(path) vector-effect="non-scaling-stroke" {}
            }
        }
    }
}

fn list(title: &str, entries: impl ExactSizeIterator<Item = String>) -> Markup {
    let count = entries.len();
    html! {
        @if count > 0 {
            section { h2 { (title) } ul { @for entry in entries.take(ENTRIES_MAX) { li { (entry) } } } }
        }
    }
}

fn sources(context: &Context) -> Markup {
    html! {
        @if !context.sources.is_empty() {
            section {
                h2 { "Sources" }
                ul {
                    @for source in context.sources.iter().take(ENTRIES_MAX) {
                        li {
                            @match source.url.as_deref().and_then(web_address) {
                                Some(url) => a href=(url) rel="noopener noreferrer nofollow" target="_blank" { (text(&source.title)) },
                                None => (text(&source.title)),
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The address, if following it can do nothing but open a web page.
fn web_address(url: &str) -> Option<String> {
    let is_web = ["https://", "http://"]
        .iter()
        .any(|scheme| url.get(..scheme.len()).is_some_and(|head| head.eq_ignore_ascii_case(scheme)));
    (is_web && !url.chars().any(char::is_control)).then(|| text(url))
}

fn rest(other: &Map<String, Value>) -> Markup {
    html! {
        @if !other.is_empty() {
            section { h2 { "Also known" } dl { @for (name, value) in other.iter().take(ENTRIES_MAX) { (fact(name, value)) } } }
        }
    }
}

fn transcript(lines: &[Utterance]) -> Markup {
    html! {
        @if !lines.is_empty() {
            details {
                summary { "Transcript (" (lines.len()) ")" }
                div.said {
                    @for line in &lines[lines.len().saturating_sub(ENTRIES_MAX)..] {
                        p.caller[line.who == "caller"] {
                            @if let Some(at) = line.at { time { (hour(at)) } }
                            b { (text(&line.who)) } (text(&line.text))
                        }
                    }
                }
            }
        }
    }
}

/// The time of day, in UTC.
fn hour(at: At) -> String {
    at.to_string().get(11..19).unwrap_or_default().to_owned()
}
