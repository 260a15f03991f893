//! Stereo recordings: PCM16 at 8 kHz, left what a party sent, right what it heard.

use baton_party::{RATE, Record};

/// Writes the recording of one party, both sides beginning at the origin of the story.
pub(crate) fn stereo(record: &Record) -> Vec<u8> {
    let (sent, heard) = (record.sent.samples(), record.heard.samples());
    let length = sent.len().max(heard.len());
    let at = |side: &[i16], index: usize| side.get(index).copied().unwrap_or(0);
    let mut bytes = header(length * 4, 2, RATE);
    for index in 0..length {
        bytes.extend_from_slice(&at(sent, index).to_le_bytes());
        bytes.extend_from_slice(&at(heard, index).to_le_bytes());
    }
    bytes
}

/// The samples of a shipped mono µ-law WAV; none if it is no such file.
pub(crate) fn mulaw(wav: &[u8]) -> Vec<i16> {
    let data = wav.windows(4).position(|window| window == b"data").and_then(|at| wav.get(at + 8..));
    data.unwrap_or_default().iter().map(|byte| baton_party::g711::decode(*byte)).collect()
}

fn header(data_bytes: usize, channels: u16, rate: u32) -> Vec<u8> {
    let data_bytes = u32::try_from(data_bytes).unwrap_or(u32::MAX - 36);
    let frame = channels * 2;
    let mut bytes = Vec::with_capacity(44 + data_bytes as usize);
    bytes.extend_from_slice(b"RIFF");
    bytes.extend_from_slice(&(data_bytes + 36).to_le_bytes());
    bytes.extend_from_slice(b"WAVEfmt ");
    bytes.extend_from_slice(&16_u32.to_le_bytes());
    bytes.extend_from_slice(&1_u16.to_le_bytes());
    bytes.extend_from_slice(&channels.to_le_bytes());
    bytes.extend_from_slice(&rate.to_le_bytes());
    bytes.extend_from_slice(&(rate * u32::from(frame)).to_le_bytes());
    bytes.extend_from_slice(&frame.to_le_bytes());
    bytes.extend_from_slice(&16_u16.to_le_bytes());
    bytes.extend_from_slice(b"data");
    bytes.extend_from_slice(&data_bytes.to_le_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use baton_party::Track;
    use baton_time::Mono;

    use super::*;

    #[test]
    fn another_reader_finds_sent_on_the_left_and_heard_on_the_right() {
        let mut record = Record { sent: Track::new(Mono::ZERO), heard: Track::new(Mono::ZERO), ..Record::default() };
        record.sent.lay(0, &[1, 2]);
        record.heard.lay(1, &[-7, -8]);
        let bytes = stereo(&record);
        let mut reader = hound::WavReader::new(bytes.as_slice()).unwrap();
        assert_eq!((reader.spec().channels, reader.spec().sample_rate, reader.spec().bits_per_sample), (2, 8_000, 16));
        let samples: Vec<i16> = reader.samples().map(Result::unwrap).collect();
        assert_eq!(samples, [1, 0, 2, -7, 0, -8]);
    }
}
