//! What of the roster belongs to a live call: the AEs that are held for it.

use baton_contract::{AeId, TransferId};
use serde::{Deserialize, Serialize};

use super::{Hold, Roster};

/// An AE who is held, as a value that can be written down and read back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    ae: AeId,
    epoch: u64,
    hold: Hold,
}

impl Roster {
    /// Who is held for this transfer.
    pub fn held_by(&self, transfer: TransferId) -> Vec<Held> {
        let is_its = |hold: &Hold| match hold {
            Hold::Offered { transfer: holder, .. } | Hold::OnCall { transfer: holder } => *holder == transfer,
            Hold::Free | Hold::WrapUp { .. } => false,
        };
        let held = self.aes.iter().filter(|(_, ae)| is_its(&ae.hold));
        held.map(|(id, ae)| Held { ae: id.clone(), epoch: ae.epoch, hold: ae.hold }).collect()
    }

    /// Puts a hold back, unless a later one is known.
    pub fn hold_again(&mut self, held: &Held) {
        if let Some(ae) = self.aes.get_mut(&held.ae).filter(|ae| held.epoch >= ae.epoch) {
            (ae.epoch, ae.hold) = (held.epoch, held.hold);
        }
    }
}
