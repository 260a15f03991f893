//! Another configuration while calls are up: taken as a whole, or not at all.

use baton_transfer::{AeSettings, GroupSettings};

use crate::Settings;
use crate::capacity::Load;
use crate::switchboard::Switchboard;
use crate::watch::Watch;

/// A configuration that is to be taken.
#[derive(Debug)]
pub struct Reload {
    /// Trunks, AIs, routes, lines of AEs, rules of transfers.
    pub settings: Settings,
    /// The AEs.
    pub aes: Vec<AeSettings>,
    /// The groups.
    pub groups: Vec<GroupSettings>,
}

/// Why a configuration cannot be taken while calls are up. The old one stays.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotReloaded {
    /// Legs name their trunk by its place.
    #[error("the trunk \"{0}\" must stay where it is in the file: only a restart can take it away or put another before it")]
    Trunk(String),
    /// Legs name their AI by its place.
    #[error("the AI \"{0}\" must stay where it is in the file: only a restart can take it away or put another before it")]
    Ai(String),
}

impl Switchboard {
    /// Takes another configuration. Calls that are up go on; what they do next follows the new one.
    ///
    /// # Errors
    /// Why it cannot be taken; then nothing has changed.
    pub fn reload(&mut self, reload: Reload) -> Result<(), NotReloaded> {
        let Reload { settings, aes, groups } = reload;
        for (place, trunk) in self.settings.trunks.iter().enumerate() {
            if settings.trunks.get(place).is_none_or(|other| other.name != trunk.name) {
                return Err(NotReloaded::Trunk(trunk.name.clone()));
            }
        }
        for (place, ai) in self.settings.ais.iter().enumerate() {
            if settings.ais.get(place).is_none_or(|other| other.name != ai.name) {
                return Err(NotReloaded::Ai(ai.name.clone()));
            }
        }
        self.loads.resize_with(settings.trunks.len(), Load::default);
        self.watches.resize_with(settings.trunks.len(), Watch::default);
        // What voices have spoken since the start is spoken.
        let spoken = std::mem::replace(&mut self.settings, settings).tongues;
        for (language, clips) in spoken {
            self.learn(language, clips);
        }
        self.roster.renew(aes, groups);
        Ok(())
    }
}
