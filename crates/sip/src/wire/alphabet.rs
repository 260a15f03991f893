//! The alphabet: which bytes may stand where (RFC 3261 §25.1), as one table that all readers share.

/// A part of the alphabet.
pub(super) type Class = u16;

pub(super) const TOKEN: Class = 1;
/// A host name; `_` is not in the grammar but in many a network.
pub(super) const HOST: Class = 1 << 1;
/// The user part of a SIP URI; `#` is not in the grammar but on every keypad.
pub(super) const USER: Class = 1 << 2;
/// Name or value of a URI's parameter.
pub(super) const PARAM: Class = 1 << 3;
/// A parameter of a header: whatever cannot be mistaken for the end of it. The grammar allows less, peers write more.
pub(super) const VALUE: Class = 1 << 4;
pub(super) const BLANK: Class = 1 << 5;
pub(super) const DIGIT: Class = 1 << 6;
/// What may stand in a URI at all.
pub(super) const VISIBLE: Class = 1 << 7;
/// [`USER`] without escapes and without what may also be the end of a host.
pub(super) const PLAIN_USER: Class = 1 << 8;
/// [`PARAM`] without escapes.
pub(super) const PLAIN_PARAM: Class = 1 << 9;
/// What stands between quotes and neither ends them nor is a control character.
pub(super) const QUOTED: Class = 1 << 10;

static CLASSES: [Class; 256] = classes();

const fn classes() -> [Class; 256] {
    let mut table = [0; 256];
    let mut byte = 0x20;
    while byte < 256 {
        if byte != 0x7f && !matches!(byte as u8, b'"' | b'\\') {
            table[byte] |= QUOTED;
        }
        byte += 1;
    }
    let mut byte = 0x21;
    while byte < 0x7f {
        if !matches!(byte as u8, b';' | b',' | b'"' | b'<' | b'>') {
            table[byte] |= VALUE;
        }
        if !matches!(byte as u8, b'"' | b'<' | b'>') {
            table[byte] |= VISIBLE;
        }
        if (byte as u8).is_ascii_digit() {
            table[byte] |= DIGIT;
        }
        if (byte as u8).is_ascii_alphanumeric() {
            table[byte] |= TOKEN | HOST | USER | PARAM | PLAIN_USER | PLAIN_PARAM;
        }
        byte += 1;
    }
    let table = add(add(add(table, b" \t", BLANK), b"-.!%*_+`'~", TOKEN), b"-._", HOST);
    let table = add(add(table, b";?/%", USER), b"-_.!~*'()&=+$,#", USER | PLAIN_USER);
    add(add(table, b"%", PARAM), b"-_.!~*'()[]/:&+$#", PARAM | PLAIN_PARAM)
}

const fn add(mut table: [Class; 256], bytes: &[u8], class: Class) -> [Class; 256] {
    let mut at = 0;
    while at < bytes.len() {
        table[bytes[at] as usize] |= class;
        at += 1;
    }
    table
}

/// Whether a byte is of a class.
#[inline(always)]
pub(super) fn is(byte: u8, class: Class) -> bool {
    CLASSES[usize::from(byte)] & class != 0
}

/// Whether all of `text` is of a class.
#[inline]
pub(super) fn all(text: &str, class: Class) -> bool {
    // Without a way out in the middle: texts are short, and most are right.
    text.bytes().fold(class, |left, byte| left & CLASSES[usize::from(byte)]) != 0
}

/// Where the bytes of a class end that begin at `from`.
#[inline(always)]
pub(super) fn run(bytes: &[u8], from: usize, class: Class) -> usize {
    stop(bytes, from, class).0
}

/// The same, and the byte that stands there; NUL, which is of no class, behind the last.
#[inline(always)]
pub(super) fn stop(bytes: &[u8], from: usize, class: Class) -> (usize, u8) {
    let mut at = from;
    // Eight at a time need one look at where the bytes end.
    while let Some(eight) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        for (place, byte) in eight.iter().enumerate() {
            if !is(*byte, class) {
                return (at + place, *byte);
            }
        }
        at += 8;
    }
    stop_at_end(bytes, at, class)
}

/// The same for the last bytes.
#[inline(never)]
fn stop_at_end(bytes: &[u8], from: usize, class: Class) -> (usize, u8) {
    let mut at = from;
    loop {
        match bytes.get(at) {
            Some(byte) if is(*byte, class) => at += 1,
            byte => return (at, byte.copied().unwrap_or_default()),
        }
    }
}

/// Every byte a one.
const ONES: u64 = u64::from_ne_bytes([1; 8]);
/// The highest bit of every byte.
const HIGH: u64 = ONES << 7;

/// Where the first byte from `from` on stands that is below `least`, no ASCII, or DEL: eight are looked at at a time.
#[inline(always)]
pub(super) fn printable(bytes: &[u8], from: usize, least: u8) -> usize {
    let mut at = from;
    while let Some(eight) = bytes.get(at..).and_then(|rest| rest.first_chunk()) {
        let word = u64::from_le_bytes(*eight);
        // What is borrowed or carried only goes to bytes behind the first that is found.
        let odd = (word.wrapping_sub(ONES * u64::from(least)) | word.wrapping_add(ONES) | word) & HIGH;
        if odd != 0 {
            return at + odd.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    while bytes.get(at).is_some_and(|byte| (least..0x7f).contains(byte)) {
        at += 1;
    }
    at
}

/// The bits before the highest one of the first byte of a word (which begins with its lowest) that is zero; none if there is no such byte.
#[inline(always)]
pub(super) fn before_zero(word: u64) -> Option<u64> {
    let zero = word.wrapping_sub(ONES) & !word & HIGH;
    (zero != 0).then(|| ((zero & zero.wrapping_neg()) - 1) >> 7)
}
