//! What programs that change the user say when they refuse, as read in their sources and seen on hosts.

use hostler_protocol::{BecomeMethod, LaneErrorKind};

/// Words of a message and what they mean; the first that matches counts. All lower case.
const MEANINGS: &[(&str, LaneErrorKind)] = &[
    // sudo(8)
    ("a password is required", LaneErrorKind::PasswordNeeded),
    (
        "a terminal is required to read the password",
        LaneErrorKind::PasswordNeeded,
    ),
    ("no password was provided", LaneErrorKind::PasswordNeeded),
    (
        "interactive authentication is required",
        LaneErrorKind::PasswordNeeded,
    ),
    ("sorry, try again", LaneErrorKind::PasswordWrong),
    ("incorrect password", LaneErrorKind::PasswordWrong),
    ("is not in the sudoers file", LaneErrorKind::Denied),
    ("may not run sudo", LaneErrorKind::Denied),
    ("is not allowed to", LaneErrorKind::Denied),
    ("not allowed to set", LaneErrorKind::Denied),
    ("account validation failure", LaneErrorKind::Denied),
    // doas(1)
    ("authorization required", LaneErrorKind::PasswordNeeded),
    ("a tty is required", LaneErrorKind::PasswordNeeded),
    ("authorization failed", LaneErrorKind::PasswordWrong),
    ("authentication failed", LaneErrorKind::PasswordWrong),
    ("operation not permitted", LaneErrorKind::Denied),
    // su(1) of util-linux, shadow and busybox
    ("authentication failure", LaneErrorKind::PasswordWrong),
    (
        "authentication token manipulation error",
        LaneErrorKind::PasswordWrong,
    ),
    ("permission denied", LaneErrorKind::Denied),
    ("account is currently not available", LaneErrorKind::Denied),
    ("account has expired", LaneErrorKind::Denied),
];

/// Says why a program refused, from what it printed and whether it was given a password.
pub(super) fn classify(said: &str, password_sent: bool) -> LaneErrorKind {
    let said = said.to_lowercase();
    let meaning = MEANINGS.iter().find(|(words, _)| said.contains(words));
    match meaning.map(|(_, kind)| *kind) {
        Some(LaneErrorKind::PasswordWrong) if !password_sent => LaneErrorKind::PasswordNeeded,
        Some(kind) => kind,
        None => LaneErrorKind::Failed,
    }
}

/// Does it want to be started from a terminal?
pub(super) fn wants_terminal(said: &str) -> bool {
    let said = said.to_lowercase();
    [
        "you must have a tty",
        "must be run from a terminal",
        "a tty is required",
        "standard in must be a tty",
    ]
    .iter()
    .any(|words| said.contains(words))
}

/// Does the text end in a prompt? sudo is given a prompt that nothing else prints; the others have their own.
pub(super) fn is_prompt(method: BecomeMethod, marker: &str, new: &str) -> bool {
    match method {
        BecomeMethod::Sudo => new.contains(marker),
        BecomeMethod::Su | BecomeMethod::Doas => {
            let last = new
                .rsplit(['\n', '\r'])
                .next()
                .unwrap_or_default()
                .trim_end();
            last.to_lowercase().contains("password") || last.ends_with(':')
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use LaneErrorKind::{Denied, Failed, PasswordNeeded, PasswordWrong};

    #[test]
    fn refusals() {
        let cases = [
            ("sudo: a password is required", false, PasswordNeeded),
            (
                "Sorry, try again.\nsudo: no password was provided",
                true,
                PasswordNeeded,
            ),
            ("sudo: 1 incorrect password attempt", true, PasswordWrong),
            ("bob is not in the sudoers file.", true, Denied),
            (
                "Sorry, user bob is not allowed to execute '/x' as root on h.",
                false,
                Denied,
            ),
            ("su: Authentication failure", true, PasswordWrong),
            ("su: Authentication failure", false, PasswordNeeded),
            ("doas: Operation not permitted", false, Denied),
            ("sudo: unknown user nope", false, Failed),
        ];
        for (said, sent, kind) in cases {
            assert_eq!(classify(said, sent), kind, "{said}");
        }
    }

    #[test]
    fn prompts() {
        assert!(is_prompt(BecomeMethod::Su, "", "Password: "));
        assert!(is_prompt(BecomeMethod::Su, "", "Passwort: "));
        assert!(is_prompt(BecomeMethod::Doas, "", "doas (bob@h) password: "));
        assert!(!is_prompt(
            BecomeMethod::Sudo,
            "[m1]",
            "We trust you have received the usual lecture:\n"
        ));
        assert!(is_prompt(BecomeMethod::Sudo, "[m1]", "lecture\n[m1]"));
        assert!(wants_terminal(
            "sudo: sorry, you must have a tty to run sudo"
        ));
    }
}
