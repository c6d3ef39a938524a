//! Files of advisories: Debian's security tracker, OSV records. Whatever they hold is read or refused, and what was read can be
//! asked.
#![no_main]

use hostler_advisories::Index;
use hostler_updates::{Os, Scheme, compare};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut index = Index::default();
    if let Err(error) = index.read(data) {
        assert!(error.to_string().chars().count() < 400);
        return;
    }
    index.finish();
    for (id, version, codename) in [("debian", "12", "bookworm"), ("ubuntu", "22.04", "jammy")] {
        let os = Os {
            id: id.into(),
            version: version.into(),
            codename: codename.into(),
            ..Os::default()
        };
        for source in ["openssl", "linux"] {
            for fix in index.between(&os, source, "1", "5.15.0-112.122") {
                assert!(compare(Scheme::Deb, fix.version, "1").is_gt());
                assert!(compare(Scheme::Deb, fix.version, "5.15.0-112.122").is_le());
            }
        }
    }
});
