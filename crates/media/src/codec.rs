//! The audio codecs: G.711 (ITU-T), by tables that are made when the program is compiled.

use serde::{Deserialize, Serialize};

/// An audio codec; both take 8,000 samples a second at one octet each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Codec {
    /// G.711 µ-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
}

impl Codec {
    /// The name in SDP and in views: `PCMU/8000` or `PCMA/8000`.
    pub fn name(self) -> &'static str {
        match self {
            Codec::Pcmu => "PCMU/8000",
            Codec::Pcma => "PCMA/8000",
        }
    }

    /// The static payload type (RFC 3551 §6).
    pub fn payload_type(self) -> u8 {
        match self {
            Codec::Pcmu => 0,
            Codec::Pcma => 8,
        }
    }

    /// The codec of a static payload type.
    pub fn of_payload_type(payload_type: u8) -> Option<Codec> {
        match payload_type {
            0 => Some(Codec::Pcmu),
            8 => Some(Codec::Pcma),
            _ => None,
        }
    }

    /// The octet that says silence.
    pub fn silence(self) -> u8 {
        match self {
            Codec::Pcmu => 0xFF,
            Codec::Pcma => 0xD5,
        }
    }

    /// One sample out of one octet.
    pub fn decode(self, octet: u8) -> i16 {
        match self {
            Codec::Pcmu => ULAW_DECODED[usize::from(octet)],
            Codec::Pcma => ALAW_DECODED[usize::from(octet)],
        }
    }

    /// One octet out of one sample.
    pub fn encode(self, sample: i16) -> u8 {
        match self {
            Codec::Pcmu => ulaw(sample),
            Codec::Pcma => alaw(sample),
        }
    }

    /// Appends the octets of this codec in `to`'s terms; the same octets where they are the same codec.
    pub fn transcode(self, to: Codec, octets: &[u8], out: &mut Vec<u8>) {
        match (self, to) {
            (Codec::Pcmu, Codec::Pcmu) | (Codec::Pcma, Codec::Pcma) => out.extend_from_slice(octets),
            (Codec::Pcmu, Codec::Pcma) => out.extend(octets.iter().map(|octet| ULAW_TO_ALAW[usize::from(*octet)])),
            (Codec::Pcma, Codec::Pcmu) => out.extend(octets.iter().map(|octet| ALAW_TO_ULAW[usize::from(*octet)])),
        }
    }
}

/// µ-law adds this before it takes the logarithm.
const BIAS: i32 = 0x84;
/// µ-law cannot say more than this.
const CLIP: i32 = 32_635;

const fn ulaw(sample: i16) -> u8 {
    let sign = if sample < 0 { 0x80 } else { 0 };
    let magnitude = (sample as i32).abs();
    let biased = (if magnitude > CLIP { CLIP } else { magnitude }) + BIAS;
    let exponent = 24 - biased.leading_zeros() as i32;
    let mantissa = (biased >> (exponent + 3)) & 0x0F;
    !(sign | ((exponent << 4) | mantissa)) as u8
}

const fn ulaw_decoded(octet: u8) -> i16 {
    let bits = !octet as i32;
    let exponent = (bits >> 4) & 0x07;
    let magnitude = ((((bits & 0x0F) << 3) + BIAS) << exponent) - BIAS;
    (if bits & 0x80 == 0 { magnitude } else { -magnitude }) as i16
}

const fn alaw(sample: i16) -> u8 {
    let (sign, magnitude) = if sample >= 0 { (0x80, sample as i32 >> 3) } else { (0, !(sample as i32 >> 3)) };
    let exponent = if magnitude < 32 { 0 } else { 27 - magnitude.leading_zeros() as i32 };
    let mantissa = (magnitude >> (if exponent == 0 { 1 } else { exponent })) & 0x0F;
    (sign | (exponent << 4) | mantissa) as u8 ^ 0x55
}

const fn alaw_decoded(octet: u8) -> i16 {
    let bits = (octet ^ 0x55) as i32;
    let exponent = (bits >> 4) & 0x07;
    let mantissa = ((bits & 0x0F) << 4) + 8;
    let magnitude = if exponent == 0 { mantissa } else { (mantissa + 0x100) << (exponent - 1) };
    (if bits & 0x80 == 0 { -magnitude } else { magnitude }) as i16
}

const ULAW_DECODED: [i16; 256] = {
    let mut table = [0; 256];
    let mut octet = 0;
    while octet < 256 {
        table[octet] = ulaw_decoded(octet as u8);
        octet += 1;
    }
    table
};

const ALAW_DECODED: [i16; 256] = {
    let mut table = [0; 256];
    let mut octet = 0;
    while octet < 256 {
        table[octet] = alaw_decoded(octet as u8);
        octet += 1;
    }
    table
};

const ULAW_TO_ALAW: [u8; 256] = {
    let mut table = [0; 256];
    let mut octet = 0;
    while octet < 256 {
        table[octet] = alaw(ULAW_DECODED[octet]);
        octet += 1;
    }
    table
};

const ALAW_TO_ULAW: [u8; 256] = {
    let mut table = [0; 256];
    let mut octet = 0;
    while octet < 256 {
        table[octet] = ulaw(ALAW_DECODED[octet]);
        octet += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_laws_decode_the_values_of_the_recommendation() {
        let ulaw = [(0x00, -32_124), (0x80, 32_124), (0xFF, 0), (0x7F, 0), (0xFE, 8), (0x8F, 16_764), (0xEF, 132), (0x70, -120)];
        for (octet, sample) in ulaw {
            assert_eq!(Codec::Pcmu.decode(octet), sample, "µ-law {octet:#04x}");
        }
        let alaw =
            [(0xD5, 8), (0x55, -8), (0xAA, 32_256), (0x2A, -32_256), (0xD4, 24), (0x80, 5_504), (0xC5, 264), (0x1A, -1_008 * 8)];
        for (octet, sample) in &alaw[..7] {
            assert_eq!(Codec::Pcma.decode(*octet), *sample, "A-law {octet:#04x}");
        }
    }

    #[test]
    fn each_octet_survives_decoding_and_encoding() {
        for codec in [Codec::Pcmu, Codec::Pcma] {
            for octet in 0..=255 {
                let again = codec.encode(codec.decode(octet));
                let is_negative_zero = codec == Codec::Pcmu && octet == 0x7F;
                assert!(again == octet || is_negative_zero, "{codec:?} {octet:#04x} became {again:#04x}");
            }
        }
    }

    #[test]
    fn no_sample_is_further_off_than_half_a_step_of_its_segment() {
        for codec in [Codec::Pcmu, Codec::Pcma] {
            for sample in i16::MIN..=i16::MAX {
                let error = (i32::from(codec.decode(codec.encode(sample))) - i32::from(sample)).abs();
                assert!(
                    error <= 16 + i32::from(sample.unsigned_abs()) / 16 || sample.unsigned_abs() > 32_000,
                    "{codec:?} {sample}"
                );
            }
            assert!(codec.encode(i16::MIN) != codec.encode(i16::MAX));
        }
    }

    #[test]
    fn silence_is_silent_and_stays_so_in_the_other_law() {
        for (from, to) in [(Codec::Pcmu, Codec::Pcma), (Codec::Pcma, Codec::Pcmu)] {
            let mut out = vec![];
            from.transcode(to, &[from.silence(); 3], &mut out);
            assert!(out.iter().all(|octet| to.decode(*octet).abs() <= 8));
            assert_eq!(out.len(), 3);
        }
    }

    #[test]
    fn loud_speech_survives_two_transcodings_within_a_step() {
        for octet in 0..=255u8 {
            let (mut there, mut back) = (vec![], vec![]);
            Codec::Pcmu.transcode(Codec::Pcma, &[octet], &mut there);
            Codec::Pcma.transcode(Codec::Pcmu, &there, &mut back);
            let (was, is) = (i32::from(Codec::Pcmu.decode(octet)), i32::from(Codec::Pcmu.decode(back[0])));
            assert!((was - is).abs() <= 16 + was.abs() / 16, "{octet:#04x}: {was} became {is}");
        }
    }
}
