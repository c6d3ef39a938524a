//! `shadow(5)`: passwords and their ages.

use hostler_module_api::Inspect;

use crate::text;

/// A line of `/etc/shadow`. Numbers are days; `None` is an empty field.
#[derive(Clone, PartialEq, Eq)]
pub struct Shadow {
    /// The hash; begins with `!` if locked.
    pub password: String,
    /// Days between changes, at least.
    pub min: Option<i64>,
    /// Days until it must be changed.
    pub max: Option<i64>,
    /// Days of warning before that.
    pub warn: Option<i64>,
    /// Days after that until the account is disabled.
    pub inactive: Option<i64>,
    /// Day since the epoch on which the account ends.
    pub expires: Option<i64>,
}

impl std::fmt::Debug for Shadow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Shadow({})",
            if self.is_locked() {
                "locked"
            } else {
                "not locked"
            }
        )
    }
}

impl Shadow {
    /// Does the password begin with `!`?
    pub fn is_locked(&self) -> bool {
        self.password.starts_with('!')
    }

    /// The password without the marks of a lock.
    pub fn unlocked(&self) -> &str {
        self.password.trim_start_matches('!')
    }

    /// Reads the line of a user in a file's text.
    pub fn find(file: &str, user: &str) -> Option<Self> {
        let line = file
            .lines()
            .find(|line| line.split(':').next() == Some(user))?;
        let fields: Vec<&str> = line.split(':').collect();
        let days = |index: usize| fields.get(index).and_then(|it| it.parse().ok());
        Some(Shadow {
            password: (*fields.get(1)?).to_owned(),
            min: days(3),
            max: days(4),
            warn: days(5),
            inactive: days(6),
            expires: days(7),
        })
    }
}

/// A user's line; `None` if there is none or the file cannot be read (not root).
pub fn shadow(host: &dyn Inspect, user: &str) -> Option<Shadow> {
    Shadow::find(&text(host, "/etc/shadow")?, user)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_line() {
        let file = "root:*:19000:0:99999:7:::\nalice:!$6$x$y:19000:1::7:30:20000:\n";
        let alice = Shadow::find(file, "alice").unwrap();
        assert!(alice.is_locked());
        assert_eq!(alice.unlocked(), "$6$x$y");
        assert_eq!(
            (alice.min, alice.max, alice.inactive, alice.expires),
            (Some(1), None, Some(30), Some(20_000))
        );
        assert!(Shadow::find(file, "ali").is_none());
        assert!(!format!("{alice:?}").contains("$6$"));
    }
}
