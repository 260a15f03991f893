//! Two user agents, a network that loses, doubles and reorders, and people who do anything at any time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use baton_time::Mono;

use super::desk::*;
use crate::random::Random;
use crate::wire::{HostPort, Message};
use crate::{Dial, Event, Hop, Incoming, Listen, Reason, ReferId, SessionId, Settings, Transmit, Transport, UserAgent};

const ADDRS: [&str; 2] = ["192.0.2.1:5060", "192.0.2.2:5060"];
/// When whoever is still up hangs up.
const CURFEW: Duration = Duration::from_secs(70);

/// How long an INVITE that nobody answers is remembered: twice 64*T1.
const REMEMBERED: Duration = Duration::from_secs(64);

/// How the network behaves, in percent.
#[derive(Debug, Clone, Copy)]
struct Weather {
    lost: u64,
    doubled: u64,
    delay_ms: u64,
}

#[derive(Debug, Clone, Copy)]
enum Deed {
    Dial { offers: bool },
    Ring(SessionId, u16),
    Answer(SessionId),
    Refuse(SessionId, u16),
    HangUp(SessionId),
    Offer(SessionId, bool),
    Update(SessionId),
    AnswerOffer(SessionId),
    RefuseOffer(SessionId),
    Info(SessionId),
    Text(SessionId),
    Refer(SessionId),
    AnswerRefer(SessionId, ReferId, u16),
    Notify(SessionId, ReferId, u16),
}

/// What both ends and the wire between them have seen.
#[derive(Default)]
struct Seen {
    /// Final statuses of INVITEs that left, by end, Call-ID and branch.
    finals: BTreeMap<(usize, String, String), BTreeSet<u16>>,
    /// When each INVITE left first, by end, Call-ID and number.
    begun: BTreeMap<(usize, String, u32), Mono>,
    /// 2xx that arrived while anybody could still expect one, by end, Call-ID and number.
    accepted: BTreeSet<(usize, String, u32)>,
    /// ACKs that left, by end, Call-ID and number.
    acked: BTreeSet<(usize, String, u32)>,
    /// The highest number of each end's requests in a dialog, with the branch that it came with.
    numbers: BTreeMap<(usize, String, String), u32>,
    dialled: [BTreeSet<SessionId>; 2],
    called: [BTreeSet<SessionId>; 2],
    ended: [BTreeSet<SessionId>; 2],
    answered: [BTreeSet<SessionId>; 2],
    confirmed: usize,
}

struct Pair {
    now: Mono,
    ends: [UserAgent; 2],
    random: Random,
    weather: Weather,
    wire: BTreeMap<(Mono, u64), (usize, Transmit)>,
    plan: BTreeMap<(Mono, u64), (usize, Deed)>,
    serial: u64,
    seen: Seen,
    /// What was said, done and told, for whoever has to find out why.
    ladder: Vec<String>,
}

impl Pair {
    fn new(seed: u64, weather: Weather) -> Pair {
        let end = |at: usize| {
            let addr = addr(ADDRS[at]);
            let listen =
                [Transport::Udp, Transport::Tcp].map(|transport| Listen { transport, addr, advertise: HostPort::from(addr) });
            UserAgent::new(Settings::new(listen.to_vec(), seed * 2 + at as u64))
        };
        Pair {
            now: Mono::from_millis(1),
            ends: [end(0), end(1)],
            random: Random::new(seed ^ 0xba70),
            weather,
            wire: BTreeMap::new(),
            plan: BTreeMap::new(),
            serial: 0,
            seen: Seen::default(),
            ladder: Vec::new(),
        }
    }

    fn after(&mut self, ms_max: u64) -> (Mono, u64) {
        self.serial += 1;
        (self.now + Duration::from_micros(self.random.below(ms_max * 1_000 + 1)), self.serial)
    }

    fn plan(&mut self, end: usize, ms_max: u64, deed: Deed) {
        let at = self.after(ms_max);
        self.plan.insert(at, (end, deed));
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.random.below(100) < percent
    }

    /// Plays until nothing is left to happen.
    fn play(&mut self) {
        for _ in 0..1_000_000 {
            self.drain();
            let timer = |end: usize, ua: &UserAgent| ua.poll_timeout().map(|(at, _)| (at, end));
            let woken = [timer(0, &self.ends[0]), timer(1, &self.ends[1])].into_iter().flatten().min();
            let packet = self.wire.keys().next().map(|(at, _)| *at);
            let deed = self.plan.keys().next().map(|(at, _)| *at);
            let Some(next) = [woken.map(|(at, _)| at), packet, deed].into_iter().flatten().min() else { return };
            self.now = self.now.max(next);
            if packet == Some(next) {
                let (_, (to, transmit)) = self.wire.pop_first().unwrap();
                self.arrive(to, transmit);
            } else if deed == Some(next) {
                let (_, (end, deed)) = self.plan.pop_first().unwrap();
                self.act(end, deed);
            } else if let Some((_, end)) = woken {
                self.ends[end].on_timeout(self.now);
            }
        }
        panic!("the play does not end");
    }

    fn drain(&mut self) {
        for end in 0..2 {
            while let Some(transmit) = self.ends[end].poll_transmit() {
                self.left(end, &transmit);
                let copies = if self.chance(self.weather.lost) { 0 } else { 1 + u64::from(self.chance(self.weather.doubled)) };
                for _ in 0..copies {
                    let at = self.after(self.weather.delay_ms);
                    self.wire.insert(at, (1 - end, transmit.clone()));
                }
            }
            while let Some(event) = self.ends[end].poll_event() {
                self.react(end, event);
            }
        }
    }

    fn note(&mut self, end: usize, what: String) {
        let at = self.now.as_micros() / 1_000;
        self.ladder.push(format!("{at:>7} {end} {what}"));
    }

    fn left(&mut self, end: usize, transmit: &Transmit) {
        let message = Message::parse(transmit.bytes.clone()).expect("what we print can be read");
        self.note(end, format!("-> {} {} {}", message.status(), message.cseq(), message.call_id()));
        let (call_id, method, number) = (message.call_id().to_owned(), message.method().to_owned(), message.cseq().number);
        if !message.is_request() && method == "INVITE" && message.status() >= 200 {
            let branch = message.via().branch().unwrap().to_owned();
            self.seen.finals.entry((end, call_id, branch)).or_default().insert(message.status());
        } else if method == "ACK" {
            self.seen.acked.insert((end, call_id, number));
        } else if message.is_request() && method != "CANCEL" {
            if method == "INVITE" {
                self.seen.begun.entry((end, call_id.clone(), number)).or_insert(self.now);
            }
            let branch = message.via().branch().unwrap().to_owned();
            let is_new = self.seen.numbers.insert((end, call_id.clone(), branch), number).is_none();
            let highest = self
                .seen
                .numbers
                .iter()
                .filter(|((known, id, _), _)| *known == end && *id == call_id)
                .map(|(_, number)| *number)
                .max();
            assert!(!is_new || highest == Some(number), "numbers only rise");
        }
    }

    fn arrive(&mut self, to: usize, transmit: Transmit) {
        let message = Message::parse(transmit.bytes.clone()).unwrap();
        self.note(to, format!("<- {} {} {}", message.status(), message.cseq(), message.call_id()));
        if message.method() == "INVITE" && (200..300).contains(&message.status()) {
            let key = (to, message.call_id().to_owned(), message.cseq().number);
            if self.now.since(self.seen.begun[&key]) < REMEMBERED {
                self.seen.accepted.insert(key);
            }
        }
        let Transmit { transport, connection, local, remote, bytes, .. } = transmit;
        self.ends[to].receive(self.now, Incoming { transport, connection, local: remote, remote: local, bytes });
    }

    fn end(&mut self, end: usize, session: SessionId) {
        assert!(self.seen.ended[end].insert(session), "{session:?} has ended twice");
    }

    fn react(&mut self, end: usize, event: Event) {
        let (session, is_end) = subject(&event);
        self.note(end, format!("!! {} {session:?}", word(&event)));
        if let Some(session) = session {
            let outlives = matches!(event, Event::Notified { .. } | Event::ReferAnswered { .. });
            assert!(outlives || !self.seen.ended[end].contains(&session), "{event:?} after the end");
            if is_end {
                return self.end(end, session);
            }
        }
        match event {
            Event::Invite { session, .. } => {
                self.seen.called[end].insert(session);
                self.plan(end, 3_000, Deed::Ring(session, 180));
                if self.chance(50) {
                    self.plan(end, 3_000, Deed::Ring(session, 183));
                }
                match self.random.below(6) {
                    0 => self.plan(end, 8_000, Deed::Refuse(session, 486)),
                    1 => self.plan(end, 8_000, Deed::HangUp(session)),
                    _ => self.plan(end, 8_000, Deed::Answer(session)),
                }
                self.plan(end, 60_000, Deed::HangUp(session));
                self.live(end, session);
            }
            Event::Answered { session, wants_answer, .. } => {
                assert!(self.seen.answered[end].insert(session), "{session:?} was answered twice");
                if wants_answer {
                    self.plan(end, 900, Deed::AnswerOffer(session));
                }
                self.live(end, session);
            }
            Event::OfferAnswered { session, wants_answer: true, .. } => self.plan(end, 900, Deed::AnswerOffer(session)),
            Event::Offered { session, .. } => {
                let deed = if self.chance(30) { Deed::RefuseOffer(session) } else { Deed::AnswerOffer(session) };
                self.plan(end, 1_500, deed);
            }
            Event::Refer { session, refer, .. } => {
                let status = if self.chance(70) { 202 } else { 403 };
                self.plan(end, 500, Deed::AnswerRefer(session, refer, status));
                for status in [100, 180, 200] {
                    self.plan(end, 5_000, Deed::Notify(session, refer, status));
                }
            }
            Event::Text { question, .. } => {
                let status = if self.chance(70) { 200 } else { 480 };
                self.ends[end].answer_text(self.now, question, status);
            }
            Event::Confirmed { .. } => self.seen.confirmed += 1,
            Event::Stranger { .. } | Event::Trying { .. } | Event::Ringing { .. } | Event::OfferAnswered { .. } => {}
            Event::OfferRefused { .. } | Event::Info { .. } | Event::ReferAnswered { .. } | Event::Notified { .. } => {}
            Event::Refused { .. } | Event::Gone { .. } | Event::Released { .. } => unreachable!("handled above"),
            Event::Redirected { .. }
            | Event::Registration { .. }
            | Event::Bound { .. }
            | Event::Pong { .. }
            | Event::Notification { .. }
            | Event::SubscriptionLost { .. }
            | Event::Options { .. } => {}
        }
    }

    /// What somebody may do in a call.
    fn live(&mut self, end: usize, session: SessionId) {
        let deeds = [
            Deed::Offer(session, true),
            Deed::Offer(session, false),
            Deed::Update(session),
            Deed::Info(session),
            Deed::Text(session),
            Deed::Refer(session),
            Deed::HangUp(session),
        ];
        for deed in deeds {
            if self.chance(40) {
                self.plan(end, 15_000, deed);
            }
        }
    }

    fn act(&mut self, end: usize, deed: Deed) {
        self.note(end, format!("?? {deed:?}"));
        let (now, ua) = (self.now, &mut self.ends[end]);
        // Most deeds come too late or too early; that must harm nobody.
        let done = match deed {
            Deed::Dial { offers } => {
                let route = Hop::new(Transport::Udp, addr(ADDRS[1 - end]));
                let dial = Dial { target: uri(&format!("sip:far@{}", ADDRS[1 - end])), route, ..call(offers.then_some(OFFER)) };
                let session = ua.dial(now, dial).expect("there is room");
                self.seen.dialled[end].insert(session);
                self.serial += 1;
                let percent = self.random.below(100);
                let until = if percent < 30 { Duration::from_millis(self.random.below(9_000)) } else { CURFEW };
                self.plan.insert((now + until, self.serial), (end, Deed::HangUp(session)));
                return;
            }
            Deed::Ring(session, status) => ua.ring(now, session, status, (status == 183).then(|| sdp(ANSWER)), Vec::new()),
            Deed::Answer(session) => ua.answer(now, session, sdp(ANSWER), Vec::new()),
            Deed::Refuse(session, status) => ua.refuse(now, session, status, None, Vec::new()),
            Deed::HangUp(session) => ua.hang_up(now, session, Some(Reason::sip(200, "Enough"))),
            Deed::Offer(session, offers) => ua.offer(now, session, offers.then(|| sdp(OFFER))),
            Deed::Update(session) => ua.update(now, session, sdp(OFFER)),
            Deed::AnswerOffer(session) => ua.answer_offer(now, session, sdp(ANSWER)),
            Deed::RefuseOffer(session) => ua.refuse_offer(now, session, 488),
            Deed::Info(session) => ua.info(now, session, "application/dtmf-relay", sdp("Signal=1\r\n")),
            Deed::Text(session) => ua.text(now, session, "Hello."),
            Deed::Refer(session) => ua.refer(now, session, &name("<sip:sara@192.0.2.9>"), Vec::new()).map(|_| ()),
            Deed::AnswerRefer(session, refer, status) => ua.answer_refer(now, session, refer, status),
            Deed::Notify(session, refer, status) => ua.notify_refer(now, session, refer, status, "", Vec::new(), status == 200),
        };
        done.unwrap_or_default();
    }

    fn check(&self) {
        for (key, statuses) in &self.seen.finals {
            assert_eq!(statuses.len(), 1, "one final answer each: {key:?} {statuses:?}");
        }
        assert!(self.seen.accepted.is_subset(&self.seen.acked), "each 2xx has its ACK");
        for end in 0..2 {
            let ua = &self.ends[end];
            assert_eq!((ua.sessions(), ua.transactions(), ua.poll_timeout()), (0, 0, None));
            let begun = self.seen.dialled[end].union(&self.seen.called[end]).copied().collect::<BTreeSet<_>>();
            assert_eq!(begun, self.seen.ended[end], "every session has ended");
        }
    }
}

/// Whose event it is, and whether it is the last one.
fn subject(event: &Event) -> (Option<SessionId>, bool) {
    match event {
        Event::Refused { session, .. } | Event::Gone { session, .. } | Event::Released { session, .. } => (Some(*session), true),
        Event::Invite { session, .. }
        | Event::Trying { session }
        | Event::Ringing { session, .. }
        | Event::Answered { session, .. } => (Some(*session), false),
        Event::Confirmed { session, .. } | Event::Offered { session, .. } | Event::OfferAnswered { session, .. } => {
            (Some(*session), false)
        }
        Event::OfferRefused { session, .. }
        | Event::Info { session, .. }
        | Event::Text { session, .. }
        | Event::Refer { session, .. } => (Some(*session), false),
        Event::ReferAnswered { session, .. } | Event::Notified { session, .. } => (Some(*session), false),
        Event::Redirected { session, .. } => (Some(*session), false),
        Event::Stranger { .. }
        | Event::Registration { .. }
        | Event::Bound { .. }
        | Event::Pong { .. }
        | Event::Notification { .. }
        | Event::SubscriptionLost { .. }
        | Event::Options { .. } => (None, false),
    }
}

fn play(seed: u64, weather: Weather) -> Seen {
    let mut pair = Pair::new(seed, weather);
    for end in [0, 1, 0] {
        let offers = pair.chance(80);
        pair.plan(end, 2_000, Deed::Dial { offers });
    }
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        pair.play();
        pair.check();
    }));
    assert!(outcome.is_ok(), "seed {seed}, {weather:?}\n{}", pair.ladder.join("\n"));
    pair.seen
}

/// Plays many seeds.
fn plays(seeds: std::ops::Range<u64>, weather: Weather) -> (usize, usize) {
    let mut totals = (0, 0);
    for seed in seeds {
        let seen = play(seed, weather);
        totals.0 += seen.answered[0].len() + seen.answered[1].len();
        totals.1 += seen.confirmed;
    }
    totals
}

#[test]
fn in_fair_weather_every_call_ends_well() {
    let (answered, confirmed) = plays(0..400, Weather { lost: 0, doubled: 0, delay_ms: 40 });
    assert!(answered > 400 && confirmed > 400, "{answered} {confirmed}");
}

#[test]
fn with_doubled_and_reordered_messages_every_call_ends_well() {
    let (answered, _) = plays(1_000..1_400, Weather { lost: 0, doubled: 40, delay_ms: 700 });
    assert!(answered > 300, "{answered}");
}

#[test]
fn with_lost_messages_every_call_ends_well() {
    let (answered, _) = plays(2_000..2_400, Weather { lost: 20, doubled: 5, delay_ms: 100 });
    assert!(answered > 300, "{answered}");
}

#[test]
fn in_a_storm_every_call_ends() {
    plays(3_000..3_200, Weather { lost: 60, doubled: 20, delay_ms: 3_000 });
}

#[test]
fn when_nothing_arrives_every_call_ends() {
    plays(4_000..4_020, Weather { lost: 100, doubled: 0, delay_ms: 1 });
}

#[test]
#[ignore = "takes minutes; for changes of the machines"]
fn in_all_weathers_every_call_ends() {
    for (at, lost) in [0, 5, 20, 40, 60].into_iter().enumerate() {
        let first = 100_000 * (at as u64 + 1);
        plays(first..first + 6_000, Weather { lost, doubled: 20, delay_ms: 20 + 30 * lost });
    }
}

#[test]
#[ignore = "for measuring how many calls there are to a second of processor time"]
fn a_hundred_thousand_calls() {
    let mut pair = Pair::new(1, Weather { lost: 0, doubled: 0, delay_ms: 0 });
    let mut calls = 0;
    while calls < 100_000 {
        pair.now = pair.now + Duration::from_millis(1);
        let route = Hop::new(Transport::Udp, addr(ADDRS[1]));
        let session =
            pair.ends[0].dial(pair.now, Dial { target: uri("sip:far@192.0.2.2:5060"), route, ..call(Some(OFFER)) }).unwrap();
        let mut is_up = true;
        while is_up {
            is_up = false;
            for end in 0..2 {
                while let Some(Transmit { transport, connection, local, remote, bytes, .. }) = pair.ends[end].poll_transmit() {
                    pair.ends[1 - end].receive(pair.now, Incoming { transport, connection, local: remote, remote: local, bytes });
                    is_up = true;
                }
            }
            while let Some(event) = pair.ends[1].poll_event() {
                if let Event::Invite { session, .. } = event {
                    pair.ends[1].ring(pair.now, session, 180, None, Vec::new()).unwrap();
                    pair.ends[1].answer(pair.now, session, sdp(ANSWER), Vec::new()).unwrap();
                    is_up = true;
                }
            }
            while let Some(event) = pair.ends[0].poll_event() {
                if let Event::Answered { .. } = event {
                    pair.ends[0].hang_up(pair.now, session, None).unwrap();
                    is_up = true;
                }
            }
        }
        pair.ends.iter_mut().for_each(|ua| ua.on_timeout(pair.now));
        calls += 1;
    }
}
