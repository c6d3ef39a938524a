//! Names of the host: `/etc/hosts` and `/etc/resolv.conf`.

use std::collections::BTreeMap;

use hostler_change::{CommandOutput, Program};
use hostler_module_api::Inspect;

use crate::{text, word};

/// `resolv.conf(5)`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolver {
    /// Servers.
    pub nameservers: Vec<String>,
    /// `domain`.
    pub domain: Option<String>,
    /// `search`, if there is such a line.
    pub search: Option<Vec<String>>,
    /// `sortlist`, if there is such a line.
    pub sortlist: Option<Vec<String>>,
    /// `options`; `None` for one without a value. `None` as a whole if there is no such line.
    pub options: Option<BTreeMap<String, Option<String>>>,
}

/// Reads `resolv.conf(5)`.
pub fn parse_resolv_conf(text: &str) -> Resolver {
    let mut it = Resolver::default();
    for line in text.lines().filter(|line| !line.starts_with(['#', ';'])) {
        let mut words = line.split_whitespace();
        let Some(key) = words.next() else { continue };
        let rest: Vec<String> = words.map(str::to_owned).collect();
        match key {
            "nameserver" => it.nameservers.extend(rest),
            "domain" => it.domain = rest.into_iter().next(),
            "search" => it.search = Some(rest),
            "sortlist" => it.sortlist = Some(rest),
            "options" => {
                let option = |word: &String| match word.split_once(':') {
                    Some((name, value)) if !value.is_empty() => {
                        (name.to_owned(), Some(value.to_owned()))
                    }
                    _ => (word.trim_end_matches(':').to_owned(), None),
                };
                it.options = Some(rest.iter().map(option).collect());
            }
            _ => {}
        }
    }
    it
}

/// The full name of a host, as Python's `socket.getfqdn` finds it: its address is looked up, then the names of the
/// address; the first with a dot is it, else the first. `None` if the file does not have the name.
pub fn full_name_in_hosts(hosts: &str, name: &str) -> Option<String> {
    let lines = || {
        hosts.lines().filter_map(|line| {
            let mut words = line
                .split('#')
                .next()
                .unwrap_or_default()
                .split_whitespace();
            Some((words.next()?, words.collect::<Vec<_>>()))
        })
    };
    let is = |it: &&str| it.eq_ignore_ascii_case(name);
    let (address, _) = lines().find(|(_, names)| names.iter().any(is))?;
    let (_, names) = lines().find(|(other, _)| *other == address)?;
    let dotted = names.iter().find(|it| it.contains('.'));
    dotted.or(names.first()).map(|it| (*it).to_owned())
}

/// The full name of this host. Only if `/etc/hosts` does not know it, and the host asks other sources, is `getent` run.
pub fn full_name(host: &dyn Inspect, name: &str) -> String {
    if let Some(found) = full_name_in_hosts(&text(host, "/etc/hosts").unwrap_or_default(), name) {
        return found;
    }
    let switch = text(host, "/etc/nsswitch.conf").unwrap_or_default();
    let sources = switch
        .lines()
        .find_map(|it| it.trim().strip_prefix("hosts:"))
        .unwrap_or("files dns");
    let others = sources
        .split_whitespace()
        .any(|it| it != "files" && !it.starts_with('['));
    if !others || (sources.contains("dns") && word(host, "/etc/resolv.conf").is_none()) {
        return name.to_owned();
    }
    let mut program = Program::new(["getent", "hosts", name]);
    program.timeout_s = Some(5);
    let output = host.look(&program).ok().filter(CommandOutput::success);
    let output = output.map(|it| it.stdout_text()).unwrap_or_default();
    let names: Vec<&str> = output
        .lines()
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(1)
        .collect();
    let dotted = names.iter().find(|it| it.contains('.'));
    dotted.copied().unwrap_or(name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_module_api::fake::FakeHost;

    #[test]
    fn resolv_conf() {
        let it = parse_resolv_conf(
            "# x\nnameserver 10.0.0.1\nnameserver 10.0.0.2\nsearch a.example b.example\noptions ndots:2 rotate\n",
        );
        assert_eq!(it.nameservers.len(), 2);
        assert_eq!(it.search.unwrap(), ["a.example", "b.example"]);
        assert_eq!(it.options.unwrap()["ndots"].as_deref(), Some("2"));
    }

    #[test]
    fn full_names() {
        let hosts = "127.0.0.1 localhost\n127.0.1.1 web1.example.org web1 # me\n127.0.0.1 vm\n";
        assert_eq!(
            full_name_in_hosts(hosts, "web1").as_deref(),
            Some("web1.example.org")
        );
        assert_eq!(
            full_name_in_hosts(hosts, "vm").as_deref(),
            Some("localhost")
        );
        let host = FakeHost::bare()
            .file("/etc/nsswitch.conf", "hosts: files dns\n")
            .file("/etc/resolv.conf", "nameserver 1.1.1.1\n")
            .answers(
                "getent hosts web2",
                0,
                "10.0.0.2        web2.example.org web2\n",
            );
        assert_eq!(full_name(&host, "web2"), "web2.example.org");
        assert_eq!(full_name(&FakeHost::bare(), "web3"), "web3");
    }
}
