//! The measures of interface names, counted from events and gauges and shown as Prometheus text.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use baton_contract::{Event, EventKind, LegRole};
use baton_transfer::AeSettings;
use serde_json::Value;

use crate::latency::{Latencies, Quantile};

/// Upper bounds of histogram buckets, in seconds.
const BUCKETS: [f64; 14] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 5.0, 20.0, 30.0, 90.0];

/// Every metric family: name, kind, help. A value under a name that is not in here is a bug.
const FAMILIES: [(&str, &str, &str); 37] = [
    ("baton_calls_active", "gauge", "Legs that are up, by role"),
    ("baton_transfers_total", "counter", "Transfers that have ended"),
    ("baton_transfer_stage_seconds", "histogram", "Time spent in each stage of the budget"),
    ("baton_stage_quantile_seconds", "gauge", "Stages of the last 200 transfers that reached a human: median and 95th of 100"),
    ("baton_time_to_human_seconds", "histogram", "From the decision to the human on the line"),
    ("baton_budget_missed_total", "counter", "Limits of the budget that were missed"),
    ("baton_attempts_total", "counter", "Attempts by how they came out"),
    ("baton_ae", "gauge", "AEs by what they are doing"),
    ("baton_callbacks", "gauge", "Callbacks by how far they have come"),
    ("baton_payload_completeness_ratio", "gauge", "Share of the payload's main fields that the last transfer had"),
    ("baton_ai_drop_seconds", "histogram", "From the bridge to the end of the AI leg"),
    ("baton_bridge_gap_seconds", "histogram", "Longest gap between packets to the caller at a cut-over"),
    ("baton_rtp_packets_total", "counter", "RTP packets"),
    ("baton_rtp_ports", "gauge", "Pairs of RTP ports: bound, in stock at the media threads, free for a next leg"),
    ("baton_sip_sessions", "gauge", "SIP sessions that are not forgotten yet"),
    ("baton_sip_transactions", "gauge", "SIP transactions that are not forgotten yet"),
    ("baton_sip_messages_total", "counter", "SIP messages"),
    ("baton_sip_rejected_total", "counter", "SIP requests that were refused at the door"),
    ("baton_sip_connections", "gauge", "Open streams of SIP by transport and by who has opened them"),
    ("baton_tls_certificate_ends_seconds", "gauge", "When a certificate of ours ends, in Unix time"),
    ("baton_trunk_channels", "gauge", "Channels of a trunk: used, max, reserve"),
    ("baton_trunk_full_total", "counter", "Calls that a trunk had no room for"),
    ("baton_trunk_up", "gauge", "1 while a trunk answers OPTIONS, 0 while it does not"),
    ("baton_trunk_registered", "gauge", "1 while Baton is registered with a trunk, 0 while it is not"),
    ("baton_phones_registered", "gauge", "AEs whose phone has registered"),
    ("baton_store_commit_seconds", "histogram", "From handing a commit to the store to its acknowledgement"),
    ("baton_events_lost_total", "counter", "Events that the store has refused for good: nobody hears of them"),
    ("baton_webhooks_total", "counter", "Webhook deliveries"),
    ("baton_recordings_total", "counter", "Tracks of recordings by how they came out"),
    ("baton_recording_packets_lost_total", "counter", "Packets that are missing in recordings"),
    ("baton_transcripts_total", "counter", "Transcripts of voicemails"),
    ("baton_capture_messages_total", "counter", "SIP messages for those who look on, by what became of them"),
    ("baton_spans_total", "counter", "Spans of traces by what became of them"),
    ("baton_draining", "gauge", "1 while no new calls are taken"),
    ("baton_build_info", "gauge", "Always 1; the version is a label"),
    ("baton_journal_seconds", "histogram", "What writing a step of a call down takes the engine, and the writer"),
    ("baton_engine_lag_seconds", "histogram", "How late the engine woke for a deadline"),
];

/// All counters, gauges and histograms of the process.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    values: BTreeMap<(&'static str, String), f64>,
    histograms: BTreeMap<(&'static str, String), Histogram>,
    latencies: Latencies,
}

#[derive(Debug, Default, Clone)]
struct Histogram {
    counts: [u64; BUCKETS.len()],
    sum: f64,
    count: u64,
}

impl Metrics {
    /// Starts with what is known from the beginning.
    pub(crate) fn new() -> Metrics {
        let mut metrics = Metrics::default();
        metrics.set("baton_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1.0);
        metrics.set("baton_draining", &[], 0.0);
        metrics
    }

    /// The same, for these AEs.
    pub(crate) fn with_roster(aes: &[AeSettings]) -> Metrics {
        let mut metrics = Metrics::new();
        metrics.set_roster(aes);
        metrics
    }

    /// From now on these are the AEs, each with latencies of their own.
    pub(crate) fn set_roster(&mut self, aes: &[AeSettings]) {
        self.latencies.set_roster(aes);
        self.values.retain(|(name, _), _| *name != "baton_stage_quantile_seconds");
        let shown = self.latencies.all();
        self.show_latencies(shown);
    }

    fn show_latencies(&mut self, shown: Vec<Quantile>) {
        for Quantile { of, name, stage, quantile, seconds } in shown {
            let labels = [("of", of), ("name", &name), ("stage", &stage), ("quantile", quantile)];
            self.set("baton_stage_quantile_seconds", &labels, seconds);
        }
    }

    /// Adds to a counter.
    pub(crate) fn add(&mut self, name: &'static str, labels: &[(&str, &str)], by: f64) {
        *self.values.entry((name, label_text(labels))).or_default() += by;
    }

    /// Sets a gauge, or a counter that is counted elsewhere.
    pub(crate) fn set(&mut self, name: &'static str, labels: &[(&str, &str)], to: f64) {
        self.values.insert((name, label_text(labels)), to);
    }

    /// Counts one duration.
    pub(crate) fn observe(&mut self, name: &'static str, labels: &[(&str, &str)], seconds: f64) {
        let histogram = self.histograms.entry((name, label_text(labels))).or_default();
        histogram.count += 1;
        histogram.sum += seconds;
        for (bound, count) in BUCKETS.iter().zip(&mut histogram.counts) {
            *count += u64::from(seconds <= *bound);
        }
    }

    /// Counts what an event says.
    pub(crate) fn on_event(&mut self, event: &Event) {
        let text = |key: &str| event.data.get(key).and_then(Value::as_str).unwrap_or("none").to_owned();
        match event.kind {
            EventKind::TransferEnded | EventKind::Bridged => self.on_transfer(event),
            EventKind::BudgetMissed => {
                self.add("baton_budget_missed_total", &[("stage", &text("stage")), ("limit", &text("limit"))], 1.0);
            }
            EventKind::AttemptFailed => self.add("baton_attempts_total", &[("result", &text("outcome"))], 1.0),
            EventKind::Accepted => self.add("baton_attempts_total", &[("result", "accepted")], 1.0),
            EventKind::TransferRequested => {
                if let Some(ratio) = event.data.get("payload_completeness").and_then(Value::as_f64) {
                    self.set("baton_payload_completeness_ratio", &[], ratio);
                }
            }
            EventKind::CallStarted
            | EventKind::CallEnded
            | EventKind::DriverChanged
            | EventKind::Texted
            | EventKind::AttemptStarted
            | EventKind::Ringing
            | EventKind::Answered
            | EventKind::BriefingStarted
            | EventKind::CallbackScheduled
            | EventKind::CallbackReminded
            | EventKind::CallbackKept
            | EventKind::CallbackMissed
            | EventKind::CallbackTried
            | EventKind::CallbackMoved
            | EventKind::CallbackCancelled
            | EventKind::PresenceChanged
            | EventKind::Transcribed
            | EventKind::FeedbackReceived => {}
        }
    }

    /// `transfer.ended` carries the transfer; it comes once for each, bridged or not.
    fn on_transfer(&mut self, event: &Event) {
        if event.kind != EventKind::TransferEnded {
            return;
        }
        let text = |key: &str| event.data.get(key).and_then(Value::as_str).unwrap_or("none");
        let reason = known_reason(text("reason"));
        self.add("baton_transfers_total", &[("mode", text("mode")), ("reason", reason), ("outcome", text("outcome"))], 1.0);
        let seconds = |value: &Value| value.as_f64().map(|ms| ms / 1_000.0);
        let stages = event.data.get("stages_ms").and_then(Value::as_object);
        for (stage, value) in stages.into_iter().flatten() {
            if let Some(seconds) = seconds(value) {
                self.observe("baton_transfer_stage_seconds", &[("stage", stage)], seconds);
                if stage == "total" && text("outcome") == "bridged" {
                    self.observe("baton_time_to_human_seconds", &[], seconds);
                }
            }
        }
        if text("outcome") == "bridged" {
            let shown = self.latencies.take(&event.data);
            self.show_latencies(shown);
        }
        if let Some(seconds) = event.data.get("ai_drop_ms").and_then(seconds) {
            self.observe("baton_ai_drop_seconds", &[], seconds);
        }
    }

    /// Puts in what is counted elsewhere.
    pub(crate) fn show(&mut self, snapshot: &crate::engine::Snapshot, draining: bool) {
        self.set("baton_draining", &[], f64::from(u8::from(draining)));
        for (role, count) in &snapshot.gauges.legs {
            let name = match role {
                LegRole::Caller => "caller",
                LegRole::Ai => "ai",
                LegRole::Ae => "ae",
            };
            self.set("baton_calls_active", &[("leg", name)], whole(*count));
        }
        for (kind, count) in &snapshot.sip {
            let code = kind.code.to_string();
            let labels = [("method", kind.method), ("code", code.as_str()), ("direction", kind.direction.name())];
            self.set("baton_sip_messages_total", &labels, exact(*count));
        }
        for (reason, count) in &snapshot.rejected {
            self.set("baton_sip_rejected_total", &[("reason", reason)], exact(*count));
        }
        for (transport, opened_by, count) in &snapshot.streams {
            self.set("baton_sip_connections", &[("transport", transport), ("opened_by", opened_by)], exact(*count));
        }
        for (file, end) in &snapshot.certificates {
            self.set("baton_tls_certificate_ends_seconds", &[("file", file)], *end as f64);
        }
        for (fate, direction, count) in &snapshot.rtp {
            self.set("baton_rtp_packets_total", &[("direction", direction), ("fate", fate)], exact(*count));
        }
        if let Some(counts) = snapshot.recordings {
            self.set("baton_recordings_total", &[("result", "written")], exact(counts.written));
            self.set("baton_recordings_total", &[("result", "failed")], exact(counts.failed));
            self.set("baton_recording_packets_lost_total", &[], exact(counts.lost));
        }
        for (result, count) in &snapshot.captured {
            self.set("baton_capture_messages_total", &[("result", result)], exact(*count));
        }
        for state in ["available", "dnd", "away", "off_hours", "offered", "on_call", "wrap_up"] {
            let count = snapshot.gauges.aes.iter().find(|(held, _)| name_of(held) == state).map_or(0, |(_, count)| *count);
            self.set("baton_ae", &[("state", state)], whole(count));
        }
        for state in ["scheduled", "cancelled", "running", "kept", "missed"] {
            let count = snapshot.gauges.callbacks.iter().find(|(held, _)| name_of(held) == state).map_or(0, |(_, count)| *count);
            self.set("baton_callbacks", &[("state", state)], whole(count));
        }
        self.set("baton_phones_registered", &[], whole(snapshot.gauges.phones));
        let (bound, stock) = snapshot.ports;
        for (state, count) in [("bound", bound), ("stock", stock), ("free", snapshot.gauges.ports_free)] {
            self.set("baton_rtp_ports", &[("state", state)], whole(count));
        }
        self.set("baton_sip_sessions", &[], whole(snapshot.gauges.sessions));
        self.set("baton_sip_transactions", &[], whole(snapshot.gauges.transactions));
        self.show_trunks(&snapshot.gauges.trunks);
    }

    fn show_trunks(&mut self, trunks: &[baton_switchboard::TrunkGauge]) {
        for trunk in trunks {
            let channels = [("used", Some(trunk.used)), ("max", trunk.channels), ("reserve", Some(trunk.reserve))];
            for (state, count) in channels.into_iter().filter_map(|(state, count)| Some((state, count?))) {
                self.set("baton_trunk_channels", &[("trunk", &trunk.name), ("state", state)], f64::from(count));
            }
            let state = match trunk.state {
                baton_contract::PeerState::Up => Some(1.0),
                baton_contract::PeerState::Down => Some(0.0),
                baton_contract::PeerState::Unknown => None,
            };
            let registered = trunk.registered.map(|registered| f64::from(u8::from(registered)));
            for (name, value) in [("baton_trunk_up", state), ("baton_trunk_registered", registered)] {
                if let Some(value) = value {
                    self.set(name, &[("trunk", &trunk.name)], value);
                }
            }
            for (reason, count) in [("channels", trunk.full_channels), ("cps", trunk.full_rate)] {
                self.set("baton_trunk_full_total", &[("trunk", &trunk.name), ("reason", reason)], exact(count));
            }
        }
    }

    /// The whole as Prometheus text.
    pub(crate) fn render(&self) -> String {
        let mut text = String::new();
        for (name, kind, help) in FAMILIES {
            let values: Vec<_> = self.values.iter().filter(|((held, _), _)| *held == name).collect();
            let histograms: Vec<_> = self.histograms.iter().filter(|((held, _), _)| *held == name).collect();
            if values.is_empty() && histograms.is_empty() {
                continue;
            }
            push(&mut text, format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
            for ((_, labels), value) in values {
                push(&mut text, format_args!("{name}{} {value}\n", braced(labels)));
            }
            for ((_, labels), histogram) in histograms {
                histogram.render(&mut text, name, labels);
            }
        }
        text
    }
}

impl Histogram {
    fn render(&self, text: &mut String, name: &str, labels: &str) {
        let comma = if labels.is_empty() { "" } else { "," };
        for (bound, count) in BUCKETS.iter().zip(&self.counts) {
            push(text, format_args!("{name}_bucket{{{labels}{comma}le=\"{bound}\"}} {count}\n"));
        }
        push(text, format_args!("{name}_bucket{{{labels}{comma}le=\"+Inf\"}} {}\n", self.count));
        push(text, format_args!("{name}_sum{} {}\n{name}_count{} {}\n", braced(labels), self.sum, braced(labels), self.count));
    }
}

/// The name that a state has in JSON.
fn name_of(state: &impl serde::Serialize) -> String {
    serde_json::to_value(state).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn whole(count: usize) -> f64 {
    exact(count as u64)
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn exact(count: u64) -> f64 {
    count as f64
}

fn push(text: &mut String, what: std::fmt::Arguments<'_>) {
    text.write_fmt(what).expect("writing into a String cannot fail");
}

fn braced(labels: &str) -> String {
    if labels.is_empty() { String::new() } else { format!("{{{labels}}}") }
}

fn label_text(labels: &[(&str, &str)]) -> String {
    let one = |(key, value): &(&str, &str)| {
        let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        format!("{key}=\"{value}\"")
    };
    labels.iter().map(one).collect::<Vec<_>>().join(",")
}

/// A free word from outside must not make a metric grow without end.
fn known_reason(reason: &str) -> &str {
    const KNOWN: [&str; 12] = [
        "explicit_request",
        "sentiment",
        "confidence",
        "policy",
        "vip",
        "high_intent",
        "loop",
        "time",
        "competitor",
        "none",
        "callback",
        "ai_failed",
    ];
    if KNOWN.contains(&reason) { reason } else { "other" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transfer_is_counted_with_its_stages() {
        let mut metrics = Metrics::new();
        let text = "[[trunk]]\nname = \"carrier\"\nuri = \"sip:192.0.2.1\"\n[[ae]]\nid = \"michael\"\nuri = \"sip:m@192.0.2.1\"\ntrunk = \"carrier\"\n";
        let aes = crate::config::Config::parse("f", text, &crate::config::Surroundings::of_this_process()).unwrap().aes;
        metrics.set_roster(&aes);
        let event: Event = serde_json::from_value(serde_json::json!({
            "id": "e1", "seq": 1, "at": "2026-01-01T00:00:00Z", "type": "transfer.ended",
            "data": {"mode": "warm", "reason": "my own \"word\"", "outcome": "bridged", "stages_ms": {"total": 9820}, "ai_drop_ms": 3,
                "attempts": [{"ae": "michael"}]}
        }))
        .unwrap();
        metrics.on_event(&event);
        let text = metrics.render();
        assert!(text.contains("baton_transfers_total{mode=\"warm\",reason=\"other\",outcome=\"bridged\"} 1\n"), "{text}");
        assert!(text.contains("baton_time_to_human_seconds_bucket{le=\"20\"} 1\n"), "{text}");
        assert!(text.contains("baton_transfer_stage_seconds_count{stage=\"total\"} 1\n"), "{text}");
        let live = |of: &str| format!("baton_stage_quantile_seconds{{{of},stage=\"total\",quantile=\"0.95\"}} 9.82\n");
        let rows = ["of=\"all\",name=\"\"", "of=\"ae\",name=\"michael\"", "of=\"trunk\",name=\"carrier\""].map(live);
        assert!(rows.iter().all(|row| text.contains(row)), "{text}");
        metrics.set_roster(&[]);
        let text = metrics.render();
        assert_eq!(rows.map(|row| text.contains(&row)), [true, false, false], "{text}");
    }

    /// Names of metrics in `text`, each with the labels that are asked for in braces behind it.
    fn asked_for(text: &str) -> Vec<(String, Vec<String>)> {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let mut found = Vec::new();
        for (at, _) in text.match_indices("baton_") {
            let rest = &text[at..];
            let name: String = rest.chars().take_while(|c| is_name(*c)).collect();
            let braces =
                rest[name.len()..].strip_prefix('{').and_then(|rest| rest.split_once('}')).map_or("", |(within, _)| within);
            let labels = braces.split(',').filter_map(|one| one.split_once(['=', '!'])).map(|(label, _)| label.trim().to_owned());
            found.push((name, labels.collect()));
        }
        found
    }

    /// What is wrong with what dashboards and alerts ask for: names that are never shown, labels that they do not have.
    fn strange(text: &str) -> Vec<String> {
        let documented = include_str!("../docs/operate/metrics.md");
        let mut strange = Vec::new();
        for (name, labels) in asked_for(text) {
            let of_histogram = ["_bucket", "_sum", "_count"].into_iter().find_map(|end| name.strip_suffix(end));
            let family = FAMILIES.iter().find(|(family, kind, _)| match of_histogram {
                Some(stem) => *family == stem && *kind == "histogram" || *family == name,
                None => *family == name && *kind != "histogram",
            });
            let Some((family, ..)) = family else {
                strange.push(name);
                continue;
            };
            let row = documented
                .lines()
                .find(|line| line.strip_prefix(&format!("| `{family}")).is_some_and(|rest| rest.starts_with(['`', '{'])));
            let known =
                row.and_then(|row| row.split('`').nth(1)).and_then(|name| name.split_once('{')).map_or("", |(_, rest)| rest);
            let is_known = |label: &String| {
                ["instance", "job", "le"].contains(&label.as_str())
                    || known.trim_end_matches('}').split(',').any(|one| one == label)
            };
            strange.extend(labels.iter().filter(|label| !is_known(label)).map(|label| format!("{name}{{{label}}}")));
        }
        strange
    }

    #[test]
    fn dashboard_and_alerts_ask_for_what_is_shown() {
        for text in [include_str!("../deploy/grafana/baton.json"), include_str!("../deploy/prometheus/baton.rules.yml")] {
            assert!(asked_for(text).len() > 10);
            assert_eq!(strange(text), [""; 0]);
        }
        let dashboard = include_str!("../deploy/grafana/baton.json");
        serde_json::from_str::<Value>(dashboard).expect("the dashboard is JSON");
        let shown = FAMILIES.iter().filter(|(name, ..)| dashboard.contains(name)).count();
        assert!(shown + 4 > FAMILIES.len(), "{shown} of {} families have a panel", FAMILIES.len());
    }

    #[test]
    fn what_is_never_shown_is_noticed() {
        let told = strange(
            "rate(baton_callz[5m]) baton_transfers_total{mood=\"x\",mode=\"y\"} baton_draining_bucket baton_engine_lag_seconds",
        );
        assert_eq!(told, ["baton_callz", "baton_transfers_total{mood}", "baton_draining_bucket", "baton_engine_lag_seconds"]);
    }

    #[test]
    fn buckets_hold_everything_up_to_their_bound() {
        let mut metrics = Metrics::default();
        metrics.observe("baton_store_commit_seconds", &[("level", "power")], 0.004);
        let text = metrics.render();
        assert!(text.contains("{level=\"power\",le=\"0.0025\"} 0\n"), "{text}");
        assert!(text.contains("{level=\"power\",le=\"0.005\"} 1\n"), "{text}");
        assert!(text.contains("{level=\"power\",le=\"+Inf\"} 1\n"), "{text}");
    }
}
