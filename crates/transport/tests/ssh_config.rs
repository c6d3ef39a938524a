//! Agreement with `ssh -G` about configuration files, and the problems that files can have.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use hostler_transport::known_hosts::HostKeyPolicy;
use hostler_transport::ssh_config::{LocalUser, Proxy, Severity, SshConfig, SshOptions};

fn local() -> LocalUser {
    LocalUser::from_env()
}

/// The values that `ssh -G` prints, for the options that we know.
fn theirs(config: &Path, arguments: &[&str], host: &str) -> HashMap<String, Vec<String>> {
    let output = Command::new("ssh")
        .arg("-G")
        .arg("-F")
        .arg(config)
        .args(arguments)
        .arg(host)
        .output()
        .expect("ssh");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let mut values: HashMap<String, Vec<String>> = HashMap::new();
    for line in String::from_utf8(output.stdout).expect("UTF-8").lines() {
        if let Some((name, value)) = line.split_once(' ') {
            values
                .entry(name.to_owned())
                .or_default()
                .push(value.to_owned());
        }
    }
    values
}

/// The same from our options, where they are set.
#[expect(clippy::too_many_lines, reason = "a flat list of options")]
fn ours(options: &SshOptions, host: &str) -> Vec<(&'static str, Vec<String>)> {
    let one = |value: &dyn ToString| vec![value.to_string()];
    let flag = |value: bool| vec![if value { "yes" } else { "no" }.to_owned()];
    let mut values = Vec::new();
    let name = options
        .host_name
        .clone()
        .map_or_else(|| host.to_owned(), |name| name.replace("%h", host));
    values.push(("hostname", vec![name]));
    values.extend(options.user.as_ref().map(|v| ("user", one(v))));
    values.extend(options.port.as_ref().map(|v| ("port", one(v))));
    if !options.identity_files.is_empty() {
        values.push(("identityfile", options.identity_files.clone()));
    }
    if !options.certificate_files.is_empty() {
        values.push(("certificatefile", options.certificate_files.clone()));
    }
    values.extend(options.identities_only.map(|v| ("identitiesonly", flag(v))));
    values.extend(
        options
            .identity_agent
            .as_ref()
            .map(|v| ("identityagent", one(v))),
    );
    values.extend(
        options
            .host_key_alias
            .as_ref()
            .map(|v| ("hostkeyalias", one(v))),
    );
    values.extend(
        options
            .hash_known_hosts
            .map(|v| ("hashknownhosts", flag(v))),
    );
    values.extend(
        options
            .user_known_hosts_files
            .as_ref()
            .map(|v| ("userknownhostsfile", vec![v.join(" ")])),
    );
    values.extend(
        options
            .global_known_hosts_files
            .as_ref()
            .map(|v| ("globalknownhostsfile", vec![v.join(" ")])),
    );
    values.extend(
        options
            .connect_timeout
            .map(|v| ("connecttimeout", vec![v.as_secs().to_string()])),
    );
    values.extend(
        options
            .connection_attempts
            .map(|v| ("connectionattempts", one(&v))),
    );
    values.extend(
        options
            .server_alive_interval
            .map(|v| ("serveraliveinterval", vec![v.as_secs().to_string()])),
    );
    values.extend(
        options
            .server_alive_count_max
            .map(|v| ("serveralivecountmax", one(&v))),
    );
    values.extend(options.host_key_policy.map(|policy| {
        let word = match policy {
            HostKeyPolicy::Strict => "true",
            HostKeyPolicy::AcceptNew => "accept-new",
            HostKeyPolicy::Off => "false",
        };
        ("stricthostkeychecking", vec![word.to_owned()])
    }));
    match &options.proxy {
        Some(Proxy::Command(command)) => values.push(("proxycommand", vec![command.clone()])),
        Some(Proxy::Jump(hops)) => {
            let hops: Vec<String> = hops
                .iter()
                .map(|hop| {
                    let user = hop
                        .user
                        .as_ref()
                        .map(|u| format!("{u}@"))
                        .unwrap_or_default();
                    let host = if hop.host.contains(':') {
                        format!("[{}]", hop.host)
                    } else {
                        hop.host.clone()
                    };
                    let port = hop.port.map(|p| format!(":{p}")).unwrap_or_default();
                    format!("{user}{host}{port}")
                })
                .collect();
            values.push(("proxyjump", vec![hops.join(",")]));
        }
        None | Some(Proxy::Direct) => {}
    }
    values
}

#[test]
fn agrees_with_openssh() {
    let dir = tempfile::tempdir().expect("tempdir");
    let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).expect("write");
    let root = dir.path().display().to_string();
    fs::create_dir(dir.path().join("conf.d")).expect("mkdir");
    write("conf.d/10.conf", "Host web*\n  Port 1010\n  User ten\n");
    write(
        "conf.d/20.conf",
        "User twenty\nHost other\n  Port 99\nHost web2\n  IdentityFile ~/.ssh/web2\n",
    );
    write("conf.d/.hidden.conf", "User hidden\n");
    write(
        "only-db",
        "ServerAliveInterval 1m30s\nHost db1\n  ConnectTimeout 7\n",
    );
    write(
        "config",
        &format!(
            r#"
# a comment
Include {root}/conf.d/*.conf {root}/missing
Host db* !db9
    HostName=%h.internal.example
    User = postgres
    IdentityFile "~/keys/with space"
    IdentityFile ~/keys/two
    IdentityFile ~/keys/two
    Include {root}/only-db
    ProxyJump admin@bastion:2222,second
    ProxyCommand nc %h %p
Host db9 db10
    Port 9999
    StrictHostKeyChecking accept-new
    UserKnownHostsFile /tmp/a "/tmp/b c" # with a comment
    HostKeyAlias shared
Host cmd
    ProxyCommand ssh -W %h:%p "gate way" # not a comment here
    ProxyJump unused
    IdentitiesOnly yes
    IdentityAgent none
Host none
    ProxyJump none
    ProxyCommand unused
Match host *.internal.example
    CertificateFile ~/.ssh/internal-cert.pub
    HashKnownHosts yes
Match originalhost web1 user ten
    ServerAliveCountMax 9
Match !originalhost web1 host web*
    ServerAliveCountMax 8
Match user postgres,admin
    ConnectionAttempts 3
Match localuser nobody-here
    Port 1
Match all
    GlobalKnownHostsFile /etc/a /etc/b
Host *
    User fallback
    Port 2200
    StrictHostKeyChecking no
    ServerAliveInterval 30
    SendEnv LANG
    ControlMaster auto
    ControlPath ~/.ssh/%C
"#
        ),
    );
    let config = dir.path().join("config");
    let (parsed, problems) = SshConfig::load(&config, &local());
    assert_eq!(problems, []);
    let mut compared = 0;
    for arguments in [
        "",
        "-p 5 -l me -i /etc/passwd -o Port=6",
        "-J j1,u@j2:3 -o StrictHostKeyChecking=yes",
    ] {
        for host in [
            "web1",
            "web2",
            "web3",
            "db1",
            "db2",
            "db9",
            "db10",
            "cmd",
            "none",
            "other",
            "x.internal.example",
        ] {
            let words: Vec<&str> = arguments.split_whitespace().collect();
            let theirs = theirs(&config, &words, host);
            let mut options = SshOptions::default();
            options.apply_cli_options(arguments).expect("options");
            parsed.apply(host, &mut options);
            for (name, value) in ours(&options, host) {
                assert_eq!(
                    Some(&value),
                    theirs.get(name),
                    "{name} of {host} with `{arguments}`"
                );
                compared += 1;
            }
        }
    }
    assert!(compared > 250, "{compared}");
}

#[test]
fn problems_have_a_place_and_the_rest_still_counts() {
    let dir = tempfile::tempdir().expect("tempdir");
    let path = dir.path().join("config");
    let text = "Host a\n  Port x\n  Port 22\n  User\n  Foo bar\n  IdentityFile \"x\nMatch exec \"test -f /x\"\n  Port 9\n\
                Match\n  Port 8\nHost a\n  ForwardAgent yes\n  ForwardX11 yes\n  Include ~bob/x\n";
    fs::write(&path, text).expect("write");
    let (config, problems) = SshConfig::load(&path, &local());
    let found: Vec<(usize, Severity)> = problems.iter().map(|p| (p.line, p.severity)).collect();
    assert_eq!(
        found,
        [
            (2, Severity::Error),
            (4, Severity::Error),
            (5, Severity::Warning),
            (6, Severity::Error),
            (7, Severity::Warning),
            (9, Severity::Error),
            (14, Severity::Error),
        ],
        "{problems:#?}"
    );
    assert!(
        problems[4]
            .message
            .contains("`Match exec` is not supported"),
        "{}",
        problems[4]
    );
    let mut options = SshOptions::default();
    config.apply("a", &mut options);
    assert_eq!(options.port, Some(22));
    assert_eq!(
        options.warnings,
        ["the ssh option `ForwardAgent yes` is not supported and has no effect"]
    );
    let mut options = SshOptions::default();
    config.apply("b", &mut options);
    assert_eq!((options.port, options.warnings.len()), (None, 0));
}

#[test]
fn includes_that_include_themselves_end() {
    let dir = tempfile::tempdir().expect("tempdir");
    let path = dir.path().join("config");
    fs::write(
        &path,
        format!("Port 5\nInclude {0}\nInclude {0}\n", path.display()),
    )
    .expect("write");
    let (config, problems) = SshConfig::load(&path, &local());
    assert!(
        problems.iter().any(|p| p.message.contains("nested deeper")),
        "{:?}",
        problems.first()
    );
    let mut options = SshOptions::default();
    config.apply("h", &mut options);
    assert_eq!(options.port, Some(5));
}
