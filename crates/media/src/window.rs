//! One incoming stream: which packets are new, how many are missing, how evenly they come (RFC 3550 A.1, A.3, A.8).

use baton_time::Mono;

/// What a packet's number says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Newer than all before it.
    Next,
    /// Older than the newest one, but not seen yet.
    Overtaken,
    /// Seen before.
    Duplicate,
    /// Too old to tell.
    Late,
}

/// The last 64 sequence numbers of a stream, and what its receiver reports say.
#[derive(Debug, Clone, Default)]
pub(crate) struct Window {
    started: bool,
    ssrc: u32,
    /// The newest number, with the wraps above it.
    highest: u64,
    first: u64,
    seen: u64,
    stray: Option<u16>,
    received: u64,
    received_reported: u64,
    expected_reported: u64,
    lost_before: u64,
    jitter_16: u32,
    transit: Option<u32>,
    /// How often the stream began anew.
    pub(crate) epoch: u64,
}

impl Window {
    /// Takes a packet of the leg's source.
    pub(crate) fn judge(&mut self, now: Mono, ssrc: u32, seq: u16, timestamp: u32) -> Order {
        if !self.started || ssrc != self.ssrc {
            self.restart(ssrc, seq);
        }
        let order = self.order(ssrc, seq);
        if matches!(order, Order::Next | Order::Overtaken) {
            self.received += 1;
            self.even_out(now, timestamp);
        }
        order
    }

    fn order(&mut self, ssrc: u32, seq: u16) -> Order {
        let ahead = i64::from(seq.wrapping_sub(self.highest as u16) as i16);
        if !(-LATE_MAX..=AHEAD_MAX).contains(&ahead) {
            // A jump is believed when the next packet goes on from it.
            let goes_on = self.stray == Some(seq);
            self.stray = Some(seq.wrapping_add(1));
            if !goes_on {
                return Order::Late;
            }
            self.restart(ssrc, seq);
            return self.order(ssrc, seq);
        }
        if ahead > 0 {
            self.seen = if ahead < 64 { self.seen << ahead | 1 } else { 1 };
            self.highest += ahead.unsigned_abs();
            return Order::Next;
        }
        let behind = ahead.unsigned_abs();
        if behind >= 64 {
            return Order::Late;
        }
        let is_new = self.seen & 1 << behind == 0;
        self.seen |= 1 << behind;
        if is_new { Order::Overtaken } else { Order::Duplicate }
    }

    fn restart(&mut self, ssrc: u32, seq: u16) {
        self.lost_before = self.lost();
        let base = 0x1_0000 + u64::from(seq);
        (self.started, self.ssrc, self.highest, self.first) = (true, ssrc, base - 1, base);
        (self.seen, self.stray, self.transit) = (u64::MAX, None, None);
        (self.received, self.received_reported, self.expected_reported) = (0, 0, 0);
        self.epoch += 1;
    }

    fn even_out(&mut self, now: Mono, timestamp: u32) {
        let arrived = (now.as_micros() / 125) as u32;
        let transit = arrived.wrapping_sub(timestamp);
        if let Some(before) = self.transit.replace(transit) {
            let off = (transit.wrapping_sub(before) as i32).unsigned_abs().min(80_000);
            self.jitter_16 = self.jitter_16 + off - ((self.jitter_16 + 8) >> 4);
        }
    }

    /// Packets that never came, since the beginning.
    pub(crate) fn lost(&self) -> u64 {
        self.lost_before + self.expected().saturating_sub(self.received)
    }

    /// The interarrival jitter, in microseconds.
    pub(crate) fn jitter_us(&self) -> u64 {
        u64::from(self.jitter_16 >> 4) * 125
    }

    /// The stream's part of a receiver report, and the beginning of the next interval; `None` before the first packet.
    pub(crate) fn report(&mut self) -> Option<Reception> {
        if !self.started {
            return None;
        }
        let expected = self.expected();
        let wanted = expected - self.expected_reported.min(expected);
        let missing = wanted.saturating_sub(self.received - self.received_reported.min(self.received));
        (self.expected_reported, self.received_reported) = (expected, self.received);
        Some(Reception {
            ssrc: self.ssrc,
            fraction_lost: (missing * 256).checked_div(wanted).unwrap_or(0).min(255) as u8,
            lost: self.lost().min(0x7F_FFFF) as u32,
            highest: (self.highest - 0x1_0000) as u32,
            jitter: self.jitter_16 >> 4,
        })
    }

    fn expected(&self) -> u64 {
        if self.started { self.highest + 1 - self.first } else { 0 }
    }
}

/// What a receiver report says of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reception {
    pub(crate) ssrc: u32,
    pub(crate) fraction_lost: u8,
    pub(crate) lost: u32,
    pub(crate) highest: u32,
    /// In samples.
    pub(crate) jitter: u32,
}

/// A number this far behind may be an old packet; beyond it the stream has begun anew.
const LATE_MAX: i64 = 500;
/// A number this far ahead may come after a loss: a minute's packets.
const AHEAD_MAX: i64 = 3_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(window: &mut Window, seqs: &[u16]) -> Vec<Order> {
        seqs.iter().map(|seq| window.judge(Mono::ZERO, 1, *seq, 0)).collect()
    }

    #[test]
    fn numbers_wrap_and_none_counts_twice() {
        use Order::{Duplicate, Next, Overtaken};
        let mut window = Window::default();
        assert_eq!(
            judge(&mut window, &[65_534, 65_535, 1, 0, 0, 1, 2]),
            [Next, Next, Next, Overtaken, Duplicate, Duplicate, Next]
        );
        assert_eq!(window.lost(), 0);
    }

    #[test]
    fn what_is_missing_is_lost_until_it_comes() {
        let mut window = Window::default();
        judge(&mut window, &[10, 11, 14]);
        assert_eq!(window.lost(), 2);
        let report = window.report().unwrap();
        assert_eq!((report.fraction_lost, report.lost, report.highest), (102, 2, 14));
        judge(&mut window, &[12]);
        assert_eq!(window.lost(), 1);
        assert_eq!(window.report().map(|report| report.fraction_lost), Some(0));
    }

    #[test]
    fn a_jump_is_believed_when_it_goes_on() {
        let mut window = Window::default();
        assert_eq!(
            judge(&mut window, &[1, 30_000, 2, 40_000, 40_001]),
            [Order::Next, Order::Late, Order::Next, Order::Late, Order::Next]
        );
        assert_eq!(window.epoch, 2);
        assert_eq!(window.lost(), 0);
    }

    #[test]
    fn a_new_ssrc_is_a_new_stream() {
        let mut window = Window::default();
        judge(&mut window, &[5, 6]);
        assert_eq!(window.judge(Mono::ZERO, 2, 5, 0), Order::Next);
        assert_eq!(window.epoch, 2);
    }

    #[test]
    fn an_even_stream_has_no_jitter_and_an_uneven_one_has() {
        let (mut even, mut uneven) = (Window::default(), Window::default());
        for i in 0..200u16 {
            let late = if i % 2 == 0 { 0 } else { 10 };
            even.judge(Mono::from_millis(u64::from(i) * 20), 1, i, u32::from(i) * 160);
            uneven.judge(Mono::from_millis(u64::from(i) * 20 + late), 1, i, u32::from(i) * 160);
        }
        assert_eq!(even.jitter_us(), 0);
        assert!((8_000..=10_500).contains(&uneven.jitter_us()), "{}", uneven.jitter_us());
    }
}
