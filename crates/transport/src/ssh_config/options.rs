//! The options of one host, first value wins.

use std::path::PathBuf;
use std::time::Duration;

use super::keyword::Keyword;
use super::lexer;
use crate::known_hosts::HostKeyPolicy;

/// Which addresses of a name may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AddressFamily {
    /// Both.
    #[default]
    Any,
    /// IPv4 only.
    Inet,
    /// IPv6 only.
    Inet6,
}

/// One hop of a `ProxyJump` list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JumpHost {
    /// The user, if named.
    pub user: Option<String>,
    /// The host as written: it has its own section in the configuration.
    pub host: String,
    /// The port, if named.
    pub port: Option<u16>,
}

/// How to reach the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proxy {
    /// `none`: directly, and later settings do not count.
    Direct,
    /// Through these hosts, the first one first.
    Jump(Vec<JumpHost>),
    /// Through the standard streams of a command, still with its `%` tokens.
    Command(String),
}

/// The `-F` option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigFileChoice {
    /// `-F none`: no file at all.
    None,
    /// This file instead of the user's and the system's.
    File(PathBuf),
}

/// What is set for one host; `None` and empty lists mean "not set". Values are as written: `~`, `%` tokens and
/// `${VAR}` are expanded when the connection is made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SshOptions {
    /// `HostName`.
    pub host_name: Option<String>,
    /// `User`.
    pub user: Option<String>,
    /// `Port`.
    pub port: Option<u16>,
    /// `IdentityFile`, all of them, in order.
    pub identity_files: Vec<String>,
    /// `CertificateFile`, all of them, in order.
    pub certificate_files: Vec<String>,
    /// `IdentitiesOnly`.
    pub identities_only: Option<bool>,
    /// `IdentityAgent`.
    pub identity_agent: Option<String>,
    /// `ProxyJump` or `ProxyCommand`, whichever came first.
    pub proxy: Option<Proxy>,
    /// `UserKnownHostsFile`.
    pub user_known_hosts_files: Option<Vec<String>>,
    /// `GlobalKnownHostsFile`.
    pub global_known_hosts_files: Option<Vec<String>>,
    /// `StrictHostKeyChecking`; `ask` becomes strict, since there is nobody to ask.
    pub host_key_policy: Option<HostKeyPolicy>,
    /// `HashKnownHosts`.
    pub hash_known_hosts: Option<bool>,
    /// `HostKeyAlias`.
    pub host_key_alias: Option<String>,
    /// `ConnectTimeout`.
    pub connect_timeout: Option<Duration>,
    /// `ConnectionAttempts`.
    pub connection_attempts: Option<u32>,
    /// `ServerAliveInterval`; zero switches keepalives off.
    pub server_alive_interval: Option<Duration>,
    /// `ServerAliveCountMax`.
    pub server_alive_count_max: Option<u32>,
    /// `AddressFamily`.
    pub address_family: Option<AddressFamily>,
    /// `BindAddress`.
    pub bind_address: Option<String>,
    /// `PreferredAuthentications`.
    pub preferred_authentications: Option<Vec<String>>,
    /// `PubkeyAuthentication`.
    pub pubkey_authentication: Option<bool>,
    /// `PasswordAuthentication`.
    pub password_authentication: Option<bool>,
    /// `KbdInteractiveAuthentication`.
    pub kbd_interactive_authentication: Option<bool>,
    /// `KexAlgorithms`, with its `+`, `-` or `^`.
    pub kex_algorithms: Option<String>,
    /// `Ciphers`.
    pub ciphers: Option<String>,
    /// `MACs`.
    pub macs: Option<String>,
    /// `HostKeyAlgorithms`.
    pub host_key_algorithms: Option<String>,
    /// `-F` on the command line.
    pub config_file: Option<ConfigFileChoice>,
    /// Options that apply to this host and are not supported, in words for the user.
    pub warnings: Vec<String>,
}

impl SshOptions {
    /// Sets an option unless an earlier source did. `raw` is the rest of the line, `args` the same split into words.
    /// The error says what is wrong with the value.
    pub(super) fn set(
        &mut self,
        keyword: Keyword,
        raw: &str,
        args: &[String],
    ) -> Result<(), String> {
        let Some(first) = args.first().filter(|a| !a.is_empty()) else {
            return Err("the value is missing".to_owned());
        };
        match keyword {
            Keyword::AddressFamily => keep(&mut self.address_family, address_family(first)?),
            Keyword::BindAddress => keep(&mut self.bind_address, first.clone()),
            Keyword::CertificateFile => push_new(&mut self.certificate_files, first),
            Keyword::Ciphers => keep(&mut self.ciphers, first.clone()),
            Keyword::ConnectTimeout => {
                if first != "none" {
                    keep(&mut self.connect_timeout, seconds(first)?);
                }
            }
            Keyword::ConnectionAttempts => keep(&mut self.connection_attempts, number(first)?),
            Keyword::GlobalKnownHostsFile => {
                keep(&mut self.global_known_hosts_files, args.to_vec());
            }
            Keyword::HashKnownHosts => keep(&mut self.hash_known_hosts, flag(first)?),
            Keyword::HostKeyAlgorithms => keep(&mut self.host_key_algorithms, first.clone()),
            Keyword::HostKeyAlias => keep(&mut self.host_key_alias, first.clone()),
            Keyword::HostName => keep(&mut self.host_name, first.clone()),
            Keyword::IdentitiesOnly => keep(&mut self.identities_only, flag(first)?),
            Keyword::IdentityAgent => keep(&mut self.identity_agent, first.clone()),
            Keyword::IdentityFile => push_new(&mut self.identity_files, first),
            Keyword::KbdInteractiveAuthentication => {
                keep(&mut self.kbd_interactive_authentication, flag(first)?);
            }
            Keyword::KexAlgorithms => keep(&mut self.kex_algorithms, first.clone()),
            Keyword::Macs => keep(&mut self.macs, first.clone()),
            Keyword::PasswordAuthentication => {
                keep(&mut self.password_authentication, flag(first)?);
            }
            Keyword::Port => keep(&mut self.port, port(first)?),
            Keyword::PreferredAuthentications => {
                keep(
                    &mut self.preferred_authentications,
                    first.split(',').map(str::to_owned).collect(),
                );
            }
            Keyword::ProxyCommand => keep(&mut self.proxy, proxy_command(raw)),
            Keyword::ProxyJump => keep(&mut self.proxy, proxy_jump(first)?),
            // `unbound` and `host-bound` choose a protocol extension; both mean yes.
            Keyword::PubkeyAuthentication => keep(
                &mut self.pubkey_authentication,
                ["unbound", "host-bound"].contains(&first.as_str()) || flag(first)?,
            ),
            Keyword::ServerAliveCountMax => keep(&mut self.server_alive_count_max, number(first)?),
            Keyword::ServerAliveInterval => keep(&mut self.server_alive_interval, seconds(first)?),
            Keyword::StrictHostKeyChecking => keep(&mut self.host_key_policy, policy(first)?),
            Keyword::User => keep(&mut self.user, first.clone()),
            Keyword::UserKnownHostsFile => keep(&mut self.user_known_hosts_files, args.to_vec()),
        }
        Ok(())
    }

    /// Sets an option from a whole `Keyword=value` or `Keyword value` text of a known keyword.
    pub(super) fn set_text(&mut self, keyword: Keyword, raw: &str) -> Result<(), String> {
        let args = lexer::split_args(raw).map_err(|e| e.to_string())?;
        self.set(keyword, raw, &args)
    }
}

fn keep<T>(slot: &mut Option<T>, value: T) {
    if slot.is_none() {
        *slot = Some(value);
    }
}

fn push_new(list: &mut Vec<String>, value: &str) {
    if !list.iter().any(|known| known == value) {
        list.push(value.to_owned());
    }
}

fn flag(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "true" => Ok(true),
        "no" | "false" => Ok(false),
        _ => Err(format!("`{text}` is neither yes nor no")),
    }
}

fn number(text: &str) -> Result<u32, String> {
    text.parse()
        .map_err(|_| format!("`{text}` is not a number"))
}

pub(super) fn port(text: &str) -> Result<u16, String> {
    text.parse()
        .ok()
        .filter(|p| *p != 0)
        .ok_or_else(|| format!("`{text}` is not a port number"))
}

/// A time in OpenSSH's form (`sshd_config(5)`, TIME FORMATS): `90`, `90s`, `1m30s`, `2h`.
fn seconds(text: &str) -> Result<Duration, String> {
    let bad = || format!("`{text}` is not a time");
    let mut total: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        let value: u64 = rest[..digits].parse().map_err(|_| bad())?;
        let mut unit = rest[digits..].chars();
        let scale = match unit.next().map(|c| c.to_ascii_lowercase()) {
            None | Some('s') => 1,
            Some('m') => 60,
            Some('h') => 3600,
            Some('d') => 86_400,
            Some('w') => 604_800,
            Some(_) => return Err(bad()),
        };
        rest = unit.as_str();
        total = value
            .checked_mul(scale)
            .and_then(|v| total.checked_add(v))
            .ok_or_else(bad)?;
    }
    Ok(Duration::from_secs(total))
}

fn address_family(text: &str) -> Result<AddressFamily, String> {
    match text.to_ascii_lowercase().as_str() {
        "any" => Ok(AddressFamily::Any),
        "inet" => Ok(AddressFamily::Inet),
        "inet6" => Ok(AddressFamily::Inet6),
        _ => Err(format!(
            "`{text}` is not an address family (any, inet, inet6)"
        )),
    }
}

fn policy(text: &str) -> Result<HostKeyPolicy, String> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "true" | "ask" => Ok(HostKeyPolicy::Strict),
        "accept-new" => Ok(HostKeyPolicy::AcceptNew),
        "no" | "false" | "off" => Ok(HostKeyPolicy::Off),
        _ => Err(format!("`{text}` is not one of yes, accept-new, no")),
    }
}

fn proxy_command(raw: &str) -> Proxy {
    // The command is the rest of the line, quotes and all: the shell reads it later.
    let command = raw.trim();
    if command.eq_ignore_ascii_case("none") {
        Proxy::Direct
    } else {
        Proxy::Command(command.to_owned())
    }
}

/// `none` or `[user@]host[:port]` or `ssh://[user@]host[:port]`, separated by commas.
pub(super) fn proxy_jump(text: &str) -> Result<Proxy, String> {
    if text.eq_ignore_ascii_case("none") {
        return Ok(Proxy::Direct);
    }
    text.split(',')
        .map(jump_host)
        .collect::<Result<_, _>>()
        .map(Proxy::Jump)
}

fn jump_host(text: &str) -> Result<JumpHost, String> {
    let bad = || format!("`{text}` is not a jump host ([user@]host[:port])");
    let rest = text
        .strip_prefix("ssh://")
        .map_or(text, |uri| uri.trim_end_matches('/'));
    // The last `@` ends the user: names from directories contain `@` themselves.
    let (user, address) = rest
        .rsplit_once('@')
        .map_or((None, rest), |(user, address)| (Some(user), address));
    let (host, port_text) = if let Some(bracketed) = address.strip_prefix('[') {
        let (host, rest) = bracketed.split_once(']').ok_or_else(bad)?;
        (
            host,
            if rest.is_empty() {
                None
            } else {
                Some(rest.strip_prefix(':').ok_or_else(bad)?)
            },
        )
    } else {
        match address.split_once(':') {
            // More than one colon without brackets is an IPv6 address.
            Some((_, rest)) if rest.contains(':') => (address, None),
            Some((host, port)) => (host, Some(port)),
            None => (address, None),
        }
    };
    if host.is_empty() || host.starts_with('-') || user.is_some_and(str::is_empty) {
        return Err(bad());
    }
    let port = port_text.map(port).transpose()?;
    Ok(JumpHost {
        user: user.map(str::to_owned),
        host: host.to_owned(),
        port,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jump_lists() {
        let hop = |user: Option<&str>, host: &str, port| JumpHost {
            user: user.map(str::to_owned),
            host: host.into(),
            port,
        };
        assert_eq!(
            proxy_jump("b1,admin@b2:2222,[::1]:22,ssh://x@b3:99/"),
            Ok(Proxy::Jump(vec![
                hop(None, "b1", None),
                hop(Some("admin"), "b2", Some(2222)),
                hop(None, "::1", Some(22)),
                hop(Some("x"), "b3", Some(99)),
            ]))
        );
        assert_eq!(
            proxy_jump("a@dom@b"),
            Ok(Proxy::Jump(vec![hop(Some("a@dom"), "b", None)]))
        );
        assert_eq!(proxy_jump("none"), Ok(Proxy::Direct));
        for bad in ["", "a,,b", "@b", "b:0", "b:x", "-oProxyCommand=x"] {
            assert!(proxy_jump(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn times() {
        assert_eq!(seconds("90"), Ok(Duration::from_secs(90)));
        assert_eq!(seconds("1m30s"), Ok(Duration::from_secs(90)));
        assert!(seconds("1x").is_err());
        assert!(seconds("99999999999999999999").is_err());
        assert!(seconds("9999999999999999w").is_err());
    }
}
