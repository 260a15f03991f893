//! Two parties that call each other in virtual time.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use baton_time::Mono;

use crate::{Cue, Identity, Input, KeyPath, Lines, Output, Party, Pilot, Record, Script, Step, hears};

/// How long a datagram travels.
const TRAVEL: Duration = Duration::from_millis(2);

/// A line between parties; each datagram may be lost by rule.
struct World {
    parties: Vec<Party>,
    posts: BTreeMap<(Mono, u64), (usize, Input)>,
    posted: u64,
    now: Mono,
    lose: fn(&[u8], u64) -> bool,
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn party(index: u16, pilot: Pilot, steps: impl Into<Vec<Step>>) -> Party {
    let user = ["caller", "ai", "ae"][usize::from(index)];
    let identity = Identity {
        user: user.to_owned(),
        display: user.to_owned(),
        pilot,
        sip: address(5_000 + index),
        rtp: address(6_000 + index * 2),
        proxy: address(5_001),
        seed: u64::from(index) + 40,
        origin: Mono::ZERO,
    };
    let mut lines = Lines::default();
    let voice: Vec<i16> = (0..8_000).map(|n| ((f64::from(n) * 0.3).sin() * 9_000.0) as i16).collect();
    lines.add("hello", &voice);
    Party::new(identity, Script::new(steps), lines)
}

impl Party {
    fn skip_waiting_for(&mut self, unwanted: &Cue) {
        self.drop_steps(|step| matches!(step, Step::WaitFor { cue, .. } if cue == unwanted));
    }
}

impl World {
    fn new(parties: Vec<Party>, lose: fn(&[u8], u64) -> bool) -> World {
        World { parties, posts: BTreeMap::new(), posted: 0, now: Mono::ZERO, lose }
    }

    fn tell(&mut self, index: usize, input: Input) {
        self.parties[index].handle(self.now, input);
        while let Some(output) = self.parties[index].poll() {
            let me = self.parties[index].identity().clone();
            match output {
                Output::Sip { to, bytes } => self.post(to, |party| party.sip, Input::Sip { from: me.sip, bytes }),
                Output::Rtp { to, bytes } => self.post(to, |party| party.rtp, Input::Rtp { from: me.rtp, bytes }),
                Output::Note(note) => {
                    let others: Vec<usize> = (0..self.parties.len()).filter(|other| *other != index).collect();
                    others.into_iter().for_each(|other| self.tell(other, Input::Told(note.clone())));
                }
                Output::Finished(_) => {}
            }
        }
    }

    fn post(&mut self, to: SocketAddr, end: fn(&Identity) -> SocketAddr, input: Input) {
        let lost = match &input {
            Input::Sip { bytes, .. } => (self.lose)(bytes, self.posted),
            Input::Rtp { .. } | Input::Tick | Input::Told(_) => false,
        };
        self.posted += 1;
        let whom = self.parties.iter().position(|party| end(party.identity()) == to);
        if let Some(whom) = whom.filter(|_| !lost) {
            self.posts.insert((self.now + TRAVEL, self.posted), (whom, input));
        }
    }

    fn run(mut self, until: Mono) -> Vec<Record> {
        (0..self.parties.len()).for_each(|index| self.tell(index, Input::Tick));
        loop {
            let tick = (0..self.parties.len()).filter_map(|index| Some((self.parties[index].poll_timeout()?, index))).min();
            let post = self.posts.first_key_value().map(|((at, _), _)| *at);
            let next = tick.map(|(at, _)| at).into_iter().chain(post).min().filter(|at| *at <= until);
            let Some(next) = next else { break };
            self.now = next.max(self.now);
            match (post.filter(|at| *at == next), tick) {
                (Some(_), _) => {
                    if let Some((_, (whom, input))) = self.posts.pop_first() {
                        self.tell(whom, input);
                    }
                }
                (None, Some((_, index))) => self.tell(index, Input::Tick),
                (None, None) => break,
            }
        }
        self.parties.into_iter().map(Party::into_record).collect()
    }
}

fn short_call() -> Vec<Party> {
    let [say, said] = Step::speak("hello");
    let caller = party(
        0,
        Pilot::Caller,
        [
            Step::call("sip:ai@127.0.0.1:5001"),
            Step::wait_for(Cue::Ringing, 9_000),
            Step::wait_for(Cue::Up, 9_000),
            Step::wait_for(Cue::Hears(Pilot::Ai), 1_000),
            Step::wait_for(Cue::Voice, 1_000),
            Step::wait_for(Cue::Quiet(Duration::from_millis(300)), 3_000),
            Step::Press { key: '1', by: KeyPath::Rfc4733 },
            Step::Press { key: '2', by: KeyPath::Info },
            Step::note("thanks"),
            Step::wait_for(Cue::Gone, 5_000),
        ],
    );
    let ai = party(
        1,
        Pilot::Ai,
        [
            Step::wait_for(Cue::Invited, 9_000),
            Step::Ring { status: 180 },
            Step::pause(100),
            Step::Answer,
            Step::pause(200),
            say,
            said,
            Step::wait_for(Cue::Told("thanks".to_owned()), 5_000),
            Step::pause(500),
            Step::HangUp,
        ],
    );
    vec![caller, ai]
}

#[test]
fn two_parties_ring_answer_speak_press_keys_and_hang_up() {
    let records = World::new(short_call(), |_, _| false).run(Mono::from_millis(60_000));
    let (caller, ai) = (&records[0], &records[1]);
    assert_eq!((&caller.verdict, &ai.verdict), (&Some(Ok(())), &Some(Ok(()))));
    let titles: Vec<&str> = caller.sip.iter().map(|seen| seen.title.as_str()).collect();
    assert_eq!(titles, ["INVITE", "100 Trying", "180 Ringing", "200 OK", "ACK", "INFO", "200 OK", "BYE", "200 OK"]);
    assert!(hears(&caller.rtp_received[20].samples(), Pilot::Ai) && hears(&ai.rtp_received[20].samples(), Pilot::Caller));
    let keys = ai.rtp_received.iter().filter(|packet| packet.payload_type == 101).count();
    assert_eq!((keys, ai.rtp_received.len()), (8, caller.rtp_sent.len()));
    assert_eq!(ai.rtp_sent.len(), caller.rtp_received.len());
}

#[test]
fn what_one_sends_the_other_hears_at_the_same_place_on_the_clock() {
    let records = World::new(short_call(), |_, _| false).run(Mono::from_millis(60_000));
    let travel = 16; // 2 ms
    let heard = records[0].heard.samples();
    let sent = records[1].sent.samples();
    let loud = sent.iter().position(|sample| *sample > 5_000).unwrap();
    assert_eq!(heard[loud + travel..loud + travel + 4_000], sent[loud..loud + 4_000]);
}

#[test]
fn every_third_sip_message_lost_still_makes_a_call() {
    let mut parties = short_call();
    parties[0].skip_waiting_for(&Cue::Ringing); // a 180 is sent once: it may well be lost
    let records = World::new(parties, |_, posted| posted % 3 == 0).run(Mono::from_millis(90_000));
    assert_eq!(records[0].verdict, Some(Ok(())));
    assert_eq!(records[1].verdict, Some(Ok(())));
    assert!(records.iter().any(|record| record.sip.iter().any(|seen| seen.again)));
}

#[test]
fn a_refused_call_is_told_with_its_status() {
    let caller = party(0, Pilot::Caller, [Step::call("sip:ai@127.0.0.1:5001"), Step::wait_for(Cue::Up, 9_000)]);
    let ai = party(1, Pilot::Ai, [Step::Refuse { status: 603 }]);
    let records = World::new(vec![caller, ai], |_, _| false).run(Mono::from_millis(60_000));
    let fault = records[0].verdict.clone().unwrap().unwrap_err();
    assert!(fault.why.contains("refused with 603"), "{fault}");
    assert_eq!(records[0].sip.last().unwrap().title, "ACK");
}

#[test]
fn a_caller_that_gives_up_cancels_and_the_phone_stops_ringing() {
    let caller = party(0, Pilot::Caller, [Step::call("sip:ai@127.0.0.1:5001"), Step::pause(1_000), Step::HangUp]);
    let ai = party(1, Pilot::Ai, [Step::Ring { status: 180 }, Step::wait_for(Cue::Gone, 5_000)]);
    let records = World::new(vec![caller, ai], |_, _| false).run(Mono::from_millis(60_000));
    assert_eq!(records[1].verdict, Some(Ok(())));
    let titles: Vec<&str> = records[1].sip.iter().map(|seen| seen.title.as_str()).collect();
    assert_eq!(titles, ["INVITE", "100 Trying", "180 Ringing", "CANCEL", "200 OK", "487 Request Terminated", "ACK"]);
}

#[test]
fn a_script_that_waits_in_vain_says_for_what() {
    let caller = party(0, Pilot::Caller, [Step::wait_for(Cue::Told("nothing".to_owned()), 250)]);
    let records = World::new(vec![caller], |_, _| false).run(Mono::from_millis(60_000));
    let fault = records[0].verdict.clone().unwrap().unwrap_err();
    assert_eq!((fault.step, fault.at_ms), (1, 250));
    assert!(fault.what.contains("nothing"));
}

#[test]
fn a_party_that_lingers_goes_on_sending_for_a_while_after_the_bye() {
    let linger = |party: Party| party.lingering(Duration::from_millis(300));
    let parties = short_call().into_iter().map(linger).collect();
    let records = World::new(parties, |_, _| false).run(Mono::from_millis(60_000));
    let bye = records[0].sip.iter().find(|seen| seen.title == "BYE").unwrap().at;
    let last = records[0].rtp_sent.last().unwrap().at;
    assert!(last > bye + Duration::from_millis(250) && last <= bye + Duration::from_millis(300));
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let run = || World::new(short_call(), |_, _| false).run(Mono::from_millis(60_000));
    assert_eq!(run()[0].rtp_sent, run()[0].rtp_sent);
    assert_eq!(run()[1].sip, run()[1].sip);
}

#[test]
fn a_trunk_that_takes_a_refer_says_how_it_went() {
    let caller = party(
        0,
        Pilot::Caller,
        [
            Step::call("sip:ai@127.0.0.1:5001"),
            Step::wait_for(Cue::Referred, 9_000),
            Step::Notify { status: 100 },
            Step::pause(300),
            Step::Notify { status: 200 },
            Step::wait_for(Cue::Gone, 5_000),
        ],
    );
    let ai = party(
        1,
        Pilot::Ai,
        [
            Step::Answer,
            Step::Refer { to: "sip:sara@127.0.0.1".to_owned(), headers: Vec::new() },
            Step::wait_for(Cue::Notified(100), 2_000),
            Step::wait_for(Cue::Notified(200), 2_000),
            Step::HangUpBecause("SIP;cause=200".to_owned()),
        ],
    );
    let records = World::new(vec![caller, ai], |_, _| false).run(Mono::from_millis(60_000));
    assert_eq!((&records[0].verdict, &records[1].verdict), (&Some(Ok(())), &Some(Ok(()))));
    assert!(records[1].sip.iter().any(|seen| seen.title == "202 Accepted"));
    let bye = records[0].sip.iter().find(|seen| seen.title == "BYE").unwrap();
    assert!(String::from_utf8_lossy(&bye.bytes).contains("Reason: SIP;cause=200\r\n"));
}

#[test]
fn a_party_that_vanishes_answers_nothing_and_sends_nothing() {
    let ai = party(1, Pilot::Ai, [Step::Answer, Step::pause(600), Step::note("vanishes"), Step::Vanish, Step::pause(3_000)]);
    let parties = vec![party(0, Pilot::Caller, [Step::call("sip:ai@127.0.0.1:5001"), Step::pause(2_000), Step::HangUp]), ai];
    let records = World::new(parties, |_, _| false).run(Mono::from_millis(60_000));
    let gone = records[1].notes[0].0;
    assert_eq!(records[1].verdict, Some(Ok(())));
    assert!(records[1].rtp_sent.iter().all(|packet| packet.at <= gone));
    assert!(records[1].sip.iter().all(|seen| !seen.sent || seen.at <= gone), "the caller's BYE gets no answer");
    assert!(records[0].sip.iter().filter(|seen| seen.title == "BYE").count() > 3, "so it is sent again and again");
}
