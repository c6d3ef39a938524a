//! Files and options that make no sense: readers must say so or pass over it, and never panic.

use std::fs;
use std::path::Path;

use hostler_transport::known_hosts::{HostName, KnownHostsFile};
use hostler_transport::ssh_config::{LocalUser, SshConfig, SshOptions, split_shell_words};
use proptest::prelude::*;

/// Lines made of the pieces that readers look for, in any order.
fn lines(pieces: &'static [&'static str]) -> impl Strategy<Value = String> {
    let piece =
        prop_oneof![4 => prop::sample::select(pieces).prop_map(str::to_owned), 1 => ".{0,8}"];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

const KNOWN_HOSTS: &[&str] = &[
    "|1|",
    "|",
    "=",
    "AAAA",
    "AAAAC3NzaC1lZDI1NTE5",
    "ssh-ed25519",
    " ",
    "\t",
    "\n",
    "@revoked",
    "@cert-authority",
    "!",
    "*",
    "?",
    ",",
    "[h]:22",
    "h",
    "#",
];
const CONFIG: &[&str] = &[
    "Host",
    "Match",
    "Include",
    "Port",
    "ProxyJump",
    "ProxyCommand",
    "ConnectTimeout",
    "IdentityFile",
    " ",
    "=",
    "\n",
    "\"",
    "'",
    "\\",
    "*",
    "!",
    "%h",
    "%",
    "~",
    "${",
    "}",
    "none",
    "1m",
    "99999999999999999999",
    "[",
    "]:",
    "@",
    ",",
    "all",
    "exec",
    "host",
];
const OPTIONS: &[&str] = &[
    "-",
    "-o",
    "-J",
    "-p",
    "-i",
    "-F",
    " ",
    "=",
    "'",
    "\"",
    "\\",
    "Port",
    "22",
    "ProxyJump",
    "a@b:1",
    "[",
    "]",
    "-4Cv",
];

proptest! {
    #[test]
    fn known_hosts(text in lines(KNOWN_HOSTS), host in "[a-zH*?]{0,4}") {
        let file = KnownHostsFile::parse(Path::new("f"), &text);
        let _found = file.records_for(&HostName::new(&host, 22)).count();
    }

    #[test]
    fn ssh_config(text in lines(CONFIG)) {
        // Includes of what does not exist, so that the text decides alone.
        let text = text.replace('~', "");
        let dir = tempfile::tempdir().expect("tempdir");
        fs::write(dir.path().join("config"), &text).expect("write");
        let home = dir.path().to_owned();
        let local = LocalUser { home, name: "me".into(), uid: 1, hostname: "h".into() };
        let (config, _problems) = SshConfig::load(&dir.path().join("config"), &local);
        let mut options = SshOptions::default();
        config.apply("h", &mut options);
    }

    #[test]
    fn command_line_options(text in lines(OPTIONS)) {
        let mut options = SshOptions::default();
        let _problem = options.apply_cli_options(&text);
        let _words = split_shell_words(&text);
    }
}
