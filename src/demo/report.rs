//! The result of a run: a table for people, one JSON object for machines.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::checks::Finding;
use super::daemon::Addresses;
use super::evidence::Evidence;
use super::story::Story;

/// The budget's targets, in milliseconds, beside each stage.
const TARGETS_MS: [(&str, u64); 4] = [("start", 500), ("ringing", 2_000), ("accept", 20_000), ("total", 30_000)];

/// What the figures of the gaps leave out.
pub(crate) const STANDSTILLS: &str =
    "bridge and worst gap leave out the moments in which this machine stood still or was busy with others";

/// How one story came out.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Outcome {
    /// Its name.
    pub(crate) name: &'static str,
    /// The transfer's outcome.
    pub(crate) outcome: Option<String>,
    /// The transfer's stages.
    pub(crate) stages_ms: Value,
    /// From the bridge to the AI's BYE, by the API.
    pub(crate) ai_drop_ms: Option<u64>,
    /// The longest time without a packet at the caller around the bridge.
    pub(crate) bridge_gap_ms: Option<f64>,
    /// The longest time without a packet at the caller in the whole call.
    pub(crate) worst_gap_ms: Option<f64>,
    /// Every check.
    pub(crate) findings: Vec<Finding>,
}

impl Outcome {
    /// Draws the figures out of a story's evidence.
    pub(crate) fn of(evidence: &Evidence, findings: Vec<Finding>) -> Outcome {
        let transfer = evidence.book.transfer.clone().unwrap_or_default();
        let millis = |(gap, _): (Duration, _)| (gap.as_micros() as f64 / 100.0).round() / 10.0;
        let around = |half: u64| {
            let (bridged, half) = (evidence.accepted()?, Duration::from_millis(half));
            evidence.worst_gap(evidence.caller()?, bridged - half, bridged + half)
        };
        let whole = || {
            let caller = evidence.caller()?;
            let (first, last) = (caller.record.rtp_received.first()?.at, caller.record.rtp_received.last()?.at);
            evidence.worst_gap(caller, first, last)
        };
        Outcome {
            name: evidence.story.name,
            outcome: evidence.outcome().map(str::to_owned),
            stages_ms: transfer.get("stages_ms").cloned().unwrap_or_else(|| json!({})),
            ai_drop_ms: transfer["ai_drop_ms"].as_u64(),
            bridge_gap_ms: evidence.bridged().and_then(|_| around(300)).map(millis),
            worst_gap_ms: whole().map(millis),
            findings,
        }
    }

    /// Whether every check held.
    pub(crate) fn ok(&self) -> bool {
        !self.findings.is_empty() && self.findings.iter().all(|finding| finding.ok)
    }

    /// The names of the checks that did not.
    pub(crate) fn failed(&self) -> Vec<&'static str> {
        self.findings.iter().filter(|finding| !finding.ok).map(|finding| finding.check).collect()
    }
}

/// The object that `--json` prints.
pub(crate) fn json(outcomes: &[Outcome]) -> Value {
    let stories: Vec<Value> = outcomes
        .iter()
        .map(|story| {
            json!({
                "name": story.name,
                "ok": story.ok(),
                "outcome": story.outcome,
                "stages_ms": story.stages_ms,
                "ai_drop_ms": story.ai_drop_ms,
                "bridge_gap_ms": story.bridge_gap_ms,
                "worst_gap_ms": story.worst_gap_ms,
                "failed": story.failed(),
            })
        })
        .collect();
    json!({"ok": outcomes.iter().all(Outcome::ok), "stories": stories})
}

/// The table that people see.
pub(crate) fn table(outcomes: &[Outcome], out: &Path, sabotage: Option<&str>) -> String {
    let mut text = format!("\n{:<13} {:<20}", "story", "outcome");
    for (stage, _) in TARGETS_MS {
        text.push_str(&format!(" {stage:>9}"));
    }
    text.push_str(&format!(" {:>9} {:>9} {:>9}  checks\n", "AI drop", "bridge", "worst gap"));
    text.push_str(&format!("{:<13} {:<20}", "", "budget: target"));
    for (_, target) in TARGETS_MS {
        text.push_str(&format!(" {:>9}", millis(Some(target as f64))));
    }
    text.push_str(&format!(" {:>9} {:>9} {:>9}\n", "60 ms", "", "22 ms"));
    for story in outcomes {
        text.push_str(&format!("{:<13} {:<20}", story.name, story.outcome.as_deref().unwrap_or("none")));
        for (stage, _) in TARGETS_MS {
            text.push_str(&format!(" {:>9}", millis(story.stages_ms[stage].as_f64())));
        }
        let gaps = [story.ai_drop_ms.map(|ms| ms as f64), story.bridge_gap_ms, story.worst_gap_ms].map(millis);
        let held = story.findings.iter().filter(|finding| finding.ok).count();
        let verdict = if story.ok() { "ok" } else { "FAILED" };
        text.push_str(&format!(" {:>9} {:>9} {:>9}  {held}/{} {verdict}\n", gaps[0], gaps[1], gaps[2], story.findings.len()));
    }
    text.push_str(&format!("{:<13} {STANDSTILLS}\n\n", ""));
    for story in outcomes {
        for finding in story.findings.iter().filter(|finding| !finding.ok) {
            text.push_str(&format!("{}: {} failed: {}\n", story.name, finding.check, finding.says));
        }
    }
    let ok = outcomes.iter().all(Outcome::ok);
    match (sabotage, ok) {
        (Some(name), true) => text.push_str(&format!("Sabotage {name} was not caught by any check.\n")),
        (Some(name), false) => text.push_str(&format!("Sabotage {name} was caught by: {}.\n", caught_by(outcomes))),
        (None, true) => text.push_str(&format!("All stories ok. Look and listen: {}\n", out.join("index.html").display())),
        (None, false) => text.push_str(&format!("Not all checks held. Look and listen: {}\n", out.join("index.html").display())),
    }
    text
}

fn caught_by(outcomes: &[Outcome]) -> String {
    let mut names: Vec<&str> = outcomes.iter().flat_map(Outcome::failed).collect();
    names.sort_unstable();
    names.dedup();
    names.join(", ")
}

fn millis(figure: Option<f64>) -> String {
    match figure {
        None => "-".to_owned(),
        Some(ms) if ms >= 10_000.0 => format!("{:.1} s", ms / 1_000.0),
        Some(ms) if ms.fract() == 0.0 => format!("{ms:.0} ms"),
        Some(ms) => format!("{ms:.1} ms"),
    }
}

/// What `--serve` says at the end.
pub(crate) fn how_to_call(at: &Addresses, process: u32, stories: &[Story], directory: &Path) -> String {
    let phones: Vec<&str> = stories.iter().flat_map(|story| story.aes.iter().map(|ae| ae.id)).collect();
    format!(
        "\nThe daemon is still running (process {process}).\n  \
         SIP:   call sip:anything@{} from a softphone on this machine; the AI is to answer at {}\n  \
         API:   curl http://{}/v1/calls\n  \
         AEs:   {}; their addresses are in {}\n  \
         stop:  kill {process}\n",
        at.sip,
        at.ai,
        at.http,
        phones.join(", "),
        directory.join("baton.toml").display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(ok: bool) -> Outcome {
        Outcome {
            name: "warm",
            outcome: Some("bridged".to_owned()),
            stages_ms: json!({"start": 3, "ringing": 210, "accept": 9_480, "total": 9_820}),
            ai_drop_ms: Some(14),
            bridge_gap_ms: Some(20.4),
            worst_gap_ms: Some(20.9),
            findings: vec![Finding { check: "silence-at-caller", ok, says: "1,200 ms".to_owned() }],
        }
    }

    #[test]
    fn the_json_is_as_promised() {
        let value = json(&[outcome(true), outcome(false)]);
        assert_eq!(value["ok"], false);
        assert_eq!(value["stories"][0]["failed"], json!([]));
        assert_eq!(value["stories"][1]["failed"], json!(["silence-at-caller"]));
        assert_eq!(value["stories"][0]["stages_ms"]["total"], 9_820);
        for key in ["name", "ok", "outcome", "stages_ms", "ai_drop_ms", "bridge_gap_ms", "failed"] {
            assert!(value["stories"][0].get(key).is_some(), "{key}");
        }
    }

    #[test]
    fn the_table_names_what_failed_and_what_caught_a_sabotage() {
        let good = table(&[outcome(true)], Path::new("demo-out"), None);
        assert!(good.contains("bridged") && good.contains("210 ms") && good.contains("All stories ok"));
        let bad = table(&[outcome(false)], Path::new("demo-out"), Some("silence"));
        assert!(bad.contains("silence-at-caller failed: 1,200 ms") && bad.contains("caught by: silence-at-caller"));
        assert!(table(&[outcome(true)], Path::new("demo-out"), Some("silence")).contains("not caught"));
    }

    #[test]
    fn a_story_without_any_finding_is_not_ok() {
        assert!(!Outcome { findings: Vec::new(), ..outcome(true) }.ok());
    }
}
