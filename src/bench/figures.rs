//! The figures, their bars, and how they are shown.

use std::time::Duration;

use serde_json::{Value, json};

use super::floor::is_fresh;
use super::trial::{Measured, Stall};

/// Which value of a figure a bar is held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rank {
    /// Half of the values are not above it.
    P50,
    /// 99 of 100 values are not above it.
    P99,
    /// None is above it.
    Max,
}

/// The most that a figure may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bar {
    /// Which of its values.
    pub(super) rank: Rank,
    /// In the unit of the figure.
    pub(super) most: f64,
}

/// Half, nearly all and all of a number of values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spread {
    /// How many values there are.
    pub(super) count: usize,
    /// The median.
    pub(super) p50: f64,
    /// The 99th of 100.
    pub(super) p99: f64,
    /// The greatest.
    pub(super) max: f64,
}

impl Spread {
    /// Of values in any order, by nearest rank; `None` if there are none.
    pub(super) fn of(values: impl IntoIterator<Item = f64>) -> Option<Spread> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let rank = |share: f64| values.get(((values.len() as f64 * share).ceil() as usize).max(1) - 1).copied();
        Some(Spread { count: values.len(), p50: rank(0.5)?, p99: rank(0.99)?, max: values.last().copied()? })
    }

    fn at(&self, rank: Rank) -> f64 {
        match rank {
            Rank::P50 => self.p50,
            Rank::P99 => self.p99,
            Rank::Max => self.max,
        }
    }
}

/// One figure.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Figure {
    /// What is measured.
    pub(super) name: &'static str,
    /// `ms`, `MB`, or nothing for a number of things.
    pub(super) unit: &'static str,
    /// What is promised; nothing for what is only told.
    pub(super) bars: Vec<Bar>,
    /// What was measured; `None`: nothing could be.
    pub(super) spread: Option<Spread>,
}

impl Figure {
    /// Whether every bar held; what could not be measured has not held. `None`: nothing was promised.
    pub(super) fn ok(&self) -> Option<bool> {
        let held = |bar: &Bar| self.spread.is_some_and(|spread| spread.at(bar.rank) <= bar.most);
        (!self.bars.is_empty()).then(|| self.bars.iter().all(held))
    }

    fn promise(&self) -> String {
        let said = self.bars.iter().map(|bar| {
            let rank = match bar.rank {
                Rank::P50 => "p50 ",
                Rank::P99 => "p99 ",
                Rank::Max => "",
            };
            let sign = if bar.most == 0.0 { "" } else { "≤ " };
            format!("{rank}{sign}{}{}", bar.most, self.unit_behind())
        });
        said.collect::<Vec<_>>().join(", ")
    }

    fn unit_behind(&self) -> String {
        if self.unit.is_empty() { String::new() } else { format!(" {}", self.unit) }
    }

    fn json(&self) -> Value {
        let bars = self.bars.iter().map(|bar| {
            let rank = match bar.rank {
                Rank::P50 => "p50",
                Rank::P99 => "p99",
                Rank::Max => "max",
            };
            (rank.to_owned(), json!(bar.most))
        });
        let bars: serde_json::Map<String, Value> = bars.collect();
        let measured = self.spread.map(
            |spread| json!({"count": spread.count, "p50": round(spread.p50), "p99": round(spread.p99), "max": round(spread.max)}),
        );
        json!({"name": self.name, "unit": self.unit, "bars": bars, "measured": measured, "ok": self.ok()})
    }
}

/// Microseconds are what the clock gives.
fn round(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

/// The resident memory of the daemon in megabytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Resident {
    /// Before its first call.
    pub(super) before: f64,
    /// After its last one.
    pub(super) after: f64,
}

/// Everything that was found out.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Report {
    /// How many transfers were to be measured.
    pub(super) calls: usize,
    /// How many of them were to be in flight.
    pub(super) in_flight: usize,
    /// The figures, in the order in which they are shown.
    pub(super) figures: Vec<Figure>,
    /// What went wrong.
    pub(super) faults: Vec<String>,
}

impl Report {
    /// Puts the figures together; `measured`: each transfer with its number, without the first one.
    pub(super) fn of(
        (calls, in_flight): (usize, usize),
        measured: &[(usize, Measured)],
        (stalls, still): (&[Stall], &[Stall]),
        resident: Resident,
    ) -> Report {
        let spans = |each: fn(&Measured) -> Option<Duration>| {
            Spread::of(measured.iter().filter_map(|(_, measured)| each(measured)).map(millis))
        };
        let counts = |each: fn(&Measured) -> usize| Spread::of(measured.iter().map(|(_, measured)| each(measured) as f64));
        let briefing = |fresh: bool, each: fn(&Measured) -> Option<Duration>| {
            let those = measured.iter().filter(|(number, _)| is_fresh(*number) == fresh);
            Spread::of(those.filter_map(|(_, measured)| each(measured)).map(millis))
        };
        let of = |name, unit, bars: &[(Rank, f64)], spread| {
            let bars = bars.iter().map(|(rank, most)| Bar { rank: *rank, most: *most }).collect();
            Figure { name, unit, bars, spread }
        };
        let start = [(Rank::P50, 3.0), (Rank::P99, 20.0)];
        let (ready, fresh) = ([(Rank::Max, 40.0)], [(Rank::Max, 200.0)]);
        let lengths = |stalls: &[Stall]| Spread::of(stalls.iter().map(|stall| millis(stall.was.since(stall.due))));
        let failed = counts(|measured| usize::from(!measured.faults.is_empty()));
        let figures = vec![
            of("transfers that did not come through", "", &[(Rank::Max, 0.0)], failed),
            of("decision → consult INVITE at the AE", "ms", &start, spans(|measured| measured.decision)),
            of("  without stalls of the machine", "ms", &start, spans(|measured| measured.decision_own)),
            of("  the same from the client's POST on", "ms", &[], spans(|measured| measured.post)),
            of("  transfers in flight meanwhile", "", &[], counts(|measured| measured.in_flight)),
            of("answer → briefing, its audio ready", "ms", &ready, briefing(false, |measured| measured.briefing)),
            of("  without stalls of the machine", "ms", &ready, briefing(false, |measured| measured.briefing_own)),
            of("answer → briefing, words never spoken before", "ms", &fresh, briefing(true, |measured| measured.briefing)),
            of("acceptance → audio both ways", "ms", &[(Rank::P50, 25.0)], spans(|measured| measured.bridge)),
            of("worst gap at the caller", "ms", &[(Rank::Max, 22.0)], spans(|measured| measured.gaps.worst)),
            of("  while Baton plays", "ms", &[], spans(|measured| measured.gaps.made)),
            of("  while a party is passed on", "ms", &[], spans(|measured| measured.gaps.passed_on)),
            of("  at a swap", "ms", &[], spans(|measured| measured.gaps.swapped)),
            of("  without stalls of tool and machine", "ms", &[(Rank::Max, 22.0)], spans(|measured| measured.gaps.own)),
            of("packets lost towards the caller", "", &[(Rank::Max, 0.0)], counts(|measured| measured.lost)),
            of("packets duplicated towards the caller", "", &[(Rank::Max, 0.0)], counts(|measured| measured.repeated)),
            of("breaks in SSRC or timestamps at the caller", "", &[(Rank::Max, 0.0)], counts(|measured| measured.broken)),
            of("AI audio after the bridge", "ms", &[(Rank::Max, 60.0)], spans(|measured| measured.ai_after)),
            of("silence at the caller", "ms", &[(Rank::Max, 1_000.0)], spans(|measured| measured.silence)),
            of("idle daemon, before its first call", "MB", &[(Rank::Max, 40.0)], Spread::of([resident.before])),
            of("  after its last call", "MB", &[], Spread::of([resident.after])),
            of("  the load tool was late (over 2 ms)", "ms", &[], lengths(stalls)),
            of("  the machine stood still (over 0.25 ms)", "ms", &[], lengths(still)),
        ];
        let faults = measured.iter().flat_map(|(_, measured)| measured.faults.clone()).collect();
        Report { calls, in_flight, figures, faults }
    }

    /// Whether every bar held.
    pub(super) fn ok(&self) -> bool {
        self.figures.iter().all(|figure| figure.ok() != Some(false))
    }

    /// As a table.
    pub(super) fn table(&self) -> String {
        let mut text = format!("{} warm transfers, {} in flight\n\n", self.calls, self.in_flight);
        let mut row = |cells: [&str; 7]| {
            let [name, bar, count, p50, p99, max, verdict] = cells;
            text.push_str(&format!("{name:<46} {bar:<24} {count:>5} {p50:>9} {p99:>9} {max:>9}  {verdict}\n"));
        };
        row(["figure", "bar", "n", "p50", "p99", "max", ""]);
        for figure in &self.figures {
            let verdict = match figure.ok() {
                Some(true) => "ok",
                Some(false) => "MISS",
                None => "",
            };
            let number = |value: f64| if figure.unit.is_empty() { format!("{value}") } else { format!("{value:.2}") };
            let cells = figure.spread.map_or([const { String::new() }; 4], |spread| {
                [spread.count.to_string(), number(spread.p50), number(spread.p99), number(spread.max)]
            });
            let name =
                format!("{}{}", figure.name, if figure.unit.is_empty() { String::new() } else { format!(", {}", figure.unit) });
            row([&name, &figure.promise(), &cells[0], &cells[1], &cells[2], &cells[3], verdict]);
        }
        for fault in self.faults.iter().take(FAULTS_SHOWN) {
            text.push_str(&format!("\n{fault}"));
        }
        text.push_str(if self.ok() { "\nEvery bar holds.\n" } else { "\nA bar was missed.\n" });
        text
    }

    /// As one JSON object.
    pub(super) fn json(&self) -> Value {
        let figures: Vec<Value> = self.figures.iter().map(Figure::json).collect();
        json!({"ok": self.ok(), "calls": self.calls, "in_flight": self.in_flight, "figures": figures, "faults": self.faults})
    }
}

/// How many faults are shown; there is a row for how many there are.
const FAULTS_SHOWN: usize = 8;

fn millis(span: Duration) -> f64 {
    span.as_micros() as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::trial::Gaps;

    type Change = fn(&mut Measured);

    const RESIDENT: Resident = Resident { before: 21.5, after: 30.0 };

    fn good() -> Measured {
        let span = |micros| Some(Duration::from_micros(micros));
        Measured {
            in_flight: 20,
            decision: span(1_500),
            decision_own: span(1_500),
            post: span(2_500),
            briefing: span(12_000),
            briefing_own: span(12_000),
            bridge: span(17_000),
            gaps: Gaps { worst: span(20_900), own: span(20_300), ..Gaps::default() },
            ai_after: span(0),
            silence: span(40_000),
            ..Measured::default()
        }
    }

    fn report(change: impl Fn(&mut Measured)) -> Report {
        let mut measured: Vec<(usize, Measured)> = (1..=200).map(|number| (number, good())).collect();
        change(&mut measured[120].1);
        Report::of((200, 20), &measured, (&[], &[]), RESIDENT)
    }

    fn missed(report: &Report) -> Vec<&'static str> {
        report.figures.iter().filter(|figure| figure.ok() == Some(false)).map(|figure| figure.name).collect()
    }

    #[test]
    fn values_are_ranked() {
        let spread = Spread::of((1..=200).rev().map(f64::from)).unwrap();
        assert_eq!(spread, Spread { count: 200, p50: 100.0, p99: 198.0, max: 200.0 });
        assert_eq!(Spread::of([7.0]), Some(Spread { count: 1, p50: 7.0, p99: 7.0, max: 7.0 }));
        assert_eq!(Spread::of([]), None);
    }

    #[test]
    fn a_run_in_which_all_is_well_holds_every_bar() {
        let report = report(|_| ());
        assert_eq!(missed(&report), Vec::<&str>::new());
        assert!(report.ok() && report.table().ends_with("Every bar holds.\n"));
        assert_eq!(report.json()["figures"][1]["measured"]["p50"], 1.5);
    }

    #[test]
    fn one_bad_transfer_of_two_hundred_misses_each_bar_that_allows_none() {
        let bad: [(Change, &str); 9] = [
            (|measured| measured.faults.push("no".to_owned()), "transfers that did not come through"),
            (|measured| measured.briefing = Some(Duration::from_millis(41)), "answer → briefing, its audio ready"),
            (|measured| measured.briefing_own = Some(Duration::from_millis(41)), "  without stalls of the machine"),
            (|measured| measured.gaps.worst = Some(Duration::from_micros(22_001)), "worst gap at the caller"),
            (|measured| measured.lost = 1, "packets lost towards the caller"),
            (|measured| measured.repeated = 1, "packets duplicated towards the caller"),
            (|measured| measured.broken = 1, "breaks in SSRC or timestamps at the caller"),
            (|measured| measured.ai_after = Some(Duration::from_millis(61)), "AI audio after the bridge"),
            (|measured| measured.silence = Some(Duration::from_millis(1_001)), "silence at the caller"),
        ];
        for (change, name) in bad {
            let report = report(change);
            assert_eq!(missed(&report), [name]);
            assert!(!report.ok() && report.table().ends_with("A bar was missed.\n"));
        }
    }

    #[test]
    fn medians_bear_one_slow_transfer_and_fall_with_many() {
        assert!(report(|measured| measured.bridge = Some(Duration::from_millis(400))).ok());
        let (four, late) = (Some(Duration::from_millis(4)), Some(Duration::from_millis(26)));
        let slow = Measured { bridge: late, decision: four, decision_own: four, ..good() };
        let report = Report::of((2, 20), &[(1, slow.clone()), (9, slow)], (&[], &[]), RESIDENT);
        let missing = ["decision → consult INVITE at the AE", "  without stalls of the machine", "acceptance → audio both ways"];
        assert_eq!(missed(&report), missing);
    }

    #[test]
    fn what_could_not_be_measured_has_not_held() {
        let report = Report::of((200, 20), &[], (&[], &[]), Resident { before: 41.0, after: 41.0 });
        assert_eq!(missed(&report).len(), report.figures.iter().filter(|figure| !figure.bars.is_empty()).count());
    }
}
