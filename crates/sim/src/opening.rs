//! What plays of whole calls begin with: a caller who stays, an AI that answers, AEs who do as they are told.

use std::time::Duration;

use baton_contract::{Command, TransferRequest};
use baton_party::{Cue, Step};

use crate::{Ae, Setup, World};

pub(crate) fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// A caller who stays, an AI that rings for a moment and answers, and these AEs.
pub(crate) fn setup(aes: Vec<Ae>) -> Setup {
    Setup {
        caller: vec![Step::call("sip:+15550100@10.0.0.1"), Step::wait_for(Cue::Up, 10_000)],
        ai: vec![Step::wait_for(Cue::Invited, 10_000), Step::Ring { status: 180 }, Step::pause(200), Step::Answer],
        ..Setup::of(aes)
    }
}

pub(crate) fn michael(script: Vec<Step>) -> Ae {
    Ae::new("michael", Some(script))
}

/// A call in which caller and AI have talked for half a second.
pub(crate) fn in_conversation(setup: Setup) -> World {
    let mut world = World::new(setup);
    world.begin();
    assert!(world.run_until(seconds(3), |world| world.party(0).is_up() && world.party(1).is_up()));
    world.run(Duration::from_millis(500));
    world
}

/// That somebody is asked for through the API.
pub(crate) fn request(world: &mut World, to: &str) -> Command {
    let call = world.call_id().unwrap();
    let request = Box::new(TransferRequest { to: Some(to.to_owned()), ..TransferRequest::default() });
    Command::RequestTransfer { call, request, idempotency_key: None }
}

/// Lets time go by until something was published; says whether it came to that.
pub(crate) fn comes(world: &mut World, event: &str, within: Duration) -> bool {
    world.run_until(within, |world| world.event_names().contains(&event))
}
