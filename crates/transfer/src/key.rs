//! Keys of a telephone.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A key of a telephone: `0` to `9`, `*` or `#`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "char", into = "char")]
pub struct Key(char);

/// A text that is not one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key is one of 0 1 2 3 4 5 6 7 8 9 * #")]
pub struct KeyError;

impl Key {
    /// `1`
    pub const ONE: Key = Key('1');
    /// `2`
    pub const TWO: Key = Key('2');
    /// `3`
    pub const THREE: Key = Key('3');
    /// `9`
    pub const NINE: Key = Key('9');
    /// `*`
    pub const STAR: Key = Key('*');
    /// `#`
    pub const HASH: Key = Key('#');

    /// The twelve keys, in the order of [`Key::index`].
    pub const ALL: [Key; 12] = {
        let signs = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '*', '#'];
        let mut keys = [Key('0'); 12];
        let mut at = 0;
        while at < 12 {
            keys[at] = Key(signs[at]);
            at += 1;
        }
        keys
    };

    /// The sign on the key.
    pub const fn sign(self) -> char {
        self.0
    }

    pub(crate) fn index(self) -> usize {
        match self.0 {
            '*' => 10,
            '#' => 11,
            digit => digit as usize - '0' as usize,
        }
    }
}

impl TryFrom<char> for Key {
    type Error = KeyError;

    fn try_from(sign: char) -> Result<Key, KeyError> {
        if sign.is_ascii_digit() || sign == '*' || sign == '#' { Ok(Key(sign)) } else { Err(KeyError) }
    }
}

impl From<Key> for char {
    fn from(key: Key) -> char {
        key.0
    }
}

impl FromStr for Key {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Key, KeyError> {
        let mut signs = text.chars();
        match (signs.next(), signs.next()) {
            (Some(sign), None) => Key::try_from(sign),
            (Some(_) | None, _) => Err(KeyError),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_one_sign_of_the_telephone() {
        for (at, key) in Key::ALL.into_iter().enumerate() {
            assert_eq!(key.to_string().parse(), Ok(key));
            assert_eq!(key.index(), at);
        }
        for text in ["", "12", "A", "١", " 1"] {
            assert_eq!(text.parse::<Key>(), Err(KeyError), "{text:?}");
        }
    }
}
