//! SUBSCRIBE as a client (RFC 6665): somebody else's state, told by their NOTIFYs. Used for the `dialog` package (RFC 4235).

use std::time::Duration;

use baton_time::Mono;

use super::door::{Request, Response};
use super::outside::Errand;
use super::tables::{AskAgain, Purpose, Reply};
use super::{Event, UserAgent};
use crate::dialog::Dialog;
use crate::digest::Credentials;
use crate::transaction::ServerKey;
use crate::transport::Hop;
use crate::wire::{Header, Name, NameAddr, Uri};
use serde::{Deserialize, Serialize};

/// The shortest span between two refreshes.
const REFRESH_MIN: Duration = Duration::from_secs(30);

/// Names one subscription of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SubscriptionId(pub u64);

/// Whose state we want to be told.
#[derive(Debug, Clone)]
pub struct Subscribe {
    /// Whose: the Request-URI.
    pub target: Uri,
    /// Where it is sent.
    pub route: Hop,
    /// Who asks; the tag is ours to add.
    pub from: NameAddr,
    /// The event package.
    pub package: &'static str,
    /// The type of the bodies.
    pub accept: &'static str,
    /// How long the subscription shall last; the far side may say less.
    pub expires: Duration,
    /// What to answer 401 and 407 with.
    pub credentials: Option<Credentials>,
}

/// A subscription of ours.
#[derive(Debug)]
pub(crate) struct Subscribing {
    wanted: Subscribe,
    dialog: Dialog,
    failures: u32,
}

impl UserAgent {
    /// Subscribes to somebody's state, and keeps it so. [`Event::Notification`] tells what they say, [`Event::SubscriptionLost`] that nothing
    /// is known any more; it is tried again by itself.
    pub fn subscribe(&mut self, now: Mono, wanted: Subscribe) -> SubscriptionId {
        self.last_errand += 1;
        let id = SubscriptionId(self.last_errand);
        self.begin_subscription(now, id, wanted, 0);
        id
    }

    /// Ends a subscription; nothing more is heard of it.
    pub fn unsubscribe(&mut self, now: Mono, id: SubscriptionId) {
        self.errands.clear(&Errand::Subscribe(id));
        let Some(mut subscribing) = self.subscriptions.remove(&id) else { return };
        if !subscribing.dialog.remote_tag.is_empty() {
            let ask = subscribing.ask(0);
            self.ask_outside(now, &mut subscribing.dialog, Purpose::Subscribe(id), ask);
        }
    }

    fn begin_subscription(&mut self, now: Mono, id: SubscriptionId, wanted: Subscribe, failures: u32) {
        let to = NameAddr::new(None, wanted.target.clone()).to_string();
        let (hop, from) = (wanted.route.clone(), wanted.from.to_string());
        match self.half(now, hop.clone(), &wanted.target, &from, &to) {
            Ok(dialog) => {
                let mut subscribing = Subscribing { wanted, dialog, failures };
                let ask = subscribing.ask(subscribing.wanted.expires.as_secs());
                self.ask_outside(now, &mut subscribing.dialog, Purpose::Subscribe(id), ask);
                self.subscriptions.insert(id, subscribing);
            }
            // Without a room or a socket for it: as if nobody had answered.
            Err(_) => {
                let subscribing = Subscribing { wanted, dialog: Dialog::nowhere(hop), failures };
                self.subscription_failed(now, id, subscribing);
            }
        }
    }

    /// The far side has answered.
    pub(crate) fn subscribed(&mut self, now: Mono, id: SubscriptionId, again: Option<Box<AskAgain>>, response: &Response) {
        let Some(mut subscribing) = self.subscriptions.remove(&id) else { return };
        match response.status {
            100..=199 => {
                self.subscriptions.insert(id, subscribing);
            }
            200..=299 => {
                subscribing.failures = 0;
                if subscribing.dialog.remote_tag.is_empty() {
                    subscribing.dialog = response.dialog(&subscribing.dialog);
                }
                let granted =
                    response.message.expires().map_or(subscribing.wanted.expires, |seconds| Duration::from_secs(seconds.into()));
                let refresh = (granted.min(subscribing.wanted.expires) * 3 / 4).max(REFRESH_MIN);
                self.errands.set(Errand::Subscribe(id), now + refresh);
                self.subscriptions.insert(id, subscribing);
            }
            401 | 407 => {
                let uri = subscribing.dialog.routing().request_uri;
                let next = match (subscribing.wanted.credentials.clone(), again) {
                    (Some(own), Some(again)) => self.answer_challenges(&own, &uri, *again, "SUBSCRIBE", &response.message),
                    (_, _) => None,
                };
                match next {
                    Some(ask) => {
                        self.ask_outside(now, &mut subscribing.dialog, Purpose::Subscribe(id), ask);
                        self.subscriptions.insert(id, subscribing);
                    }
                    None => self.subscription_failed(now, id, subscribing),
                }
            }
            _ => self.subscription_failed(now, id, subscribing),
        }
    }

    /// Nobody has answered, or it could not be sent.
    pub(crate) fn subscribe_unanswered(&mut self, now: Mono, id: SubscriptionId) {
        if let Some(subscribing) = self.subscriptions.remove(&id) {
            self.subscription_failed(now, id, subscribing);
        }
    }

    /// Nothing is known any more; it begins anew after a while.
    fn subscription_failed(&mut self, now: Mono, id: SubscriptionId, mut subscribing: Subscribing) {
        let was_up = subscribing.failures == 0;
        subscribing.failures = subscribing.failures.saturating_add(1);
        let pause = self.pause(subscribing.failures);
        subscribing.dialog.remote_tag.clear();
        self.errands.set(Errand::Subscribe(id), now + pause);
        self.subscriptions.insert(id, subscribing);
        if was_up {
            self.tell(Event::SubscriptionLost { subscription: id });
        }
    }

    /// It is time to refresh, or to begin anew.
    pub(crate) fn subscribe_due(&mut self, now: Mono, id: SubscriptionId) {
        let Some(mut subscribing) = self.subscriptions.remove(&id) else { return };
        if subscribing.dialog.remote_tag.is_empty() {
            return self.begin_subscription(now, id, subscribing.wanted, subscribing.failures);
        }
        let ask = subscribing.ask(subscribing.wanted.expires.as_secs());
        self.ask_outside(now, &mut subscribing.dialog, Purpose::Subscribe(id), ask);
        self.subscriptions.insert(id, subscribing);
    }

    /// A NOTIFY that belongs to no session: true if it belongs to a subscription of ours, and has been answered.
    pub(crate) fn on_notification(&mut self, now: Mono, key: ServerKey, request: &Request) -> bool {
        let ours = |subscribing: &Subscribing| {
            let (dialog, tag) = (&subscribing.dialog, request.to_tag().unwrap_or_default());
            let is_theirs = dialog.remote_tag.is_empty() || dialog.remote_tag == request.remote_tag();
            dialog.local_tag == tag && dialog.call_id == request.call_id() && is_theirs && !tag.is_empty()
        };
        let Some((id, subscribing)) = self.subscriptions.iter_mut().find(|(_, subscribing)| ours(subscribing)) else {
            return false;
        };
        let id = *id;
        if !subscribing.dialog.accept_seq(request.seq()) {
            self.respond(now, key, request, Reply::new(500));
            return true;
        }
        let is_about =
            request.message.event().is_some_and(|event| event.package.eq_ignore_ascii_case(subscribing.wanted.package));
        if !is_about {
            self.respond(now, key, request, Reply::new(489).with(Header::new("Allow-Events", "dialog")));
            return true;
        }
        if subscribing.dialog.remote_tag.is_empty() {
            // RFC 6665 §4.4.1: the NOTIFY may come before the answer to the SUBSCRIBE, and makes the dialog then.
            let contact = request.message.contact().map(|contact| contact.uri().to_string());
            let route: Vec<String> = request.message.headers(Name::RecordRoute).map(str::to_owned).collect();
            let remote = request.message.header(Name::From).unwrap_or_default();
            let mut made = subscribing.dialog.answered(remote, request.remote_tag(), contact, Vec::new());
            made.route_set = route;
            made.remote_seq = Some(request.seq());
            subscribing.dialog = made;
        }
        let last = request.message.subscription_state().is_some_and(|state| state.is_terminated());
        let retry = request.message.subscription_state().and_then(|state| state.params.value("retry-after")?.parse().ok());
        if last {
            subscribing.dialog.remote_tag.clear();
        }
        self.respond(now, key, request, Reply::new(200));
        if last {
            let pause = retry.map_or_else(|| self.pause(1), Duration::from_secs).max(REFRESH_MIN / 6);
            self.errands.set(Errand::Subscribe(id), now + pause);
        }
        self.tell(Event::Notification { subscription: id, body: request.message.body().clone() });
        true
    }
}

impl Subscribing {
    fn ask(&self, seconds: u64) -> AskAgain {
        let headers = vec![
            Header::new("Event", self.wanted.package),
            Header::new("Accept", self.wanted.accept),
            Header::new("Expires", seconds.to_string()),
        ];
        AskAgain::new(headers, None)
    }
}
