//! G.711 µ-law, as ITU-T G.711 draws it: eight segments of sixteen steps.

const BIAS: i32 = 0x84;
const CLIP: i32 = 32_635;

/// Packs one linear sample into a µ-law byte.
pub fn encode(sample: i16) -> u8 {
    let sign = if sample < 0 { 0x80 } else { 0 };
    let magnitude = i32::from(sample).abs().min(CLIP) + BIAS;
    let segment = (31 - magnitude.leading_zeros()).saturating_sub(7).min(7);
    let step = (magnitude >> (segment + 3)) & 0x0f;
    let packed = sign | (segment as i32) << 4 | step;
    !(packed as u8)
}

/// Unpacks one µ-law byte into a linear sample.
pub fn decode(byte: u8) -> i16 {
    LINEAR[usize::from(byte)]
}

/// What every byte stands for.
static LINEAR: [i16; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = unpack(byte as u8);
        byte += 1;
    }
    table
};

const fn unpack(byte: u8) -> i16 {
    let byte = !byte;
    let segment = (byte >> 4 & 0x07) as u32;
    let step = (byte & 0x0f) as i32;
    let magnitude = (((step << 3) + BIAS) << segment) - BIAS;
    let signed = if byte & 0x80 == 0 { magnitude } else { -magnitude };
    signed as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_bytes_of_the_recommendation() {
        assert_eq!([encode(0), encode(32_767), encode(-32_768)], [0xff, 0x80, 0x00]);
        assert_eq!([decode(0xff), decode(0x80), decode(0x00)], [0, 32_124, -32_124]);
    }

    #[test]
    fn every_byte_but_the_second_zero_survives_a_round_trip() {
        for byte in 0..=255_u8 {
            let again = encode(decode(byte));
            assert!(again == byte || (byte == 0x7f && again == 0xff), "{byte:#x} became {again:#x}");
        }
    }

    #[test]
    fn the_error_is_a_small_part_of_the_sample() {
        for sample in (-32_000..32_000_i16).step_by(37) {
            let error = (i32::from(decode(encode(sample))) - i32::from(sample)).abs();
            assert!(error <= 4 + i32::from(sample).abs() / 24, "{sample} is off by {error}");
        }
    }
}
