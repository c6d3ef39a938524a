//! Which algorithms to offer: our defaults, the user's `KexAlgorithms` and the like, and what `known_hosts` knows.

use std::borrow::Cow;

use russh::keys::{Algorithm, EcdsaCurve, HashAlg};
use russh::{Preferred, cipher, kex};

use crate::failure::{Reason, Unreachable};
use crate::known_hosts::HostRecords;
use crate::ssh_config::SshOptions;
use crate::wildcard::{self, ListMatch};

/// `aes128-gcm` has no place in the library's own default list; it is as good as the others where a server asks.
const CIPHERS: &[cipher::Name] = &[
    // AES-GCM first: with AES instructions it is a quarter faster than ChaCha20 on both sides.
    cipher::AES_256_GCM,
    cipher::AES_128_GCM,
    cipher::CHACHA20_POLY1305,
    cipher::AES_256_CTR,
    cipher::AES_192_CTR,
    cipher::AES_128_CTR,
];

/// What a user may add to or choose from beyond the defaults. Nothing with SHA-1, CBC or no protection at all: the
/// inventory of a fleet is not the place to switch those on.
const KEX_EXTRA: &[kex::Name] = &[
    kex::ECDH_SHA2_NISTP256,
    kex::ECDH_SHA2_NISTP384,
    kex::ECDH_SHA2_NISTP521,
];

/// The negotiation parts that only look like algorithms and must stay whatever the user chooses.
const KEX_MARKS: &[kex::Name] = &[
    kex::EXTENSION_SUPPORT_AS_CLIENT,
    kex::EXTENSION_SUPPORT_AS_SERVER,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_SERVER,
];

/// Host key algorithms in our order of preference; no SHA-1.
fn host_key_defaults() -> Vec<Algorithm> {
    vec![
        Algorithm::Ed25519,
        Algorithm::Ecdsa {
            curve: EcdsaCurve::NistP256,
        },
        Algorithm::Ecdsa {
            curve: EcdsaCurve::NistP384,
        },
        Algorithm::Ecdsa {
            curve: EcdsaCurve::NistP521,
        },
        Algorithm::Rsa {
            hash: Some(HashAlg::Sha512),
        },
        Algorithm::Rsa {
            hash: Some(HashAlg::Sha256),
        },
    ]
}

/// The offer for one host.
pub(crate) fn preferred(
    options: &SshOptions,
    records: &HostRecords,
) -> Result<Preferred, Unreachable> {
    let (marks, kex_defaults): (Vec<_>, Vec<_>) = Preferred::DEFAULT
        .kex
        .iter()
        .copied()
        .partition(|name| KEX_MARKS.contains(name));
    let kex_all: Vec<_> = kex_defaults.iter().chain(KEX_EXTRA).copied().collect();
    let mut kex = choose(
        "KexAlgorithms",
        options.kex_algorithms.as_deref(),
        &kex_defaults,
        &kex_all,
    )?;
    kex.extend(marks);
    let ciphers = choose("Ciphers", options.ciphers.as_deref(), CIPHERS, CIPHERS)?;
    let macs = choose(
        "MACs",
        options.macs.as_deref(),
        &Preferred::DEFAULT.mac,
        &Preferred::DEFAULT.mac,
    )?;

    let defaults = host_key_defaults();
    let mut keys = choose(
        "HostKeyAlgorithms",
        options.host_key_algorithms.as_deref(),
        &defaults,
        &defaults,
    )?;
    let known = records.key_algorithms();
    // Stable: the order within the known and within the others stays.
    keys.sort_by_key(|algorithm| !known.contains(algorithm));
    let certificates = if records.has_authority() {
        keys.clone()
    } else {
        Vec::new()
    };
    Ok(Preferred {
        kex: Cow::Owned(kex),
        key: Cow::Owned(keys),
        host_key_certificates: Cow::Owned(certificates),
        cipher: Cow::Owned(ciphers),
        mac: Cow::Owned(macs),
        // Attack surface and CPU for nothing on a local network; agents are sent once per host.
        compression: Cow::Borrowed(&[russh::compression::NONE]),
    })
}

/// Applies a list in OpenSSH's form: `a,b` replaces, `+a` appends, `-a*` removes, `^a` puts first. Names that we do not
/// have are passed over; a list with none that we have is an error.
fn choose<T>(
    option: &str,
    spec: Option<&str>,
    defaults: &[T],
    all: &[T],
) -> Result<Vec<T>, Unreachable>
where
    T: AsRef<str> + Clone + PartialEq,
{
    let Some(spec) = spec else {
        return Ok(defaults.to_vec());
    };
    let (mode, names) = match spec.chars().next() {
        Some(mode @ ('+' | '-' | '^')) => (mode, &spec[1..]),
        _ => ('=', spec),
    };
    let named: Vec<T> = names
        .split(',')
        .flat_map(|pattern| {
            all.iter()
                .filter(move |a| wildcard::matches(pattern, a.as_ref()))
        })
        .cloned()
        .collect();
    let removed =
        |name: &T| wildcard::matches_list(names.split(','), name.as_ref()) == ListMatch::Yes;
    let ordered: Vec<T> = match mode {
        '+' => defaults.iter().cloned().chain(named).collect(),
        '-' => defaults
            .iter()
            .filter(|name| !removed(name))
            .cloned()
            .collect(),
        '^' => named.into_iter().chain(defaults.iter().cloned()).collect(),
        _ => named,
    };
    let mut chosen: Vec<T> = Vec::new();
    for name in ordered {
        if !chosen.contains(&name) {
            chosen.push(name);
        }
    }
    if chosen.is_empty() {
        let have = all.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(", ");
        return Err(Unreachable::new(
            Reason::Config,
            format!("`{option} {spec}` leaves no algorithm that is supported here ({have})"),
        ));
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_follow_ssh_config() {
        let all = ["a1", "a2", "b", "c"];
        let defaults = ["a1", "a2", "b"];
        let pick = |spec| choose("X", spec, &defaults, &all).map(|v| v.join(","));
        assert_eq!(pick(None).as_deref(), Ok("a1,a2,b"));
        assert_eq!(pick(Some("c,zz,a1")).as_deref(), Ok("c,a1"));
        assert_eq!(pick(Some("+c")).as_deref(), Ok("a1,a2,b,c"));
        assert_eq!(pick(Some("-a*")).as_deref(), Ok("b"));
        assert_eq!(pick(Some("^b")).as_deref(), Ok("b,a1,a2"));
        assert_eq!(pick(Some("zz")).map_err(|e| e.reason), Err(Reason::Config));
    }
}
