//! The configuration: a TOML file in which every fault is found in one go, each with its line, its column and what would be right.

mod beyond;
mod callback;
mod check;
mod expand;
mod fault;
mod language;
mod lines;
mod mode;
mod observe;
mod peers;
mod read;
mod settings;
mod tls;
mod uri;
mod value;
mod walk;

#[cfg(test)]
mod tests;

use std::path::Path;

use toml_edit::Document;

pub(crate) use expand::Surroundings;
pub(crate) use fault::{Fault, Faults};
pub(crate) use settings::{
    Ai, Config, Credentials, HttpVoice, Phone, Route, RouteIn, RtpPath, Secret, Transcriber, Trunk, VoiceSpec,
};

use fault::Findings;
use walk::Walk;

/// The longest configuration file, in bytes; thousands of AEs fit.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

impl Config {
    /// Reads and checks `file` in the surroundings of this process.
    pub(crate) fn load(file: &Path) -> Result<Config, Faults> {
        let name = file.display().to_string();
        let unreadable = |what: String| Faults(vec![Fault { file: name.clone(), line: 1, column: 1, key: String::new(), what }]);
        let length = std::fs::metadata(file).map(|metadata| metadata.len());
        if length.is_ok_and(|length| length > FILE_BYTES_MAX) {
            return Err(unreadable(format!("is longer than {FILE_BYTES_MAX} bytes, name a configuration file")));
        }
        match std::fs::read_to_string(file) {
            Ok(text) => Config::parse(&name, &text, &Surroundings::of_this_process()),
            Err(error) => Err(unreadable(format!("cannot be read ({error}), name a configuration file"))),
        }
    }

    /// Checks the text of a configuration; `file` is what faults call it.
    pub(crate) fn parse(file: &str, text: &str, surroundings: &Surroundings<'_>) -> Result<Config, Faults> {
        let mut findings = Findings::new(file, text);
        let document = match Document::parse(text) {
            Ok(document) => document,
            Err(error) => {
                let what = format!("is no TOML: {}", error.message().trim().replace('\n', ", "));
                findings.add(&error.span().unwrap_or(0..0), "", what);
                return findings.into_result().and(Err(Faults(Vec::new())));
            }
        };
        let mut walk = Walk { findings, surroundings };
        let draft = read::draft(&mut walk, document.as_table());
        check::together(&mut walk.findings, &draft);
        walk.findings.into_result()?;
        Ok(draft.into_config())
    }

    /// What holds where there is no file: loopback only, and a SQLite file in the working directory.
    pub(crate) fn built_in() -> Config {
        let nowhere = Surroundings { variable: &|_| None, file: &|_| Err(std::io::ErrorKind::NotFound.into()) };
        Config::parse("built-in", "", &nowhere)
            .expect("an empty file is a configuration: every key has a default, as a test shows")
    }
}
