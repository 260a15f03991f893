//! There and back: what a fixture says is captured, imported, and played again.

use std::cell::RefCell;
use std::rc::Rc;

use baton_sim::fixture::{self, Story};
use baton_sim::{BATON, Rung};
use baton_switchboard::CallSnapshot;
use baton_time::Wall;

use super::fixture_of;
use crate::capture::pcapng::{self, Header, Packet};
use crate::journal;

/// The messages of a story as a pcapng file; datagrams that were lost are not in it.
fn captured(story: &Story) -> Vec<u8> {
    let (ladder, _) = fixture::trail_of(story).unwrap_or_else(|failure| panic!("{failure}"));
    let block = |rung: &Rung| {
        let at = Wall::from_micros(1_772_463_600_000_000 + i64::try_from(rung.at.as_micros()).unwrap());
        let (from, to, payload) = (rung.from, rung.to, rung.bytes.as_ref());
        pcapng::packet(&Packet { at, from, to, header: Header::Udp, payload, comment: "" })
    };
    [pcapng::beginning("x"), ladder.iter().map(block).collect::<Vec<_>>().concat()].concat()
}

fn stories(text: &str) -> Vec<Story> {
    fixture::read("story", text).unwrap_or_else(|fault| panic!("{fault}\n{text}"))
}

/// Captures the story, imports the capture, and plays what comes of it.
fn there_and_back(text: &str) -> String {
    let story = &stories(text)[0];
    let imported = fixture_of(&captured(story), None, "x.pcapng").unwrap();
    let again = stories(&imported);
    if let Err(failure) = fixture::play(&again[0]) {
        panic!("{failure}\n{imported}");
    }
    imported
}

const WARM: &str = "\
ae michael backup sara
ae sara

in conversation
api transfer to=michael => 202
michael <- INVITE within 50ms
michael refuses 486
sara <- INVITE within 200ms
wait 700ms
sara rings
wait 1500ms
sara answers
sara hears voice
wait 400ms
sara presses 1
ai <- BYE within 50ms
wait 3s
caller hangs up
sara <- BYE within 50ms
";

#[test]
fn a_warm_transfer_is_imported_and_plays_as_it_went() {
    let imported = there_and_back(WARM);
    for line in [
        "ae ae1 backup ae2",
        "caller calls",
        "api transfer to=ae1 => 202",
        "ae1 refuses 486",
        "ae2 <- INVITE within 5",
        "ae2 answers",
        "api accept => 200",
        "ai <- BYE within 5",
        "caller hangs up",
    ] {
        assert!(imported.lines().any(|found| found.starts_with(line)), "{line}\n{imported}");
    }
}

/// Publishes the story, imports what was published in each form, and plays what comes of it.
fn published_and_back(text: &str) -> String {
    let (_, events) = fixture::trail_of(&stories(text)[0]).unwrap_or_else(|failure| panic!("{failure}"));
    let page = serde_json::json!({"items": events, "next": null}).to_string();
    let lines: String = events.iter().map(|event| serde_json::to_string(event).unwrap() + "\n").collect();
    let imported = fixture_of(page.as_bytes(), None, "x.json").unwrap();
    assert_eq!(fixture_of(lines.as_bytes(), None, "x.jsonl").unwrap(), imported);
    if let Err(failure) = fixture::play(&stories(&imported)[0]) {
        panic!("{failure}\n{imported}");
    }
    imported
}

#[test]
fn events_are_imported_and_play_as_they_went() {
    let imported = published_and_back(WARM);
    for line in ["ae ae1 backup ae2", "ae1 refuses 486", "ae2 presses 1", "event transfer.bridged", "caller hangs up"] {
        assert!(imported.lines().any(|found| found.starts_with(line)), "{line}\n{imported}");
    }
    assert!(!imported.contains("michael") && !imported.contains("sara"), "{imported}");
    let left = published_and_back(
        "ae michael\n\nin conversation\napi transfer to=michael => 202\nmichael <- INVITE within 50ms\nmichael rings\nwait 2s\n\
         caller hangs up\nmichael <- CANCEL within 50ms\n",
    );
    assert!(left.contains("outcome=caller_abandoned"), "{left}");
    let declined = published_and_back(
        "ae michael\n\nin conversation\napi transfer to=michael => 202\nmichael <- INVITE within 50ms\nmichael answers\n\
         michael hears voice\nwait 500ms\nmichael presses 2\nmichael <- BYE within 50ms\nevent transfer.ended outcome=returned_to_ai\n",
    );
    assert!(declined.contains("ae1 presses 2"), "{declined}");
}

/// Writes the journal of a story, as a process that dies at its end leaves it.
fn journal_of(story: &Story) -> Vec<u8> {
    let lines = Rc::new(RefCell::new(Vec::new()));
    let own = lines.clone();
    let write = move |id, call: Option<CallSnapshot<'_>>| {
        let call = call.map(|call| rmp_serde::to_vec_named(&call).unwrap());
        own.borrow_mut().push((id, call));
    };
    fixture::steps_of(story, write).unwrap_or_else(|failure| panic!("{failure}"));
    journal::written(&lines.borrow())
}

/// Imports the journal of a story, and plays what comes of it.
fn written_and_back(text: &str) -> String {
    let imported = fixture_of(&journal_of(&stories(text)[0]), None, "baton.db.journal").unwrap();
    if let Err(failure) = fixture::play(&stories(&imported)[0]) {
        panic!("{failure}\n{imported}");
    }
    imported
}

#[test]
fn a_journal_is_imported_and_plays_as_it_went() {
    let imported = written_and_back(WARM);
    for line in [
        "ae ae1 backup ae2",
        "ae1 refuses 486",
        "ae2 rings",
        "ae2 answers",
        "ae2 presses 1",
        "event transfer.bridged",
        "caller hangs up",
    ] {
        assert!(imported.lines().any(|found| found.starts_with(line)), "{line}\n{imported}");
    }
    for span in ["wait 700ms", "wait 1500ms"] {
        let spans = imported.lines().filter_map(|line| line.strip_prefix("wait ")?.strip_suffix("ms")?.parse::<i64>().ok());
        let wanted: i64 = span["wait ".len()..span.len() - 2].parse().unwrap();
        assert!(spans.into_iter().any(|found| (found - wanted).abs() < 60), "{span}\n{imported}");
    }
    for secret in ["michael", "sara", "15550123", "10.0.1", "sip:", "call_"] {
        assert!(!imported.contains(secret), "{secret}\n{imported}");
    }
}

#[test]
fn what_a_dead_process_was_about_is_in_its_journal() {
    let begin = "ae michael\n\nin conversation\napi transfer to=michael => 202\nmichael <- INVITE within 50ms\n";
    for (rest, wanted) in [
        ("michael rings\nwait 2s\n", "ae1 rings"),
        ("michael answers\nmichael hears voice\nwait 500ms\n", "ae1 answers"),
        (
            "michael answers\nmichael hears voice\nwait 500ms\nmichael presses 2\nmichael <- BYE within 50ms\nwait 1s\n",
            "ae1 presses 2",
        ),
        ("michael refuses 603\nwait 1s\n", "ae1 refuses 603"),
        ("michael rings\nwait 2s\ncaller hangs up\nmichael <- CANCEL within 50ms\nwait 1s\n", "caller hangs up"),
    ] {
        let imported = written_and_back(&format!("{begin}{rest}"));
        assert!(imported.lines().any(|line| line == wanted), "{wanted}\n{imported}");
    }
}

#[test]
fn a_journal_that_was_torn_is_read_up_to_there_and_one_of_another_version_is_not() {
    let whole = journal_of(&stories(WARM)[0]);
    let torn = fixture_of(&whole[..whole.len() - 40], None, "x").unwrap();
    assert!(torn.contains("ae2 presses 1"), "{torn}");
    let nothing = fixture_of(&journal::written(&[]), None, "x").unwrap_err().to_string();
    assert!(nothing.starts_with("has no transfer in it"), "{nothing}");
    let changed = journal::written_as(99, &[]);
    assert_eq!(fixture_of(&changed, None, "x").unwrap_err().to_string(), "is a journal of another version of Baton");
}

#[test]
fn json_without_a_transfer_has_no_story() {
    assert_eq!(fixture_of(b"[]", None, "x").unwrap_err().to_string(), "has no transfer.requested in it");
    assert!(fixture_of(b"{\"a\": 1}", None, "x").unwrap_err().to_string().starts_with("has no events in it"));
}

#[test]
fn a_refer_of_the_ai_and_a_caller_who_leaves_are_imported() {
    let imported = there_and_back(
        "ae michael\n\nin conversation\nai refers to sip:michael@10.0.0.1\nai <- 202 REFER\nmichael <- INVITE within 50ms\n\
         michael rings\nwait 2s\ncaller hangs up\nmichael <- CANCEL within 50ms\nai <- BYE within 1s\n",
    );
    for line in ["ai refers to sip:ae1@10.0.0.1", "ai <- 202 REFER", "ae1 rings", "caller hangs up", "ae1 <- CANCEL"] {
        assert!(imported.lines().any(|found| found.starts_with(line)), "{line}\n{imported}");
    }
}

#[test]
fn names_and_numbers_and_addresses_stay_behind() {
    let imported = there_and_back(WARM);
    for secret in ["michael", "sara", "15550123", "10.0.1", "sip:", "Call-ID", "branch"] {
        assert!(!imported.contains(secret), "{secret}\n{imported}");
    }
}

/// The second call of a capture is another story.
#[test]
fn the_first_call_is_told_and_no_other() {
    let one = captured(&stories("in conversation\nwait 300ms\nai hangs up\ncaller <- BYE within 50ms\n")[0]);
    let two = captured(&stories("set seed 9\n\nin conversation\nwait 300ms\ncaller hangs up\nai <- BYE within 50ms\n")[0]);
    let alone = fixture_of(&one, None, "x").unwrap();
    let told = |text: &str| text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    let both = fixture_of(&[one, two].concat(), None, "x").unwrap();
    assert_eq!(told(&both), told(&alone));
}

#[test]
fn an_imported_fixture_that_is_changed_fails() {
    let imported = there_and_back(WARM).replace("ai <- BYE", "ae2 <- BYE");
    assert!(fixture::play(&stories(&imported)[0]).is_err());
}

#[test]
fn a_file_without_a_call_has_no_story() {
    let nothing = fixture_of(&pcapng::beginning("x"), None, "x").unwrap_err().to_string();
    assert_eq!(nothing, "has no INVITE in it");
    let file = captured(&stories(WARM)[0]);
    let elsewhere = fixture_of(&file, Some("192.0.2.9:5060".parse().unwrap()), "x").unwrap_err().to_string();
    assert!(elsewhere.starts_with("has no call to 192.0.2.9:5060"), "{elsewhere}");
    assert_eq!(fixture_of(&file, Some(BATON), "x").unwrap(), fixture_of(&file, None, "x").unwrap());
    assert!(fixture_of(b"GIF89a", None, "x").unwrap_err().to_string().contains("no pcap"));
}

/// Every fixture of the tree whose capture says enough is imported without a fault; most of what is SIP alone plays again.
#[test]
fn captures_of_all_kinds_are_imported() {
    for text in [
        "in conversation\nai hangs up\ncaller <- BYE within 50ms\n",
        "in conversation\ncaller holds\nwait 300ms\ncaller resumes\nwait 300ms\ncaller hangs up\nai <- BYE within 50ms\n",
        "caller calls\nai rings 183 with sdp\nwait 300ms\ncaller hangs up\nai <- CANCEL within 50ms\n",
    ] {
        there_and_back(text);
    }
}
