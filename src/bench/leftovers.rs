//! What a daemon has open, and what it would be left with.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use super::setting::resident_mb;
use crate::client::Api;

/// Files of the store that may be opened by and by: each of its readers has two, and they open with the first questions that come together.
const STORE_FILES_MORE: usize = 6;

/// What was found at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Holdings {
    /// Open sockets of the process, its pairs of RTP ports among them.
    pub(super) sockets: usize,
    /// Open files of the store.
    pub(super) store_files: usize,
    /// What else the process has open, by the kind of it.
    pub(super) others: BTreeMap<String, usize>,
    /// Pairs of RTP ports that are bound: they are bound ahead, and stay bound.
    pub(super) ports_bound: usize,
    /// How many of them the media threads have in stock.
    pub(super) ports_stock: usize,
    /// How many of them the switchboard can give to a next leg.
    pub(super) ports_free: usize,
    /// Calls that have not ended.
    pub(super) calls: usize,
    /// Legs that are up, by the metrics.
    pub(super) legs: usize,
    /// AEs who are held by a transfer.
    pub(super) held: usize,
    /// SIP sessions, and with them dialogs, that are not forgotten.
    pub(super) sessions: usize,
    /// SIP transactions that are not forgotten.
    pub(super) transactions: usize,
    /// Resident memory in megabytes.
    pub(super) resident_mb: f64,
}

impl Holdings {
    /// Looks at a daemon from outside.
    pub(super) fn of(api: Api, process: u32) -> anyhow::Result<Holdings> {
        let files = open_files(process)?;
        let calls = list(&ok(api, "/v1/calls?live=true&limit=1000")?).len();
        let held = list(&ok(api, "/v1/aes")?).iter().filter(|ae| is_held(ae)).count();
        let metrics = api.get("/metrics").context("/metrics")?.text();
        let count = |name: &str| gauge(&metrics, name);
        Ok(Holdings {
            ports_bound: count("baton_rtp_ports{state=\"bound\"}"),
            ports_stock: count("baton_rtp_ports{state=\"stock\"}"),
            ports_free: count("baton_rtp_ports{state=\"free\"}"),
            calls,
            legs: count("baton_calls_active"),
            held,
            sessions: count("baton_sip_sessions"),
            transactions: count("baton_sip_transactions"),
            resident_mb: resident_mb(process)?,
            ..files
        })
    }

    /// What there is that was not there `before`, and nobody needs any more; nothing, where all is as it was.
    ///
    /// The pairs of ports that are bound are a stock that grows to what is needed at a time and stays. It is known to the socket, so everything else
    /// must be what it was.
    pub(super) fn left_over(&self, before: &Holdings) -> Vec<String> {
        let mut left = Vec::new();
        let mut more = |count: usize, allowed: usize, what: &str| {
            if count > allowed {
                left.push(format!("{} {what}", count - allowed));
            }
        };
        more(self.calls, 0, "calls that have not ended");
        more(self.legs, 0, "legs that are up");
        more(self.held, 0, "AEs who are held");
        more(self.sessions, 0, "SIP sessions");
        more(self.transactions, 0, "SIP transactions");
        more(self.ports_bound, self.ports_stock, "pairs of ports that the media threads have not put back");
        more(self.ports_bound, self.ports_free, "pairs of ports that no next leg gets");
        more(self.sockets, self.sockets_beside_ports_of(before), "sockets");
        more(self.sockets_beside_ports_of(before), self.sockets, "sockets that are bound by the books and not there");
        more(self.store_files, before.store_files + STORE_FILES_MORE, "files of the store");
        for (kind, count) in &self.others {
            more(*count, before.others.get(kind).copied().unwrap_or(0), kind);
        }
        left
    }

    /// How many sockets there must be with the ports of now, where all else is as before.
    fn sockets_beside_ports_of(&self, before: &Holdings) -> usize {
        before.sockets.saturating_sub(2 * before.ports_bound) + 2 * self.ports_bound
    }

    /// How many descriptors there are.
    pub(super) fn descriptors(&self) -> usize {
        self.sockets + self.store_files + self.others.values().sum::<usize>()
    }

    /// For a report.
    pub(super) fn json(&self) -> Value {
        json!({"descriptors": self.descriptors(), "sockets": self.sockets, "ports_bound": self.ports_bound, "resident_mb": self.resident_mb})
    }
}

fn ok(api: Api, path: &str) -> anyhow::Result<Value> {
    let answer = api.get(path).with_context(|| path.to_owned())?;
    if answer.status != 200 {
        bail!("{path}: {}", answer.status);
    }
    Ok(answer.json())
}

fn list(page: &Value) -> Vec<Value> {
    page["items"].as_array().cloned().unwrap_or_default()
}

fn is_held(ae: &Value) -> bool {
    matches!(ae["state"].as_str(), Some("offered" | "on_call" | "wrap_up"))
}

/// The sum of a gauge over its labels, or of those that are named.
fn gauge(metrics: &str, name: &str) -> usize {
    let rows = metrics.lines().filter(|line| line.starts_with(name) && !line.starts_with('#'));
    rows.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum::<f64>() as usize
}

/// What a process has open.
fn open_files(process: u32) -> anyhow::Result<Holdings> {
    let folder = format!("/proc/{process}/fd");
    let entries = fs::read_dir(Path::new(&folder)).with_context(|| folder.clone())?;
    let mut found = Holdings::default();
    for link in entries.filter_map(Result::ok).filter_map(|entry| fs::read_link(entry.path()).ok()) {
        let name = link.to_string_lossy();
        if name.starts_with("socket:") {
            found.sockets += 1;
        } else if name.contains("/baton.db") {
            found.store_files += 1;
        } else {
            // Each pipe has a number of its own; what counts is how many there are.
            let kind = if name.starts_with("pipe:") { "pipe" } else { &*name };
            *found.others.entry(kind.to_owned()).or_default() += 1;
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn before() -> Holdings {
        let others = BTreeMap::from([("anon_inode:[eventpoll]".to_owned(), 3)]);
        Holdings { sockets: 70, ports_bound: 32, ports_stock: 32, ports_free: 32, store_files: 9, others, ..Holdings::default() }
    }

    #[test]
    fn a_stock_of_ports_that_has_grown_is_nothing_that_was_left() {
        let after =
            Holdings { sockets: 70 + 256, ports_bound: 160, ports_stock: 160, ports_free: 160, store_files: 15, ..before() };
        assert_eq!(after.left_over(&before()), [""; 0]);
    }

    #[test]
    fn each_thing_that_is_left_is_named() {
        type Spoil = fn(&mut Holdings);
        let spoils: [(Spoil, &str); 12] = [
            (|after| after.calls = 1, "1 calls that have not ended"),
            (|after| after.legs = 2, "2 legs that are up"),
            (|after| after.held = 1, "1 AEs who are held"),
            (|after| after.sessions = 1, "1 SIP sessions"),
            (|after| after.transactions = 1, "1 SIP transactions"),
            (|after| after.ports_stock = 31, "1 pairs of ports that the media threads have not put back"),
            (|after| after.ports_free = 30, "2 pairs of ports that no next leg gets"),
            (|after| after.sockets = 71, "1 sockets"),
            (|after| after.sockets = 69, "1 sockets that are bound by the books and not there"),
            (|after| after.store_files = 16, "1 files of the store"),
            (|after| *after.others.entry("anon_inode:[eventpoll]".to_owned()).or_default() += 1, "1 anon_inode:[eventpoll]"),
            (|after| *after.others.entry("pipe".to_owned()).or_default() += 2, "2 pipe"),
        ];
        for (spoil, said) in spoils {
            let mut after = before();
            spoil(&mut after);
            assert_eq!(after.left_over(&before()), [said]);
        }
    }

    #[test]
    fn a_gauge_is_summed_over_its_labels() {
        let text =
            "# TYPE baton_calls_active gauge\nbaton_calls_active{leg=\"ae\"} 2\nbaton_calls_active{leg=\"ai\"} 1\nother 9\n";
        assert_eq!((gauge(text, "baton_calls_active"), gauge(text, "nothing")), (3, 0));
        assert_eq!(gauge(text, "baton_calls_active{leg=\"ae\"}"), 2);
    }

    #[test]
    fn own_files_are_counted() {
        let before = open_files(std::process::id()).unwrap();
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let after = open_files(std::process::id()).unwrap();
        assert!(before.descriptors() > 0 && after.sockets >= 1);
        drop(socket);
    }
}
