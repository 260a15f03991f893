//! How long people wait, stage by stage: of all transfers, by AE and by trunk, as `/metrics` tells it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::table::table;
use super::words;

/// The gauges that are read.
const FAMILY: &str = "baton_stage_quantile_seconds{";

/// The stages of the budget, in their order.
const STAGES: [&str; 4] = ["start", "ringing", "accept", "total"];

/// The median and the 95th of 100 of each stage, a line for all, each trunk and each AE; nothing where no transfer has reached a human.
pub(super) fn waits(measures: &BTreeMap<String, f64>) -> String {
    let mut lines: BTreeMap<(u8, String), [String; 4]> = BTreeMap::new();
    for name in measures.keys().filter(|name| name.starts_with(FAMILY)) {
        let (Some(of), Some(whose), Some(stage)) = (label(name, "of"), label(name, "name"), label(name, "stage")) else {
            continue;
        };
        let (order, called) = match of {
            "all" => (0, "everybody".to_owned()),
            "trunk" => (1, format!("trunk {whose}")),
            _ => (2, whose.to_owned()),
        };
        let Some(column) = STAGES.iter().position(|known| *known == stage) else { continue };
        let value =
            |quantile| measures.get(&format!("{FAMILY}of=\"{of}\",name=\"{whose}\",stage=\"{stage}\",quantile=\"{quantile}\"}}"));
        if let (Some(half), Some(most)) = (value("0.5"), value("0.95")) {
            lines.entry((order, called)).or_default()[column] = format!("{} / {}", span(*half), span(*most));
        }
    }
    if lines.is_empty() {
        return String::new();
    }
    let rows = lines.into_iter().map(|((_, called), [start, ringing, accept, total])| [called, start, ringing, accept, total]);
    format!("\n{}", table(["WAITS: HALF / 95 OF 100", "START", "RINGING", "ACCEPT", "TO THE HUMAN"], rows.collect()))
}

fn span(seconds: f64) -> String {
    words::span(Duration::from_secs_f64(seconds.clamp(0.0, 1e9)))
}

/// The value of a label, as it is written.
fn label<'n>(name: &'n str, label: &str) -> Option<&'n str> {
    let (_, rest) = name.split_once(&format!("{label}=\""))?;
    rest.split_once('"').map(|(value, _)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_comes_first_then_trunks_then_aes() {
        let mut measures = BTreeMap::new();
        for (of, name, seconds) in [("ae", "sara", 12.0), ("all", "", 9.5), ("trunk", "carrier", 11.0)] {
            for (quantile, times) in [("0.5", 1.0), ("0.95", 2.0)] {
                let key = format!("{FAMILY}of=\"{of}\",name=\"{name}\",stage=\"total\",quantile=\"{quantile}\"}}");
                measures.insert(key, seconds * times);
            }
        }
        let shown = waits(&measures);
        let lines: Vec<Vec<&str>> = shown.lines().skip(2).map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(
            lines,
            [
                vec!["everybody", "-", "-", "-", "9.5", "s", "/", "19.0", "s"],
                vec!["trunk", "carrier", "-", "-", "-", "11.0", "s", "/", "22.0", "s"],
                vec!["sara", "-", "-", "-", "12.0", "s", "/", "24.0", "s"],
            ],
            "{shown}"
        );
        assert_eq!(waits(&BTreeMap::new()), "");
    }
}
