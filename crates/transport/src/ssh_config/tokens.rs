//! Expanding `~`, `%` tokens and `${VAR}` (`ssh_config(5)`, TOKENS and ENVIRONMENT VARIABLES).

use std::path::{Path, PathBuf};

/// The person on the controller: what tokens and default paths refer to.
#[derive(Clone, Debug)]
pub struct LocalUser {
    /// The home directory, `%d` and `~`.
    pub home: PathBuf,
    /// The login name, `%u`, also the default remote user.
    pub name: String,
    /// The user's number, `%i`.
    pub uid: u32,
    /// The controller's host name, `%l`.
    pub hostname: String,
}

impl LocalUser {
    /// Reads the environment: `HOME`, `USER` (or `LOGNAME`), and the kernel's host name.
    pub fn from_env() -> Self {
        let uid = std::fs::metadata("/proc/self")
            .map_or(0, |meta| std::os::unix::fs::MetadataExt::uid(&meta));
        let entry = passwd_entry(uid);
        let variable = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty());
        Self {
            home: variable("HOME")
                .or_else(|| entry.as_ref().map(|e| e.1.clone()))
                .map_or_else(|| PathBuf::from("/"), PathBuf::from),
            // OpenSSH asks the password database, not the environment, so that `sudo -E` does not mislead it.
            name: entry
                .map(|e| e.0)
                .or_else(|| variable("USER"))
                .or_else(|| variable("LOGNAME"))
                .unwrap_or_else(|| uid.to_string()),
            uid,
            hostname: std::fs::read_to_string("/proc/sys/kernel/hostname")
                .map_or_else(|_| "localhost".to_owned(), |name| name.trim().to_owned()),
        }
    }

    /// `~/.ssh`.
    pub fn ssh_dir(&self) -> PathBuf {
        self.home.join(".ssh")
    }
}

/// Name and home of a user number in `/etc/passwd`.
fn passwd_entry(uid: u32) -> Option<(String, String)> {
    let passwd = std::fs::read_to_string("/etc/passwd").ok()?;
    passwd.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        match fields.as_slice() {
            [name, _, number, _, _, home, ..] if number.parse() == Ok(uid) => {
                Some(((*name).to_owned(), (*home).to_owned()))
            }
            _ => None,
        }
    })
}

/// A token that cannot be expanded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// A `%` sequence that does not exist here.
    #[error("unknown token `%{token}` in `{text}`")]
    Unknown {
        /// The character after `%`, empty at the end of the text.
        token: String,
        /// The whole value.
        text: String,
    },
    /// `${VAR}` with no such variable.
    #[error("the environment variable `{name}` in `{text}` is not set")]
    Variable {
        /// The variable.
        name: String,
        /// The whole value.
        text: String,
    },
    /// `~name/...`.
    #[error("the home directory of another user in `{0}` is not supported")]
    OtherHome(String),
}

/// The values of the tokens for one connection.
#[derive(Clone, Debug)]
pub struct Tokens<'a> {
    /// The person on the controller.
    pub local: &'a LocalUser,
    /// `%h`: the host name after `HostName`.
    pub host_name: &'a str,
    /// `%n`: the host as named in the inventory.
    pub original_host: &'a str,
    /// `%p`.
    pub port: u16,
    /// `%r`: the remote user.
    pub user: &'a str,
    /// `%k`: the host key alias, or the original host.
    pub host_key_name: &'a str,
}

impl Tokens<'_> {
    /// Expands `%` tokens only.
    pub fn expand(&self, text: &str) -> Result<String, TokenError> {
        expand_percent(text, |token| {
            Some(match token {
                'd' => self.local.home.to_string_lossy().into_owned(),
                'h' => self.host_name.to_owned(),
                'i' => self.local.uid.to_string(),
                'k' => self.host_key_name.to_owned(),
                'L' => self
                    .local
                    .hostname
                    .split('.')
                    .next()
                    .unwrap_or_default()
                    .to_owned(),
                'l' => self.local.hostname.clone(),
                'n' => self.original_host.to_owned(),
                'p' => self.port.to_string(),
                'r' => self.user.to_owned(),
                'u' => self.local.name.clone(),
                _ => return None,
            })
        })
    }

    /// Expands a path: `~`, `%` tokens and `${VAR}`.
    pub fn expand_path(&self, text: &str) -> Result<PathBuf, TokenError> {
        let text = expand_variables(text)?;
        let text = self.expand(&text)?;
        expand_home(&text, &self.local.home)
    }
}

/// Expands `~` and `~/...`.
pub(super) fn expand_home(text: &str, home: &Path) -> Result<PathBuf, TokenError> {
    match text.strip_prefix('~') {
        None => Ok(PathBuf::from(text)),
        Some("") => Ok(home.to_owned()),
        Some(rest) => match rest.strip_prefix('/') {
            Some(rest) => Ok(home.join(rest.trim_start_matches('/'))),
            None => Err(TokenError::OtherHome(text.to_owned())),
        },
    }
}

/// Expands the tokens of `HostName`: `%h` (the original host) and `%%`.
pub(crate) fn expand_host_name(text: &str, original_host: &str) -> Result<String, TokenError> {
    expand_percent(text, |token| {
        (token == 'h').then(|| original_host.to_owned())
    })
}

fn expand_percent(
    text: &str,
    value: impl Fn(char) -> Option<String>,
) -> Result<String, TokenError> {
    let mut expanded = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            expanded.push(c);
            continue;
        }
        let token = chars.next();
        match token {
            Some('%') => expanded.push('%'),
            Some(token) if value(token).is_some() => expanded.extend(value(token)),
            _ => {
                return Err(TokenError::Unknown {
                    token: token.map(String::from).unwrap_or_default(),
                    text: text.to_owned(),
                });
            }
        }
    }
    Ok(expanded)
}

fn expand_variables(text: &str) -> Result<String, TokenError> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((name, after)) = after.split_once('}') else {
            break;
        };
        expanded.push_str(before);
        match std::env::var(name) {
            Ok(value) => expanded.push_str(&value),
            Err(_) => {
                return Err(TokenError::Variable {
                    name: name.to_owned(),
                    text: text.to_owned(),
                });
            }
        }
        rest = after;
    }
    expanded.push_str(rest);
    Ok(expanded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_and_paths() {
        let local = LocalUser {
            home: "/home/a".into(),
            name: "a".into(),
            uid: 7,
            hostname: "box.ex".into(),
        };
        let tokens = Tokens {
            local: &local,
            host_name: "h.ex",
            original_host: "h",
            port: 2222,
            user: "root",
            host_key_name: "alias",
        };
        assert_eq!(
            tokens.expand("%h:%p %r %n %u %L %l %i %k %%").as_deref(),
            Ok("h.ex:2222 root h a box box.ex 7 alias %")
        );
        assert_eq!(
            tokens.expand_path("~/.ssh/%r@%h"),
            Ok("/home/a/.ssh/root@h.ex".into())
        );
        assert_eq!(tokens.expand_path("%d/x"), Ok("/home/a/x".into()));
        assert_eq!(
            tokens.expand_path("${CARGO_PKG_NAME}/x"),
            Ok("hostler-transport/x".into())
        );
        assert!(matches!(
            tokens.expand_path("${HOSTLER_NOT_SET}/x"),
            Err(TokenError::Variable { .. })
        ));
        assert!(matches!(
            tokens.expand("%z"),
            Err(TokenError::Unknown { .. })
        ));
        assert!(matches!(
            tokens.expand("100%"),
            Err(TokenError::Unknown { .. })
        ));
        assert!(matches!(
            tokens.expand_path("~bob/x"),
            Err(TokenError::OtherHome(_))
        ));
    }
}
