//! The tables about who looks on: captures of what is spoken in SIP, and traces.

use std::path::PathBuf;

use super::beyond::{bearer, url};
use super::value;
use super::walk::{Found, Section, Walk};
use crate::capture::{CaptureSettings, FileSettings, HepSettings};
use crate::telemetry::TelemetrySettings;

/// How many messages are remembered for ladders unless the configuration says otherwise: those of some 500 transfers.
const REMEMBERED: u32 = 20_000;

/// More messages than this are a case for files.
const REMEMBERED_MAX: u32 = 1_000_000;

/// How long a file of messages becomes unless the configuration says otherwise.
const MEGABYTES: u32 = 64;

/// How many files are kept unless the configuration says otherwise.
const FILES: u32 = 8;

/// Our number among those that capture, unless the configuration says otherwise; Homer's own examples count from 2001.
const HEP_ID: u32 = 2_001;

/// Reads `[capture]`.
pub(super) fn capture(walk: &mut Walk<'_>, mut at: Section<'_>) -> Found<CaptureSettings> {
    let remember = at.count(walk, "remember", 0..=REMEMBERED_MAX).unwrap_or(REMEMBERED);
    let dir = at.text(walk, "dir", |text| value::plain(text).map(PathBuf::from));
    let megabytes = at.count(walk, "megabytes", 1..=4_096).unwrap_or(MEGABYTES);
    let files = at.count(walk, "files", 1..=10_000).unwrap_or(FILES);
    let hep = at.text(walk, "hep", value::socket);
    let agent = at.count(walk, "hep_id", 1..=u32::MAX).unwrap_or(HEP_ID);
    let key = at.text(walk, "hep_key", value::token);
    let files = dir.map(|dir| FileSettings {
        dir,
        bytes_max: u64::from(megabytes) * 1_024 * 1_024,
        count_max: usize::try_from(files).unwrap_or(usize::MAX),
    });
    // Our name is put in when all tables have been read.
    let hep = hep.map(|collector| HepSettings { collector, agent, key, node: String::new() });
    let remember = usize::try_from(remember).unwrap_or(usize::MAX);
    at.finish(walk, &[], CaptureSettings { remember, files, hep })
}

/// Reads `[telemetry]`; without a URL there are no traces.
pub(super) fn telemetry(walk: &mut Walk<'_>, mut at: Section<'_>) -> Found<Option<TelemetrySettings>> {
    let target = at.text(walk, "url", url);
    let key = at.text(walk, "key", bearer);
    at.finish(walk, &[], target.map(|target| TelemetrySettings { target, key }))
}
