//! SHA-crypt: the password hashes `$5$` and `$6$` of `/etc/shadow`, after Ulrich Drepper's specification
//! "Unix crypt using SHA-256 and SHA-512".

use sha2::{Digest, Sha256, Sha512};

/// The alphabet of crypt's base 64, in the order of its digits.
pub(crate) const ALPHABET: &[u8; 64] =
    b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Rounds that a hash without `rounds=` means.
const IMPLICIT_ROUNDS: u32 = 5000;

/// Which digest.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Sha256,
    Sha512,
}

impl Kind {
    /// Rounds where the user names none: those of passlib, which Ansible uses.
    pub(crate) fn default_rounds(self) -> u32 {
        match self {
            Kind::Sha256 => 535_000,
            Kind::Sha512 => 656_000,
        }
    }

    fn digest(self, parts: &[&[u8]]) -> Vec<u8> {
        fn run<D: Digest>(parts: &[&[u8]]) -> Vec<u8> {
            let mut digest = D::new();
            for part in parts {
                digest.update(part);
            }
            digest.finalize().to_vec()
        }
        match self {
            Kind::Sha256 => run::<Sha256>(parts),
            Kind::Sha512 => run::<Sha512>(parts),
        }
    }

    /// The order in which bytes are written, three to four digits.
    fn order(self) -> Vec<[usize; 3]> {
        let (step, groups, size) = match self {
            Kind::Sha256 => (10, 10, 30),
            Kind::Sha512 => (21, 21, 63),
        };
        let mut triple = [0, step, 2 * step];
        let mut order = Vec::with_capacity(groups);
        for _ in 0..groups {
            order.push(triple);
            // The specification's table: each column is followed by the next one, shifted.
            let next = match self {
                Kind::Sha256 => [triple[2] + 1, triple[0] + 1, triple[1] + 1],
                Kind::Sha512 => [triple[1] + 1, triple[2] + 1, triple[0] + 1],
            };
            triple = next.map(|at| at % size);
        }
        order
    }
}

/// `times` bytes of a digest repeated.
fn stretched(digest: &[u8], times: usize) -> Vec<u8> {
    digest.iter().copied().cycle().take(times).collect()
}

/// The hash as it stands in `/etc/shadow`.
pub(crate) fn hash(kind: Kind, password: &[u8], salt: &str, rounds: u32) -> String {
    let salt_bytes = salt.as_bytes();
    let b = kind.digest(&[password, salt_bytes, password]);
    let mut a: Vec<u8> = [password, salt_bytes, &stretched(&b, password.len())].concat();
    let mut bits = password.len();
    while bits > 0 {
        a.extend_from_slice(if bits & 1 == 1 { &b } else { password });
        bits >>= 1;
    }
    let a = kind.digest(&[&a]);
    let p = stretched(
        &kind.digest(&[&password.repeat(password.len())]),
        password.len(),
    );
    let s = stretched(
        &kind.digest(&[&salt_bytes.repeat(16 + usize::from(a[0]))]),
        salt.len(),
    );
    let mut c = a;
    for round in 0..rounds {
        let mut parts: Vec<&[u8]> = vec![if round % 2 == 1 { &p } else { &c }];
        if round % 3 != 0 {
            parts.push(&s);
        }
        if round % 7 != 0 {
            parts.push(&p);
        }
        parts.push(if round % 2 == 1 { &c } else { &p });
        c = kind.digest(&parts);
    }
    let mut out = String::from(if kind == Kind::Sha256 { "$5$" } else { "$6$" });
    if rounds != IMPLICIT_ROUNDS {
        out.push_str(&format!("rounds={rounds}$"));
    }
    out.push_str(salt);
    out.push('$');
    for [x, y, z] in kind.order() {
        digits(&mut out, c[x], c[y], c[z], 4);
    }
    match kind {
        Kind::Sha256 => digits(&mut out, 0, c[31], c[30], 3),
        Kind::Sha512 => digits(&mut out, 0, 0, c[63], 2),
    }
    out
}

fn digits(out: &mut String, high: u8, middle: u8, low: u8, count: usize) {
    let mut word = u32::from(high) << 16 | u32::from(middle) << 8 | u32::from(low);
    for _ in 0..count {
        out.push(char::from(ALPHABET[(word & 63) as usize]));
        word >>= 6;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Vectors of the specification.
    #[test]
    fn hashes_are_those_of_the_specification() {
        assert_eq!(
            hash(Kind::Sha512, b"Hello world!", "saltstring", 5000),
            "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1"
        );
        assert_eq!(
            hash(Kind::Sha256, b"Hello world!", "saltstring", 5000),
            "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"
        );
    }
}
