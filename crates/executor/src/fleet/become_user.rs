//! Whom to become, from keywords, variables and the command line.

use hostler_protocol::{Become, BecomeMethod, LaneErrorKind};
use hostler_transport::ssh_config::split_shell_words;
use hostler_value::{Secret, Value};

use super::ConnectDefaults;
use crate::failure::Failure;

/// Seconds that sudo, su or doas may take: directories and second factors can be slow.
const TIMEOUT_S: u32 = 30;

/// Whom to become and how; two equal requests share an agent.
#[derive(Clone)]
pub(crate) struct BecomeRequest {
    pub(crate) method: BecomeMethod,
    pub(crate) user: String,
    flags: Vec<String>,
    exe: Option<String>,
    pub(crate) password: Option<Secret>,
}

impl BecomeRequest {
    /// The program that changes the user.
    pub(super) fn program(&self) -> &'static str {
        match self.method {
            BecomeMethod::Sudo => "sudo",
            BecomeMethod::Su => "su",
            BecomeMethod::Doas => "doas",
        }
    }

    fn key(&self) -> (BecomeMethod, &str, &[String], Option<&str>, Option<&str>) {
        let password = self.password.as_ref().map(Secret::reveal);
        (
            self.method,
            &self.user,
            &self.flags,
            self.exe.as_deref(),
            password,
        )
    }
}

impl PartialEq for BecomeRequest {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for BecomeRequest {}

impl std::hash::Hash for BecomeRequest {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl From<&BecomeRequest> for Become {
    fn from(request: &BecomeRequest) -> Self {
        let BecomeRequest {
            method,
            user,
            flags,
            exe,
            password,
        } = request;
        Become {
            method: *method,
            user: user.clone(),
            password: password.as_ref().map(|it| it.reveal().to_owned()),
            flags: flags.clone(),
            exe: exe.clone(),
            timeout_s: TIMEOUT_S,
        }
    }
}

/// The keywords of a task that say whom to become, evaluated.
#[derive(Clone, Debug, Default)]
pub(crate) struct BecomeKeywords {
    pub(crate) r#become: Option<Value>,
    pub(crate) user: Option<Value>,
    pub(crate) method: Option<Value>,
    pub(crate) flags: Option<Value>,
    pub(crate) exe: Option<Value>,
}

/// Decides whom to become: variables win over keywords, keywords over the command line.
pub(crate) fn become_request(
    variable: &dyn Fn(&str) -> Result<Option<Value>, Failure>,
    keywords: &BecomeKeywords,
    defaults: &ConnectDefaults,
) -> Result<Option<BecomeRequest>, Failure> {
    let either = |name: &str, keyword: &Option<Value>| -> Result<Option<Value>, Failure> {
        Ok(variable(name)?
            .or_else(|| keyword.clone())
            .filter(|value| !value.is_null()))
    };
    let wanted = match either("ansible_become", &keywords.r#become)? {
        Some(value) => value
            .to_bool()
            .map_err(|error| Failure::new(format!("`become`: {error}")))?,
        None => defaults.r#become,
    };
    if !wanted {
        return Ok(None);
    }
    let text = |value: Option<Value>, default: &Option<String>| {
        value
            .map(|value| value.to_text())
            .or_else(|| default.clone())
            .filter(|it| !it.is_empty())
    };
    let method = text(
        either("ansible_become_method", &keywords.method)?,
        &defaults.become_method,
    );
    let method = method.unwrap_or_else(|| "sudo".into());
    let (method, name) = match method.strip_prefix("ansible.builtin.").unwrap_or(&method) {
        "sudo" => (BecomeMethod::Sudo, "sudo"),
        "su" => (BecomeMethod::Su, "su"),
        "doas" | "community.general.doas" => (BecomeMethod::Doas, "doas"),
        other => {
            return Err(
                Failure::new(format!("become method `{other}` is not available"))
                    .hint("sudo, su and doas are"),
            );
        }
    };
    let user = text(
        either("ansible_become_user", &keywords.user)?,
        &defaults.become_user,
    );
    let flags = text(either("ansible_become_flags", &keywords.flags)?, &None);
    let flags = split_shell_words(&flags.unwrap_or_default())
        .map_err(|_| Failure::new("`become_flags` has a quote that is not closed"))?;
    let mut password = None;
    for name in [
        "ansible_become_password",
        "ansible_become_pass",
        &format!("ansible_{name}_pass"),
    ] {
        if password.is_none() {
            password = variable(name)?
                .filter(|it| !it.is_null())
                .map(|it| Secret::new(it.to_text()));
        }
    }
    Ok(Some(BecomeRequest {
        method,
        user: user.unwrap_or_else(|| "root".into()),
        flags,
        exe: text(either("ansible_become_exe", &keywords.exe)?, &None),
        password: password.or_else(|| defaults.become_password.clone()),
    }))
}

/// What to do when a user could not be changed.
pub(super) fn hint(kind: LaneErrorKind, request: &BecomeRequest) -> &'static str {
    match kind {
        LaneErrorKind::NoProgram => "install it on the host, or choose another `become_method`",
        LaneErrorKind::PasswordNeeded => "give the password with -K or `ansible_become_password`",
        LaneErrorKind::PasswordWrong if request.password.is_none() => "give the password with -K",
        LaneErrorKind::PasswordWrong => "check -K or `ansible_become_password`; it was tried once",
        LaneErrorKind::Denied => "the login user is not allowed to become that user on this host",
        LaneErrorKind::Timeout => {
            "the host's sudo, su or doas waits for something, a directory server perhaps"
        }
        LaneErrorKind::Failed => "try the same command by hand on the host",
    }
}
