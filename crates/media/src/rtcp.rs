//! RTCP of our own (RFC 3550 §6): a report of what we send and hear, and reading what the far end reports.

use baton_time::Mono;

use crate::window::Reception;

/// What a report tells.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Report {
    pub(crate) ssrc: u32,
    /// What we sent; `None`: nothing yet, so that this is a receiver report.
    pub(crate) sent: Option<Sent>,
    /// What we heard.
    pub(crate) heard: Option<Reception>,
    /// The far end's last report, and when it came.
    pub(crate) last: Option<LastReport>,
}

/// What we sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent {
    pub(crate) timestamp: u32,
    pub(crate) packets: u32,
    pub(crate) octets: u32,
}

/// The far end's last sender report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LastReport {
    /// The middle 32 bits of its NTP time.
    pub(crate) stamp: u32,
    pub(crate) at: Mono,
}

impl Report {
    /// Appends the compound packet: a report, then our name.
    pub(crate) fn write(&self, now: Mono, out: &mut Vec<u8>) {
        let blocks = u8::from(self.heard.is_some());
        let (kind, fixed) = if self.sent.is_some() { (SENDER_REPORT, 6u16) } else { (RECEIVER_REPORT, 1) };
        out.extend_from_slice(&[0x80 | blocks, kind]);
        out.extend_from_slice(&(fixed + 6 * u16::from(blocks)).to_be_bytes());
        out.extend_from_slice(&self.ssrc.to_be_bytes());
        if let Some(sent) = self.sent {
            out.extend_from_slice(&ntp(now).to_be_bytes());
            for word in [sent.timestamp, sent.packets, sent.octets] {
                out.extend_from_slice(&word.to_be_bytes());
            }
        }
        if let Some(heard) = self.heard {
            let delay = self.last.map_or(0, |last| (now.since(last.at).as_micros() * 65_536 / 1_000_000) as u32);
            let loss = u32::from(heard.fraction_lost) << 24 | heard.lost & 0xFF_FFFF;
            for word in [heard.ssrc, loss, heard.highest, heard.jitter, self.last.map_or(0, |last| last.stamp), delay] {
                out.extend_from_slice(&word.to_be_bytes());
            }
        }
        self.write_name(out);
    }

    /// Appends the canonical name: the SSRC in hexadecimal, which says nothing of the machine (RFC 7022).
    fn write_name(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[0x81, SOURCE_DESCRIPTION, 0, 4]);
        out.extend_from_slice(&self.ssrc.to_be_bytes());
        out.extend_from_slice(&[1, 8]);
        let digit = |shift: u32| b"0123456789abcdef"[(self.ssrc >> shift & 0xF) as usize];
        out.extend((0..8).rev().map(|nibble| digit(nibble * 4)));
        out.extend_from_slice(&[0, 0]);
    }
}

/// Looks for the far end's sender report in a compound packet; `None` if there is none, or the packet is none.
pub(crate) fn last_report(bytes: &[u8], at: Mono) -> Option<LastReport> {
    let mut rest = bytes;
    while let [first, kind, high, low, ..] = rest {
        if first >> 6 != 2 {
            return None;
        }
        let length = (usize::from(u16::from_be_bytes([*high, *low])) + 1) * 4;
        let packet = rest.get(..length)?;
        if *kind == SENDER_REPORT {
            let stamp = packet.get(10..14)?;
            return Some(LastReport { stamp: u32::from_be_bytes(stamp.try_into().ok()?), at });
        }
        rest = &rest[length..];
    }
    None
}

/// The NTP form of our clock; its beginning is the process's, as RFC 3550 §6.4.1 permits.
fn ntp(now: Mono) -> u64 {
    let micros = now.as_micros();
    ((micros / 1_000_000) << 32) | (((micros % 1_000_000) << 32) / 1_000_000)
}

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_as_long_as_it_says_and_is_read_back() {
        let heard = Some(Reception { ssrc: 2, fraction_lost: 3, lost: 4, highest: 5, jitter: 6 });
        let sent = Some(Sent { timestamp: 1, packets: 2, octets: 3 });
        let now = Mono::from_millis(1_500);
        for (sent, heard, length) in [(sent, heard, 52), (sent, None, 28), (None, heard, 32), (None, None, 8)] {
            let mut bytes = vec![];
            Report { ssrc: 9, sent, heard, last: None }.write(now, &mut bytes);
            assert_eq!(bytes.len(), length + 20);
            assert_eq!(last_report(&bytes, now).map(|last| last.stamp), sent.map(|_| 0x1_8000));
        }
    }

    #[test]
    fn the_delay_since_the_last_report_is_told_in_parts_of_65536() {
        let heard = Some(Reception { ssrc: 2, fraction_lost: 0, lost: 0, highest: 5, jitter: 6 });
        let last = Some(LastReport { stamp: 0xABCD_EF01, at: Mono::from_millis(1_000) });
        let mut bytes = vec![];
        Report { ssrc: 9, sent: None, heard, last }.write(Mono::from_millis(1_500), &mut bytes);
        assert_eq!(bytes[24..32], [0xAB, 0xCD, 0xEF, 0x01, 0, 0, 0x80, 0]);
    }

    #[test]
    fn broken_reports_are_none() {
        let mut bytes = vec![];
        Report { ssrc: 9, sent: Some(Sent { timestamp: 1, packets: 2, octets: 3 }), heard: None, last: None }
            .write(Mono::ZERO, &mut bytes);
        for length in 0..28 {
            assert_eq!(last_report(&bytes[..length], Mono::ZERO), None, "{length}");
        }
        assert_eq!(last_report(&[0x80, 200, 0xFF, 0xFF, 0, 0], Mono::ZERO), None);
        assert_eq!(last_report(&[0x40, 200, 0, 0], Mono::ZERO), None);
    }
}
