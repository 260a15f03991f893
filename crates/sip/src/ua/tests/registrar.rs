//! Others register with us.

use std::collections::BTreeMap;
use std::time::Duration;

use super::desk::*;
use crate::digest::{Algorithms, Ask, Credentials, Verdict, challenges};
use crate::wire::Message;
use crate::{Account, AccountUse, Accounts, ConnectionId, Event, Settings, Transport, Why};

fn desk() -> Desk {
    desk_where(Algorithms::Any)
}

/// Where these algorithms are good for every account.
fn desk_where(algorithms: Algorithms) -> Desk {
    let account = |use_for| Account { password: "secret".to_owned(), use_for, algorithms };
    let users = [("michael", AccountUse::Phone), ("sara", AccountUse::Phone), ("pbx", AccountUse::Calls)];
    let users: BTreeMap<String, Account> = users.into_iter().map(|(name, use_for)| (name.to_owned(), account(use_for))).collect();
    Desk::with(Settings { accounts: Accounts { realm: "baton.example".to_owned(), users }, ..settings() })
}

/// A REGISTER of `user`; `extra` has its Contact and what else it says.
fn register(user: &str, seq: u32, extra: &str) -> String {
    let odd = seq * 2 - 1;
    format!(
        "REGISTER sip:baton.example SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.5:5062;branch=z9hG4bKr{seq}{user};rport\nMax-Forwards: 70\n\
         From: <sip:{user}@baton.example>;tag=p\nTo: <sip:{user}@baton.example>\nCall-ID: reg-{user}\nCSeq: {odd} REGISTER\n{extra}\
         Content-Length: 0\n\n"
    )
}

/// The same again, with the answer to the challenge.
fn proved(text: &str, challenge: &str, user: &str, password: &str) -> String {
    let response = Message::parse(challenge.as_bytes().to_vec().into()).unwrap();
    let known = challenges(&response).remove(0);
    let ask = Ask { method: "REGISTER", uri: "sip:baton.example", body: b"", nonce_count: 1, cnonce: "c" };
    let answer = Credentials::new(user, password).answer(&known, &ask);
    let odd: u32 = value(&crlf(text), "CSeq").split(' ').next().unwrap().parse().unwrap();
    let text = text.replace(";branch=z9hG4bKr", ";branch=z9hG4bKx");
    let text = text.replace(&format!("CSeq: {odd} "), &format!("CSeq: {} ", odd + 1));
    text.replace("Content-Length", &format!("{}: {}\nContent-Length", answer.name, answer.value))
}

/// Registers and gives the last answer.
fn enrol(desk: &mut Desk, user: &str, seq: u32, extra: &str) -> String {
    let first = register(user, seq, extra);
    desk.hear(&first);
    let challenge = desk.only();
    assert_eq!(brief(&challenge), "401");
    desk.hear(&proved(&first, &challenge, user, "secret"));
    desk.only()
}

const PHONE: &str = "Contact: <sip:michael@10.0.0.5:5062>\nExpires: 300\nUser-Agent: Desk phone\n";

#[test]
fn a_phone_registers_is_found_behind_its_nat_and_ends() {
    let mut desk = desk();
    let ok = enrol(&mut desk, "michael", 1, PHONE);
    assert_eq!(brief(&ok), "200");
    assert_eq!(value(&ok, "Contact"), "<sip:michael@10.0.0.5:5062>;expires=120", "a NAT forgets soon");
    assert_eq!(desk.told(), ["Bound michael 1"]);
    let binding = desk.ua.bindings("michael")[0].clone();
    assert_eq!((binding.hop.addr, binding.contact.to_string()), (addr(PEER), "sip:michael@10.0.0.5:5062".to_owned()));
    assert_eq!(binding.user_agent.as_deref(), Some("Desk phone"));
    assert_eq!(desk.ua.account_at(addr(PEER)), Some("michael"));
    let before = desk.now;
    desk.wait_until(Why::Errand);
    assert_eq!(desk.now.since(before), Duration::from_secs(120));
    assert_eq!(desk.told(), ["Bound michael 0"]);
    assert_eq!(desk.ua.account_at(addr(PEER)), None);
}

#[test]
fn all_bindings_are_shown_and_taken_back_together() {
    let mut desk = desk();
    enrol(&mut desk, "michael", 1, PHONE);
    let two = enrol(&mut desk, "michael", 2, "Contact: <sip:michael@192.0.2.9:5070>;q=0.5;expires=600\n");
    assert_eq!(values(&two, "Contact").len(), 2);
    assert_eq!(desk.told(), ["Bound michael 1", "Bound michael 2"]);
    assert_eq!(desk.ua.bindings("michael")[0].contact.to_string(), "sip:michael@10.0.0.5:5062", "the higher q comes first");
    let again = enrol(&mut desk, "michael", 3, PHONE);
    assert_eq!(values(&again, "Contact").len(), 2, "a refresh is no further binding");
    let one = enrol(&mut desk, "michael", 4, "Contact: <sip:michael@10.0.0.5:5062>;expires=0\n");
    assert_eq!(value(&one, "Contact"), "<sip:michael@192.0.2.9:5070>;expires=600");
    let none = enrol(&mut desk, "michael", 5, "Contact: *\nExpires: 0\n");
    assert_eq!((brief(&none), values(&none, "Contact").len()), ("200".to_owned(), 0));
    assert!(desk.ua.bindings("michael").is_empty());
}

#[test]
fn nobody_registers_without_the_password_or_for_somebody_else() {
    let mut desk = desk();
    let first = register("michael", 1, PHONE);
    desk.hear(&first);
    let challenge = desk.only();
    desk.hear(&proved(&first, &challenge, "michael", "guess"));
    assert_eq!(desk.brief(), ["403"]);
    let other = register("sara", 1, PHONE);
    desk.hear(&other);
    let challenge = desk.only();
    desk.hear(&proved(&other, &challenge, "michael", "secret"));
    assert_eq!(desk.brief(), ["403"], "michael takes no calls for sara");
    let caller = register("pbx", 1, PHONE);
    desk.hear(&caller);
    let challenge = desk.only();
    desk.hear(&proved(&caller, &challenge, "pbx", "secret"));
    assert_eq!(desk.brief(), ["403"], "this account is for calls");
    assert_eq!(desk.told(), ["Stranger wrong_password"; 3]);
    assert!(desk.ua.bindings("michael").is_empty() && desk.ua.bindings("sara").is_empty());
}

#[test]
fn what_cannot_be_bound_is_refused_and_changes_nothing() {
    let mut desk = desk();
    let known = "Contact: <sip:michael@192.0.2.9:5070>;expires=600\n";
    enrol(&mut desk, "michael", 5, known);
    for (seq, extra, status) in [
        (6, "Contact: <sip:michael@10.0.0.5:5062>;expires=30\n", "423"),
        (7, "Contact: *\nExpires: 30\n", "400"),
        (8, "Contact: <tel:+15550142>\n", "416"),
        (4, known, "500"),
    ] {
        let answer = enrol(&mut desk, "michael", seq, extra);
        assert_eq!(brief(&answer), status, "{extra}");
        assert_eq!(desk.ua.bindings("michael").len(), 1, "{extra}");
    }
    for seq in 10..17 {
        enrol(&mut desk, "michael", seq, &format!("Contact: <sip:michael@10.0.0.{seq}>\n"));
    }
    let full = enrol(&mut desk, "michael", 20, "Contact: <sip:michael@10.0.0.99>\n");
    assert_eq!((brief(&full), desk.ua.bindings("michael").len()), ("503".to_owned(), 8));
}

#[test]
fn a_phone_whose_stream_has_ended_is_gone_and_bindings_can_be_written_down() {
    let mut desk = desk();
    let first = register("sara", 1, "Contact: <sip:sara@10.0.0.6;transport=tcp>\n");
    let by_stream = |desk: &mut Desk, text: &str| {
        desk.hear_by(Transport::Tcp, Some(ConnectionId(9)), "192.0.2.30:41000", text);
        desk.only()
    };
    let challenge = by_stream(&mut desk, &first);
    let ok = by_stream(&mut desk, &proved(&first, &challenge, "sara", "secret"));
    assert_eq!(value(&ok, "Contact"), "<sip:sara@10.0.0.6;transport=tcp>;expires=600");
    desk.told();
    enrol(&mut desk, "michael", 1, PHONE);
    desk.told();
    let written = desk.ua.all_bindings(desk.now);
    let changed =
        |desk: &mut Desk| desk.ua.take_rebound(desk.now).into_iter().map(|(who, all)| (who, all.len())).collect::<Vec<_>>();
    assert_eq!(changed(&mut desk), [("michael".to_owned(), 1), ("sara".to_owned(), 1)]);
    desk.ua.connection_closed(desk.now, ConnectionId(9), None);
    assert_eq!(desk.told(), ["Bound sara 0"]);
    assert_eq!(changed(&mut desk), [("sara".to_owned(), 0)], "who is gone is told once");
    enrol(&mut desk, "michael", 2, PHONE);
    assert_eq!(changed(&mut desk), [("michael".to_owned(), 1)], "a refresh lasts longer");
    let mut next = self::desk();
    for (account, left, binding) in written {
        next.ua.restore_binding(next.now, &account, left, binding);
    }
    assert_eq!(next.told(), ["Bound michael 1"], "a stream does not outlive its process");
}

#[test]
fn a_caller_proves_whose_the_call_is() {
    let mut desk = desk();
    let text = invite("z9hG4bKi1", 1, OFFER);
    desk.hear(&text);
    let Event::Invite { session, invite: call, .. } = desk.events().remove(0) else { panic!("a call") };
    let verdict = desk.ua.verify(desk.now, &call);
    assert_eq!(verdict, Verdict::Missing);
    desk.ua.challenge(desk.now, session, ["pbx"].into_iter(), &verdict).unwrap();
    let said = desk.said();
    let challenge = said.last().unwrap();
    assert_eq!((brief(challenge).as_str(), values(challenge, "WWW-Authenticate").len()), ("401", 2));
    let response = Message::parse(challenge.clone().into_bytes().into()).unwrap();
    let known = challenges(&response).remove(0);
    let ask = Ask { method: "INVITE", uri: "sip:agent@192.0.2.1", body: OFFER.as_bytes(), nonce_count: 1, cnonce: "c" };
    let answer = Credentials::new("pbx", "secret").answer(&known, &ask);
    let again =
        invite("z9hG4bKi2", 2, OFFER).replace("Content-Type", &format!("{}: {}\r\nContent-Type", answer.name, answer.value));
    desk.events();
    desk.hear(&again);
    let Some(Event::Invite { invite: call, .. }) = desk.events().into_iter().find(|event| matches!(event, Event::Invite { .. }))
    else {
        panic!("a call")
    };
    assert_eq!(desk.ua.verify(desk.now, &call), Verdict::Proved("pbx".to_owned()));
}

#[test]
fn without_accounts_nobody_registers() {
    let mut desk = Desk::new();
    desk.hear(&register("michael", 1, PHONE));
    assert_eq!(desk.brief(), ["405"]);
}

#[test]
fn what_is_offered_follows_the_account_and_not_what_strangers_have_sent_in_its_name() {
    for (algorithms, offered) in
        [(Algorithms::Any, &["SHA-256", "MD5"][..]), (Algorithms::Sha256, &["SHA-256"]), (Algorithms::Md5, &["MD5"])]
    {
        let mut desk = desk_where(algorithms);
        for seq in 1..6 {
            desk.hear(&register("michael", seq, PHONE));
            let challenge = desk.only();
            let lines = values(&challenge, "WWW-Authenticate");
            let named: Vec<_> = lines.iter().filter_map(|line| line.split("algorithm=").nth(1)?.split(',').next()).collect();
            assert_eq!(named, offered, "the {seq}. time");
        }
        let answer = enrol(&mut desk, "michael", 6, PHONE);
        assert_eq!(brief(&answer), "200", "{algorithms:?}");
    }
    let mut desk = desk_where(Algorithms::Sha256);
    desk.hear(&register("nobody", 1, PHONE));
    assert_eq!(values(&desk.only(), "WWW-Authenticate").len(), 2, "for those who are not there it is as usual");
}

#[test]
fn md5_opens_no_account_that_wants_sha_256() {
    let mut strict = desk_where(Algorithms::Sha256);
    let first = register("michael", 1, PHONE);
    strict.hear(&first);
    let challenge = strict.only().replace("algorithm=SHA-256", "algorithm=MD5");
    strict.hear(&proved(&first, &challenge, "michael", "secret"));
    assert_eq!(strict.brief(), ["403"], "somebody in between has asked for MD5");
    assert!(strict.ua.bindings("michael").is_empty());
}

#[test]
fn a_phone_behind_a_nat_is_called_where_it_registered_from() {
    let mut desk = desk();
    enrol(&mut desk, "michael", 1, PHONE);
    let binding = desk.ua.bindings("michael")[0].clone();
    let dial = crate::Dial { target: binding.contact, route: binding.hop, ..call(Some(OFFER)) };
    let session = desk.ua.dial(desk.now, dial).unwrap();
    let invite = desk.transmits().remove(0);
    assert_eq!(invite.remote, addr(PEER), "not to its own idea of its address");
    let text = String::from_utf8(invite.bytes.to_vec()).unwrap();
    assert!(text.starts_with("INVITE sip:michael@10.0.0.5:5062 SIP/2.0"), "{text}");
    desk.hear(&reply(&text, 200, "far", "Contact: <sip:michael@10.0.0.5:5062>\n", ANSWER));
    desk.ua.hang_up(desk.now, session, None).unwrap();
    assert!(desk.transmits().iter().all(|transmit| transmit.remote == addr(PEER)), "nor are ACK and BYE");
}
