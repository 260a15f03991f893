//! What somebody asks for through the API of a random world.

use std::time::Duration;

use baton_contract::{At, Author, CallId, Command, NewCall, NewCallback, NewText, Reply, TransferRequest, UpdateCallback};

use super::{Post, Run};
use crate::Store;
use crate::chance::plan::{Api, CALLER, Target};
use crate::chance::tally::Fault;
use crate::chance::watch::{Check, Writer};

impl Run<'_> {
    pub(super) fn api(&mut self, api: Api) {
        let call = self.watch.call_of(CALLER);
        if self.watch.is_called_back(call)
            && !matches!(api, Api::Promise { .. } | Api::Move { .. } | Api::Uncallback | Api::HangUp)
        {
            return; // Whoever is called back is a run's, and no transfer's.
        }
        let Some(command) = self.command(api, call) else { return };
        let called_off = if let Command::CancelTransfer(id) = &command { Some(*id) } else { None };
        let is_asked = matches!(api, Api::Transfer { .. });
        let ticket = self.ask(command);
        if is_asked && self.store == Store::Refuses && !self.is_store_silent() {
            self.post(Duration::from_millis(2), Post::Check(Check::Refusal(ticket)));
        }
        let is_done = self.answers.iter().any(|(known, result)| *known == ticket && result.is_ok());
        if let Some(id) = called_off.filter(|_| is_done) {
            self.watch_cancelled(id);
        }
    }

    /// What is asked for; none where there is nothing that it could be asked of.
    fn command(&mut self, api: Api, call: Option<CallId>) -> Option<Command> {
        let transfer = self.watch.last_transfer();
        Some(match api {
            Api::Transfer { caller, to, mode } => {
                let call = self.watch.call_of(caller)?;
                let to = to.map(|to| if to == Target::Outside { to.uri() } else { to.name() });
                let request = TransferRequest { to, mode: Some(mode), ..TransferRequest::default() };
                let to = request.to.clone();
                self.act(|| format!("api transfer mode={mode} {}", to.map(|to| format!("to={to}")).unwrap_or_default()));
                Command::RequestTransfer { call, request: Box::new(request), idempotency_key: None }
            }
            Api::Cancel | Api::Accept | Api::Decline { .. } => {
                let transfer = transfer?;
                self.watch_order(api, transfer);
                match api {
                    Api::Accept => Command::Accept(transfer),
                    Api::Decline { later } => Command::Decline { transfer, reason: None, retry_after: later.then_some(5) },
                    Api::Cancel | Api::Transfer { .. } | Api::HangUp | Api::Presence(..) | Api::Pick | Api::Promise { .. } => {
                        Command::CancelTransfer(transfer)
                    }
                    Api::Move { .. }
                    | Api::Uncallback
                    | Api::HandBack
                    | Api::Drive(_)
                    | Api::Proceed
                    | Api::Text(_)
                    | Api::Place => return None,
                }
            }
            Api::HangUp => {
                let call = call?;
                self.watch.api_hangs_up(call);
                self.act(|| "api hangup".to_owned());
                Command::HangUp(call)
            }
            Api::Presence(ae, presence) => {
                self.tally.reach(Fault::Presence);
                self.watch.presence_changed = true;
                Command::SetPresence { ae: format!("ae{ae}").as_str().into(), presence }
            }
            Api::HandBack => {
                let call = call?;
                self.act(|| "api handback".to_owned());
                Command::HandBack { call, note: Some("once more".to_owned()) }
            }
            Api::Drive(driver) => {
                let call = call?;
                self.act(|| {
                    format!("api driver is={}", serde_json::to_value(driver).unwrap_or_default().as_str().unwrap_or_default())
                });
                Command::SetDriver { call, driver }
            }
            Api::Proceed => {
                let transfer = transfer?;
                self.act(|| "api proceed".to_owned());
                Command::Proceed(transfer)
            }
            Api::Text(author) => self.text(author, call?),
            Api::Place => {
                self.act(|| "api call to=+15550123".to_owned());
                let request = NewCall {
                    to: "+15550123".to_owned(),
                    from: None,
                    trunk: Some("carrier".to_owned()),
                    ai: "agent".to_owned(),
                    context: None,
                };
                Command::PlaceCall { request: Box::new(request), idempotency_key: None }
            }
            Api::Pick | Api::Promise { .. } | Api::Move { .. } | Api::Uncallback => return self.of_callbacks(api, call),
        })
    }

    /// Somebody writes to the caller of this call.
    fn text(&mut self, author: Author, call: CallId) -> Command {
        let text = self.next_text();
        self.tally.reach(Fault::Text);
        let name = if author == Author::Ai { "ai" } else { "human" };
        self.act(|| format!("api message author={name} text={text}"));
        self.watch_writing(Writer::Api(author), Some(call));
        Command::SendText { call, text: NewText { author, text } }
    }

    fn of_callbacks(&mut self, api: Api, call: Option<CallId>) -> Option<Command> {
        Some(match api {
            Api::Pick => {
                let ticket = self.ask(Command::Slots { ae: "ae0".into(), timezone: None });
                let slots = self.answers.iter().find(|(known, _)| *known == ticket);
                let Some((_, Ok(Reply::Slots(slots)))) = slots else { return None };
                let slot = slots.first()?;
                let new = NewCallback {
                    call,
                    ae: slot.ae.clone(),
                    caller: "+15550123".to_owned(),
                    at: slot.at,
                    timezone: None,
                    context: None,
                };
                self.act(|| "api pick".to_owned());
                Command::NewCallback(Box::new(new))
            }
            Api::Promise { ae, in_s } => {
                self.act(|| format!("api promise ae=ae{ae} in={in_s}s"));
                Command::NewCallback(Box::new(NewCallback {
                    call: None,
                    ae: format!("ae{ae}").as_str().into(),
                    caller: "+15550123".to_owned(),
                    at: self.in_seconds(in_s),
                    timezone: None,
                    context: None,
                }))
            }
            Api::Move { in_s } => {
                let id = self.disk.last_callback()?;
                self.act(|| format!("api move in={in_s}s"));
                let update = UpdateCallback { at: Some(self.in_seconds(in_s)), ..UpdateCallback::default() };
                Command::UpdateCallback { id, update }
            }
            Api::Uncallback => {
                let id = self.disk.last_callback()?;
                self.act(|| "api uncallback".to_owned());
                Command::CancelCallback(id)
            }
            Api::Transfer { .. }
            | Api::Cancel
            | Api::Accept
            | Api::Decline { .. }
            | Api::HangUp
            | Api::Presence(..)
            | Api::HandBack
            | Api::Drive(_)
            | Api::Proceed
            | Api::Text(_)
            | Api::Place => return None,
        })
    }

    fn in_seconds(&self, seconds: u64) -> At {
        At(self.now.wall + Duration::from_secs(seconds))
    }
}
