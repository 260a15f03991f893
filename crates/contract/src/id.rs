//! Names for calls, legs, transfers and callbacks: UUIDv7 behind a prefix, so that they sort by time and say what they are.

use std::fmt;
use std::str::FromStr;

use baton_time::Wall;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::{Builder, Uuid};

/// A text that is not an id of the kind that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an id of this kind is `{prefix}` and 32 hexadecimal digits")]
pub struct IdError {
    prefix: &'static str,
}

macro_rules! id {
    ($name:ident, $prefix:literal, $what:literal) => {
        #[doc = concat!("Names ", $what, "; written `", $prefix, "` and 32 hexadecimal digits.")]
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// Makes a new id from the seeded source.
            pub fn new(ids: &mut IdSource, now: Wall) -> Self {
                Self(ids.uuid(now))
            }

            /// The id as a bare UUID.
            pub fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($prefix)?;
                f.write_str(self.0.simple().encode_lower(&mut [0; 32]))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let wrong = IdError { prefix: $prefix };
                let digits = text.strip_prefix($prefix).ok_or(wrong.clone())?;
                if digits.len() != 32 {
                    return Err(wrong);
                }
                Uuid::try_parse(digits).map(Self).map_err(|_| wrong)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id!(CallId, "c_", "a call");
id!(LegId, "l_", "a leg");
id!(TransferId, "t_", "a transfer");
id!(CallbackId, "cb_", "a callback");

/// Makes ids, tags and branches from a seed: the same seed gives the same names.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct IdSource {
    state: u64,
}

impl IdSource {
    /// Starts from `seed`; production seeds from the operating system, tests from a number.
    pub fn seeded(seed: u64) -> IdSource {
        IdSource { state: seed }
    }

    /// Sixty-four pseudo-random bits (SplitMix64).
    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn uuid(&mut self, now: Wall) -> Uuid {
        let mut random = [0; 10];
        random[..8].copy_from_slice(&self.bits().to_be_bytes());
        random[8..].copy_from_slice(&self.bits().to_be_bytes()[..2]);
        Builder::from_unix_timestamp_millis(now.as_unix_millis(), &random).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_back_as_it_was_written() {
        let id = CallId::new(&mut IdSource::seeded(7), Wall::from_seconds(1_700_000_000));
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!(id.to_string().starts_with("c_"));
    }

    #[test]
    fn an_id_of_another_kind_is_refused() {
        let id = CallId::new(&mut IdSource::seeded(7), Wall::from_seconds(1));
        assert!(id.to_string().parse::<TransferId>().is_err());
        assert!("c_xyz".parse::<CallId>().is_err());
    }

    #[test]
    fn ids_sort_by_time() {
        let mut ids = IdSource::seeded(3);
        let early = CallId::new(&mut ids, Wall::from_seconds(10));
        let late = CallId::new(&mut ids, Wall::from_seconds(11));
        assert!(early < late);
    }
}
