//! How a host is reached, from Ansible's connection variables, keywords and the command line.

use std::path::PathBuf;

use hostler_transport::Target;
use hostler_transport::known_hosts::HostKeyPolicy;
use hostler_value::{Secret, Value};

use super::ConnectDefaults;
use crate::failure::Failure;

/// The way to a host. Equal routes share a connection.
#[derive(Clone)]
pub(crate) struct Route {
    target: Option<Box<Target>>,
    /// Everything that tells two ways apart, as text.
    key: String,
}

impl Route {
    /// Where to connect over SSH; `None` is the controller itself.
    pub(crate) fn target(&self) -> Option<&Target> {
        self.target.as_deref()
    }
}

impl PartialEq for Route {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Route {}

impl std::hash::Hash for Route {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

/// The keywords of a task that say how to connect, evaluated.
#[derive(Clone, Debug, Default)]
pub(crate) struct ConnectKeywords {
    pub(crate) connection: Option<Value>,
    pub(crate) remote_user: Option<Value>,
    pub(crate) port: Option<Value>,
}

/// Reads the variables. `name` is the inventory's name of the host; variables win over keywords, keywords over the
/// command line, as Ansible documents it ("precedence categories").
pub(crate) fn route_of(
    name: &str,
    variable: &dyn Fn(&str) -> Result<Option<Value>, Failure>,
    keywords: &ConnectKeywords,
    defaults: &ConnectDefaults,
) -> Result<Route, Failure> {
    let first = |names: &[&str]| -> Result<Option<Value>, Failure> {
        for name in names {
            if let Some(value) = variable(name)?.filter(|value| !value.is_null()) {
                return Ok(Some(value));
            }
        }
        Ok(None)
    };
    let text = |value: Option<Value>| value.map(|it| it.to_text()).filter(|it| !it.is_empty());
    let connection = text(first(&["ansible_connection"])?.or_else(|| keywords.connection.clone()))
        .or_else(|| defaults.connection.clone());
    let implicit_local =
        name == "localhost" && first(&["ansible_host", "ansible_ssh_host"])?.is_none();
    match connection
        .as_deref()
        .map(|it| it.strip_prefix("ansible.builtin.").unwrap_or(it))
    {
        Some("local") => return Ok(local(name)),
        None if implicit_local => return Ok(local(name)),
        None | Some("ssh" | "smart" | "paramiko" | "paramiko_ssh") => {}
        Some(other) => {
            return Err(
                Failure::new(format!("connection `{other}` is not available"))
                    .hint("`ssh` and `local` are"),
            );
        }
    }
    let port = first(&["ansible_port", "ansible_ssh_port"])?.or_else(|| keywords.port.clone());
    let port = port.map(|port| port_of(&port)).transpose()?;
    let key = text(first(&[
        "ansible_ssh_private_key_file",
        "ansible_private_key_file",
    ])?);
    let password = first(&[
        "ansible_password",
        "ansible_ssh_password",
        "ansible_ssh_pass",
    ])?;
    let user = text(first(&["ansible_user", "ansible_ssh_user"])?)
        .or_else(|| text(keywords.remote_user.clone()))
        .or_else(|| defaults.user.clone());
    let mut target = Target {
        host: text(first(&["ansible_host", "ansible_ssh_host"])?)
            .unwrap_or_else(|| name.to_owned()),
        port,
        user,
        password: password
            .map(|it| Secret::new(it.to_text()))
            .or_else(|| defaults.password.clone()),
        private_key_file: key
            .map(PathBuf::from)
            .or_else(|| defaults.private_key.clone()),
        key_passphrase: text(first(&[
            "ansible_private_key_passphrase",
            "ansible_ssh_private_key_passphrase",
        ])?)
        .map(Secret::new)
        .or_else(|| defaults.key_passphrase.clone()),
        ..Target::default()
    };
    let args = ssh_options(name, &first, defaults, &mut target)?;
    let secrets = target.password.is_some();
    let key = format!(
        "{name}\0{}\0{:?}\0{:?}\0{:?}\0{secrets}\0{args:?}",
        target.host, target.port, target.user, target.private_key_file
    );
    Ok(Route {
        target: Some(Box::new(target)),
        key,
    })
}

/// Looks up the first of several variables that is set.
type FirstOf<'a> = dyn Fn(&[&str]) -> Result<Option<Value>, Failure> + 'a;

/// `ansible_ssh_*args`, the command line's, and `ansible_host_key_checking`; gives the texts that were applied.
fn ssh_options(
    name: &str,
    first: &FirstOf<'_>,
    defaults: &ConnectDefaults,
    target: &mut Target,
) -> Result<Vec<String>, Failure> {
    let text = |value: Option<Value>| value.map(|it| it.to_text()).filter(|it| !it.is_empty());
    let mut args = Vec::new();
    for name in [
        "ansible_ssh_args",
        "ansible_ssh_common_args",
        "ansible_ssh_extra_args",
    ] {
        args.extend(text(first(&[name])?));
    }
    args.extend(defaults.ssh_args.iter().cloned());
    for words in &args {
        let applied = target.options.apply_cli_options(words);
        applied.map_err(|error| Failure::new(format!("ssh options of {name}: {error}")))?;
    }
    if let Some(check) = first(&["ansible_ssh_host_key_checking", "ansible_host_key_checking"])? {
        let strict = check
            .to_bool()
            .map_err(|error| Failure::new(format!("`ansible_host_key_checking`: {error}")))?;
        if !strict {
            target
                .options
                .host_key_policy
                .get_or_insert(HostKeyPolicy::Off);
        }
    }
    Ok(args)
}

fn local(name: &str) -> Route {
    Route {
        target: None,
        key: format!("{name}\0local"),
    }
}

fn port_of(value: &Value) -> Result<u16, Failure> {
    let int = value
        .to_int()
        .ok()
        .and_then(|int| u16::try_from(int).ok())
        .filter(|port| *port > 0);
    int.ok_or_else(|| Failure::new(format!("`{}` is not a port number", value.to_text())))
}
