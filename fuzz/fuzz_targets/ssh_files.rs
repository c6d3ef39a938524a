//! `known_hosts`, `ssh_config` and the options that Ansible variables hold: `HOST\0OPTIONS\0FILE`.
#![no_main]

use std::fs;
use std::path::Path;

use hostler_transport::known_hosts::{HostName, KnownHostsFile};
use hostler_transport::ssh_config::{LocalUser, SshConfig, SshOptions, split_shell_words};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &str| {
    let mut parts = data.splitn(3, '\0');
    let host = parts.next().unwrap_or_default();
    let options = parts.next().unwrap_or_default();
    let text = parts.next().unwrap_or_default();

    let known = KnownHostsFile::parse(Path::new("known_hosts"), text);
    for name in [
        HostName::new(host, 22),
        HostName::new(host, 2222),
        HostName::alias(host),
    ] {
        known.records_for(&name).count();
    }

    let _not_words = split_shell_words(options);
    let mut wanted = SshOptions::default();
    let _not_options = wanted.apply_cli_options(options);

    // The reader wants a file, and may include others: none that the fuzzer names.
    if !text.to_lowercase().contains("include") {
        let local = LocalUser {
            home: "/nonexistent".into(),
            name: "me".into(),
            uid: 1000,
            hostname: "here".into(),
        };
        let path = format!("/dev/shm/hostler-fuzz-{}", std::process::id());
        fs::write(&path, text).expect("a file in memory");
        let (config, _) = SshConfig::load(Path::new(&path), &local);
        config.apply(host, &mut wanted);
    }
});
