//! Every fixture of `sip-fixtures` holds, and a wrong one fails.

use std::path::{Path, PathBuf};

use crate::fixture::{play, read};

/// The plays are shared out, so that they run beside each other.
const SHARES: usize = 4;

fn fixtures(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(fixtures(&path));
        } else if path.extension().is_some_and(|extension| extension == "call") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sip-fixtures")
}

fn hold(share: usize) {
    let mut count = 0;
    let mut failed = Vec::new();
    for (place, path) in fixtures(&root()).iter().enumerate() {
        let name = path.strip_prefix(root()).unwrap().display().to_string();
        let stories = read(&name, &std::fs::read_to_string(path).unwrap()).unwrap_or_else(|fault| panic!("{name}:{fault}"));
        for (number, story) in stories.iter().enumerate() {
            if (place + number) % SHARES == share {
                count += 1;
                failed.extend(play(story).err().map(|failure| format!("{}\n{failure}", story.name)));
            }
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(count > 30, "only {count} stories were played");
}

#[test]
fn every_fixture_holds_first_share() {
    hold(0);
}

#[test]
fn every_fixture_holds_second_share() {
    hold(1);
}

#[test]
fn every_fixture_holds_third_share() {
    hold(2);
}

#[test]
fn every_fixture_holds_fourth_share() {
    hold(3);
}
