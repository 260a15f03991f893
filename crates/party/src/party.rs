//! A scripted party: told the time and what arrives, it answers with what is to leave.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use baton_time::Mono;
use bytes::Bytes;

use crate::media::{Ear, Media, read};
use crate::message::Message;
use crate::record::{Fault, Record, SipSeen, Track};
use crate::sdp;
use crate::tone::{Dice, Pilot, below_the_pilots};
use crate::ua::{Happening, Phase, Ua};
use crate::{Cue, KeyPath, Script, Step, Way};

/// The lines that can be spoken, by name, as they leave: without anything above the speech band.
#[derive(Debug, Clone, Default)]
pub struct Lines(BTreeMap<String, Arc<[i16]>>);

impl Lines {
    /// Adds a line of 8 kHz samples.
    pub fn add(&mut self, name: impl Into<String>, samples: &[i16]) {
        self.0.insert(name.into(), below_the_pilots(samples).into());
    }

    /// A line by its name.
    pub fn line(&self, name: &str) -> Option<Arc<[i16]>> {
        self.0.get(name).cloned()
    }
}

/// Who a party is, and where.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The user part of its address; for a party that is called: the user it is called by.
    pub user: String,
    /// The name beside it.
    pub display: String,
    /// Its pilot.
    pub pilot: Pilot,
    /// Where its SIP comes from.
    pub sip: SocketAddr,
    /// Where its RTP comes from.
    pub rtp: SocketAddr,
    /// Where it sends the INVITE of [`Step::Call`].
    pub proxy: SocketAddr,
    /// Chooses tags, branches, SSRC and dither.
    pub seed: u64,
    /// The instant at which its recordings begin.
    pub origin: Mono,
}

/// What a party is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Go, or: the time that [`Party::poll_timeout`] named has come.
    Tick,
    /// A datagram on its SIP socket.
    Sip {
        /// The sender.
        from: SocketAddr,
        /// The datagram.
        bytes: Bytes,
    },
    /// A datagram on its RTP socket.
    Rtp {
        /// The sender.
        from: SocketAddr,
        /// The datagram.
        bytes: Bytes,
    },
    /// Somebody else's note.
    Told(String),
}

/// What a party wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send this from the SIP socket.
    Sip {
        /// To whom.
        to: SocketAddr,
        /// What.
        bytes: Bytes,
    },
    /// Send this from the RTP socket.
    Rtp {
        /// To whom.
        to: SocketAddr,
        /// What.
        bytes: Bytes,
    },
    /// Tell everybody else.
    Note(String),
    /// The script has come to its end.
    Finished(Result<(), Fault>),
}

/// One party in one call.
pub struct Party {
    me: Identity,
    lines: Lines,
    script: Script,
    step: usize,
    step_began: Mono,
    started: bool,
    ua: Ua,
    dice: Dice,
    media: Option<Media>,
    ear: Ear,
    sdp_version: u64,
    rang: bool,
    invited: bool,
    over: Option<String>,
    lingers: Duration,
    silent_at: Mono,
    notified: BTreeSet<u16>,
    referred: bool,
    told: BTreeSet<String>,
    record: Record,
    out: VecDeque<Output>,
}

/// What became of a step that was asked for from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// It is done.
    Done,
    /// What it needs has not come yet: no INVITE to answer, not heard what it waits for.
    NotYet,
    /// It cannot be done any more.
    Impossible(String),
}

/// What became of a step.
enum Progress {
    Done,
    Waiting,
    Failed(String),
}

/// The payload type by which a party asks for telephone-event.
const TELEPHONE_EVENT: u8 = 101;

impl Party {
    /// A party that is about to begin its script.
    pub fn new(me: Identity, script: Script, lines: Lines) -> Party {
        let record = Record { sent: Track::new(me.origin), heard: Track::new(me.origin), ..Record::default() };
        Party {
            ua: Ua::new(me.sip, &me.user, &me.display, me.seed),
            dice: Dice::new(me.seed ^ 0x5eed),
            step: 0,
            step_began: me.origin,
            started: false,
            media: None,
            ear: Ear::default(),
            sdp_version: 0,
            rang: false,
            invited: false,
            over: None,
            lingers: Duration::ZERO,
            silent_at: Mono::ZERO,
            notified: BTreeSet::new(),
            referred: false,
            told: BTreeSet::new(),
            out: VecDeque::new(),
            me,
            lines,
            script,
            record,
        }
    }

    /// The same party, which goes on sending audio for a while after its call has ended: some do.
    #[must_use]
    pub fn lingering(self, span: Duration) -> Party {
        Party { lingers: span, ..self }
    }

    /// Whether a SIP message is for this party: of its dialog, or the first INVITE to its user.
    pub fn wants(&self, message: &Message) -> bool {
        self.ua.wants(message)
    }

    /// Takes something in.
    pub fn handle(&mut self, now: Mono, input: Input) {
        match input {
            Input::Tick => {}
            Input::Told(note) => {
                self.told.insert(note);
            }
            Input::Sip { from, bytes } => self.hear_sip(now, from, bytes),
            Input::Rtp { from, bytes } => self.hear_rtp(now, from, bytes),
        }
        if !std::mem::replace(&mut self.started, true) {
            self.step_began = now;
        }
        if self.ua.next_at().is_some_and(|at| at <= now) {
            self.ua.on_timeout(now);
        }
        self.take_in(now);
        self.play(now);
        self.take_in(now);
        self.speak(now);
        self.flush(now);
    }

    /// Takes one step beside its script, at once; what follows from it waits at [`Party::poll`] after the next [`Party::handle`].
    pub fn take_step(&mut self, now: Mono, step: &Step) -> Taken {
        match self.take(now, step) {
            Progress::Done => Taken::Done,
            Progress::Waiting => Taken::NotYet,
            Progress::Failed(why) => Taken::Impossible(why),
        }
    }

    /// The next thing that it wants.
    pub fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When it wants to be told [`Input::Tick`].
    pub fn poll_timeout(&self) -> Option<Mono> {
        let media = self.media.as_ref().map(Media::next_at);
        [self.ua.next_at(), media, self.step_at()].into_iter().flatten().min()
    }

    /// When it sends its next packet; none: it sends none.
    pub fn speaks_at(&self) -> Option<Mono> {
        self.media.as_ref().map(Media::next_at)
    }

    /// When it does anything else than to send another packet without a word or a key in it; none: not by itself.
    pub fn acts_at(&self, now: Mono) -> Option<Mono> {
        let says = self.media.as_ref().filter(|media| media.is_busy()).map(|_| now);
        let lingers = (self.ua.phase == Phase::Over && self.media.is_some()).then_some(self.silent_at);
        [says, lingers, self.ua.next_at(), self.step_at()].into_iter().flatten().min()
    }

    /// Who it is.
    pub fn identity(&self) -> &Identity {
        &self.me
    }

    /// Whether its call is up.
    pub fn is_up(&self) -> bool {
        self.ua.phase == Phase::Up
    }

    /// Whether its call has come to an end.
    pub fn is_over(&self) -> bool {
        self.ua.phase == Phase::Over
    }

    /// What it has left behind so far.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// What it has left behind.
    pub fn into_record(self) -> Record {
        self.record
    }

    #[cfg(test)]
    pub(crate) fn drop_steps(&mut self, unwanted: impl Fn(&Step) -> bool) {
        self.script.steps.retain(|step| !unwanted(step));
    }

    fn hear_sip(&mut self, now: Mono, from: SocketAddr, bytes: Bytes) {
        let Ok(message) = Message::read(&bytes) else { return };
        self.log_sip(now, false, from, &bytes);
        self.ua.receive(now, message, from);
    }

    fn hear_rtp(&mut self, now: Mono, from: SocketAddr, bytes: Bytes) {
        let Some(packet) = read(now, self.me.rtp, from, bytes) else { return };
        let listening_for = match self.script.steps.get(self.step) {
            Some(Step::WaitFor { cue: Cue::Hears(pilot), .. }) => Some(*pilot),
            Some(_) | None => None,
        };
        self.ear.hear(&packet, listening_for, &mut self.record.heard);
        self.record.rtp_received.push(packet);
    }

    fn take_in(&mut self, now: Mono) {
        while let Some(happening) = self.ua.happened.pop_front() {
            match happening {
                Happening::Invited => self.invited = true,
                Happening::Ringing => self.rang = true,
                Happening::Notified(status) => {
                    self.notified.insert(status);
                }
                Happening::Referred => self.referred = true,
                Happening::Media(body) => self.media_follows(now, &body),
                Happening::Over(why) => {
                    self.over = Some(why);
                    self.silent_at = now + self.lingers;
                }
            }
        }
        if self.ua.phase == Phase::Over && now >= self.silent_at {
            self.media = None;
        }
    }

    fn media_follows(&mut self, now: Mono, body: &[u8]) {
        if let Some(remote) = sdp::read(body) {
            match &mut self.media {
                Some(media) => media.follow(remote),
                None => self.media = Some(Media::new(now, self.me.rtp, remote, self.me.pilot, &mut self.dice)),
            }
        }
        if self.ua.owes_an_answer() {
            let sdp = self.sdp(Way::SendRecv);
            self.ua.answer(now, sdp);
        }
    }

    fn sdp(&mut self, way: Way) -> String {
        self.sdp_version += 1;
        sdp::write_one(self.me.rtp, self.me.seed & 0xffff_ffff, self.sdp_version, TELEPHONE_EVENT, way)
    }

    /// Goes through the script as far as it can.
    fn play(&mut self, now: Mono) {
        let steps = std::mem::take(&mut self.script.steps);
        self.play_steps(now, &steps);
        self.script.steps = steps;
    }

    fn play_steps(&mut self, now: Mono, steps: &[Step]) {
        while let Some(step) = steps.get(self.step) {
            match self.take(now, step) {
                Progress::Done => {
                    self.step += 1;
                    self.step_began = now;
                    if self.step == steps.len() {
                        self.finish(Ok(()));
                    }
                }
                Progress::Waiting => return,
                Progress::Failed(why) => {
                    let what = format!("{step:?}");
                    self.finish(Err(Fault { step: self.step + 1, what, at_ms: now.as_micros() / 1_000, why }));
                    self.step = steps.len();
                    self.ua.hang_up(now);
                    return;
                }
            }
        }
    }

    fn take(&mut self, now: Mono, step: &Step) -> Progress {
        match step {
            Step::Call { to, headers } => {
                let sdp = self.sdp(Way::SendRecv);
                self.ua.call(now, to, self.me.proxy, headers, Some(sdp));
            }
            Step::CallWithoutOffer { to } => {
                let answer = self.sdp(Way::SendRecv);
                self.ua.call(now, to, self.me.proxy, &[], None);
                self.ua.answer_with_ack(answer);
            }
            Step::Ring { status } => return self.invitation(now, |ua, now| ua.ring(now, *status, None)),
            Step::RingWithSdp { status } => {
                let sdp = self.sdp(Way::SendRecv);
                let offer = self.ua.offer();
                let progress = self.invitation(now, |ua, now| ua.ring(now, *status, Some(sdp)));
                if let (Progress::Done, Some(offer)) = (&progress, offer) {
                    self.media_follows(now, &offer);
                }
                return progress;
            }
            Step::Offer(way) => {
                let sdp = self.sdp(*way);
                self.ua.offer_again(now, sdp);
                self.mute(*way == Way::Inactive);
            }
            Step::Mute => self.mute(true),
            Step::Refuse { status } => return self.invitation(now, |ua, now| ua.refuse(now, *status)),
            Step::Answer => return self.pick_up(now),
            Step::Pause(span) if now < self.step_began + *span => return Progress::Waiting,
            Step::Pause(_) => {}
            Step::WaitFor { cue, within } => return self.wait(now, cue, self.step_began + *within),
            Step::Say(name) => return self.say(name),
            Step::Write(text) if self.is_up() => self.ua.write(now, text),
            Step::Write(_) => return Progress::Failed(format!("nothing can be written: {}", self.why_off())),
            Step::Press { key, by } => return self.press(now, *key, *by),
            Step::Refer { to, headers } => self.ua.refer(now, to, headers),
            Step::HangUp => self.ua.hang_up(now),
            Step::HangUpBecause(reason) => {
                self.ua.give_reason(reason);
                self.ua.hang_up(now);
            }
            Step::Vanish => self.vanish(),
            Step::Notify { status } => self.ua.notify(now, *status),
            Step::Note(label) => {
                self.record.notes.push((now, label.clone()));
                self.told.insert(label.clone());
                self.out.push_back(Output::Note(label.clone()));
            }
        }
        Progress::Done
    }

    fn invitation(&mut self, now: Mono, act: impl FnOnce(&mut Ua, Mono)) -> Progress {
        match (self.ua.phase, &self.over) {
            (Phase::Idle, _) => Progress::Waiting,
            (Phase::Invited, _) => {
                act(&mut self.ua, now);
                Progress::Done
            }
            (_, Some(why)) => Progress::Failed(format!("the call is over: {why}")),
            (Phase::Calling | Phase::Up | Phase::Over, None) => Progress::Failed("no INVITE is waiting".to_owned()),
        }
    }

    fn pick_up(&mut self, now: Mono) -> Progress {
        let offer = self.ua.offer();
        let sdp = self.sdp(Way::SendRecv);
        let progress = self.invitation(now, |ua, now| ua.answer(now, sdp));
        if let (Progress::Done, Some(offer)) = (&progress, offer) {
            self.media_follows(now, &offer);
        }
        progress
    }

    /// The far side hears nothing from here any more, of any kind.
    fn vanish(&mut self) {
        self.ua.vanish();
        self.media = None;
        self.over = Some("vanished".to_owned());
    }

    fn mute(&mut self, muted: bool) {
        if let Some(media) = &mut self.media {
            media.mute(muted);
        }
    }

    fn say(&mut self, name: &str) -> Progress {
        match (self.lines.line(name), &mut self.media) {
            (Some(line), Some(media)) => {
                media.say(line);
                Progress::Done
            }
            (None, _) => Progress::Failed(format!("there is no line {name:?}")),
            (Some(_), None) => Progress::Failed(self.why_off()),
        }
    }

    fn press(&mut self, now: Mono, key: char, by: KeyPath) -> Progress {
        let up = self.is_up();
        let pressed = match (by, &mut self.media) {
            (KeyPath::Info, _) if up => {
                self.ua.info(now, key);
                true
            }
            (KeyPath::Rfc4733, Some(media)) => media.press(key),
            (KeyPath::Info | KeyPath::Rfc4733, _) => false,
        };
        if pressed { Progress::Done } else { Progress::Failed(format!("the key {key:?} cannot be pressed: {}", self.why_off())) }
    }

    fn why_off(&self) -> String {
        self.over.as_ref().map_or("the call is not up".to_owned(), |why| format!("the call is over: {why}"))
    }

    fn wait(&mut self, now: Mono, cue: &Cue, until: Mono) -> Progress {
        let since = self.step_began;
        let come = match cue {
            Cue::Invited => self.invited,
            Cue::Ringing => self.rang,
            Cue::Up => self.is_up(),
            Cue::Gone => self.over.is_some(),
            Cue::Said => self.media.as_ref().is_some_and(|media| !media.is_speaking()),
            Cue::Told(note) => self.told.contains(note),
            Cue::Hears(pilot) => self.ear.pilot_since(*pilot, since),
            Cue::Voice => self.ear.voice_since(since),
            Cue::Quiet(span) => self.ear.quiet_at(since, *span) <= now,
            Cue::Notified(status) => self.notified.contains(status),
            Cue::Referred => self.referred,
        };
        match (&self.over, come) {
            (_, true) => Progress::Done,
            (Some(why), false) => Progress::Failed(format!("the call ended first: {why}")),
            (None, false) if now >= until => Progress::Failed("it did not come in time".to_owned()),
            (None, false) => Progress::Waiting,
        }
    }

    /// When the current step wants to be looked at again.
    fn step_at(&self) -> Option<Mono> {
        match self.script.steps.get(self.step)? {
            Step::Pause(span) => Some(self.step_began + *span),
            Step::WaitFor { cue: Cue::Quiet(span), within } => {
                Some(self.ear.quiet_at(self.step_began, *span).min(self.step_began + *within))
            }
            Step::WaitFor { within, .. } => Some(self.step_began + *within),
            Step::Ring { .. } | Step::RingWithSdp { .. } | Step::Refuse { .. } | Step::Answer => None, // an INVITE wakes them
            Step::Call { .. }
            | Step::CallWithoutOffer { .. }
            | Step::Say(_)
            | Step::Write(_)
            | Step::Press { .. }
            | Step::Refer { .. }
            | Step::Offer(_)
            | Step::Mute
            | Step::HangUp
            | Step::HangUpBecause(_)
            | Step::Vanish
            | Step::Notify { .. }
            | Step::Note(_) => (!self.started).then_some(self.me.origin),
        }
    }

    fn finish(&mut self, verdict: Result<(), Fault>) {
        self.record.verdict = Some(verdict.clone());
        self.out.push_back(Output::Finished(verdict));
    }

    fn speak(&mut self, now: Mono) {
        let Some(media) = &mut self.media else { return };
        for packet in media.tick(now, &mut self.record.sent) {
            self.out.push_back(Output::Rtp { to: packet.remote, bytes: packet.bytes.clone() });
            self.record.rtp_sent.push(packet);
        }
    }

    fn flush(&mut self, now: Mono) {
        while let Some((to, bytes)) = self.ua.out.pop_front() {
            self.log_sip(now, true, to, &bytes);
            self.out.push_back(Output::Sip { to, bytes });
        }
    }

    fn log_sip(&mut self, now: Mono, sent: bool, remote: SocketAddr, bytes: &Bytes) {
        let title = Message::read(bytes).map(|message| message.title()).unwrap_or_default();
        let again = self.record.sip.iter().any(|seen| seen.sent == sent && seen.bytes == *bytes);
        let seen = SipSeen { at: now, sent, local: self.me.sip, remote, bytes: bytes.clone(), title, again };
        self.record.sip.push(seen);
    }
}
