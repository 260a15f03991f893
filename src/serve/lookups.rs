//! Names of peers are looked up again and again: whoever has moved is found without a restart. The engine is told of changes only.

use std::collections::BTreeMap;
use std::time::Duration;

use baton_sip::Hop;
use baton_sip::wire::Uri;
use baton_switchboard::Named;

use super::plan::hops_of;
use crate::engine::{Door, Request};
use crate::resolve::Names;

/// How often. What DNS has said is kept for as long as it said, so most of these cost nothing.
const EVERY: Duration = Duration::from_secs(20);

/// Who is looked up, and whom to tell.
pub(super) struct Lookups {
    names: Names,
    named: Vec<(Named, Uri)>,
    door: Door,
}

impl Lookups {
    pub(super) fn new(names: Names, named: Vec<(Named, Uri)>, door: Door) -> Lookups {
        Lookups { names, named, door }
    }

    /// Looks them up for as long as the engine takes answers; nothing is done where nobody is known by a name.
    pub(super) fn start(self) {
        if !self.named.is_empty() {
            tokio::spawn(self.run());
        }
    }

    async fn run(self) {
        let mut known: BTreeMap<usize, Vec<Hop>> = BTreeMap::new();
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        // The first tick comes at once, and names were looked up a moment ago.
        ticks.tick().await;
        loop {
            ticks.tick().await;
            for (place, (whom, uri)) in self.named.iter().enumerate() {
                match hops_of(uri, &self.names).await {
                    Ok(hops) if known.get(&place).is_none_or(|old| !same(old, &hops)) => {
                        known.insert(place, hops.clone());
                        if self.door.send(Request::Resolved(whom.clone(), hops)).is_err() {
                            tracing::debug!("the engine takes no addresses now");
                            known.remove(&place);
                        }
                    }
                    Ok(_) => {}
                    // What was known goes on: a name server that is ill must not take the peers with it.
                    Err(fault) => tracing::warn!(peer = %uri, %fault, "cannot be looked up"),
                }
            }
        }
    }
}

/// The order among equals is by lot, so another order alone is no news.
fn same(one: &[Hop], other: &[Hop]) -> bool {
    one.len() == other.len() && one.iter().all(|hop| other.contains(hop))
}
