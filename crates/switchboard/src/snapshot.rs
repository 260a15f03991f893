//! A live call as a value that can be written down, and what there is to be written.
//!
//! Everything that a call is made of goes in as it is: points in time too, because a process that takes the call up again runs on the same
//! clock. Left out is what belongs to the process: who waits for an answer over HTTP, sound, tracks of recordings, credentials.

use std::collections::BTreeSet;

use baton_contract::{CallId, CallbackId, LegView, TransferView};
use baton_sip::{AgentSnapshot, ReferId, SessionId, SessionRecord, SessionSnapshot};
use baton_time::Mono;
use baton_transfer::{CallbackRun, Fact, Held};
use serde::{Deserialize, Serialize};

use crate::beginning::Beginning;
use crate::call::Call;
use crate::invited::Invited;
use crate::switchboard::{Alarm, Leaving, Switchboard, Waiting};

/// A live call, to be written.
#[derive(Debug, Serialize)]
pub struct CallSnapshot<'a> {
    call: &'a Call,
    sessions: Vec<SessionSnapshot<'a>>,
    leaving: Vec<(SessionId, Leaving)>,
    alarms: Vec<(Alarm, Mono)>,
    held: Vec<Held>,
    invited: Vec<(SessionId, &'a Invited)>,
    referrals: Vec<ReferId>,
    waits: Vec<(Fact, Option<CallbackId>)>,
    run: Option<&'a CallbackRun>,
}

/// How far a call has come: what is to be written down at once, and what may be written together with what follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// There is no such call any more.
    Gone,
    /// Whoever calls has not been told anything: they come again by themselves.
    Unheard,
    /// A transfer or a callback is at work, or was: every step counts.
    Busy,
    /// Nobody is handed over. What counts is that somebody comes, or is up.
    Calm {
        /// All of its legs.
        legs: usize,
        /// Those that are up.
        up: usize,
    },
}

/// How soon a step is to be written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Haste {
    /// Before anything else is done: somebody's life on the line hangs on it.
    Now,
    /// Together with what follows: a provisional answer, an acknowledgement, the last words of a call.
    Later,
}

impl Standing {
    /// How soon a call that stands so must be written down, if it stood as `before` when it was written down last; none: it never was.
    pub fn haste(self, before: Option<Standing>) -> Haste {
        match (self, before) {
            (Standing::Gone | Standing::Unheard, _) => Haste::Later,
            (Standing::Calm { legs, up }, Some(Standing::Calm { legs: known, up: were })) if legs <= known && up <= were => {
                Haste::Later
            }
            (Standing::Busy | Standing::Calm { .. }, _) => Haste::Now,
        }
    }
}

/// A live call, as it was read.
#[derive(Debug, Deserialize)]
pub struct CallRecord {
    pub(crate) call: Call,
    pub(crate) sessions: Vec<SessionRecord>,
    pub(crate) leaving: Vec<(SessionId, Leaving)>,
    pub(crate) alarms: Vec<(Alarm, Mono)>,
    pub(crate) held: Vec<Held>,
    pub(crate) invited: Vec<(SessionId, Invited)>,
    pub(crate) referrals: Vec<ReferId>,
    /// What the store was asked for, with the callback that it is about.
    pub(crate) waits: Vec<(Fact, Option<CallbackId>)>,
    pub(crate) run: Option<CallbackRun>,
}

impl CallRecord {
    /// Its id.
    pub fn id(&self) -> CallId {
        self.call.id
    }

    /// The ports of its legs.
    pub fn ports(&self) -> Vec<u16> {
        self.call.legs.iter().filter(|leg| leg.is_live()).map(|leg| leg.local.port).collect()
    }

    /// Who called, for whoever looks for one that cannot be taken up.
    pub fn from(&self) -> &str {
        &self.call.from
    }

    /// Its legs that have not been forgotten, as the API shows them.
    pub fn legs(&self) -> Vec<LegView> {
        self.call.view(None).legs
    }

    /// Its transfers, the one that runs last, as the API shows them.
    pub fn transfers(&self) -> Vec<TransferView> {
        let running = self.call.transfer.as_ref().map(|running| running.view());
        self.call.past.iter().cloned().chain(running).collect()
    }
}

impl Switchboard {
    /// The calls that have changed since this was asked last: those that are gone have no snapshot any more.
    pub fn take_touched(&mut self) -> BTreeSet<CallId> {
        for session in self.agent.take_stepped() {
            let leaving = self.leaving.get(&session).map(|leaving| leaving.call);
            if let Some(call) = self.sessions.get(&session).map(|(call, _)| *call).or(leaving) {
                self.calls.touch(call);
            }
        }
        self.calls.take_touched()
    }

    /// How far a call has come, as far as its life hangs on it.
    pub fn standing(&self, id: CallId) -> Standing {
        let Some(call) = self.calls.get(&id) else { return Standing::Gone };
        match (&call.transfer, &call.beginning) {
            (None, Beginning::Inbound) if call.caller().is_some_and(|caller| !self.agent.has_spoken(caller.session)) => {
                Standing::Unheard
            }
            (None, Beginning::Inbound | Beginning::Outbound(_)) => {
                Standing::Calm { legs: call.legs.len(), up: call.legs.iter().filter(|leg| leg.is_up()).count() }
            }
            (Some(_), _) | (None, Beginning::Callback(_)) => Standing::Busy,
        }
    }

    /// A call as it stands.
    pub fn snapshot(&self, id: CallId) -> Option<CallSnapshot<'_>> {
        let call = self.calls.get(&id)?;
        let leaving: Vec<_> =
            self.leaving.iter().filter(|(_, leaving)| leaving.call == id).map(|(id, one)| (*id, *one)).collect();
        let live = call.legs.iter().filter(|leg| leg.is_live()).map(|leg| leg.session);
        let sessions: BTreeSet<SessionId> = live.chain(leaving.iter().map(|(session, _)| *session)).collect();
        let running = call.transfer.as_ref().map(|running| running.transfer.id());
        let waits = self.commits.values().filter_map(|waiting| match waiting {
            Waiting::Transfer(call, _, fact, callback) if *call == id => {
                Some((*fact, callback.as_ref().map(|callback| callback.id)))
            }
            Waiting::Transfer(..) | Waiting::Placed { .. } | Waiting::Callback { .. } | Waiting::Run { .. } => None,
        });
        let run = match &call.beginning {
            Beginning::Callback(callback) => self.runs.find(*callback),
            Beginning::Inbound | Beginning::Outbound(_) => None,
        };
        Some(CallSnapshot {
            call,
            sessions: sessions.into_iter().filter_map(|session| self.agent.snapshot(session)).collect(),
            leaving,
            alarms: self.alarms_of(id),
            held: running.map(|transfer| self.roster.held_by(transfer)).unwrap_or_default(),
            invited: self.invited.iter().filter(|(_, invited)| invited.call == id).map(|(id, one)| (*id, one)).collect(),
            referrals: self.referrals.iter().filter(|(_, whose)| **whose == id).map(|(refer, _)| *refer).collect(),
            waits: waits.collect(),
            run,
        })
    }

    /// The calls that are up.
    pub fn live_calls(&self) -> Vec<CallId> {
        self.calls.keys().copied().collect()
    }

    /// What the SIP sessions of all calls have in common.
    pub fn common_snapshot(&self) -> AgentSnapshot {
        self.agent.common_snapshot()
    }
}

/// A playlist by the names of its clips: sound is not written down.
pub(crate) mod playlist {
    use std::sync::Arc;

    use baton_media::{Clip, PlayId, Playlist, Then};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Named {
        id: PlayId,
        clips: Vec<String>,
        then: Then,
    }

    pub(crate) fn serialize<S: Serializer>(list: &Playlist, serializer: S) -> Result<S::Ok, S::Error> {
        let clips = list.clips.iter().map(|clip| clip.name().to_owned()).collect();
        Named { id: list.id, clips, then: list.then }.serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Playlist, D::Error> {
        let Named { id, clips, then } = Named::deserialize(deserializer)?;
        let clips = clips.into_iter().map(|name| Arc::new(Clip::new(name, Vec::new()))).collect();
        Ok(Playlist { id, clips, then })
    }
}

#[cfg(test)]
mod tests {
    use super::Haste::{Later, Now};
    use super::Standing::{Busy, Calm, Gone, Unheard};

    #[test]
    fn whoever_comes_or_is_up_is_written_down_at_once_and_last_words_can_wait() {
        let rings = Calm { legs: 2, up: 0 };
        let talks = Calm { legs: 2, up: 2 };
        assert_eq!([rings, talks, Busy].map(|comes| comes.haste(None)), [Now; 3]);
        let steps = [(talks, rings), (Calm { legs: 3, up: 0 }, rings), (Busy, Busy), (Busy, talks), (talks, Busy)];
        assert_eq!(steps.map(|(stands, before)| stands.haste(Some(before))), [Now; 5]);
        let words = [(talks, talks), (Calm { legs: 2, up: 1 }, talks), (Gone, Busy)];
        assert_eq!(words.map(|(stands, before)| stands.haste(Some(before))), [Later; 3]);
        assert_eq!([Gone, Unheard].map(|stands| stands.haste(None)), [Later; 2], "whoever was told nothing comes again");
        assert_eq!((rings.haste(Some(Unheard)), Busy.haste(Some(Unheard))), (Now, Now));
    }
}
