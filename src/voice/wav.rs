//! Reads WAV: mono or stereo, 16-bit PCM, mu-law or A-law. Lengths are believed only as far as there are bytes.

use baton_media::Codec;

/// Sound at some rate, one channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wave {
    /// Samples per second.
    pub(crate) rate: u32,
    /// The samples.
    pub(crate) samples: Vec<i16>,
}

/// Why bytes are no WAV that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WavError {
    /// No RIFF file of WAVE kind, or one that ends in its header.
    #[error("this is no WAV file")]
    NoWav,
    /// Something else than 16-bit PCM, mu-law or A-law, or more than two channels.
    #[error("the WAV file is neither 16-bit PCM nor G.711, in one or two channels")]
    Format,
    /// A rate that no voice has.
    #[error("the WAV file has less than 8000 or more than 48000 samples a second")]
    Rate,
}

/// What the samples of a file are.
#[derive(Debug, Clone, Copy)]
enum Coding {
    Pcm16,
    G711(Codec),
}

struct Format {
    coding: Coding,
    channels: usize,
    rate: u32,
}

/// Reads a WAV file; two channels are mixed into one.
pub(crate) fn read(bytes: &[u8]) -> Result<Wave, WavError> {
    if bytes.get(..4) != Some(b"RIFF") || bytes.get(8..12) != Some(b"WAVE") {
        return Err(WavError::NoWav);
    }
    let mut rest = &bytes[12..];
    let mut format = None;
    while let Some((head, body)) = rest.split_at_checked(8) {
        let length = usize::try_from(le32(head, 4)).unwrap_or(usize::MAX).min(body.len());
        match &head[..4] {
            b"fmt " => format = Some(read_format(&body[..length])?),
            b"data" => return format.ok_or(WavError::NoWav).map(|format| decode(&format, &body[..length])),
            _ => {}
        }
        // Chunks begin at even places.
        rest = body.get(length + length % 2..).unwrap_or_default();
    }
    Err(WavError::NoWav)
}

fn read_format(chunk: &[u8]) -> Result<Format, WavError> {
    if chunk.len() < 16 {
        return Err(WavError::NoWav);
    }
    let (tag, channels, rate, bits) = (le16(chunk, 0), le16(chunk, 2), le32(chunk, 4), le16(chunk, 14));
    let coding = match (tag, bits) {
        (1, 16) => Coding::Pcm16,
        (6, 8) => Coding::G711(Codec::Pcma),
        (7, 8) => Coding::G711(Codec::Pcmu),
        _ => return Err(WavError::Format),
    };
    if !(1..=2).contains(&channels) {
        return Err(WavError::Format);
    }
    if !(8_000..=48_000).contains(&rate) {
        return Err(WavError::Rate);
    }
    Ok(Format { coding, channels: usize::from(channels), rate })
}

fn decode(format: &Format, data: &[u8]) -> Wave {
    let each: Vec<i16> = match format.coding {
        Coding::Pcm16 => data.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect(),
        Coding::G711(codec) => data.iter().map(|octet| codec.decode(*octet)).collect(),
    };
    let samples = match format.channels {
        1 => each,
        _ => each.chunks_exact(2).map(|pair| i16::midpoint(pair[0], pair[1])).collect(),
    };
    Wave { rate: format.rate, samples }
}

fn le16(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn le32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wav(tag: u16, channels: u16, rate: u32, bits: u16, data: &[u8]) -> Vec<u8> {
        let mut bytes = b"RIFF\0\0\0\0WAVELIST\x03\0\0\0abc\0fmt \x10\0\0\0".to_vec();
        bytes.extend(tag.to_le_bytes());
        bytes.extend(channels.to_le_bytes());
        bytes.extend(rate.to_le_bytes());
        bytes.extend([0; 6]);
        bytes.extend(bits.to_le_bytes());
        bytes.extend(b"data");
        bytes.extend(u32::MAX.to_le_bytes());
        bytes.extend(data);
        bytes
    }

    #[test]
    fn pcm_and_g711_are_read_even_where_the_length_is_a_lie() {
        let pcm = read(&wav(1, 1, 16_000, 16, &[1, 0, 0xff, 0xff, 9])).unwrap();
        assert_eq!(pcm, Wave { rate: 16_000, samples: vec![1, -1] });
        assert_eq!(read(&wav(1, 2, 8_000, 16, &[2, 0, 4, 0])).unwrap().samples, [3]);
        assert_eq!(read(&wav(7, 1, 8_000, 8, &[0xff])).unwrap().samples, [Codec::Pcmu.decode(0xff)]);
        assert_eq!(read(&wav(6, 1, 8_000, 8, &[0xd5])).unwrap().samples, [Codec::Pcma.decode(0xd5)]);
    }

    #[test]
    fn anything_else_is_refused_and_never_panics() {
        assert_eq!(read(b""), Err(WavError::NoWav));
        assert_eq!(read(b"RIFF\0\0\0\0WAVEdata\0\0\0\0"), Err(WavError::NoWav));
        assert_eq!(read(&wav(3, 1, 8_000, 32, &[])), Err(WavError::Format));
        assert_eq!(read(&wav(1, 6, 8_000, 16, &[])), Err(WavError::Format));
        assert_eq!(read(&wav(1, 1, 192_000, 16, &[])), Err(WavError::Rate));
        let whole = wav(1, 1, 8_000, 16, &[1, 0, 2, 0]);
        for cut in 0..whole.len() {
            assert!(read(&whole[..cut]).is_ok_and(|wave| wave.samples.len() <= 2) || cut < whole.len());
        }
    }
}
