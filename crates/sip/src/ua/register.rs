//! REGISTER as a client (RFC 3261 §10.2): a trunk or a PBX is told where we are, again and again.

use std::time::Duration;

use baton_time::Mono;

use super::door::Response;
use super::outside::Errand;
use super::tables::{AskAgain, Purpose};
use super::{Event, UserAgent};
use crate::dialog::Dialog;
use crate::digest::{Ask, Challenge, Credentials, challenges};
use crate::transport::{ConnectionId, Hop, Transport};
use crate::wire::{Header, Message, Name, NameAddr, Uri};
use serde::{Deserialize, Serialize};

/// The longest span that a registrar may make us ask for (423).
const EXPIRES_MAX: Duration = Duration::from_secs(86_400);
/// The shortest span that is taken for one: whoever grants less would be asked all the time.
const EXPIRES_MIN: Duration = Duration::from_secs(10);
/// How soon it is registered again when the stream to the registrar has ended: calls come in by it.
const STREAM_LOST: Duration = Duration::from_secs(1);

/// Names one registration of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RegistrationId(pub u64);

/// Where we want to be known, and as whom.
#[derive(Debug, Clone)]
pub struct Registration {
    /// The domain of the registrar: a URI without a user.
    pub registrar: Uri,
    /// Whom calls are for: the address of record.
    pub account: Uri,
    /// The user in our Contact.
    pub user: String,
    /// Where the REGISTER is sent, the first first.
    pub hops: Vec<Hop>,
    /// How long the registration shall last; the registrar may say less.
    pub expires: Duration,
    /// What to answer 401 and 407 with.
    pub credentials: Option<Credentials>,
}

/// How a registration stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RegistrationState {
    /// It has not been answered yet.
    Trying,
    /// It stands, until then.
    Registered {
        /// When it ends unless it is refreshed, which happens before.
        until: Mono,
    },
    /// The registrar has refused or is silent.
    Failed {
        /// The status; 408 where nobody answered, 503 where it could not be sent.
        status: u16,
        /// When it is tried again.
        again_at: Mono,
    },
    /// Taken back by us.
    Ended,
}

/// A registration of ours.
#[derive(Debug)]
pub(crate) struct Registering {
    wanted: Registration,
    half: Dialog,
    state: RegistrationState,
    /// Which of the hops it is sent to.
    place: usize,
    /// How many of the hops have failed in a row.
    tried: usize,
    failures: u32,
    expires: Duration,
    /// The challenge that was answered last, and how often: the next request answers it before it is asked.
    known: Option<(Challenge, u32)>,
    service_route: Vec<String>,
}

impl UserAgent {
    /// Registers us, and keeps it so. [`Event::Registration`] tells each change.
    pub fn register(&mut self, now: Mono, wanted: Registration) -> RegistrationId {
        self.last_errand += 1;
        let id = RegistrationId(self.last_errand);
        let (half, expires) = (Dialog::nowhere(Hop::new(Transport::Udp, ([0, 0, 0, 0], 0).into())), wanted.expires);
        let registering = Registering {
            wanted,
            half,
            state: RegistrationState::Trying,
            place: 0,
            tried: 0,
            failures: 0,
            expires,
            known: None,
            service_route: Vec::new(),
        };
        self.registrations.insert(id, registering);
        self.send_register(now, id);
        id
    }

    /// Takes a registration back. Its state becomes [`RegistrationState::Ended`] at once; the REGISTER is sent on the way out.
    pub fn unregister(&mut self, now: Mono, id: RegistrationId) {
        let Some(registering) = self.registrations.get_mut(&id) else { return };
        if registering.state == RegistrationState::Ended {
            return;
        }
        registering.state = RegistrationState::Ended;
        self.errands.clear(&Errand::Register(id));
        self.send_register(now, id);
    }

    /// How a registration stands.
    pub fn registration(&self, id: RegistrationId) -> Option<&RegistrationState> {
        self.registrations.get(&id).map(|registering| &registering.state)
    }

    /// The elements that calls to this registrar pass first (RFC 3608), nearest first, as values of Route.
    pub fn service_route(&self, id: RegistrationId) -> &[String] {
        self.registrations.get(&id).map(|registering| registering.service_route.as_slice()).unwrap_or_default()
    }

    /// The registrar is elsewhere now: names were looked up again. One that had not been found is tried at once.
    pub fn move_registration(&mut self, now: Mono, id: RegistrationId, hops: Vec<Hop>) {
        let Some(registering) = self.registrations.get_mut(&id) else { return };
        let was_nowhere = registering.wanted.hops.is_empty();
        let stays = hops.iter().position(|hop| *hop == registering.half.hop);
        registering.wanted.hops = hops;
        registering.tried = 0;
        match stays {
            Some(place) => registering.place = place,
            // The next refresh goes to the first of the new ones.
            None => registering.place = usize::MAX,
        }
        if was_nowhere && !registering.wanted.hops.is_empty() && registering.state != RegistrationState::Ended {
            self.send_register(now, id);
        }
    }

    fn register_half(&mut self, now: Mono, wanted: &Registration, hop: Hop) -> Option<Dialog> {
        let account = NameAddr::new(None, wanted.account.clone()).to_string();
        self.half(now, hop, &wanted.registrar, &account, &account).ok()
    }

    fn send_register(&mut self, now: Mono, id: RegistrationId) {
        let Some(mut registering) = self.registrations.remove(&id) else { return };
        if registering.place >= registering.wanted.hops.len() {
            registering.place = 0;
        }
        let Some(hop) = registering.wanted.hops.get(registering.place).cloned() else {
            return self.registering_failed(now, id, registering, 503, None);
        };
        if hop.addr != registering.half.hop.addr || registering.half.local_seq == 0 {
            // The same Call-ID for all registrations of one boot, the CSeq rising (RFC 3261 §10.2.4).
            let Some(half) = self.register_half(now, &registering.wanted, hop) else {
                return self.registering_failed(now, id, registering, 503, None);
            };
            let first = registering.half.local_seq == 0;
            let (call_id, seq) = (registering.half.call_id.clone(), registering.half.local_seq);
            registering.half = half;
            if !first {
                (registering.half.call_id, registering.half.local_seq) = (call_id, seq);
            }
        }
        let mut ask = AskAgain::new(self.register_headers(&registering), None);
        if let (Some((challenge, used)), Some(credentials)) = (&mut registering.known, &registering.wanted.credentials) {
            *used += 1;
            let uri = registering.half.routing().request_uri;
            let cnonce = self.random.token();
            let counted = Ask { method: "REGISTER", uri: &uri, body: b"", nonce_count: *used, cnonce: &cnonce };
            ask.authorization.push(credentials.answer(challenge, &counted));
        }
        self.ask_outside(now, &mut registering.half, Purpose::Register(id), ask);
        self.registrations.insert(id, registering);
    }

    fn register_headers(&self, registering: &Registering) -> Vec<Header> {
        let seconds = match registering.state {
            RegistrationState::Ended => 0,
            RegistrationState::Trying | RegistrationState::Registered { .. } | RegistrationState::Failed { .. } => {
                registering.expires.as_secs()
            }
        };
        let contact = self.contact_of(&registering.half, &registering.wanted.user);
        vec![
            Header::new("Contact", format!("<{contact}>;expires={seconds}")),
            Header::new("Expires", seconds.to_string()),
            // RFC 3327 §5.1, RFC 3608 §5: elements on the way may put themselves between, and may say which way calls go.
            Header::new("Supported", "path"),
        ]
    }

    fn contact_of(&self, half: &Dialog, user: &str) -> String {
        let listen = self.listen_towards(&half.hop);
        let at = listen.map(|listen| listen.advertise.to_string()).unwrap_or_default();
        let plain = format!("sip:{user}@{at}");
        match half.hop.transport {
            Transport::Udp => plain,
            Transport::Tcp => format!("{plain};transport=tcp"),
            Transport::Tls => format!("{plain};transport=tls"),
            Transport::Ws | Transport::Wss => format!("{plain};transport=ws"),
        }
    }

    /// The registrar has answered.
    pub(crate) fn registered(&mut self, now: Mono, id: RegistrationId, again: Option<Box<AskAgain>>, response: &Response) {
        let Some(mut registering) = self.registrations.remove(&id) else { return };
        if response.status < 200 {
            self.registrations.insert(id, registering);
            return;
        }
        self.shunned.remove(registering.half.hop.addr);
        match response.status {
            200..=299 => self.registration_granted(now, id, registering, response),
            401 | 407 => {
                let answered = registering.answered(again.as_deref(), &response.message);
                let credentials = registering.wanted.credentials.clone();
                let uri = registering.half.routing().request_uri;
                let next = match (credentials, again) {
                    (Some(credentials), Some(again)) if !answered => {
                        let again = AskAgain { authorization: Vec::new(), ..*again };
                        self.answer_challenges(&credentials, &uri, again, "REGISTER", &response.message)
                    }
                    (_, _) => None,
                };
                let Some(ask) = next else {
                    registering.known = None;
                    return self.registering_failed(now, id, registering, response.status, Some(&response.message));
                };
                registering.known = challenges(&response.message).into_iter().next().map(|challenge| (challenge, 1));
                self.ask_outside(now, &mut registering.half, Purpose::Register(id), ask);
                self.registrations.insert(id, registering);
            }
            423 => {
                let least = response.message.header(Name::MinExpires).and_then(|text| text.trim().parse().ok());
                let least = least.map(Duration::from_secs).filter(|least| *least > registering.expires && *least <= EXPIRES_MAX);
                let Some(least) = least else {
                    return self.registering_failed(now, id, registering, 423, Some(&response.message));
                };
                registering.expires = least;
                self.registrations.insert(id, registering);
                self.send_register(now, id);
            }
            status => self.registering_failed(now, id, registering, status, Some(&response.message)),
        }
    }

    fn registration_granted(&mut self, now: Mono, id: RegistrationId, mut registering: Registering, response: &Response) {
        registering.half.connection = response.connection();
        (registering.failures, registering.tried) = (0, 0);
        let message = &response.message;
        registering.service_route = message.headers(Name::ServiceRoute).map(str::to_owned).collect();
        if registering.state == RegistrationState::Ended {
            self.registrations.insert(id, registering);
            return;
        }
        let own = self.contact_of(&registering.half, &registering.wanted.user);
        let granted = granted(message, &own).unwrap_or(registering.expires);
        if granted < EXPIRES_MIN {
            return self.registering_failed(now, id, registering, message.status(), None);
        }
        let was_up = matches!(registering.state, RegistrationState::Registered { .. });
        let until = now + granted;
        registering.state = RegistrationState::Registered { until };
        // Between 70 and 80 per cent: what fails once can be tried again before it ends, and a thousand of us do not come back at once.
        let tenth_ms = u64::try_from(granted.as_millis() / 10).unwrap_or(u64::MAX).max(1);
        let after = Duration::from_millis(tenth_ms * 7 + self.random.below(tenth_ms));
        self.errands.set(Errand::Register(id), now + after);
        let state = registering.state.clone();
        self.registrations.insert(id, registering);
        if !was_up {
            self.tell(Event::Registration { registration: id, state });
        }
    }

    fn registering_failed(
        &mut self,
        now: Mono,
        id: RegistrationId,
        mut registering: Registering,
        status: u16,
        message: Option<&Message>,
    ) {
        if registering.state == RegistrationState::Ended {
            self.registrations.insert(id, registering);
            return;
        }
        let hops = registering.wanted.hops.len();
        registering.tried += 1;
        if matches!(status, 408 | 503) && registering.tried < hops {
            // RFC 3263 §4.3: the next server.
            registering.place = (registering.place + 1) % hops;
            self.registrations.insert(id, registering);
            return self.send_register(now, id);
        }
        registering.tried = 0;
        if matches!(status, 408 | 503) {
            registering.place = (registering.place + 1) % hops.max(1);
        }
        registering.failures = registering.failures.saturating_add(1);
        let asked = message.and_then(Message::retry_after).map(|after| Duration::from_secs(after.seconds.into()));
        let pause = self.pause(registering.failures).max(asked.unwrap_or_default());
        // A registration that still stands is refreshed again before it ends, if that is sooner.
        let left = match &registering.state {
            RegistrationState::Registered { until } if asked.is_none() => {
                Some(until.since(now) / 2).filter(|left| *left >= EXPIRES_MIN / 2)
            }
            RegistrationState::Registered { .. }
            | RegistrationState::Trying
            | RegistrationState::Failed { .. }
            | RegistrationState::Ended => None,
        };
        let again_at = now + left.map_or(pause, |left| left.min(pause));
        self.errands.set(Errand::Register(id), again_at);
        let state = RegistrationState::Failed { status, again_at };
        registering.state = state.clone();
        self.registrations.insert(id, registering);
        self.tell(Event::Registration { registration: id, state });
    }

    /// Nobody has answered (408), or it could not be sent (503).
    pub(crate) fn register_unanswered(&mut self, now: Mono, id: RegistrationId, status: u16) {
        let Some(registering) = self.registrations.remove(&id) else { return };
        self.shunned.insert(now, registering.half.hop.addr);
        self.registering_failed(now, id, registering, status, None);
    }

    /// It is time to refresh, or to try again.
    pub(crate) fn register_due(&mut self, now: Mono, id: RegistrationId) {
        self.send_register(now, id);
    }

    /// The stream that a registrar sends calls by has ended.
    pub(crate) fn registration_stream_closed(&mut self, now: Mono, connection: ConnectionId) {
        let lost = |(id, registering): (&RegistrationId, &mut Registering)| {
            let was_this = registering.half.connection == Some(connection);
            registering.half.connection = registering.half.connection.filter(|_| !was_this);
            let is_wanted = registering.state != RegistrationState::Ended;
            (was_this && is_wanted).then_some(*id)
        };
        let lost: Vec<RegistrationId> = self.registrations.iter_mut().filter_map(lost).collect();
        for id in lost {
            self.errands.set(Errand::Register(id), now + STREAM_LOST);
        }
    }
}

impl Registering {
    /// Whether this challenge comes although the password was said, and not because its nonce was too old: saying it again would help nobody.
    fn answered(&self, again: Option<&AskAgain>, message: &Message) -> bool {
        let said = again.is_some_and(|again| !again.authorization.is_empty());
        said && self.known.as_ref().is_none_or(|(_, used)| *used <= 1) && !challenges(message).iter().any(Challenge::is_stale)
    }
}

/// How long the binding of our Contact lasts, as the registrar says; none if it says nothing of it.
fn granted(message: &Message, own: &str) -> Option<Duration> {
    let own: Option<Uri> = own.parse().ok();
    let seconds = |contact: &NameAddr| contact.params.value("expires").and_then(|text| text.parse::<u64>().ok());
    let contacts = message.contacts();
    let ours = contacts.iter().find(|contact| own.as_ref().is_some_and(|own| own.is_same(&contact.uri)));
    // A registrar that has seen us from elsewhere may have written that down instead; a single binding can be no other.
    let ours = ours.or(if contacts.len() == 1 { contacts.first() } else { None });
    let said = ours.and_then(seconds).or_else(|| message.expires().map(u64::from))?;
    Some(Duration::from_secs(said).min(EXPIRES_MAX))
}
