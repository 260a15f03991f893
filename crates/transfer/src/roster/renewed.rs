//! Another configuration for a roster that is at work.

use std::collections::BTreeSet;

use super::{Ae, Hold, Roster};
use crate::{AeSettings, GroupSettings};

impl Roster {
    /// Takes other AEs and groups. Who was there keeps presence, hold, epoch and promises; who is not named any more is offered to nobody, and is
    /// forgotten once nobody holds them.
    pub fn renew(&mut self, aes: Vec<AeSettings>, groups: Vec<GroupSettings>) {
        let fresh = Roster::new(aes, groups);
        let mut before = std::mem::take(&mut self.aes);
        (self.order, self.groups) = (fresh.order, fresh.groups);
        for (id, ae) in fresh.aes {
            let kept = before.remove(&id);
            let ae = match kept {
                Some(kept) => Ae { settings: ae.settings, ..kept },
                None => ae,
            };
            self.aes.insert(id, ae);
        }
        let held: BTreeSet<_> = before.iter().filter(|(_, ae)| ae.hold != Hold::Free).map(|(id, _)| id.clone()).collect();
        self.aes.extend(before.into_iter().filter(|(id, _)| held.contains(id)));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use baton_contract::{AeId, AeState, IdSource, Presence, TransferId};
    use baton_time::{Mono, Now, Wall};

    use super::super::tests::ae;
    use super::*;

    const NOW: Now = Now { mono: Mono::ZERO, wall: Wall::from_seconds(1_770_000_000) };

    #[test]
    fn who_is_held_stays_held_and_who_is_gone_is_offered_to_nobody() {
        let mut roster = Roster::new(vec![ae("a", None), ae("b", None)], vec![]);
        let transfer = TransferId::new(&mut IdSource::seeded(1), NOW.wall);
        let (a, b) = (AeId::from("a"), AeId::from("b"));
        let lease = roster.lease(NOW, &a, transfer, Duration::from_secs(60)).unwrap();
        roster.set_presence(&b, Presence::Dnd);
        roster.renew(vec![ae("c", None), ae("b", None)], vec![]);
        assert_eq!(roster.ids(), [AeId::from("c"), AeId::from("b")]);
        assert_eq!(roster.view(NOW, &b).map(|view| view.state), Some(AeState::Dnd));
        assert_eq!(roster.held_for(NOW, &a), Some(transfer));
        assert!(roster.release(NOW, &a, transfer, lease.epoch, Duration::ZERO));
    }
}
