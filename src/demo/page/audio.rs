//! Players with the recordings inside: stereo µ-law WAV in base64, which browsers play and which is half as long as PCM.

use baton_party::{Record, g711};
use maud::{Markup, html};

use super::{Span, colour, name};
use crate::demo::evidence::{Evidence, Part};

pub(super) fn players(evidence: &Evidence, span: Span) -> Markup {
    html! {
        ul.players {
            @for (index, part) in evidence.parts.iter().enumerate() {
                @let recording = part_of(part, span);
                li {
                    span class={ "who " (colour(part)) } { (name(part)) }
                    @match recording {
                        Some((offset, wav)) => {
                            audio controls preload="metadata" data-offset=(format!("{offset:.3}")) data-main[index == 0] src={ "data:audio/wav;base64," (base64(&wav)) } {}
                        }
                        None => span.small { "was never connected" }
                    }
                }
            }
        }
    }
}

/// The recording from when the party was connected, and how long after the beginning of the story that was, in seconds.
fn part_of(part: &Part, span: Span) -> Option<(f64, Vec<u8>)> {
    let packets = part.record.rtp_sent.iter().chain(&part.record.rtp_received);
    let (first, last) = packets.fold(None, |ends, packet| {
        let (first, last) = ends.unwrap_or((packet.at, packet.at));
        Some((first.min(packet.at), last.max(packet.at)))
    })?;
    let place = |at| part.record.sent.place(at);
    Some((span.seconds(first), mulaw_stereo(&part.record, place(first), place(last))))
}

/// RFC 3550 §4.5's PCMU in a RIFF file: format tag 7.
fn mulaw_stereo(record: &Record, from: usize, to: usize) -> Vec<u8> {
    let frames = (to.saturating_sub(from)) as u32;
    let mut wav = b"RIFF".to_vec();
    wav.extend_from_slice(&(frames * 2 + 50).to_le_bytes());
    wav.extend_from_slice(b"WAVEfmt ");
    for number in [18_u32, 7 | 2 << 16, 8_000, 16_000, 2 | 8 << 16] {
        wav.extend_from_slice(&number.to_le_bytes());
    }
    wav.extend_from_slice(&0_u16.to_le_bytes());
    wav.extend_from_slice(b"fact");
    wav.extend_from_slice(&4_u32.to_le_bytes());
    wav.extend_from_slice(&frames.to_le_bytes());
    wav.extend_from_slice(b"data");
    wav.extend_from_slice(&(frames * 2).to_le_bytes());
    let at = |side: &[i16], place: usize| g711::encode(side.get(place).copied().unwrap_or(0));
    for place in from..to {
        wav.push(at(record.sent.samples(), place));
        wav.push(at(record.heard.samples(), place));
    }
    wav
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let word = (0..3).fold(0_u32, |word, index| word << 8 | u32::from(group.get(index).copied().unwrap_or(0)));
        for index in 0..4 {
            let letter = LETTERS[(word >> (18 - 6 * index) & 63) as usize];
            text.push(if index <= group.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_rfc_4648() {
        let pairs = [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy")];
        for (plain, coded) in pairs {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }

    #[test]
    fn the_wav_says_its_true_length() {
        let wav = mulaw_stereo(&Record::default(), 100, 180);
        assert_eq!(wav.len(), 58 + 160);
        assert_eq!(u32::from_le_bytes([wav[4], wav[5], wav[6], wav[7]]) as usize, wav.len() - 8);
        assert_eq!(u32::from_le_bytes([wav[54], wav[55], wav[56], wav[57]]), 160);
    }
}
