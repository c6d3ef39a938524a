//! What the caller says about a host, and how it is completed from `ssh_config` into what a connection needs.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hostler_value::Secret;

use crate::failure::{Reason, Unreachable};
use crate::known_hosts::{HostKeyPolicy, HostName};
use crate::ssh_config::{
    AddressFamily, JumpHost, LocalUser, Proxy, SshConfig, SshOptions, TokenError, Tokens,
    expand_host_name,
};

/// A host as the inventory describes it. What is `None` comes from `ssh_config` or a default.
#[derive(Clone, Debug, Default)]
pub struct Target {
    /// The name that `ssh` would be called with: `ansible_host`, or else the inventory name.
    pub host: String,
    /// `ansible_port`.
    pub port: Option<u16>,
    /// `ansible_user`.
    pub user: Option<String>,
    /// `ansible_password`, `-k`.
    pub password: Option<Secret>,
    /// `ansible_ssh_private_key_file`, `--private-key`.
    pub private_key_file: Option<PathBuf>,
    /// The passphrase of encrypted key files.
    pub key_passphrase: Option<Secret>,
    /// `ssh` options from the inventory and the command line ([`SshOptions::apply_cli_options`]).
    pub options: SshOptions,
}

/// How long each step may take (trust, fault rows F-04 and F-06).
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// Name resolution.
    pub dns: Duration,
    /// TCP connect, over all addresses.
    pub tcp: Duration,
    /// Opening the channel through a jump host.
    pub proxy: Duration,
    /// Until the server's identification line.
    pub banner: Duration,
    /// Key exchange including the host key check.
    pub key_exchange: Duration,
    /// Authentication, all attempts together.
    pub authentication: Duration,
    /// Starting the agent, including its upload.
    pub agent: Duration,
    /// How long an agent that has a task may say nothing at all, not even that it is there.
    pub silence: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            dns: Duration::from_secs(5),
            tcp: Duration::from_secs(10),
            proxy: Duration::from_secs(10),
            banner: Duration::from_secs(10),
            key_exchange: Duration::from_secs(15),
            authentication: Duration::from_secs(20),
            agent: Duration::from_secs(60),
            silence: Duration::from_secs(40),
        }
    }
}

/// Everything that a connection needs, with nothing left to look up but names and keys.
#[derive(Debug)]
pub(crate) struct Resolved {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) user: String,
    pub(crate) password: Option<Secret>,
    pub(crate) key_passphrase: Option<Secret>,
    pub(crate) options: SshOptions,
    pub(crate) identities: Vec<PathBuf>,
    /// Whether the identities were named by somebody, so that a missing one is worth a word.
    pub(crate) identities_named: bool,
    pub(crate) certificates: Vec<PathBuf>,
    pub(crate) agent_socket: Option<PathBuf>,
    pub(crate) known_hosts_name: HostName,
    pub(crate) user_known_hosts: Vec<PathBuf>,
    pub(crate) global_known_hosts: Vec<PathBuf>,
    pub(crate) policy: HostKeyPolicy,
    pub(crate) bind: Option<IpAddr>,
    pub(crate) route: Route,
    pub(crate) deadlines: Deadlines,
}

/// The way to the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Direct,
    /// Through the last of these, which is reached through the ones before it.
    Jump(Vec<JumpHost>),
    /// The expanded command, and the text as written, which names the shared bottleneck.
    Command {
        command: String,
        template: String,
    },
}

/// The sources that complete a target.
pub(crate) struct Sources<'a> {
    pub(crate) config: &'a SshConfig,
    pub(crate) local: &'a LocalUser,
    pub(crate) default_policy: HostKeyPolicy,
    pub(crate) deadlines: Deadlines,
}

/// Completes `target`.
pub(crate) fn resolve(target: &Target, sources: &Sources<'_>) -> Result<Resolved, Unreachable> {
    let Sources {
        config,
        local,
        default_policy,
        mut deadlines,
    } = *sources;
    let options = effective_options(target, config);
    let host = match &options.host_name {
        Some(name) => expand_host_name(name, &target.host).map_err(config_error)?,
        None => target.host.clone(),
    };
    let user = options.user.clone().unwrap_or_else(|| local.name.clone());
    let port = options.port.unwrap_or(22);
    refuse_odd_names(&host, &user)?;
    let tokens = Tokens {
        local,
        host_name: &host,
        original_host: &target.host,
        port,
        user: &user,
        host_key_name: options.host_key_alias.as_deref().unwrap_or(&target.host),
    };
    let paths = |texts: &[String]| expand_paths(texts, &tokens);
    let identities_named = !options.identity_files.is_empty();
    let ssh_dir = local.ssh_dir();
    let identities = if identities_named {
        paths(&options.identity_files)?
    } else {
        DEFAULT_IDENTITIES
            .iter()
            .map(|name| ssh_dir.join(name))
            .collect()
    };
    let agent_socket = agent_socket(options.identity_agent.as_deref(), &tokens)?;
    let route = route(options.proxy.as_ref(), &tokens)?;
    let bind = bind_address(options.bind_address.as_deref())?;
    if let Some(limit) = options.connect_timeout.filter(|limit| !limit.is_zero()) {
        // `ssh_config(5)`: ConnectTimeout covers the connection, the banner and the key exchange.
        deadlines.tcp = limit;
        deadlines.banner = limit;
        deadlines.key_exchange = limit;
    }
    Ok(Resolved {
        known_hosts_name: match &options.host_key_alias {
            Some(alias) => HostName::alias(alias),
            None => HostName::new(&host, port),
        },
        user_known_hosts: match &options.user_known_hosts_files {
            Some(files) => paths(files)?,
            None => vec![ssh_dir.join("known_hosts"), ssh_dir.join("known_hosts2")],
        },
        global_known_hosts: match &options.global_known_hosts_files {
            Some(files) => paths(files)?,
            None => GLOBAL_KNOWN_HOSTS.iter().map(PathBuf::from).collect(),
        },
        certificates: paths(&options.certificate_files)?,
        policy: options.host_key_policy.unwrap_or(default_policy),
        password: target.password.clone(),
        key_passphrase: target.key_passphrase.clone(),
        host,
        port,
        user,
        identities,
        identities_named,
        agent_socket,
        bind,
        route,
        deadlines,
        options,
    })
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn config_error(error: TokenError) -> Unreachable {
    Unreachable::new(Reason::Config, error.to_string())
}

/// The options of a target: what the inventory says itself, then options in strings, then files.
fn effective_options(target: &Target, config: &SshConfig) -> SshOptions {
    let mut options = target.options.clone();
    if let Some(key) = &target.private_key_file {
        options
            .identity_files
            .insert(0, key.to_string_lossy().into_owned());
    }
    options.user = target.user.clone().or(options.user);
    options.port = target.port.or(options.port);
    config.apply(&target.host, &mut options);
    options
}

fn expand_paths(texts: &[String], tokens: &Tokens<'_>) -> Result<Vec<PathBuf>, Unreachable> {
    let real = texts
        .iter()
        .filter(|text| !text.eq_ignore_ascii_case("none"));
    real.map(|text| tokens.expand_path(text))
        .collect::<Result<_, _>>()
        .map_err(config_error)
}

fn route(proxy: Option<&Proxy>, tokens: &Tokens<'_>) -> Result<Route, Unreachable> {
    Ok(match proxy {
        None | Some(Proxy::Direct) => Route::Direct,
        Some(Proxy::Jump(hops)) => Route::Jump(hops.clone()),
        Some(Proxy::Command(template)) => Route::Command {
            command: tokens.expand(template).map_err(config_error)?,
            template: template.clone(),
        },
    })
}

fn bind_address(text: Option<&str>) -> Result<Option<IpAddr>, Unreachable> {
    let Some(text) = text.filter(|text| *text != "*") else {
        return Ok(None);
    };
    let bad = |_| {
        Unreachable::new(
            Reason::Config,
            format!("the bind address `{text}` is not an IP address"),
        )
    };
    text.parse().map(Some).map_err(bad)
}

/// The strongest first; OpenSSH's list without DSA and the hardware-backed types, which work through an agent.
const DEFAULT_IDENTITIES: &[&str] = &["id_ed25519", "id_ecdsa", "id_rsa"];

const GLOBAL_KNOWN_HOSTS: &[&str] = &["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"];

fn agent_socket(
    setting: Option<&str>,
    tokens: &Tokens<'_>,
) -> Result<Option<PathBuf>, Unreachable> {
    let from_env = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    match setting {
        None | Some("SSH_AUTH_SOCK") => Ok(from_env("SSH_AUTH_SOCK")),
        Some(none) if none.eq_ignore_ascii_case("none") => Ok(None),
        Some(text) => match text.strip_prefix('$').filter(|name| !name.starts_with('{')) {
            Some(name) => Ok(from_env(name)),
            None => tokens.expand_path(text).map(Some).map_err(config_error),
        },
    }
}

/// Refuses names that would be read as options or as shell code in a proxy command, as OpenSSH does
/// (`valid_hostname`, `valid_ruser`; CVE-2023-51385).
fn refuse_odd_names(host: &str, user: &str) -> Result<(), Unreachable> {
    let odd_host = host.is_empty()
        || host.starts_with('-')
        || host.contains(|c: char| {
            "'`\"$\\;&<>|(){}".contains(c) || c.is_whitespace() || c.is_control()
        });
    if odd_host {
        return Err(Unreachable::new(
            Reason::Config,
            format!("`{}` is not a host name", host.escape_debug()),
        ));
    }
    let odd_user = user.is_empty()
        || user.starts_with('-')
        || user.ends_with('\\')
        || user.contains(|c: char| "'`\";&<>|(){}$".contains(c) || c.is_control())
        || user.contains(" -");
    if odd_user {
        return Err(Unreachable::new(
            Reason::Config,
            format!("`{}` is not a user name", user.escape_debug()),
        ));
    }
    Ok(())
}

impl Resolved {
    /// The place that limits how many may connect at once.
    pub(crate) fn bottleneck(&self) -> String {
        match &self.route {
            Route::Command { template, .. } => format!("command {template}"),
            Route::Direct | Route::Jump(_) => format!("{}:{}", self.host.to_lowercase(), self.port),
        }
    }

    pub(crate) fn address_family(&self) -> AddressFamily {
        self.options.address_family.unwrap_or_default()
    }

    pub(crate) fn known_hosts_files(&self) -> impl Iterator<Item = &Path> {
        self.user_known_hosts
            .iter()
            .chain(&self.global_known_hosts)
            .map(PathBuf::as_path)
    }
}
