//! Handlers that were notified and have not run.

use std::collections::BTreeMap;

use hostler_events::RunId;

use crate::{hosts, sanitize};

/// Handlers by name and by the run that notified them, with their hosts in order of appearance.
#[derive(Debug, Default)]
pub(crate) struct Owed {
    hosts: BTreeMap<(String, String), Vec<String>>,
}

impl Owed {
    pub(crate) fn add(&mut self, host: &str, handler: &str, run: &RunId) {
        let hosts = self.hosts.entry(key(handler, run)).or_default();
        if !hosts.iter().any(|it| it == host) {
            hosts.push(host.to_owned());
        }
    }

    /// It is not owed any more.
    pub(crate) fn remove(&mut self, host: &str, handler: &str, run: &RunId) {
        if let Some(hosts) = self.hosts.get_mut(&key(handler, run)) {
            hosts.retain(|it| it != host);
        }
        self.hosts.retain(|_, hosts| !hosts.is_empty());
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.hosts.is_empty()
    }

    /// `restart nginx on web[001-017] (since run 0196-1f)`, at most `columns` wide; `since` is left out for `now`, the
    /// run that goes on.
    pub(crate) fn lines(&self, now: &str, columns: usize) -> Vec<String> {
        let line = |((handler, run), on): (&(String, String), &Vec<String>)| {
            let since = if run == now {
                String::new()
            } else {
                format!(" (since run {})", sanitize::name(run))
            };
            let lead = format!("{} on ", sanitize::line(handler, 100));
            let names: Vec<String> = on.iter().map(|host| sanitize::name(host)).collect();
            let used = console::measure_text_width(&lead) + since.len();
            let names = hosts::fold_line(&names, columns.saturating_sub(used).max(20));
            format!("{lead}{names}{since}")
        };
        self.hosts.iter().map(line).collect()
    }
}

fn key(handler: &str, run: &RunId) -> (String, String) {
    (handler.to_owned(), run.0.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folded_by_handler_and_run() {
        let (old, new) = (RunId("old".into()), RunId("new".into()));
        let mut owed = Owed::default();
        for n in 1..=17 {
            owed.add(&format!("web{n:03}"), "restart nginx", &new);
        }
        owed.add("db1", "reload", &old);
        owed.add("db2", "reload", &old);
        owed.remove("db2", "reload", &old);
        assert_eq!(
            owed.lines("new", 80),
            [
                "reload on db1 (since run old)",
                "restart nginx on web[001-017]"
            ]
        );
        owed.remove("db1", "reload", &old);
        assert_eq!(owed.lines("", 80).len(), 1);
    }
}
