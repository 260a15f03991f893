//! What the gauges show, counted when somebody looks.

use std::collections::BTreeMap;

use baton_contract::{AeState, CallbackState, LegRole, PeerState, Phone};
use baton_time::Now;

use crate::switchboard::Switchboard;
use crate::watch::Watch;

/// How many there are of what, right now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Legs that have not ended, by role.
    pub legs: BTreeMap<LegRole, usize>,
    /// Calls.
    pub calls: usize,
    /// AEs by what they are doing.
    pub aes: BTreeMap<AeState, usize>,
    /// AEs whose phone has registered or is in use.
    pub phones: usize,
    /// What each trunk carries, in the order of the configuration.
    pub trunks: Vec<TrunkGauge>,
    /// Callbacks by how far they have come.
    pub callbacks: BTreeMap<CallbackState, usize>,
    /// Pairs of RTP ports that no leg has.
    pub ports_free: usize,
    /// SIP sessions, those included that only wait for their last transactions to be forgotten.
    pub sessions: usize,
    /// SIP transactions, those included that only swallow repetitions.
    pub transactions: usize,
}

/// What a trunk carries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrunkGauge {
    /// Its name.
    pub name: String,
    /// Channels that are taken.
    pub used: u32,
    /// How many it has; none: as many as are wanted.
    pub channels: Option<u32>,
    /// How many of them are kept for humans.
    pub reserve: u32,
    /// Calls for which there was no channel, since the start.
    pub full_channels: u64,
    /// Calls that came too fast, since the start.
    pub full_rate: u64,
    /// Whether it answers.
    pub state: PeerState,
    /// Whether we are registered with it; none where it wants no registration.
    pub registered: Option<bool>,
}

impl Gauges {
    pub(crate) fn count(board: &Switchboard, now: Now) -> Gauges {
        let mut gauges = Gauges {
            calls: board.calls.len(),
            ports_free: board.ports.free(),
            sessions: board.agent.sessions(),
            transactions: board.agent.transactions(),
            ..Gauges::default()
        };
        for role in [LegRole::Caller, LegRole::Ai, LegRole::Ae] {
            let live = |call: &crate::call::Call| call.legs.iter().filter(|leg| leg.role == role && leg.is_live()).count();
            gauges.legs.insert(role, board.calls.values().map(live).sum());
        }
        for (place, (trunk, load)) in board.settings.trunks.iter().zip(&board.loads).enumerate() {
            gauges.trunks.push(TrunkGauge {
                name: trunk.name.clone(),
                used: load.used,
                channels: trunk.capacity.channels,
                reserve: trunk.capacity.reserve,
                full_channels: load.full_channels,
                full_rate: load.full_rate,
                state: board.watches.get(place).map(Watch::state).unwrap_or_default(),
                registered: board.is_registered(place),
            });
        }
        for view in board.roster.views(now) {
            gauges.phones += usize::from(matches!(view.phone, Phone::Registered | Phone::InUse));
            *gauges.aes.entry(view.state).or_default() += 1;
        }
        for callback in board.callbacks.values() {
            *gauges.callbacks.entry(callback.state).or_default() += 1;
        }
        gauges
    }
}
