//! The trunks as we see them: registered with them or not, there or not, and where their names lead.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use baton_contract::{AddressView, AeId, At, PeerState, RegistrationStage, RegistrationView, ReleaseMemory, TrunkView};
use baton_sip::wire::{NameAddr, Uri};
use baton_sip::{Hop, Ping, PingId, Registration, RegistrationId, RegistrationState, Transport};
use baton_time::{Mono, Now};

use crate::switchboard::Switchboard;

/// How long a trunk may take to answer OPTIONS.
const PATIENCE: Duration = Duration::from_secs(4);
/// After so many questions without an answer an address is down.
const MISSED_MAX: u32 = 2;
/// How soon it is asked again while one does not answer.
const AGAIN: Duration = Duration::from_secs(5);

/// With whom we register, and as whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registering {
    /// The registrar's domain.
    pub registrar: Uri,
    /// Whom calls are for.
    pub account: Uri,
    /// The user in our Contact.
    pub user: String,
    /// How long it shall last.
    pub expires: Duration,
}

/// Somebody whose name was looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// A trunk, by its place in the settings.
    Trunk(usize),
    /// An AI, by its place in the settings.
    Ai(usize),
    /// An AE.
    Ae(AeId),
}

/// What is known of a trunk.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    pub(crate) registration: Option<RegistrationId>,
    addresses: BTreeMap<SocketAddr, Sight>,
    pub(crate) release: crate::release::Memory,
}

/// What is known of one address.
#[derive(Debug, Clone, Copy, Default)]
struct Sight {
    missed: u32,
    state: PeerState,
    took: Option<Duration>,
}

impl Switchboard {
    /// The sockets are open: registers, subscribes and looks who is there.
    pub(crate) fn begin_watching(&mut self, now: Now) {
        for place in 0..self.settings.trunks.len() {
            self.register_with(now, place);
            self.look(now, place);
        }
        self.subscribe_to_phones(now);
    }

    fn register_with(&mut self, now: Now, place: usize) {
        let Some(trunk) = self.settings.trunks.get(place) else { return };
        let Some(wanted) = trunk.registration.clone() else { return };
        let registration = Registration {
            registrar: wanted.registrar,
            account: wanted.account,
            user: wanted.user,
            hops: trunk.places(),
            expires: wanted.expires,
            credentials: trunk.answers(),
        };
        let id = self.agent.register(now.mono, registration);
        if let Some(watch) = self.watches.get_mut(place) {
            watch.registration = Some(id);
        }
    }

    /// Takes all registrations back.
    pub(crate) fn unregister_all(&mut self, now: Now) {
        let all: Vec<RegistrationId> = self.watches.iter().filter_map(|watch| watch.registration).collect();
        for id in all {
            self.agent.unregister(now.mono, id);
        }
    }

    /// Asks each address of a trunk whether it is there.
    pub(crate) fn look(&mut self, now: Now, place: usize) {
        let Some(trunk) = self.settings.trunks.get(place) else { return };
        let Some(every) = trunk.options else { return };
        let from: Option<Uri> = format!("sip:baton@{}", self.settings.domain).parse().ok();
        let (hops, credentials) = (trunk.places(), trunk.answers());
        let target =
            trunk.uri.host_port().map(|at| format!("{}:{at}", trunk.uri.scheme_text())).and_then(|text| text.parse::<Uri>().ok());
        let (Some(from), Some(target)) = (from, target) else { return };
        let (mut sent, mut ill) = (Vec::new(), hops.is_empty());
        for hop in hops {
            let known = self.watches.get(place).and_then(|watch| watch.addresses.get(&hop.addr));
            ill |= known.is_some_and(|sight| sight.missed > 0);
            let from = NameAddr::new(None, from.clone());
            let ping = Ping { target: target.clone(), route: hop, from, credentials: credentials.clone(), patience: PATIENCE };
            match self.agent.ping(now.mono, ping) {
                Ok(id) => sent.push(id),
                Err(fault) => tracing::debug!(%fault, "cannot ask whether a trunk is there"),
            }
        }
        self.pings.extend(sent.into_iter().map(|id| (id, place)));
        let next = if ill { every.min(AGAIN) } else { every };
        self.set_look_alarm(place, now.mono + next);
    }

    /// An address of a trunk has answered, or has not.
    pub(crate) fn on_pong(&mut self, now: Now, ping: PingId, hop: &Hop, status: u16, took: Duration, answered: bool) {
        let Some(place) = self.pings.remove(&ping) else { return };
        let Some(watch) = self.watches.get_mut(place) else { return };
        let before = watch.state();
        let sight = watch.addresses.entry(hop.addr).or_default();
        // 503 is an answer, but nobody is there who takes a call.
        if answered && status != 503 {
            *sight = Sight { missed: 0, state: PeerState::Up, took: Some(took) };
        } else {
            sight.missed = sight.missed.saturating_add(1);
            if sight.missed >= MISSED_MAX {
                sight.state = PeerState::Down;
            }
        }
        let (is_ill, after) = (sight.missed > 0, watch.state());
        let (name, every) = self.settings.trunks.get(place).map_or(("", None), |trunk| (trunk.name.as_str(), trunk.options));
        if before != after {
            match after {
                PeerState::Down => tracing::warn!(trunk = name, status, "the trunk does not answer"),
                PeerState::Up | PeerState::Unknown => tracing::info!(trunk = name, "the trunk answers"),
            }
        }
        if let Some(every) = every.filter(|_| is_ill) {
            self.set_look_alarm(place, now.mono + every.min(AGAIN));
        }
    }

    /// A registration with a trunk stands, or has failed.
    pub(crate) fn on_registration(&mut self, id: RegistrationId, state: &RegistrationState) {
        let place = self.watches.iter().position(|watch| watch.registration == Some(id));
        let trunk = place.and_then(|place| self.settings.trunks.get(place)).map_or("", |trunk| trunk.name.as_str());
        match state {
            RegistrationState::Registered { .. } => tracing::info!(trunk, "registered"),
            RegistrationState::Failed { status, .. } => tracing::warn!(trunk, status, "not registered"),
            RegistrationState::Trying | RegistrationState::Ended => {}
        }
    }

    /// A name was looked up again: whoever it stands for is there from now on.
    pub(crate) fn on_resolved(&mut self, now: Now, whom: &Named, hops: Vec<Hop>) {
        if hops.is_empty() {
            return;
        }
        match whom {
            Named::Trunk(place) => {
                let Some(trunk) = self.settings.trunks.get_mut(*place) else { return };
                trunk.address = hops[0].addr;
                trunk.hops.clone_from(&hops);
                let Some(watch) = self.watches.get_mut(*place) else { return };
                watch.addresses.retain(|addr, _| hops.iter().any(|hop| hop.addr == *addr));
                if let Some(registration) = watch.registration {
                    self.agent.move_registration(now.mono, registration, hops);
                }
                self.look(now, *place);
            }
            Named::Ai(place) => {
                if let Some(ai) = self.settings.ais.get_mut(*place) {
                    (ai.address, ai.hops) = (hops[0].addr, hops);
                }
            }
            Named::Ae(id) => {
                if let Some(line) = self.settings.aes.get_mut(id) {
                    (line.address, line.hops) = (hops[0].addr, hops);
                }
            }
        }
    }

    /// The trunks as the API shows them.
    pub(crate) fn trunk_views(&self, now: Now) -> Vec<TrunkView> {
        let all = self.settings.trunks.iter().zip(&self.watches).zip(&self.loads);
        all.map(|((trunk, watch), load)| TrunkView {
            name: trunk.name.clone(),
            state: watch.state(),
            registration: watch
                .registration
                .and_then(|id| self.agent.registration(id))
                .map(|state| registration_view(now, state)),
            addresses: trunk.places().iter().map(|hop| watch.address(hop)).collect(),
            calls: load.used,
            channels: trunk.capacity.channels,
            release: if trunk.releases { watch.release.view(now.mono) } else { ReleaseMemory::Off },
        })
        .collect()
    }

    /// Whether we are registered with a trunk; none where it wants no registration.
    pub(crate) fn is_registered(&self, place: usize) -> Option<bool> {
        let state = self.agent.registration(self.watches.get(place)?.registration?)?;
        Some(matches!(state, RegistrationState::Registered { .. }))
    }
}

impl Watch {
    /// The best of its addresses counts; it is down when all are.
    pub(crate) fn state(&self) -> PeerState {
        let has = |wanted| self.addresses.values().any(|sight| sight.state == wanted);
        match (has(PeerState::Up), has(PeerState::Unknown)) {
            (true, _) => PeerState::Up,
            (false, true) => PeerState::Unknown,
            (false, false) if self.addresses.is_empty() => PeerState::Unknown,
            (false, false) => PeerState::Down,
        }
    }

    fn address(&self, hop: &Hop) -> AddressView {
        let sight = self.addresses.get(&hop.addr).copied().unwrap_or_default();
        let by = match hop.transport {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
            Transport::Tls => "tls",
            Transport::Ws => "ws",
            Transport::Wss => "wss",
        };
        let answered_ms = sight.took.and_then(|took| u64::try_from(took.as_millis()).ok());
        AddressView { address: format!("{by}:{}", hop.addr), state: sight.state, answered_ms }
    }
}

fn registration_view(now: Now, state: &RegistrationState) -> RegistrationView {
    let at = |mono: Mono| Some(At(now.wall + mono.since(now.mono)));
    match state {
        RegistrationState::Trying => RegistrationView { state: RegistrationStage::Trying, at: None, sip_status: None },
        RegistrationState::Registered { until } => {
            RegistrationView { state: RegistrationStage::Registered, at: at(*until), sip_status: None }
        }
        RegistrationState::Failed { status, again_at } => {
            RegistrationView { state: RegistrationStage::Failed, at: at(*again_at), sip_status: Some(*status) }
        }
        RegistrationState::Ended => RegistrationView { state: RegistrationStage::Ended, at: None, sip_status: None },
    }
}
