//! Who the agent is and where it runs.

use std::fs::File;
use std::io::{self, Read};
use std::time::SystemTime;

use hostler_module_api::Identity;
use hostler_protocol::{Hello, Maker};
use rustix::process::{getegid, geteuid, umask};
use sha2::{Digest, Sha256};

use crate::host::accounts;

/// Search path of programs where the environment has none.
const PATH_DEFAULT: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Looks at the process's own identity. Called once, before any other thread runs: reading the umask sets it.
pub(crate) fn identity() -> Identity {
    let mask = umask(rustix::fs::Mode::from_raw_mode(0o077));
    umask(mask);
    let uid = geteuid().as_raw();
    let account = accounts::by_number(uid);
    let mut env: Vec<(String, String)> = std::env::vars_os()
        .map(|(key, value)| {
            let text = |it: std::ffi::OsString| it.to_string_lossy().into_owned();
            (text(key), text(value))
        })
        .collect();
    if !env.iter().any(|(key, _)| key == "PATH") {
        env.push(("PATH".into(), PATH_DEFAULT.into()));
    }
    let from_env = env
        .iter()
        .find(|(key, value)| key == "HOME" && !value.is_empty());
    let home = match (from_env, &account) {
        (Some((_, home)), _) => home.clone(),
        (None, Some(account)) => account.home.clone(),
        (None, None) => "/".into(),
    };
    Identity {
        uid,
        gid: getegid().as_raw(),
        user: account.map_or_else(|| uid.to_string(), |it| it.name),
        home: home.into(),
        env,
        umask: mask.as_raw_mode(),
    }
}

/// The first message.
pub(crate) fn hello(identity: &Identity, keeps_results: bool) -> io::Result<Hello> {
    let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    Ok(Hello {
        sha256: own_hash()?,
        maker: Maker {
            uid: identity.uid,
            gid: identity.gid,
            umask: identity.umask,
        },
        user: identity.user.clone(),
        home: identity.home.display().to_string(),
        hostname: rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned(),
        boot_id: boot_id.trim().to_owned(),
        clock_us: clock_us(),
        pid: std::process::id(),
        keeps_results,
    })
}

/// The host's clock, microseconds since the epoch.
pub(crate) fn clock_us() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |time| {
        i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
    })
}

/// SHA-256 of the running binary.
pub(crate) fn own_hash() -> io::Result<[u8; 32]> {
    let mut file = File::open("/proc/self/exe")?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 128 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hash.finalize().into()),
            count => hash.update(&buffer[..count]),
        }
    }
}
