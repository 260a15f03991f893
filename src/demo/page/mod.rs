//! `index.html`: one page that needs nothing beside it, made to be looked at and listened to.

mod audio;
mod ladder;
mod lanes;
mod waterfall;

use baton_time::{Mono, Now};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::checks::Finding;
use super::evidence::{Evidence, Part};
use super::report::{Outcome, STANDSTILLS};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Writes the page of a run.
pub(crate) fn render(stories: &[Evidence], outcomes: &[Outcome], start: Now) -> String {
    let ok = outcomes.iter().all(Outcome::ok);
    let checks: usize = outcomes.iter().map(|story| story.findings.len()).sum();
    let held: usize = outcomes.iter().flat_map(|story| &story.findings).filter(|finding| finding.ok).count();
    let when = jiff::Timestamp::from_microsecond(start.wall.as_micros()).unwrap_or_default();
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "Baton demo" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { "Baton" span.sub { "hands a caller from a voice AI to a human" } }
                    p.verdict.bad[!ok] {
                        @if ok { "All " (outcomes.len()) " stories ok" } @else { "Not all checks held" }
                        span.small { (held) " of " (checks) " checks · " (when.strftime("%Y-%m-%d %H:%M:%S UTC")) " · baton " (env!("CARGO_PKG_VERSION")) }
                    }
                    p.lead {
                        "Each story below is a phone call that has just taken place on this machine: a real daemon, real SIP and RTP over UDP, and people "
                        "made of scripts. Everything that is shown was taken from the packets that the people received. Put on headphones: what "
                        "somebody says is on the left, what they hear is on the right."
                    }
                }
                (overview(outcomes))
                @for (index, (evidence, outcome)) in stories.iter().zip(outcomes).enumerate() { (story(evidence, outcome, index == 0)) }
                footer { "The same in files beside this page: recordings as WAV, demo.pcapng for Wireshark, events.jsonl, baton.toml." }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    page.into_string()
}

fn overview(outcomes: &[Outcome]) -> Markup {
    let stage = |story: &Outcome, name: &str| millis(story.stages_ms[name].as_f64());
    html! {
        div.scroll {
            table.overview {
                thead {
                    tr { th { "story" } th { "outcome" } @for word in ["start", "ringing", "accept", "total", "AI drop", "gap at bridge", "worst gap"] { th.number { (word) } } th { "checks" } }
                    tr.target { td { "budget" } td { "target" } @for word in ["500 ms", "2 s", "20 s", "30 s", "60 ms", "22 ms", "22 ms"] { td.number { (word) } } td {} }
                }
                tbody {
                    @for story in outcomes {
                        tr {
                            td { a href={ "#" (story.name) } { (story.name) } }
                            td { (story.outcome.as_deref().unwrap_or("none").replace('_', " ")) }
                            @for name in ["start", "ringing", "accept", "total"] { td.number { (stage(story, name)) } }
                            td.number { (millis(story.ai_drop_ms.map(|ms| ms as f64))) }
                            td.number { (millis(story.bridge_gap_ms)) }
                            td.number { (millis(story.worst_gap_ms)) }
                            td { @if story.ok() { span.good { "✓ " (story.findings.len()) } } @else { span.failed { "✗ " (story.failed().join(", ")) } } }
                        }
                    }
                }
            }
        }
        p.small { (STANDSTILLS) "." }
    }
}

fn story(evidence: &Evidence, outcome: &Outcome, first: bool) -> Markup {
    let span = Span::of(evidence);
    html! {
        section id=(evidence.story.name) {
            h2 { (evidence.story.name) span.sub { (evidence.story.title) } @if outcome.ok() { span.pill.good { "ok" } } @else { span.pill.failed { "failed" } } }
            p { (evidence.story.tells) }
            div.grid {
                div.card { h3 { "Listen" } (audio::players(evidence, span)) }
                div.card { h3 { "What was said" } (said(evidence, span)) }
            }
            div.card { h3 { "Who hears what" } (lanes::draw(evidence, span)) }
            div.card { h3 { "The budget" } (waterfall::draw(evidence)) }
            details.card open[!outcome.ok()] { summary { "Checks" } (checks(&outcome.findings)) }
            details.card open[first] { summary { "SIP" } (ladder::draw(evidence, span)) }
        }
    }
}

fn checks(findings: &[Finding]) -> Markup {
    html! {
        ul.checks {
            @for finding in findings {
                li.bad[!finding.ok] { span.mark { @if finding.ok { "✓" } @else { "✗" } } b { (finding.check) } " " (finding.says) }
            }
        }
    }
}

/// Every line that was spoken, when it ended, by whom.
fn said(evidence: &Evidence, span: Span) -> Markup {
    let mut lines: Vec<(Mono, &Part, &str, &str)> = Vec::new();
    for part in &evidence.parts {
        for (at, note) in &part.record.notes {
            if let Some((text, speaker, _)) = crate::voice::lines::line(note) {
                lines.push((*at, part, speaker, text));
            }
        }
    }
    lines.sort_by_key(|(at, ..)| *at);
    html! {
        ol.said {
            @for (at, part, speaker, text) in lines {
                li { button data-at=(format!("{:.2}", (span.seconds(at) - 2.0).max(0.0))) { (clock(span.seconds(at))) } span class={ "who " (colour(part)) } { (speaker) } " " (text) }
            }
        }
    }
}

/// The time that a story's pictures show.
#[derive(Debug, Clone, Copy)]
struct Span {
    from: Mono,
    to: Mono,
}

impl Span {
    fn of(evidence: &Evidence) -> Span {
        let seen = || evidence.parts.iter().flat_map(|part| &part.record.sip).map(|seen| seen.at);
        let (from, to) = (seen().min().unwrap_or_default(), seen().max().unwrap_or_default());
        Span { from, to: to.max(from + std::time::Duration::from_secs(1)) }
    }

    fn seconds(self, at: Mono) -> f64 {
        at.since(self.from).as_secs_f64()
    }

    fn length(self) -> f64 {
        self.seconds(self.to)
    }

    /// Where an instant lies, from 0 to `width`.
    fn place(self, at: Mono, width: f64) -> f64 {
        (self.seconds(at) / self.length()).clamp(0.0, 1.0) * width
    }
}

/// The name of a party, as people say it.
fn name(part: &Part) -> String {
    match part.role.file_name().as_str() {
        "caller" => "Caller".to_owned(),
        "ai" => "AI".to_owned(),
        "ai-again" => "AI again".to_owned(),
        ae => ae
            .trim_start_matches("ae-")
            .chars()
            .enumerate()
            .map(|(at, c)| if at == 0 { c.to_ascii_uppercase() } else { c })
            .collect(),
    }
}

/// The colour class of a party.
fn colour(part: &Part) -> &'static str {
    match part.role.file_name().as_str() {
        "caller" => "caller",
        "ai" | "ai-again" => "ai",
        "ae-sara" => "backup",
        _ => "ae",
    }
}

fn clock(seconds: f64) -> String {
    format!("{}:{:04.1}", (seconds / 60.0) as u64, seconds % 60.0)
}

fn millis(figure: Option<f64>) -> String {
    match figure {
        None => "–".to_owned(),
        Some(ms) if ms >= 1_000.0 => format!("{:.1} s", ms / 1_000.0),
        Some(ms) if ms.fract() == 0.0 => format!("{ms:.0} ms"),
        Some(ms) => format!("{ms:.1} ms"),
    }
}

/// A number for an SVG attribute.
fn figure(number: f64) -> String {
    format!("{number:.1}")
}

#[cfg(test)]
mod tests {
    use baton_time::Wall;

    use super::*;
    use crate::demo::checks::{self, tests::good_evidence};

    fn page(spoil: impl FnOnce(&mut Evidence)) -> String {
        let mut evidence = good_evidence();
        spoil(&mut evidence);
        let outcome = Outcome::of(&evidence, checks::run(&evidence));
        render(&[evidence], &[outcome], Now { mono: Mono::ZERO, wall: Wall::from_seconds(1_767_225_600) })
    }

    #[test]
    fn the_page_needs_nothing_beside_it_and_shows_what_was_found() {
        let page = page(|_| {});
        for outside in ["src=\"http", "href=\"http", "url(http", "@import"] {
            assert!(!page.contains(outside), "{outside}");
        }
        assert_eq!(page.matches("data:audio/wav;base64,").count(), 3);
        assert!(page.contains("All 1 stories ok") && page.contains("class=\"lanes\"") && page.contains("class=\"ladder\""));
    }

    #[test]
    fn what_comes_from_outside_is_escaped() {
        let page = page(|evidence| evidence.book.troubles.push("<script>alert(1)</script>".to_owned()));
        assert!(page.contains("&lt;script&gt;alert") && !page.contains("<script>alert"));
        assert!(page.contains("Not all checks held"));
    }
}
