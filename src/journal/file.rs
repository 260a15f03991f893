//! How lines lie in the file: length, checksum, kind, bytes. A tail that was torn off is not read.

use std::io::{self, Read};

/// What a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Head,
    Common,
    Call,
    Gone,
    Marks,
    Phones,
}

/// The longest line that is believed, in octets.
const LINE_MAX: usize = 4 << 20;

impl Kind {
    const ALL: [Kind; 6] = [Kind::Head, Kind::Common, Kind::Call, Kind::Gone, Kind::Marks, Kind::Phones];

    fn octet(self) -> u8 {
        self as u8 + 1
    }
}

/// Appends a line to `buffer`; the parts are its last octets.
pub(super) fn append(buffer: &mut Vec<u8>, kind: Kind, parts: [&[u8]; 2]) {
    let length = parts[0].len() + parts[1].len();
    buffer.extend(u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
    buffer.extend(checksum(kind, parts).to_le_bytes());
    buffer.push(kind.octet());
    parts.iter().for_each(|part| buffer.extend_from_slice(part));
}

/// Reads the next line; none at the end, or where it is not whole.
pub(super) fn next(file: &mut impl Read) -> io::Result<Option<(Kind, Vec<u8>)>> {
    let mut head = [0; 9];
    if let Err(fault) = file.read_exact(&mut head) {
        return if fault.kind() == io::ErrorKind::UnexpectedEof { Ok(None) } else { Err(fault) };
    }
    let word = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let length = word(0) as usize;
    let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.octet() == head[8]).filter(|_| length <= LINE_MAX) else {
        return Ok(None);
    };
    let mut bytes = vec![0; length];
    if let Err(fault) = file.read_exact(&mut bytes) {
        return if fault.kind() == io::ErrorKind::UnexpectedEof { Ok(None) } else { Err(fault) };
    }
    Ok((checksum(kind, [&bytes, &[]]) == word(4)).then_some((kind, bytes)))
}

/// Finds what was torn, not what was forged. Eight octets are taken at a time: a journal is read while callers wait.
fn checksum(kind: Kind, parts: [&[u8]; 2]) -> u32 {
    const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;
    let mix = |sum: u64, word: u64| (sum ^ word).wrapping_mul(FACTOR).rotate_left(29);
    let mut sum = mix(0, u64::from(kind.octet()));
    let mut rest = [0; 8];
    let mut have = 0;
    for part in parts {
        // What the first part leaves over is filled up from the second one: how a line was cut in two makes no difference.
        let (filling, part) = part.split_at(part.len().min((8 - have) % 8));
        rest[have..have + filling.len()].copy_from_slice(filling);
        have += filling.len();
        if have == 8 {
            (sum, have) = (mix(sum, u64::from_le_bytes(rest)), 0);
        }
        let (words, left) = part.as_chunks::<8>();
        sum = words.iter().fold(sum, |sum, word| mix(sum, u64::from_le_bytes(*word)));
        rest[have..have + left.len()].copy_from_slice(left);
        have += left.len();
    }
    rest[have..].fill(0);
    let sum = mix(mix(sum, u64::from_le_bytes(rest)), have as u64);
    (sum ^ (sum >> 32)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_they_were_written_up_to_where_the_file_was_torn() {
        let mut bytes = Vec::new();
        append(&mut bytes, Kind::Head, [b"one", b""]);
        append(&mut bytes, Kind::Call, [b"id", b"call"]);
        let whole = bytes.len();
        append(&mut bytes, Kind::Gone, [b"id", b""]);
        for end in whole..bytes.len() {
            let mut file = &bytes[..end];
            assert_eq!(next(&mut file).unwrap(), Some((Kind::Head, b"one".to_vec())));
            assert_eq!(next(&mut file).unwrap(), Some((Kind::Call, b"idcall".to_vec())));
            assert_eq!(next(&mut file).unwrap(), None, "{end}");
        }
    }

    #[test]
    fn a_line_is_the_same_wherever_it_is_cut_in_two() {
        let text: Vec<u8> = (0..40).collect();
        let whole = checksum(Kind::Call, [&text, b""]);
        for cut in 0..=text.len() {
            assert_eq!(checksum(Kind::Call, [&text[..cut], &text[cut..]]), whole, "{cut}");
        }
        assert_ne!(checksum(Kind::Call, [&text[..39], b""]), checksum(Kind::Call, [&text[..39], b"\0"]), "nothing is not zero");
    }

    #[test]
    fn a_line_with_one_wrong_bit_is_not_believed() {
        let mut bytes = Vec::new();
        append(&mut bytes, Kind::Call, [b"id", b"call"]);
        for place in 0..bytes.len() {
            let mut wrong = bytes.clone();
            wrong[place] ^= 1;
            assert_eq!(next(&mut &wrong[..]).unwrap(), None, "{place}");
        }
    }
}
