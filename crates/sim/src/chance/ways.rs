//! What a world does beyond a plain warm transfer: the other modes, what follows the bridge, calls that Baton makes itself.

use std::time::Duration;

use baton_contract::{Driver, EventKind, Mode};
use baton_switchboard::{AiEnds, AnswerCaller, ColdWay, RescueBy};
use baton_transfer::{BriefingBy, WhileDialing};

use super::dice::Dice;
use super::plan::{AI, Api, By, CALLER, Drawing, FIRST_AE, Moment, Rules, Target, What, Who, leg, millis};
use super::wire::Talk;

/// How Baton is configured beside the usual.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ways {
    pub(super) while_dialing: WhileDialing,
    pub(super) briefing: BriefingBy,
    pub(super) introduce: bool,
    pub(super) answer: AnswerCaller,
    pub(super) rescue: RescueBy,
    pub(super) ai_bye: AiEnds,
    pub(super) cold: ColdWay,
    /// What the caller's trunk says to a REFER.
    pub(super) refer_status: u16,
    /// How much of a message is speech, in hundredths.
    pub(super) speech: u64,
    /// What the caller's INVITE says about the session timer (RFC 4028).
    pub(super) timer: Timer,
}

/// Who keeps the caller's session alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Timer {
    /// Nobody asks for it.
    Unasked,
    /// Baton has to.
    Baton,
    /// The caller said that they would, and do not.
    Nobody,
}

/// The interval that a caller asks for, the shortest that there is (RFC 4028 §4).
pub(super) const SESSION: Duration = Duration::from_secs(90);

impl Timer {
    /// The headers of the INVITE.
    pub(super) const fn headers(self) -> &'static str {
        match self {
            Timer::Unasked => "",
            Timer::Baton => "Supported: timer\r\nSession-Expires: 90;refresher=uas\r\n",
            Timer::Nobody => "Supported: timer\r\nSession-Expires: 90;refresher=uac\r\n",
        }
    }
}

impl Ways {
    /// The usual, in which most worlds are played.
    pub(super) const USUAL: Ways = Ways {
        while_dialing: WhileDialing::Music,
        briefing: BriefingBy::Voice,
        introduce: false,
        answer: AnswerCaller::OnAi,
        rescue: RescueBy::Human,
        ai_bye: AiEnds::Call,
        cold: ColdWay::Bridge,
        refer_status: 202,
        speech: 60,
        timer: Timer::Unasked,
    };

    pub(super) fn draw(dice: &mut Dice) -> Ways {
        let cold = if dice.percent(50) { ColdWay::Refer } else { ColdWay::Bridge };
        let speech = dice.one(&[0, 60, 60, 60]);
        let refer_status = dice.one(&[202, 202, 202, 200, 405, 603, 0]);
        let timer = if dice.percent(6) { dice.one(&[Timer::Baton, Timer::Nobody]) } else { Timer::Unasked };
        let usual = Ways { cold, speech, refer_status, timer, ..Ways::USUAL };
        if dice.percent(60) {
            return usual;
        }
        Ways {
            while_dialing: dice.one(&[WhileDialing::Music, WhileDialing::Ai, WhileDialing::Ai, WhileDialing::Ringback]),
            briefing: if dice.percent(15) { BriefingBy::Ai } else { BriefingBy::Voice },
            introduce: dice.percent(20),
            answer: if dice.percent(25) { AnswerCaller::Immediate } else { AnswerCaller::OnAi },
            rescue: dice.one(&[RescueBy::Human, RescueBy::Human, RescueBy::Callback, RescueBy::Voicemail, RescueBy::Nothing]),
            ai_bye: if dice.percent(40) { AiEnds::Rescue } else { AiEnds::Call },
            ..usual
        }
    }
}

/// How the call of a world begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beginning {
    /// The caller calls.
    Inbound,
    /// Baton calls the caller for an AI.
    Placed,
    /// Nobody calls, until a callback is due.
    Callback,
}

impl Beginning {
    pub(super) fn draw(dice: &mut Dice) -> Beginning {
        match dice.below(100) {
            0..88 => Beginning::Inbound,
            88..93 => Beginning::Placed,
            _ => Beginning::Callback,
        }
    }
}

/// A callback is reminded of half an hour ahead: some are promised for later than that.
const PROMISES_S: &[u64] = &[2, 5, 12, 30, 60, 300, 1_860, 2_400];

impl Rules {
    /// The person outside, whom no AE's lease protects.
    pub(super) fn outsider(&self) -> usize {
        self.second_caller() + 1
    }
}

impl Drawing {
    /// Which kind of transfer is asked for, and whom it is to reach.
    pub(super) fn wanted(&mut self) -> (Mode, Option<Target>) {
        let mode = match self.dice.below(100) {
            0..82 => Mode::Warm,
            82..91 => Mode::Cold,
            91..95 => Mode::Scheduled,
            _ => Mode::Voicemail,
        };
        let outside = mode == Mode::Cold && self.dice.percent(30);
        let to = match self.dice.below(100) {
            _ if outside => Some(Target::Outside),
            0..85 => Some(Target::Ae(0)),
            _ => None,
        };
        (mode, to)
    }

    /// The person outside, who is rung by some.
    pub(super) fn outsider(&mut self) {
        let phone = self.rules.outsider();
        for nth in 0..2 {
            let who = leg(phone, nth);
            let (ring, answer) = (self.any(5, 900), self.any(200, 4_000));
            self.on(Moment::Invited(who), ring, What::Ring(who, 180));
            match self.dice.below(10) {
                0..7 => self.on(Moment::Invited(who), answer, What::Answer(who, Talk::Both)),
                7..9 => self.on(Moment::Invited(who), answer, What::Refuse(who, 486)),
                _ => {}
            }
        }
    }

    /// What the caller's trunk tells of a REFER that it has taken.
    pub(super) fn referral(&mut self) {
        let who = leg(CALLER, 0);
        let referred = Moment::Referred(who);
        let after = self.any(5, 300);
        self.on(referred, after, What::Notify(who, 100));
        let last = self.any(300, 9_000);
        match self.dice.below(10) {
            0..6 => self.on(referred, last, What::Notify(who, 200)),
            6..8 => {
                let status = self.dice.one(&[404, 486, 503, 603]);
                self.on(referred, last, What::Notify(who, status));
            }
            8 => self.on(referred, last, What::HangUp(who)),
            _ => {}
        }
    }

    /// What somebody does once caller and AE talk.
    pub(super) fn afterwards(&mut self) {
        if !self.dice.percent(22) {
            return;
        }
        let bridged = Moment::Told(EventKind::Bridged, 0);
        let after = self.any(50, 6_000);
        let ae = leg(FIRST_AE + self.dice.below(self.rules.aes as u64) as usize, 0);
        match self.dice.below(100) {
            0..30 => {
                let gap = Duration::from_micros(self.dice.one(&[150_000, 400_000, 1_400_000, 1_600_000]));
                let by = if self.dice.percent(20) { By::Info } else { By::Rtp };
                self.on(bridged, after, What::Press(ae, '*', by));
                self.on(bridged, after + gap, What::Press(ae, '9', by));
            }
            30..55 => self.on(bridged, after, What::Api(Api::HandBack)),
            55..62 => self.on(bridged, after, What::Api(Api::Drive(Driver::Ai))),
            62..72 => self.on(bridged, after, What::Refer(ae, Target::Ai)),
            72..86 => {
                let other = self.dice.below(self.rules.aes as u64) as usize;
                self.on(bridged, after, What::Refer(ae, Target::Ae(other)));
            }
            _ => self.on(bridged, after, What::Refer(ae, Target::Outside)),
        }
        if self.dice.percent(30) {
            let (later, who) = (after + self.crossing(), self.dice.one(&[CALLER, AI, ae.phone]));
            self.on(bridged, later, What::HangUp(Who { phone: who, nth: u8::from(who == AI) }));
        }
    }

    /// The AI is paused, and goes on.
    pub(super) fn pause(&mut self) {
        if self.dice.percent(4) {
            let (after, span) = (self.any(50, 3_000), self.any(100, 3_000));
            let up = Moment::Up(leg(CALLER, 0));
            self.on(up, after, What::Api(Api::Drive(Driver::Paused)));
            self.on(up, after + span, What::Api(Api::Drive(Driver::Ai)));
        }
    }

    /// An offer of the caller meets the refresh of their session, half way through its timer.
    pub(super) fn glare(&mut self) {
        if self.rules.ways.timer == Timer::Baton && self.dice.percent(60) {
            let early = Duration::from_micros(self.dice.one(&[0, 1, 150, 299, 300, 301, 600, 900]));
            let after = SESSION / 2 - early;
            self.on(Moment::Up(leg(CALLER, 0)), after, What::Offer(leg(CALLER, 0), Talk::Both));
        }
    }

    /// A message is left: the caller says when it ends, or hangs up, or just says nothing more.
    pub(super) fn message(&mut self, mode: Mode) {
        if mode == Mode::Voicemail || self.rules.ways.rescue == RescueBy::Voicemail {
            let after = self.any(3_000, 16_000);
            let requested = Moment::Told(EventKind::TransferRequested, 0);
            match self.dice.below(4) {
                0 => self.on(requested, after, What::Press(leg(CALLER, 0), '#', By::Rtp)),
                1 => self.on(requested, after, What::HangUp(leg(CALLER, 0))),
                _ => {}
            }
        }
        if mode == Mode::Scheduled || self.dice.percent(10) {
            let (after, key) = (self.any(2_000, 30_000), self.dice.one(&['1', '1', '2', '*', '7']));
            let requested = Moment::Told(EventKind::TransferRequested, 0);
            self.on(requested, after, What::Press(leg(CALLER, 0), key, By::Rtp));
        }
    }

    /// An AI that briefs or introduces says when it is done.
    pub(super) fn done(&mut self) {
        if (self.rules.ways.introduce || self.rules.ways.briefing == BriefingBy::Ai) && self.dice.percent(60) {
            let after = self.any(200, 15_000);
            let when = if self.dice.percent(50) { EventKind::Answered } else { EventKind::Accepted };
            self.on(Moment::Told(when, 0), after, What::Api(Api::Proceed));
        }
    }

    /// A callback, what the caller does when it comes, and who changes it meanwhile. Says when the world may end.
    pub(super) fn callback(&mut self) -> Duration {
        let first = u8::from(self.beginning != Beginning::Callback);
        let promised = self.any(0, 4_000);
        let due_s = self.dice.one(PROMISES_S);
        self.on(Moment::Begin, promised, What::Api(Api::Promise { ae: 0, in_s: due_s }));
        for nth in first..first + 2 {
            let who = leg(CALLER, nth);
            let (ring, answer) = (self.any(5, 900), self.any(300, 8_000));
            self.on(Moment::Invited(who), ring, What::Ring(who, 180));
            match self.dice.below(10) {
                0..7 => self.on(Moment::Invited(who), answer, What::Answer(who, Talk::Both)),
                7..9 => {
                    let status = self.dice.one(&[486, 480, 404, 603]);
                    self.on(Moment::Invited(who), answer, What::Refuse(who, status));
                }
                _ => {}
            }
            let (press, key) = (self.any(500, 18_000), self.dice.one(&['1', '1', '1', '1', '2', '*']));
            self.on(Moment::Up(who), press, What::Press(who, key, By::Rtp));
            if self.dice.percent(40) {
                let leaves = self.any(200, 30_000);
                self.on(Moment::Up(who), leaves, What::HangUp(who));
            }
        }
        let change = self.any(0, (due_s + 20) * 1_000);
        match self.dice.below(10) {
            0 => self.on(Moment::Begin, promised + change, What::Api(Api::Uncallback)),
            1 => self.on(Moment::Begin, promised + change, What::Api(Api::Move { in_s: 20 })),
            2 | 3 => {
                let early = Duration::from_micros(self.dice.one(&[0, 100, 1_000, 500_000]));
                self.on(Moment::Begin, promised + Duration::from_secs(due_s) - early, What::OtherNode);
            }
            _ => {}
        }
        if self.dice.percent(15) {
            let seconds = self.dice.one(&[3_600, -3_600, 30, -30, 1]);
            self.on(Moment::Begin, promised + change, What::Clock(seconds));
        }
        promised + Duration::from_secs(due_s) + millis(self.dice.between(20_000, 150_000))
    }
}
