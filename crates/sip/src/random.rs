//! Names that nobody can guess, from a seed.

use sha2::{Digest, Sha256};

/// A stream of numbers that follows from its seed alone, and from which the seed cannot be found: SHA-256 over seed and counter.
#[derive(Debug, Clone)]
pub(crate) struct Random {
    seed: u64,
    counter: u64,
    block: [u64; 4],
    left: usize,
}

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random { seed, counter: 0, block: [0; 4], left: 0 }
    }

    /// The next number.
    pub(crate) fn draw(&mut self) -> u64 {
        if self.left == 0 {
            self.refill();
        }
        self.left -= 1;
        self.block[self.left]
    }

    /// A number below `end`, which must not be 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.draw() % end
    }

    /// 16 hexadecimal digits.
    pub(crate) fn token(&mut self) -> String {
        token(self.draw())
    }

    fn refill(&mut self) {
        let digest = Sha256::new().chain_update(b"baton sip names").chain_update(self.seed.to_be_bytes());
        let digest = digest.chain_update(self.counter.to_be_bytes()).finalize();
        self.counter += 1;
        for (number, bytes) in self.block.iter_mut().zip(digest.chunks_exact(8)) {
            *number = bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        }
        self.left = self.block.len();
    }
}

/// How a number is written in tags and branches.
pub(crate) fn token(number: u64) -> String {
    hex::encode(number.to_be_bytes())
}

/// The number that [`token`] wrote; none for anything else.
pub(crate) fn number(token: &str) -> Option<u64> {
    let ours = token.len() == 16 && token.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    ours.then(|| u64::from_str_radix(token, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_names_and_another_seed_others() {
        let names = |seed| {
            std::iter::repeat_with(|| 0).scan(Random::new(seed), |random, _| Some(random.token())).take(9).collect::<Vec<_>>()
        };
        assert_eq!(names(7), names(7));
        assert_ne!(names(7), names(8));
    }

    #[test]
    fn only_names_of_our_own_shape_are_read_back() {
        assert_eq!(number(&token(42)), Some(42));
        assert_eq!(number(&token(u64::MAX)), Some(u64::MAX));
        for strange in ["", "2a", "000000000000002A", "+00000000000002a", "000000000000002ä"] {
            assert_eq!(number(strange), None, "{strange}");
        }
    }
}
