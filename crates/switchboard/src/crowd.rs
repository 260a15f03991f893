//! Overload: while more waits at the door than is worked off, new calls are refused, so that those that are up do not wait.
//!
//! A queue that is emptied again and again is no overload, however long it was for a moment: a machine that did not run leaves one behind, and it becomes
//! shorter with every look. One that becomes longer although it is worked off is overload, and so is one that stands. Refusing costs a hundredth of a
//! call, so a queue is gone within milliseconds then, and calls are taken again.

use std::net::SocketAddr;
use std::time::Duration;

use baton_sip::Crowd;
use baton_time::Mono;

use crate::peer::Peer;
use crate::switchboard::Switchboard;

/// At so many looks the queue must have become longer, more than thrice as often as shorter. It waits behind what came meanwhile who is refused then: some
/// milliseconds.
const GREW_MIN: u32 = 4;

/// At so many where a crowd was there lately.
const GREW_AGAIN_MIN: u32 = 2;

/// How long the queue may be standing that becomes neither longer nor shorter.
const STANDING_MAX: Duration = Duration::from_millis(200);

/// How long it may be standing again after a crowd.
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
    /// Something waits still, although as much is taken as is taken at a time.
    Standing {
        /// How many messages have come since the last look.
        came: usize,
        /// How many are taken this time.
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
    /// It has, and may be worked off.
    Yes(Seen),
    /// It is too much, until nothing waits any more.
    Crowd,
}

/// What was seen of a queue since it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    since: Mono,
    /// How many messages were taken since then.
    taken: usize,
    /// At how many looks more than a quarter more had come than was taken.
    grew: u32,
    /// At how many less had come than was taken.
    shrank: u32,
    /// When there was a crowd last, before this.
    crowd: Option<Mono>,
    /// It was lately.
    is_again: bool,
}

impl Default for Standing {
    fn default() -> Standing {
        Standing::No { crowd: None }
    }
}

impl Standing {
    fn see(&mut self, now: Mono, queue: Queue) {
        *self = match (queue, *self) {
            (Queue::Empty, Standing::No { crowd } | Standing::Yes(Seen { crowd, .. })) => Standing::No { crowd },
            (Queue::Empty, Standing::Crowd) => Standing::No { crowd: Some(now) },
            (Queue::Standing { .. }, Standing::Crowd) => Standing::Crowd,
            (Queue::Standing { came, taken }, Standing::No { crowd }) => Seen::first(now, crowd).more(now, came, taken),
            (Queue::Standing { came, taken }, Standing::Yes(seen)) => seen.more(now, came, taken),
        };
    }

    /// Whether it is too much.
    pub(crate) fn crowd(self) -> Crowd {
        match self {
            Standing::Crowd => Crowd::TooMany,
            Standing::Yes(_) | Standing::No { .. } => Crowd::Few,
        }
    }
}

impl Seen {
    fn first(now: Mono, crowd: Option<Mono>) -> Seen {
        let is_again = crowd.is_some_and(|crowd| now.since(crowd) <= LATELY);
        Seen { since: now, taken: 0, grew: 0, shrank: 0, crowd, is_again }
    }

    fn more(mut self, now: Mono, came: usize, taken: usize) -> Standing {
        self.taken += taken;
        self.grew += u32::from(came > taken + taken / 4);
        self.shrank += u32::from(came < taken);
        let (grew_min, standing_max) =
            if self.is_again { (GREW_AGAIN_MIN, STANDING_AGAIN_MAX) } else { (GREW_MIN, STANDING_MAX) };
        let grows = self.grew >= grew_min && self.grew > 3 * self.shrank;
        let stands = now.since(self.since) >= standing_max && self.taken >= TAKEN_MIN;
        if grows || stands { Standing::Crowd } else { Standing::Yes(self) }
    }
}

impl Switchboard {
    /// Told each time that somebody looks at the door, before what is taken is handed in.
    pub fn see_queue(&mut self, now: Mono, queue: Queue) {
        self.standing.see(now, queue);
    }

    /// How crowded it is for a message from `source`: an AI or an AE speaks about calls that are up.
    pub(crate) fn crowd_for(&self, source: SocketAddr) -> Crowd {
        match self.standing.crowd() {
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

    /// Looks at a queue, a look each millisecond; says after how many of them it was a crowd.
    fn crowded_after(standing: &mut Standing, from: u64, looks: &[(usize, usize)]) -> Option<usize> {
        for (place, (came, taken)) in looks.iter().enumerate() {
            standing.see(at(from + place as u64), Queue::Standing { came: *came, taken: *taken });
            if standing.crowd() == Crowd::TooMany {
                return Some(place + 1);
            }
        }
        None
    }

    #[test]
    fn a_queue_that_becomes_longer_while_it_is_worked_off_is_a_crowd_until_it_is_empty() {
        let mut standing = Standing::default();
        assert_eq!(crowded_after(&mut standing, 0, &[(40, 16); 8]), Some(4));
        standing.see(at(9), Queue::Standing { came: 1, taken: 16 });
        assert_eq!(standing.crowd(), Crowd::TooMany, "what waits is refused, too");
        standing.see(at(10), Queue::Empty);
        assert_eq!(standing.crowd(), Crowd::Few);
        assert_eq!(crowded_after(&mut standing, 20, &[(40, 16); 8]), Some(2), "shortly after a crowd less is enough");
    }

    #[test]
    fn what_has_come_while_the_machine_did_not_run_is_worked_off() {
        let mut standing = Standing::default();
        // Three times nothing ran for 45 ms; between them the queue becomes shorter.
        let stall = [&[(120, 16)][..], &[(4, 16); 7]].concat();
        assert_eq!(crowded_after(&mut standing, 0, &stall.repeat(3)), None);
        standing.see(at(100), Queue::Empty);
        assert_eq!(standing, Standing::No { crowd: None });
    }

    #[test]
    fn a_queue_that_stands_for_long_is_a_crowd_although_it_becomes_no_longer() {
        let mut standing = Standing::default();
        assert_eq!(crowded_after(&mut standing, 0, &[(16, 16); 300]), Some(201));
        let mut idle = Standing::default();
        assert_eq!(crowded_after(&mut idle, 0, &[(0, 0); 300]), None, "nothing was taken: nobody worked");
    }

    #[test]
    fn after_a_crowd_less_is_borne_for_a_while() {
        let mut standing = Standing::No { crowd: Some(at(0)) };
        assert_eq!(crowded_after(&mut standing, 1_000, &[(16, 16); 20]), Some(9));
        standing = Standing::No { crowd: Some(at(0)) };
        assert_eq!(crowded_after(&mut standing, 1_001, &[(16, 16); 20]), None, "it is long ago");
    }
}
