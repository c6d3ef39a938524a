//! A case for each host: it passes if the host is compliant, fails if it is known not to be, and is an error if nobody
//! knows. A host with an exception is skipped. Expired exceptions fail.

use std::fmt::Write as _;

use hostler_patch::report::{HostState, Report};

use crate::export::junit::{attribute, text};
use crate::export::utc;

pub(super) fn suites(report: &Report) -> String {
    let hosts = Suite::of("hosts", host_cases(report));
    let exceptions = Suite::of("exceptions", exception_cases(report));
    let name = attribute(&format!("hostler patch {}", report.policy));
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let all = [&hosts, &exceptions];
    let sum = |count: fn(&Suite) -> usize| all.iter().map(|it| count(it)).sum::<usize>();
    let _ = writeln!(
        out,
        "<testsuites name=\"{name}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\">",
        sum(|it| it.cases.len()),
        sum(|it| it.count("failure")),
        sum(|it| it.count("error")),
        sum(|it| it.count("skipped")),
    );
    for suite in all {
        suite.push(&mut out, &name, &utc(report.made_us));
    }
    out.push_str("</testsuites>\n");
    out
}

struct Case {
    class: String,
    name: String,
    /// Element, type and message; `None`: it passed.
    verdict: Option<(&'static str, &'static str, String)>,
}

struct Suite {
    name: &'static str,
    cases: Vec<Case>,
}

impl Suite {
    fn of(name: &'static str, cases: Vec<Case>) -> Self {
        Suite { name, cases }
    }

    fn count(&self, element: &str) -> usize {
        let is = |case: &&Case| case.verdict.as_ref().is_some_and(|it| it.0 == element);
        self.cases.iter().filter(is).count()
    }

    fn push(&self, out: &mut String, policy: &str, at: &str) {
        let _ = writeln!(
            out,
            "  <testsuite name=\"{policy}: {}\" timestamp=\"{at}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\">",
            self.name,
            self.cases.len(),
            self.count("failure"),
            self.count("error"),
            self.count("skipped"),
        );
        for case in &self.cases {
            let (class, name) = (attribute(&case.class), attribute(&case.name));
            let _ = write!(out, "    <testcase classname=\"{class}\" name=\"{name}\"");
            let _ = match &case.verdict {
                None => writeln!(out, "/>"),
                Some(("skipped", _, message)) => writeln!(
                    out,
                    ">\n      <skipped message=\"{}\"/>\n    </testcase>",
                    attribute(message)
                ),
                Some((element, kind, message)) => writeln!(
                    out,
                    ">\n      <{element} type=\"{kind}\" message=\"{}\">{}</{element}>\n    </testcase>",
                    attribute(message),
                    text(message)
                ),
            };
        }
        out.push_str("  </testsuite>\n");
    }
}

fn host_cases(report: &Report) -> Vec<Case> {
    let case = |it: &hostler_patch::report::HostRow| {
        let verdict = match (it.state, &it.excepted) {
            (HostState::Compliant, _) => None,
            (_, Some(owner)) => Some((
                "skipped",
                "exception",
                format!("{} (exception of {owner})", it.reason),
            )),
            (HostState::Unknown, None) => Some(("error", "unknown", it.reason.clone())),
            (HostState::Missing, None) => Some(("failure", "missing", it.reason.clone())),
            (HostState::NotRunning, None) => Some(("failure", "not_running", it.reason.clone())),
        };
        Case {
            class: it.host.clone(),
            name: format!("{} is compliant", it.host),
            verdict,
        }
    };
    report.hosts.iter().map(case).collect()
}

fn exception_cases(report: &Report) -> Vec<Case> {
    let exceptions = report.exceptions.iter().enumerate();
    exceptions
        .map(|(index, it)| {
            let expired = it.expires_us.map(utc).unwrap_or_default();
            let message = format!("expired {expired}: {} ({})", it.reason, it.owner);
            Case {
                class: "exceptions".into(),
                name: format!("exception {} of {} counts", index + 1, it.owner),
                verdict: it.expired.then_some(("failure", "expired", message)),
            }
        })
        .collect()
}
