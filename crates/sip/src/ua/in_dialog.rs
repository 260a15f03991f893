//! Requests of the far side within a dialog.

use baton_time::Mono;

use super::door::Request;
use super::session::{Session, Stage};
use super::tables::Reply;
use super::{Event, Rejected, UserAgent};
use crate::transaction::ServerKey;
use crate::wire::Header;

/// What a dialog has to say to a request before its method counts.
enum Place {
    /// It belongs here.
    Fits,
    /// The dialog is one that we do not have, or do not have any more.
    Unknown,
    /// It has overtaken the answer that makes its dialog.
    TooEarly,
    /// Its CSeq does not rise.
    OutOfOrder,
}

impl UserAgent {
    /// A request with a To tag.
    pub(crate) fn in_dialog(&mut self, now: Mono, key: ServerKey, request: &Request) {
        let id = request.to_tag().and_then(|tag| self.by_tag(tag));
        let Some(mut session) = id.and_then(|id| self.sessions.remove(&id)) else {
            if request.method() == "NOTIFY" && self.on_notification(now, key, request) {
                return;
            }
            self.unknown_dialog(now, key, request);
            return;
        };
        match place(&mut session, request) {
            Place::Fits => self.dialog_request(now, &mut session, key, request),
            Place::Unknown => self.unknown_dialog(now, key, request),
            Place::TooEarly => {
                self.respond(now, key, request, Reply::new(500).with(Header::new("Retry-After", "1")));
            }
            Place::OutOfOrder => {
                self.counts.reject(Rejected::OutOfOrder);
                self.respond(now, key, request, Reply::new(500));
            }
        }
        self.put(now, session);
    }

    fn unknown_dialog(&mut self, now: Mono, key: ServerKey, request: &Request) {
        self.reject(now, key, request, Reply::new(481), Rejected::UnknownDialog);
    }

    fn dialog_request(&mut self, now: Mono, session: &mut Session, key: ServerKey, request: &Request) {
        match request.method() {
            "BYE" => self.on_bye(now, session, key, request),
            _ if request.unknown_extensions().next().is_some() => self.bad_extension(now, key, request),
            "INVITE" => self.on_reinvite(now, session, key, request),
            "UPDATE" => self.on_update(now, session, key, request),
            "PRACK" => self.on_prack(now, session, key, request),
            "INFO" => self.on_info(now, session, key, request),
            "MESSAGE" => self.on_text(now, session, key, request),
            "OPTIONS" => self.on_options(now, key, request),
            "REFER" => self.on_refer(now, session, key, request),
            "NOTIFY" => self.on_notify(now, session, key, request),
            _ => self.bad_method(now, key, request),
        }
    }

    /// Refuses a request by rule, counts it and says so.
    pub(crate) fn reject(&mut self, now: Mono, key: ServerKey, request: &Request, reply: Reply, reason: Rejected) {
        self.counts.reject(reason);
        self.respond(now, key, request, reply);
        self.tell(Event::Stranger { source: request.source, method: request.method().to_owned(), reason });
    }
}

/// Finds the dialog of a request in its session, and takes its number.
fn place(session: &mut Session, request: &Request) -> Place {
    if session.call_id != request.call_id() {
        return Place::Unknown;
    }
    let tag = request.remote_tag();
    let is_bye = request.method() == "BYE";
    let dialog = match &mut session.stage {
        Stage::Called(called) => Some(&mut called.dialog),
        Stage::Up(up) => Some(&mut up.dialog),
        Stage::Ending(ending) if is_bye => Some(&mut ending.dialog),
        Stage::Ending(_) | Stage::Over if request.method() == "NOTIFY" => {
            session.remnant.as_mut().map(|remnant| &mut remnant.dialog)
        }
        // To the far side of an ended session a request is answered as if the session were gone already.
        Stage::Ending(_) | Stage::Over => None,
        Stage::Dialing(dialing) => match dialing.early.iter_mut().find(|early| early.dialog.remote_tag == tag) {
            None if is_bye => return Place::Fits,
            None => return Place::TooEarly,
            early => early.map(|early| &mut early.dialog),
        },
    };
    match dialog.filter(|dialog| dialog.remote_tag == tag || baton_time::bug!(23)) {
        Some(dialog) => match dialog.accept_seq(request.seq()) || baton_time::bug!(22) {
            true => Place::Fits,
            false => Place::OutOfOrder,
        },
        // A fork that we have ended ourselves may say BYE too.
        None if is_bye && session.invites.iter().any(|invite| invite.acks.iter().any(|(known, _)| known == tag)) => Place::Fits,
        None => Place::Unknown,
    }
}
