//! Random choices. With a seed they are those of Python's `random` module, so that a schedule spread over hosts by
//! `59 | random(seed=inventory_hostname)` stays where it was.

use sha2::{Digest, Sha512};

use crate::context::Cx;
use crate::fail::Res;
use crate::text;
use crate::value::Val;

const N: usize = 624;

/// The Mersenne Twister MT19937.
pub(crate) struct Random {
    state: [u32; N],
    at: usize,
}

impl Random {
    /// Seeded as Python's `Random(seed)`; without a seed, from the clock and the process.
    pub(crate) fn new(cx: &Cx<'_>, seed: Option<&Val>) -> Res<Random> {
        let words = match seed {
            None => {
                let now = std::time::SystemTime::now()
                    .duration_since(std::time::UNIX_EPOCH)
                    .map_or(0, |since| since.as_nanos());
                let place = std::ptr::from_ref(&now).addr();
                digest_words(&[now.to_be_bytes().as_slice(), &place.to_be_bytes()].concat())
            }
            Some(Val::Int(int)) => {
                let mut rest = int.unsigned_abs();
                let mut words = Vec::new();
                while rest > 0 {
                    words.push(u32::try_from(rest & u128::from(u32::MAX)).unwrap_or(0));
                    rest >>= 32;
                }
                if words.is_empty() { vec![0] } else { words }
            }
            Some(other) => digest_words(text::str(cx, other)?.as_bytes()),
        };
        Ok(Random::seeded(&words))
    }

    fn seeded(key: &[u32]) -> Random {
        let mut state = [0_u32; N];
        state[0] = 19_650_218;
        for i in 1..N {
            let before = state[i - 1];
            state[i] = 1_812_433_253_u32
                .wrapping_mul(before ^ (before >> 30))
                .wrapping_add(index_word(i));
        }
        let (mut i, mut j) = (1, 0);
        for _ in 0..N.max(key.len()) {
            let before = state[i - 1];
            state[i] = (state[i] ^ (before ^ (before >> 30)).wrapping_mul(1_664_525))
                .wrapping_add(key[j])
                .wrapping_add(index_word(j));
            i += 1;
            j = (j + 1) % key.len();
            if i == N {
                state[0] = state[N - 1];
                i = 1;
            }
        }
        for _ in 0..N - 1 {
            let before = state[i - 1];
            state[i] = (state[i] ^ (before ^ (before >> 30)).wrapping_mul(1_566_083_941))
                .wrapping_sub(index_word(i));
            i += 1;
            if i == N {
                state[0] = state[N - 1];
                i = 1;
            }
        }
        state[0] = 0x8000_0000;
        Random { state, at: N }
    }

    fn next(&mut self) -> u32 {
        if self.at == N {
            for i in 0..N {
                let mixed = (self.state[i] & 0x8000_0000) | (self.state[(i + 1) % N] & 0x7fff_ffff);
                let twist = if mixed & 1 == 0 { 0 } else { 0x9908_b0df };
                self.state[i] = self.state[(i + 397) % N] ^ (mixed >> 1) ^ twist;
            }
            self.at = 0;
        }
        let mut word = self.state[self.at];
        self.at += 1;
        word ^= word >> 11;
        word ^= (word << 7) & 0x9d2c_5680;
        word ^= (word << 15) & 0xefc6_0000;
        word ^ (word >> 18)
    }

    /// A number below `bound`, which is at least 1: Python's `_randbelow`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let bits = usize::BITS - bound.leading_zeros();
        loop {
            let drawn = if bits <= 32 {
                u64::from(self.next() >> (32 - bits.max(1)))
            } else {
                let low = u64::from(self.next());
                let high = u64::from(self.next() >> (64 - bits));
                low | (high << 32)
            };
            if let Ok(drawn) = usize::try_from(drawn)
                && drawn < bound
            {
                return drawn;
            }
        }
    }
}

fn index_word(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// Python's second seeding version: the text and its SHA-512 as one big number, lowest word first.
fn digest_words(bytes: &[u8]) -> Vec<u32> {
    let mut all = bytes.to_vec();
    all.extend(Sha512::digest(bytes));
    let words = all.rchunks(4).map(|chunk| {
        chunk
            .iter()
            .fold(0, |word: u32, byte| (word << 8) | u32::from(*byte))
    });
    let mut words: Vec<u32> = words.collect();
    while words.len() > 1 && words.last() == Some(&0) {
        words.pop();
    }
    words
}
