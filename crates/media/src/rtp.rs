//! RTP headers (RFC 3550 §5.1): read by `rtp-rs`, written here into the arena that the packet leaves from.

use rtp_rs::RtpReader;

/// What is needed of a packet that came in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rtp<'a> {
    pub(crate) marker: bool,
    pub(crate) payload_type: u8,
    pub(crate) seq: u16,
    pub(crate) timestamp: u32,
    pub(crate) ssrc: u32,
    pub(crate) payload: &'a [u8],
}

impl<'a> Rtp<'a> {
    /// Reads a datagram; `None` if it is not RTP.
    pub(crate) fn parse(bytes: &'a [u8]) -> Option<Rtp<'a>> {
        let reader = RtpReader::new(bytes).ok()?;
        Some(Rtp {
            marker: reader.mark(),
            payload_type: reader.payload_type(),
            seq: reader.sequence_number().into(),
            timestamp: reader.timestamp(),
            ssrc: reader.ssrc(),
            payload: reader.payload(),
        })
    }
}

/// Whether a datagram on a shared port is RTCP (RFC 5761 §4).
pub(crate) fn is_rtcp(bytes: &[u8]) -> bool {
    bytes.get(1).is_some_and(|second| (192..=223).contains(second))
}

/// The header of a packet that leaves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head {
    pub(crate) marker: bool,
    pub(crate) payload_type: u8,
    pub(crate) seq: u16,
    pub(crate) timestamp: u32,
    pub(crate) ssrc: u32,
}

impl Head {
    /// Appends the twelve octets.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[0x80, u8::from(self.marker) << 7 | self.payload_type & 0x7F]);
        out.extend_from_slice(&self.seq.to_be_bytes());
        out.extend_from_slice(&self.timestamp.to_be_bytes());
        out.extend_from_slice(&self.ssrc.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_the_same() {
        let mut bytes = vec![];
        Head { marker: true, payload_type: 101, seq: 0xFFFF, timestamp: 0xDEAD_BEEF, ssrc: 7 }.write(&mut bytes);
        bytes.extend_from_slice(b"abc");
        let rtp = Rtp::parse(&bytes).unwrap();
        assert_eq!((rtp.marker, rtp.payload_type, rtp.seq), (true, 101, 0xFFFF));
        assert_eq!((rtp.timestamp, rtp.ssrc, rtp.payload), (0xDEAD_BEEF, 7, b"abc".as_slice()));
    }

    #[test]
    fn padding_and_extensions_are_no_sound() {
        let mut bytes = vec![0xB0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0xBE, 0xDE, 0, 1, 9, 9, 9, 9];
        bytes.extend_from_slice(&[5, 6, 7, 0, 0, 3]);
        assert_eq!(Rtp::parse(&bytes).unwrap().payload, [5, 6, 7]);
    }

    #[test]
    fn no_datagram_makes_it_panic() {
        for first in 0..=255u8 {
            for length in 0..64 {
                let bytes: Vec<u8> = std::iter::once(first).chain((1..length).map(|i| (i * 37) as u8 ^ first)).collect();
                if let Some(rtp) = Rtp::parse(&bytes) {
                    assert!(rtp.payload.len() <= bytes.len());
                }
                assert!(!is_rtcp(&bytes[..bytes.len().min(1)]));
            }
        }
    }
}
