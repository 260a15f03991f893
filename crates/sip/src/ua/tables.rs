//! Sessions and transactions: in and out of their tables, and the passing of time.

use baton_time::Mono;

use super::door::Request;
use super::session::{Cancel, Session, Stage};
use super::snapshot::method;
use super::sources::Source;
use super::timer::TimerWish;
use super::{Direction, Event, SessionId, UserAgent, VerbError};
use crate::random;
use crate::transaction::{ClientKey, Expired, Leaves, ServerKey};
use crate::transport::Transmit;
use crate::wire::Header;
use serde::{Deserialize, Serialize};

/// What is remembered of a request of ours while its transaction lives.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Asked {
    pub(crate) session: SessionId,
    pub(crate) purpose: Purpose,
    #[serde(with = "method")]
    pub(crate) method: method::Static,
    /// What it takes to ask once more with credentials; none where there are no credentials.
    pub(crate) again: Option<Box<AskAgain>>,
    /// The same request as a datagram, if only its length has sent it by TCP.
    pub(crate) plain: Option<Box<Transmit>>,
}

/// What a request of ours is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Purpose {
    /// The INVITE that began the session.
    Invite,
    /// An INVITE inside it.
    Reinvite,
    /// The taking back of the first.
    Cancel,
    /// The end of the session.
    Bye,
    /// The end of a fork that nobody wanted.
    StrayBye,
    /// An INFO.
    Info,
    /// A MESSAGE.
    Text,
    /// An UPDATE within it.
    Update,
    /// What acknowledges a reliable provisional answer.
    Prack,
    /// A REFER.
    Refer(super::ReferId),
    /// A NOTIFY about a REFER.
    Notify(super::ReferId),
    /// A registration of ours.
    Register(super::RegistrationId),
    /// A question whether somebody is there.
    Ping(super::PingId),
    /// A subscription of ours.
    Subscribe(super::SubscriptionId),
}

/// What it takes to send a request once more.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct AskAgain {
    pub(crate) headers: Vec<Header>,
    pub(crate) body: Option<(String, bytes::Bytes)>,
    /// What answers the challenges so far.
    pub(crate) authorization: Vec<Header>,
    /// Nonces that were already answered: once each is enough.
    pub(crate) nonces: Vec<String>,
    /// What it says about the session timer.
    pub(crate) timer: Option<TimerWish>,
}

/// What is remembered of a request of the far side while its transaction lives.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Served {
    /// Whose INVITE it is, for its CANCEL.
    pub(crate) session: Option<SessionId>,
    /// Under which name it is listed as one that others may be merged into.
    pub(crate) merging: Option<u128>,
    /// Of whose share it takes.
    #[serde(default)]
    pub(crate) source: Option<Source>,
}

impl AskAgain {
    /// A request that is sent for the first time.
    pub(crate) fn new(headers: Vec<Header>, body: Option<(String, bytes::Bytes)>) -> AskAgain {
        AskAgain { headers, body, authorization: Vec::new(), nonces: Vec::new(), timer: None }
    }

    /// All headers that the request has beyond those that every request has.
    pub(crate) fn all_headers(&self) -> Vec<Header> {
        let timer = self.timer.as_ref().map(TimerWish::headers).unwrap_or_default();
        self.headers.iter().cloned().chain(timer).chain(self.authorization.iter().cloned()).collect()
    }
}

impl UserAgent {
    /// Time has gone by: sends what is due, forgets what is over. Harmless if called early.
    pub fn on_timeout(&mut self, now: Mono) {
        self.datagrams_only.forget(now);
        while let Some(expired) = self.transactions.pop_due(now) {
            match expired {
                Expired::Send(transmit) => {
                    self.counts.repeated += 1;
                    self.transmits.push_back(transmit);
                }
                Expired::Speak(key, trying) => {
                    let session = self.transactions.server(key).and_then(|(_, served)| served.session);
                    self.stepped.extend(session);
                    self.send("INVITE", 100, trying);
                }
                Expired::Unanswered(key, asked) => self.unanswered(now, key, &asked, 408),
                Expired::ClientOver(key, asked) => self.forget_client(key, &asked),
                Expired::ServerOver(key, served) => self.forget_server(key, &served),
            }
        }
        self.run_errands(now);
        while let Some((_, id)) = self.timers.pop_due(now) {
            if let Some(mut session) = self.sessions.remove(&id) {
                self.session_due(now, &mut session);
                self.put(now, session);
            }
        }
    }

    fn session_due(&mut self, now: Mono, session: &mut Session) {
        self.repeat_answer(now, session);
        self.offer_again(now, session);
        self.repeat_provisional(now, session);
        self.timer_due(now, session);
        self.server_due(now, session);
        if session.remnant.as_ref().is_some_and(|remnant| remnant.until <= now) {
            session.remnant = None;
        }
        if session.abandon_at.is_some_and(|at| at <= now) {
            session.abandon_at = None;
            // While a session goes on only phones are given up that it is not for.
            let goes_on = match &session.stage {
                Stage::Up(_) => true,
                Stage::Dialing(dialing) => !dialing.is_cancelled(),
                Stage::Called(_) | Stage::Ending(_) | Stage::Over => false,
            };
            for invite in session.invites.iter().filter(|invite| !goes_on || invite.ending != Cancel::No) {
                self.transactions.forsake(now, invite.key);
            }
            if !goes_on {
                self.never_cancelled(session);
            }
        }
    }

    pub(crate) fn forget_client(&mut self, key: ClientKey, asked: &Asked) {
        if let Some(mut session) = self.sessions.remove(&asked.session) {
            session.invites.retain(|invite| invite.key != key);
            self.put_quietly(session);
        }
    }

    fn forget_server(&mut self, key: ServerKey, served: &Served) {
        if let Some(source) = served.source {
            self.shares.close_transaction(source);
        }
        if let Some(name) = served.merging
            && self.merging.get(&name) == Some(&key)
        {
            self.merging.remove(&name);
        }
    }

    /// Takes a session out for one step.
    pub(crate) fn take(&mut self, id: SessionId) -> Result<Box<Session>, VerbError> {
        self.sessions.remove(&id).ok_or(VerbError::NoSession)
    }

    /// Puts a session back after a step, or forgets it if nothing is left of it.
    pub(crate) fn put(&mut self, now: Mono, mut session: Box<Session>) {
        // RFC 3261 has no timer for an INVITE that was answered provisionally only; once its session is over nobody waits for it any more.
        if matches!(session.stage, Stage::Over) && !session.invites.is_empty() && session.abandon_at.is_none() {
            session.abandon_at = Some(now + self.settings.timing.patience());
        }
        if matches!(session.stage, Stage::Over) {
            // What is remembered of it for half a minute is what late answers need, and nothing is ever described again.
            session.described = None;
        }
        if matches!(session.stage, Stage::Ending(_) | Stage::Over) {
            self.settle_exchange(now, &mut session);
        }
        self.put_quietly(session);
    }

    fn put_quietly(&mut self, session: Box<Session>) {
        self.stepped.insert(session.id);
        if session.is_done() {
            self.timers.clear(&session.id);
            self.tags.remove(&session.tag);
            if let Some(caller) = session.caller {
                self.shares.close_session(caller);
            }
            return;
        }
        match session.poll_timeout() {
            Some((at, _)) => self.timers.set(session.id, at),
            None => {
                self.timers.clear(&session.id);
            }
        }
        self.sessions.insert(session.id, session);
    }

    /// A name for a new session, with its tag.
    pub(crate) fn new_session(&mut self) -> (SessionId, u64) {
        self.last_session += 1;
        let id = SessionId(self.last_session);
        let tag = self.random.draw();
        self.tags.insert(tag, id);
        (id, tag)
    }

    /// The session whose tag this is.
    pub(crate) fn by_tag(&self, tag: &str) -> Option<SessionId> {
        self.tags.get(&random::number(tag)?).copied()
    }

    /// Sends a message for the first time.
    pub(crate) fn send(&mut self, method: &str, code: u16, transmit: Transmit) {
        self.counts.message(method, code, Direction::Out);
        self.transmits.push_back(transmit);
    }

    /// Answers a request within its transaction.
    pub(crate) fn respond(&mut self, now: Mono, key: ServerKey, request: &Request, reply: Reply) -> Option<Transmit> {
        let transmit = self.response(request, &reply);
        let (machine, _) = self.transactions.server(key)?;
        if !machine.is_open() {
            return None;
        }
        let leaves = machine.respond(now, reply.status, transmit.clone());
        self.transactions.rearm_server(key);
        if leaves == Leaves::Now {
            self.send(request.method(), reply.status, transmit.clone());
        }
        Some(transmit)
    }

    /// Answers a request without remembering it.
    pub(crate) fn respond_statelessly(&mut self, request: &Request, reply: &Reply) {
        let transmit = self.response(request, reply);
        self.send(request.method(), reply.status, transmit);
    }

    pub(crate) fn tell(&mut self, event: Event) {
        self.events.push_back(event);
    }
}

/// What a response says.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// Its phrase, if it shall not be the usual one.
    pub(crate) phrase: Option<String>,
    /// Our tag, where the request brought none; one that follows from the request if none is given.
    pub(crate) tag: Option<String>,
    /// Whether our Contact is in it, and the request's Record-Route: what makes a dialog.
    pub(crate) makes_dialog: bool,
    pub(crate) headers: Vec<Header>,
    pub(crate) body: Option<(String, bytes::Bytes)>,
}

impl Reply {
    pub(crate) fn new(status: u16) -> Reply {
        Reply { status, ..Reply::default() }
    }

    pub(crate) fn with(mut self, header: Header) -> Reply {
        self.headers.push(header);
        self
    }

    pub(crate) fn tag(mut self, tag: &str) -> Reply {
        self.tag = Some(tag.to_owned());
        self
    }
}
