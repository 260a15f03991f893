//! Who is tried in which order, and the proof that there is always a way out.

use std::collections::BTreeSet;

use baton_contract::{AeId, Context};
use baton_time::Now;

use crate::{Roster, Target, callback};
use serde::{Deserialize, Serialize};

/// Who is tried, in order; after them, a callback with the first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Everybody who may be tried.
    pub aes: Vec<AeId>,
}

impl Plan {
    /// The plan for a target: an AE and their backups, a group's members, or the account's own AE before everybody else.
    pub fn new(roster: &Roster, target: &Target, context: &Context) -> Plan {
        let aes = match target {
            Target::Ae(id) => chain(roster, id),
            Target::Group(name) => {
                roster.groups().iter().find(|group| group.name == *name).map(|group| group.aes.clone()).unwrap_or_default()
            }
            Target::Outside(_) => Vec::new(),
            Target::Anyone => {
                let assigned = context.account.as_ref().and_then(|account| account.assigned_ae.as_ref());
                match assigned.filter(|id| roster.find(id).is_some()) {
                    Some(id) => chain(roster, id),
                    None => roster.ids().to_vec(),
                }
            }
        };
        let mut seen = BTreeSet::new();
        Plan { aes: aes.into_iter().filter(|id| roster.find(id).is_some() && seen.insert(id.clone())).collect() }
    }
}

/// Something wrong with the plans that a roster leads to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanFault {
    /// The backup of an AE is nobody.
    #[error("the backup \"{backup}\" of AE \"{ae}\" is no AE; name the id of one, or leave it out")]
    UnknownBackup {
        /// Whose backup.
        ae: AeId,
        /// The name that means nobody.
        backup: AeId,
    },
    /// Backups lead back to an AE.
    #[error("the backups of AE \"{ae}\" lead in a circle: {}; let one of them have no backup", path.join(" -> "))]
    Circle {
        /// Where the circle begins.
        ae: AeId,
        /// The way round.
        path: Vec<String>,
    },
    /// A group has a member that is nobody.
    #[error("\"{ae}\" in group \"{group}\" is no AE; name the id of one")]
    UnknownMember {
        /// Which group.
        group: String,
        /// The name that means nobody.
        ae: AeId,
    },
    /// A group has no members.
    #[error("group \"{group}\" has no members; name at least one AE")]
    EmptyGroup {
        /// Which group.
        group: String,
    },
    /// A name means two things.
    #[error("\"{name}\" means {first} and {second}; give each its own name and number")]
    Ambiguous {
        /// The name or number.
        name: String,
        /// What it means.
        first: String,
        /// What it means, too.
        second: String,
    },
    /// An AE's hours leave no room for a callback, so that a failed transfer to them would have no exit.
    #[error("the hours \"{hours}\" of AE \"{ae}\" have no room for a callback of half an hour in any week; make them longer")]
    NoSlot {
        /// Which AE.
        ae: AeId,
        /// Their hours.
        hours: String,
    },
}

/// Everything that is wrong with the plans that this roster leads to: for each target there must be an order without a circle, and
/// for each failure an exit, which in the end is a callback within somebody's hours.
pub fn check(roster: &Roster) -> Vec<PlanFault> {
    let mut faults = Vec::new();
    for id in roster.ids() {
        let Some(ae) = roster.find(id) else { continue };
        if let Some(backup) = ae.backup.as_ref().filter(|backup| roster.find(backup).is_none()) {
            faults.push(PlanFault::UnknownBackup { ae: id.clone(), backup: backup.clone() });
        }
        faults.extend(circle(roster, id));
        if !callback::has_slots(roster, Now::default(), id) {
            faults.push(PlanFault::NoSlot { ae: id.clone(), hours: ae.hours.to_string() });
        }
    }
    for group in roster.groups() {
        if group.aes.is_empty() {
            faults.push(PlanFault::EmptyGroup { group: group.name.clone() });
        }
        let unknown = group.aes.iter().filter(|id| roster.find(id).is_none());
        faults.extend(unknown.map(|id| PlanFault::UnknownMember { group: group.name.clone(), ae: id.clone() }));
    }
    faults.extend(ambiguous(roster));
    faults
}

/// An AE and their backups, as far as they lead without going round.
fn chain(roster: &Roster, first: &AeId) -> Vec<AeId> {
    let mut aes: Vec<AeId> = Vec::new();
    let mut next = Some(first.clone());
    while let Some(id) = next.filter(|id| !aes.contains(id)) {
        next = roster.find(&id).and_then(|ae| ae.backup.clone());
        aes.push(id);
    }
    aes
}

/// The circle that begins and ends at this AE, told only at its first member.
fn circle(roster: &Roster, first: &AeId) -> Option<PlanFault> {
    let aes = chain(roster, first);
    let last = roster.find(aes.last()?)?;
    let closes = last.backup.as_ref() == Some(first) && aes.iter().min() == Some(first);
    let path = aes.iter().chain([first]).map(|id| id.0.clone()).collect();
    closes.then(|| PlanFault::Circle { ae: first.clone(), path })
}

fn ambiguous(roster: &Roster) -> Vec<PlanFault> {
    let aes = roster.ids().iter().filter_map(|id| roster.find(id)).flat_map(|ae| {
        let what = format!("AE \"{}\"", ae.id);
        std::iter::once(ae.id.0.clone()).chain(ae.numbers.iter().cloned()).map(move |name| (name, what.clone()))
    });
    let groups = roster.groups().iter().flat_map(|group| {
        let what = format!("group \"{}\"", group.name);
        std::iter::once(group.name.clone()).chain(group.numbers.iter().cloned()).map(move |name| (name, what.clone()))
    });
    let mut faults = Vec::new();
    let mut meanings: Vec<(String, String)> = Vec::new();
    for (name, what) in aes.chain(groups) {
        match meanings.iter().find(|(known, _)| *known == name) {
            Some((_, first)) => faults.push(PlanFault::Ambiguous { name, first: first.clone(), second: what }),
            None => meanings.push((name, what)),
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::GroupSettings;
    use crate::roster::tests::ae;

    fn ids(names: &[&str]) -> Vec<AeId> {
        names.iter().map(|name| AeId::from(*name)).collect()
    }

    #[test]
    fn an_ae_is_followed_by_their_backups_and_a_group_by_its_members() {
        let group = GroupSettings { name: "sales".into(), aes: ids(&["c", "a", "c"]), numbers: vec![] };
        let roster = Roster::new(vec![ae("a", Some("b")), ae("b", Some("c")), ae("c", None)], vec![group]);
        let plan = |target, context: &str| Plan::new(&roster, &target, &serde_json::from_str(context).unwrap()).aes;
        assert_eq!(plan(Target::Ae("a".into()), "{}"), ids(&["a", "b", "c"]));
        assert_eq!(plan(Target::Group("sales".into()), "{}"), ids(&["c", "a"]));
        assert_eq!(plan(Target::Anyone, "{}"), ids(&["a", "b", "c"]));
        assert_eq!(plan(Target::Anyone, r#"{"account":{"assigned_ae":"b"}}"#), ids(&["b", "c"]));
        assert_eq!(plan(Target::Anyone, r#"{"account":{"assigned_ae":"left us"}}"#), ids(&["a", "b", "c"]));
        assert_eq!(plan(Target::Group("none".into()), "{}"), ids(&[]));
        assert_eq!(check(&roster), []);
    }

    #[test]
    fn a_plan_without_a_way_out_is_named() {
        let group = |name: &str, aes: &[&str]| GroupSettings { name: name.into(), aes: ids(aes), numbers: vec![] };
        let mut short = ae("d", Some("nobody"));
        short.hours = "Mon 09:00-09:20".parse().unwrap();
        let roster = Roster::new(
            vec![ae("a", Some("b")), ae("b", Some("a")), ae("c", Some("a")), short],
            vec![group("g", &[]), group("h", &["x"]), group("c", &["a"])],
        );
        let faults: Vec<String> = check(&roster).iter().map(ToString::to_string).collect();
        assert_eq!(
            faults,
            [
                "the backups of AE \"a\" lead in a circle: a -> b -> a; let one of them have no backup",
                "the backup \"nobody\" of AE \"d\" is no AE; name the id of one, or leave it out",
                "the hours \"Mon 09:00-09:20\" of AE \"d\" have no room for a callback of half an hour in any week; make them longer",
                "group \"g\" has no members; name at least one AE",
                "\"x\" in group \"h\" is no AE; name the id of one",
                "\"c\" means AE \"c\" and group \"c\"; give each its own name and number",
            ]
        );
    }
}
