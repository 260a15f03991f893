//! Bytes that nobody outside can foresee, for WebSockets that we open (RFC 6455 §5.3, §10.3).

use std::hash::{BuildHasher, RandomState};

/// A row of them: a keyed hash, whose key comes from the operating system, of a number that rises.
#[derive(Debug, Clone, Default)]
pub(super) struct Keys {
    key: RandomState,
    drawn: u64,
}

impl Keys {
    /// The next ones.
    pub(super) fn draw<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        for part in bytes.chunks_mut(8) {
            self.drawn += 1;
            part.copy_from_slice(&self.key.hash_one(self.drawn).to_ne_bytes()[..part.len()]);
        }
        bytes
    }
}
