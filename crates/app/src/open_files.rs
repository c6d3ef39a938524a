//! Whether there are file descriptors enough for a run: each host is a connection that stays open.

use hostler_diag::Diagnostic;

/// Files that are open at the same time beside the connections: the run store, standard streams, timers, files that are
/// read or sent.
const OWN: usize = 20;

/// Why the run would have hosts that it cannot connect to, if so. Said before the first connection: a host that is called
/// unreachable because of the controller is a wrong answer.
pub(crate) fn too_few(hosts: usize) -> Option<Diagnostic> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    judged(hosts, limit(&limits)?)
}

fn judged(hosts: usize, limit: usize) -> Option<Diagnostic> {
    let needed = hosts + OWN;
    if limit >= needed {
        return None;
    }
    let words = format!(
        "the limit of open files is {limit}: too few for connections to {hosts} hosts, which need {needed}"
    );
    let hint = format!(
        "raise it (`ulimit -n {needed}`, or LimitNOFILE= of a service), or take fewer hosts with --limit"
    );
    Some(Diagnostic::error("open-files", words).hint(hint))
}

/// The limit in force, of the text of `/proc/self/limits`; none if there is no limit.
fn limit(text: &str) -> Option<usize> {
    let line = text
        .lines()
        .find_map(|it| it.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_that_in_force() {
        let text = "Limit                     Soft Limit           Hard Limit           Units     \n\
                    Max processes             63481                63481                processes \n\
                    Max open files            64                   1048576              files     \n";
        assert_eq!(limit(text), Some(64));
        assert_eq!(limit("Max open files  unlimited unlimited files"), None);
        assert!(judged(44, 64).is_none());
        let words = judged(200, 64).unwrap();
        assert!(words.message.contains("is 64") && words.message.contains("need 220"));
    }
}
