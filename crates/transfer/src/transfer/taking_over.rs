//! A transfer that begins where others have come to: caller and AE are on the line already.

use std::time::Duration;

use baton_contract::{
    AeId, At, AttemptView, CallbackId, CommitLevel, EventKind, IdSource, LegId, Outcome, Record, TransferState,
};
use baton_time::Now;
use serde_json::{Map, Value, json};

use super::attempt::Attempt;
use super::bridge::Human;
use super::case::{Case, Rendering};
use super::{Begin, Transfer, target_name};
use crate::plan::Plan;
use crate::{Action, Callee, Fact, Roster, Settings};

/// How far a callback has come when a transfer takes its call over.
#[derive(Debug, Clone)]
pub struct TakeOver {
    /// Which callback.
    pub callback: CallbackId,
    /// When its try began.
    pub asked: At,
    /// Everybody who was dialled for it, the AE who has the caller last.
    pub attempts: Vec<AttemptView>,
    /// The AE who has the caller, and who is held for this transfer.
    pub ae: AeId,
    /// Their leg.
    pub leg: LegId,
    /// Of their lease.
    pub epoch: u64,
    /// How long the rendered briefing is, and its shortened form; absent where there is none.
    pub briefing: Option<(Duration, Duration)>,
}

impl Transfer {
    /// Takes over a call in which caller and AE hear each other; from here on it is one that was bridged, and its first actions put it
    /// on record. Whoever is tried after the AE, should they be lost, is whom the plan names after them.
    pub fn take_over(
        now: Now,
        begin: Begin,
        from: TakeOver,
        settings: &Settings,
        roster: &Roster,
        ids: &mut IdSource,
    ) -> Transfer {
        let plan = Plan::new(roster, &begin.target, &begin.context);
        let mut case = Case::new(now, begin, plan, settings, ids);
        case.begins_bridged(now, from.asked, settings);
        case.plan_done = case.plan.aes.iter().position(|ae| *ae == from.ae).map_or(0, |place| place + 1);
        case.callback = Some((from.callback, String::new()));
        let language = settings.language_of(roster.find(&from.ae));
        case.spoken_in = Some(language);
        case.briefing = from.briefing.map_or(Rendering::Failed, |(full, short)| Rendering::Ready { full, short });
        let number = u8::try_from(from.attempts.len()).unwrap_or(u8::MAX);
        let ring_max = roster.find(&from.ae).and_then(|ae| ae.ring_max).unwrap_or(settings.ring_max);
        let attempt = Attempt { number, to: Callee::Ae(from.ae), leg: from.leg, epoch: from.epoch, ring_max, must_end: None };
        case.attempts = from.attempts;
        case.act(Action::Report(EventKind::TransferRequested, requested(&case, from.callback)));
        let view = case.view(TransferState::Bridged);
        if let Ok(Value::Object(data)) = serde_json::to_value(&view) {
            case.act(Action::Report(EventKind::TransferEnded, data));
        }
        let records = vec![Record::Transfer(Box::new(view))];
        case.act(Action::Commit { fact: Fact::Outcome, level: CommitLevel::Process, records });
        case.act(Action::Finished(Outcome::Bridged));
        Transfer { case, state: Human { attempt }.into() }
    }
}

fn requested(case: &Case, callback: CallbackId) -> Map<String, Value> {
    let begin = &case.begin;
    let data = [
        ("reason", json!(begin.reason)),
        ("mode", json!(begin.mode)),
        ("to", json!(target_name(&begin.target))),
        ("callback", json!(callback)),
    ];
    data.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
