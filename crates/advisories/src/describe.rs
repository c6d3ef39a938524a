//! What advisories say of the updates that wait on a host.

use std::collections::BTreeSet;

use hostler_updates::{Class, Finding, Manager, Scan, Scheme, Update, compare};

use crate::index::{Fix, Index};

/// Most CVE ids of an update: a kernel that was not updated for years has some thousand.
const CVES_MAX: usize = 10_000;

/// Completes a scan of a host with apt: advisories, CVE ids, severities; an update that closes a hole is a security update,
/// wherever it comes from. Scans of other hosts stay as they are: their package managers tell it themselves.
pub fn describe(index: &Index, scan: &mut Scan) {
    if scan.manager != Manager::Apt || index.is_empty() {
        return;
    }
    if !index.covers(&scan.os) {
        let os = &scan.os;
        let text = format!(
            "the advisory files say nothing of {} {} ({}), and its package lists name no advisories and CVE ids",
            os.id, os.version, os.codename
        );
        scan.findings.retain(|it| it.code != Finding::NO_ADVISORIES);
        scan.findings.push(finding(Finding::NO_ADVISORIES, text));
        return;
    }
    let mut unknown = 0_usize;
    for update in &mut scan.updates {
        match built_of(update) {
            Some((source, from, to)) => {
                let fixes: Vec<Fix<'_>> = index.between(&scan.os, &source, &from, &to).collect();
                complete(update, &fixes);
            }
            None if update.from.is_some() => unknown += 1,
            None => {}
        }
    }
    scan.findings.retain(|it| it.code != Finding::NO_ADVISORIES);
    if unknown > 0 {
        let text = format!(
            "of {unknown} updates it is not known which source package they are built of: advisories say nothing of them"
        );
        scan.findings.push(finding("no-source-package", text));
    }
}

fn finding(code: &str, text: String) -> Finding {
    Finding {
        code: code.into(),
        text,
    }
}

/// Source package, and its versions before and after, as advisories call them.
fn built_of(update: &Update) -> Option<(String, String, String)> {
    let source = update.source.as_ref()?;
    let (before, after) = (update.from.as_ref()?, &update.to);
    // Packages of signed kernels are built of a package that wraps the real one, and have the version of that.
    if let Some(flavour) = source.name.strip_prefix("linux-signed") {
        let name = match flavour {
            "" | "-amd64" | "-arm64" | "-i386" | "-armhf" | "-riscv64" | "-loong64" => {
                "linux".into()
            }
            other => format!("linux{other}"),
        };
        return Some((name, before.clone(), after.clone()));
    }
    // Ubuntu's `linux-image-generic` 5.15.0.112.110 brings the kernel 5.15.0-112.122: the last number is not the same.
    if let Some(flavour) = source.name.strip_prefix("linux-meta") {
        return Some((
            format!("linux{flavour}"),
            kernel_of_meta(before)?,
            kernel_of_meta(after)?,
        ));
    }
    let from = source.from.clone()?;
    Some((source.name.clone(), from, source.to.clone()))
}

/// The last version that a kernel of this ABI may have: `5.15.0.112.110` → `5.15.0-112.9999`.
fn kernel_of_meta(version: &str) -> Option<String> {
    let base = version.split('~').next()?;
    let parts: Vec<&str> = base.split('.').collect();
    let [a, b, c, abi, ..] = parts[..] else {
        return None;
    };
    Some(format!("{a}.{b}.{c}-{abi}.9999"))
}

fn complete(update: &mut Update, fixes: &[Fix<'_>]) {
    if fixes.is_empty() {
        return;
    }
    let grave = || fixes.iter().filter(|it| !it.is_unimportant);
    if grave().next().is_some() {
        update.class = Class::Security;
        // An older version is enough only if it has all the fixes; of versions that differ from those of the source
        // package that cannot be told.
        let same = update.source.as_ref().is_some_and(|it| it.to == update.to);
        let enough = |version: &String| {
            let has = |it: &Fix<'_>| compare(Scheme::Deb, it.version, version).is_le();
            same && grave().all(has)
        };
        update.security_version = update.security_version.take().filter(enough);
    }
    let worst = fixes.iter().filter_map(|it| it.severity).max();
    update.severity = update.severity.max(worst);
    merge(&mut update.cves, fixes.iter().filter_map(|it| it.cve));
    merge(
        &mut update.advisories,
        fixes.iter().filter_map(|it| it.advisory),
    );
}

fn merge<'a>(into: &mut Vec<String>, more: impl Iterator<Item = &'a str>) {
    let more: BTreeSet<&str> = more.take(CVES_MAX).collect();
    into.extend(more.into_iter().map(str::to_owned));
    into.sort();
    into.dedup();
}
