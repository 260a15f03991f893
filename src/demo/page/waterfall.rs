//! Where the time of a transfer went, against the budget.

use baton_time::Mono;
use maud::{Markup, html};

use super::{figure, millis};
use crate::demo::evidence::Evidence;

const WIDTH: f64 = 960.0;
const LEFT: f64 = 110.0;
const RIGHT: f64 = 190.0;
const ROW: f64 = 30.0;

/// A stretch of a transfer.
struct Bar {
    name: String,
    from: Mono,
    to: Mono,
    target_ms: Option<f64>,
    worst_ms: Option<f64>,
}

pub(super) fn draw(evidence: &Evidence) -> Markup {
    let Some(asked) = evidence.asked() else { return html! { p { "No transfer was asked for." } } };
    let bars = bars(evidence, asked);
    let longest = bars.iter().map(|bar| bar.to.since(asked).as_secs_f64()).fold(3.0, f64::max) * 1.08;
    let scale = (WIDTH - LEFT - RIGHT) / longest;
    let x = |at: Mono| LEFT + at.since(asked).as_secs_f64() * scale;
    let limit = |bar: &Bar, ms: f64| Some(x(bar.from) + ms / 1_000.0 * scale).filter(|x| *x < WIDTH - RIGHT);
    let height = bars.len() as f64 * ROW + 34.0;
    html! {
        div.scroll {
            svg.waterfall viewBox={ "0 0 " (WIDTH) " " (height) } role="img" {
                title { "The stages of the transfer against the budget" }
                @for second in 0..=longest as u64 {
                    @let x = figure(LEFT + second as f64 * scale);
                    line.grid x1=(x) x2=(x) y1="4" y2=(figure(height - 24.0)) {}
                    @if longest < 20.0 || second % 5 == 0 { text.tick x=(x) y=(figure(height - 8.0)) { (second) " s" } }
                }
                @for (row, bar) in bars.iter().enumerate() {
                    @let top = row as f64 * ROW + 8.0;
                    @let took = bar.to.since(bar.from).as_micros() as f64 / 1_000.0;
                    @let class = verdict(bar, took);
                    text.label x="0" y=(figure(top + 15.0)) { (bar.name) }
                    rect class={ "stage " (class) } x=(figure(x(bar.from))) y=(figure(top)) width=(figure((x(bar.to) - x(bar.from)).max(2.0))) height="20" rx="3" {}
                    @for (ms, kind) in [(bar.target_ms, "target"), (bar.worst_ms, "worst")] {
                        @if let Some(x) = ms.and_then(|ms| limit(bar, ms)) {
                            line class={ "limit " (kind) } x1=(figure(x)) x2=(figure(x)) y1=(figure(top - 3.0)) y2=(figure(top + 23.0)) {}
                        }
                    }
                    text.took x=(figure(WIDTH - RIGHT + 10.0)) y=(figure(top + 15.0)) {
                        (millis(Some(if took < 100.0 { took } else { took.round() })))
                        @if let Some(target) = bar.target_ms { tspan.of { " of " (millis(Some(target))) } }
                    }
                }
            }
        }
    }
}

fn verdict(bar: &Bar, took: f64) -> &'static str {
    match (bar.target_ms, bar.worst_ms) {
        (_, Some(worst)) if took > worst => "over",
        (Some(target), _) if took > target => "late",
        (None, None) => "plain",
        (_, _) => "within",
    }
}

/// The stages, from the parties' own clocks: INVITE and ringing as the AE saw them, the key, and the AE's voice at the caller.
fn bars(evidence: &Evidence, asked: Mono) -> Vec<Bar> {
    let mut bars = Vec::new();
    let mut bar = |name: &str, from: Option<Mono>, to: Option<Mono>, target_ms: Option<f64>, worst_ms: Option<f64>| {
        if let (Some(from), Some(to)) = (from, to) {
            bars.push(Bar { name: name.to_owned(), from, to: to.max(from), target_ms, worst_ms });
        }
    };
    let mut before = Some(asked);
    for ae in evidence.aes() {
        let name = ae.role.file_name().replace("ae-", "");
        let invited = ae.saw("INVITE", false);
        bar(&format!("start: {name}"), before, invited, Some(500.0), Some(1_000.0));
        bar(&format!("ringing: {name}"), invited, ae.noted("rings"), Some(2_000.0), Some(5_000.0));
        let gone = ae.saw("CANCEL", false).or(ae.saw("486 Busy Here", true));
        let decided = ae.noted("accepts").or(ae.noted("declines")).or(gone);
        bar(&format!("accept: {name}"), ae.noted("rings"), ae.noted("accepts"), Some(20_000.0), Some(60_000.0));
        if ae.noted("accepts").is_none() {
            bar(&format!("rang: {name}"), ae.noted("rings"), decided, None, None);
        }
        before = decided;
    }
    bar("bridge", evidence.accepted(), evidence.bridged(), Some(25.0), None);
    let picks = evidence.caller().and_then(|caller| caller.noted("picks"));
    bar("callback", picks, evidence.event("callback.scheduled").map(|event| event.at), None, None);
    let end = evidence.bridged().or(evidence.event("transfer.ended").map(|event| event.at)).or(evidence.parted());
    bar("total", Some(asked), end, Some(30_000.0), Some(90_000.0));
    bars
}
