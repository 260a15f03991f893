//! Two daemons, their store, their people, and time.

use std::collections::BTreeMap;
use std::time::Duration;

use baton_contract::{AeId, At, CallbackId, CallbackState, CallbackView, IdSource, LegId, Record, TransferId};
use baton_time::{Deadline, Mono, Now, Wall};
use baton_transfer::{
    AeSettings, CallbackAction, CallbackEvent, CallbackRun, CallbackWhy, Change, Hours, Key, LegEnd, NoBriefing, Roster,
    SceneName, Settings,
};
use jiff::ToSpan;
use jiff::civil::date;

use crate::dice::Dice;
use crate::observer::{Observer, Ready};
use crate::people::{self, Deed, ZONES};

/// What is broken on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// The store does not compare epochs.
    EveryClaimIsGranted,
    /// The machine is told a time that lies three seconds ahead.
    ClockIsAhead,
    /// The machine is woken ten seconds late.
    WokenLate,
    /// The machine believes that every caller lives in Auckland.
    AnotherZone,
    /// The store forgets that a callback was kept, and that its caller was reached.
    KeptIsForgotten,
    /// Nobody wakes the machine for what is due.
    NeverWoken,
    /// The store forgets that a callback was told.
    ReminderIsForgotten,
}

enum Post {
    Event {
        who: usize,
        life: u32,
        id: CallbackId,
        event: CallbackEvent,
    },
    /// Caller and AE, who were connected, have hung up.
    Parted {
        who: usize,
        life: u32,
        id: CallbackId,
        ae: AeId,
        transfer: TransferId,
        epoch: u64,
    },
    Crash(usize),
    Boot(usize),
    Step(usize, i64),
    Change(CallbackId, Change),
}

struct Daemon {
    /// None: it is down.
    runs: Option<BTreeMap<CallbackId, CallbackRun>>,
    roster: Roster,
    life: u32,
    /// What its clock says beyond the truth, in microseconds.
    offset: i64,
    /// It is up, and its clock untouched, since then.
    since: Mono,
    settings: Settings,
}

pub(crate) struct World {
    now: Now,
    dice: Dice,
    fault: Fault,
    daemons: Vec<Daemon>,
    rows: BTreeMap<CallbackId, CallbackView>,
    held: BTreeMap<AeId, TransferId>,
    posts: BTreeMap<(Mono, u64), Post>,
    posted: u64,
    observer: Observer,
}

const AES: [(&str, &str); 4] =
    [("ana", "America/New_York"), ("ben", "Europe/Berlin"), ("cem", "Asia/Kolkata"), ("dee", "Australia/Sydney")];

/// A world lasts for ten days.
const LASTS: Duration = Duration::from_secs(10 * 86_400);

fn roster() -> Roster {
    let ae = |place: usize| AeSettings {
        id: AES[place].0.into(),
        name: AES[place].0.into(),
        uri: format!("sip:{}@192.0.2.1", AES[place].0),
        numbers: vec![],
        backup: Some(AES[(place + 1) % 4].0.into()).filter(|_| place != 3),
        timezone: AES[place].1.parse().expect("a zone"),
        hours: Hours::always(),
        language: None,
        skills: vec![],
        trunk: None,
        trusted: true,
        ring_max: None,
        ringing: None,
    };
    Roster::new((0..4).map(ae).collect(), vec![])
}

impl World {
    pub(crate) fn new(seed: u64, callbacks: usize, fault: Fault) -> World {
        let mut dice = Dice::new(seed);
        let (zone, [year, month, day]) = ZONES[(seed % 10) as usize];
        let morning = date(2000 + i16::from(year), month, day).checked_sub(1.day()).expect("a day");
        let begin = morning.at(0, 0, 0, 0).in_tz(zone).expect("a zone").timestamp().as_microsecond();
        let now = Now { mono: Mono::from_millis(1_000), wall: Wall::from_micros(begin) };
        let daemon = |place: usize| {
            let mut settings = Settings::default();
            settings.callback.node = format!("baton-{place}");
            Daemon { runs: None, roster: roster(), life: 0, offset: 0, since: now.mono, settings }
        };
        let two = dice.percent(50) || fault == Fault::EveryClaimIsGranted;
        let mut world = World {
            now,
            fault,
            daemons: (0..if two { 2 } else { 1 }).map(daemon).collect(),
            rows: BTreeMap::new(),
            held: BTreeMap::new(),
            posts: BTreeMap::new(),
            posted: 0,
            observer: Observer::default(),
            dice,
        };
        let mut ids = IdSource::seeded(seed);
        for _ in 0..callbacks {
            world.promise(&mut ids);
        }
        world.trouble();
        for who in 0..world.daemons.len() {
            world.boot(who);
        }
        world
    }

    fn promise(&mut self, ids: &mut IdSource) {
        let zone = ZONES[self.dice.below(10) as usize].0;
        let ahead = Duration::from_secs(60 * self.dice.between(20, 3 * 24 * 60));
        let row = CallbackView {
            id: CallbackId::new(ids, self.now.wall),
            state: CallbackState::Scheduled,
            call: None,
            transfer: None,
            ae: AES[self.dice.below(4) as usize].0.into(),
            caller: "+15550123".into(),
            at: At(self.now.wall + ahead),
            timezone: zone.into(),
            context: Default::default(),
            created_at: At(self.now.wall),
            progress: Default::default(),
        };
        if self.dice.percent(15) {
            let change = if self.dice.percent(50) {
                Change::Cancel
            } else {
                let at = At(row.at.0 + Duration::from_secs(60 * self.dice.between(30, 900)));
                Change::Move { ae: row.ae.clone(), at, timezone: row.timezone.clone() }
            };
            // Often just when the phones ring.
            let when = if self.dice.percent(50) { ahead + Duration::from_millis(self.dice.below(40_000)) } else { ahead / 2 };
            self.post(when, Post::Change(row.id, change));
        }
        self.observer.promised(&row);
        self.rows.insert(row.id, row);
    }

    /// Crashes, and clocks that are set.
    fn trouble(&mut self) {
        let ats: Vec<Wall> = self.rows.values().map(|row| row.at.0).collect();
        for who in 0..self.daemons.len() {
            for _ in 0..self.dice.below(4) {
                let near = ats[self.dice.below(ats.len() as u64) as usize].since(self.now.wall);
                let at = near.saturating_sub(Duration::from_secs(30)) + Duration::from_millis(self.dice.below(90_000));
                let down =
                    if self.dice.percent(70) { self.dice.between(500, 60_000) } else { self.dice.between(60_000, 9_000_000) };
                self.post(at, Post::Crash(who));
                self.post(at + Duration::from_millis(down), Post::Boot(who));
            }
            if self.dice.percent(30) {
                let by = self.dice.between(1, 3_600_000_000) as i64;
                let at = Duration::from_secs(self.dice.below(3 * 86_400));
                let (sign, for_seconds) = (if self.dice.percent(50) { 1 } else { -1 }, self.dice.between(10, 40_000));
                self.post(at, Post::Step(who, sign * by));
                self.post(at + Duration::from_secs(for_seconds), Post::Step(who, 0));
            }
        }
    }

    fn post(&mut self, after: Duration, post: Post) {
        self.posted += 1;
        self.posts.insert((self.now.mono + after, self.posted), post);
    }

    /// The time as a daemon's clocks tell it.
    fn told(&self, who: usize) -> Now {
        let wall = Wall::from_micros(self.now.wall.as_micros() + self.daemons[who].offset);
        Now { mono: self.now.mono, wall }
    }

    /// The time as the machine is told it.
    fn fed(&self, who: usize) -> Now {
        let told = self.told(who);
        if self.fault == Fault::ClockIsAhead { Now { wall: told.wall + Duration::from_secs(3), ..told } } else { told }
    }

    pub(crate) fn run(&mut self) {
        let end = self.now.mono + LASTS;
        loop {
            let post = self.posts.first_key_value().map(|((at, _), _)| *at);
            let due = (0..self.daemons.len()).filter_map(|who| self.next_of(who)).min_by_key(|(at, ..)| *at);
            let at = match (post, &due) {
                (Some(post), Some((due, ..))) => post.min(*due),
                (Some(at), None) => at,
                (None, Some((at, ..))) => *at,
                (None, None) => return,
            };
            if at > end {
                return;
            }
            self.now = self.now.after(at.since(self.now.mono));
            match due.filter(|(due, ..)| *due <= self.now.mono) {
                Some((_, who, id)) => self.tell(who, id, CallbackEvent::Wake),
                None => {
                    if let Some((_, post)) = self.posts.pop_first() {
                        self.deliver(post);
                    }
                }
            }
        }
    }

    fn next_of(&self, who: usize) -> Option<(Mono, usize, CallbackId)> {
        let daemon = &self.daemons[who];
        let now = self.fed(who);
        let next = |(id, run): (&CallbackId, &CallbackRun)| {
            let (deadline, why) = run.poll_timeout(&daemon.settings.callback)?;
            if self.fault == Fault::NeverWoken && why == CallbackWhy::Due {
                return None;
            }
            let late = if self.fault == Fault::WokenLate && why == CallbackWhy::Due { 10 } else { 0 };
            let deadline = match deadline {
                Deadline::Wall(at) => Deadline::Wall(at + Duration::from_secs(late)),
                Deadline::Mono(at) => Deadline::Mono(at),
            };
            Some((deadline.mono(now), who, *id))
        };
        daemon.runs.iter().flatten().filter_map(next).min()
    }

    fn deliver(&mut self, post: Post) {
        match post {
            Post::Event { who, life, id, event } => {
                if self.daemons[who].life == life && self.daemons[who].runs.is_some() {
                    self.tell(who, id, event);
                }
            }
            Post::Parted { who, life, id, ae, transfer, epoch } => {
                let now = self.fed(who);
                let daemon = &mut self.daemons[who];
                if daemon.life == life && daemon.runs.is_some() {
                    daemon.roster.release(now, &ae, transfer, epoch, Duration::ZERO);
                    self.held.remove(&ae);
                    self.observer.is_quiet(id, (who, life));
                }
            }
            Post::Crash(who) => {
                if self.daemons[who].runs.take().is_some() {
                    self.observer.crashed((who, self.daemons[who].life));
                    // Its leases lapse.
                    self.held.clear();
                }
            }
            Post::Boot(who) => self.boot(who),
            Post::Step(who, offset) => {
                self.observer.steps += 1;
                self.daemons[who].offset = offset;
                self.daemons[who].since = self.now.mono;
                let ids: Vec<CallbackId> = self.daemons[who].runs.iter().flatten().map(|(id, _)| *id).collect();
                ids.into_iter().for_each(|id| self.tell(who, id, CallbackEvent::Wake));
            }
            Post::Change(id, change) => {
                for who in 0..self.daemons.len() {
                    let run = self.daemons[who].runs.as_ref().and_then(|runs| runs.get(&id));
                    if run.is_some_and(|run| run.state() != "Elsewhere") {
                        return self.tell(who, id, CallbackEvent::Change(change));
                    }
                }
            }
        }
    }

    fn boot(&mut self, who: usize) {
        if self.daemons[who].runs.is_some() {
            return;
        }
        let now = self.fed(who);
        let fault = self.fault;
        let open: Vec<CallbackView> = self
            .rows
            .values()
            .filter(|row| matches!(row.state, CallbackState::Scheduled | CallbackState::Running))
            .cloned()
            .collect();
        for row in &open {
            if row.state == CallbackState::Scheduled {
                self.observer.reads(row);
            }
        }
        let daemon = &mut self.daemons[who];
        daemon.life += 1;
        daemon.since = self.now.mono;
        daemon.roster = roster();
        let mut runs = BTreeMap::new();
        for row in open {
            let seed = self.dice.bits();
            let id = row.id;
            let run = CallbackRun::new(now, as_believed(fault, row), 2.5, &daemon.settings, &mut daemon.roster, seed);
            runs.insert(id, run);
        }
        let ids: Vec<CallbackId> = runs.keys().copied().collect();
        self.daemons[who].runs = Some(runs);
        ids.into_iter().for_each(|id| self.carry_out(who, id));
    }

    fn tell(&mut self, who: usize, id: CallbackId, event: CallbackEvent) {
        let now = self.fed(who);
        let daemon = &mut self.daemons[who];
        let Some(run) = daemon.runs.as_mut().and_then(|runs| runs.get_mut(&id)) else { return };
        run.on(now, event, &daemon.settings, &mut daemon.roster);
        self.carry_out(who, id);
    }

    fn answer(&mut self, who: usize, id: CallbackId, after: u64, event: CallbackEvent) {
        let life = self.daemons[who].life;
        self.post(Duration::from_millis(after), Post::Event { who, life, id, event });
    }

    fn carry_out(&mut self, who: usize, id: CallbackId) {
        let life = self.daemons[who].life;
        loop {
            let Some(run) = self.daemons[who].runs.as_mut().and_then(|runs| runs.get_mut(&id)) else { return };
            let Some(action) = run.poll() else { return };
            let row = run.view().clone();
            match action {
                CallbackAction::Commit { number, records, .. } => self.commit(who, id, number, records),
                CallbackAction::Reload => {
                    if let Some(row) = self.rows.get(&id).cloned() {
                        let row = as_believed(self.fault, row);
                        self.answer(who, id, 3, CallbackEvent::Row(Box::new(row)));
                    }
                }
                CallbackAction::DialAe { leg, .. } => {
                    self.observer.dials(id, (who, life), self.told(who).wall, false);
                    let deed = people::ae(&mut self.dice);
                    self.phone(who, id, leg, deed);
                }
                CallbackAction::DialCaller { leg, .. } => {
                    self.observer.dials(id, (who, life), self.told(who).wall, true);
                    let deed = people::caller(&mut self.dice);
                    self.phone(who, id, leg, deed);
                }
                CallbackAction::Scene(SceneName::Human) => {
                    self.observer.bridged(id);
                    self.answer(who, id, 20, CallbackEvent::Switched);
                    // Too late, mostly: then the call is a transfer's.
                    let after = self.dice.between(0, 400);
                    let legs = self.daemons[who].runs.as_ref().and_then(|runs| runs.get(&id)).and_then(CallbackRun::caller_leg);
                    if let Some(leg) = legs {
                        self.answer(who, id, after, CallbackEvent::Gone { leg, why: LegEnd::HungUp });
                    }
                }
                CallbackAction::HandOver { ae, epoch, .. } => {
                    let Some(transfer) = row.progress.attempts.last().map(|attempt| attempt.transfer) else { return };
                    let after = Duration::from_millis(self.dice.between(1_000, 120_000));
                    self.post(after, Post::Parted { who, life, id, ae, transfer, epoch });
                }
                CallbackAction::SayToAe { say, .. } | CallbackAction::SayToCaller { say, .. } => {
                    self.answer(who, id, 1_500, CallbackEvent::SpeechEnded(say));
                }
                CallbackAction::Render(_) => {
                    let result = if self.dice.percent(90) { Ok(()) } else { Err(NoBriefing) };
                    self.answer(who, id, 150, CallbackEvent::Rendered(result));
                }
                CallbackAction::Report(kind, _) => self.observer.hears(id, kind, &row),
                CallbackAction::EndCall => self.observer.is_quiet(id, (who, life)),
                CallbackAction::HangUp { .. }
                | CallbackAction::Scene(_)
                | CallbackAction::Listen { .. }
                | CallbackAction::StopListening
                | CallbackAction::Changed(_) => {}
            }
        }
    }

    fn phone(&mut self, who: usize, id: CallbackId, leg: LegId, deed: Deed) {
        let ringing = |world: &mut World| world.answer(who, id, 120, CallbackEvent::Ringing { leg, status: 180 });
        let (after, then) = match deed {
            Deed::Nothing => return,
            Deed::Rings => return ringing(self),
            Deed::Refuses { after, status } => {
                self.answer(who, id, after, CallbackEvent::Refused { leg, status, phrase: "No".into() });
                return;
            }
            Deed::Presses { after, key, then } => {
                let key = Key::try_from(key).expect("a key");
                (after, Some((then, CallbackEvent::Key { leg, key })))
            }
            Deed::HangsUp { after, then } => (after, Some((then, CallbackEvent::Gone { leg, why: LegEnd::HungUp }))),
            Deed::Listens { after } => (after, None),
        };
        ringing(self);
        self.answer(who, id, after, CallbackEvent::Answered { leg });
        if let Some((then, event)) = then {
            self.answer(who, id, after + then, event);
        }
    }

    /// The store: it compares and sets, now and then refuses, and now and then the answer is lost with the daemon.
    fn commit(&mut self, who: usize, id: CallbackId, number: u32, records: Vec<Record>) {
        let ill = self.fault == Fault::None && self.dice.below(400) == 0;
        let mut written = !ill;
        for record in &records {
            written &= self.write(who, record, ill);
        }
        if !written {
            self.observer.excuse(id);
        }
        let event = if written { CallbackEvent::Committed(number) } else { CallbackEvent::CommitRefused(number) };
        let after = self.dice.between(1, 8);
        self.answer(who, id, after, event);
    }

    fn write(&mut self, who: usize, record: &Record, ill: bool) -> bool {
        match record {
            Record::Claim { from, callback } => {
                let waits = |row: &CallbackView| row.state == CallbackState::Scheduled;
                let claims = callback.state == CallbackState::Running && self.rows.get(&callback.id).is_some_and(waits);
                let standing = self.rows.get(&callback.id).map(|row| row.progress.epoch);
                if ill || (standing != Some(*from) && self.fault != Fault::EveryClaimIsGranted) {
                    return false;
                }
                if claims {
                    let (told, since) = (self.told(who), self.daemons[who].since);
                    self.observer.begins(callback.id, &Ready { now: told.mono, wall: told.wall, since });
                }
                let mut row = (**callback).clone();
                match self.fault {
                    Fault::KeptIsForgotten if row.state == CallbackState::Kept => {
                        row.state = CallbackState::Running;
                        row.progress.attempts.iter_mut().for_each(|attempt| attempt.caller = None);
                        // Whoever has claimed it is gone.
                        self.post(Duration::from_secs(5), Post::Crash(who));
                        self.post(Duration::from_secs(9), Post::Boot(who));
                    }
                    Fault::ReminderIsForgotten if row.progress.reminded_at.is_some() && !claims => {
                        row.progress.reminded_at = None;
                        self.post(Duration::from_secs(5), Post::Crash(who));
                        self.post(Duration::from_secs(9), Post::Boot(who));
                    }
                    Fault::AnotherZone => {
                        row.timezone.clone_from(&self.rows[&callback.id].timezone);
                    }
                    _ => {}
                }
                self.rows.insert(row.id, row);
                true
            }
            Record::Lease(lease) => {
                let free = !ill && self.held.get(&lease.ae).is_none_or(|transfer| *transfer == lease.transfer);
                if free {
                    self.held.insert(lease.ae.clone(), lease.transfer);
                }
                free
            }
            Record::Release { ae, .. } => {
                self.held.remove(ae);
                true
            }
            _ => true,
        }
    }

    pub(crate) fn close(mut self) -> Observer {
        self.observer.close(&self.rows);
        self.observer
    }
}

fn as_believed(fault: Fault, row: CallbackView) -> CallbackView {
    if fault == Fault::AnotherZone { CallbackView { timezone: "Pacific/Auckland".into(), ..row } } else { row }
}
