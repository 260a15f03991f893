//! Whatever comes in whatever order: nothing panics, what is remembered has an end, and everything ends.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::desk::*;
use crate::{ConnectionId, Event, ReferId, SessionId, Transport, Why};

/// Sequences that are played, unless `BATON_PLAYS` says how many, and their longest.
const PLAYS: u32 = 160;
const STEPS_MAX: usize = 60;
/// More than any sequence of this length can leave behind.
const REMEMBERED_MAX: usize = 4 * STEPS_MAX;

const METHODS: [&str; 12] =
    ["BYE", "ACK", "INVITE", "UPDATE", "PRACK", "INFO", "MESSAGE", "REFER", "NOTIFY", "OPTIONS", "CANCEL", "SUBSCRIBE"];
const STATUSES: [u16; 16] = [100, 180, 183, 199, 200, 202, 302, 401, 408, 422, 481, 486, 487, 491, 503, 603];
const EXTRAS: [&str; 9] = [
    "",
    "Require: 100rel\nRSeq: 1\n",
    "Require: 100rel\nRSeq: 2\nSupported: timer\n",
    "Supported: 100rel, timer\nSession-Expires: 90\nAllow: UPDATE\n",
    "Session-Expires: 90;refresher=uac\nAllow: UPDATE\nMin-SE: 5000\n",
    "RAck: 1 1 INVITE\nEvent: refer\n",
    "Refer-To: <sip:sara@192.0.2.9>\nRefer-Sub: false\n",
    "Refer-To: <sip:sara@192.0.2.9>\nEvent: refer\nSubscription-State: terminated\n",
    "Require: nothing-known\nRetry-After: 3\n",
];

/// Something that happens; numbers choose among what there is.
#[derive(Debug, Clone)]
enum Step {
    /// An INVITE of the far side.
    Called { branch: u8, extra: usize, offers: bool },
    /// A request in a dialog that an answer of ours has made.
    Asked { answer: usize, method: usize, seq: u8, extra: usize, has_body: bool },
    /// A request in a dialog that one of our requests belongs to.
    AskedBack { ours: usize, method: usize, tag: u8, seq: u8, extra: usize, has_body: bool },
    /// A response to one of our requests.
    Answered { ours: usize, status: usize, tag: u8, extra: usize, has_body: bool, by_stream: bool },
    /// Something that the owner wants.
    Wanted { verb: u8, session: usize, refer: usize },
    /// Time goes by.
    Waits(u32),
    /// A stream ends, or nothing can be sent.
    Lost(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let (method, status, extra) = (0..METHODS.len(), 0..STATUSES.len(), 0..EXTRAS.len());
    let any_of = any::<prop::sample::Index>().prop_map(|index| index.index(usize::MAX));
    prop_oneof![
        3 => (0..4_u8, extra.clone(), any::<bool>()).prop_map(|(branch, extra, offers)| Step::Called { branch, extra, offers }),
        5 => (any_of.clone(), method.clone(), 1..9_u8, extra.clone(), any::<bool>())
            .prop_map(|(answer, method, seq, extra, has_body)| Step::Asked { answer, method, seq, extra, has_body }),
        4 => (any_of.clone(), method, 0..3_u8, 1..9_u8, extra.clone(), any::<bool>())
            .prop_map(|(ours, method, tag, seq, extra, has_body)| Step::AskedBack { ours, method, tag, seq, extra, has_body }),
        8 => (any_of.clone(), status, 0..3_u8, extra, any::<bool>(), any::<bool>())
            .prop_map(|(ours, status, tag, extra, has_body, by_stream)| Step::Answered { ours, status, tag, extra, has_body, by_stream }),
        8 => (0..14_u8, any_of.clone(), any_of).prop_map(|(verb, session, refer)| Step::Wanted { verb, session, refer }),
        3 => prop_oneof![0..700_u32, 0..70_000_u32, Just(200_000_u32)].prop_map(Step::Waits),
        1 => (0..4_u8).prop_map(Step::Lost),
    ]
}

struct World {
    desk: Desk,
    sessions: Vec<SessionId>,
    refers: Vec<ReferId>,
    /// Our requests and our answers that make dialogs, as text.
    ours: Vec<String>,
    answers: Vec<String>,
    branches: u32,
    /// Calls of ours that were answered or refused.
    decided: BTreeSet<SessionId>,
}

impl World {
    fn new() -> World {
        let (sessions, refers, ours, answers) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        World { desk: Desk::new(), sessions, refers, ours, answers, branches: 0, decided: BTreeSet::new() }
    }

    fn take(&mut self, step: &Step) {
        self.branches += 1;
        let branch = format!("z9hG4bKany{}", self.branches);
        match *step {
            Step::Called { branch, extra, offers } => {
                let text = invite(&format!("z9hG4bKin{branch}"), 1, if offers { OFFER } else { "" });
                let text = text.replace("call-1@far", &format!("call-{branch}@far"));
                self.desk.hear(&text.replace(&crlf(CONTACT), &crlf(&format!("{CONTACT}{}", EXTRAS[extra]))));
            }
            Step::Asked { answer, method, seq, extra, has_body } => {
                let Some(answer) = pick(&self.answers, answer) else { return };
                let body = if has_body { OFFER } else { "" };
                self.desk.hear(&request(METHODS[method], answer, seq.into(), &branch, EXTRAS[extra], body));
            }
            Step::AskedBack { ours, method, tag, seq, extra, has_body } => {
                let Some(ours) = pick(&self.ours, ours) else { return };
                let body = if has_body { OFFER } else { "" };
                self.desk.hear(&back(METHODS[method], ours, &format!("far{tag}"), seq.into(), &branch, EXTRAS[extra], body));
            }
            Step::Answered { ours, status, tag, extra, has_body, by_stream } => {
                let Some(ours) = pick(&self.ours, ours) else { return };
                let extra = format!("{CONTACT}{}", EXTRAS[extra]);
                let text = reply(ours, STATUSES[status], &format!("far{tag}"), &extra, if has_body { ANSWER } else { "" });
                match by_stream {
                    true => self.desk.hear_by(Transport::Tcp, Some(ConnectionId(1)), PEER, &text),
                    false => self.desk.hear(&text),
                }
            }
            Step::Wanted { verb, session, refer } => self.want(verb, session, refer),
            Step::Waits(ms) => self.desk.wait_ms(ms.into()),
            Step::Lost(0) => self.desk.ua.connection_closed(self.desk.now, ConnectionId(1), None),
            Step::Lost(1) => self.desk.ua.send_failed(self.desk.now, Transport::Tcp, addr(PEER)),
            Step::Lost(_) => self.desk.ua.send_failed(self.desk.now, Transport::Udp, addr(PEER)),
        }
        self.listen();
    }

    fn want(&mut self, verb: u8, session: usize, refer: usize) {
        let (now, ua) = (self.desk.now, &mut self.desk.ua);
        if verb < 2 {
            let mut call = call((verb == 0).then_some(OFFER));
            call.credentials = Some(crate::digest::Credentials::new("u", "p"));
            if session % 3 == 1 {
                call.beside = super::beside::phones();
            }
            self.sessions.push(ua.dial(now, call).expect("there is room"));
            return;
        }
        let (Some(&session), refer) = (pick(&self.sessions, session), pick(&self.refers, refer).copied()) else { return };
        // Most of it comes at a wrong time, which must harm nobody.
        let done = match verb {
            2 => ua.ring(now, session, 180, None, Vec::new()),
            3 => ua.ring(now, session, 183, Some(sdp(ANSWER)), Vec::new()),
            4 | 5 => ua.answer(now, session, sdp(ANSWER), Vec::new()),
            6 => ua.refuse(now, session, 486, None, Vec::new()),
            7 => ua.hang_up(now, session, None),
            8 => ua.offer(now, session, refer.is_some().then(|| sdp(OFFER))),
            9 => ua.update(now, session, sdp(OFFER)),
            10 => ua.answer_offer(now, session, sdp(ANSWER)),
            11 => ua.refuse_offer(now, session, 488),
            12 => ua.refer(now, session, &name("<sip:sara@192.0.2.9>"), Vec::new()).map(|_| ()),
            _ => refer.map_or(Ok(()), |refer| {
                ua.answer_refer(now, session, refer, 202)
                    .or_else(|_| ua.notify_refer(now, session, refer, 200, "", Vec::new(), session.0 % 2 == 0))
            }),
        };
        done.unwrap_or_default();
    }

    fn listen(&mut self) {
        for text in self.desk.said() {
            let is_answer = text.starts_with("SIP/2.0");
            match is_answer {
                true if tag(&value(&text, "To")).is_empty() => {}
                true => self.answers.push(text),
                false => self.ours.push(text),
            }
        }
        for event in self.desk.events() {
            if let Event::Answered { session, .. } | Event::Refused { session, .. } = &event {
                assert!(self.decided.insert(*session), "a call of ours is answered or refused once: {event:?}");
            }
            if let Event::Invite { session, .. } = event {
                self.sessions.push(session);
            } else if let Event::Text { question, .. } = event {
                self.desk.ua.answer_text(self.desk.now, question, 202);
            } else if let Event::Refer { refer, .. } = event {
                self.refers.push(refer);
            }
        }
        assert!(self.desk.ua.sessions() + self.desk.ua.transactions() <= REMEMBERED_MAX, "what is remembered has an end");
        assert!(self.desk.ua.poll_timeout().is_none_or(|(_, why)| why != Why::OfferAgain || !self.sessions.is_empty()));
    }

    /// Everybody hangs up and nobody says anything more.
    fn end(mut self) {
        for session in std::mem::take(&mut self.sessions) {
            self.desk.ua.hang_up(self.desk.now, session, None).unwrap_or_default();
        }
        self.desk.wait(Duration::from_secs(400));
        assert_eq!((self.desk.ua.sessions(), self.desk.ua.transactions()), (0, 0), "everything ends");
        assert_eq!(self.desk.ua.poll_timeout(), None);
    }
}

fn pick<T>(all: &[T], number: usize) -> Option<&T> {
    all.get(number.checked_rem(all.len())?)
}

#[test]
fn any_sequence_of_messages_deeds_and_waits_comes_to_an_end() {
    let plays = std::env::var("BATON_PLAYS").ok().and_then(|text| text.parse().ok()).unwrap_or(PLAYS);
    let config = Config { cases: plays, failure_persistence: None, max_shrink_iters: 2_000, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let plays = prop::collection::vec(step(), 1..STEPS_MAX);
    let result = runner.run(&plays, |steps| {
        let mut world = World::new();
        steps.iter().for_each(|step| world.take(step));
        world.end();
        Ok(())
    });
    result.unwrap_or_else(|fault| panic!("{fault}"));
}
