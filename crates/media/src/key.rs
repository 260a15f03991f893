//! Keys as RFC 4733 telephone-events: reading them once, and sending them.

use std::collections::VecDeque;

/// The four octets of a telephone-event (RFC 4733 §2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeyEvent {
    pub(crate) code: u8,
    pub(crate) end: bool,
    /// In samples.
    pub(crate) duration: u16,
}

impl KeyEvent {
    /// Reads a payload; `None` if it is too short.
    pub(crate) fn parse(payload: &[u8]) -> Option<KeyEvent> {
        let [code, flags, high, low, ..] = payload else { return None };
        Some(KeyEvent { code: *code, end: flags & 0x80 != 0, duration: u16::from_be_bytes([*high, *low]) })
    }

    /// The payload, at the usual -10 dBm0.
    pub(crate) fn payload(self) -> [u8; 4] {
        let [high, low] = self.duration.to_be_bytes();
        [self.code, u8::from(self.end) << 7 | 10, high, low]
    }
}

/// The key of an event code, if it is one of the sixteen.
pub(crate) fn digit_of(code: u8) -> Option<char> {
    KEYS.get(usize::from(code)).map(|key| char::from(*key))
}

/// The event code of a key.
pub(crate) fn code_of(digit: char) -> Option<u8> {
    KEYS.iter().zip(0..).find(|(key, _)| char::from(**key) == digit.to_ascii_uppercase()).map(|(_, code)| code)
}

/// The keys in the order of their event codes.
const KEYS: &[u8; 16] = b"0123456789*#ABCD";

/// What a telephone-event packet is to those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Press {
    /// The first packet of a press.
    New,
    /// More of the press that goes on.
    More,
    /// Left over from an earlier press.
    Stale,
}

/// The press that a leg is in the middle of, or was last.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pressing {
    pub(crate) timestamp: u32,
    pub(crate) code: u8,
    pub(crate) ended: bool,
    /// The swap count of the room when it began.
    pub(crate) since: u64,
    /// Whether the legs that hear this one get it.
    pub(crate) passes: bool,
    duration: u16,
}

impl Pressing {
    /// A press that begins with `event`.
    pub(crate) fn begin(event: KeyEvent, timestamp: u32, since: u64) -> Pressing {
        let KeyEvent { code, end, duration } = event;
        Pressing { timestamp, code, ended: end, since, passes: false, duration }
    }

    /// What `event` at `timestamp` is to this press; takes note of it.
    pub(crate) fn judge(&mut self, event: KeyEvent, timestamp: u32) -> Press {
        let after = timestamp.wrapping_sub(self.timestamp) as i32;
        if after < 0 {
            return Press::Stale;
        }
        // RFC 4733 §2.5.1.3: a press longer than a duration can say goes on in a new segment with a timestamp of its own.
        let is_segment = after > 0 && event.code == self.code && !self.ended && self.duration >= SEGMENT_MIN;
        if after > 0 && !is_segment {
            return Press::New;
        }
        (self.timestamp, self.duration) = (timestamp, event.duration);
        self.ended |= event.end;
        Press::More
    }
}

/// The duration from which on a press can have a further segment.
const SEGMENT_MIN: u16 = 0xF000;

/// Keys that are being sent to a leg.
#[derive(Debug, Default)]
pub(crate) struct Keypad {
    waiting: VecDeque<u8>,
    pressed: Option<Pressed>,
    pause: u8,
}

#[derive(Debug, Clone, Copy)]
struct Pressed {
    code: u8,
    duration: u16,
    ends_left: u8,
}

/// One packet of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeyPacket {
    pub(crate) event: KeyEvent,
    pub(crate) first: bool,
    /// The press is over with this packet.
    pub(crate) last: bool,
}

impl Keypad {
    /// Puts a key behind those that wait; more than [`KEYS_MAX`] are dropped.
    pub(crate) fn press(&mut self, code: u8) {
        if self.waiting.len() < KEYS_MAX {
            self.waiting.push_back(code);
        }
    }

    /// Whether keys take the place of sound.
    pub(crate) fn is_pressed(&self) -> bool {
        self.pressed.is_some()
    }

    /// Whether there is anything to send, now or after a pause.
    pub(crate) fn is_busy(&self) -> bool {
        self.pressed.is_some() || !self.waiting.is_empty()
    }

    /// What leaves in the next `samples` samples in place of sound; `None`: sound.
    pub(crate) fn next(&mut self, samples: u16) -> Option<KeyPacket> {
        if self.pressed.is_none() {
            self.pause = self.pause.saturating_sub(1);
            if self.pause > 0 {
                return None;
            }
            self.pressed = self.waiting.pop_front().map(|code| Pressed { code, duration: 0, ends_left: ENDS });
        }
        let pressed = self.pressed.as_mut()?;
        let first = pressed.duration == 0;
        if pressed.duration < PRESS {
            pressed.duration += samples;
        } else {
            pressed.ends_left -= 1;
        }
        let packet = KeyPacket {
            event: KeyEvent { code: pressed.code, end: pressed.ends_left < ENDS, duration: pressed.duration },
            first,
            last: pressed.ends_left == 0,
        };
        if packet.last {
            (self.pressed, self.pause) = (None, PAUSE);
        }
        Some(packet)
    }
}

/// How many keys wait at most: nobody means more.
const KEYS_MAX: usize = 16;
/// How long a key is pressed, in samples: 100 ms.
const PRESS: u16 = 800;
/// How often the end is told (RFC 4733 §2.5.1.4).
const ENDS: u8 = 3;
/// Packets of sound between two keys.
const PAUSE: u8 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_a_code_and_nothing_else_has() {
        for code in 0..16 {
            assert_eq!(digit_of(code).and_then(code_of), Some(code));
        }
        assert_eq!((digit_of(16), code_of('x'), code_of('d')), (None, None, Some(15)));
    }

    #[test]
    fn a_key_is_pressed_for_100_ms_and_its_end_told_three_times() {
        let mut keypad = Keypad::default();
        keypad.press(1);
        keypad.press(2);
        let packets: Vec<_> = (0..8).filter_map(|_| keypad.next(160)).collect();
        assert_eq!(
            packets.iter().map(|packet| packet.event.duration).collect::<Vec<_>>(),
            [160, 320, 480, 640, 800, 800, 800, 800]
        );
        assert_eq!(packets.iter().filter(|packet| packet.first).count(), 1);
        assert_eq!(packets.iter().filter(|packet| packet.event.end).count(), 3);
        assert!(packets[7].last && keypad.is_busy() && !keypad.is_pressed());
        assert_eq!((0..3).filter_map(|_| keypad.next(160)).count(), 0);
        assert_eq!(keypad.next(160).map(|packet| packet.event.code), Some(2));
    }

    #[test]
    fn a_press_is_told_once_however_often_its_packets_come() {
        let event = |code, end, duration| KeyEvent { code, end, duration };
        let mut pressing = Pressing::begin(event(1, false, 160), 1_000, 0);
        assert_eq!(pressing.judge(event(1, false, 160), 1_000), Press::More);
        assert_eq!(pressing.judge(event(1, true, 800), 1_000), Press::More);
        assert_eq!(pressing.judge(event(1, true, 800), 1_000), Press::More);
        assert_eq!(pressing.judge(event(7, true, 800), 200), Press::Stale);
        assert_eq!(pressing.judge(event(1, false, 160), 2_600), Press::New);
    }

    #[test]
    fn a_very_long_press_stays_one_press() {
        let event = |duration| KeyEvent { code: 5, end: false, duration };
        let mut pressing = Pressing::begin(event(160), 0, 0);
        assert_eq!(pressing.judge(event(0xFFFF), 0), Press::More);
        assert_eq!(pressing.judge(event(160), 0xFFFF), Press::More);
    }

    #[test]
    fn a_short_payload_is_no_event() {
        assert_eq!(KeyEvent::parse(&[1, 0x80, 3]), None);
        assert_eq!(KeyEvent::parse(&[1, 0x8A, 3, 0x20]), Some(KeyEvent { code: 1, end: true, duration: 800 }));
    }
}
