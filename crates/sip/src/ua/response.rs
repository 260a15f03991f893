//! Responses, and requests that nobody answers.

use baton_time::Mono;

use super::door::Response;
use super::print::{self, Outgoing};
use super::session::{Cancel, Session, Stage};
use super::tables::{AskAgain, Asked, Purpose};
use super::{Gone, Rejected, SessionId, UserAgent};
use crate::dialog::Dialog;
use crate::transaction::{Answer, ClientKey, ClientMachine};
use crate::transport::{ConnectionId, Transmit, Transport};
use crate::wire::Message;

/// How many streams are remembered as ended, the latest: an INVITE that came by one of them may still wait for its answer.
const ENDED_STREAMS_MAX: usize = 1_024;

impl UserAgent {
    /// A response has come: its transaction decides whether it is new (RFC 3261 §17.1.3).
    pub(crate) fn on_response(&mut self, now: Mono, response: Response) {
        let key = response.key;
        let Some((machine, asked)) = self.transactions.client(key) else {
            self.counts.reject(Rejected::StrayResponse);
            return;
        };
        if response.message.method() != asked.method {
            self.counts.reject(Rejected::StrayResponse);
            return;
        }
        let (is_new, ack) = match machine {
            ClientMachine::Other(machine) => (machine.on_response(now, response.status), None),
            ClientMachine::Invite(machine) => {
                let answer = machine.on_response(now, response.status, |invite| print::ack(invite, &response));
                match answer {
                    Answer::Deliver => (true, None),
                    Answer::DeliverAndAcknowledge => (true, machine.ack().cloned()),
                    Answer::AcknowledgeAgain(ack) => (false, Some(ack)),
                    Answer::Ignore => (false, None),
                }
            }
        };
        let (id, purpose) = (asked.session, asked.purpose);
        let again = if is_new && response.status >= 300 { asked.again.take() } else { None };
        self.transactions.rearm_client(key);
        if let Some(ack) = ack {
            self.send("ACK", 0, ack);
        }
        if is_new {
            self.deliver(now, id, purpose, again, response);
        }
    }

    fn deliver(&mut self, now: Mono, id: SessionId, purpose: Purpose, mut again: Option<Box<AskAgain>>, response: Response) {
        if self.answered_outside(now, purpose, &mut again, &response) {
            return;
        }
        let Some(mut session) = self.sessions.remove(&id) else { return };
        let key = response.key;
        match purpose {
            Purpose::Invite => self.invite_answered(now, &mut session, key, again, response),
            Purpose::Reinvite => self.reinvite_answered(now, &mut session, key, again, &response),
            Purpose::Cancel | Purpose::StrayBye | Purpose::Register(_) | Purpose::Ping(_) | Purpose::Subscribe(_) => {}
            Purpose::Update => self.update_answered(now, &mut session, key, again, &response),
            Purpose::Bye | Purpose::Info | Purpose::Text | Purpose::Refer(_) | Purpose::Notify(_) | Purpose::Prack
                if response.status < 200 => {}
            Purpose::Bye if response.status == 500 && self.bye_overtaken(now, &mut session, response.message.cseq().number) => {}
            Purpose::Bye | Purpose::Info | Purpose::Text | Purpose::Refer(_) | Purpose::Notify(_) | Purpose::Prack => {
                match self.once_more(&session, again, purpose.method(), &response) {
                    Some(ask) => self.ask_once_more(now, &mut session, purpose, ask),
                    None => self.settled(now, &mut session, purpose, response.status, Some(&response.message)),
                }
            }
        }
        self.put(now, session);
    }

    /// A request within a dialog was answered finally.
    fn settled(&mut self, now: Mono, session: &mut Session, purpose: Purpose, status: u16, response: Option<&Message>) {
        match purpose {
            Purpose::Bye => self.bye_settled(session, Some(status)),
            Purpose::Info => self.info_settled(now, session, status),
            Purpose::Text => self.text_settled(now, session, status),
            Purpose::Refer(refer) => self.refer_settled(now, session, refer, status, response),
            Purpose::Notify(refer) => Self::notify_settled(session, refer, status),
            Purpose::Invite | Purpose::Reinvite | Purpose::Update | Purpose::Prack | Purpose::Cancel | Purpose::StrayBye => {}
            Purpose::Register(_) | Purpose::Ping(_) | Purpose::Subscribe(_) => {}
        }
    }

    fn ask_once_more(&mut self, now: Mono, session: &mut Session, purpose: Purpose, ask: AskAgain) {
        match std::mem::replace(&mut session.stage, Stage::Over) {
            Stage::Up(mut up) => {
                self.ask(now, session, &mut up.dialog, purpose, ask);
                if let Purpose::Refer(refer) = purpose {
                    // The NOTIFYs will carry the number of the REFER that was accepted.
                    let seq = up.dialog.local_seq;
                    up.referring.iter_mut().filter(|known| known.id == refer).for_each(|known| known.seq = seq);
                }
                session.stage = Stage::Up(up);
            }
            Stage::Ending(mut ending) if purpose == Purpose::Bye => {
                ending.bye = Some(self.ask(now, session, &mut ending.dialog, purpose, ask));
                session.stage = Stage::Ending(ending);
            }
            other @ (Stage::Dialing(_) | Stage::Called(_) | Stage::Ending(_) | Stage::Over) => session.stage = other,
        }
    }

    /// Sends a request other than INVITE within a dialog.
    pub(crate) fn ask(
        &mut self,
        now: Mono,
        session: &Session,
        dialog: &mut Dialog,
        purpose: Purpose,
        ask: AskAgain,
    ) -> ClientKey {
        let method = purpose.method();
        let seq = dialog.next_seq();
        let request = self.request(dialog, method, seq, &ask.all_headers(), ask.body.as_ref());
        let key = request.key;
        let again = session.credentials.is_some().then(|| Box::new(ask));
        self.begin(now, request, session.id, purpose, again);
        key
    }

    /// Sends a request for the first time, with a transaction that waits for its answer.
    pub(crate) fn begin(
        &mut self,
        now: Mono,
        request: Outgoing,
        session: SessionId,
        purpose: Purpose,
        again: Option<Box<AskAgain>>,
    ) {
        let method = purpose.method();
        let Outgoing { key, transmit, plain } = request;
        let machine = ClientMachine::new(now, method, transmit.clone(), self.settings.timing);
        self.transactions.add_client(key, machine, Asked { session, purpose, method, again, plain: plain.map(Box::new) });
        self.send(method, 0, transmit);
    }

    /// Nobody has answered a request of ours (status 408), or it could not be sent (503).
    pub(crate) fn unanswered(&mut self, now: Mono, key: ClientKey, asked: &Asked, status: u16) {
        if self.unanswered_outside(now, asked.purpose, status) {
            return;
        }
        let Some(mut session) = self.sessions.remove(&asked.session) else { return };
        match asked.purpose {
            Purpose::Invite => self.invite_unanswered(now, &mut session, key, status),
            Purpose::Reinvite | Purpose::Update => self.reinvite_unanswered(now, &mut session, key, status),
            Purpose::Bye => self.bye_settled(&mut session, None),
            Purpose::Info | Purpose::Text if status == 503 => self.lose(now, &mut session, Gone::TransportFailed),
            Purpose::Register(_) | Purpose::Ping(_) | Purpose::Subscribe(_) => {}
            Purpose::Cancel
            | Purpose::StrayBye
            | Purpose::Info
            | Purpose::Text
            | Purpose::Refer(_)
            | Purpose::Notify(_)
            | Purpose::Prack => {
                self.settled(now, &mut session, asked.purpose, status, None);
            }
        }
        self.put(now, session);
    }

    /// Told by the owner of the sockets: nothing can be sent to this address. Requests that wait for an answer from there are given up
    /// (RFC 3261 §17.1.4: as if 503 had come), but those that only their length has sent by TCP go by UDP (RFC 3261 §18.1.1).
    ///
    /// A datagram that does not leave is as good as one that is lost, and the way may be free again for the next. So what ends a call, CANCEL and
    /// BYE, is repeated as ever, an INVITE that was answered provisionally is let alone, and one that was given up is still listened for: whoever
    /// got it and answers is told that it is over (RFC 3261 §9.1, §13.2.2.4).
    pub fn send_failed(&mut self, now: Mono, transport: Transport, remote: std::net::SocketAddr) {
        let keys = self.transactions.unanswered(|transmit| transmit.transport == transport && transmit.remote == remote);
        for key in keys {
            if let Some(plain) = self.transactions.client(key).and_then(|(_, asked)| asked.plain.take()) {
                self.fall_back(now, key, *plain);
            } else if transport.is_reliable() {
                self.give_up(now, key);
            } else {
                self.datagram_failed(now, key);
            }
        }
    }

    fn give_up(&mut self, now: Mono, key: ClientKey) {
        if let Some(asked) = self.transactions.drop_client(key) {
            self.unanswered(now, key, &asked, 503);
            self.forget_client(key, &asked);
        }
    }

    fn datagram_failed(&mut self, now: Mono, key: ClientKey) {
        let Some((machine, asked)) = self.transactions.client(key) else { return };
        let is_heard = matches!(machine, ClientMachine::Invite(machine) if machine.is_proceeding());
        if is_heard || matches!(asked.purpose, Purpose::Cancel | Purpose::Bye | Purpose::StrayBye) {
            return;
        }
        let asked = asked.clone();
        if !self.transactions.silence(key) {
            self.transactions.drop_client(key);
        }
        self.not_sent(now, key, &asked);
        let Some(session) = self.sessions.get_mut(&asked.session) else { return };
        let runs = matches!(&session.stage, Stage::Dialing(dialing) if dialing.runs(key));
        let invite = session.invites.iter_mut().find(|invite| invite.key == key);
        if let Some(invite) = invite.filter(|invite| !runs && asked.purpose == Purpose::Invite && invite.ending == Cancel::No) {
            invite.ending = Cancel::Held(None);
        }
    }

    /// A datagram of ours did not leave. What has changed by it, or was to be told, does not come about; the session goes on.
    fn not_sent(&mut self, now: Mono, key: ClientKey, asked: &Asked) {
        if self.unanswered_outside(now, asked.purpose, 503) {
            return;
        }
        let Some(mut session) = self.sessions.remove(&asked.session) else { return };
        match asked.purpose {
            Purpose::Invite => self.invite_unanswered(now, &mut session, key, 503),
            Purpose::Reinvite | Purpose::Update => self.change_not_sent(now, &mut session, key),
            Purpose::Info | Purpose::Text | Purpose::Refer(_) | Purpose::Notify(_) | Purpose::Prack => {
                self.settled(now, &mut session, asked.purpose, 503, None);
            }
            Purpose::Bye | Purpose::Cancel | Purpose::StrayBye => {}
            Purpose::Register(_) | Purpose::Ping(_) | Purpose::Subscribe(_) => {}
        }
        self.put(now, session);
    }

    /// A long request again as a datagram, to a peer that takes no streams; it is remembered as such for a while.
    fn fall_back(&mut self, now: Mono, key: ClientKey, plain: Transmit) {
        self.datagrams_only.insert(now, plain.remote);
        let Some((machine, asked)) = self.transactions.client(key) else { return };
        let method = asked.method;
        *machine = ClientMachine::new(now, method, plain.clone(), self.settings.timing);
        self.transactions.rearm_client(key);
        self.send(method, 0, plain);
    }

    /// Told by the owner of the sockets: this stream is closed. Sessions that used it go on by whatever stream comes next, and so do requests
    /// that nobody has said anything to yet: a stream repeats nothing by itself, and whether they have arrived is not known. `remote` is its far
    /// end, if that had said anything: requests that named no stream went by it, too.
    pub fn connection_closed(&mut self, now: Mono, connection: ConnectionId, remote: Option<std::net::SocketAddr>) {
        for again in self.transactions.reroute(connection, remote) {
            self.counts.repeated += 1;
            self.transmits.push_back(again);
        }
        self.ended_streams.insert(connection);
        while self.ended_streams.len() > ENDED_STREAMS_MAX {
            self.ended_streams.pop_first();
        }
        self.registration_stream_closed(now, connection);
        self.binding_stream_closed(now, connection);
        for session in self.sessions.values_mut() {
            for dialog in session.dialogs_mut() {
                if dialog.connection == Some(connection) {
                    dialog.connection = None;
                }
            }
        }
    }
}

impl Purpose {
    pub(crate) fn method(self) -> &'static str {
        match self {
            Purpose::Invite | Purpose::Reinvite => "INVITE",
            Purpose::Cancel => "CANCEL",
            Purpose::Bye | Purpose::StrayBye => "BYE",
            Purpose::Info => "INFO",
            Purpose::Text => "MESSAGE",
            Purpose::Update => "UPDATE",
            Purpose::Prack => "PRACK",
            Purpose::Refer(_) => "REFER",
            Purpose::Notify(_) => "NOTIFY",
            Purpose::Register(_) => "REGISTER",
            Purpose::Ping(_) => "OPTIONS",
            Purpose::Subscribe(_) => "SUBSCRIBE",
        }
    }
}
