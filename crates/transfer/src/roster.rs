//! The AEs: who there is, who is free, and who is held for which transfer.

use std::collections::BTreeMap;
use std::time::Duration;

use baton_contract::{AeId, AeState, AeView, At, LeaseRow, Presence, TransferId};
use baton_time::{Now, Wall};

use crate::{AeSettings, GroupSettings};

/// Every AE and group, with presence and leases.
#[derive(Debug, Clone)]
pub struct Roster {
    /// In the order of the configuration.
    order: Vec<AeId>,
    aes: BTreeMap<AeId, Ae>,
    groups: Vec<GroupSettings>,
}

#[derive(Debug, Clone)]
struct Ae {
    settings: AeSettings,
    presence: Presence,
    /// Of the last lease; the next one is higher.
    epoch: u64,
    hold: Hold,
}

/// What an AE is held by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hold {
    Free,
    Offered { transfer: TransferId, until: Wall },
    OnCall { transfer: TransferId },
    WrapUp { until: Wall },
}

/// Whom a transfer is to reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// This AE, then their backup.
    Ae(AeId),
    /// The members of this group, in its order.
    Group(String),
    /// The account's own AE and their backup, or else whoever is configured first.
    Anyone,
}

/// The right to ring an AE, for one transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// Rises with every lease of this AE.
    pub epoch: u64,
    /// When it lapses by itself.
    pub until: Wall,
}

impl Roster {
    /// A roster of these AEs and groups; of two with one id the first counts. [`crate::plan::check`] tells what is wrong with them.
    pub fn new(aes: Vec<AeSettings>, groups: Vec<GroupSettings>) -> Roster {
        let mut roster = Roster { order: Vec::new(), aes: BTreeMap::new(), groups };
        for settings in aes {
            let id = settings.id.clone();
            if !roster.aes.contains_key(&id) {
                roster.order.push(id.clone());
                roster.aes.insert(id, Ae { settings, presence: Presence::Available, epoch: 0, hold: Hold::Free });
            }
        }
        roster
    }

    /// The settings of an AE.
    pub fn find(&self, id: &AeId) -> Option<&AeSettings> {
        self.aes.get(id).map(|ae| &ae.settings)
    }

    /// Ids in the order of the configuration.
    pub fn ids(&self) -> &[AeId] {
        &self.order
    }

    /// The groups, in the order of the configuration.
    pub fn groups(&self) -> &[GroupSettings] {
        &self.groups
    }

    /// Whom `to` means: the id of an AE, a group's name, one of their numbers, or a `sip:` or `tel:` URI with one of these in it.
    pub fn target(&self, to: &str) -> Option<Target> {
        let by_uri = self.order.iter().find(|id| self.find(id).is_some_and(|ae| ae.uri == to));
        if let Some(id) = by_uri {
            return Some(Target::Ae(id.clone()));
        }
        let name = user_of(to);
        if let Some((id, _)) = self.aes.iter().find(|(id, ae)| id.0 == name || has_number(&ae.settings.numbers, name)) {
            return Some(Target::Ae(id.clone()));
        }
        let group = self.groups.iter().find(|group| group.name == name || has_number(&group.numbers, name))?;
        Some(Target::Group(group.name.clone()))
    }

    /// An AE as the API shows them.
    pub fn view(&self, now: Now, id: &AeId) -> Option<AeView> {
        let ae = self.aes.get(id)?;
        Some(AeView {
            id: id.clone(),
            name: ae.settings.name.clone(),
            presence: ae.presence,
            state: ae.state(now.wall),
            backup: ae.settings.backup.clone(),
            timezone: ae.settings.timezone.name().to_owned(),
            hours: ae.settings.hours.to_string(),
            skills: ae.settings.skills.clone(),
        })
    }

    /// All AEs as the API shows them, in the order of the configuration.
    pub fn views(&self, now: Now) -> Vec<AeView> {
        self.order.iter().filter_map(|id| self.view(now, id)).collect()
    }

    /// Sets what an AE says of themselves; false where there is no such AE. A transfer that rings them goes on.
    pub fn set_presence(&mut self, id: &AeId, presence: Presence) -> bool {
        self.aes.get_mut(id).map(|ae| ae.presence = presence).is_some()
    }

    /// Puts a lease back that was on record when Baton stopped; a lapsed one only keeps the epochs rising.
    pub fn restore(&mut self, now: Now, row: &LeaseRow) {
        let Some(ae) = self.aes.get_mut(&row.ae) else { return };
        if row.epoch < ae.epoch {
            return;
        }
        ae.epoch = row.epoch;
        if row.until.0 > now.wall {
            ae.hold = Hold::Offered { transfer: row.transfer, until: row.until.0 };
        }
    }

    /// Holds an AE for a transfer.
    ///
    /// # Errors
    /// The state that keeps them from being rung; `None` where there is no such AE.
    pub(crate) fn lease(&mut self, now: Now, id: &AeId, transfer: TransferId, span: Duration) -> Result<Lease, Option<AeState>> {
        let ae = self.aes.get_mut(id).ok_or(None)?;
        match ae.state(now.wall) {
            AeState::Available => {}
            state @ (AeState::Dnd | AeState::Away | AeState::OffHours | AeState::Offered | AeState::OnCall | AeState::WrapUp) => {
                return Err(Some(state));
            }
        }
        ae.epoch += 1;
        let until = now.wall + span;
        ae.hold = Hold::Offered { transfer, until };
        Ok(Lease { epoch: ae.epoch, until })
    }

    /// The AE talks to the caller now: their lease no longer lapses.
    pub(crate) fn take_call(&mut self, id: &AeId, transfer: TransferId, epoch: u64) {
        if let Some(ae) = self.held(id, transfer, epoch) {
            ae.hold = Hold::OnCall { transfer };
        }
    }

    /// Frees an AE, after `wrap_up`; false where they are not held under this epoch.
    pub(crate) fn release(&mut self, now: Now, id: &AeId, transfer: TransferId, epoch: u64, wrap_up: Duration) -> bool {
        let Some(ae) = self.held(id, transfer, epoch) else { return false };
        ae.hold = if wrap_up.is_zero() { Hold::Free } else { Hold::WrapUp { until: now.wall + wrap_up } };
        true
    }

    /// For whom an AE is held.
    pub fn held_for(&self, now: Now, id: &AeId) -> Option<TransferId> {
        match self.aes.get(id)?.hold_at(now.wall) {
            Hold::Offered { transfer, .. } | Hold::OnCall { transfer } => Some(transfer),
            Hold::Free | Hold::WrapUp { .. } => None,
        }
    }

    fn held(&mut self, id: &AeId, transfer: TransferId, epoch: u64) -> Option<&mut Ae> {
        self.aes.get_mut(id).filter(|ae| {
            let holder = match ae.hold {
                Hold::Offered { transfer, .. } | Hold::OnCall { transfer } => Some(transfer),
                Hold::Free | Hold::WrapUp { .. } => None,
            };
            ae.epoch == epoch && holder == Some(transfer)
        })
    }
}

impl Ae {
    /// Leases and wrap-up lapse by themselves.
    fn hold_at(&self, wall: Wall) -> Hold {
        match self.hold {
            Hold::Offered { until, .. } | Hold::WrapUp { until } if until <= wall => Hold::Free,
            hold @ (Hold::Free | Hold::Offered { .. } | Hold::OnCall { .. } | Hold::WrapUp { .. }) => hold,
        }
    }

    fn state(&self, wall: Wall) -> AeState {
        match (self.hold_at(wall), self.presence) {
            (Hold::OnCall { .. }, _) => AeState::OnCall,
            (Hold::Offered { .. }, _) => AeState::Offered,
            (Hold::WrapUp { .. }, _) => AeState::WrapUp,
            (Hold::Free, Presence::Dnd) => AeState::Dnd,
            (Hold::Free, Presence::Away) => AeState::Away,
            (Hold::Free, Presence::Available) if !self.settings.hours.contain(wall, &self.settings.timezone) => AeState::OffHours,
            (Hold::Free, Presence::Available) => AeState::Available,
        }
    }
}

impl Lease {
    /// The lease as a row.
    pub(crate) fn row(self, ae: &AeId, transfer: TransferId) -> LeaseRow {
        LeaseRow { ae: ae.clone(), transfer, epoch: self.epoch, until: At(self.until) }
    }
}

/// The user part of a `sip:` or `tel:` URI, or the whole text where it is none.
fn user_of(to: &str) -> &str {
    let rest = ["sip:", "sips:", "tel:"].iter().find_map(|scheme| {
        let head = to.get(..scheme.len())?;
        head.eq_ignore_ascii_case(scheme).then(|| &to[scheme.len()..])
    });
    let Some(rest) = rest else { return to };
    let end = rest.find(['@', ';', '?']).unwrap_or(rest.len());
    &rest[..end]
}

/// Numbers are the same if their digits are: spaces, dots, hyphens and brackets are for the eye.
fn has_number(numbers: &[String], name: &str) -> bool {
    let digits = |text: &str| text.chars().filter(|sign| !matches!(sign, ' ' | '-' | '.' | '(' | ')')).collect::<String>();
    let wanted = digits(name);
    !wanted.is_empty() && numbers.iter().any(|number| digits(number) == wanted)
}
