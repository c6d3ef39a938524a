//! The agent binary, built and embedded at compile time.
//!
//! It is built for the controller's own architecture. In a debug build it is optimised little, so that changing a
//! module and trying it is quick; a release build embeds the small one.

/// The agent: a static executable.
pub static AGENT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/agent"));

include!(concat!(env!("OUT_DIR"), "/constants.rs"));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_static_executable_with_that_hash() {
        assert!(AGENT.starts_with(b"\x7fELF"));
        // A dynamic one names its loader.
        let loader = b"/ld-linux";
        assert!(!AGENT.windows(loader.len()).any(|window| window == loader));
        let bytes = SHA256_HEX.as_bytes().chunks(2);
        let bytes =
            bytes.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap());
        assert!(bytes.eq(SHA256));
    }

    /// It is pushed to every host. Only for the small one: `cargo test --release -p hostler-agent-image`.
    #[cfg(not(debug_assertions))]
    #[test]
    fn a_release_is_no_larger_than_what_is_accounted_for() {
        assert!(AGENT.len() <= 3 << 20, "{} bytes", AGENT.len());
    }

    /// glibc's functions that load the host's NSS libraries into a static program, which then may crash.
    #[cfg(not(debug_assertions))]
    #[test]
    fn a_release_does_not_ask_nss() {
        // In every function that asks for users or addresses.
        let library = b"libnss_";
        assert!(!AGENT.windows(library.len()).any(|it| it == library));
    }
}
