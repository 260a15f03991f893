//! A random world on its way: virtual time, the production switchboard, and phones that do what the plan says.

mod api;
mod deeds;

use std::net::SocketAddr;
use std::time::Duration;

use baton_contract::{Command, EventKind, Problem, Record, Reply};
use baton_media::{PlayId, Port, Role, TapId};
use baton_sip::{Incoming, Transport};
use baton_switchboard::{Input, Output, RecordKind, RecordOrder, Recorded, Switchboard};
use baton_time::{Mono, Now};
use bytes::Bytes;

use super::agenda::Agenda;
use super::dice::Dice;
use super::disk::Disk;
use super::leg::{Facts, Leg, Phase};
use super::plan::{AI, CALLER, FIRST_AE, Moment, Plan, What, Who};
use super::rooms::{LOST, Later, Rooms};
use super::stock::Stock;
use super::tally::{Fault, Tally};
use super::watch::{Check, TRUNK_RING_MAX, Watch};
use super::wire::Seen;
use crate::world::{BATON, BEGINNING, COMMIT, MORNING, RENDER, TRAVEL};
use crate::{Fate, Store};

/// What is left of a call is gone this long after its end (64 × T1, RFC 3261 §17).
const SETTLED_AFTER: Duration = Duration::from_secs(80);

/// A REFER of ours whose last NOTIFY never comes is waited for this long, beside what its call leaves (RFC 3515 §2.4.4).
const REFERRED_AFTER: Duration = Duration::from_secs(270);

/// At the end of a world callbacks are called off this often at least, and at most while any is open: another node may have claimed it for half a minute.
const ROUNDS_MIN: usize = 2;
const ROUNDS_MAX: usize = 20;

/// How long it is waited for each time.
const ROUND: Duration = Duration::from_secs(3);

/// More steps than any sound world takes.
const STEPS_MAX: u32 = 60_000;

/// Something that is to happen.
pub(super) enum Post {
    Board(Box<Input>),
    /// A datagram for Baton; from which leg, where that is known.
    Datagram(Option<usize>, SocketAddr, Bytes),
    Phone(usize, Bytes),
    Leg(usize),
    Media(baton_media::Event),
    Ends(Port, PlayId),
    Silent(Port, Mono, u64),
    Quiet(Port, Mono),
    /// A caller who leaves a message has said nothing for long enough, if it is still waited for.
    SaysNothing(Port, u64),
    Deed(usize),
    Check(Check),
    StoreWorks,
}

/// A world that is being played.
pub(super) struct Run<'a> {
    pub(super) plan: &'a Plan,
    stock: &'a Stock,
    pub(super) now: Now,
    board: Switchboard,
    board_at: Option<Mono>,
    pub(super) rooms: Rooms,
    pub(super) legs: Vec<Leg>,
    phones: Vec<SocketAddr>,
    pub(super) dead: Vec<bool>,
    pub(super) store: Store,
    pub(super) disk: Disk,
    /// The messages that are recorded, and since when.
    messages: Vec<(TapId, Mono)>,
    /// What is sent to this phone next cannot be sent.
    unsendable: Option<usize>,
    voice: bool,
    posts: Agenda<Post>,
    datagrams: usize,
    outage_until: Mono,
    dice: Dice,
    pub(super) asked: u64,
    answers: Vec<(u64, Result<Reply, Problem>)>,
    pub(super) watch: Watch,
    pub(super) tally: Tally,
    told: Vec<(EventKind, u8)>,
    others: Vec<Output>,
    pub(super) trace: Option<Vec<String>>,
    /// What was done, in the words of a fixture.
    pub(super) acts: Option<Vec<(Mono, String)>>,
}

/// A switchboard that has had calls.
pub(super) struct Lived {
    board: Switchboard,
    board_at: Option<Mono>,
    now: Now,
    events: u64,
}

impl<'a> Run<'a> {
    pub(super) fn new(plan: &'a Plan, stock: &'a Stock) -> Run<'a> {
        let address = |host: u8| SocketAddr::from(([10, 0, 1, host], 5060));
        let mut phones: Vec<SocketAddr> = (1..=(2 + plan.rules.aes as u8)).map(address).collect();
        phones.push(address(9));
        phones.push(address(20));
        Run {
            stock,
            now: Now { mono: BEGINNING, wall: MORNING },
            board: stock.switchboard(plan.seed, &plan.rules),
            board_at: None,
            rooms: Rooms::default(),
            legs: Vec::with_capacity(6),
            dead: vec![false; phones.len()],
            phones,
            store: Store::Well,
            disk: Disk::default(),
            messages: Vec::new(),
            unsendable: None,
            voice: true,
            posts: Agenda::default(),
            datagrams: 0,
            outage_until: Mono::ZERO,
            dice: Dice::new(plan.seed ^ 0xB5),
            asked: 0,
            answers: Vec::new(),
            watch: Watch::new(&plan.rules, stock.accept_worst()),
            tally: Tally::default(),
            told: Vec::new(),
            others: Vec::with_capacity(16),
            trace: None,
            acts: None,
            plan,
        }
    }

    /// The next call of a switchboard that has had others, from the instant on at which the last one was over.
    pub(super) fn after(plan: &'a Plan, stock: &'a Stock, before: Lived) -> Run<'a> {
        let mut run = Run::new(plan, stock);
        (run.board, run.board_at, run.now) = (before.board, before.board_at, before.now);
        run.watch.begins_at(before.events);
        run
    }

    /// The switchboard, for another call.
    pub(super) fn lived(self) -> Lived {
        Lived { board: self.board, board_at: self.board_at, now: self.now, events: self.watch.events() }
    }

    /// How many transfers were asked for.
    pub(super) fn transfers(&self) -> usize {
        self.told.iter().filter(|(kind, _)| *kind == EventKind::TransferRequested).count()
    }

    /// Plays the world to its end; the first thing that does not hold.
    pub(super) fn play(&mut self) -> Option<String> {
        self.tell_board(Input::Ports((0..self.plan.rules.ports).map(|pair| 20_000 + 2 * pair).collect()));
        self.play_on()
    }

    /// As [`Run::play`], with the ports that are there.
    pub(super) fn play_on(&mut self) -> Option<String> {
        self.reach(Moment::Begin);
        let end = self.now.mono + self.plan.end;
        self.run_to(end);
        self.finish();
        for round in 0..ROUNDS_MAX {
            let is_done = self.disk.open_callbacks().is_empty() && self.late_callers().is_empty();
            if round >= ROUNDS_MIN && is_done {
                break;
            }
            self.uncallback_all();
            self.late_callers().into_iter().for_each(|at| self.hang_up(at));
            let soon = self.now.mono + ROUND;
            self.run_to(soon);
        }
        let referred = self.legs.iter().any(|leg| leg.facts.referred);
        // Whoever hangs up with their answer still on its way is rung on, for all that Baton knows.
        let rung = self.legs.iter().any(|leg| self.is_caller(leg.who.phone) && leg.is_dialled() && leg.facts.answered.is_none());
        let after = if referred { REFERRED_AFTER } else { SETTLED_AFTER };
        let settled = self.now.mono + after + if rung { TRUNK_RING_MAX + SETTLED_AFTER } else { Duration::ZERO };
        self.run_to(settled);
        if self.watch.fault.is_none() {
            self.last_look();
        }
        self.watch.fault.take()
    }

    fn run_to(&mut self, end: Mono) {
        let mut steps = 0;
        while self.watch.fault.is_none() {
            let post = self.posts.next_at();
            let next = match (post, self.board_at) {
                (Some(post), Some(board)) => post.min(board),
                (Some(at), None) | (None, Some(at)) => at,
                (None, None) => break,
            };
            if next > end {
                break;
            }
            steps += 1;
            if steps > STEPS_MAX {
                self.watch.blame("the world does not come to rest".to_owned());
                return;
            }
            self.now = self.now.after(next.since(self.now.mono));
            if post == Some(next) {
                if let Some(post) = self.posts.pop() {
                    self.deliver(post);
                }
            } else {
                self.tell_board(Input::Wake);
            }
        }
        self.now = self.now.after(end.since(self.now.mono));
    }

    /// The network and the store work again, and every caller hangs up.
    fn finish(&mut self) {
        self.store = Store::Well;
        self.outage_until = Mono::ZERO;
        self.datagrams = usize::MAX / 2;
        for at in 0..self.legs.len() {
            if self.is_caller(self.legs[at].who.phone) {
                self.hang_up(at);
            }
        }
        for call in self.watch.calls_of_the_dead(&self.dead) {
            self.watch.api_hangs_up(call);
            self.ask(Command::HangUp(call));
        }
    }

    /// Nobody is called back any more.
    fn uncallback_all(&mut self) {
        for id in self.disk.open_callbacks() {
            self.ask(Command::CancelCallback(id));
        }
    }

    /// Callers who were called back after everybody had hung up: a callback that is just being claimed, or connected, is not called off.
    fn late_callers(&self) -> Vec<usize> {
        let is_on = |leg: &Leg| matches!(leg.phase, Phase::Called | Phase::Answered | Phase::Up) && !self.dead[leg.who.phone];
        (0..self.legs.len()).filter(|at| self.is_caller(self.legs[*at].who.phone) && is_on(&self.legs[*at])).collect()
    }

    pub(super) fn is_caller(&self, phone: usize) -> bool {
        phone == CALLER || phone == self.plan.rules.second_caller()
    }

    fn last_look(&mut self) {
        let gauges = self.board.gauges(self.now);
        let agent = self.board.agent();
        let left = [
            ("calls", gauges.calls),
            ("legs", gauges.legs.values().sum()),
            ("media ports", self.rooms.lines.len()),
            ("SIP sessions", agent.sessions()),
            ("SIP transactions", agent.transactions()),
        ];
        for (what, count) in left {
            if count > 0 {
                self.watch.blame(format!("{count} {what} are left at the end"));
            }
        }
        let lossy = self.is_lossy();
        self.watch.last_look(&self.legs, &self.dead, lossy);
    }

    pub(super) fn post(&mut self, after: Duration, post: Post) {
        self.post_at(self.now.mono + after, post);
    }

    pub(super) fn post_at(&mut self, at: Mono, post: Post) {
        self.posts.push(at, post);
    }

    fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>12.6} {}", self.now.mono.as_micros() as f64 / 1e6, line()));
        }
    }

    fn deliver(&mut self, post: Post) {
        match post {
            Post::Board(input) => self.tell_board(*input),
            Post::Datagram(leg, from, bytes) => self.datagram_to_board(leg, from, bytes),
            Post::Phone(phone, bytes) => self.tell_phone(phone, &bytes),
            Post::Leg(at) => {
                if self.legs[at].next_at().is_some_and(|due| due <= self.now.mono) {
                    let out = self.legs[at].wake(self.now.mono);
                    out.into_iter().for_each(|bytes| self.send(at, bytes));
                    self.wake_later(at);
                }
            }
            Post::Media(event) => {
                self.watch_key(&event);
                self.tell_board(Input::Media(event));
            }
            Post::Ends(port, play) => {
                if let Some(event) = self.rooms.ends(self.now.mono, port, play) {
                    self.quiet_later(port);
                    self.tell_board(Input::Media(event));
                }
            }
            Post::Silent(port, since, silent_ms) => self.silent(port, since, silent_ms),
            Post::Quiet(port, since) => {
                let message = !self.messages.is_empty();
                if !message && self.rooms.line(port).is_some_and(|line| line.quiet_since == Some(since)) {
                    self.watch.blame("the caller hears nothing for over a second (I1)".to_owned());
                }
            }
            Post::SaysNothing(port, wait) => {
                if let Some(room) = self.rooms.says_nothing(port, wait) {
                    let at = self.now.mono;
                    self.tell_board(Input::Media(baton_media::Event::Quiet { room, port, at }));
                }
            }
            Post::Deed(at) => self.perform(at),
            Post::Check(check) => self.check(check),
            Post::StoreWorks => {
                self.store = Store::Well;
                self.act(|| "store works".to_owned());
            }
        }
    }

    fn act(&mut self, line: impl FnOnce() -> String) {
        if let Some(acts) = &mut self.acts {
            acts.push((self.now.mono, line()));
        }
    }

    /// Schedules what waits for a moment.
    fn reach(&mut self, moment: Moment) {
        let plan = self.plan;
        for (at, deed) in plan.deeds.iter().enumerate() {
            if deed.when == moment {
                self.post(deed.after, Post::Deed(at));
            }
        }
    }

    /// What the network does with a datagram: the spans after which it arrives.
    fn travel(&mut self, bytes: &Bytes) -> [Option<Duration>; 2] {
        self.datagrams += 1;
        if self.now.mono < self.outage_until {
            return [None, None];
        }
        let number = self.datagrams;
        match self.plan.fates.iter().find(|(fated, _)| *fated == number).map(|(_, fate)| *fate) {
            None | Some(Fate::Arrives) => [Some(TRAVEL), None],
            Some(fate) => {
                self.tally.reach(Fault::Datagram);
                if is_farewell(bytes) {
                    self.tally.reach(Fault::Farewell);
                }
                match fate {
                    Fate::Lost => [None, None],
                    Fate::Twice => [Some(TRAVEL), Some(TRAVEL * 2)],
                    Fate::Late(span) => [Some(TRAVEL + span), None],
                    Fate::Arrives => [Some(TRAVEL), None],
                }
            }
        }
    }

    /// A leg's phone sends something.
    pub(super) fn send(&mut self, at: usize, bytes: Bytes) {
        let phone = self.legs[at].who.phone;
        if self.dead[phone] {
            return;
        }
        let from = self.legs[at].own;
        self.note(|| format!("{phone} -> baton {}", title(&bytes)));
        for span in self.travel(&bytes).into_iter().flatten() {
            self.post(span, Post::Datagram(Some(at), from, bytes.clone()));
        }
        self.wake_later(at);
    }

    /// Whether a datagram may overtake another: because it is late, or because the other one is lost and comes again.
    pub(super) fn is_lossy(&self) -> bool {
        let outage = |deed: &super::plan::Deed| matches!(deed.what, What::Outage(_) | What::Unsendable(_));
        !self.plan.fates.is_empty() || self.plan.deeds.iter().any(outage)
    }

    /// Whether the store leaves commits without an answer at some time in this world.
    pub(super) fn is_store_silent(&self) -> bool {
        self.plan.deeds.iter().any(|deed| matches!(deed.what, What::Store(Store::Silent, _)))
    }

    /// Whether anything cannot be sent in this world.
    pub(super) fn cannot_send(&self) -> bool {
        self.plan.deeds.iter().any(|deed| matches!(deed.what, What::Unsendable(_)))
    }

    fn wake_later(&mut self, at: usize) {
        if let Some(due) = self.legs[at].next_at() {
            self.post_at(due.max(self.now.mono), Post::Leg(at));
        }
    }

    fn datagram_to_board(&mut self, leg: Option<usize>, remote: SocketAddr, bytes: Bytes) {
        let mut again = None;
        if let Some(at) = leg {
            self.watch_arrival(at, &bytes);
            // An INVITE that comes once more while nothing final was said is answered as it was (RFC 3261 §17.2.1).
            let said = self.legs[at].facts.said.is_some_and(|(status, _)| status < 200);
            let same = said && Seen::read(&bytes).is_ok_and(|seen| self.legs[at].is_own_invite(&seen));
            again = same.then_some(at);
        }
        let (transport, local) = (Transport::Udp, BATON);
        self.tell_board(Input::Sip(Incoming { transport, connection: None, local, remote, bytes }));
        if let Some(at) = again {
            let now = self.now.mono;
            let answered = self.legs[at].facts.said.is_some_and(|(_, at)| at == now);
            self.watch.must(answered, || "an INVITE comes again, and nothing is said to it (RFC 3261 §17.2.1)".to_owned());
        }
    }

    fn tell_phone(&mut self, phone: usize, bytes: &Bytes) {
        if self.dead[phone] {
            return;
        }
        let seen = match Seen::read(bytes) {
            Ok(seen) => seen,
            Err(fault) => return self.watch.blame(fault),
        };
        let Some(at) = self.legs.iter().position(|leg| leg.who.phone == phone && leg.call_id == seen.call_id) else {
            return;
        };
        if self.legs[at].is_unheard() && seen.method != "INVITE" {
            return; // Its INVITE has not come: this phone knows nothing of it.
        }
        let fresh = self.dice.draw() | 1;
        let was_talking = self.legs[at].sends_sound();
        let turn = self.legs[at].take(self.now.mono, &seen, fresh);
        if let Some(fault) = turn.fault {
            self.watch.blame(format!("{fault} (SIP to phone {phone})"));
        }
        if let Some(fault) = turn.overtaken.filter(|_| !self.is_lossy()) {
            self.watch.blame(fault);
        }
        if turn.glare {
            self.tally.reach(Fault::Glare);
        }
        turn.out.into_iter().for_each(|bytes| self.send(at, bytes));
        self.wake_later(at);
        let who = self.legs[at].who;
        if turn.invited {
            self.reach(Moment::Invited(who));
        }
        if turn.up {
            self.reach(Moment::Up(who));
        }
        if turn.referred {
            self.reach(Moment::Referred(who));
        }
        if was_talking && !self.legs[at].sends_sound() {
            self.silent_later(at);
        }
    }

    pub(super) fn tell_board(&mut self, input: Input) {
        self.board.handle(self.now, input);
        let mut wants_ports = false;
        // The user agent hands out its datagrams before anything else; what is told of them is looked at first.
        let mut others = std::mem::take(&mut self.others);
        while let Some(output) = self.board.poll() {
            if matches!(output, Output::Publish(_)) {
                self.carry_out(output, &mut wants_ports);
            } else {
                others.push(output);
            }
        }
        others.drain(..).for_each(|output| self.carry_out(output, &mut wants_ports));
        self.others = others;
        if wants_ports {
            self.board.handle(self.now, Input::Ports(Vec::new()));
        }
        self.board_at = self.board.poll_timeout().map(|(deadline, _)| deadline.mono(self.now).max(self.now.mono));
    }

    fn carry_out(&mut self, output: Output, wants_ports: &mut bool) {
        match output {
            Output::Transmit(transmit) => self.transmit(transmit.remote, transmit.bytes),
            Output::Media(command) => self.media(command),
            Output::Commit { ticket, records, .. } => self.commit(ticket, records),
            Output::Publish(event) => {
                self.note(|| format!("event {} {}", event.kind.name(), serde_json::to_string(&event.data).unwrap_or_default()));
                let count = self.told.iter().filter(|(kind, _)| *kind == event.kind).count();
                self.told.push((event.kind, 0));
                self.watch_event(&event);
                self.reach(Moment::Told(event.kind, u8::try_from(count).unwrap_or(u8::MAX)));
            }
            Output::Render { ticket, .. } => {
                let spoken = self.voice.then(|| self.stock.spoken.clone());
                self.post(RENDER, Post::Board(Box::new(Input::Rendered { ticket, spoken })));
            }
            Output::Answer { ticket, result } => self.answers.push((ticket, result)),
            Output::WantPorts => *wants_ports = true,
            // Nobody here understands what is said.
            Output::WriteDown { ticket, .. } => {
                self.post(RENDER, Post::Board(Box::new(Input::WrittenDown { ticket, text: None })));
            }
            Output::Forget { .. } => {}
            Output::Record(order) => self.record(&order),
            Output::WantCallbacks { .. } | Output::WantCallback(_) if self.store != Store::Well => {}
            Output::WantCallbacks { before } => {
                let rows = self.disk.callbacks_before(before);
                self.post(COMMIT, Post::Board(Box::new(Input::Callbacks(rows))));
            }
            Output::WantCallback(id) => {
                let rows = self.disk.callback(id).cloned().into_iter().collect();
                self.post(COMMIT, Post::Board(Box::new(Input::Callbacks(rows))));
            }
        }
    }

    /// The writer of messages; other tracks are not recorded here.
    fn record(&mut self, order: &RecordOrder) {
        match order {
            RecordOrder::Open(track) => {
                let voicemail = track.kind == RecordKind::Voicemail;
                self.watch.must(voicemail, || "a track is opened that nobody asked for".to_owned());
                self.messages.push((track.tap, self.now.mono));
            }
            RecordOrder::Close(tap) => {
                let Some(place) = self.messages.iter().position(|(open, _)| open == tap) else { return };
                let (_, since) = self.messages.swap_remove(place);
                let duration_ms = u64::try_from(self.now.mono.since(since).as_millis()).unwrap_or(0);
                let speech_ms = duration_ms * self.plan.rules.ways.speech / 100;
                let recorded = Recorded { file: "message.wav".to_owned(), duration_ms, speech_ms };
                self.watch.message_closed(&recorded);
                self.post(COMMIT, Post::Board(Box::new(Input::Recorded { tap: *tap, result: Ok(recorded) })));
                // What is heard from here on counts.
                self.rooms.listen_anew(self.now.mono);
                self.look_at_quiet();
            }
            RecordOrder::Mark { .. } | RecordOrder::CloseCall(_) => {}
        }
    }

    fn commit(&mut self, ticket: Option<u64>, records: Vec<Record>) {
        let taken = self.store == Store::Well && self.disk.write(&records);
        if taken {
            records.iter().for_each(|record| self.watch.record(record));
        }
        let answer = match (ticket, self.store) {
            (Some(ticket), Store::Well) if taken => Input::Committed(ticket),
            (Some(ticket), Store::Well | Store::Refuses) => Input::CommitRefused(ticket),
            (Some(_), Store::Silent) | (None, _) => return,
        };
        self.post(COMMIT, Post::Board(Box::new(answer)));
    }

    fn transmit(&mut self, to: SocketAddr, bytes: Bytes) {
        self.note(|| format!("baton -> {to} {}", title(&bytes)));
        let Some(phone) = self.phones.iter().position(|own| *own == to) else {
            return self.watch.blame(format!("a message leaves for {to}, which is nobody"));
        };
        self.watch_departure(phone, &bytes);
        if self.unsendable.take_if(|held| *held == phone).is_some() {
            self.tally.reach(Fault::SendFails);
            let failed = Input::SendFailed { transport: Transport::Udp, remote: to };
            return self.post(Duration::ZERO, Post::Board(Box::new(failed)));
        }
        for span in self.travel(&bytes).into_iter().flatten() {
            self.post(span, Post::Phone(phone, bytes.clone()));
        }
    }

    /// A leg that Baton dials: it is there from the first copy of its INVITE on.
    pub(super) fn new_leg(&mut self, phone: usize, seen: &Seen<'_>, bytes: &Bytes) -> usize {
        let nth = self.legs.iter().filter(|leg| leg.who.phone == phone).count();
        let who = Who { phone, nth: u8::try_from(nth).unwrap_or(u8::MAX) };
        let mut leg = Leg::called(who, self.phones[phone], seen, bytes);
        leg.refer_status = self.plan.rules.ways.refer_status;
        self.legs.push(leg);
        self.legs.len() - 1
    }

    fn media(&mut self, command: baton_media::Command) {
        self.watch_scene(&command);
        let mut later = Vec::new();
        if let Err(fault) = self.rooms.command(self.now.mono, command, &mut later) {
            self.watch.blame(fault);
        }
        for one in later {
            match one {
                Later::Tell(after, event) => self.post(after, Post::Media(event)),
                Later::Ends(after, port, play) => self.post(after, Post::Ends(port, play)),
                Later::Silent(port) => self.silent_from(port),
                Later::SaysNothing(after, port, wait) => self.post(after, Post::SaysNothing(port, wait)),
            }
        }
        self.look_at_quiet();
    }

    fn look_at_quiet(&mut self) {
        let quiet: Vec<Port> =
            self.rooms.lines.iter().filter(|line| line.quiet_since == Some(self.now.mono)).map(|line| line.port).collect();
        quiet.into_iter().for_each(|port| self.quiet_later(port));
    }

    fn quiet_later(&mut self, port: Port) {
        if let Some(since) = self.rooms.line(port).and_then(|line| line.quiet_since) {
            self.post_at(since + Duration::from_millis(1_021), Post::Quiet(port, since));
        }
    }

    /// A leg has stopped sending: its port is looked at later.
    pub(super) fn silent_later(&mut self, at: usize) {
        self.silent_from(Port(self.legs[at].port));
    }

    fn silent_from(&mut self, port: Port) {
        if self.legs.iter().any(|leg| leg.port == port.0 && leg.sends_sound() && !self.dead[leg.who.phone]) {
            return;
        }
        for ms in LOST {
            self.post(Duration::from_millis(ms), Post::Silent(port, self.now.mono, ms));
        }
    }

    fn silent(&mut self, port: Port, _since: Mono, silent_ms: u64) {
        let talks = self.legs.iter().any(|leg| leg.port == port.0 && leg.sends_sound() && !self.dead[leg.who.phone]);
        let room = self.rooms.line(port).filter(|line| line.connected && line.may_send).map(|line| line.room);
        if let (false, Some(room)) = (talks, room) {
            self.tally.reach(Fault::RtpStops);
            self.tell_board(Input::Media(baton_media::Event::Lost { room, port, silent_ms }));
        }
    }

    fn leg_of(&self, who: Who) -> Option<usize> {
        self.legs.iter().position(|leg| leg.who == who && !leg.is_unheard())
    }

    /// The name of a party in a fixture.
    fn name(&self, who: Who) -> String {
        match who.phone {
            CALLER => "caller".to_owned(),
            AI if who.nth > 0 => "ai-again".to_owned(),
            AI => "ai".to_owned(),
            phone => format!("ae{}", phone - FIRST_AE),
        }
    }

    pub(super) fn ask(&mut self, command: Command) -> u64 {
        self.asked += 1;
        let ticket = self.asked;
        self.post(Duration::from_millis(4_200), Post::Check(Check::Reply(ticket)));
        self.tell_board(Input::Ask { ticket, command: Box::new(command) });
        ticket
    }

    pub(super) fn is_answered(&self, ticket: u64) -> bool {
        self.answers.iter().any(|(known, _)| *known == ticket)
    }

    fn watch_key(&mut self, event: &baton_media::Event) {
        if let baton_media::Event::Digit { port, digit, .. } = event
            && let Some(at) = self.legs.iter().rposition(|leg| leg.port == port.0 && leg.facts.answered.is_some())
        {
            self.key(at, *digit);
        }
    }

    pub(super) fn role_of(&self, port: Port) -> Option<Role> {
        self.rooms.line(port).map(|line| line.role)
    }

    /// What is known of a leg.
    pub(super) fn facts(&mut self, at: usize) -> &mut Facts {
        &mut self.legs[at].facts
    }
}

/// An ACK, a BYE, or what is answered to a BYE.
fn is_farewell(bytes: &Bytes) -> bool {
    bytes.starts_with(b"ACK ") || Seen::read(bytes).is_ok_and(|seen| seen.cseq_method() == "BYE")
}

/// The first line of a message, and its CSeq.
fn title(bytes: &Bytes) -> String {
    Seen::read(bytes).map_or_else(|_| "?".to_owned(), |seen| format!("{} {} {}", seen.title(), seen.call_id, seen.cseq))
}
