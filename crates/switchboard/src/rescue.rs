//! A caller without an AI: none could be had, or it has died in the middle of the call. The plan of the route runs.

use baton_contract::{CallId, CallOutcome, Driver, LegId, LegRole, Mode};
use baton_sip::{Gone, Reason};
use baton_time::Now;
use baton_transfer::{LegEnd, SceneName, Target};

use crate::ask::{Wanted, Wishes};
use crate::beginning::Beginning;
use crate::call::{Call, Phase, Running};
use crate::leg::Sound;
use crate::settings::{AI_LOST_AFTER_MS, AiEnds, AiSilence, Rescue, RescueBy};
use crate::switchboard::Switchboard;

/// The reason of a transfer that was begun because there was no AI.
const AI_FAILED: &str = "ai_failed";

impl Switchboard {
    /// What is done for this call's caller where there is no AI.
    fn rescue_of(&self, call: &Call) -> Rescue {
        match &call.beginning {
            Beginning::Inbound => {
                self.settings.route_for(&call.to, &call.trunk).map(|route| route.rescue.clone()).unwrap_or_default()
            }
            Beginning::Outbound(_) | Beginning::Callback(_) => Rescue::default(),
        }
    }

    /// Whether the plan has anything to offer: somebody who could be rung, or called back by.
    fn can_rescue(&self, rescue: &Rescue) -> bool {
        rescue.by != RescueBy::Nothing && !self.settings.aes.is_empty()
    }

    /// No AI is left to be tried: the plan runs, and where there is none an unanswered caller is refused. The AI's own error goes no further.
    pub(crate) fn no_ai_answers(&mut self, now: Now, id: CallId) {
        let Some(call) = self.calls.get(&id) else { return };
        tracing::warn!("no AI answers");
        let rescue = self.rescue_of(call);
        let Some(caller) = call.caller().filter(|leg| leg.is_live()) else { return self.end_call(now, id) };
        if baton_time::bug!(96) {
            return;
        }
        let (leg, session, is_up) = (caller.id, caller.session, caller.is_up());
        if self.can_rescue(&rescue) && (is_up || self.answer_leg(now, id, leg, Vec::new())) {
            return self.run_plan(now, id, &rescue);
        }
        self.conclude(id, CallOutcome::NoAi, None, "no AI could be had");
        if is_up {
            return self.end_call(now, id);
        }
        self.refuse_for_now(now, session);
        self.leg_ended(id, leg);
        self.settle(now, id);
    }

    /// The AI's leg is gone, and it was not we who ended it.
    pub(crate) fn ai_gone(&mut self, now: Now, id: CallId, leg: LegId, why: &Gone) {
        let Some(call) = self.calls.get(&id) else { return };
        match (&call.phase, &call.transfer) {
            (Phase::Placing, _) => self.end_call(now, id),
            (Phase::Connecting(_), _) => self.dial_next_ai(now, id),
            (Phase::Active, Some(running)) if running.transfer.outcome().is_none() || call.driver != Driver::Ai => {
                self.swap_scene(id);
                self.tell(now, id, baton_transfer::Event::AiGone);
            }
            (Phase::Active, Some(_)) => {
                // The caller is with the AI again; what is left of the transfer is a word to the AE, who hears no more of it.
                self.cut_short(now, id);
                if self.has_died(id, leg, why) { self.ai_died(now, id) } else { self.end_call(now, id) }
            }
            (Phase::Active, None) if self.has_died(id, leg, why) => self.ai_died(now, id),
            (Phase::Active | Phase::Ending, _) => self.end_call(now, id),
        }
    }

    /// Nothing has been heard of the AI for so long: the caller hears music instead, and after a while the AI counts as dead.
    pub(crate) fn ai_is_silent(&mut self, now: Now, id: CallId, leg: LegId, silent_ms: u64) {
        let Some(call) = self.calls.get(&id) else { return };
        let counts = self.ai_setting(call, leg).is_none_or(|ai| ai.silence == AiSilence::Rescue);
        if silent_ms >= AI_LOST_AFTER_MS && counts && matches!(call.phase, Phase::Active) {
            tracing::warn!(silent_ms, "the AI's media is lost");
            let is_over = |running: &Running| running.transfer.outcome().is_some() && call.driver == Driver::Ai;
            let is_parting = call.transfer.as_deref().is_some_and(is_over);
            let is_asked_for = call.transfer.is_some() && !is_parting;
            self.end_leg(now, id, leg, Some(Reason::sip(480, "Media lost")));
            if is_parting {
                self.cut_short(now, id);
            }
            if !is_asked_for {
                return self.ai_died(now, id);
            }
            // Nobody goes back to it: where the transfer comes to nothing, a fresh one is dialled.
            self.swap_scene(id);
            return self.tell(now, id, baton_transfer::Event::AiGone);
        }
        if let Some(leg) = self.calls.get_mut(&id).filter(|_| counts).and_then(|call| call.leg_mut(leg)) {
            leg.sound = Sound::Missing;
            self.swap_scene(id);
        }
        self.tell(now, id, baton_transfer::Event::AiSilent);
    }

    /// An AE who is only being told that nobody needs them any more is let go.
    fn cut_short(&mut self, now: Now, id: CallId) {
        let Some(leg) = self.calls.get(&id).and_then(Call::ae_leg) else { return };
        self.end_leg(now, id, leg, Some(Reason::sip(487, "Cancelled")));
        self.tell(now, id, baton_transfer::Event::LegGone { leg, why: LegEnd::HungUp });
    }

    fn ai_died(&mut self, now: Now, id: CallId) {
        let Some(call) = self.calls.get(&id) else { return };
        let rescue = self.rescue_of(call);
        tracing::warn!("the AI has died");
        if self.can_rescue(&rescue) && call.caller().is_some_and(crate::leg::Leg::is_live) {
            self.run_plan(now, id, &rescue);
        } else {
            self.end_call(now, id);
        }
    }

    /// The caller, who is up, hears music and is told that somebody is looked for; then the plan runs.
    fn run_plan(&mut self, now: Now, id: CallId, rescue: &Rescue) {
        self.clear_ai_alarm(id);
        let target = rescue.to.as_ref().and_then(|to| self.roster.target(to)).unwrap_or(Target::Anyone);
        let mode = match rescue.by {
            RescueBy::Human | RescueBy::Nothing => Mode::Warm,
            RescueBy::Callback => Mode::Scheduled,
            RescueBy::Voicemail => Mode::Voicemail,
        };
        let Some(call) = self.calls.get_mut(&id) else { return };
        call.phase = Phase::Active;
        call.driver = Driver::Paused;
        call.scene = SceneName::Rescue;
        self.swap_scene(id);
        self.conclude(id, CallOutcome::Completed, None, "answered");
        let (reason, wishes) = (Some(AI_FAILED.to_owned()), Wishes::default());
        let wanted = Wanted { target, mode, reason, context: None, briefing: None, wishes };
        self.begin_transfer(now, id, wanted, None, None);
    }

    /// Whether the end of an AI's leg means that the AI has died, and not that the conversation is over.
    fn has_died(&self, id: CallId, leg: LegId, why: &Gone) -> bool {
        let ends = self.calls.get(&id).and_then(|call| self.ai_setting(call, leg)).map_or(AiEnds::Call, |ai| ai.bye);
        match why {
            Gone::Bye { reason } | Gone::Cancelled { reason } => {
                ends == AiEnds::Rescue || reason.as_deref().is_some_and(tells_of_failure)
            }
            Gone::AckNeverCame | Gone::TimedOut | Gone::TransportFailed => true,
        }
    }

    fn ai_setting(&self, call: &Call, leg: LegId) -> Option<&crate::Ai> {
        self.settings.ais.get(call.leg(leg).filter(|leg| leg.role == LegRole::Ai)?.ai?)
    }
}

/// Whether a Reason (RFC 3326) tells of a failure: a SIP status of 4xx, 5xx or 6xx other than 487 and 603, a Q.850 cause other than
/// 16 and 31, the normal ends.
fn tells_of_failure(reason: &str) -> bool {
    reason.split(',').any(|one| {
        let mut parts = one.split(';').map(str::trim);
        let protocol = parts.next().unwrap_or_default();
        let cause = parts.find_map(|part| part.strip_prefix("cause=")).and_then(|cause| cause.trim().parse::<u16>().ok());
        match cause {
            Some(cause) if protocol.eq_ignore_ascii_case("SIP") => cause >= 400 && !matches!(cause, 487 | 603),
            Some(cause) if protocol.eq_ignore_ascii_case("Q.850") => !matches!(cause, 0 | 16 | 31),
            Some(_) | None => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_normal_end_is_no_failure() {
        for (reason, failed) in [
            ("Q.850;cause=16;text=\"Normal call clearing\"", false),
            ("Q.850 ;cause=41", true),
            ("SIP;cause=200;text=\"Call completed elsewhere\"", false),
            ("SIP ;cause=500 ;text=\"Server internal error\"", true),
            ("SIP;cause=487", false),
            ("Q.850;cause=16, SIP;cause=503", true),
            ("preemption;cause=1", false),
            ("SIP;cause=", false),
            ("", false),
        ] {
            assert_eq!(tells_of_failure(reason), failed, "{reason}");
        }
    }
}
