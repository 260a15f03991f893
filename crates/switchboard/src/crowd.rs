//! Overload: while more waits at the door than is worked off, new calls are refused, so that those that are up do not wait.
//!
//! A queue that is emptied again and again is no overload, however long it was for a moment; one that has been standing for some time is. Refusing costs
//! a hundredth of a call, so a standing queue is gone within milliseconds, and calls are taken again.

use std::net::SocketAddr;
use std::time::Duration;

use baton_sip::Crowd;
use baton_time::Mono;

use crate::peer::Peer;
use crate::switchboard::Switchboard;

/// How long the queue may be standing where there was no crowd before: a machine that did not run for a moment leaves a queue behind that is worked off, and is
/// no reason to refuse anybody.
const STANDING_MAX: Duration = Duration::from_millis(50);

/// How long it may be standing again after a crowd. A refusal comes within twice that: it waits behind what came before it.
const STANDING_AGAIN_MAX: Duration = Duration::from_millis(8);

/// A crowd was there lately if it was there within this time.
const LATELY: Duration = Duration::from_secs(1);

/// How many messages must have been taken from it meanwhile: a process that was not allowed to run finds a queue, too, and works it off.
const TAKEN_MIN: usize = 96;

/// What was seen at the door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Queue {
    /// Nothing waits.
    Empty,
    /// Something waits still, although as much was taken as is taken at a time.
    Standing {
        /// How many messages were taken this time.
        taken: usize,
    },
}

/// How it was since something has been waiting without an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It has not.
    No {
        /// When there was a crowd last.
        crowd: Option<Mono>,
    },
    /// It has.
    Yes {
        /// Since when.
        since: Mono,
        /// How many messages were taken since then.
        taken: usize,
        /// How long it may.
        most: Duration,
        /// When there was a crowd last, before this.
        crowd: Option<Mono>,
    },
}

impl Default for Standing {
    fn default() -> Standing {
        Standing::No { crowd: None }
    }
}

impl Standing {
    fn see(&mut self, now: Mono, queue: Queue) {
        *self = match (queue, *self) {
            (Queue::Empty, Standing::No { crowd }) => Standing::No { crowd },
            (Queue::Empty, Standing::Yes { crowd, .. }) => match self.crowd(now) {
                Crowd::TooMany => Standing::No { crowd: Some(now) },
                Crowd::Few => Standing::No { crowd },
            },
            (Queue::Standing { taken }, Standing::No { crowd }) => {
                let lately = crowd.is_some_and(|crowd| now.since(crowd) <= LATELY);
                let most = if lately { STANDING_AGAIN_MAX } else { STANDING_MAX };
                Standing::Yes { since: now, taken, most, crowd }
            }
            (Queue::Standing { taken: more }, Standing::Yes { since, taken, most, crowd }) => {
                Standing::Yes { since, taken: taken + more, most, crowd }
            }
        };
    }

    /// Whether it is too much.
    pub(crate) fn crowd(self, now: Mono) -> Crowd {
        match self {
            Standing::Yes { since, taken, most, .. } if now.since(since) >= most && taken >= TAKEN_MIN => Crowd::TooMany,
            Standing::Yes { .. } | Standing::No { .. } => Crowd::Few,
        }
    }
}

impl Switchboard {
    /// Told each time that somebody has looked at the door.
    pub fn see_queue(&mut self, now: Mono, queue: Queue) {
        self.standing.see(now, queue);
    }

    /// How crowded it is for a message from `source`: an AI or an AE speaks about calls that are up.
    pub(crate) fn crowd_for(&self, now: Mono, source: SocketAddr) -> Crowd {
        match self.standing.crowd(now) {
            Crowd::Few => Crowd::Few,
            Crowd::TooMany => match self.peer(source) {
                Peer::Ai(_) | Peer::Ae(_) => Crowd::Few,
                Peer::Trunk(_) | Peer::Stranger => Crowd::TooMany,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(millis: u64) -> Mono {
        Mono::from_millis(millis)
    }

    #[test]
    fn a_queue_that_stands_is_a_crowd_and_one_that_was_emptied_is_none() {
        let mut standing = Standing::default();
        standing.see(at(100), Queue::Standing { taken: 64 });
        let crowds = [standing.crowd(at(100)), standing.crowd(at(500))];
        assert_eq!(crowds, [Crowd::Few; 2], "little was taken: nobody worked");
        standing.see(at(106), Queue::Standing { taken: 64 });
        let crowds = [standing.crowd(at(149)), standing.crowd(at(150))];
        assert_eq!(crowds, [Crowd::Few, Crowd::TooMany], "it counts from the first time");
        standing.see(at(151), Queue::Empty);
        assert_eq!(standing.crowd(at(500)), Crowd::Few);
    }

    #[test]
    fn after_a_crowd_less_is_borne_for_a_while() {
        let mut standing = Standing::default();
        standing.see(at(0), Queue::Standing { taken: 128 });
        standing.see(at(60), Queue::Empty);
        standing.see(at(1_060), Queue::Standing { taken: 128 });
        assert_eq!([standing.crowd(at(1_067)), standing.crowd(at(1_068))], [Crowd::Few, Crowd::TooMany]);
        standing.see(at(1_065), Queue::Empty);
        standing.see(at(1_070), Queue::Standing { taken: 128 });
        assert_eq!(
            standing.crowd(at(1_110)),
            Crowd::Few,
            "what was gone in time was no crowd, and the one before it is long ago"
        );
    }
}
