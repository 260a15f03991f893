//! Calls that are taken up again after the process has died: the far sides are not told, because for them nothing has changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use baton_contract::{CallId, LegId};
use baton_media::{Clip, Command, Playlist, Port, StreamMark};
use baton_sip::AgentSnapshot;
use baton_time::Now;
use baton_transfer::Fact;
use baton_transfer::briefing::Briefing;

use crate::Output;
use crate::beginning::Beginning;
use crate::call::{Call, Speech};
use crate::snapshot::CallRecord;
use crate::switchboard::{Switchboard, Waiting};

/// Names of rooms that may have been given after the last snapshot.
const ROOMS_RESERVED: u64 = 1 << 20;

/// The clip that has the words about one caller: it is spoken anew.
const BRIEFING: &str = "briefing";

/// What an AE was being told when the process died, until the briefing is there again.
#[derive(Debug)]
pub(crate) struct Unsaid {
    leg: LegId,
    speech: Speech,
}

impl Switchboard {
    /// Takes over what the calls of the earlier process had in common; to be done before all calls.
    pub fn restore_common(&mut self, common: &AgentSnapshot) {
        self.agent.restore_common(common);
        self.room_count += ROOMS_RESERVED;
    }

    /// Takes up a call. Its ports must be in stock at the media threads; `marks` say where its streams stood.
    pub fn restore(&mut self, now: Now, record: CallRecord, marks: &[StreamMark]) -> CallId {
        let CallRecord { mut call, sessions, leaving, alarms, held, invited, referrals, waits, run } = record;
        let id = call.id;
        for session in sessions {
            let trunk = call.legs.iter().find(|leg| leg.session == session.id()).and_then(|leg| leg.trunk);
            let credentials = trunk.and_then(|trunk| self.settings.trunks.get(trunk)?.answers());
            self.agent.restore(now.mono, session, credentials);
        }
        for leg in call.legs.iter().filter(|leg| leg.is_live()) {
            self.sessions.insert(leg.session, (id, leg.id));
            if let Some(load) = leg.trunk.and_then(|trunk| self.loads.get_mut(trunk)) {
                load.used += 1;
            }
        }
        self.leaving.extend(leaving);
        self.invited.extend(invited);
        self.referrals.extend(referrals.into_iter().map(|refer| (refer, id)));
        self.rooms.insert(call.room, id);
        self.room_count = self.room_count.max(call.room.0);
        self.transfers.extend(call.past.iter().map(|view| (view.id, id)));
        let running = call.transfer.as_ref().map(|running| running.transfer.id());
        let had_lease = running.is_some_and(|transfer| !self.roster.held_by(transfer).is_empty());
        held.iter().for_each(|held| self.roster.hold_again(held));
        self.transfers.extend(running.map(|transfer| (transfer, id)));
        if let (Beginning::Callback(callback), Some(run)) = (&call.beginning, run) {
            self.runs.take_back(*callback, run);
        }
        let unsaid = self.say_again(&mut call);
        self.calls.insert(id, Box::new(call));
        self.open_media_again(id, marks);
        self.swap_scene(id);
        for (alarm, at) in alarms {
            self.set_alarm_again(alarm, at);
        }
        if let Some(unsaid) = unsaid {
            self.unsaid.insert(id, unsaid);
        }
        self.brief_again(id);
        for (fact, callback) in waits {
            self.learn_commit(now, id, fact, callback, had_lease);
        }
        self.set_transfer_alarm(now, id);
        tracing::info!(call = %id, "call taken up again");
        id
    }

    /// The same streams over the same ports.
    fn open_media_again(&mut self, id: CallId, marks: &[StreamMark]) {
        let Some(call) = self.calls.get(&id) else { return };
        let room = call.room;
        let legs: Vec<_> = call.legs.iter().filter(|leg| leg.is_live()).collect();
        let legs: Vec<_> = legs
            .into_iter()
            .map(|leg| {
                let seed = call.seeds.get(&leg.local.port).copied();
                (leg.role, leg.local.port, leg.trunk, seed, leg.agreed().cloned())
            })
            .collect();
        for (role, port, trunk, seed, agreed) in legs {
            self.open_media_from(id, role, port, trunk, seed);
            if let Some(negotiated) = agreed {
                let port = Port(port);
                self.media(Command::Connect { room, port, negotiated });
                let mark = marks.iter().find(|mark| mark.room == room && mark.port == port).copied();
                self.media(Command::Resume { room, port, mark });
            }
        }
    }

    /// What was being said is said again from its beginning, but for a briefing, which must be spoken first.
    fn say_again(&self, call: &mut Call) -> Option<Unsaid> {
        let prompts: BTreeMap<&str, &Arc<Clip>> = self.settings.prompts.values().map(|clip| (clip.name(), clip)).collect();
        let find = |list: &mut Playlist| {
            for clip in &mut list.clips {
                if let Some(known) = prompts.get(clip.name()) {
                    *clip = Arc::clone(known);
                }
            }
        };
        if let Some(speech) = &mut call.caller_speech {
            find(&mut speech.playlist);
        }
        let (leg, mut speech) = call.ae_speech.take()?;
        find(&mut speech.playlist);
        if speech.playlist.clips.iter().any(|clip| clip.name() == BRIEFING) {
            return Some(Unsaid { leg, speech });
        }
        call.ae_speech = Some((leg, speech));
        None
    }

    /// Has the briefing spoken once more, where it may still be needed.
    fn brief_again(&mut self, id: CallId) {
        let Some(running) = self.calls.get(&id).and_then(|call| call.transfer.as_ref()) else { return };
        let Some(Briefing { full, short, language }) = running.text.clone() else { return };
        if running.transfer.outcome().is_some() {
            return;
        }
        let transfer = running.transfer.id();
        let ticket = self.next_ticket();
        self.renders.insert(ticket, (id, transfer));
        self.emit(Output::Render { ticket, full, short, language });
    }

    /// The briefing is there again: whoever was listening to it hears it from its beginning.
    pub(crate) fn say_unsaid(&mut self, id: CallId) {
        let Some(Unsaid { leg, mut speech }) = self.unsaid.remove(&id) else { return };
        let Some(call) = self.calls.get_mut(&id).filter(|call| call.ae_speech.is_none()) else { return };
        if call.ae_leg() != Some(leg) {
            return;
        }
        if let Some(spoken) = call.transfer.as_ref().and_then(|running| running.spoken.as_ref()) {
            let briefing = speech.playlist.clips.iter_mut().filter(|clip| clip.name() == BRIEFING && clip.samples().is_empty());
            briefing.for_each(|clip| *clip = Arc::clone(&spoken.full));
        }
        speech.playlist.id = call.next_play();
        call.ae_speech = Some((leg, speech));
        self.swap_scene(id);
    }

    /// What became of a commit whose answer the earlier process did not live to see: the store's rows tell.
    fn learn_commit(&mut self, now: Now, id: CallId, fact: Fact, callback: Option<baton_contract::CallbackId>, had_lease: bool) {
        let written = match callback {
            Some(callback) => self.callbacks.contains_key(&callback),
            None => match fact {
                Fact::Attempt(_) | Fact::PassedOn => had_lease,
                Fact::Accepted(_) | Fact::Withdrawn | Fact::Outcome | Fact::Released | Fact::Evidence => true,
                Fact::Requested | Fact::Callback | Fact::Message => false,
            },
        };
        let Some(transfer) = self.running_id(id) else { return };
        tracing::info!(?fact, written, "a commit from before the restart");
        let ticket = self.next_ticket();
        self.commits.insert(ticket, Waiting::Transfer(id, transfer, fact, None));
        self.on_committed(now, ticket, written);
    }
}
