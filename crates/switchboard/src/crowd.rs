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

/// How long the queue may be standing. A refusal comes within twice that: it waits behind what came before it.
const STANDING_MAX: Duration = Duration::from_millis(8);

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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It has not.
    #[default]
    No,
    /// It has.
    Yes { since: Mono, taken: usize },
}

impl Standing {
    fn see(&mut self, now: Mono, queue: Queue) {
        *self = match (queue, *self) {
            (Queue::Empty, _) => Standing::No,
            (Queue::Standing { taken }, Standing::No) => Standing::Yes { since: now, taken },
            (Queue::Standing { taken: more }, Standing::Yes { since, taken }) => Standing::Yes { since, taken: taken + more },
        };
    }

    /// Whether it is too much.
    pub(crate) fn crowd(self, now: Mono) -> Crowd {
        match self {
            Standing::Yes { since, taken } if now.since(since) >= STANDING_MAX && taken >= TAKEN_MIN => Crowd::TooMany,
            Standing::Yes { .. } | Standing::No => Crowd::Few,
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

    #[test]
    fn a_queue_that_stands_is_a_crowd_and_one_that_was_emptied_is_none() {
        let mut standing = Standing::default();
        let at = |ms| Mono::from_millis(ms);
        standing.see(at(100), Queue::Standing { taken: 64 });
        assert_eq!(
            (standing.crowd(at(100)), standing.crowd(at(500))),
            (Crowd::Few, Crowd::Few),
            "little was taken: nobody worked"
        );
        standing.see(at(106), Queue::Standing { taken: 64 });
        assert_eq!(
            (standing.crowd(at(107)), standing.crowd(at(108))),
            (Crowd::Few, Crowd::TooMany),
            "it counts from the first time"
        );
        standing.see(at(109), Queue::Empty);
        assert_eq!(standing.crowd(at(500)), Crowd::Few);
        standing.see(at(500), Queue::Standing { taken: 128 });
        assert_eq!(standing.crowd(at(501)), Crowd::Few, "and from anew after it was empty");
    }
}
