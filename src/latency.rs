//! How long the stages of transfers that reached a human take, live: the median and the 95th of 100 of the last ones, of all, by AE and by trunk.

use std::collections::{BTreeMap, VecDeque};

use baton_transfer::AeSettings;
use serde_json::{Map, Value};

/// How many transfers back each looks.
const WINDOW: usize = 200;

/// What is shown of each, and the share of values that is not above it.
const QUANTILES: [(&str, f64); 2] = [("0.5", 0.5), ("0.95", 0.95)];

/// How AEs are called who are dialled by no trunk.
const DIRECT: &str = "direct";

/// The last transfers.
#[derive(Debug, Default)]
pub(crate) struct Latencies {
    /// Each AE, and the trunk by which they are dialled.
    ways: BTreeMap<String, String>,
    windows: BTreeMap<Row, VecDeque<f64>>,
}

/// Whose times, of which stage.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    of: &'static str,
    name: String,
    stage: String,
}

/// One value to be shown.
#[derive(Debug, PartialEq)]
pub(crate) struct Quantile {
    /// `all`, `ae` or `trunk`.
    pub(crate) of: &'static str,
    /// The AE or the trunk; empty for all.
    pub(crate) name: String,
    /// The stage of the budget.
    pub(crate) stage: String,
    /// `0.5` or `0.95`.
    pub(crate) quantile: &'static str,
    /// In seconds.
    pub(crate) seconds: f64,
}

impl Latencies {
    /// From now on these are the AEs; times of those who are none any more are forgotten.
    pub(crate) fn set_roster(&mut self, aes: &[AeSettings]) {
        let way = |trunk: &Option<String>| trunk.clone().unwrap_or_else(|| DIRECT.to_owned());
        self.ways = aes.iter().map(|ae| (ae.id.to_string(), way(&ae.trunk))).collect();
        let (aes, trunks): (Vec<_>, Vec<_>) = self.ways.iter().unzip();
        self.windows.retain(|row, _| match row.of {
            "ae" => aes.contains(&&row.name),
            "trunk" => trunks.contains(&&row.name),
            _ => true,
        });
    }

    /// Takes the transfer of a `transfer.ended` that was bridged, and says what is to be shown from now on.
    pub(crate) fn take(&mut self, transfer: &Map<String, Value>) -> Vec<Quantile> {
        let ae = transfer.get("attempts").and_then(Value::as_array).and_then(|attempts| attempts.last()?.get("ae")?.as_str());
        let known = ae.and_then(|ae| Some((ae, self.ways.get(ae)?.clone())));
        let mut whose = vec![("all", String::new())];
        whose.extend(known.into_iter().flat_map(|(ae, trunk)| [("ae", ae.to_owned()), ("trunk", trunk)]));
        let stages = transfer.get("stages_ms").and_then(Value::as_object);
        let spans = stages.into_iter().flatten().filter_map(|(stage, ms)| Some((stage, ms.as_f64()? / 1_000.0)));
        let spans: Vec<_> = spans.collect();
        let rows = whose.iter().flat_map(|(of, name)| spans.iter().map(move |span| (*of, name, span)));
        rows.flat_map(|(of, name, (stage, seconds))| self.add(Row { of, name: name.clone(), stage: (*stage).clone() }, *seconds))
            .collect()
    }

    /// Everything that is to be shown.
    pub(crate) fn all(&self) -> Vec<Quantile> {
        self.windows.iter().flat_map(|(row, window)| quantiles(row, window)).collect()
    }

    fn add(&mut self, row: Row, seconds: f64) -> Vec<Quantile> {
        let window = self.windows.entry(row.clone()).or_default();
        if window.len() == WINDOW {
            window.pop_front();
        }
        window.push_back(seconds);
        quantiles(&row, window)
    }
}

fn quantiles(row: &Row, window: &VecDeque<f64>) -> Vec<Quantile> {
    let mut sorted: Vec<f64> = window.iter().copied().collect();
    sorted.sort_by(f64::total_cmp);
    let of = |(quantile, share): (&'static str, f64)| {
        let rank = ((sorted.len() as f64 * share).ceil() as usize).max(1) - 1;
        let seconds = *sorted.get(rank)?;
        Some(Quantile { of: row.of, name: row.name.clone(), stage: row.stage.clone(), quantile, seconds })
    };
    QUANTILES.into_iter().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn latencies() -> Latencies {
        let ways = [("michael", DIRECT), ("sara", "carrier")].map(|(ae, trunk)| (ae.to_owned(), trunk.to_owned()));
        Latencies { ways: ways.into(), windows: BTreeMap::new() }
    }

    fn bridged(ae: &str, total_ms: u64) -> Map<String, Value> {
        let transfer = json!({"attempts": [{"ae": "nobody"}, {"ae": ae}], "stages_ms": {"total": total_ms}});
        transfer.as_object().unwrap().clone()
    }

    fn shown(quantiles: &[Quantile]) -> Vec<(&str, &str, &str, f64)> {
        quantiles.iter().map(|one| (one.of, one.name.as_str(), one.quantile, one.seconds)).collect()
    }

    #[test]
    fn all_the_ae_and_the_trunk_have_values_of_their_own() {
        let mut latencies = latencies();
        latencies.take(&bridged("michael", 1_000));
        let found = latencies.take(&bridged("sara", 9_000));
        assert_eq!(
            shown(&found),
            [
                ("all", "", "0.5", 1.0),
                ("all", "", "0.95", 9.0),
                ("ae", "sara", "0.5", 9.0),
                ("ae", "sara", "0.95", 9.0),
                ("trunk", "carrier", "0.5", 9.0),
                ("trunk", "carrier", "0.95", 9.0),
            ]
        );
        assert!(found.iter().all(|one| one.stage == "total"));
    }

    #[test]
    fn somebody_outside_has_no_row_of_their_own() {
        assert_eq!(
            shown(&latencies().take(&bridged("sip:x@example.com", 2_000))),
            [("all", "", "0.5", 2.0), ("all", "", "0.95", 2.0)]
        );
    }

    #[test]
    fn what_lies_far_back_is_forgotten() {
        let mut latencies = latencies();
        (0..WINDOW).for_each(|_| drop(latencies.take(&bridged("sara", 60_000))));
        let mut last = Vec::new();
        for _ in 0..WINDOW {
            last = latencies.take(&bridged("sara", 1_000));
        }
        assert!(last.iter().all(|one| (one.seconds - 1.0).abs() < 1e-9), "{last:?}");
    }
}
