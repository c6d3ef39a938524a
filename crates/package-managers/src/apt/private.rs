//! apt with lists of its own: what the host's own apt sees stays as it is.

use std::path::Path;

use hostler_change::Program;
use hostler_module_api::{Follow, Inspect, ModuleError};
use hostler_updates::Finding;

use crate::finding;

/// Settings of the private apt, read after those of the host (`-c`). `#clear` takes away what the host wants to be done
/// after each refresh, and indexes that nobody reads here; `@DIR@` is replaced.
const CONF: &str = r#"// Written by hostler. To see what it sees: apt-get -c @DIR@/apt.conf -s dist-upgrade
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear APT::Update::Post-Invoke-Stats;
#clear Acquire::Languages;
#clear Acquire::IndexTargets::deb::DEP-11;
#clear Acquire::IndexTargets::deb::DEP-11-icons;
#clear Acquire::IndexTargets::deb::DEP-11-icons-small;
#clear Acquire::IndexTargets::deb::DEP-11-icons-hidpi;
#clear Acquire::IndexTargets::deb::DEP-11-icons-large;
#clear Acquire::IndexTargets::deb::CNF;
#clear Acquire::IndexTargets::deb::Contents-deb;
#clear Acquire::IndexTargets::deb::Contents-deb-legacy;
#clear Acquire::IndexTargets::deb-src;
Acquire::Languages { "none"; };
Acquire::GzipIndexes "true";
Acquire::Retries "2";
APT::Update::Error-Mode "any";
APT::Get::Always-Include-Phased-Updates "1";
APT::Get::Show-User-Simulation-Note "0";
Dir::State::lists "@DIR@/lists";
Dir::Cache::pkgcache "@DIR@/pkgcache.bin";
Dir::Cache::srcpkgcache "";
Dir::Log::Planner "";
"#;

/// Makes the directory with the settings, which come on standard input. The indexes are no secret, and the user that
/// apt downloads as must come at them: each directory on the way may be passed through, but not be listed.
/// The host's own lists, where they are there, save downloading what they have.
const PREPARE: &str = r#"set -e
umask 022
mkdir -p "$1"
chmod 0711 "$1/.." "$1/../.."
if [ ! -d "$1/lists" ]; then
    rm -rf "$1/lists.new"
    mkdir -p "$1/lists.new"
    cp -a /var/lib/apt/lists/. "$1/lists.new/" 2>/dev/null || true
    rm -rf "$1/lists.new/partial" "$1/lists.new/auxfiles" "$1/lists.new/lock"
    mv "$1/lists.new" "$1/lists"
fi
mkdir -p "$1/lists/partial"
cat >"$1/apt.conf.new"
mv -f "$1/apt.conf.new" "$1/apt.conf"
"#;

/// Refreshes the lists; another scan of the same host at the same time is waited for.
const UPDATE: &str = r#"try=1
while :; do
    out=$(apt-get -q -c "$1/apt.conf" update 2>&1) && status=0 || status=$?
    case $out in
    *"Could not get lock"* | *"Unable to lock"*) [ "$try" -lt 60 ] || break ;;
    *) break ;;
    esac
    try=$((try + 1))
    sleep 2
done
printf '%s\n' "$out"
exit "$status"
"#;

/// Longest that a refresh may take, seconds.
const UPDATE_MAX_S: u64 = 900;
/// Longest that a question to apt may take, seconds.
const ASK_MAX_S: u64 = 300;
/// Most lines of a failed refresh that become findings.
const LINES_MAX: usize = 20;

/// Directory and settings are there and current.
pub(super) fn prepare(host: &dyn Inspect, dir: &Path) -> Result<(), ModuleError> {
    let shown = dir.display().to_string();
    let conf = CONF.replace("@DIR@", &shown);
    let current = host.read(&dir.join("apt.conf"), 1 << 20)?;
    let has_lists = host.stat(&dir.join("lists"), Follow::Yes)?.is_some();
    if has_lists && current.as_deref() == Some(conf.as_bytes()) {
        return Ok(());
    }
    let program = Program::new(["sh", "-c", PREPARE, "sh", &shown])
        .stdin(conf)
        .shown_as("prepare private lists of apt");
    let output = host.look(&program)?;
    if output.success() {
        return Ok(());
    }
    let reason = output.stderr_text();
    Err(ModuleError::new(format!(
        "cannot make {shown}: {}",
        reason.trim()
    )))
}

/// A program of apt's that reads the private lists.
pub(super) fn program<'a>(
    dir: &Path,
    name: &str,
    words: impl IntoIterator<Item = &'a str>,
) -> Program {
    let conf = dir.join("apt.conf").display().to_string();
    let start = [name, "-c", &conf].map(str::to_owned);
    let argv: Vec<String> = start
        .into_iter()
        .chain(words.into_iter().map(str::to_owned))
        .collect();
    let mut program = Program::new(argv)
        .env("LC_ALL", "C")
        .env("DEBIAN_FRONTEND", "noninteractive");
    program.timeout_s = Some(ASK_MAX_S);
    program
}

/// Asks a program of apt's; a failure is given back as what it printed.
pub(super) fn ask<'a>(
    host: &dyn Inspect,
    dir: &Path,
    name: &str,
    words: impl IntoIterator<Item = &'a str>,
) -> Result<Result<String, String>, ModuleError> {
    let output = host.look(&program(dir, name, words))?;
    if output.stdout_cut > 0 {
        // What is missing in the middle may be what matters.
        return Err(ModuleError::new(format!(
            "{name} printed more than can be read"
        )));
    }
    let text = output.stdout_text();
    if output.success() {
        return Ok(Ok(text));
    }
    let said = format!("{}\n{text}", output.stderr_text());
    Ok(Err(if output.timed_out {
        format!("{name} did not answer within {ASK_MAX_S} seconds")
    } else {
        said
    }))
}

/// Refreshes the private lists. What goes wrong with one source is a finding: others may be usable.
pub(super) fn refresh(host: &dyn Inspect, dir: &Path) -> Result<Vec<Finding>, ModuleError> {
    let shown = dir.display().to_string();
    let mut program = Program::new(["sh", "-c", UPDATE, "sh", &shown])
        .env("LC_ALL", "C")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .shown_as("refresh private lists of apt");
    program.timeout_s = Some(UPDATE_MAX_S);
    let output = host.look(&program)?;
    let mut findings = refresh_findings(&output.stdout_text());
    if output.timed_out {
        let text = format!("apt-get update did not end within {UPDATE_MAX_S} seconds");
        findings.push(finding("source-failed", text));
    } else if !output.success() && findings.is_empty() {
        let text = format!("apt-get update ended with status {}", output.rc);
        findings.push(finding("source-failed", text));
    }
    Ok(findings)
}

/// Errors and warnings of `apt-get update`.
pub(super) fn refresh_findings(output: &str) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    for line in output.lines() {
        let Some(text) = line
            .strip_prefix("E: ")
            .or_else(|| line.strip_prefix("W: "))
        else {
            continue;
        };
        if text.starts_with("Some index files failed") {
            // Says again what the other lines say.
            continue;
        }
        let is_lost = text.starts_with("Failed to fetch") || text.contains("verification");
        let code = if text.contains("is expired (") || text.contains("is not valid yet") {
            "stale-index"
        } else if is_lost || line.starts_with("E: ") {
            "source-failed"
        } else {
            "source-warning"
        };
        let text = without_credentials(text);
        if findings.len() < LINES_MAX && !findings.iter().any(|it| it.text == text) {
            findings.push(finding(code, text));
        }
    }
    findings
}

/// Takes `user:password@` out of every URL.
pub(super) fn without_credentials(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        out.push_str(before);
        let end = after
            .find(|ch: char| ch == '/' || ch.is_whitespace())
            .unwrap_or(after.len());
        rest = after[..end].rfind('@').map_or(after, |it| &after[it + 1..]);
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_refresh_complains_of() {
        let output = "Hit:1 http://deb.debian.org/debian trixie InRelease\nErr:2 http://u:p@mirror/x trixie InRelease\n  Could not connect\nW: Failed to fetch http://u:p@mirror/x/dists/trixie/InRelease  Could not connect to mirror:80\nE: Release file for http://old/dists/x/InRelease is expired (invalid since 3d 2h). Updates for this repository will not be applied.\nE: Some index files failed to download. They have been ignored, or old ones used instead.\nW: Target Packages is configured multiple times\n";
        let found = refresh_findings(output);
        let codes: Vec<&str> = found.iter().map(|it| it.code.as_str()).collect();
        assert_eq!(codes, ["source-failed", "stale-index", "source-warning"]);
        assert!(found[0].text.contains("http://mirror/x/dists"));
        assert!(found.iter().all(|it| !it.text.contains("u:p")));
    }

    #[test]
    fn credentials_are_taken_out() {
        assert_eq!(
            without_credentials("a http://me:se@cret@h/x b https://h/y@z c"),
            "a http://h/x b https://h/y@z c"
        );
        assert_eq!(without_credentials("nothing"), "nothing");
    }
}
