//! REFER and its NOTIFYs both ways (RFC 3515, RFC 6665, RFC 7647).

use std::time::Duration;

use baton_time::Mono;
use bytes::Bytes;

use super::door::Request;
use super::print::phrase as usual_phrase;
use super::session::{Ears, ReferStage, Referred, Referring, Session, Stage};
use super::tables::{AskAgain, Purpose, Reply};
use super::{Event, Gone, ReferId, Rejected, SessionId, UserAgent, VerbError};
use crate::dialog::Dialog;
use crate::transaction::ServerKey;
use crate::wire::{Header, Message, Name, NameAddr};

const SIPFRAG: &str = "message/sipfrag;version=2.0";
/// How long, in seconds, our NOTIFYs say that the subscription goes on; longer than any transfer takes.
const EXPIRES: u32 = 180;
/// How long a subscription lives on after its session.
pub(crate) const SUBSCRIPTION_MAX: Duration = Duration::from_secs(EXPIRES as u64);

impl UserAgent {
    /// Answers a REFER: 202 accepts it and makes NOTIFYs due, 300 to 699 refuses it.
    ///
    /// # Errors
    /// When there is no such REFER, it was answered already, or the status does not fit.
    pub fn answer_refer(&mut self, now: Mono, session: SessionId, refer: ReferId, status: u16) -> Result<(), VerbError> {
        if !(200..=699).contains(&status) {
            return Err(VerbError::WrongStatus);
        }
        let mut session = self.take(session)?;
        let result = self.answer_refer_in(now, &mut session, refer, status);
        self.put(now, session);
        result
    }

    fn answer_refer_in(&mut self, now: Mono, session: &mut Session, refer: ReferId, status: u16) -> Result<(), VerbError> {
        let Stage::Up(up) = &mut session.stage else { return Err(VerbError::WrongState) };
        let at = up.refers.iter().position(|known| known.id == refer).ok_or(VerbError::NoRefer)?;
        let entry = up.refers.remove(at);
        let ReferStage::Asked { key, request } = entry.stage else {
            up.refers.insert(at, entry);
            return Err(VerbError::WrongState);
        };
        let accepted = status < 300;
        // RFC 4488 §4, RFC 7614 §4: who wants no reports gets none.
        let says_so = request.message.header(Name::ReferSub).is_some_and(is_false);
        let unwatched = says_so || request.message.has_token(Name::Require, "nosub");
        let (tag, mut headers) = (entry.own.as_ref().map(|own| own.local_tag.clone()), Vec::new());
        if accepted && unwatched {
            headers.extend(says_so.then(|| Header::new("Refer-Sub", "false")));
            up.refers.insert(at, Referred { id: refer, stage: ReferStage::Deaf, own: None });
        } else if accepted {
            // RFC 3515 §2.4.6: the id tells the REFERs of one dialog apart; it is the CSeq number of the REFER.
            let event = format!("refer;id={}", request.seq());
            up.refers.insert(at, Referred { id: refer, stage: ReferStage::Accepted { event }, own: entry.own });
        }
        // The 2xx makes a dialog usage: it carries our Contact (RFC 3515 §2.2).
        self.respond(now, key, &request, Reply { makes_dialog: accepted, tag, headers, ..Reply::new(status) });
        Ok(())
    }

    /// Reports how an accepted REFER goes on: a sipfrag with this status line and these headers, which are on the NOTIFY too.
    /// After the last one the REFER's name means nothing. A NOTIFY that fails harms nobody. The report may outlive the session by three minutes.
    ///
    /// # Errors
    /// When the session was never up or is over for long, or there is no such accepted REFER.
    #[expect(clippy::too_many_arguments, reason = "one argument for each part of the report")]
    pub fn notify_refer(
        &mut self,
        now: Mono,
        session: SessionId,
        refer: ReferId,
        status: u16,
        phrase: &str,
        headers: Vec<Header>,
        last: bool,
    ) -> Result<(), VerbError> {
        let mut session = self.take(session)?;
        let ask = notification(&mut session, refer, status, phrase, headers, last);
        if let Ok(Some((ask, own))) = &ask {
            self.send_notify(now, &mut session, refer, ask.clone(), own.clone());
        }
        if session.remnant.as_ref().is_some_and(|remnant| remnant.refers.is_empty() && remnant.referring.is_empty()) {
            session.remnant = None;
        }
        self.put(now, session);
        ask.map(|_| ())
    }

    fn send_notify(&mut self, now: Mono, session: &mut Session, refer: ReferId, ask: AskAgain, own: Option<Box<Dialog>>) {
        if let Some(mut own) = own {
            self.ask(now, session, &mut own, Purpose::Notify(refer), ask);
            let known = session.subscriptions().and_then(|(_, refers, _)| refers.iter_mut().find(|known| known.id == refer));
            if let Some(known) = known {
                known.own = Some(own);
            }
        } else if let Some(mut dialog) = session.subscriptions().map(|(dialog, ..)| dialog.clone()) {
            self.ask(now, session, &mut dialog, Purpose::Notify(refer), ask);
            let seq = dialog.local_seq;
            if let Some((known, ..)) = session.subscriptions() {
                *known = dialog;
            }
            if let Stage::Ending(ending) = &mut session.stage {
                // It may overtake the BYE.
                ending.dialog.local_seq = ending.dialog.local_seq.max(seq);
            }
        }
    }

    /// Asks the far side to call somebody else. ReferAnswered follows, then Notified, also after the far side's BYE. Where it agrees to a
    /// `Refer-Sub: false` among the headers (RFC 4488), nothing comes but ReferAnswered and one last Notified with the same status.
    ///
    /// # Errors
    /// When the session is not up, or too many REFERs are open in it.
    pub fn refer(
        &mut self,
        now: Mono,
        session: SessionId,
        refer_to: &NameAddr,
        headers: Vec<Header>,
    ) -> Result<ReferId, VerbError> {
        let mut session = self.take(session)?;
        let max = self.settings.limits.refers;
        let result = match std::mem::replace(&mut session.stage, Stage::Over) {
            Stage::Up(up) if up.referring.len() >= max => {
                session.stage = Stage::Up(up);
                Err(VerbError::Full)
            }
            Stage::Up(mut up) => {
                self.last_refer += 1;
                let id = ReferId(self.last_refer);
                let mut all = vec![Header::new("Refer-To", refer_to.to_string())];
                all.extend(headers);
                let ask = AskAgain::new(all, None);
                self.ask(now, &session, &mut up.dialog, Purpose::Refer(id), ask);
                up.referring.push(Referring { id, seq: up.dialog.local_seq });
                session.stage = Stage::Up(up);
                Ok(id)
            }
            other @ (Stage::Dialing(_) | Stage::Called(_) | Stage::Ending(_) | Stage::Over) => {
                session.stage = other;
                Err(VerbError::WrongState)
            }
        };
        self.put(now, session);
        result
    }

    pub(crate) fn on_refer(&mut self, now: Mono, session: &mut Session, key: ServerKey, request: &Request) {
        let max = self.settings.limits.refers;
        let reply = match (&mut session.stage, request.message.refer_to()) {
            (Stage::Up(up), Some(refer_to)) if up.refers.len() < max => {
                self.last_refer += 1;
                let id = ReferId(self.last_refer);
                let stage = ReferStage::Asked { key, request: Box::new(request.clone()) };
                up.refers.push(Referred { id, stage, own: None });
                let refer_to = refer_to.0;
                let (session, referred_by, message) = (session.id, request.message.referred_by(), request.message.clone());
                self.tell(Event::Refer { session, refer: id, refer_to, referred_by, message });
                return;
            }
            (Stage::Up(_), Some(_)) => Reply::retry_after(self.settings.limits.retry_after),
            // RFC 3515 §2.4.1: exactly one Refer-To, and one that can be read.
            (Stage::Up(_), None) => Reply::new(400),
            (Stage::Dialing(_) | Stage::Called(_) | Stage::Ending(_) | Stage::Over, _) => Reply::new(403),
        };
        self.respond(now, key, request, reply);
    }

    /// A REFER outside of all dialogs: taken if it names a session that is up (RFC 4538), whose ids nobody else can know.
    pub(crate) fn on_refer_outside(&mut self, now: Mono, key: ServerKey, request: &Request) {
        let Some(mut session) = self.target_session(request).and_then(|id| self.sessions.remove(&id)) else {
            return self.reject(now, key, request, Reply::new(403), Rejected::OutsideDialog);
        };
        let contact = request.message.contact().map(|contact| contact.uri().owned());
        match (contact, request.message.refer_to()) {
            (Some(contact), Some(_)) => {
                self.on_refer(now, &mut session, key, request);
                let own = request.dialog(&self.random.token(), &contact);
                if let Stage::Up(up) = &mut session.stage
                    && let Some(refer) = up.refers.last_mut().filter(|refer| refer.is_asked_by(key))
                {
                    refer.own = Some(Box::new(own));
                }
            }
            (_, _) => {
                self.respond(now, key, request, Reply::new(400));
            }
        }
        self.put(now, session);
    }

    /// The session that Target-Dialog names. Which tag is whose is read in both ways: the RFC's words and its examples were not read alike by all.
    fn target_session(&self, request: &Request) -> Option<SessionId> {
        let mut parts = request.message.header(Name::TargetDialog)?.split(';').map(str::trim);
        let call_id = parts.next()?;
        let tags: Vec<&str> = parts.filter_map(|part| part.split_once('=')).map(|(_, tag)| tag.trim()).collect();
        let [one, other] = tags[..] else { return None };
        [(one, other), (other, one)].into_iter().find_map(|(ours, theirs)| {
            let id = self.by_tag(ours)?;
            let Stage::Up(up) = &self.sessions.get(&id)?.stage else { return None };
            (up.dialog.call_id == call_id && up.dialog.remote_tag == theirs).then_some(id)
        })
    }

    pub(crate) fn on_notify(&mut self, now: Mono, session: &mut Session, key: ServerKey, request: &Request) {
        let Some((event, last)) = notification_about(request) else {
            self.respond(now, key, request, Reply::new(489).with(Header::new("Allow-Events", "refer")));
            return;
        };
        let (id, ears) = (session.id, session.remnant.as_ref().map_or(Ears::Open, |remnant| remnant.ears));
        let Some((_, refers, referring)) = session.subscriptions() else {
            return self.reject(now, key, request, Reply::new(481), Rejected::UnknownDialog);
        };
        // A NOTIFY without id is about the only REFER there is, or the oldest one.
        let known = referring.iter().position(|refer| event.is_none_or(|seq| seq == refer.seq));
        let Some(at) = known else {
            return self.reject(now, key, request, Reply::new(481), Rejected::UnknownDialog);
        };
        let refer = referring[at].id;
        if last {
            referring.remove(at);
        }
        if referring.is_empty() && refers.is_empty() {
            session.remnant = None;
        }
        self.respond(now, key, request, Reply::new(200));
        if let Some(status) = sipfrag_status(request.message.body()).filter(|_| ears == Ears::Open) {
            self.tell(Event::Notified { session: id, refer, status, last });
        }
    }

    pub(crate) fn refer_settled(
        &mut self,
        now: Mono,
        session: &mut Session,
        refer: ReferId,
        status: u16,
        response: Option<&Message>,
    ) {
        let ears = session.remnant.as_ref().map_or(Ears::Open, |remnant| remnant.ears);
        let Some((_, refers, referring)) = session.subscriptions() else { return };
        let unwatched = response.and_then(|response| response.header(Name::ReferSub)).is_some_and(is_false);
        if status >= 300 || unwatched {
            referring.retain(|known| known.id != refer);
        }
        if referring.is_empty() && refers.is_empty() {
            session.remnant = None;
        }
        if ears == Ears::Closed {
            return;
        }
        self.tell(Event::ReferAnswered { session: session.id, refer, status });
        if status < 300 && unwatched {
            self.tell(Event::Notified { session: session.id, refer, status, last: true });
        }
        // RFC 5057 §5.2: 481 is about the dialog. Peers that know no REFER may leave it unanswered, and still have their call.
        if status == 481 {
            self.lose(now, session, Gone::TimedOut);
        }
    }

    /// A NOTIFY of ours was answered: one that nobody wants is the last one, any other failure is of no consequence.
    pub(crate) fn notify_settled(session: &mut Session, refer: ReferId, status: u16) {
        let Some((_, refers, _)) = session.subscriptions() else { return };
        if matches!(status, 481 | 489)
            && let Some(entry) = refers.iter_mut().find(|known| known.id == refer)
        {
            entry.stage = ReferStage::Deaf;
        }
    }
}

/// A NOTIFY, and the dialog that it goes in if that is not the session's.
type Notification = (AskAgain, Option<Box<Dialog>>);

/// Which REFER a NOTIFY is about, by the number of the REFER if it says one, and whether it is the last; none if it is about something else.
fn notification_about(request: &Request) -> Option<(Option<u32>, bool)> {
    let event = request.message.event().filter(|event| event.package.eq_ignore_ascii_case("refer"))?;
    // An id that is no number is none of ours; 0 is never the number of a REFER.
    let seq = event.id().map(|id| id.parse().unwrap_or(0));
    let last = match request.message.header(Name::SubscriptionState) {
        Some(_) => request.message.subscription_state().is_some_and(|state| state.is_terminated()),
        // Peers from before RFC 6665 leave it out; there the final status ends it.
        None => sipfrag_status(request.message.body()).is_some_and(|status| status >= 200),
    };
    Some((seq, last))
}

/// The status in a sipfrag's first line.
fn sipfrag_status(body: &[u8]) -> Option<u16> {
    let line = body.split(|byte| matches!(byte, b'\r' | b'\n')).next()?;
    let status = std::str::from_utf8(line.strip_prefix(b"SIP/2.0 ")?.get(..3)?).ok()?;
    status.parse().ok().filter(|status| (100..=699).contains(status))
}

/// The NOTIFY that reports this; none where the far side does not want it.
fn notification(
    session: &mut Session,
    refer: ReferId,
    status: u16,
    phrase: &str,
    headers: Vec<Header>,
    last: bool,
) -> Result<Option<Notification>, VerbError> {
    let (_, refers, _) = session.subscriptions().ok_or(VerbError::WrongState)?;
    let at = refers.iter().position(|known| known.id == refer).ok_or(VerbError::NoRefer)?;
    let own = refers[at].own.clone();
    let event = match &refers[at].stage {
        ReferStage::Asked { .. } => return Err(VerbError::WrongState),
        ReferStage::Accepted { event } => Some(event.clone()),
        ReferStage::Deaf => None,
    };
    if last {
        // The dialog stays until this has been sent.
        refers.remove(at);
    }
    let Some(event) = event else { return Ok(None) };
    let phrase = if phrase.is_empty() { usual_phrase(status) } else { phrase };
    let status = if baton_time::bug!(21) { 100 } else { status };
    let mut body = format!("SIP/2.0 {status} {phrase}\r\n");
    for header in &headers {
        body.push_str(&format!("{}: {}\r\n", header.name, header.value));
    }
    let state = if last && !baton_time::bug!(20) {
        "terminated;reason=noresource".to_owned()
    } else {
        format!("active;expires={EXPIRES}")
    };
    let mut all = vec![Header::new("Event", event), Header::new("Subscription-State", state)];
    all.extend(headers);
    Ok(Some((AskAgain::new(all, Some((SIPFRAG.to_owned(), Bytes::from(body)))), own)))
}

fn is_false(value: &str) -> bool {
    value.split(';').next().is_some_and(|value| value.trim().eq_ignore_ascii_case("false"))
}

impl Referred {
    fn is_asked_by(&self, key: ServerKey) -> bool {
        matches!(&self.stage, ReferStage::Asked { key: asked, .. } if *asked == key)
    }
}
