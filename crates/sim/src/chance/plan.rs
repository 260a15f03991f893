//! What happens in a random world, drawn from a seed before it begins: plain data, so that a part of it can be left out.

use std::time::Duration;

use baton_contract::{Author, Driver, EventKind, Mode, Presence};
use baton_transfer::{AcceptBy, AfterAe};

use super::dice::Dice;
use super::watch::TRUNK_RING_MAX;
use super::ways::{Beginning, SESSION, Timer, Ways};
use super::wire::Talk;
use crate::{Fate, Store};

/// Everything that happens in a world.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) rules: Rules,
    pub(super) deeds: Vec<Deed>,
    /// What becomes of datagrams, by their numbers.
    pub(super) fates: Vec<(usize, Fate)>,
    /// When everybody hangs up.
    pub(super) end: Duration,
}

/// How Baton is configured.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    pub(super) aes: usize,
    pub(super) callers: usize,
    pub(super) ring_max: Duration,
    pub(super) attempts: u8,
    pub(super) accept: AcceptBy,
    pub(super) after_ae: AfterAe,
    pub(super) wrap_up: Duration,
    pub(super) ports: u16,
    pub(super) ways: Ways,
}

/// Something that happens once, some time after a moment.
#[derive(Debug, Clone)]
pub(super) struct Deed {
    pub(super) when: Moment,
    pub(super) after: Duration,
    pub(super) what: What,
}

/// A leg: whose, and the how-manieth of theirs, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Who {
    pub(super) phone: usize,
    pub(super) nth: u8,
}

/// What a deed waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    Begin,
    /// This leg's phone has got an INVITE.
    Invited(Who),
    /// This leg is up, as its phone sees it.
    Up(Who),
    /// This leg's phone has got a REFER, and takes it.
    Referred(Who),
    /// Baton has published this, for the n-th time from 0.
    Told(EventKind, u8),
}

/// Something that somebody does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum What {
    Call {
        phone: usize,
        offer: bool,
    },
    Ring(Who, u16),
    Answer(Who, Talk),
    Refuse(Who, u16),
    HangUp(Who),
    Press(Who, char, By),
    Offer(Who, Talk),
    Refer(Who, Target),
    /// How a REFER that was taken goes on.
    Notify(Who, u16),
    Mute(Who),
    CutOff(usize),
    Strange(Who, Strange),
    Api(Api),
    Store(Store, Duration),
    Clock(i64),
    Drain,
    Outage(Duration),
    /// This phone writes a text.
    Text(Who),
    /// From here on no voice can be had.
    NoVoice,
    /// Another node claims the callback, and has it for half a minute.
    OtherNode,
    /// What Baton sends next to a phone cannot be sent.
    Unsendable(usize),
}

/// Whom somebody wants to reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Ae(usize),
    /// The AI of the call.
    Ai,
    /// Somebody outside, over a trunk.
    Outside,
    Nobody,
}

impl Target {
    /// As a REFER or a request names it.
    pub(super) fn name(self) -> String {
        match self {
            Target::Ae(ae) => format!("ae{ae}"),
            Target::Ai => "ai".to_owned(),
            Target::Outside => "lee".to_owned(),
            Target::Nobody => "nobody".to_owned(),
        }
    }

    /// As a URI.
    pub(super) fn uri(self) -> String {
        match self {
            Target::Outside => OUTSIDE.to_owned(),
            Target::Ae(_) | Target::Ai | Target::Nobody => format!("sip:{}@anywhere.example", self.name()),
        }
    }
}

/// The person outside, and the host of the trunk that leads to them.
pub(super) const OUTSIDE: &str = "sip:lee@10.0.1.20";

/// How a key is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    Rtp,
    Info,
}

/// Requests and responses that no sound phone sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Strange {
    /// A request with a CSeq that was there already.
    OldSeq,
    /// A CSeq that leaves a gap.
    Gap,
    /// A BYE with a tag of somebody else.
    WrongTag,
    /// A response that nobody asked for.
    StrayResponse,
    /// Half a message.
    Torn,
    /// A second 200 from a fork, with another tag.
    Fork,
    /// A 180 after the answer.
    LateRinging,
}

/// What is asked through the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Api {
    Transfer {
        caller: usize,
        to: Option<Target>,
        mode: Mode,
    },
    Cancel,
    Accept,
    Decline {
        later: bool,
    },
    HangUp,
    Presence(usize, Presence),
    Pick,
    /// A callback is promised, without a call, for so many seconds from now.
    Promise {
        ae: usize,
        in_s: u64,
    },
    /// The callback is moved to so many seconds from now.
    Move {
        in_s: u64,
    },
    /// The callback is called off.
    Uncallback,
    HandBack,
    Drive(Driver),
    Proceed,
    /// Somebody writes to the caller.
    Text(Author),
    /// Baton calls the caller for an AI.
    Place,
}

/// Instants that crossings are made of, in microseconds.
const CROSSINGS: &[u64] = &[0, 1, 150, 299, 300, 301, 600, 700, 1_000, 5_000, 20_000, 60_000];

/// Codes that an INVITE can come to nothing by.
const FINAL_CODES: &[u16] = &[
    300, 302, 305, 400, 403, 404, 406, 408, 410, 415, 420, 480, 481, 482, 483, 484, 486, 487, 488, 491, 500, 501, 502, 503, 504,
    600, 603, 604, 606, 607, 608, 699,
];

pub(super) const CALLER: usize = 0;
pub(super) const AI: usize = 1;
pub(super) const FIRST_AE: usize = 2;

pub(super) const fn leg(phone: usize, nth: u8) -> Who {
    Who { phone, nth }
}

pub(super) fn millis(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

impl Plan {
    /// The plan of a seed.
    pub(super) fn draw(seed: u64) -> Plan {
        let mut dice = Dice::new(seed);
        let rules = Rules::draw(&mut dice);
        Plan::with(seed, dice, rules)
    }

    /// One call of many on the same switchboard, which nobody drains and whose AEs are there all the time.
    pub(super) fn draw_one_of_many(seed: u64, rules: &Rules) -> Plan {
        let mut plan = Plan::with(seed, Dice::new(seed), rules.clone());
        let lasts = |what: &What| matches!(what, What::Drain | What::Api(Api::Presence(..)));
        plan.deeds.retain(|deed| !lasts(&deed.what));
        plan
    }

    fn with(seed: u64, mut dice: Dice, rules: Rules) -> Plan {
        let end = millis(dice.between(3_000, 40_000));
        let beginning = Beginning::draw(&mut dice);
        let mut drawing = Drawing { dice, rules, beginning, deeds: Vec::with_capacity(32) };
        drawing.callers();
        drawing.ai();
        let outside = drawing.request();
        drawing.aes();
        if outside {
            drawing.outsider();
        }
        drawing.afterwards();
        drawing.done();
        drawing.pause();
        drawing.glare();
        let promised = (beginning == Beginning::Callback || drawing.dice.percent(3)).then(|| drawing.callback());
        let troubles = drawing.dice.one(&[0, 0, 1, 1, 1, 2, 2, 3, 4]);
        for _ in 0..troubles {
            drawing.trouble();
        }
        let fates = drawing.fates();
        drawing.texts(seed);
        let Drawing { mut dice, rules, deeds, .. } = drawing;
        let end = promised.map_or(end, |promised| end.max(promised));
        // A phone that nobody takes up has to have its time.
        let rings = deeds.iter().any(|deed| deed.what == What::Api(Api::Place));
        let taken = |deed: &Deed| matches!(deed.what, What::Answer(who, _) | What::Refuse(who, _) if who == leg(CALLER, 0));
        let end = if rings && !deeds.iter().any(taken) { end.max(TRUNK_RING_MAX + millis(3_000)) } else { end };
        // A session timer has to have its time.
        let end = if rules.ways.timer == Timer::Unasked { end } else { end.max(SESSION + millis(5_000)) };
        let end = if dice.percent(12) { end + millis(dice.between(20_000, 100_000)) } else { end };
        Plan { seed, rules, deeds, fates, end }
    }
}

impl Rules {
    fn draw(dice: &mut Dice) -> Rules {
        Rules {
            aes: dice.one(&[1, 2, 2, 3]),
            callers: if dice.percent(8) { 2 } else { 1 },
            ring_max: millis(dice.one(&[4_000, 6_000, 12_000, 18_000])),
            attempts: dice.one(&[1, 2, 2, 2, 3]),
            accept: if dice.percent(12) { AcceptBy::Answer } else { AcceptBy::Key },
            after_ae: if dice.percent(25) { AfterAe::Ai } else { AfterAe::End },
            wrap_up: if dice.percent(10) { millis(20_000) } else { Duration::ZERO },
            ports: if dice.percent(3) { dice.between(0, 4) as u16 } else { 64 },
            ways: Ways::draw(dice),
        }
    }

    /// What holds for all calls of one switchboard.
    pub(super) fn of_many() -> Rules {
        Rules {
            aes: 2,
            callers: 1,
            ring_max: millis(12_000),
            attempts: 2,
            accept: AcceptBy::Key,
            after_ae: AfterAe::Ai,
            wrap_up: Duration::ZERO,
            ports: 64,
            ways: Ways::USUAL,
        }
    }

    /// The phone of the second caller, who is there in some worlds.
    pub(super) fn second_caller(&self) -> usize {
        FIRST_AE + self.aes
    }
}

pub(super) struct Drawing {
    pub(super) dice: Dice,
    pub(super) rules: Rules,
    pub(super) beginning: Beginning,
    deeds: Vec<Deed>,
}

impl Drawing {
    pub(super) fn on(&mut self, when: Moment, after: Duration, what: What) {
        self.deeds.push(Deed { when, after, what });
    }

    pub(super) fn any(&mut self, low_ms: u64, high_ms: u64) -> Duration {
        millis(self.dice.between(low_ms, high_ms))
    }

    /// Right at a moment, give or take what makes two things cross; or some time later.
    pub(super) fn crossing(&mut self) -> Duration {
        if self.dice.percent(60) { Duration::from_micros(self.dice.one(CROSSINGS)) } else { self.any(0, 4_000) }
    }

    fn callers(&mut self) {
        let offer = !self.dice.percent(5);
        match self.beginning {
            Beginning::Inbound => self.on(Moment::Begin, Duration::ZERO, What::Call { phone: CALLER, offer }),
            Beginning::Placed => self.placed(),
            Beginning::Callback => {}
        }
        if self.rules.callers == 2 {
            let (after, phone) = (self.any(0, 3_000), self.rules.second_caller());
            self.on(Moment::Begin, after, What::Call { phone, offer: true });
        }
    }

    /// Baton is asked to call the caller, who answers, nearly always.
    fn placed(&mut self) {
        self.on(Moment::Begin, Duration::ZERO, What::Api(Api::Place));
        let who = leg(CALLER, 0);
        let (ring, answer) = (self.any(1, 800), self.any(300, 5_000));
        self.on(Moment::Invited(who), ring, What::Ring(who, 180));
        match self.dice.below(100) {
            0..10 => {
                let status = self.dice.one(FINAL_CODES);
                self.on(Moment::Invited(who), answer, What::Refuse(who, status));
            }
            10..15 => {}
            _ => self.on(Moment::Invited(who), answer, What::Answer(who, Talk::Both)),
        }
    }

    /// The AI takes every call, nearly always.
    fn ai(&mut self) {
        for nth in 0..4 {
            let who = leg(AI, nth);
            let (ring, answer) = (self.any(1, 60), self.any(60, 400));
            if self.dice.percent(70) {
                self.on(Moment::Invited(who), ring, What::Ring(who, 180));
            }
            match self.dice.below(100) {
                0..4 => {
                    let status = self.dice.one(FINAL_CODES);
                    self.on(Moment::Invited(who), answer, What::Refuse(who, status));
                }
                4..7 => {}
                _ => self.on(Moment::Invited(who), answer, What::Answer(who, Talk::Both)),
            }
        }
    }

    /// Somebody asks for a human; says whether anybody outside may be rung.
    fn request(&mut self) -> bool {
        let after = self.any(100, 1_500);
        let first = Moment::Told(EventKind::DriverChanged, 0);
        let (mode, to) = self.wanted();
        let mut outside = to == Some(Target::Outside);
        if self.dice.percent(65) || mode != Mode::Warm {
            self.on(first, after, What::Api(Api::Transfer { caller: CALLER, to, mode }));
        } else {
            let target = self.dice.one(&[
                Target::Ae(0),
                Target::Ae(0),
                Target::Ae(0),
                Target::Ae(0),
                Target::Ae(1),
                Target::Nobody,
                Target::Outside,
            ]);
            outside |= target == Target::Outside;
            self.on(first, after, What::Refer(leg(AI, 0), target));
        }
        if mode == Mode::Cold || outside {
            self.referral();
        }
        self.message(mode);
        let warm = Mode::Warm;
        if self.rules.callers == 2 {
            let (after, caller) = (self.any(0, 1_500), self.rules.second_caller());
            let transfer = Api::Transfer { caller, to: Some(Target::Ae(0)), mode: warm };
            self.on(Moment::Told(EventKind::DriverChanged, 1), after, What::Api(transfer));
        }
        if self.dice.percent(8) {
            let after = self.any(500, 8_000);
            let again = Api::Transfer { caller: CALLER, to: Some(Target::Ae(0)), mode: warm };
            self.on(Moment::Told(EventKind::TransferEnded, 0), after, What::Api(again));
        }
        outside || self.dice.percent(10)
    }

    fn aes(&mut self) {
        for ae in 0..self.rules.aes {
            for nth in 0..3 {
                self.ae(leg(FIRST_AE + ae, nth));
            }
        }
    }

    /// What an AE does with a call: most answer, and most of these accept.
    fn ae(&mut self, who: Who) {
        let invited = Moment::Invited(who);
        if self.dice.percent(88) {
            let (after, status) = (self.any(5, 1_200), self.dice.one(&[180, 180, 180, 180, 183, 181, 182]));
            self.on(invited, after, What::Ring(who, status));
        }
        match self.dice.below(100) {
            0..62 => {
                let after = self.any(200, 5_000);
                let talk = if self.dice.percent(4) {
                    self.dice.one(&[Talk::Missing, Talk::PortZero, Talk::StrangeCodec, Talk::SendOnly, Talk::Inactive])
                } else {
                    Talk::Both
                };
                self.on(invited, after, What::Answer(who, talk));
                self.listens(who);
            }
            62..80 => {
                let (after, status) = (self.any(1, 4_000), self.dice.one(FINAL_CODES));
                self.on(invited, after, What::Refuse(who, status));
            }
            _ => {}
        }
    }

    fn listens(&mut self, who: Who) {
        let up = Moment::Up(who);
        let keys = self.dice.one(&["1", "1", "1", "1", "1", "1", "2", "3", "#1", "*1", "#2", "51", "11", "12", "21", ""]);
        let mut after = self.any(100, 6_000);
        for key in keys.chars() {
            let by = if self.dice.percent(15) { By::Info } else { By::Rtp };
            self.on(up, after, What::Press(who, key, by));
            after += Duration::from_micros(self.dice.one(&[100, 50_000, 199_000, 250_000, 900_000]));
        }
        if self.dice.percent(35) {
            let after = self.any(500, 12_000);
            self.on(Moment::Told(EventKind::Bridged, 0), after, What::HangUp(who));
        }
    }

    /// Something that should not happen, at a moment at which it may hurt.
    fn trouble(&mut self) {
        let when = self.moment();
        let after = self.crossing();
        let what = match self.dice.below(100) {
            0..18 => What::HangUp(leg(CALLER, 0)),
            18..25 => What::HangUp(leg(AI, 0)),
            25..33 => What::HangUp(self.some_ae()),
            33..38 => What::Press(self.some_ae(), self.dice_key(), By::Rtp),
            38..43 => What::Press(leg(CALLER, 0), self.dice_key(), By::Rtp),
            43..47 => What::Api(Api::Cancel),
            47..51 => What::Api(Api::Accept),
            51..54 => What::Api(Api::Decline { later: self.dice.percent(40) }),
            54..56 => What::Api(Api::HangUp),
            56..58 => What::Api(Api::Transfer { caller: CALLER, to: Some(Target::Ae(0)), mode: Mode::Warm }),
            58..61 => What::Api(Api::Presence(
                self.dice.below(self.rules.aes as u64) as usize,
                self.dice.one(&[Presence::Dnd, Presence::Away]),
            )),
            61..62 => What::Api(Api::Promise { ae: 0, in_s: 7_200 }),
            62..64 => What::Api(Api::Pick),
            64..70 => {
                let store = self.dice.one(&[Store::Refuses, Store::Silent]);
                What::Store(store, self.any(1, 6_000))
            }
            70..72 => What::Clock(self.dice.one(&[3_600, -3_600, 1, -1, 86_400])),
            72..73 => What::Drain,
            73..76 => What::Outage(self.any(50, 5_000)),
            76..79 => What::Mute(self.some_leg()),
            79..82 => What::CutOff(self.some_leg().phone),
            82..90 => What::Offer(
                self.some_leg(),
                self.dice.one(&[Talk::SendOnly, Talk::Inactive, Talk::Both, Talk::Missing, Talk::StrangeCodec]),
            ),
            90..91 => What::NoVoice,
            91..92 => What::Unsendable(self.some_leg().phone),
            92..94 => What::Refer(self.some_leg(), self.dice.one(&[Target::Ae(0), Target::Ae(1), Target::Nobody])),
            _ => What::Strange(
                self.some_leg(),
                self.dice.one(&[
                    Strange::OldSeq,
                    Strange::Gap,
                    Strange::WrongTag,
                    Strange::StrayResponse,
                    Strange::Torn,
                    Strange::Fork,
                    Strange::LateRinging,
                ]),
            ),
        };
        if let What::Offer(who, Talk::SendOnly | Talk::Inactive) = what {
            let later = after + self.any(1, 5_000);
            self.on(when, later, What::Offer(who, Talk::Both));
        }
        self.on(when, after, what);
    }

    fn dice_key(&mut self) -> char {
        self.dice.one(&['1', '1', '2', '3', '*', '#', '9'])
    }

    fn some_ae(&mut self) -> Who {
        leg(FIRST_AE + self.dice.below(self.rules.aes as u64) as usize, 0)
    }

    fn some_leg(&mut self) -> Who {
        match self.dice.below(4) {
            0 => leg(CALLER, 0),
            1 => leg(AI, 0),
            _ => self.some_ae(),
        }
    }

    fn moment(&mut self) -> Moment {
        match self.dice.below(16) {
            0 => Moment::Begin,
            1 => Moment::Invited(leg(AI, 0)),
            2 => Moment::Up(leg(CALLER, 0)),
            3 => Moment::Told(EventKind::TransferRequested, 0),
            4 => Moment::Told(EventKind::AttemptStarted, 0),
            5 => Moment::Invited(leg(FIRST_AE, 0)),
            6 => Moment::Told(EventKind::Ringing, 0),
            7 => Moment::Told(EventKind::Answered, 0),
            8 => Moment::Up(leg(FIRST_AE, 0)),
            9 => Moment::Told(EventKind::BriefingStarted, 0),
            10 => Moment::Told(EventKind::Accepted, 0),
            11 => Moment::Told(EventKind::Bridged, 0),
            12 => Moment::Told(EventKind::AttemptFailed, 0),
            13 => Moment::Told(EventKind::AttemptStarted, 1),
            14 => Moment::Told(EventKind::TransferEnded, 0),
            _ => Moment::Told(EventKind::DriverChanged, 1),
        }
    }

    /// In some worlds people write to each other, too. What else happens in a world is drawn without regard to that.
    fn texts(&mut self, seed: u64) {
        let others = std::mem::replace(&mut self.dice, Dice::new(!seed));
        let count = if self.dice.percent(8) { self.dice.between(1, 4) } else { 0 };
        for _ in 0..count {
            let when = match self.dice.below(3) {
                0 => Moment::Up(leg(CALLER, 0)),
                1 => Moment::Told(EventKind::Bridged, 0),
                _ => self.moment(),
            };
            let what = match self.dice.below(6) {
                0 => What::Api(Api::Text(self.dice.one(&[Author::Ai, Author::Human]))),
                _ => What::Text(self.some_leg()),
            };
            let after = self.crossing();
            self.on(when, after, what);
        }
        self.dice = others;
    }

    /// In every third world the network does something to some datagrams.
    fn fates(&mut self) -> Vec<(usize, Fate)> {
        if !self.dice.percent(35) {
            return Vec::new();
        }
        let count = self.dice.between(1, 6);
        let mut fates: Vec<(usize, Fate)> = (0..count)
            .map(|_| {
                let fate = match self.dice.below(10) {
                    0..5 => Fate::Lost,
                    5..8 => Fate::Twice,
                    _ => Fate::Late(Duration::from_micros(self.dice.between(300, 700_000))),
                };
                (self.dice.between(1, 44) as usize, fate)
            })
            .collect();
        fates.sort_by_key(|(number, _)| *number);
        fates.dedup_by_key(|(number, _)| *number);
        fates
    }
}
