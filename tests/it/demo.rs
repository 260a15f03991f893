//! `baton demo`: all stories hold, and each way of breaking them is noticed, by name.

use std::fs;

use parking_lot::Mutex;
use serde_json::Value;

use crate::scratch::Scratch;

/// A whole demo measures; nothing else should run beside it.
static ONE_AT_A_TIME: Mutex<()> = parking_lot::const_mutex(());

/// Runs a demo with `--json`; its exit code and what it says.
fn demo(scratch: &Scratch, arguments: &[&str]) -> (Option<i32>, Value) {
    let ended = scratch.run(&[&["demo", "--json", "--out", "out"], arguments].concat());
    let said = serde_json::from_str(&ended.out).unwrap_or_else(|fault| panic!("one JSON object: {fault}: {ended:?}"));
    (ended.code, said)
}

#[test]
fn every_story_of_the_demo_holds_and_leaves_its_files() {
    let _alone = ONE_AT_A_TIME.lock();
    let scratch = Scratch::new();
    let (code, said) = demo(&scratch, &[]);
    assert_eq!((code, &said["ok"]), (Some(0), &Value::Bool(true)), "{said:#}");
    let stories = said["stories"].as_array().expect("a list of stories");
    let outcomes: Vec<(&str, &str)> = stories.iter().map(|story| (text(&story["name"]), text(&story["outcome"]))).collect();
    for expected in [
        ("warm", "bridged"),
        ("backup", "bridged"),
        ("callback", "callback_scheduled"),
        ("decline", "returned_to_ai"),
        ("abandon", "caller_abandoned"),
        ("refer", "bridged"),
        ("cold", "bridged"),
        ("callback-kept", "kept"),
        ("voicemail", "voicemail"),
        ("handback", "bridged"),
        ("introduce", "bridged"),
        ("ai-dies", "bridged"),
        ("outbound", "bridged"),
    ] {
        assert!(outcomes.contains(&expected), "{expected:?} in {outcomes:?}");
    }
    let out = scratch.path().join("out");
    for file in
        ["index.html", "demo.pcapng", "events.jsonl", "callback.ics", "baton.toml", "warm/caller.wav", "handback/ai-again.wav"]
    {
        let size = fs::metadata(out.join(file)).map(|found| found.len()).unwrap_or(0);
        assert!(size > 100, "{file} has {size} bytes");
    }
    let page = fs::read_to_string(out.join("index.html")).expect("the page is there");
    let outside = ["src=\"http", "href=\"http", "url(http", "@import"].into_iter().find(|link| page.contains(link));
    assert_eq!(outside, None, "the page is self-contained");
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("")
}

/// Each way to break a run, the story that it breaks, and the check that is there for it.
const SABOTAGES: [(&str, &str, &str); 5] = [
    ("leak-consult", "warm", "caller-hears-no-ae-before-acceptance"),
    ("ai-lingers", "warm", "ai-gone-after-bridge"),
    ("drop-cutover", "warm", "cut-over"),
    ("silence", "warm", "silence-at-caller"),
    ("no-cancel", "abandon", "cancelled-at-once"),
];

#[test]
fn every_sabotage_is_caught_by_name() {
    let _alone = ONE_AT_A_TIME.lock();
    let caught = std::thread::scope(|scope| {
        let runs = SABOTAGES.map(|(sabotage, story, _)| scope.spawn(move || failed_checks(sabotage, story)));
        runs.map(|run| run.join().expect("a run comes to its end"))
    });
    for ((sabotage, _, check), failed) in SABOTAGES.into_iter().zip(&caught) {
        assert!(failed.iter().any(|name| name == check), "{sabotage} must fail {check}: {caught:#?}");
    }
}

/// The names of the checks that did not hold in a sabotaged run.
fn failed_checks(sabotage: &str, story: &str) -> Vec<String> {
    let scratch = Scratch::new();
    let (code, said) = demo(&scratch, &["--sabotage", sabotage, "--story", story]);
    assert_eq!((code, &said["ok"]), (Some(1), &Value::Bool(false)), "{sabotage} went unnoticed: {said:#}");
    said["stories"][0]["failed"].as_array().expect("a list").iter().map(|name| text(name).to_owned()).collect()
}
