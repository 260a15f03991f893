//! The floor: one thread that plays all parties of all transfers by the clock, and sees to it that so many transfers are in flight.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use baton_party::{Dice, Identity, Input, Lines, Message, Output, Party, Pilot, Script};
use baton_time::Mono;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::asker::{Askers, Wish};
use super::kinds::{GO, Kind, MESSAGE};
use super::scripts::{ASKS, HEARS_AE, HEARS_CALLER};
use super::setting::ae_id;
use super::trial::{Stall, Trial};
use crate::clock::Clock;
use crate::demo::port::{Datagram, Port};
use crate::demo::stage::answer_to_stranger;

/// Later than this is a stall of this tool, and no fault of the daemon.
const STALL: Duration = Duration::from_millis(2);
/// What a call is given after its last party is done: late datagrams belong to it too.
const AFTERMATH: Duration = Duration::from_millis(100);
/// Over how long the first calls are spread.
const RAMP_MS: u64 = 2_500;
/// One transfer of so many has words that were never spoken before.
const FRESH_EVERY: usize = 10;
/// How often a mixed run, which takes minutes, says how far it is.
const TELL_EVERY: Duration = Duration::from_secs(15);
/// The seats of a lane.
const CALLER: usize = 0;
const AI: usize = 1;
const AE: usize = 2;
/// The AI that is called a second time; there in calls that come back to it.
const AI_AGAIN: usize = 3;

/// How much is to be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    /// Transfers; one more is made first, so that everything has been used once.
    pub(super) calls: usize,
    /// How many are between request and bridge at a time.
    pub(super) in_flight: usize,
    /// Whether all kinds take turns; otherwise every transfer is a warm one.
    pub(super) mixed: bool,
}

impl Plan {
    /// The kind of a transfer.
    pub(super) fn kind(self, number: usize) -> Kind {
        if self.mixed { Kind::ALL[number % Kind::ALL.len()] } else { Kind::Warm }
    }

    /// Calls at a time: some are not yet there, some talk already.
    pub(super) fn lanes(self) -> usize {
        self.in_flight * 2
    }
}

/// Whether a transfer's briefing has words that were never spoken before.
pub(super) fn is_fresh(number: usize) -> bool {
    number % FRESH_EVERY == FRESH_EVERY - 1
}

/// What is left when all is over.
pub(super) struct Played {
    /// Every transfer; the first one is the one before the measurement.
    pub(super) trials: Vec<Trial>,
    /// When this tool itself was late.
    pub(super) stalls: Vec<Stall>,
}

/// The floor.
pub(super) struct Floor {
    clock: Clock,
    plan: Plan,
    proxy: SocketAddr,
    ai: Port,
    lanes: Vec<Lane>,
    dice: Dice,
    lines: Lines,
    begun: usize,
    waiting: VecDeque<usize>,
    in_flight: usize,
    trials: Vec<Trial>,
    stalls: Vec<Stall>,
}

/// A caller's and an AE's phone, used by one call after the other.
struct Lane {
    caller_sip: Port,
    ae_sip: Port,
    free_at: Mono,
    call: Option<Call>,
}

/// A call in a lane.
struct Call {
    number: usize,
    kind: Kind,
    seats: Vec<Seat>,
    id: Option<String>,
    standing: Standing,
    in_flight_when_asked: usize,
    over_at: Option<Mono>,
}

struct Seat {
    party: Party,
    rtp: Port,
}

/// Where a call stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    BeforeRequest,
    Waiting,
    InFlight { bridged_one_way: bool },
    Bridged,
}

/// Where a datagram came.
#[derive(Debug, Clone, Copy)]
enum Place {
    AiSip,
    CallerSip(usize),
    AeSip(usize),
    Rtp(usize, usize),
}

impl Floor {
    /// Opens the phones.
    pub(super) fn open(clock: Clock, plan: Plan, proxy: SocketAddr) -> io::Result<Floor> {
        let dice = Dice::new(0xbe7c);
        let free_at = clock.now().mono;
        let lanes = (0..plan.lanes()).map(|_| Ok(Lane { caller_sip: Port::any()?, ae_sip: Port::any()?, free_at, call: None }));
        let lanes = lanes.collect::<io::Result<Vec<Lane>>>()?;
        Ok(Floor {
            clock,
            plan,
            proxy,
            ai: Port::any()?,
            lanes,
            dice,
            lines: lines(),
            begun: 0,
            waiting: VecDeque::new(),
            in_flight: 0,
            trials: Vec::new(),
            stalls: Vec::new(),
        })
    }

    /// Where the AI is called.
    pub(super) fn ai(&self) -> io::Result<SocketAddr> {
        self.ai.address()
    }

    /// Where the AEs are called, lane by lane.
    pub(super) fn phones(&self) -> io::Result<Vec<SocketAddr>> {
        self.lanes.iter().map(|lane| lane.ae_sip.address()).collect()
    }

    /// Plays every transfer to its end.
    pub(super) fn play(mut self, askers: &Askers) -> io::Result<Played> {
        let mut tell_at = self.clock.now().mono + TELL_EVERY;
        while self.trials.len() <= self.plan.calls {
            let now = self.clock.now().mono;
            if self.plan.mixed && now >= tell_at {
                tell_at = now + TELL_EVERY;
                eprintln!("{} of {} transfers are over, {} in flight", self.trials.len(), self.plan.calls + 1, self.in_flight);
            }
            self.close_lanes(now);
            self.open_lanes(now)?;
            self.ask(askers);
            let due = self.next_due(now).min(now + Duration::from_millis(100));
            let ready = self.wait_until(due);
            let woken = self.clock.now().mono;
            self.late(due, woken);
            for place in ready {
                self.hear(place);
            }
            self.tick();
            let done = self.clock.now().mono;
            self.late(woken, done);
        }
        self.trials.sort_by_key(|trial| trial.number);
        Ok(Played { trials: self.trials, stalls: self.stalls })
    }

    fn late(&mut self, due: Mono, was: Mono) {
        if was.since(due) > STALL {
            self.stalls.push(Stall { due, was });
        }
    }

    /// The first call is alone; when it is over the others follow.
    fn may_begin(&self) -> bool {
        self.begun == 0 || (!self.trials.is_empty() && self.begun <= self.plan.calls)
    }

    fn open_lanes(&mut self, now: Mono) -> io::Result<()> {
        for place in 0..self.lanes.len() {
            if self.may_begin() && self.lanes[place].call.is_none() && self.lanes[place].free_at <= now {
                self.begin(place, now)?;
            }
        }
        Ok(())
    }

    fn begin(&mut self, lane: usize, now: Mono) -> io::Result<()> {
        let number = self.begun;
        self.begun += 1;
        let dialled = format!("bench-{number}");
        let kind = self.plan.kind(number);
        let id = ae_id(lane);
        let scripts = [kind.caller(&dialled, &mut self.dice), kind.ai(&id), kind.ae(&mut self.dice)];
        let [caller, ai, ae] = scripts.map(Script::new);
        let mut seats = vec![
            self.seat("+15550123", Pilot::Caller, self.lanes[lane].caller_sip.address()?, caller, now)?,
            self.seat(&dialled, Pilot::Ai, self.ai.address()?, ai, now)?,
            self.seat(&id, Pilot::Ae, self.lanes[lane].ae_sip.address()?, ae, now)?,
        ];
        let again = kind.ai_again();
        if !again.is_empty() {
            seats.push(self.seat(&dialled, Pilot::Ai, self.ai.address()?, Script::new(again), now)?);
        }
        let order: Vec<usize> = (0..seats.len()).filter(|seat| *seat != CALLER).chain([CALLER]).collect();
        let standing = Standing::BeforeRequest;
        self.lanes[lane].call = Some(Call { number, kind, seats, id: None, standing, in_flight_when_asked: 0, over_at: None });
        for seat in order {
            self.hand(lane, seat, now, Input::Tick);
        }
        Ok(())
    }

    fn seat(&mut self, user: &str, pilot: Pilot, sip: SocketAddr, script: Script, origin: Mono) -> io::Result<Seat> {
        let rtp = Port::pair()?;
        let (user, display) = (user.to_owned(), user.to_owned());
        let identity =
            Identity { user, display, pilot, sip, rtp: rtp.address()?, proxy: self.proxy, seed: self.dice.roll(), origin };
        Ok(Seat { party: Party::new(identity, script, self.lines.clone()), rtp })
    }

    /// Takes the records of the calls that are over.
    fn close_lanes(&mut self, now: Mono) {
        for place in 0..self.lanes.len() {
            let Some(call) = &mut self.lanes[place].call else { continue };
            if call.over_at.is_none() && call.is_over() {
                call.over_at = Some(now);
            }
            if call.over_at.is_none_or(|at| now < at + AFTERMATH) {
                continue;
            }
            let Some(call) = self.lanes[place].call.take() else { continue };
            self.waiting.retain(|lane| *lane != place);
            if matches!(call.standing, Standing::InFlight { .. }) {
                self.in_flight -= 1;
            }
            self.lanes[place].free_at = now + Duration::from_millis(50 + self.dice.roll() % 200);
            if call.number == 0 {
                self.ramp_up(now);
            }
            self.trials.push(call.into_trial());
        }
    }

    /// Lets the first calls begin one after the other.
    fn ramp_up(&mut self, now: Mono) {
        for lane in &mut self.lanes {
            lane.free_at = now + Duration::from_millis(self.dice.roll() % RAMP_MS);
        }
    }

    /// Lets transfers be asked for, as many as may be in flight.
    fn ask(&mut self, askers: &Askers) {
        while self.in_flight < self.plan.in_flight {
            let Some(lane) = self.waiting.pop_front() else { return };
            let Some(call) = self.lanes[lane].call.as_mut() else { continue };
            let Some(id) = call.id.clone() else { continue };
            call.standing = Standing::InFlight { bridged_one_way: false };
            self.in_flight += 1;
            call.in_flight_when_asked = self.in_flight;
            let unheard = if is_fresh(call.number) { format!(" It is about order {}.", call.number) } else { String::new() };
            let summary = format!("Jamie from NovaCorp would like to talk about the price for five hundred seats.{unheard}");
            if let Some(mode) = call.kind.mode() {
                askers.wish(Wish { number: call.number, call: id, mode, to: ae_id(lane), summary });
            }
            let now = self.clock.now().mono;
            self.tell_all(lane, None, now, GO);
        }
    }

    fn next_due(&self, now: Mono) -> Mono {
        let calls = self.lanes.iter().filter_map(|lane| lane.call.as_ref());
        let seats = calls.flat_map(|call| &call.seats).filter_map(|seat| seat.party.poll_timeout());
        let free = self.lanes.iter().filter(|lane| lane.call.is_none() && self.may_begin()).map(|lane| lane.free_at);
        seats.chain(free).min().unwrap_or(now + AFTERMATH)
    }

    /// Sleeps until something comes or `due`; says where it came.
    fn wait_until(&self, due: Mono) -> Vec<Place> {
        let (mut places, mut fds) = (vec![Place::AiSip], vec![PollFd::new(&self.ai, PollFlags::IN)]);
        for (index, lane) in self.lanes.iter().enumerate() {
            places.extend([Place::CallerSip(index), Place::AeSip(index)]);
            fds.extend([PollFd::new(&lane.caller_sip, PollFlags::IN), PollFd::new(&lane.ae_sip, PollFlags::IN)]);
            for (number, seat) in lane.call.iter().flat_map(|call| &call.seats).enumerate() {
                places.push(Place::Rtp(index, number));
                fds.push(PollFd::new(&seat.rtp, PollFlags::IN));
            }
        }
        let span = due.since(self.clock.now().mono);
        let timeout = Timespec { tv_sec: span.as_secs() as i64, tv_nsec: i64::from(span.subsec_nanos()) };
        match poll(&mut fds, Some(&timeout)) {
            Ok(0) | Err(_) => Vec::new(), // interrupted: the next round looks again
            Ok(_) => places.into_iter().zip(&fds).filter(|(_, fd)| !fd.revents().is_empty()).map(|(place, _)| place).collect(),
        }
    }

    fn port(&self, place: Place) -> Option<&Port> {
        match place {
            Place::AiSip => Some(&self.ai),
            Place::CallerSip(lane) => Some(&self.lanes[lane].caller_sip),
            Place::AeSip(lane) => Some(&self.lanes[lane].ae_sip),
            Place::Rtp(lane, seat) => self.lanes[lane].call.as_ref().map(|call| &call.seats[seat].rtp),
        }
    }

    fn hear(&mut self, place: Place) {
        while let Some(datagram) = self.port(place).and_then(|port| port.receive(self.clock)) {
            let Datagram { from, at, bytes } = datagram;
            match place {
                Place::Rtp(lane, seat) => self.hand(lane, seat, at, Input::Rtp { from, bytes }),
                Place::AiSip | Place::CallerSip(_) | Place::AeSip(_) => self.hear_sip(place, Datagram { from, at, bytes }),
            }
        }
    }

    /// Finds whose message it is: all calls share the AI's port.
    fn hear_sip(&mut self, place: Place, datagram: Datagram) {
        let Ok(message) = Message::read(&datagram.bytes) else { return };
        let wants = |lane: &Lane, seat: usize| {
            lane.call.as_ref().and_then(|call| call.seats.get(seat)).is_some_and(|seat| seat.party.wants(&message))
        };
        let whose = match place {
            Place::AiSip => {
                let seat =
                    |(index, lane): (usize, &Lane)| Some((index, [AI, AI_AGAIN].into_iter().find(|seat| wants(lane, *seat))?));
                self.lanes.iter().enumerate().find_map(seat)
            }
            Place::CallerSip(lane) | Place::Rtp(lane, _) => wants(&self.lanes[lane], CALLER).then_some((lane, CALLER)),
            Place::AeSip(lane) => wants(&self.lanes[lane], AE).then_some((lane, AE)),
        };
        let Datagram { from, at, bytes } = datagram;
        let Some((lane, seat)) = whose else {
            if let (Some(port), Some(answer)) = (self.port(place), answer_to_stranger(&message)) {
                port.send(from, &answer);
            }
            return;
        };
        if let Some(call) = self.lanes[lane].call.as_mut().filter(|_| seat == AI && message.method() == Some("INVITE")) {
            call.id = message.header("X-Baton-Call").map(str::to_owned);
        }
        self.hand(lane, seat, at, Input::Sip { from, bytes });
    }

    fn tick(&mut self) {
        for lane in 0..self.lanes.len() {
            for seat in [CALLER, AI, AE, AI_AGAIN] {
                let now = self.clock.now().mono;
                let seated = self.lanes[lane].call.as_ref().and_then(|call| call.seats.get(seat));
                let due = seated.and_then(|seat| seat.party.poll_timeout());
                if due.is_some_and(|at| at <= now) {
                    self.hand(lane, seat, now, Input::Tick);
                }
            }
        }
    }

    fn hand(&mut self, lane: usize, seat: usize, at: Mono, input: Input) {
        let Some(call) = self.lanes[lane].call.as_mut() else { return };
        call.seats[seat].party.handle(at, input);
        while let Some(call) = self.lanes[lane].call.as_mut() {
            let Some(output) = call.seats[seat].party.poll() else { return };
            match output {
                Output::Rtp { to, bytes } => call.seats[seat].rtp.send(to, &bytes),
                Output::Sip { to, bytes } => {
                    let place = [Place::CallerSip(lane), Place::AiSip, Place::AeSip(lane), Place::AiSip][seat];
                    if let Some(port) = self.port(place) {
                        port.send(to, &bytes);
                    }
                }
                Output::Note(note) => self.noted(lane, seat, at, &note),
                Output::Finished(_) => {} // the record says how
            }
        }
    }

    /// Follows a call by the notes of its parties, and passes them on to the others.
    fn noted(&mut self, lane: usize, seat: usize, at: Mono, note: &str) {
        let Some(call) = self.lanes[lane].call.as_mut() else { return };
        call.standing = match (call.standing, note) {
            (Standing::BeforeRequest, ASKS) => {
                self.waiting.push_back(lane);
                Standing::Waiting
            }
            (Standing::InFlight { bridged_one_way }, HEARS_AE | HEARS_CALLER) => {
                if bridged_one_way {
                    self.in_flight -= 1;
                    Standing::Bridged
                } else {
                    Standing::InFlight { bridged_one_way: true }
                }
            }
            (standing, _) => standing,
        };
        self.tell_all(lane, Some(seat), at, note);
    }

    /// Tells everybody in a call something, but one.
    fn tell_all(&mut self, lane: usize, but: Option<usize>, at: Mono, note: &str) {
        let seats = self.lanes[lane].call.as_ref().map_or(0, |call| call.seats.len());
        for other in (0..seats).filter(|other| Some(*other) != but) {
            self.hand(lane, other, at, Input::Told(note.to_owned()));
        }
    }
}

/// What is said aloud: a message of two seconds, well above the level of speech.
fn lines() -> Lines {
    let (length, peak, hz) = (16_000, 6_000.0, 310.0);
    let sample = |place: usize| (peak * (std::f64::consts::TAU * hz * place as f64 / 8_000.0).sin()) as i16;
    let mut lines = Lines::default();
    lines.add(MESSAGE, &(0..length).map(sample).collect::<Vec<i16>>());
    lines
}

impl Call {
    /// Whether everybody is done; whoever was never called, once the caller has gone, waits for nobody any more.
    fn is_over(&self) -> bool {
        let done = |seat: &Seat| seat.party.record().verdict.is_some() && !seat.party.is_up();
        let called = |seat: &&Seat| !seat.party.record().sip.is_empty();
        let (first, later) = self.seats.split_at(AE);
        first.iter().all(done) && later.iter().filter(called).all(done)
    }

    fn into_trial(self) -> Trial {
        let mut records = self.seats.into_iter().map(|seat| seat.party.into_record());
        let mut next = || records.next().unwrap_or_default();
        let (caller, ai, ae) = (next(), next(), next());
        let ai_again = records.next();
        Trial {
            number: self.number,
            kind: self.kind,
            call: self.id,
            in_flight: self.in_flight_when_asked,
            caller,
            ai,
            ae,
            ai_again,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_ten_has_words_of_its_own_and_the_first_one_has_not() {
        let fresh: Vec<usize> = (0..31).filter(|number| is_fresh(*number)).collect();
        assert_eq!(fresh, [9, 19, 29]);
    }

    #[test]
    fn every_lane_has_phones_of_its_own() {
        let plan = Plan { calls: 3, in_flight: 2, mixed: false };
        let floor = Floor::open(Clock::start(), plan, "127.0.0.1:5060".parse().unwrap()).unwrap();
        let mut phones = floor.phones().unwrap();
        phones.push(floor.ai().unwrap());
        phones.sort();
        phones.dedup();
        assert_eq!(phones.len(), plan.lanes() + 1);
    }
}
