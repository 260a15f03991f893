//! The AEs: who there is, who is free, and who is held for which transfer.

mod held;
mod renewed;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use baton_contract::{AeId, AeState, AeView, At, LeaseRow, Phone, Presence, TransferId};
use baton_time::{Mono, Now, Wall};

use crate::{AeSettings, GroupSettings};

pub use held::Held;
use serde::{Deserialize, Serialize};

/// Every AE and group, with presence and leases.
#[derive(Debug, Clone)]
pub struct Roster {
    /// In the order of the configuration.
    order: Vec<AeId>,
    aes: BTreeMap<AeId, Ae>,
    groups: Vec<GroupSettings>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Ae {
    settings: AeSettings,
    presence: Presence,
    phone: Phone,
    /// Of the last lease; the next one is higher.
    epoch: u64,
    hold: Hold,
    /// When they have promised to call somebody.
    booked: BTreeSet<At>,
}

/// What an AE is held by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Hold {
    Free,
    /// A step of the wall clock must not free an AE who is being rung.
    Offered {
        transfer: TransferId,
        until: Mono,
    },
    OnCall {
        transfer: TransferId,
    },
    WrapUp {
        until: Mono,
    },
}

/// Whom a transfer is to reach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Target {
    /// This AE, then their backup.
    Ae(AeId),
    /// The members of this group, in its order.
    Group(String),
    /// The account's own AE and their backup, or else whoever is configured first.
    Anyone,
    /// Somebody who is no AE: a SIP URI or a number that may be dialled.
    Outside(String),
}

/// Somebody who is dialled, or to whom a caller is passed on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Callee {
    /// An AE.
    Ae(AeId),
    /// Somebody who is no AE: a SIP URI or a number that may be dialled.
    Outside(String),
}

impl Callee {
    /// The AE's id, or the URI or number.
    pub fn name(&self) -> &str {
        match self {
            Callee::Ae(id) => id.as_str(),
            Callee::Outside(to) => to,
        }
    }
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
                roster.aes.insert(
                    id,
                    Ae {
                        settings,
                        presence: Presence::Available,
                        phone: Phone::Unknown,
                        epoch: 0,
                        hold: Hold::Free,
                        booked: BTreeSet::new(),
                    },
                );
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
            state: ae.state(now),
            phone: ae.phone,
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

    /// Sets what is known of an AE's phone; true where that is news. A transfer that rings them goes on.
    pub fn set_phone(&mut self, id: &AeId, phone: Phone) -> bool {
        let Some(ae) = self.aes.get_mut(id) else { return false };
        std::mem::replace(&mut ae.phone, phone) != phone
    }

    /// Puts a lease back that was on record when Baton stopped; a lapsed one only keeps the epochs rising.
    pub fn restore(&mut self, now: Now, row: &LeaseRow) {
        let Some(ae) = self.aes.get_mut(&row.ae) else { return };
        if row.epoch < ae.epoch {
            return;
        }
        ae.epoch = row.epoch;
        if row.until.0 > now.wall {
            ae.hold = Hold::Offered { transfer: row.transfer, until: now.mono + row.until.0.since(now.wall) };
        }
    }

    /// The AE has promised to call somebody at this time: it is no longer offered.
    pub fn book(&mut self, id: &AeId, at: At) {
        if let Some(ae) = self.aes.get_mut(id) {
            ae.booked.insert(at);
        }
    }

    /// The promise is off, or kept.
    pub fn unbook(&mut self, id: &AeId, at: At) {
        if let Some(ae) = self.aes.get_mut(id) {
            ae.booked.remove(&at);
        }
    }

    pub(crate) fn is_booked(&self, id: &AeId, at: At) -> bool {
        self.aes.get(id).is_some_and(|ae| ae.booked.contains(&at))
    }

    /// Whether an AE could be rung now.
    pub(crate) fn is_free(&self, now: Now, id: &AeId) -> bool {
        self.aes.get(id).is_some_and(|ae| ae.state(now) == AeState::Available)
    }

    /// Whether now is within the hours of an AE.
    pub(crate) fn is_open(&self, now: Now, id: &AeId) -> bool {
        self.aes.get(id).is_some_and(|ae| ae.settings.hours.contain(now.wall, &ae.settings.timezone))
    }

    /// Holds an AE for a transfer.
    ///
    /// # Errors
    /// The state that keeps them from being rung; `None` where there is no such AE.
    pub(crate) fn lease(&mut self, now: Now, id: &AeId, transfer: TransferId, span: Duration) -> Result<Lease, Option<AeState>> {
        let ae = self.aes.get_mut(id).ok_or(None)?;
        match if baton_time::bug!(28) { AeState::Available } else { ae.state(now) } {
            AeState::Available => {}
            state @ (AeState::Dnd | AeState::Away | AeState::OffHours | AeState::Offered | AeState::OnCall | AeState::WrapUp) => {
                return Err(Some(state));
            }
        }
        ae.epoch += u64::from(!baton_time::bug!(29));
        ae.hold = Hold::Offered { transfer, until: now.mono + span };
        Ok(Lease { epoch: ae.epoch, until: now.wall + span })
    }

    /// The AE talks to the caller now: their lease no longer lapses.
    pub(crate) fn take_call(&mut self, id: &AeId, transfer: TransferId, epoch: u64) {
        if let Some(ae) = self.held(id, transfer, epoch) {
            ae.hold = if baton_time::bug!(32) { Hold::Free } else { Hold::OnCall { transfer } };
        }
    }

    /// Frees an AE, after `wrap_up`; false where they are not held under this epoch.
    pub fn release(&mut self, now: Now, id: &AeId, transfer: TransferId, epoch: u64, wrap_up: Duration) -> bool {
        let Some(ae) = self.held(id, transfer, epoch).filter(|_| !baton_time::bug!(30)) else { return false };
        ae.hold = if wrap_up.is_zero() { Hold::Free } else { Hold::WrapUp { until: now.mono + wrap_up } };
        true
    }

    /// For whom an AE is held.
    pub fn held_for(&self, now: Now, id: &AeId) -> Option<TransferId> {
        match self.aes.get(id)?.hold_at(now.mono) {
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
    fn hold_at(&self, now: Mono) -> Hold {
        match self.hold {
            Hold::Offered { .. } if baton_time::bug!(31) => Hold::Free,
            Hold::Offered { until, .. } | Hold::WrapUp { until } if until <= now => Hold::Free,
            hold @ (Hold::Free | Hold::Offered { .. } | Hold::OnCall { .. } | Hold::WrapUp { .. }) => hold,
        }
    }

    fn state(&self, now: Now) -> AeState {
        match (self.hold_at(now.mono), self.presence) {
            (Hold::OnCall { .. }, _) => AeState::OnCall,
            (Hold::Offered { .. }, _) => AeState::Offered,
            (Hold::WrapUp { .. }, _) => AeState::WrapUp,
            (Hold::Free, Presence::Dnd) => AeState::Dnd,
            (Hold::Free, Presence::Away) => AeState::Away,
            (Hold::Free, Presence::Available) if !self.settings.hours.contain(now.wall, &self.settings.timezone) => {
                AeState::OffHours
            }
            (Hold::Free, Presence::Available) => match self.phone {
                Phone::Unknown | Phone::Registered => AeState::Available,
                Phone::Gone => AeState::Away,
                Phone::InUse => AeState::OnCall,
            },
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

#[cfg(test)]
pub(crate) mod tests {
    use baton_contract::IdSource;
    use baton_time::Mono;

    use super::*;
    use crate::{Hours, Zone};

    pub(crate) fn ae(id: &str, backup: Option<&str>) -> AeSettings {
        AeSettings {
            id: id.into(),
            name: id.to_uppercase(),
            uri: format!("sip:{id}@127.0.0.1:5090"),
            numbers: vec![],
            backup: backup.map(AeId::from),
            timezone: Zone::UTC,
            hours: Hours::always(),
            language: None,
            skills: vec![],
            trunk: None,
            trusted: true,
            ring_max: None,
            ringing: None,
        }
    }

    const NOW: Now = Now { mono: Mono::ZERO, wall: Wall::from_seconds(1_770_000_000) };

    fn transfers() -> [TransferId; 2] {
        let mut ids = IdSource::seeded(9);
        [(); 2].map(|()| TransferId::new(&mut ids, NOW.wall))
    }

    #[test]
    fn an_ae_is_held_by_one_transfer_and_epochs_only_rise() {
        let mut roster = Roster::new(vec![ae("a", None)], vec![]);
        let [one, other] = transfers();
        let id = AeId::from("a");
        let first = roster.lease(NOW, &id, one, Duration::from_secs(60)).unwrap();
        assert_eq!(roster.lease(NOW, &id, other, Duration::from_secs(60)), Err(Some(AeState::Offered)));
        assert_eq!(roster.held_for(NOW, &id), Some(one));
        assert!(!roster.release(NOW, &id, other, first.epoch, Duration::ZERO));
        let later = NOW.after(Duration::from_secs(60));
        let second = roster.lease(later, &id, other, Duration::from_secs(60)).unwrap();
        assert!(second.epoch > first.epoch);
        assert!(!roster.release(later, &id, one, first.epoch, Duration::ZERO), "a stale epoch releases nothing");
        roster.take_call(&id, other, second.epoch);
        let hours_later = later.after(Duration::from_secs(9_999));
        assert_eq!(roster.view(hours_later, &id).unwrap().state, AeState::OnCall);
        assert!(roster.release(hours_later, &id, other, second.epoch, Duration::from_secs(30)));
        assert_eq!(roster.view(hours_later, &id).unwrap().state, AeState::WrapUp);
        assert_eq!(roster.view(hours_later.after(Duration::from_secs(30)), &id).unwrap().state, AeState::Available);
        let morrow = hours_later.after(Duration::from_secs(86_400));
        roster.restore(morrow, &LeaseRow { ae: id.clone(), transfer: one, epoch: 77, until: At(NOW.wall) });
        assert_eq!(roster.lease(morrow, &id, other, Duration::from_secs(1)).unwrap().epoch, 78);
    }

    #[test]
    fn presence_and_hours_keep_an_ae_from_being_rung() {
        let mut night = ae("a", None);
        night.hours = "Mon-Sun 00:00-00:30".parse().unwrap();
        let mut roster = Roster::new(vec![night, ae("b", None)], vec![]);
        let [one, _] = transfers();
        assert_eq!(roster.lease(NOW, &"a".into(), one, Duration::ZERO), Err(Some(AeState::OffHours)));
        assert!(roster.set_presence(&"b".into(), Presence::Dnd));
        assert_eq!(roster.lease(NOW, &"b".into(), one, Duration::ZERO), Err(Some(AeState::Dnd)));
        assert_eq!(roster.lease(NOW, &"z".into(), one, Duration::ZERO), Err(None));
        assert!(!roster.set_presence(&"z".into(), Presence::Dnd));
        assert!(roster.set_presence(&"b".into(), Presence::Available));
        for (phone, state) in [(Phone::Gone, AeState::Away), (Phone::InUse, AeState::OnCall)] {
            assert!(roster.set_phone(&"b".into(), phone) && !roster.set_phone(&"b".into(), phone), "told once");
            assert_eq!(roster.lease(NOW, &"b".into(), one, Duration::ZERO), Err(Some(state)));
        }
        assert!(roster.set_phone(&"b".into(), Phone::Registered) && !roster.set_phone(&"z".into(), Phone::Gone));
        assert!(roster.lease(NOW, &"b".into(), one, Duration::ZERO).is_ok());
    }

    #[test]
    fn a_target_is_named_by_id_group_number_or_uri() {
        let mut michael = ae("michael", None);
        michael.numbers = vec!["+1 (555) 0142".into()];
        let sales = GroupSettings { name: "sales".into(), aes: vec!["michael".into()], numbers: vec!["700".into()] };
        let roster = Roster::new(vec![michael], vec![sales]);
        let michael = Some(Target::Ae("michael".into()));
        let sales = Some(Target::Group("sales".into()));
        for (to, target) in [
            ("michael", michael.clone()),
            ("+15550142", michael.clone()),
            ("tel:+1-555-0142", michael.clone()),
            ("sip:michael@elsewhere.example;transport=tcp", michael.clone()),
            ("sip:michael@127.0.0.1:5090", michael.clone()),
            ("SIP:michael?X-Baton-Summary=a@b", michael),
            ("sales", sales.clone()),
            ("sip:700@x", sales),
            ("", None),
            ("sip:", None),
            ("Michael", None),
            ("+1555014", None),
            ("é", None),
        ] {
            assert_eq!(roster.target(to), target, "{to}");
        }
    }
}
