//! Streams that go on after a restart: what is written down of them now and then, and how they are taken up again.

use std::time::Duration;

use baton_time::Mono;

use crate::leg::Leg;
use crate::sender::Sender;
use crate::{Outbox, Room, StreamMark};

/// The packet time that is reckoned with while nobody was there to send.
const PTIME: Duration = Duration::from_millis(20);
/// Samples of such a packet.
const SAMPLES: u32 = 160;
/// Numbers that are left out beyond the time that went by, so that none is used twice.
const MARGIN: u32 = 2;
/// Packets that may have left before the first mark.
const UNMARKED: u32 = 60;

impl Room {
    /// Where the streams of all legs stand that have begun.
    pub fn marks(&self, now: Mono) -> impl Iterator<Item = StreamMark> {
        self.legs.iter().filter(|leg| leg.sender.packets > 0).map(move |leg| leg.mark(now))
    }
}

impl Leg {
    fn mark(&self, now: Mono) -> StreamMark {
        let (seq, timestamp) = self.sender.next();
        let from = self.hearing.as_ref().and_then(|hearing| hearing.origin.learned());
        StreamMark { room: self.room, port: self.port, ssrc: self.sender.ssrc, seq, timestamp, from, at: now }
    }

    /// Goes on with a stream that an earlier process began: the same SSRC, numbers and timestamps that the far side has not seen yet.
    pub(crate) fn take_up(&mut self, now: Mono, mark: Option<StreamMark>, out: &mut Outbox) {
        match mark {
            Some(mark) => {
                let missed = now.since(mark.at).as_micros() / PTIME.as_micros();
                self.sender.continue_from(mark.ssrc, mark.seq, mark.timestamp, missed as u32 + MARGIN, SAMPLES);
                if let (Some(from), Some(hearing)) = (mark.from, &mut self.hearing)
                    && hearing.origin.lock(from)
                {
                    out.latch(self.port, from);
                }
            }
            None => {
                let (seq, timestamp) = self.sender.next();
                self.sender.continue_from(self.sender.ssrc, seq, timestamp, UNMARKED, SAMPLES);
            }
        }
        self.sender.due = now;
    }
}

impl Sender {
    fn continue_from(&mut self, ssrc: u32, seq: u16, timestamp: u32, missed: u32, samples: u32) {
        self.ssrc = ssrc;
        self.place_at(seq.wrapping_add(missed as u16), timestamp.wrapping_add(missed.wrapping_mul(samples)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_that_is_taken_up_goes_on_behind_what_was_sent() {
        let mut sender = Sender::new(7);
        sender.continue_from(0xABCD, 65_530, 1_000, 10, 160);
        let head = sender.append(true, 0, 160);
        assert_eq!((head.ssrc, head.seq, head.timestamp), (0xABCD, 4, 2_600));
    }
}
