//! The corpus of the fuzz targets (`fuzz/`), played without a fuzzer: what was found once is never found again.

use std::fs;
use std::path::{Path, PathBuf};

#[expect(unreachable_pub, reason = "the fuzz targets name them")]
#[path = "../../fuzz/src/lib.rs"]
mod properties;

fn files(folder: PathBuf) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    files
}

fn played(name: &str, property: fn(&[u8])) -> usize {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let corpus = files(root.join("fuzz/corpus").join(name));
    for file in &corpus {
        property(&fs::read(file).expect("a file"));
    }
    corpus.len()
}

#[test]
fn the_corpus_of_every_fuzz_target_holds() {
    type Property = fn(&[u8]);
    let targets: [(&str, Property); 5] = [
        ("codec", properties::codec),
        ("digest", properties::digest),
        ("framing", properties::framing),
        ("refer", properties::refer),
        ("sdp", properties::sdp),
    ];
    for (name, property) in targets {
        assert!(played(name, property) >= 5, "{name} has next to nothing");
    }
}

#[test]
fn the_torture_messages_hold_as_messages_and_as_streams() {
    let torture = files(Path::new(env!("CARGO_MANIFEST_DIR")).join("sip-fixtures/torture"));
    for file in torture.iter().filter(|file| file.extension().is_some_and(|kind| kind == "sip")) {
        let bytes = fs::read(file).expect("a file");
        properties::codec(&bytes);
        properties::framing(&bytes);
    }
}
