//! Output of running tasks, cut into lines that fit behind a host's name.

use std::collections::HashMap;

use hostler_events::TaskId;

use crate::sanitize;

/// Longest line (bytes) that is waited for; a longer one is shown in pieces.
const LINE_MAX: usize = 4096;
/// Lines of one task on one host that are shown.
const LINES_MAX: usize = 2000;

/// Pieces of output, until they are lines.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    open: HashMap<(TaskId, String), Stream>,
}

#[derive(Debug, Default)]
struct Stream {
    /// The beginnings of a line of standard output and of standard error.
    begun: [String; 2],
    shown: usize,
}

impl Streams {
    /// Takes a piece and gives the lines that it completes, each as `host | text`, at most `columns` wide.
    pub(crate) fn take(
        &mut self,
        task: TaskId,
        host: &str,
        is_stderr: bool,
        text: &str,
        columns: usize,
    ) -> Vec<String> {
        let stream = self.open.entry((task, host.to_owned())).or_default();
        let begun = &mut stream.begun[usize::from(is_stderr)];
        let mut whole = Vec::new();
        for piece in text.split_inclusive('\n') {
            begun.push_str(piece);
            if begun.ends_with('\n') || begun.len() >= LINE_MAX {
                whole.push(std::mem::take(begun));
            }
        }
        stream.lines(whole, host, columns)
    }

    /// The task ended on the host: what was begun is a line, too.
    pub(crate) fn end(&mut self, task: TaskId, host: &str, columns: usize) -> Vec<String> {
        let Some(mut stream) = self.open.remove(&(task, host.to_owned())) else {
            return Vec::new();
        };
        let begun = std::mem::take(&mut stream.begun);
        let rest = begun.into_iter().filter(|line| !line.is_empty()).collect();
        stream.lines(rest, host, columns)
    }
}

impl Stream {
    fn lines(&mut self, whole: Vec<String>, host: &str, columns: usize) -> Vec<String> {
        let host = sanitize::name(host);
        let mut lines = Vec::new();
        for line in whole {
            self.shown += 1;
            if self.shown > LINES_MAX {
                if self.shown == LINES_MAX + 1 {
                    lines.push(format!("{host} | [... more is not shown]"));
                }
                continue;
            }
            // A progress bar writes its line again and again; the last is what a terminal would show.
            let line = line.trim_end_matches(['\n', '\r']);
            let last = line.rsplit('\r').next().unwrap_or_default();
            lines.push(sanitize::line(&format!("{host} | {last}"), columns));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_become_harmless_bounded_lines() {
        let mut streams = Streams::default();
        let mut take = |is_stderr, text: &str| streams.take(TaskId(1), "web1", is_stderr, text, 40);
        assert!(take(false, "Reading pack").is_empty());
        assert_eq!(take(true, "oh\n"), ["web1 | oh"]);
        assert_eq!(
            take(false, "age lists\n 1%\r 99%\r\nx\x1b[2J\n"),
            [
                "web1 | Reading package lists",
                "web1 |  99%",
                "web1 | x\\x1b[2J"
            ]
        );
        assert_eq!(take(false, &"y".repeat(5000)).len(), 1);
        let many = take(false, &"z\n".repeat(3000));
        assert!(many.len() < 2000, "{}", many.len());
        assert_eq!(many.last().unwrap(), "web1 | [... more is not shown]");
        assert!(streams.end(TaskId(2), "web1", 40).is_empty());
        let mut streams = Streams::default();
        streams.take(TaskId(1), "web1", false, "no line feed", 40);
        assert_eq!(streams.end(TaskId(1), "web1", 40), ["web1 | no line feed"]);
    }
}
