//! Passwords, their ages, and dates as `usermod` takes them.

use hostler_change::ShadowEffect;
use hostler_module_api::prelude::*;
use hostler_probes::Shadow;

use super::{Args, tools};

/// Shown instead of a hash.
pub(super) const HIDDEN: &str = "(hidden)";
/// Shown instead of another hash.
pub(super) const HIDDEN_NEW: &str = "(hidden, another)";

/// Does it look like the output of `crypt(3)`, or one of the texts that disable a password? Lengths as in crypt(5).
pub(super) fn looks_hashed(password: &str) -> bool {
    if password.is_empty() || ["*", "!", "*************"].contains(&password) {
        return true;
    }
    if password.contains([':', '*', '!']) {
        return false;
    }
    let parts: Vec<&str> = password.split('$').collect();
    let (Some(kind), Some(hash)) = (parts.get(1), parts.get(2).and(parts.last())) else {
        return false;
    };
    let alphabet = |ch: char| ch.is_ascii_alphanumeric() || ch == '.' || ch == '/';
    let length = match *kind {
        "1" => Some(22),
        "5" | "y" => Some(43),
        "6" => Some(86),
        _ => None,
    };
    hash.chars().all(alphabet) && length.is_none_or(|it| it == hash.len())
}

/// Day since the epoch of a time in seconds; `None` for a negative one ("never").
pub(super) fn day_of(expires: f64) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "saturates; the date is refused by the tool then")]
    (expires >= 0.0).then(|| (expires / 86_400.0).floor() as i64)
}

/// The date `YYYY-MM-DD` of a time; empty for "never".
pub(super) fn date_of(expires: f64) -> String {
    day_of(expires).map_or_else(String::new, |day| {
        let (year, month, day) = civil(day.min(10_000_000));
        format!("{year:04}-{month:02}-{day:02}")
    })
}

/// Gregorian date of a day since 1970-01-01 (Howard Hinnant's `civil_from_days`, for days that are not negative).
fn civil(day: i64) -> (i64, i64, i64) {
    let shifted = day + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Sets the hash, locked if the account is to be locked.
pub(super) fn set(args: &Args, password: &str) -> Run {
    let password = match args.password_lock {
        Some(true) => format!("!{}", password.trim_start_matches('!')),
        _ => password.to_owned(),
    };
    let brings = ShadowEffect { password: Some(password.clone()), ..effect(args) };
    Run::new(tools::set_password(args, &password)).bringing(vec![Effect::Shadow(brings)])
}

/// An effect on the account's line, with nothing in it.
fn effect(args: &Args) -> ShadowEffect {
    ShadowEffect { user: args.name.clone(), ..ShadowEffect::default() }
}

/// What `useradd` and `usermod` do to the account's line: its end, and its lock.
pub(super) fn effects(args: &Args, now: Option<&Shadow>) -> Vec<Effect> {
    let password = now.and_then(|now| match args.password_lock {
        Some(true) if !now.is_locked() => Some(format!("!{}", now.password)),
        Some(false) if now.is_locked() => Some(now.unlocked().to_owned()).filter(|it| !it.is_empty()),
        _ => None,
    });
    let effect = ShadowEffect {
        password,
        expires: args.expires.map(|it| day_of(it).unwrap_or(-1)),
        inactive: args.password_expire_account_disable,
        ..effect(args)
    };
    let empty = effect == self::effect(args);
    if empty { Vec::new() } else { vec![Effect::Shadow(effect)] }
}

/// Plans the ages of the password with `chage`.
pub(super) fn ages(args: &Args, now: Option<&Shadow>, plan: &mut Plan) {
    let wanted = [
        ("password_expire_min", "-m", args.password_expire_min, now.and_then(|it| it.min)),
        ("password_expire_max", "-M", args.password_expire_max, now.and_then(|it| it.max)),
        ("password_expire_warn", "-W", args.password_expire_warn, now.and_then(|it| it.warn)),
    ];
    let mut program = Program::new(["chage"]);
    let mut deltas = Vec::new();
    for (name, option, wanted, current) in wanted {
        // An empty field and -1 are the same to the tools.
        if let Some(days) = wanted.filter(|days| *days != current.unwrap_or(-1)) {
            program.argv.extend([option.to_owned(), days.to_string()]);
            deltas.push(Delta::field(args.subject(), name, current, days));
        }
    }
    if !deltas.is_empty() {
        program.argv.push(args.name.clone());
        let brings = ShadowEffect {
            min: args.password_expire_min,
            max: args.password_expire_max,
            warn: args.password_expire_warn,
            ..effect(args)
        };
        let run = Run::new(tools::clean(program)).bringing(vec![Effect::Shadow(brings)]);
        plan.push_all(deltas, Edit::Run(run));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        assert_eq!(date_of(-1.0), "");
        assert_eq!(date_of(0.0), "1970-01-01");
        assert_eq!(date_of(951_782_400.0), "2000-02-29");
        assert_eq!(date_of(1_422_403_387.0), "2015-01-28");
        assert_eq!(date_of(1e300).len(), 11);
    }

    #[test]
    fn hashes() {
        for good in ["*", "!", "$1$abc$0123456789012345678901", "$2b$12$anything"] {
            assert!(looks_hashed(good), "{good}");
        }
        for bad in ["secret", "$6$salt$short", "pa:ss", "$1"] {
            assert!(!looks_hashed(bad), "{bad}");
        }
    }
}
