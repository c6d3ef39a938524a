//! Reading configuration files once, and applying them to a host.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::keyword::{self, Keyword, Meaning};
use super::lexer;
use super::options::SshOptions;
use super::tokens::{LocalUser, expand_home, expand_host_name};
use crate::wildcard::{self, ListMatch};

/// `READCONF_MAX_DEPTH` of OpenSSH.
const INCLUDE_DEPTH_MAX: usize = 16;
/// A configuration is written by people; more is a mistake such as including a log.
const FILE_BYTES_MAX: u64 = 4 << 20;
/// All files of one configuration together, so that includes cannot multiply without end.
const FILES_MAX: usize = 1024;

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The line is wrong; OpenSSH would refuse to start.
    Error,
    /// The line is right and we do not do what it asks.
    Warning,
}

/// A problem in a configuration file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}:{line}: {message}", file.display())]
pub struct ConfigProblem {
    /// How bad it is.
    pub severity: Severity,
    /// The file.
    pub file: PathBuf,
    /// The line, from 1; 0 for the file as a whole.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

/// Parsed configuration files, shared by all hosts of a run.
#[derive(Clone, Debug, Default)]
pub struct SshConfig {
    lines: Arc<Vec<Line>>,
    local_user: String,
}

#[derive(Debug)]
enum Line {
    Host(Vec<String>),
    Match(Vec<Criterion>),
    /// A section that cannot be decided, such as `Match exec`: never applies.
    Never,
    Include(Vec<Line>),
    Option {
        keyword: Keyword,
        raw: String,
        args: Vec<String>,
    },
    Unsupported {
        name: String,
        raw: String,
    },
    /// The start of a file: what stands before its first `Host` applies to all.
    FileStart,
}

#[derive(Debug)]
struct Criterion {
    negated: bool,
    test: Test,
}

#[derive(Debug)]
enum Test {
    All,
    Host(String),
    OriginalHost(String),
    User(String),
    LocalUser(String),
}

impl SshConfig {
    /// Reads the user's `~/.ssh/config` and then `/etc/ssh/ssh_config`, as `ssh` does. Missing files are empty. All
    /// problems are returned at once; the sound lines count all the same.
    pub fn load_default(local: &LocalUser) -> (Self, Vec<ConfigProblem>) {
        let mut reader = Reader::new(local);
        let mut lines = vec![Line::FileStart];
        lines.extend(reader.read_optional(&local.ssh_dir().join("config"), &local.ssh_dir()));
        lines.push(Line::FileStart);
        lines.extend(reader.read_optional(Path::new("/etc/ssh/ssh_config"), Path::new("/etc/ssh")));
        reader.finish(lines)
    }

    /// Reads one file instead of both, as `ssh -F` does. A file that cannot be read is a problem.
    pub fn load(path: &Path, local: &LocalUser) -> (Self, Vec<ConfigProblem>) {
        let mut reader = Reader::new(local);
        let lines = reader.read(path, &local.ssh_dir());
        reader.finish(lines)
    }

    /// Applies the sections for `host` (as the user named it) to what stronger sources left open.
    pub fn apply(&self, host: &str, options: &mut SshOptions) {
        let mut state = Evaluation {
            host,
            local_user: &self.local_user,
            active: true,
        };
        state.run(&self.lines, options);
    }
}

struct Evaluation<'a> {
    host: &'a str,
    local_user: &'a str,
    active: bool,
}

impl Evaluation<'_> {
    fn run(&mut self, lines: &[Line], options: &mut SshOptions) {
        for line in lines {
            match line {
                Line::FileStart => self.active = true,
                Line::Host(patterns) => {
                    self.active =
                        wildcard::matches_list(patterns.iter().map(String::as_str), self.host)
                            == ListMatch::Yes;
                }
                Line::Match(criteria) => {
                    self.active = criteria.iter().all(|c| self.holds(c, options));
                }
                Line::Never => self.active = false,
                Line::Include(included) if self.active => {
                    // Sections inside an included file end with it.
                    self.run(included, options);
                    self.active = true;
                }
                Line::Option { keyword, raw, args } if self.active => {
                    // The value was checked when the file was read.
                    let _checked = options.set(*keyword, raw, args);
                }
                Line::Unsupported { name, raw } if self.active => {
                    options.warn_unsupported(name, raw);
                }
                Line::Include(_) | Line::Option { .. } | Line::Unsupported { .. } => {}
            }
        }
    }

    fn holds(&self, criterion: &Criterion, options: &SshOptions) -> bool {
        let list = |patterns: &str, value: &str| {
            wildcard::matches_list(patterns.split(','), value) == ListMatch::Yes
        };
        let holds = match &criterion.test {
            Test::All => true,
            Test::Host(patterns) => {
                let name = options
                    .host_name
                    .as_deref()
                    .and_then(|name| expand_host_name(name, self.host).ok());
                list(patterns, name.as_deref().unwrap_or(self.host))
            }
            Test::OriginalHost(patterns) => list(patterns, self.host),
            Test::User(patterns) => {
                list(patterns, options.user.as_deref().unwrap_or(self.local_user))
            }
            Test::LocalUser(patterns) => list(patterns, self.local_user),
        };
        holds != criterion.negated
    }
}

struct Reader<'a> {
    local: &'a LocalUser,
    problems: Vec<ConfigProblem>,
    depth: usize,
    files: usize,
    ignore_unknown: Vec<String>,
}

impl<'a> Reader<'a> {
    fn new(local: &'a LocalUser) -> Self {
        Self {
            local,
            problems: Vec::new(),
            depth: 0,
            files: 0,
            ignore_unknown: Vec::new(),
        }
    }

    fn finish(self, lines: Vec<Line>) -> (SshConfig, Vec<ConfigProblem>) {
        (
            SshConfig {
                lines: Arc::new(lines),
                local_user: self.local.name.clone(),
            },
            self.problems,
        )
    }

    fn problem(
        &mut self,
        severity: Severity,
        file: &Path,
        line: usize,
        message: impl Into<String>,
    ) {
        self.problems.push(ConfigProblem {
            severity,
            file: file.to_owned(),
            line,
            message: message.into(),
        });
    }

    fn read_optional(&mut self, path: &Path, base: &Path) -> Vec<Line> {
        if path.exists() {
            self.read(path, base)
        } else {
            Vec::new()
        }
    }

    /// Reads a file; relative includes are looked for in `base`.
    fn read(&mut self, path: &Path, base: &Path) -> Vec<Line> {
        self.files += 1;
        if self.files > FILES_MAX {
            self.problem(
                Severity::Error,
                path,
                0,
                format!("more than {FILES_MAX} files are included"),
            );
            return Vec::new();
        }
        let text = match std::fs::metadata(path) {
            Ok(meta) if meta.len() > FILE_BYTES_MAX => {
                Err("the file is larger than 4 MiB".to_owned())
            }
            Ok(_) => std::fs::read(path).map_err(|e| e.to_string()),
            Err(error) => Err(error.to_string()),
        };
        match text {
            Ok(bytes) => self.parse(path, base, &String::from_utf8_lossy(&bytes)),
            Err(message) => {
                self.problem(Severity::Error, path, 0, message);
                Vec::new()
            }
        }
    }

    fn parse(&mut self, path: &Path, base: &Path, text: &str) -> Vec<Line> {
        let mut lines = Vec::new();
        for (number, text) in text.lines().enumerate() {
            let number = number + 1;
            let Some((name, raw)) = lexer::split_keyword(text) else {
                continue;
            };
            match self.parse_line(path, number, base, (name, raw)) {
                Ok(parsed) => lines.extend(parsed),
                Err(message) => self.problem(Severity::Error, path, number, message),
            }
        }
        lines
    }

    fn parse_line(
        &mut self,
        path: &Path,
        number: usize,
        base: &Path,
        (name, raw): (&str, &str),
    ) -> Result<Option<Line>, String> {
        if raw.is_empty() {
            return Err(format!("`{name}` needs a value"));
        }
        let args = lexer::split_args(raw).map_err(|e| e.to_string())?;
        match name.to_ascii_lowercase().as_str() {
            "host" => return Ok(Some(Line::Host(args))),
            "match" => return Ok(Some(self.parse_match(path, number, &args))),
            "include" => return self.parse_include(path, number, base, &args).map(Some),
            "ignoreunknown" => {
                self.ignore_unknown
                    .extend(raw.split(',').map(|p| p.trim().to_ascii_lowercase()));
                return Ok(None);
            }
            _ => {}
        }
        match keyword::meaning(name) {
            Meaning::Used(keyword) => {
                SshOptions::default()
                    .set(keyword, raw, &args)
                    .map_err(|problem| format!("`{name}`: {problem}"))?;
                Ok(Some(Line::Option {
                    keyword,
                    raw: raw.to_owned(),
                    args,
                }))
            }
            Meaning::Irrelevant => Ok(None),
            Meaning::Unsupported => Ok(Some(Line::Unsupported {
                name: name.to_owned(),
                raw: raw.to_owned(),
            })),
            Meaning::Unknown => {
                let lower = name.to_ascii_lowercase();
                let patterns = self.ignore_unknown.iter().map(String::as_str);
                if wildcard::matches_list(patterns, &lower) == ListMatch::Yes {
                    return Ok(None);
                }
                self.problem(
                    Severity::Warning,
                    path,
                    number,
                    format!("unknown option `{name}`"),
                );
                Ok(None)
            }
        }
    }

    fn parse_match(&mut self, path: &Path, number: usize, args: &[String]) -> Line {
        let mut criteria = Vec::new();
        let mut words = args.iter();
        while let Some(word) = words.next() {
            let (negated, word) = word
                .strip_prefix('!')
                .map_or((false, word.as_str()), |w| (true, w));
            // Since 9.9 OpenSSH also takes `host=pattern`.
            let (word, mut value) = word
                .split_once('=')
                .map_or((word, None), |(w, v)| (w, Some(v.to_owned())));
            let mut patterns = || value.take().or_else(|| words.next().cloned());
            let test = match word.to_ascii_lowercase().as_str() {
                "all" => Some(Test::All),
                "host" => patterns().map(Test::Host),
                "originalhost" => patterns().map(Test::OriginalHost),
                "user" => patterns().map(Test::User),
                "localuser" => patterns().map(Test::LocalUser),
                // Without canonicalisation there is no second pass in which this could hold.
                "canonical" if !negated => return Line::Never,
                other => {
                    let message =
                        format!("`Match {other}` is not supported: the section is skipped");
                    self.problem(Severity::Warning, path, number, message);
                    return Line::Never;
                }
            };
            let Some(test) = test else {
                self.problem(
                    Severity::Error,
                    path,
                    number,
                    format!("`Match {word}` needs a pattern"),
                );
                return Line::Never;
            };
            criteria.push(Criterion { negated, test });
        }
        if criteria.is_empty() {
            self.problem(Severity::Error, path, number, "`Match` needs a condition");
            return Line::Never;
        }
        Line::Match(criteria)
    }

    fn parse_include(
        &mut self,
        path: &Path,
        number: usize,
        base: &Path,
        args: &[String],
    ) -> Result<Line, String> {
        if self.depth >= INCLUDE_DEPTH_MAX {
            return Err(format!(
                "includes are nested deeper than {INCLUDE_DEPTH_MAX}"
            ));
        }
        self.depth += 1;
        let mut included = Vec::new();
        for pattern in args {
            let pattern = match expand_home(pattern, &self.local.home) {
                Ok(path) if path.is_absolute() => path,
                Ok(path) => base.join(path),
                Err(error) => {
                    self.problem(Severity::Error, path, number, error.to_string());
                    continue;
                }
            };
            for file in glob(&pattern) {
                // What an earlier included file selected does not reach into the next one.
                included.push(Line::FileStart);
                included.extend(self.read(&file, base));
            }
        }
        self.depth -= 1;
        Ok(Line::Include(included))
    }
}

/// Expands `*` and `?` in each component, sorted; a pattern without them is itself if it exists.
fn glob(pattern: &Path) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for component in pattern.components() {
        let text = component.as_os_str().to_string_lossy();
        found = if text.contains(['*', '?']) {
            found
                .iter()
                .flat_map(|dir| matching_entries(dir, &text))
                .collect()
        } else {
            found
                .into_iter()
                .map(|path| path.join(component))
                .filter(|path| path.exists())
                .collect()
        };
    }
    found
}

fn matching_entries(dir: &Path, pattern: &str) -> Vec<PathBuf> {
    let mut names: Vec<_> = std::fs::read_dir(dir)
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .map(|entry| entry.file_name())
        .filter(|name| {
            let name = name.to_string_lossy();
            (!name.starts_with('.') || pattern.starts_with('.'))
                && wildcard::matches(pattern, &name)
        })
        .collect();
    names.sort();
    names.into_iter().map(|name| dir.join(name)).collect()
}
