//! Calls that are asked for through the API: checked, put on record, dialled. The AI is dialled once the callee has answered, so that it never
//! greets a phone that rings.

use std::collections::{BTreeMap, VecDeque};

use baton_contract::{At, CallId, CallOutcome, CommitLevel, NewCall, PlacedRow, Problem, Record, Reply};
use baton_sip::Crowd;
use baton_time::Now;

use crate::Output;
use crate::ask::check_size;
use crate::beginning::{Beginning, Outbound, PlacedBy};
use crate::call::Phase;
use crate::capacity::Claim;
use crate::destinations::{Denied, Destination, Over, normalised};
use crate::outbound::{CallerDial, Opening};
use crate::payload::printable;
use crate::switchboard::{Switchboard, Waiting};

/// How many idempotency keys of placed calls are remembered.
const KEYS_MAX: usize = 10_000;

/// Which call an idempotency key has placed; the oldest ones are forgotten.
#[derive(Debug, Default)]
pub(crate) struct Placed {
    by_key: BTreeMap<String, (CallId, NewCall)>,
    order: VecDeque<String>,
}

impl Placed {
    fn remember(&mut self, key: String, call: CallId, request: NewCall) {
        if self.order.len() >= KEYS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_key.remove(&oldest);
        }
        self.order.push_back(key.clone());
        self.by_key.insert(key, (call, request));
    }
}

impl Switchboard {
    /// Places a call for an AI. The answer comes once the call is on record; the INVITE leaves after that.
    pub(crate) fn place_call(
        &mut self,
        now: Now,
        asker: u64,
        request: NewCall,
        key: Option<String>,
    ) -> Option<Result<Reply, Problem>> {
        if let Some((call, before)) = key.as_ref().and_then(|key| self.placed.by_key.get(key)) {
            let call = *call;
            if *before != request {
                return Some(Err(Problem::invalid("Idempotency-Key", "this key has placed another call already")));
            }
            for waiting in self.commits.values_mut() {
                if let Waiting::Placed { call: held, askers, .. } = waiting
                    && *held == call
                {
                    askers.push(asker);
                    return None;
                }
            }
            return Some(self.call_view(call).map(|view| Reply::Call(Box::new(view))));
        }
        let (outbound, to) = match self.check_call(now, &request) {
            Ok(checked) => checked,
            Err(problem) => return Some(Err(problem)),
        };
        let id = self.open_outbound(now, outbound, &to);
        if let Some(call) = self.calls.get_mut(&id) {
            call.context = request.context.clone().unwrap_or_default();
        }
        let placed = key.map(|key| Record::Placed(Box::new(PlacedRow { key, call: id, at: At(now.wall), request })));
        if let Some(Record::Placed(row)) = &placed {
            self.placed.remember(row.key.clone(), id, row.request.clone());
        }
        let view = self.calls.get(&id).map(|call| call.view(None))?;
        let ticket = self.next_ticket();
        self.commits.insert(ticket, Waiting::Placed { call: id, to: Box::new(to), askers: vec![asker] });
        self.emit(Output::Commit {
            ticket: Some(ticket),
            level: CommitLevel::Process,
            records: std::iter::once(Record::Call(Box::new(view))).chain(placed).collect(),
        });
        None
    }

    /// A call without legs, whose callee is about to be dialled.
    pub(crate) fn open_outbound(&mut self, now: Now, outbound: Outbound, to: &Destination) -> CallId {
        let trunk = &self.settings.trunks[to.trunk];
        let username = trunk.credentials.as_ref().map(|own| own.username.clone());
        let own = outbound.shown.clone().or_else(|| trunk.number.clone()).or(username);
        self.open_call(
            now,
            Opening {
                id: None,
                from: own.unwrap_or_else(|| "anonymous".to_owned()),
                to: to.number.clone(),
                trunk: trunk.name.clone(),
                beginning: Beginning::Outbound(outbound),
                phase: Phase::Placing,
            },
        )
    }

    fn check_call(&self, now: Now, request: &NewCall) -> Result<(Outbound, Destination), Problem> {
        if !self.agent.is_accepting() {
            return Err(Problem::unavailable("no new calls are taken"));
        }
        if self.standing.crowd() == Crowd::TooMany {
            return Err(Problem::unavailable("there is too much to do; ask again in a moment"));
        }
        let ai = self.settings.ai_named(&request.ai);
        let ai = ai.ok_or_else(|| Problem::invalid("ai", format!("there is no AI \"{}\"", printable(&request.ai, 64))))?;
        let over = match &request.trunk {
            None => Over::Any,
            Some(name) => {
                let missing = || Problem::invalid("trunk", format!("there is no trunk \"{}\"", printable(name, 64)));
                Over::Trunk(self.settings.trunk_named(name).ok_or_else(missing)?)
            }
        };
        let shown = match &request.from {
            None => None,
            Some(from) => {
                let number = normalised(from).ok_or_else(|| Problem::invalid("from", "a number or a SIP URI is needed"))?;
                Some(number)
            }
        };
        let to = self.settings.destination(&request.to, over).map_err(|denied| {
            self.dial_reject("api", denied);
            forbidden("to", denied)
        })?;
        if let Some(context) = &request.context {
            check_size(context)?;
        }
        let trunk = &self.settings.trunks[to.trunk];
        self.loads[to.trunk].check(now.mono, &trunk.capacity, Claim::Ordinary).map_err(|full| {
            Problem::unavailable(format!("trunk \"{}\" takes no more calls for now ({})", trunk.name, full.name()))
        })?;
        Ok((Outbound { by: PlacedBy::Api, ai, shown }, to))
    }

    /// The store has answered for a call that is to be placed.
    pub(crate) fn placed_call_committed(&mut self, now: Now, id: CallId, to: Destination, askers: Vec<u64>, written: bool) {
        if !written {
            self.conclude(id, CallOutcome::Failed, None, "the store does not take promises right now");
            self.end_call(now, id);
        } else if self.calls.get(&id).is_some_and(|call| matches!(call.phase, Phase::Placing)) {
            self.dial_callee(now, id, to);
        }
        for ticket in askers {
            let result = match written {
                true => self.call_view(id).map(|view| Reply::Call(Box::new(view))),
                false => Err(Problem::unavailable("the store does not take promises right now")),
            };
            self.emit(Output::Answer { ticket, result });
        }
    }

    /// Dials the callee of an outbound call; it ends where that cannot be done at all.
    pub(crate) fn dial_callee(&mut self, now: Now, id: CallId, to: Destination) {
        if let Err(fault) = self.dial_caller(now, id, CallerDial { leg: None, to, ring_max: None, headers: Vec::new() }) {
            tracing::warn!(%fault, "cannot dial the callee");
            self.refuse_placing_ai(now, id, 503);
            self.conclude(id, CallOutcome::Unreachable, None, &fault.to_string());
            self.end_call(now, id);
        }
    }

    /// The line that tells of a number that was not dialled; its form never changes, and it does not name the number.
    pub(crate) fn dial_reject(&self, by: &str, denied: Denied) {
        tracing::warn!("dial-reject by={by} reason={}", denied.name());
    }
}

/// What the API answers to a number that may not be dialled: 422 where it is none, 403 where it is forbidden.
pub(crate) fn forbidden(field: &str, denied: Denied) -> Problem {
    match denied {
        Denied::NotANumber | Denied::NoTrunk => Problem::invalid(field, denied.to_string()),
        Denied::Emergency | Denied::Premium | Denied::NotAllowed => Problem {
            field: Some(field.to_owned()),
            ..Problem::new("forbidden-destination", "This number is not dialled", 403, denied.to_string())
        },
    }
}
