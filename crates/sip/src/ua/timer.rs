//! Session timers both ways (RFC 4028): a session that nobody refreshes is taken for dead.

use std::time::Duration;

use baton_time::Mono;

use super::door::Request;
use super::session::{Change, Exchange, Later, Session, Stage, Up};
use super::tables::{AskAgain, Reply};
use super::{Gone, UserAgent};
use crate::timing::Why;
use crate::wire::{Header, Message, Name};
use serde::{Deserialize, Serialize};

/// The longest interval that we are talked into: a day.
const INTERVAL_MAX: u32 = 86_400;
/// How long a refresh that found something in its way, or failed, waits before the next.
const PAUSE: Duration = Duration::from_secs(10);
/// RFC 4028 §10: who waits for a refresh ends the session this long before its end, or a third of it before, if that is less.
const MARGIN_MAX: Duration = Duration::from_secs(32);

/// What the far side can do, as its last message that says so has it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Abilities {
    pub(crate) update: bool,
}

/// Who refreshes a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Refresher {
    Us,
    Them,
}

/// An agreed session timer.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SessionTimer {
    span: Duration,
    by: Refresher,
    expires_at: Mono,
    /// When we refresh it, or, if they do, when we stop waiting.
    next_at: Mono,
}

/// What a request of ours says about the timer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TimerWish {
    seconds: u32,
    min: Option<u32>,
    refresher: Option<Refresher>,
}

/// What a message says about the timer; who refreshes is said as seen from the sender of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Said {
    seconds: u32,
    by_caller: Option<bool>,
}

impl Abilities {
    pub(crate) fn learn(&mut self, message: &Message) {
        if message.header(Name::Allow).is_some() {
            self.update = message.has_token(Name::Allow, "UPDATE");
        }
    }
}

impl TimerWish {
    pub(crate) fn headers(&self) -> Vec<Header> {
        let refresher = match self.refresher {
            None => "",
            Some(Refresher::Us) => ";refresher=uac",
            Some(Refresher::Them) => ";refresher=uas",
        };
        let mut headers = vec![Header::new("Session-Expires", format!("{}{refresher}", self.seconds))];
        headers.extend(self.min.map(|min| Header::new("Min-SE", min.to_string())));
        headers
    }
}

impl AskAgain {
    /// RFC 4028 §7.4: the request again with the interval that a 422 asks for; none if it asks for nothing new, or for too much.
    pub(crate) fn with_longer_interval(mut self, response: &Message) -> Option<AskAgain> {
        let least: u32 = response.header(Name::MinSe).and_then(seconds)?;
        let wish = self.timer.as_mut().filter(|wish| least > wish.seconds && least <= INTERVAL_MAX)?;
        (wish.seconds, wish.min) = (least, Some(least));
        Some(self)
    }
}

impl SessionTimer {
    fn new(now: Mono, span: Duration, by: Refresher) -> SessionTimer {
        let wait = match by {
            Refresher::Us => span / 2,
            Refresher::Them => span - MARGIN_MAX.min(span / 3),
        };
        SessionTimer { span, by, expires_at: now + span, next_at: now + wait }
    }

    pub(crate) fn poll_timeout(&self) -> (Mono, Why) {
        let why = match self.by {
            Refresher::Us if self.next_at < self.expires_at => Why::Refresh,
            Refresher::Us | Refresher::Them => Why::SessionExpired,
        };
        (self.next_at, why)
    }

    /// What a request of ours has to say so that it goes on as it is.
    fn wish(&self) -> TimerWish {
        let seconds = u32::try_from(self.span.as_secs()).unwrap_or(INTERVAL_MAX);
        TimerWish { seconds, min: None, refresher: Some(self.by) }
    }
}

impl UserAgent {
    /// What our INVITEs ask for.
    pub(crate) fn timer_wish(&self) -> Option<TimerWish> {
        let seconds = u32::try_from(self.settings.session_expires.as_secs()).unwrap_or(INTERVAL_MAX);
        (seconds > 0).then_some(TimerWish { seconds, min: None, refresher: None })
    }

    /// RFC 4028 §9: an interval that is too short for us; only who understands the answer gets it.
    pub(crate) fn interval_too_small(&self, request: &Request) -> Option<Reply> {
        let least = self.settings.min_se.as_secs();
        let said = Said::read(&request.message)?;
        let understands = request.message.has_token(Name::Supported, "timer");
        (understands && u64::from(said.seconds) < least).then(|| Reply::new(422).with(Header::new("Min-SE", least.to_string())))
    }

    /// The timer that our 2xx to this request grants, and what the 2xx says of it.
    pub(crate) fn timer_granted(&self, now: Mono, session: &mut Session, request: &Message) -> Vec<Header> {
        let Some(said) = Said::read(request) else {
            session.timer = None;
            return Vec::new();
        };
        let can = request.has_token(Name::Supported, "timer") || request.has_token(Name::Require, "timer");
        let by = match said.by_caller {
            Some(false) => Refresher::Us,
            Some(true) | None if can => Refresher::Them,
            Some(true) | None => Refresher::Us,
        };
        let span = Duration::from_secs(said.seconds.min(INTERVAL_MAX).into()).max(self.settings.min_se);
        session.timer = Some(SessionTimer::new(now, span, by));
        match by {
            Refresher::Us => vec![Header::new("Session-Expires", format!("{};refresher=uas", span.as_secs()))],
            Refresher::Them => {
                let says = format!("{};refresher=uac", span.as_secs());
                vec![Header::new("Session-Expires", says), Header::new("Require", "timer")]
            }
        }
    }

    /// The timer that a 2xx to a request of ours has agreed to; none if it does not speak of one.
    pub(crate) fn timer_agreed(&self, now: Mono, session: &mut Session, response: &Message) {
        session.timer = Said::read(response).map(|said| {
            let by = if said.by_caller == Some(false) { Refresher::Them } else { Refresher::Us };
            let least = self.settings.min_se.min(Duration::from_secs(90));
            let span = Duration::from_secs(said.seconds.min(INTERVAL_MAX).into()).max(least);
            SessionTimer::new(now, span, by)
        });
    }

    /// What a re-INVITE or UPDATE of ours says about the timer that runs.
    pub(crate) fn timer_goes_on(session: &Session) -> Option<TimerWish> {
        session.timer.as_ref().map(SessionTimer::wish)
    }

    pub(crate) fn timer_due(&mut self, now: Mono, session: &mut Session) {
        let Some(timer) = session.timer.as_mut().filter(|timer| timer.next_at <= now) else { return };
        if baton_time::bug!(94) {
            session.timer = None;
            return;
        }
        let Stage::Up(Up { later, .. }) = &mut session.stage else { return };
        match timer.by {
            Refresher::Us if now < timer.expires_at => {
                let left = timer.expires_at.since(now);
                timer.next_at = (now + PAUSE.max(left / 2)).min(timer.expires_at);
                if later.is_none() && matches!(session.exchange, Exchange::None) && session.unacked.is_none() {
                    *later = Some(Later { at: None, sdp: None, by: Change::Refresh });
                    self.offer_if_free(now, session);
                }
            }
            Refresher::Us | Refresher::Them => {
                session.timer = None;
                self.lose(now, session, Gone::TimedOut);
            }
        }
    }
}

impl Said {
    fn read(message: &Message) -> Option<Said> {
        let mut parts = message.header(Name::SessionExpires)?.split(';');
        let seconds = seconds(parts.next()?)?;
        let refresher =
            parts.filter_map(|part| part.split_once('=')).find(|(name, _)| name.trim().eq_ignore_ascii_case("refresher"));
        let by_caller = refresher.map(|(_, who)| who.trim().eq_ignore_ascii_case("uac"));
        Some(Said { seconds, by_caller })
    }
}

/// Delta-seconds; what is too large for anybody is as good as the largest.
fn seconds(text: &str) -> Option<u32> {
    let digits = text.split(';').next()?.trim();
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u32::MAX))
}
