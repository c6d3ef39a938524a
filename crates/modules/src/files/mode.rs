//! File modes as playbooks write them: numbers, octal text, and the symbolic form of chmod(1).

use hostler_module_api::ModuleError;
use hostler_value::Value;

/// A mode that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Permission bits.
    Bits(u32),
    /// Clauses such as `u=rwX,g-w`, relative to what is there.
    Symbolic(String),
}

const PERM_BITS: u32 = 0o7777;

impl Mode {
    /// Reads the argument. A number is taken as it is (YAML has read `0644` as octal already), text as octal digits
    /// or else as symbolic.
    pub(crate) fn read(value: &Value) -> Result<Self, ModuleError> {
        let text = match value {
            Value::Int(bits) => {
                return u32::try_from(*bits)
                    .ok()
                    .filter(|bits| *bits <= PERM_BITS)
                    .map(Mode::Bits)
                    .ok_or_else(|| bad(&format!("{bits} is not a permission number")));
            }
            Value::Str(text) => text.trim(),
            other => return Err(bad(&format!("{} is not a mode", other.repr()))),
        };
        let digits = text.strip_prefix("0o").unwrap_or(text);
        if let Ok(bits) = u32::from_str_radix(digits, 8) {
            if bits > PERM_BITS {
                let msg = "Invalid mode supplied, only permission info is allowed";
                return Err(ModuleError::new(msg).field("details", bits));
            }
            return Ok(Mode::Bits(bits));
        }
        // A clause that is wrong is wrong on any file.
        symbolic(text, 0, false, 0)?;
        Ok(Mode::Symbolic(text.to_owned()))
    }

    /// The permission bits on something that has the bits `now`.
    pub(crate) fn on(&self, now: u32, is_dir: bool, umask: u32) -> Result<u32, ModuleError> {
        match self {
            Mode::Bits(bits) => Ok(*bits),
            Mode::Symbolic(text) => symbolic(text, now, is_dir, umask),
        }
    }
}

/// A mode as return values show it: `0644`, `01777`.
pub(crate) fn mode_text(bits: u32) -> String {
    format!("0{bits:03o}")
}

fn bad(details: &str) -> ModuleError {
    ModuleError::new("mode must be in octal or symbolic form").field("details", details)
}

/// Applies all clauses, each with one or more operators, left to right.
fn symbolic(text: &str, now: u32, is_dir: bool, umask: u32) -> Result<u32, ModuleError> {
    let mut mode = now & PERM_BITS;
    for clause in text.split(',') {
        let wrong = || bad(&format!("bad symbolic permission for mode: {clause}"));
        let first = clause.find(['+', '-', '=']).ok_or_else(wrong)?;
        let (users, mut rest) = clause.split_at(first);
        // Without users all are meant, but what the umask masks stays as it is.
        let masked = if users.is_empty() { umask } else { 0 };
        let users = if matches!(users, "" | "a") {
            "ugo"
        } else {
            users
        };
        if !users.chars().all(|user| "ugo".contains(user)) {
            return Err(wrong());
        }
        while let Some(operator) = rest.chars().next() {
            let after = &rest[1..];
            let end = after.find(['+', '-', '=']).unwrap_or(after.len());
            let (perms, next) = after.split_at(end);
            if !perms.chars().all(|perm| "rwxXstugo".contains(perm)) {
                return Err(wrong());
            }
            for user in users.chars() {
                let bits = perms
                    .chars()
                    .map(|perm| bits_of(perm, user, mode, is_dir, masked))
                    .fold(0, |all, bits| all | bits);
                mode = match operator {
                    '=' => (mode & !class_mask(user)) | bits,
                    '+' => mode | bits,
                    _ => mode & !bits,
                };
            }
            rest = next;
        }
    }
    Ok(mode)
}

/// How far a user class's three bits are shifted.
fn shift(user: char) -> u32 {
    match user {
        'u' => 6,
        'g' => 3,
        _ => 0,
    }
}

fn class_mask(user: char) -> u32 {
    let special = match user {
        'u' => 0o4000,
        'g' => 0o2000,
        _ => 0o1000,
    };
    (0o7 << shift(user)) | special
}

fn bits_of(perm: char, user: char, now: u32, is_dir: bool, masked: u32) -> u32 {
    let at = |bit: u32| (bit << shift(user)) & !masked;
    match (perm, user) {
        ('r', _) => at(4),
        ('w', _) => at(2),
        ('x', _) => at(1),
        ('X', _) if is_dir || now & 0o111 != 0 => 1 << shift(user),
        ('s', 'u') => 0o4000,
        ('s', 'g') => 0o2000,
        ('t', 'o') => 0o1000,
        ('u' | 'g' | 'o', _) => ((now >> shift(perm)) & 7) << shift(user),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(text: &str, now: u32, is_dir: bool) -> u32 {
        Mode::read(&text.into())
            .unwrap()
            .on(now, is_dir, 0o022)
            .unwrap()
    }

    #[test]
    fn numbers_and_octal_text() {
        assert_eq!(Mode::read(&Value::Int(0o644)).unwrap(), Mode::Bits(0o644));
        assert_eq!(Mode::read(&"0644".into()).unwrap(), Mode::Bits(0o644));
        assert_eq!(Mode::read(&"1777".into()).unwrap(), Mode::Bits(0o1777));
        for wrong in [
            Value::str("rw"),
            "u=rwz".into(),
            "z=r".into(),
            "77777".into(),
            Value::Int(-1),
        ] {
            assert!(Mode::read(&wrong).is_err(), "{wrong}");
        }
    }

    /// Each line was seen to be what chmod(1) of GNU coreutils does too.
    #[test]
    fn symbolic_clauses() {
        assert_eq!(on("u=rw,g=r,o=", 0o777, false), 0o640);
        assert_eq!(on("a+X", 0o644, false), 0o644);
        assert_eq!(on("a+X", 0o744, false), 0o755);
        assert_eq!(on("a=rX", 0o600, true), 0o555);
        assert_eq!(on("+w", 0o444, false), 0o644);
        assert_eq!(on("g=u", 0o640, false), 0o660);
        assert_eq!(on("u+s,g+s,o+t", 0o755, false), 0o7755);
        assert_eq!(on("u=rw-x+X,g=r-x+X,o=r-x+X", 0o755, false), 0o755);
        assert_eq!(on("ug-w", 0o666, false), 0o446);
    }

    #[test]
    fn shown_as_return_values_show_it() {
        assert_eq!(
            (mode_text(0o644), mode_text(0o1777)),
            ("0644".into(), "01777".into())
        );
        assert_eq!(mode_text(0), "0000");
    }
}
