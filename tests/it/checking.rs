//! `baton check`: every fault, with its place and with what would be right.

use crate::scratch::{Ports, Scratch};

#[test]
fn a_right_configuration_is_said_to_be_right() {
    let scratch = Scratch::new();
    scratch.write("baton.toml", &Ports::free().configuration("sqlite:baton.db"));
    let ended = scratch.run(&["check", "baton.toml"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.out.starts_with("baton.toml: ok"), "{ended:?}");
}

/// Each with its line, its column, its key and a word of what would be right.
const FAULTS: &[(&str, &str, &str)] = &[
    ("[sip]\nlisten = [\"udp:127.0.0.1\"]\n", "baton.toml:2:", "sip.listen"),
    ("[sip]\nlisen = [\"udp:127.0.0.1:5060\"]\n", "baton.toml:2:1: ", "`listen`"),
    ("[policy]\nfile = \"rules.toml\"\n", "baton.toml:1:", "not built"),
    ("[budget]\ntotal = [\"90s\", \"30s\"]\n", "baton.toml:2:", "budget.total"),
    ("[transfer]\naccept_key = \"12\"\n", "baton.toml:2:", "transfer.accept_key"),
    ("[transfer]\nattempts = \"two\"\n", "baton.toml:2:", "transfer.attempts"),
    ("[media]\nports = \"30000-20000\"\n", "baton.toml:2:", "20000-30000"),
    ("[http]\nlisten = \"0.0.0.0:8080\"\n", "baton.toml:2:", "token"),
    ("[store]\nurl = \"mysql://x\"\n", "baton.toml:2:", "sqlite:"),
    ("[[ae]]\nid = \"michael\"\n", "baton.toml:1:", "uri"),
    ("[[ae]]\nid = \"m\"\nuri = \"sip:m@127.0.0.1\"\nbackup = \"nobody\"\n", "baton.toml:4:", "backup"),
    ("[[ae]]\nid = \"m\"\nuri = \"sip:m@127.0.0.1\"\ntimezone = \"Europe/Berln\"\n", "baton.toml:4:", "Europe/Berlin"),
    ("[[ae]]\nid = \"m\"\nuri = \"sip:m@127.0.0.1\"\nhours = \"Mon 25:00-26:00\"\n", "baton.toml:4:", "hours"),
    ("[[route]]\nto = \"*\"\nai = \"agent\"\n", "baton.toml:3:", "[[ai]]"),
    ("[http]\ntoken = \"${BATON_IT_UNSET}\"\n", "baton.toml:2:", "BATON_IT_UNSET"),
    ("[sip\n", "baton.toml:1:", ""),
];

#[test]
fn every_fault_is_named_with_its_place_and_ends_with_2() {
    let scratch = Scratch::new();
    for (text, place, word) in FAULTS {
        scratch.write("baton.toml", text);
        let ended = scratch.run(&["check", "baton.toml"]);
        assert_eq!(ended.code, Some(2), "{text}{ended:?}");
        let named = ended.err.lines().any(|line| line.starts_with(place) && line.contains(word));
        assert!(named, "{text}should name {place} {word}: {}", ended.err);
    }
}

#[test]
fn all_faults_are_named_at_once() {
    let scratch = Scratch::new();
    scratch.write("baton.toml", "[sip]\nlisten = [\"udp:x\"]\n[media]\nports = \"1-2\"\n[transfer]\nring_max = \"soon\"\n");
    let ended = scratch.run(&["check", "baton.toml"]);
    let places: Vec<String> = ended.err.lines().map(|line| line.splitn(3, ':').take(2).collect::<Vec<_>>().join(":")).collect();
    assert_eq!(places, ["baton.toml:2", "baton.toml:4", "baton.toml:6"], "{}", ended.err);
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let ended = Scratch::new().run(&["check", "nowhere.toml"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.err.contains("nowhere.toml"), "{ended:?}");
}

#[test]
fn serve_refuses_a_wrong_configuration_as_check_does() {
    let scratch = Scratch::new();
    scratch.write("baton.toml", "[sip]\nlisten = [\"udp:x\"]\n");
    let ended = scratch.run(&["serve", "--config", "baton.toml"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.err.contains("baton.toml:2:"), "{ended:?}");
    assert!(!scratch.path().join("baton.db").exists(), "nothing is opened before the configuration is right");
}
