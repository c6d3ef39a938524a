//! The arguments of `apt`.

use hostler_module_api::prelude::*;

/// Install, upgrade or remove packages.
///
/// ```yaml
/// - name: The web server, and current package lists
///   apt:
///     name: [nginx, curl]
///     update_cache: true
///     cache_valid_time: 3600
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "they are the module's documented arguments")]
pub(crate) struct Args {
    /// Packages: `name`, `name=1.2*`, `name>=1.2`, `name/release`, `name:arch`, or a pattern such as `php8.2-*`.
    #[serde(default, alias = "name", alias = "pkg")]
    pub(super) package: Vec<String>,
    /// What should be with them.
    #[serde(default)]
    pub(super) state: PackageState,
    /// Refresh the package lists first.
    #[serde(alias = "update-cache")]
    pub(super) update_cache: Option<bool>,
    /// Seconds for which refreshed lists are good enough. Given alone, it implies `update_cache`.
    #[serde(default)]
    pub(super) cache_valid_time: i64,
    /// How often to try to refresh the lists.
    #[serde(default = "five")]
    pub(super) update_cache_retries: u32,
    /// Longest pause between those tries, in seconds.
    #[serde(default = "twelve")]
    pub(super) update_cache_retry_max_delay: u32,
    /// Upgrade all packages: `safe` or `yes` without removing any, `full` or `dist` also where others must go.
    #[serde(default)]
    pub(super) upgrade: Upgrade,
    /// A `.deb` file of the host, or its URL; several with commas.
    pub(super) deb: Option<String>,
    /// Remove configuration files too.
    #[serde(default)]
    pub(super) purge: bool,
    /// Remove packages that nothing needs any more.
    #[serde(default)]
    pub(super) autoremove: bool,
    /// Remove downloaded packages that are not in the lists any more.
    #[serde(default)]
    pub(super) autoclean: bool,
    /// Remove all downloaded packages.
    #[serde(default)]
    pub(super) clean: bool,
    /// Release to prefer, as `apt-get -t`.
    #[serde(alias = "default-release")]
    pub(super) default_release: Option<String>,
    /// Install recommended packages too; as apt is configured unless given.
    #[serde(alias = "install-recommends")]
    pub(super) install_recommends: Option<bool>,
    /// Upgrade only what is installed.
    #[serde(default)]
    pub(super) only_upgrade: bool,
    /// Do it whatever the danger (`--force-yes`).
    #[serde(default)]
    pub(super) force: bool,
    /// Install what is not signed.
    #[serde(default, alias = "allow-unauthenticated")]
    pub(super) allow_unauthenticated: bool,
    /// Install older versions than there are.
    #[serde(default, alias = "allow-downgrade", alias = "allow_downgrades", alias = "allow-downgrades")]
    pub(super) allow_downgrade: bool,
    /// Change packages that are held.
    #[serde(default)]
    pub(super) allow_change_held_packages: bool,
    /// Fail if an installation would remove packages.
    #[serde(default)]
    pub(super) fail_on_autoremove: bool,
    /// Options of dpkg, without their dashes.
    #[serde(default = "keep_configuration")]
    pub(super) dpkg_options: Vec<String>,
    /// Seconds to wait for the lock while another program installs.
    #[serde(default = "minute")]
    pub(super) lock_timeout: u32,
    /// Exit status for `/usr/sbin/policy-rc.d` meanwhile; 101 keeps services from being started.
    pub(super) policy_rc_d: Option<i32>,
    /// Only `apt-get` is ever used here; accepted for playbooks that say so.
    #[serde(default, rename = "force_apt_get")]
    _force_apt_get: bool,
    /// No Python modules are needed here; accepted for playbooks that say so.
    #[serde(default = "yes", rename = "auto_install_module_deps")]
    _auto_install_module_deps: bool,
}

fn yes() -> bool {
    true
}

fn five() -> u32 {
    5
}

fn twelve() -> u32 {
    12
}

fn minute() -> u32 {
    60
}

fn keep_configuration() -> Vec<String> {
    vec!["force-confdef".into(), "force-confold".into()]
}

/// What should be with packages.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum PackageState {
    /// They are installed, whatever the version.
    #[default]
    Present,
    /// They are not installed.
    Absent,
    /// They are installed in the newest version.
    Latest,
    /// What is needed to build them is installed.
    BuildDep,
    /// Their broken dependencies are repaired.
    Fixed,
}

/// How all packages are upgraded.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Upgrade {
    /// Not at all.
    #[default]
    No,
    /// Without removing any.
    Yes,
    /// The same as `yes`.
    Safe,
    /// Also where others must go.
    Full,
    /// The same as `full`.
    Dist,
}

pub(crate) fn spec() -> ModuleSpec {
    spec_of::<Args>("apt")
}

impl Args {
    /// Packages without `*`, which means "all that are installed".
    pub(super) fn names(&self) -> Vec<&str> {
        self.package.iter().map(|it| it.trim()).filter(|it| *it != "*" && !it.is_empty()).collect()
    }

    /// `name: "*"` with `state: latest`.
    pub(super) fn upgrades_all(&self) -> bool {
        self.state == PackageState::Latest && self.package.iter().any(|it| it.trim() == "*")
    }

    /// More than the lists is wanted.
    pub(super) fn wants_packages(&self) -> bool {
        !self.package.is_empty()
            || self.upgrade != Upgrade::No
            || self.deb.is_some()
            || self.autoremove
            || self.autoclean
            || self.state == PackageState::Fixed
    }

    pub(super) fn check(&self) -> Result<(), ModuleError> {
        let sources = [self.upgrade != Upgrade::No, self.deb.is_some(), !self.package.is_empty()];
        let several = sources.iter().filter(|it| **it).count() > 1;
        let updates = self.update_cache == Some(true) || self.cache_valid_time > 0;
        let problem = if several {
            "parameters are mutually exclusive: deb|package|upgrade"
        } else if !self.wants_packages() && !updates && !self.clean {
            "one of the following is required: autoremove, deb, package, update_cache, upgrade"
        } else if self.deb.is_some() && self.state != PackageState::Present {
            "deb only supports state=present"
        } else if self.upgrades_all() && !self.names().is_empty() {
            "unable to install additional packages when upgrading all installed packages"
        } else if self.default_release.as_deref().is_some_and(|it| it.starts_with('-') || it.is_empty()) {
            "'default_release' is not a release"
        } else {
            return Ok(());
        };
        Err(ModuleError::new(problem))
    }
}

/// What `package` hands on.
pub(crate) struct Generic {
    /// Packages.
    pub(crate) names: Vec<String>,
    /// What should be with them.
    pub(crate) state: PackageState,
    /// Refresh the lists first.
    pub(crate) update_cache: Option<bool>,
    /// Seconds for which the lists are good enough.
    pub(crate) cache_valid_time: i64,
}

impl From<Generic> for Args {
    fn from(it: Generic) -> Self {
        Args {
            package: it.names,
            state: it.state,
            update_cache: it.update_cache,
            cache_valid_time: it.cache_valid_time,
            update_cache_retries: five(),
            update_cache_retry_max_delay: twelve(),
            upgrade: Upgrade::No,
            deb: None,
            purge: false,
            autoremove: false,
            autoclean: false,
            clean: false,
            default_release: None,
            install_recommends: None,
            only_upgrade: false,
            force: false,
            allow_unauthenticated: false,
            allow_downgrade: false,
            allow_change_held_packages: false,
            fail_on_autoremove: false,
            dpkg_options: keep_configuration(),
            lock_timeout: minute(),
            policy_rc_d: None,
            _force_apt_get: false,
            _auto_install_module_deps: true,
        }
    }
}
