//! Random walks: whatever comes, in whatever order, late or twice, the promises hold.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use baton_contract::{AeState, CommitLevel, Driver, IdSource, LegId, Mode, Outcome, Record};
use baton_time::Deadline;

use super::desk::{Desk, Opening};
use super::modes::message;
use crate::roster::tests::ae;
use crate::{
    AcceptBy, Action, AfterAe, BriefingBy, Callee, ColdBy, Event, Fact, HandBackBy, Key, LegEnd, Limits, Roster, SayId,
    SceneName, Target, WhileDialing,
};

/// How many events are told in all.
const EVENTS: u32 = 80_000;

/// A transfer that has not been bridged is over by then, whatever happens.
const LONGEST: Duration = Duration::from_secs(600);

/// What a walk has seen, and what of it must not be seen.
#[derive(Default)]
struct Watch {
    /// The outcome, once it was told.
    finished: Option<Outcome>,
    last_words: u32,
    dialled: Vec<LegId>,
    hung_up: BTreeSet<LegId>,
    /// Legs that have ended by themselves.
    gone: BTreeSet<LegId>,
    /// Facts that the store was asked to take and has not answered for.
    open: Vec<Fact>,
    committed: BTreeSet<Fact>,
    /// Legs on which an AE has accepted.
    accepted: BTreeSet<LegId>,
    /// Callbacks at level Power.
    on_disk: bool,
    /// Messages at level Power.
    kept: bool,
    ended: bool,
    says: Vec<SayId>,
}

struct Walk {
    dice: IdSource,
    desk: Desk,
    watch: Watch,
    attempts: u8,
    caller_gone: bool,
    trace: Vec<String>,
}

impl Walk {
    fn new(seed: u64) -> Walk {
        let mut dice = IdSource::seeded(seed);
        let mut opening = Opening {
            roster: Roster::new(vec![ae("a", Some("b")), ae("b", Some("c")), ae("c", None)], vec![]),
            target: if dice.bits().is_multiple_of(2) { Target::Ae("a".into()) } else { Target::Anyone },
            ai_up: !dice.bits().is_multiple_of(3),
            ..Opening::default()
        };
        opening.settings.attempts = u8::try_from(dice.bits() % 3 + 1).unwrap();
        opening.settings.while_dialing =
            [WhileDialing::Music, WhileDialing::Ai, WhileDialing::Ringback][(dice.bits() % 3) as usize];
        opening.settings.accept = if dice.bits().is_multiple_of(4) { AcceptBy::Answer } else { AcceptBy::Key };
        opening.settings.after_ae = if dice.bits().is_multiple_of(2) { AfterAe::Ai } else { AfterAe::End };
        if dice.bits().is_multiple_of(4) {
            opening.settings.budget.total = Limits::millis(5_000, 30_000);
        }
        opening.mode = [Mode::Warm, Mode::Warm, Mode::Warm, Mode::Warm, Mode::Cold, Mode::Cold, Mode::Scheduled, Mode::Voicemail]
            [(dice.bits() % 8) as usize];
        opening.cold_by = if dice.bits().is_multiple_of(2) { ColdBy::Refer } else { ColdBy::Bridge };
        opening.settings.introduce = dice.bits().is_multiple_of(2);
        opening.settings.briefing = if dice.bits().is_multiple_of(3) { BriefingBy::Ai } else { BriefingBy::Voice };
        if dice.bits().is_multiple_of(4) {
            opening.settings.accept = AcceptBy::Spoken;
        }
        if dice.bits().is_multiple_of(12) {
            opening.target = Target::Outside("+15550199".into());
        }
        let attempts = opening.settings.attempts;
        let desk = opening.silent_store();
        let mut walk = Walk { dice, desk, watch: Watch::default(), attempts, caller_gone: false, trace: Vec::new() };
        while let Some(action) = walk.desk.transfer.poll() {
            walk.saw(action);
        }
        walk
    }

    /// What would come next if all went well; half of all events, so that walks come far.
    fn likely(&mut self) -> Event {
        let leg = self.desk.transfer.ae_leg();
        match (self.desk.transfer.state.name(), leg) {
            ("Dialing", Some(leg)) => Event::Dialed { leg },
            ("Invited", Some(leg)) => Event::Ringing { leg, status: 180 },
            ("Ringing", Some(leg)) => Event::Answered { leg },
            ("Listening", Some(leg)) => Event::Key { leg, key: Key::ALL[(self.dice.bits() % 4) as usize] },
            ("Switching", _) => Event::Switched,
            ("Human", _) => self.of_the_human(),
            ("MovingOn", _) => self.of_the_third(),
            ("HandingBack", _) if self.dice.bits().is_multiple_of(4) => Event::AiFailed,
            ("Referring", _) => self.of_the_refer(),
            ("Recording", _) => match self.dice.bits() % 4 {
                0 => Event::SpeechEnded(self.watch.says.last().copied().unwrap_or(SayId(0))),
                1 => Event::CallerKey(Key::HASH),
                _ => Event::Recorded(message(self.dice.bits() % 9)),
            },
            ("Keeping", _) => self.answer_of_the_store(),
            ("Journalling" | "Accepting" | "Promising", _) => self.answer_of_the_store(),
            ("Offering", _) => Event::CallerKey(Key::ALL[(self.dice.bits() % 4) as usize]),
            ("Recalling", _) if self.dice.bits().is_multiple_of(2) => Event::AiFailed,
            (_, _) => self.event(),
        }
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        let at = usize::try_from(self.dice.bits()).unwrap_or(0).checked_rem(from.len())?;
        from.get(at).copied()
    }

    /// Any event at all: likely ones, late ones, doubled ones, impossible ones.
    fn event(&mut self) -> Event {
        let current = self.desk.transfer.ae_leg();
        let known = self.watch.dialled.clone();
        let leg = match self.dice.bits() % 8 {
            0 => self.pick(&known).or(current),
            _ => current.or(known.last().copied()),
        };
        let stranger = LegId::new(&mut self.dice, self.desk.now.wall);
        let leg = leg.unwrap_or(stranger);
        let says = self.watch.says.clone();
        let say = match self.dice.bits() % 4 {
            0 => self.pick(&says).unwrap_or(SayId(0)),
            _ => says.last().copied().unwrap_or(SayId(0)),
        };
        let key = Key::ALL[(self.dice.bits() % 12) as usize];
        let slot = self.desk.transfer.slots().first().map_or(self.desk.now.wall.into(), |slot| slot.at);
        match self.dice.bits() % 46 {
            0..=5 => self.answer_of_the_store(),
            6 | 7 => Event::Dialed { leg },
            8 => Event::Trying { leg },
            9 | 10 => Event::Ringing { leg, status: 180 },
            11..=13 => Event::Answered { leg },
            14 => Event::Refused {
                leg,
                status: [486, 603, 480, 503, 408, 302][(self.dice.bits() % 6) as usize],
                phrase: "x\r\n".into(),
            },
            15 => Event::LegGone { leg, why: LegEnd::HungUp },
            16 => Event::LegGone { leg, why: LegEnd::Lost },
            17 | 18 => Event::Key { leg, key },
            19 | 20 => Event::CallerKey(key),
            21 => Event::Accept,
            22 => Event::Decline { reason: Some("\u{0}".into()), retry_after: None },
            23 => Event::BriefingReady { full: Duration::from_secs(self.dice.bits() % 40), short: Duration::from_secs(3) },
            24 => Event::BriefingFailed,
            25 | 26 => Event::SpeechStarted(say),
            27 | 28 => Event::SpeechEnded(say),
            29 | 30 => Event::Switched,
            31 => Event::AeHeld,
            32 => Event::AeResumed,
            33 if self.dice.bits().is_multiple_of(2) => Event::CallerGone,
            34 => Event::AiGone,
            35 => Event::AiSilent,
            36 => Event::AiBack,
            37 => Event::AiFailed,
            38 if self.dice.bits().is_multiple_of(6) => Event::Cancel,
            39 => Event::SlotPicked(slot),
            40 => self.of_the_human(),
            41 => self.of_the_refer(),
            42 => Event::AiDone,
            43 => Event::Recorded(message(self.dice.bits() % 3)),
            44 => Event::RecordFailed,
            _ => Event::Wake,
        }
    }

    fn of_the_human(&mut self) -> Event {
        let to = [Callee::Ae("c".into()), Callee::Ae("b".into()), Callee::Outside("+15550177".into())];
        match self.dice.bits() % 8 {
            0 => Event::HandBack { by: HandBackBy::Key, note: Some("x".into()) },
            1 => Event::AeRefers { to: to[..=(self.dice.bits() % 3) as usize].to_vec() },
            2 => Event::AeReplaced { leg: LegId::new(&mut self.dice, self.desk.now.wall) },
            3 => Event::AeHeld,
            _ => self.event(),
        }
    }

    fn of_the_third(&mut self) -> Event {
        let Some(leg) = self.desk.transfer.state.third() else { return Event::Wake };
        match self.dice.bits() % 6 {
            0 => Event::Trying { leg },
            1 => Event::Ringing { leg, status: 183 },
            2 => Event::Answered { leg },
            3 => Event::Refused { leg, status: 486, phrase: String::new() },
            _ => self.event(),
        }
    }

    fn of_the_refer(&mut self) -> Event {
        match self.dice.bits() % 6 {
            0 => Event::ReferAccepted,
            1 => Event::ReferProgress([100, 180][(self.dice.bits() % 2) as usize]),
            2 => Event::ReferDone,
            3 => Event::ReferFailed { status: [405, 486, 603][(self.dice.bits() % 3) as usize] },
            4 => Event::CallerGone,
            _ => Event::Wake,
        }
    }

    fn answer_of_the_store(&mut self) -> Event {
        let odd = [Fact::Attempt(1), Fact::Attempt(2), Fact::Accepted(1), Fact::Callback, Fact::Message, Fact::Outcome];
        if self.watch.open.is_empty() || self.dice.bits().is_multiple_of(8) {
            let fact = self.pick(&odd).unwrap_or(Fact::Outcome);
            // The store never says that it has what it was not asked for.
            return if self.watch.committed.contains(&fact) { Event::Committed(fact) } else { Event::CommitRefused(fact) };
        }
        let fact = self.watch.open.remove(0);
        if self.dice.bits().is_multiple_of(10) {
            return Event::CommitRefused(fact);
        }
        self.watch.committed.insert(fact);
        self.watch.on_disk |= fact == Fact::Callback;
        self.watch.kept |= fact == Fact::Message;
        Event::Committed(fact)
    }

    fn step(&mut self, event: Event) {
        self.trace.push(format!("{:?} {} {event:?}", self.desk.now.mono, self.desk.transfer.state.name()));
        let before = self.desk.transfer.clone();
        self.caller_gone |= event == Event::CallerGone;
        if let Event::Refused { leg, .. } | Event::LegGone { leg, why: LegEnd::HungUp } = &event {
            self.watch.gone.insert(*leg);
        }
        let accepts = self.desk.transfer.can_be_accepted() && self.is_acceptance(&event);
        // Whoever answers a cold call, or takes the place of an AE, has accepted by that.
        if let Event::Answered { leg } = &event
            && (self.desk.transfer.case.begin.mode == Mode::Cold || self.desk.transfer.state.third() == Some(*leg))
        {
            self.watch.accepted.insert(*leg);
        }
        if let Event::AeReplaced { leg } = &event
            && self.desk.transfer.can_be_handed_back()
        {
            self.watch.accepted.insert(*leg);
            self.watch.dialled.push(*leg);
        }
        let leg = self.desk.transfer.ae_leg();
        let Desk { now, settings, roster, transfer, .. } = &mut self.desk;
        let ignored = transfer.step(*now, event, settings, roster);
        if accepts {
            self.watch.accepted.extend(leg);
        }
        let mut acted = false;
        while let Some(action) = self.desk.transfer.poll() {
            acted = true;
            self.saw(action);
        }
        if ignored.is_some() {
            assert!(!acted, "what is ignored does nothing: {:#?}", self.trace);
            assert_eq!(before.state.name(), self.desk.transfer.state.name(), "{:#?}", self.trace);
        }
        self.promises_hold(&before);
    }

    /// With acceptance by answer, the end of the briefing and the skip key accept, too, and so does time.
    fn is_acceptance(&self, event: &Event) -> bool {
        let by_answer = self.desk.settings.accept == AcceptBy::Answer;
        match event {
            Event::Accept => true,
            Event::Key { key, .. } => *key == Key::ONE || by_answer && *key == Key::HASH,
            Event::SpeechEnded(_) | Event::Wake | Event::AiDone => by_answer,
            Event::Committed(_)
            | Event::CommitRefused(_)
            | Event::Dialed { .. }
            | Event::Trying { .. }
            | Event::Ringing { .. }
            | Event::Answered { .. }
            | Event::Refused { .. }
            | Event::LegGone { .. }
            | Event::CallerKey(_)
            | Event::Decline { .. }
            | Event::BriefingReady { .. }
            | Event::BriefingFailed
            | Event::SpeechStarted(_)
            | Event::Switched
            | Event::AeHeld
            | Event::AeResumed
            | Event::CallerGone
            | Event::AiGone
            | Event::AiSilent
            | Event::AiBack
            | Event::AiFailed
            | Event::ReferAccepted
            | Event::ReferProgress(_)
            | Event::ReferDone
            | Event::ReferFailed { .. }
            | Event::Recorded(_)
            | Event::RecordFailed
            | Event::HandBack { .. }
            | Event::AeRefers { .. }
            | Event::AeReplaced { .. }
            | Event::Cancel
            | Event::SlotPicked(_) => false,
        }
    }

    fn saw(&mut self, action: Action) {
        let trace = &self.trace;
        let watch = &mut self.watch;
        match action {
            Action::Commit { fact, level, records } => {
                let promise = records.iter().any(|record| matches!(record, Record::Callback(_))) && fact == Fact::Callback;
                assert!(!promise || level == CommitLevel::Power, "a promise survives a loss of power: {trace:#?}");
                watch.open.push(fact);
            }
            Action::Dial { leg, attempt, .. } => {
                assert!(!watch.dialled.contains(&leg), "dialled twice: {trace:#?}");
                watch.dialled.push(leg);
                // Somebody whom an AE passes the caller on to is no attempt.
                if attempt > 0 {
                    assert!(watch.committed.contains(&Fact::Attempt(attempt)), "dialled before it was on record: {trace:#?}");
                    assert!(attempt <= self.attempts, "too many attempts: {trace:#?}");
                }
            }
            Action::HangUp { leg, .. } => {
                assert!(watch.dialled.contains(&leg), "hung up before it was dialled: {trace:#?}");
                assert!(watch.hung_up.insert(leg), "hung up twice: {trace:#?}");
            }
            Action::Scene(SceneName::Human) => {
                // A step can bridge and end.
                let Some(leg) = self.desk.transfer.ae_leg() else { return };
                assert!(watch.accepted.contains(&leg), "bridged without acceptance: {trace:#?}");
                assert!(!self.caller_gone, "bridged to a caller who has left: {trace:#?}");
            }
            Action::SayToCaller { say, lines } => {
                let promise = lines.iter().any(|line| matches!(line, crate::Line::WeWillCallYou | crate::Line::CallbackNoted));
                assert!(!promise || watch.on_disk, "promised before it was on disk: {trace:#?}");
                assert!(!lines.contains(&crate::Line::MessageKept) || watch.kept, "kept before it was on disk: {trace:#?}");
                assert!(!lines.is_empty());
                watch.says.push(say);
            }
            Action::SayToAe { leg, say, .. } => {
                assert!(watch.dialled.contains(&leg) && !watch.hung_up.contains(&leg), "said to nobody: {trace:#?}");
                watch.says.push(say);
            }
            Action::Progress(progress) => {
                assert_eq!(watch.last_words, 0, "progress after the last word: {trace:#?}");
                watch.last_words += u32::from(progress.last);
            }
            Action::Finished(outcome) => {
                assert_eq!(watch.finished.replace(outcome), None, "two outcomes: {trace:#?}");
                assert_eq!(watch.last_words, 1, "an outcome without a last word: {trace:#?}");
            }
            Action::EndCall => assert!(!std::mem::replace(&mut watch.ended, true), "ended twice: {trace:#?}"),
            Action::Scene(SceneName::Conversation) => {
                assert_eq!(self.desk.transfer.case.ai, super::case::Ai::Up, "the caller is left with nobody: {trace:#?}");
            }
            Action::Scene(_)
            | Action::HushCaller
            | Action::Render(_)
            | Action::DropAi
            | Action::RecallAi { .. }
            | Action::ForgetAi
            | Action::ReferCaller { .. }
            | Action::Record { .. }
            | Action::StopRecording
            | Action::Report(..) => {}
        }
    }

    fn promises_hold(&self, before: &super::Transfer) {
        let trace = &self.trace;
        let transfer = &self.desk.transfer;
        assert_eq!(transfer.outcome(), self.watch.finished, "{trace:#?}");
        if let Some(outcome) = before.outcome() {
            assert_eq!(transfer.outcome(), Some(outcome), "an outcome stays: {trace:#?}");
        }
        let human = matches!(transfer.scene(), SceneName::Human | SceneName::AeHolds);
        if transfer.driver() == Driver::Human && !self.caller_gone {
            assert!(human || transfer.is_over(), "the human drives and is not heard: {trace:#?}");
        }
        // The AI is only heard while it is there.
        if transfer.scene() == SceneName::ConsultAi {
            assert_eq!(transfer.case.ai, super::case::Ai::Up, "{trace:#?}");
        }
        if transfer.is_over() {
            assert!(transfer.outcome().is_some(), "over without an outcome: {trace:#?}");
            assert_eq!(transfer.poll_timeout(), None, "{trace:#?}");
            assert!(
                self.watch.ended || transfer.scene() == SceneName::Conversation,
                "over, and nobody with the caller: {trace:#?}"
            );
            for view in self.desk.roster.views(self.desk.now) {
                assert!(matches!(view.state, AeState::Available | AeState::WrapUp), "{} is still held: {trace:#?}", view.id);
            }
            let left = |leg: &&LegId| !self.watch.hung_up.contains(leg) && !self.watch.gone.contains(leg);
            let up = self.watch.dialled.iter().filter(left).count();
            assert!(up == 0 || self.watch.ended, "a leg outlives its transfer: {trace:#?}");
        } else {
            assert!(transfer.poll_timeout().is_some() || transfer.driver() == Driver::Human, "waits for nothing: {trace:#?}");
        }
    }

    /// Lets time run until the transfer is over, or has handed the caller to a human.
    fn run_out(&mut self) {
        let until = self.desk.now.mono + LONGEST;
        while let Some((Deadline::Mono(at), _)) = self.desk.transfer.poll_timeout() {
            assert!(at <= until, "it does not end: {:#?}", self.trace);
            self.desk.now = self.desk.now.after(at.since(self.desk.now.mono));
            self.step(Event::Wake);
        }
        let human = self.desk.transfer.driver() == Driver::Human;
        assert!(self.desk.transfer.is_over() || human, "it neither ends nor goes on: {:#?}", self.trace);
    }
}

fn walk(seed: u64) -> (u32, BTreeMap<&'static str, u32>) {
    let mut walk = Walk::new(seed);
    let mut seen = BTreeMap::new();
    let mut events = 0;
    while !walk.desk.transfer.is_over() && events < 120 {
        *seen.entry(walk.desk.transfer.state.name()).or_default() += 1;
        let ahead = walk.dice.bits() % 3_000;
        let due = walk
            .desk
            .transfer
            .poll_timeout()
            .map_or(ahead * 1_000, |(at, _)| at.mono(walk.desk.now).since(walk.desk.now.mono).as_micros() as u64);
        walk.desk.now = walk.desk.now.after(Duration::from_micros(due.min(ahead * 1_000)));
        let event = match walk.dice.bits() % 8 {
            0 => Event::Wake,
            1..=3 => walk.likely(),
            _ => walk.event(),
        };
        walk.step(event);
        events += 1;
    }
    walk.run_out();
    // Whatever comes after the end changes nothing.
    for _ in 0..10 {
        let event = walk.event();
        walk.step(event);
    }
    (events, seen)
}

#[test]
fn whatever_comes_in_whatever_order_the_promises_hold() {
    let mut told = 0;
    let mut seen: BTreeMap<&str, u32> = BTreeMap::new();
    for seed in 0.. {
        let (events, states) = walk(seed);
        told += events;
        for (state, times) in states {
            *seen.entry(state).or_default() += times;
        }
        if told >= EVENTS {
            break;
        }
    }
    // Every state in which a transfer can be was visited often enough to mean something.
    assert_eq!(seen.len(), 19, "{seen:?}");
    assert!(seen.values().all(|times| *times > 200), "{seen:?}");
}

#[test]
fn the_same_seed_gives_the_same_walk() {
    for seed in [1, 7, 4_711] {
        let trace = |seed| {
            let mut walk = Walk::new(seed);
            for _ in 0..60 {
                let event = walk.event();
                walk.step(event);
            }
            walk.trace
        };
        assert_eq!(trace(seed), trace(seed));
    }
}
