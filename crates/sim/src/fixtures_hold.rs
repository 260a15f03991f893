//! Every fixture of `sip-fixtures` holds, and a wrong one fails.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::fixture::{Story, play, play_throughout, read};

/// The plays are shared out, so that they run beside each other.
const SHARES: usize = 4;

/// At least so many different roads are gone.
const ROADS_MIN: usize = 100;

/// A road through a story: what was published, and what the caller heard, one after the other.
type Road = (Vec<String>, Vec<String>);

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
    if let Some(wanted) = wanted() {
        found.retain(|path| path.display().to_string().contains(&wanted));
    }
    found.sort();
    found
}

/// A piece of the paths of those that are played, where not all of them are: the environment variable `BATON_FIXTURES`.
fn wanted() -> Option<String> {
    std::env::var("BATON_FIXTURES").ok()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sip-fixtures")
}

/// Every story of every fixture.
fn stories() -> Vec<Story> {
    let read_one = |path: &PathBuf| {
        let name = path.strip_prefix(root()).unwrap().display().to_string();
        read(&name, &std::fs::read_to_string(path).unwrap()).unwrap_or_else(|fault| panic!("{name}:{fault}"))
    };
    fixtures(&root()).iter().flat_map(read_one).collect()
}

#[test]
fn every_fixture_holds_and_they_go_a_hundred_different_roads() {
    let stories = stories();
    let share = |share: usize| -> Vec<Result<Road, String>> {
        let own = stories.iter().skip(share).step_by(SHARES);
        let play = |story: &Story| match play(story) {
            Ok(passed) => Ok((passed.states, passed.heard)),
            Err(failure) => Err(format!("{}\n{failure}", story.name)),
        };
        own.map(play).collect()
    };
    let played: Vec<Result<Road, String>> = std::thread::scope(|scope| {
        let shares: Vec<_> = (0..SHARES).map(|own| scope.spawn(move || share(own))).collect();
        shares.into_iter().flat_map(|share| share.join().expect("a share that does not panic")).collect()
    });
    let (roads, failed): (Vec<_>, Vec<_>) = played.into_iter().partition(Result::is_ok);
    let failed: Vec<String> = failed.into_iter().filter_map(Result::err).collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    let count = roads.len();
    let roads: BTreeSet<Road> = roads.into_iter().filter_map(Result::ok).collect();
    println!("{count} stories, {} distinct pairs of state path and scene path", roads.len());
    assert!(wanted().is_some() || count > 150 && roads.len() >= ROADS_MIN, "{count} stories go {} roads", roads.len());
}

/// How many of the stories are played both ways each time; all of them with `BATON_ALL_MUTANTS`.
const BOTH_WAYS: usize = 4;

#[test]
fn a_story_is_the_same_whether_every_packet_is_heard_or_those_that_matter() {
    let all = std::env::var_os("BATON_ALL_MUTANTS").is_some() || wanted().is_some();
    let mut count = 0;
    for story in stories().iter().step_by(if all { 1 } else { BOTH_WAYS }) {
        let told = |failure: Box<crate::fixture::Failure>| panic!("{}\n{failure}", story.name);
        let (some, every) = (play(story).unwrap_or_else(told), play_throughout(story).unwrap_or_else(told));
        assert_eq!(some, every, "{}", story.name);
        count += 1;
    }
    println!("{count} stories are the same both ways");
}

/// What was made wrong, and the text with it.
type Mutant = (String, String);

/// Wrong versions of a fixture: another order, another scene, another time, another outcome.
fn mutants(text: &str) -> Vec<Mutant> {
    let rows: Vec<&str> = text.lines().collect();
    let mut mutants = Vec::new();
    for at in 0..rows.len() {
        let mut with = |what: &str, row: String| {
            let mut rows: Vec<String> = rows.iter().map(|row| (*row).to_owned()).collect();
            rows[at] = row;
            mutants.push((format!("line {}: {what}", at + 1), rows.join("\n")));
        };
        let words: Vec<&str> = rows[at].split_whitespace().collect();
        match words.as_slice() {
            ["#", ..] => {}
            [who, "hears", _, rest @ ..] => with("another scene", format!("{who} hears {who} {}", rest.join(" "))),
            [_, "<-" | "->", _, ..] => {
                let row = rows[at].split(" within ").next().unwrap();
                let row = row.split(" in ").next().unwrap().split(" with ").next().unwrap();
                with("too early", format!("{row} in 100s..101s"));
                with("another message", rows[at].replacen(words[2], "OPTIONS", 1));
            }
            ["track", ..] => with("another kind", rows[at].replacen(words[1], "nothing", 1)),
            ["marks", ..] => with("another boundary", format!("{} lost", rows[at])),
            ["no", "track", ..] => with("a kind that there is", rows[at].replacen(words[2], "call", 1)),
            ["event", ..] => with(
                "too early",
                format!("{} in 100s..101s", rows[at].split(" within ").next().unwrap().split(" in ").next().unwrap()),
            ),
            _ if rows[at].contains("outcome=") => {
                let (before, behind) = rows[at].split_once("outcome=").unwrap();
                let rest = behind.split_once(' ').map_or("", |(_, rest)| rest);
                with("another outcome", format!("{before}outcome=voicemail {rest}"));
            }
            _ => {}
        }
        let later = rows.get(at + 1).copied().unwrap_or_default();
        let is_message =
            |row: &str| row.contains(" <- ") && !row.starts_with('#') && !row.starts_with("lose") && !row.starts_with("delay");
        if is_message(rows[at]) && is_message(later) && later.split(' ').next() == rows[at].split(' ').next() {
            let mut rows: Vec<&str> = rows.clone();
            rows.swap(at, at + 1);
            mutants.push((format!("line {}: another order", at + 1), rows.join("\n")));
        }
    }
    let whole = rows.join("\n");
    mutants.retain(|(_, mutant)| *mutant != whole);
    mutants
}

/// Every how many mutants one is played; the others wait for the environment variable `BATON_ALL_MUTANTS`.
const SAMPLE: usize = 6;

#[test]
fn a_wrong_fixture_fails() {
    let all = std::env::var_os("BATON_ALL_MUTANTS").is_some();
    let (mut count, mut held) = (0, Vec::new());
    for path in fixtures(&root()) {
        let name = path.strip_prefix(root()).unwrap().display().to_string();
        let text = std::fs::read_to_string(&path).unwrap();
        for (number, (what, mutant)) in mutants(&text).into_iter().enumerate() {
            if !all && wanted().is_none() && (number + name.len()) % SAMPLE != 0 {
                continue;
            }
            let Ok(stories) = read(&name, &mutant) else { continue };
            count += 1;
            if play(&stories[0]).is_ok() {
                held.push(format!("{name}: {what}"));
            }
        }
    }
    assert!(held.is_empty(), "{} of {count} wrong fixtures hold:\n{}", held.len(), held.join("\n"));
    println!("{count} wrong fixtures fail");
    assert!(count > 100 || wanted().is_some(), "only {count} mutants");
}

#[test]
fn a_text_that_is_no_fixture_is_refused_with_the_line() {
    for (text, line) in [
        ("", 1),
        ("# nothing\n", 1),
        ("caller calls\ncaller sings\n", 2),
        ("caller <- 200 within\n", 1),
        ("wait soon\n", 1),
        ("ae michael\nset ring_max never\n", 2),
        ("nobody calls\n", 1),
        ("api dance\n", 1),
        ("caller hears thunder\n", 1),
        ("for N in 1..9999\ncaller calls\n", 1),
        ("caller presses 12\n", 1),
        ("caller calls\nae michael\n", 2),
        ("event nothing.known\n", 1),
    ] {
        let fault = read("x", text).expect_err(text);
        assert_eq!(fault.line, line, "{text:?}: {fault}");
        assert!(!fault.why.is_empty());
    }
}

#[test]
fn a_failure_shows_both_sides_and_the_ladder() {
    let stories = read("x", "in conversation\nai hangs up\ncaller <- CANCEL within 50ms\n").unwrap();
    let failure = play(&stories[0]).unwrap_err();
    let text = failure.to_string();
    assert_eq!(failure.line, Some(3));
    assert!(
        text.contains("caller <- CANCEL within 50ms") && text.contains("| ") && text.contains("baton -> caller     BYE"),
        "{text}"
    );
}

#[test]
fn the_same_fixture_gives_the_same_ladder() {
    let ladder = || {
        let path = root().join("warm/by-key.call");
        let text = format!("{}\ncaller <- OPTIONS\n", std::fs::read_to_string(path).unwrap());
        play(&read("x", &text).unwrap()[0]).unwrap_err()
    };
    assert_eq!(ladder(), ladder());
}
