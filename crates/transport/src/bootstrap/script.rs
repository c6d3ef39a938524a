//! The boot script: what the login shell is asked to run, and the lines that it answers with.

use std::fmt::Write as _;

use super::AgentImage;

/// Where the agent may be kept, in order of preference; `$HOME` and `$u` (the user's number) are the shell's.
pub(super) const PLACES: [&str; 5] = [
    "$HOME/.cache/hostler",
    "/var/tmp/.hostler-$u",
    "/tmp/.hostler-$u",
    "/dev/shm/.hostler-$u",
    "/run/user/$u/hostler",
];

pub(super) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

/// A line of the boot script.
pub(super) enum BootLine {
    Noise,
    At(usize),
    Need,
    Short,
    Machine(Vec<u8>),
    Fail(Vec<u8>),
}

pub(super) fn boot_line(line: &[u8]) -> BootLine {
    // Noise without a newline may stand before ours.
    let Some(at) = find(line, b"hostler-boot ") else {
        return BootLine::Noise;
    };
    let words = &line[at + b"hostler-boot ".len()..];
    let (word, rest) = match words.iter().position(|b| *b == b' ') {
        Some(at) => (&words[..at], &words[at + 1..]),
        None => (words, &b""[..]),
    };
    match word {
        b"at" => BootLine::At(
            std::str::from_utf8(rest)
                .ok()
                .and_then(|n| n.trim().parse().ok())
                .unwrap_or(0),
        ),
        b"need" => BootLine::Need,
        b"short" => BootLine::Short,
        b"machine" => BootLine::Machine(rest.to_vec()),
        b"fail" => BootLine::Fail(rest.to_vec()),
        _ => BootLine::Noise,
    }
}

/// The boot script. The agent gets the login's own umask: it is what new files and commands on the host go by; only what the
/// script itself writes is private. Rules for its text: one line, no single quote, no `!` and no backslash, so that single quotes
/// protect it in every shell; only what POSIX sh, dash, bash and busybox share (`head -c` and `test -O` they do).
pub(super) fn command(image: &AgentImage, skip: &[usize], fresh: bool) -> String {
    let mut skipped = String::from(" ");
    for number in skip {
        let _infallible = write!(skipped, "{number} ");
    }
    let hash = hex(&image.sha256);
    let AgentImage { bytes, machine, .. } = image;
    let size = bytes.len();
    let places = PLACES.map(|place| format!("\"{place}\"")).join(" ");
    let usable = "[ -f \"$f\" ] && [ -x \"$f\" ] && [ -O \"$f\" ] && [ -O \"$d\" ]";
    let mut script = format!("set -f; k=\"{skipped}\"; s={hash}; z={size}; ");
    if !fresh {
        // The usual case first, without starting any other program.
        if !skip.contains(&1) {
            let _infallible = write!(
                script,
                "d=\"$HOME/.cache/hostler\"; f=\"$d/agent-$s\"; if {usable}; then echo \"hostler-boot at 1\"; exec \"$f\"; fi; "
            );
        }
        let _infallible = write!(
            script,
            "u=$(id -u); n=0; for d in {places}; do n=$((n+1)); f=\"$d/agent-$s\"; case \"$k\" in *\" $n \"*) continue;; esac; \
             if {usable}; then echo \"hostler-boot at $n\"; exec \"$f\"; fi; done; "
        );
    }
    let _infallible = write!(
        script,
        "o=$(umask); umask 077; m=$(uname -m); if [ \"$m\" = {machine} ]; then :; else echo; echo \"hostler-boot machine $m\"; exit 0; fi; \
         u=$(id -u); n=0; r=; for d in {places}; do n=$((n+1)); case \"$k\" in *\" $n \"*) continue;; esac; \
         f=\"$d/agent-$s\"; t=\"$d/.agent-$$\"; \
         if [ $n = 1 ] && [ \"${{HOME:-/}}\" = / ]; then r=\"${{r}}no home directory; \"; continue; fi; \
         if [ -L \"$d\" ]; then r=\"$r$d: is a symbolic link; \"; continue; fi; \
         if [ -d \"$d\" ]; then :; else e=$(mkdir -p \"${{d%/*}}\" 2>&1 && mkdir \"$d\" 2>&1) || [ -d \"$d\" ] || {{ r=\"$r$d: $e; \"; continue; }}; fi; \
         if [ -O \"$d\" ]; then :; else r=\"$r$d: belongs to another user; \"; continue; fi; \
         e=$(chmod 700 \"$d\" 2>&1) || {{ r=\"$r$d: $e; \"; continue; }}; \
         e=$( (: > \"$t\") 2>&1) || {{ r=\"$r$d: $e; \"; continue; }}; \
         chmod 700 \"$t\"; if [ -x \"$t\" ]; then :; else rm -f \"$t\"; r=\"$r$d: mounted noexec; \"; continue; fi; \
         echo; echo \"hostler-boot at $n\"; echo \"hostler-boot need\"; \
         head -c \"$z\" > \"$t\"; c=$(wc -c < \"$t\"); \
         if [ $((c)) = \"$z\" ] && mv -f \"$t\" \"$f\"; then find \"$d\" -name \"agent-*\" -mtime +30 -exec rm -f {{}} + 2>/dev/null; umask \"$o\"; exec \"$f\"; fi; \
         rm -f \"$t\"; echo \"hostler-boot short\"; exit 0; \
         done; echo; echo \"hostler-boot fail\" $r"
    );
    format!("exec sh -c '{script}'")
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            let _infallible = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_one_quoted_line_for_any_shell() {
        let image = AgentImage {
            bytes: b"program",
            sha256: [0xab; 32],
            machine: "x86_64",
        };
        for (skip, fresh) in [(vec![], false), (vec![1, 3], false), (vec![2], true)] {
            let command = command(&image, &skip, fresh);
            let script = command
                .strip_prefix("exec sh -c '")
                .and_then(|c| c.strip_suffix('\''))
                .expect("quoted");
            // In single quotes csh would still expand `!`, fish a backslash; a quote or newline would end the word.
            assert!(!script.contains(['\'', '!', '\\', '\n']), "{script}");
            let checked = std::process::Command::new("sh")
                .args(["-n", "-c", script])
                .status()
                .expect("sh");
            assert!(checked.success(), "{script}");
            assert_eq!(
                script.contains("exec \"$f\"; fi; u=$(id -u)"),
                !fresh && !skip.contains(&1)
            );
        }
    }

    #[test]
    fn lines_are_found_behind_noise() {
        assert!(matches!(
            boot_line(b"Welcome!hostler-boot at 3"),
            BootLine::At(3)
        ));
        assert!(matches!(boot_line(b"hostler-boot need\r"), BootLine::Noise));
        assert!(matches!(boot_line(b"hostler-boot need"), BootLine::Need));
        assert!(matches!(boot_line(b"hostler-boot at x"), BootLine::At(0)));
        assert!(
            matches!(boot_line(b"hostler-boot fail a b"), BootLine::Fail(words) if words == b"a b")
        );
        assert!(matches!(boot_line(b"hostler-booty"), BootLine::Noise));
    }
}
