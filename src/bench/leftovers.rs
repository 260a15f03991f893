//! What a daemon has open, and what it would be left with.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};
use serde_json::Value;

use super::setting::resident_mb;
use crate::client::Api;

/// What was found at one moment.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Holdings {
    /// Open descriptors of the process.
    pub(super) descriptors: usize,
    /// Sockets among them.
    pub(super) sockets: usize,
    /// Calls that have not ended.
    pub(super) calls: usize,
    /// Legs that are up, by the metrics.
    pub(super) legs: f64,
    /// AEs who are held by a transfer.
    pub(super) held: usize,
    /// Resident memory in megabytes.
    pub(super) resident_mb: f64,
}

impl Holdings {
    /// Looks at a daemon from outside.
    pub(super) fn of(api: Api, process: u32) -> anyhow::Result<Holdings> {
        let (descriptors, sockets) = open_files(process)?;
        let draining = ok(api, "/v1/calls")?;
        let calls = list(&draining).iter().filter(|call| call["state"] != "ended").count();
        let held = list(&ok(api, "/v1/aes")?).iter().filter(|ae| is_held(ae)).count();
        let metrics = api.get("/metrics").context("/metrics")?.text();
        Ok(Holdings {
            descriptors,
            sockets,
            calls,
            legs: gauge(&metrics, "baton_calls_active"),
            held,
            resident_mb: resident_mb(process)?,
        })
    }

    /// Whether nobody is up and nobody is held.
    pub(super) fn is_quiet(&self) -> bool {
        self.calls == 0 && self.legs == 0.0 && self.held == 0
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

/// The sum of a gauge over its labels.
fn gauge(metrics: &str, name: &str) -> f64 {
    let rows = metrics.lines().filter(|line| line.starts_with(name) && !line.starts_with('#'));
    rows.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
}

/// How many files a process has open, and how many of them are sockets.
fn open_files(process: u32) -> anyhow::Result<(usize, usize)> {
    let folder = format!("/proc/{process}/fd");
    let entries = fs::read_dir(Path::new(&folder)).with_context(|| folder.clone())?;
    let links: Vec<_> = entries.filter_map(Result::ok).filter_map(|entry| fs::read_link(entry.path()).ok()).collect();
    let sockets = links.iter().filter(|link| link.to_string_lossy().starts_with("socket:")).count();
    Ok((links.len(), sockets))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gauge_is_summed_over_its_labels() {
        let text =
            "# TYPE baton_calls_active gauge\nbaton_calls_active{leg=\"ae\"} 2\nbaton_calls_active{leg=\"ai\"} 1\nother 9\n";
        assert_eq!((gauge(text, "baton_calls_active"), gauge(text, "nothing")), (3.0, 0.0));
    }

    #[test]
    fn own_files_are_counted() {
        let before = open_files(std::process::id()).unwrap();
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let after = open_files(std::process::id()).unwrap();
        assert!(after.0 > 0 && after.1 >= 1 && before.0 > 0);
        drop(socket);
    }
}
