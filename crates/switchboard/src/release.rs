//! Attended release: caller and AE are on one trunk and have found each other; the trunk takes their call over (REFER with Replaces, RFC 5589
//! §7.1), and Baton leaves the path. What a trunk has said to it is remembered.

use std::time::Duration;

use baton_contract::{CallId, ReleaseMemory};
use baton_sip::ReferId;
use baton_sip::wire::{Header, NameAddr, Uri};
use baton_time::{Mono, Now};
use baton_transfer::{AfterAe, Event as Told, SceneName};

use crate::call::Call;
use crate::leg::Leg;
use crate::switchboard::Switchboard;

/// How long after the bridge: the AI has gone by then, and whoever wanted to say something to the phones has said it.
const AFTER_BRIDGE: Duration = Duration::from_secs(2);
/// How long a trunk that has refused is not asked again.
const REFUSED_FOR: Duration = Duration::from_secs(3_600);

/// What a trunk has made of it so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Memory {
    /// Nobody has asked.
    #[default]
    Untried,
    /// It has taken a call over.
    Works,
    /// It has refused, and is left alone until then.
    Refused { until: Mono },
}

impl Memory {
    /// As the API shows it.
    pub(crate) fn view(self, now: Mono) -> ReleaseMemory {
        match self {
            Memory::Refused { until } if until > now => ReleaseMemory::Refused,
            Memory::Untried | Memory::Refused { .. } => ReleaseMemory::Untried,
            Memory::Works => ReleaseMemory::Works,
        }
    }
}

impl Switchboard {
    /// Caller and AE hear each other: in a moment it is looked whether they can be let go.
    pub(crate) fn consider_release(&mut self, now: Now, id: CallId) {
        if self.release_over(id).is_some() {
            self.set_release_alarm(id, now.mono + AFTER_BRIDGE);
        }
    }

    /// The trunk on which both are, if it wants calls to be let go.
    fn release_over(&self, id: CallId) -> Option<usize> {
        let call = self.calls.get(&id)?;
        let (caller, ae) = both(call)?;
        let trunk = caller.trunk.filter(|trunk| ae.trunk == Some(*trunk))?;
        self.settings.trunks.get(trunk).filter(|trunk| trunk.releases).map(|_| trunk)
    }

    /// Asks the trunk to connect caller and AE without us, unless somebody still needs the path.
    pub(crate) fn release(&mut self, now: Now, id: CallId) {
        let Some(trunk) = self.release_over(id) else { return };
        let Some(call) = self.calls.get(&id) else { return };
        let _span = self.span(id, None).entered();
        let memory = self.watches.get(trunk).map(|watch| watch.release).unwrap_or_default();
        if memory.view(now.mono) == ReleaseMemory::Refused || self.needs_path(call) {
            return;
        }
        let Some((refer_to, caller)) = self.release_target(call) else { return };
        let from = format!("<sip:{}@{}>", crate::identity::escaped_user(call.ours()), self.settings.domain);
        let headers = vec![Header::new("Referred-By", from)];
        match self.agent.refer(now.mono, caller, &refer_to, headers) {
            Ok(refer) => {
                tracing::info!("the trunk is asked to take the call over");
                self.releases.insert(refer, (id, trunk));
            }
            Err(fault) => tracing::warn!(%fault, "the call cannot be let go"),
        }
    }

    /// Whether what is promised for this call needs Baton in between: a recording, or a way back to the AI, after the AE or by their keys.
    fn needs_path(&self, call: &Call) -> bool {
        let is_moving = call.transfer.as_ref().is_some_and(|running| running.moving.is_some());
        let settings = &self.settings.transfer;
        call.is_recorded_now() || settings.after_ae == AfterAe::Ai || settings.handback_key_is_chosen || is_moving
    }

    /// Whom the caller's end is to call: the AE as the trunk knows them, in place of the dialog that it has with us for them.
    fn release_target(&self, call: &Call) -> Option<(NameAddr, baton_sip::SessionId)> {
        let (caller, ae) = both(call)?;
        let target: Uri = self.agent.dialog(ae.session)?.remote_target.parse().ok()?;
        let target = target.without_headers().with_header("Replaces", &self.agent.replaces(ae.session)?);
        Some((NameAddr::new(None, target), caller.session))
    }

    /// The trunk has answered, or tells how far it has come. True: it was about such a release.
    pub(crate) fn on_release(&mut self, now: Now, refer: ReferId, status: u16, is_report: bool) -> bool {
        let Some((id, trunk)) = self.releases.get(&refer).copied() else { return false };
        let is_final = status >= 300 || (is_report && status >= 200);
        if !is_final {
            return true;
        }
        self.releases.remove(&refer);
        let memory = match status {
            200..=299 => Memory::Works,
            _ => Memory::Refused { until: now.mono + REFUSED_FOR },
        };
        if let Some(watch) = self.watches.get_mut(trunk) {
            watch.release = memory;
        }
        let _span = self.span(id, None).entered();
        if memory == Memory::Works {
            tracing::info!("the trunk has taken the call over");
            // For whoever looks after the call, a caller who is elsewhere has gone.
            self.tell(now, id, Told::CallerGone);
            self.end_call(now, id);
        } else {
            tracing::warn!(status, "the trunk does not take the call over; it goes on as it is");
        }
        true
    }
}

/// Caller and AE, if both are up and hear each other.
fn both(call: &Call) -> Option<(&Leg, &Leg)> {
    if call.scene != SceneName::Human {
        return None;
    }
    let caller = call.caller().filter(|leg| leg.is_up())?;
    let ae = call.ae().filter(|leg| leg.is_up())?;
    Some((caller, ae))
}
