//! The made packages: each is one thing that happens to people who patch.

/// Where a release is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Suite {
    /// As Debian's own archive describes itself.
    Stable,
    /// As Debian's security archive does.
    Security,
}

impl Suite {
    pub(super) const ALL: [Self; 2] = [Self::Stable, Self::Security];

    /// The directory below `dists`, and what apt's sources name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Stable => "made",
            Self::Security => "made-security",
        }
    }

    /// The label by which tools tell security updates from others.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Stable => "Debian",
            Self::Security => "Debian-Security",
        }
    }
}

/// One version of a made package.
#[derive(Debug)]
pub(super) struct Release {
    /// Without the prefix `hostler-made-`.
    pub(super) name: &'static str,
    pub(super) version: &'static str,
    pub(super) suite: Suite,
    /// What is in it; the first line of its description.
    pub(super) what: &'static str,
    /// Debian's field of this name, complete.
    pub(super) depends: &'static str,
    /// The body of its `postinst`.
    pub(super) postinst: &'static str,
}

impl Release {
    /// How it is called on command lines: `lib-2.0`.
    pub(super) fn title(&self) -> String {
        format!("{}-{}", self.name, self.version)
    }

    /// The package's name.
    pub(super) fn package(&self) -> String {
        format!("hostler-made-{}", self.name)
    }
}

const fn stable(name: &'static str, version: &'static str, what: &'static str) -> Release {
    Release {
        name,
        version,
        suite: Suite::Stable,
        what,
        depends: "",
        postinst: "",
    }
}

const fn security(name: &'static str, version: &'static str, what: &'static str) -> Release {
    Release {
        suite: Suite::Security,
        ..stable(name, version, what)
    }
}

const START: &str = "if [ -d /run/systemd/system ]; then systemctl daemon-reload; systemctl enable --quiet --now hostler-made; fi";
const RESTART: &str = "if [ -d /run/systemd/system ]; then systemctl daemon-reload; systemctl restart hostler-made; fi";
const WANT_REBOOT: &str = "echo '*** System restart required ***' >/run/reboot-required; \
                           echo hostler-made-kernel >>/run/reboot-required.pkgs";
const WAIT: &str = "while [ -e /srv/wait ]; do sleep 0.1; done";

/// Every release. Version 1.0 is what hosts have; what else there is is published by name.
pub(super) const RELEASES: &[Release] = &[
    stable("lib", "1.0", "a library that the service maps"),
    security("lib", "2.0", "a library whose users have to be restarted"),
    Release {
        depends: "hostler-made-lib, python3:any",
        postinst: START,
        ..stable("service", "1.0", "a service on port 8042")
    },
    Release {
        depends: "hostler-made-lib, python3:any",
        postinst: RESTART,
        ..stable("service", "2.0", "a service that restarts itself")
    },
    Release {
        depends: "hostler-made-lib, python3:any",
        postinst: RESTART,
        ..stable("service", "3.0", "a service that says that it is sick")
    },
    stable(
        "conf",
        "1.0",
        "a configuration file, changed by hand on hosts",
    ),
    stable("conf", "2.0", "another configuration file"),
    stable("broken", "1.0", "a package that is fine"),
    Release {
        postinst: "echo 'made to fail' >&2; exit 1",
        ..stable("broken", "2.0", "a package whose postinst fails")
    },
    stable("kernel", "1.0", "a file in /boot"),
    Release {
        postinst: WANT_REBOOT,
        ..security(
            "kernel",
            "2.0",
            "a file in /boot, and the wish to be rebooted",
        )
    },
    stable(
        "gone",
        "1.0",
        "a package whose 2.0 is there for a while only",
    ),
    security("gone", "2.0", "a package that will be replaced by 2.1"),
    security("gone", "2.1", "what has replaced 2.0"),
    stable("extra", "1.0", "a package that needs no other"),
    Release {
        depends: "hostler-made-added",
        ..stable("extra", "2.0", "a package that needs another one")
    },
    stable("added", "2.0", "what extra 2.0 needs"),
    stable("held", "1.0", "a package that hosts hold"),
    security("held", "2.0", "a package that hosts hold"),
    stable("slow", "1.0", "a package that is fine"),
    Release {
        postinst: WAIT,
        ..stable(
            "slow",
            "2.0",
            "a package whose postinst waits while there is /srv/wait",
        )
    },
];

/// What one word of a command line stands for besides a release's own title.
pub(super) const SETS: &[(&str, &[&str])] = &[(
    "night",
    &[
        "lib-2.0",
        "service-2.0",
        "conf-2.0",
        "kernel-2.0",
        "extra-2.0",
        "added-2.0",
        "held-2.0",
    ],
)];

/// The releases that `word` names: one by its title, or a set.
pub(super) fn named(word: &str) -> Option<Vec<&'static Release>> {
    let by_title = |title: &str| RELEASES.iter().find(|it| it.title() == title);
    let set = SETS.iter().find(|(name, _)| *name == word);
    match set {
        Some((_, titles)) => titles.iter().map(|title| by_title(title)).collect(),
        None => by_title(word).map(|it| vec![it]),
    }
}

/// What is installed on hosts before anything is published.
pub(super) fn first() -> impl Iterator<Item = &'static Release> {
    RELEASES.iter().filter(|it| it.version == "1.0")
}

#[cfg(test)]
mod tests {
    use super::{RELEASES, SETS, named};

    #[test]
    fn sets_name_releases_that_there_are() {
        for (set, titles) in SETS {
            assert_eq!(named(set).map(|it| it.len()), Some(titles.len()));
        }
        assert!(named("lib-9").is_none());
        assert_eq!(named("gone-2.1").map(|it| it[0].version), Some("2.1"));
    }

    #[test]
    fn titles_are_unique() {
        let mut titles: Vec<String> = RELEASES.iter().map(super::Release::title).collect();
        titles.sort();
        titles.dedup();
        assert_eq!(titles.len(), RELEASES.len());
    }
}
