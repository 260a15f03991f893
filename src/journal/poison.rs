//! A call whose recovery has killed the process twice is put aside, so that it cannot take the others with it.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// How many recoveries may end in the death of the process.
const DEATHS_MAX: u32 = 2;

/// The account of recoveries that were begun and those that were survived.
#[derive(Debug)]
pub(crate) struct Recovery {
    path: PathBuf,
    folder: PathBuf,
    deaths: BTreeMap<String, u32>,
    file: Option<File>,
}

impl Recovery {
    /// Reads the account beside a journal.
    pub(crate) fn begin(journal: &Path) -> Recovery {
        let beside = |ending: &str| {
            let mut path = journal.to_owned().into_os_string();
            path.push(ending);
            PathBuf::from(path)
        };
        let path = beside(".recovering");
        let mut deaths: BTreeMap<String, u32> = BTreeMap::new();
        for line in std::fs::read_to_string(&path).unwrap_or_default().lines() {
            match line.split_once(' ') {
                Some(("begun", call)) => *deaths.entry(call.to_owned()).or_default() += 1,
                Some(("survived", call)) => {
                    deaths.remove(call);
                }
                Some(_) | None => {}
            }
        }
        Recovery { path, folder: beside(".quarantine"), deaths, file: None }
    }

    /// Whether this call has killed the process too often.
    pub(crate) fn is_poison(&self, call: &str) -> bool {
        self.deaths.get(call).is_some_and(|deaths| *deaths >= DEATHS_MAX)
    }

    /// A recovery begins: on record before it is tried.
    pub(crate) fn begins(&mut self, call: &str) {
        self.note("begun", call);
    }

    /// It was survived.
    pub(crate) fn survived(&mut self, call: &str) {
        self.note("survived", call);
    }

    /// Puts a call aside, for somebody to look into.
    pub(crate) fn put_aside(&mut self, call: &str, bytes: &[u8], why: &str) {
        tracing::error!(call, why, folder = %self.folder.display(), "a call is not taken up again: put aside");
        let written = std::fs::create_dir_all(&self.folder).and_then(|()| {
            let path = self.folder.join(format!("{call}.call"));
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
            file.write_all(bytes)
        });
        if let Err(fault) = written {
            tracing::error!(call, %fault, "it cannot be kept either");
        }
    }

    /// All recoveries are over.
    pub(crate) fn end(self) {
        drop(self.file);
        match std::fs::remove_file(&self.path) {
            Ok(()) => {}
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => {}
            Err(fault) => tracing::warn!(%fault, "the account of recoveries stays"),
        }
    }

    fn note(&mut self, what: &str, call: &str) {
        if self.file.is_none() {
            self.file = OpenOptions::new().append(true).create(true).mode(0o600).open(&self.path).ok();
        }
        let written = self.file.as_mut().map(|file| writeln!(file, "{what} {call}"));
        if !matches!(written, Some(Ok(()))) {
            tracing::warn!(call, "its recovery cannot be put on record");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_has_killed_two_recoveries_is_poison_and_its_neighbours_are_not() {
        let folder = std::env::temp_dir().join(format!("baton-poison-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let journal = folder.join("journal");
        for round in 0..3 {
            let mut recovery = Recovery::begin(&journal);
            recovery.begins("c_good");
            recovery.survived("c_good");
            assert!(!recovery.is_poison("c_good"));
            assert_eq!(recovery.is_poison("c_bad"), round == 2, "round {round}");
            recovery.begins("c_bad"); // and here the process dies
        }
        let mut recovery = Recovery::begin(&journal);
        recovery.put_aside("c_bad", b"bytes", "it has killed the process twice");
        recovery.end();
        assert_eq!(std::fs::read(folder.join("journal.quarantine/c_bad.call")).unwrap(), b"bytes");
        assert!(!Recovery::begin(&journal).is_poison("c_bad"));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
