//! The phones of AEs: who has registered, and who talks to somebody, as the phone or its PBX tells (RFC 4235).

use std::collections::BTreeMap;
use std::time::Duration;

use baton_contract::{AeId, EventKind, Phone};
use baton_sip::wire::{NameAddr, Uri};
use baton_sip::{Binding, Subscribe, SubscriptionId};
use baton_time::{Mono, Now};
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};

use crate::switchboard::Switchboard;

/// How long a subscription shall last.
const EXPIRES: Duration = Duration::from_secs(600);
/// How many dialogs of one phone are told apart.
const DIALOGS_MAX: usize = 64;
/// The longest document that is read.
const DOCUMENT_MAX: usize = 65_536;

/// What is known of the phone of an AE.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    /// Whether somebody has registered; none where nobody does.
    is_bound: Option<bool>,
    dialogs: Dialogs,
}

/// The dialogs of a phone, as far as it tells them.
#[derive(Debug, Default)]
pub(crate) struct Dialogs(BTreeMap<String, InUse>);

/// Whether a dialog keeps its phone busy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum InUse {
    Yes,
    No,
}

/// Where the phones of one account can be reached, to be written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhonesRecord {
    /// Whose.
    pub account: String,
    at: Mono,
    left: Vec<(Duration, Binding)>,
}

impl PhonesRecord {
    /// Whether nobody is registered there.
    pub fn is_empty(&self) -> bool {
        self.left.is_empty()
    }
}

impl Switchboard {
    /// The accounts whose registrations have changed since this was asked last.
    pub fn take_rebound(&mut self, now: Mono) -> Vec<PhonesRecord> {
        let rebound = self.agent.take_rebound(now).into_iter();
        rebound.map(|(account, left)| PhonesRecord { account, at: now, left }).collect()
    }

    /// Takes registrations of an earlier process over, to be done before [`Input::Up`](crate::Input::Up); those that have ended meanwhile are
    /// left out, and so are those that came by a stream.
    pub fn restore_phones(&mut self, now: Mono, record: PhonesRecord) {
        let gone = now.since(record.at);
        for (left, binding) in record.left {
            self.agent.restore_binding(now, &record.account, left.saturating_sub(gone), binding);
        }
    }

    /// Subscribes to the dialogs of AEs' phones, where that is wanted, and takes those for gone that have yet to register.
    pub(crate) fn subscribe_to_phones(&mut self, now: Now) {
        let lines: Vec<AeId> = self.settings.aes.keys().cloned().collect();
        for ae in lines {
            let Some(line) = self.settings.aes.get(&ae) else { continue };
            let is_watched = line.watches_dialogs;
            if line.account.is_some() {
                let is_there = line.account.as_ref().is_some_and(|account| !self.agent.bindings(account).is_empty());
                self.watched.entry(ae.clone()).or_default().is_bound = Some(is_there);
                self.show_phone(now, &ae);
            } else if is_watched {
                self.subscribe_to(now, &ae);
            }
        }
    }

    fn subscribe_to(&mut self, now: Now, ae: &AeId) {
        let Some((way, target)) = self.way_to_ae(ae) else { return };
        let from: Option<Uri> = format!("sip:baton@{}", self.settings.domain).parse().ok();
        let Some(from) = from else { return };
        let line = self.settings.aes.get(ae);
        let credentials = line.and_then(|line| line.trunk).and_then(|trunk| self.settings.trunks.get(trunk)?.answers());
        let subscribe = Subscribe {
            target,
            route: way.route,
            from: NameAddr::new(None, from),
            package: "dialog",
            accept: "application/dialog-info+xml",
            expires: EXPIRES,
            credentials,
        };
        let id = self.agent.subscribe(now.mono, subscribe);
        self.subscriptions.insert(id, ae.clone());
    }

    /// Somebody has registered, or a registration has ended.
    pub(crate) fn on_bound(&mut self, now: Now, account: &str, bindings: usize) {
        tracing::info!(account, bindings, "registrations");
        let owners: Vec<AeId> = self
            .settings
            .aes
            .iter()
            .filter(|(_, line)| line.account.as_deref() == Some(account))
            .map(|(ae, _)| ae.clone())
            .collect();
        for ae in owners {
            let watches = self.settings.aes.get(&ae).is_some_and(|line| line.watches_dialogs);
            self.watched.entry(ae.clone()).or_default().is_bound = Some(bindings > 0);
            let old = self.subscriptions.iter().find(|(_, owner)| **owner == ae).map(|(id, _)| *id);
            match (watches, bindings > 0, old) {
                (true, true, None) => self.subscribe_to(now, &ae),
                (_, false, Some(id)) => {
                    self.subscriptions.remove(&id);
                    self.agent.unsubscribe(now.mono, id);
                    self.watched.entry(ae.clone()).or_default().dialogs.0.clear();
                }
                (_, _, _) => {}
            }
            self.show_phone(now, &ae);
        }
    }

    /// A phone tells its dialogs.
    pub(crate) fn on_notification(&mut self, now: Now, subscription: SubscriptionId, body: &[u8]) {
        let Some(ae) = self.subscriptions.get(&subscription).cloned() else { return };
        let Ok(text) = std::str::from_utf8(body) else { return };
        self.watched.entry(ae.clone()).or_default().dialogs.read(text);
        self.show_phone(now, &ae);
    }

    /// Nothing is known of a phone's dialogs any more.
    pub(crate) fn on_subscription_lost(&mut self, now: Now, subscription: SubscriptionId) {
        let Some(ae) = self.subscriptions.get(&subscription).cloned() else { return };
        tracing::warn!(%ae, "the phone does not tell its dialogs");
        self.watched.entry(ae.clone()).or_default().dialogs.0.clear();
        self.show_phone(now, &ae);
    }

    /// Tells the roster, and everyone if something has changed.
    fn show_phone(&mut self, now: Now, ae: &AeId) {
        let Some(watched) = self.watched.get(ae) else { return };
        let phone = watched.phone();
        if !self.roster.set_phone(ae, phone) {
            return;
        }
        let mut data = Map::new();
        data.insert("ae".into(), json!(ae));
        if let Some(view) = self.roster.view(now, ae) {
            data.insert("presence".into(), json!(view.presence));
            data.insert("state".into(), json!(view.state));
        }
        data.insert("phone".into(), json!(phone));
        self.publish(now, EventKind::PresenceChanged, None, None, data);
    }
}

impl Watched {
    fn phone(&self) -> Phone {
        match (self.is_bound, self.dialogs.in_use()) {
            (Some(false), _) => Phone::Gone,
            (_, true) => Phone::InUse,
            (Some(true), false) => Phone::Registered,
            (None, false) => Phone::Unknown,
        }
    }
}

impl Dialogs {
    fn in_use(&self) -> bool {
        self.0.values().any(|state| *state == InUse::Yes)
    }

    /// Takes in a document of the type `application/dialog-info+xml`: a full one replaces what was known, a partial one adds to it.
    fn read(&mut self, document: &str) {
        if document.len() > DOCUMENT_MAX {
            return;
        }
        let mut dialog: Option<String> = None;
        for piece in document.split('<').skip(1) {
            let (tag, text) = piece.split_once('>').unwrap_or((piece, ""));
            let name = tag.split([' ', '\t', '\r', '\n', '/']).next().unwrap_or_default();
            match name.rsplit(':').next().unwrap_or_default() {
                "dialog-info" if attribute(tag, "state") == Some("full") => self.0.clear(),
                "dialog" if self.0.len() < DIALOGS_MAX => dialog = attribute(tag, "id").map(str::to_owned),
                "state" => {
                    if let Some(id) = dialog.clone() {
                        let in_use = match text.trim() {
                            "trying" | "proceeding" | "early" | "confirmed" => InUse::Yes,
                            _ => InUse::No,
                        };
                        self.0.insert(id, in_use);
                    }
                }
                _ => {}
            }
        }
        self.0.retain(|_, state| *state == InUse::Yes);
    }
}

/// The value of an attribute in a tag.
fn attribute<'t>(tag: &'t str, name: &str) -> Option<&'t str> {
    let mut rest = tag;
    while let Some((before, after)) = rest.split_once('=') {
        let quote = after.trim_start().chars().next().filter(|sign| matches!(sign, '"' | '\''))?;
        let (_, value) = after.split_once(quote)?;
        let (value, next) = value.split_once(quote)?;
        if before.rsplit([' ', '\t', '\r', '\n']).next() == Some(name) {
            return Some(value);
        }
        rest = next;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(state: &str, dialogs: &[(&str, &str)]) -> String {
        let one = |(id, state): &(&str, &str)| {
            format!("<dialog id=\"{id}\" direction='recipient'>\n<state event=\"x\"> {state} </state>\n</dialog>")
        };
        let all: String = dialogs.iter().map(one).collect();
        format!(
            "<?xml version=\"1.0\"?>\n<dialog-info xmlns=\"urn:x\" version=\"1\" state=\"{state}\" entity=\"sip:m@x\">{all}</dialog-info>"
        )
    }

    #[test]
    fn a_phone_is_in_use_while_one_of_its_dialogs_is() {
        let mut dialogs = Dialogs::default();
        for (state, told, in_use) in [
            ("full", vec![], false),
            ("partial", vec![("a", "early")], true),
            ("partial", vec![("b", "confirmed"), ("a", "terminated")], true),
            ("partial", vec![("b", "terminated")], false),
            ("partial", vec![("c", "confirmed")], true),
            ("full", vec![("d", "terminated")], false),
        ] {
            dialogs.read(&document(state, &told));
            assert_eq!(dialogs.in_use(), in_use, "{state} {told:?}");
        }
    }

    #[test]
    fn documents_with_prefixes_are_read_and_bent_ones_are_left() {
        let mut dialogs = Dialogs::default();
        dialogs.read(
            "<d:dialog-info state='full'><d:dialog call-id=\"1\" id='x'><d:state>confirmed</d:state></d:dialog></d:dialog-info>",
        );
        assert!(dialogs.in_use());
        let whole = document("full", &[("a", "confirmed")]);
        for at in (0..whole.len()).filter(|at| whole.is_char_boundary(*at)) {
            for piece in ["", "<", ">", "\"", "=", "\u{e4}"] {
                dialogs.read(&format!("{}{piece}", &whole[..at]));
                dialogs.read(&format!("{}{piece}{}", &whole[..at], &whole[at..]));
            }
        }
        for id in 0..1_000 {
            dialogs.read(&document("partial", &[(&id.to_string(), "confirmed")]));
        }
        assert!(dialogs.0.len() <= DIALOGS_MAX);
    }
}
