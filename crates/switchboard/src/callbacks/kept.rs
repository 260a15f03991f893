//! A callback has come about: from here on its call is like any other in which a human has the caller.

use baton_contract::{AeId, CallbackId, LegId, Mode};
use baton_time::Now;
use baton_transfer::{Begin, ColdBy, TakeOver, Target, Transfer};

use crate::call::{Asked, Running};
use crate::switchboard::Switchboard;

impl Switchboard {
    /// Caller and AE hear each other: a transfer under the id of this try looks after them, with hand-back, hold, and help where somebody is
    /// lost.
    pub(crate) fn hand_over(&mut self, now: Now, id: CallbackId, ae: &AeId, leg: LegId, epoch: u64) {
        let spoken = self.runs.spoken.remove(&id);
        let Some(call_id) = self.call_for(id) else { return };
        let Some(row) = self.runs.runs.get(&id).map(|run| run.view().clone()) else { return };
        let Some(attempt) = row.progress.attempts.last() else { return };
        let Some(call) = self.calls.get_mut(&call_id) else { return };
        let begin = Begin {
            id: attempt.transfer,
            call: call_id,
            mode: Mode::Scheduled,
            options: self.settings.transfer.options(),
            cold_by: ColdBy::Bridge,
            target: Target::Ae(row.ae.clone()),
            reason: Some("callback".to_owned()),
            context: call.context.clone(),
            from: row.caller.clone(),
            briefing: None,
            words_per_second: self.settings.words_per_second,
            ai_up: false,
        };
        let from = TakeOver {
            callback: id,
            asked: attempt.started_at,
            attempts: attempt.aes.clone(),
            ae: ae.clone(),
            leg,
            epoch,
            briefing: spoken.as_ref().map(|spoken| (spoken.full.duration(), spoken.short.duration())),
        };
        let transfer = Transfer::take_over(now, begin, from, &self.settings.transfer, &self.roster, &mut self.ids);
        call.transfer = Some(Box::new(Running {
            transfer,
            askers: Vec::new(),
            referrers: Vec::new(),
            moving: None,
            replaces: None,
            pickers: Vec::new(),
            text: None,
            spoken,
            asked: Asked::Promised,
        }));
        self.transfers.insert(attempt.transfer, call_id);
        self.perform(now, call_id);
    }
}
