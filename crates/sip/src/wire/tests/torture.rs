use std::fs;
use std::path::PathBuf;

use crate::wire::{Message, Name, Scheme};

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../sip-fixtures/torture"))
}

/// What a message says, in the words of the index.
fn fact(message: &Message, key: &str, behind_head: usize) -> String {
    let count = |name: Name| message.headers(name).count().to_string();
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "none".to_owned());
    let uri = message.request_uri();
    match key {
        "method" => message.method().to_owned(),
        "status" => message.status().to_string(),
        "phrase" => message.phrase().replace(' ', "_"),
        "cseq" => message.cseq().number.to_string(),
        "from-tag" => or_none(message.from().tag().map(str::to_owned)),
        "to-tag" => or_none(message.to().tag().map(str::to_owned)),
        "display" => message.from().display().into_owned(),
        "user" => or_none(uri.and_then(|uri| uri.user()).map(str::to_owned)),
        "scheme" => uri.map(|uri| format!("{:?}", uri.scheme()).to_lowercase()).unwrap_or_default(),
        "host" => or_none(uri.and_then(|uri| uri.host()).map(|host| host.to_string())),
        "port" => or_none(uri.and_then(|uri| uri.port()).map(|port| port.to_string())),
        "via" => message.via().owned().sent_by.to_string(),
        "received" => or_none(message.via().owned().received().map(|address| address.to_string())),
        "vias" => message.vias().len().to_string(),
        "contacts" => message.contacts().len().to_string(),
        "routes" => message.routes().len().to_string(),
        "require" => count(Name::Require),
        "proxy-require" => count(Name::ProxyRequire),
        "max-forwards" => or_none(message.max_forwards().map(|hops| hops.to_string())),
        "transaction" => or_none(message.via().transaction().map(str::to_owned)),
        "embedded" => {
            or_none(message.contact().and_then(|contact| contact.uri().owned().header("route").map(|value| value.into_owned())))
        }
        "body" if message.body().len() == behind_head => "@".to_owned(),
        "body" => message.body().len().to_string(),
        strange => panic!("{strange} is no word of the index"),
    }
}

/// The verdict, and the facts that `wanted` asks for.
fn verdict(bytes: &[u8], wanted: &str) -> String {
    let behind_head = bytes.windows(4).position(|four| four == b"\r\n\r\n").map_or(0, |at| bytes.len() - at - 4);
    match super::parse(bytes) {
        Err(fault) => fault.status().map_or_else(|| "drop".to_owned(), |status| status.to_string()),
        Ok(message) => {
            let facts = wanted.split(' ').skip(1).filter_map(|fact| fact.split_once('='));
            facts.fold("ok".to_owned(), |out, (key, _)| format!("{out} {key}={}", fact(&message, key, behind_head)))
        }
    }
}

/// Holds every message of an index against what it says; yields how many there are.
fn held_against(index: &str) -> usize {
    let index = fs::read_to_string(folder().join(index)).expect("the index");
    let mut wrong = Vec::new();
    let mut count = 0;
    for line in index.lines().filter(|line| !line.starts_with('#')) {
        let (rule, _) = line.split_once(" | ").expect("a reason");
        let (name, wanted) = rule.split_once(' ').expect("a verdict");
        let bytes = fs::read(folder().join(format!("{name}.sip"))).expect("a message");
        let got = verdict(&bytes, wanted);
        count += 1;
        if got != wanted {
            wrong
                .push(format!("{name}: expected {wanted}\n  got {got} {:?}", super::parse(&bytes).err().map(|fault| fault.rule)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    count
}

#[test]
fn each_message_of_rfc_4475_gets_its_verdict() {
    assert_eq!(held_against("index.txt"), 49);
}

#[test]
fn each_message_of_rfc_5118_gets_its_verdict() {
    assert_eq!(held_against("index-ipv6.txt"), 12);
}

#[test]
fn what_is_accepted_keeps_its_bytes() {
    for entry in fs::read_dir(folder()).expect("the folder") {
        let bytes = fs::read(entry.expect("an entry").path()).expect("a file");
        if let Ok(message) = super::parse(&bytes) {
            assert!(bytes.starts_with(message.raw()));
            assert!(message.request_uri().is_none_or(|uri| uri.scheme() != Scheme::Other || !uri.is_sip()));
        }
    }
}
