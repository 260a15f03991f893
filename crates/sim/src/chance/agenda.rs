//! What is to happen in a random world, soonest first.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use baton_time::Mono;

/// Things with their times; of two for the same instant the one that was put in first comes first.
#[derive(Debug)]
pub(super) struct Agenda<T> {
    /// When, the how-manieth, and the place of what: it is large, and stays where it is while the order changes.
    order: BinaryHeap<Reverse<(Mono, u64, usize)>>,
    things: Vec<Option<T>>,
    free: Vec<usize>,
    count: u64,
}

impl<T> Default for Agenda<T> {
    fn default() -> Agenda<T> {
        Agenda { order: BinaryHeap::with_capacity(64), things: Vec::with_capacity(64), free: Vec::with_capacity(64), count: 0 }
    }
}

impl<T> Agenda<T> {
    /// Puts something in.
    pub(super) fn push(&mut self, at: Mono, thing: T) {
        let place = match self.free.pop() {
            Some(place) => {
                self.things[place] = Some(thing);
                place
            }
            None => {
                self.things.push(Some(thing));
                self.things.len() - 1
            }
        };
        self.count += 1;
        self.order.push(Reverse((at, self.count, place)));
    }

    /// When the soonest is.
    pub(super) fn next_at(&self) -> Option<Mono> {
        self.order.peek().map(|Reverse((at, ..))| *at)
    }

    /// Takes the soonest out.
    pub(super) fn pop(&mut self) -> Option<T> {
        let Reverse((_, _, place)) = self.order.pop()?;
        self.free.push(place);
        self.things[place].take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soonest_comes_first_and_of_two_at_once_the_first_that_was_put_in() {
        let mut agenda = Agenda::default();
        for (at, thing) in [(5, 'c'), (1, 'a'), (5, 'd'), (3, 'b')] {
            agenda.push(Mono::from_millis(at), thing);
        }
        assert_eq!(agenda.next_at(), Some(Mono::from_millis(1)));
        let first = agenda.pop();
        agenda.push(Mono::from_millis(9), 'e');
        let all: String = first.into_iter().chain(std::iter::from_fn(|| agenda.pop())).collect();
        assert_eq!((all.as_str(), agenda.next_at()), ("abcde", None));
    }
}
