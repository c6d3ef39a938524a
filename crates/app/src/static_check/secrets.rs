//! Passwords, tokens and private keys that stand in files as they are.
//!
//! A name says that a value is a secret; the value must look like one. What is vaulted, computed or hashed is none, nor
//! are the words that options with such names take. No value is ever part of a message, and its place is hidden.

use std::collections::HashSet;
use std::sync::Arc;

use hostler_diag::{Diagnostic, Span};
use hostler_inventory::Vars;
use hostler_playbook::{Context, Task};
use hostler_value::Value;
use hostler_yaml::{Mapping, Node, NodeKind, TemplateSource};

use super::knowledge::{Found, each_entry};
use crate::inputs::Inputs;

/// Last words of names that hold secrets.
const LAST_WORDS: [&str; 9] = [
    "password",
    "passwd",
    "passphrase",
    "pass",
    "pwd",
    "secret",
    "token",
    "apikey",
    "psk",
];
/// What stands before `key` in names that hold secrets.
const KEY_WORDS: [&str; 7] = [
    "api",
    "secret",
    "private",
    "access",
    "auth",
    "encryption",
    "signing",
];
/// Names that end like those of secrets and hold none.
const HARMLESS_NAMES: [&str; 4] = ["update_password", "ask_pass", "no_pass", "ask_become_pass"];
/// Words that options take whose names sound like secrets.
const HARMLESS_VALUES: [&str; 17] = [
    "always",
    "on_create",
    "yes",
    "no",
    "true",
    "false",
    "none",
    "null",
    "present",
    "absent",
    "required",
    "optional",
    "prompt",
    "ask",
    "enabled",
    "disabled",
    "omit",
];
/// Starts of hashes, as crypt(3), LDAP and Argon2 write them, and of locked or empty passwords in shadow(5).
const HASHES: [&str; 8] = ["$", "{", "!", "*", "sha256:", "sha512:", "md5", "SCRAM-"];
/// Starts of tokens that services give out, with their least length.
const TOKENS: [(&str, usize); 7] = [
    ("AKIA", 20),
    ("ghp_", 40),
    ("gho_", 40),
    ("github_pat_", 50),
    ("glpat-", 26),
    ("xoxb-", 30),
    ("xoxp-", 30),
];

/// Looks through inventory, variable files and playbooks.
pub(super) fn secrets(inputs: &Inputs, problems: &mut Vec<Diagnostic>) {
    let mut look = Secrets {
        problems,
        seen: HashSet::new(),
    };
    let inventory = &inputs.loaded.inventory;
    inventory.groups().for_each(|group| look.vars(&group.vars));
    inventory.hosts().for_each(|host| look.vars(&host.vars));
    let books = inputs.playbooks.iter().map(|book| &book.var_files);
    for files in std::iter::once(&inputs.loaded.var_files).chain(books) {
        files
            .groups
            .values()
            .chain(files.hosts.values())
            .for_each(|vars| look.vars(vars));
    }
    for play in inputs.playbooks.iter().flat_map(|book| &book.plays) {
        play.vars_files.iter().for_each(|vars| look.vars(vars));
        look.context(&play.play.context);
        each_entry(&play.play, &mut |part| match part {
            Found::Task(task) => look.task(task),
            Found::Context(context) => look.context(context),
        });
    }
}

struct Secrets<'a> {
    problems: &'a mut Vec<Diagnostic>,
    seen: HashSet<Span>,
}

impl Secrets<'_> {
    fn vars(&mut self, vars: &Arc<Vars>) {
        for (name, node) in vars.iter() {
            self.pair(name, node.span, node);
        }
    }

    fn context(&mut self, context: &Context) {
        let keywords = &context.keywords;
        keywords.vars.iter().for_each(|vars| self.mapping(vars));
        for node in keywords.environment.iter().chain(&keywords.module_defaults) {
            self.inside(node);
        }
    }

    fn task(&mut self, task: &Task) {
        self.context(&task.context);
        for (name, span, node) in &task.args.entries {
            self.pair(name, *span, node);
            if let ("command" | "shell" | "raw", Some(source)) =
                (task.module.as_str(), node.as_source())
            {
                self.command(source);
            }
        }
    }

    fn mapping(&mut self, map: &Mapping) {
        for (key, value) in &map.entries {
            match key.as_str() {
                Some(name) => self.pair(name, key.span, value),
                None => self.inside(value),
            }
        }
    }

    fn inside(&mut self, node: &Node) {
        match &node.kind {
            NodeKind::Map(map) => self.mapping(map),
            NodeKind::List(items) => items.iter().for_each(|item| self.inside(item)),
            NodeKind::Text(source) => self.text(source),
            NodeKind::Data(_) | NodeKind::Vault(_) => {}
        }
    }

    /// A name with its value.
    fn pair(&mut self, name: &str, at: Span, node: &Node) {
        let written = match &node.kind {
            NodeKind::Text(source) if !source.has_markup() => Some(source.text().to_owned()),
            NodeKind::Data(value @ (Value::Int(_) | Value::Str(_))) => Some(value.to_text()),
            _ => None,
        };
        if is_secret_name(name) && written.is_some_and(|text| looks_secret(&text)) {
            let message = format!("`{name}` stands here in clear");
            self.found("plain-secret", message, at, node.span, HINT);
            return;
        }
        self.inside(node);
    }

    /// Any text: private keys, tokens of well-known services, passwords in addresses.
    fn text(&mut self, source: &TemplateSource) {
        let text = source.text();
        let begin = text.find("-----BEGIN ");
        if begin.is_some_and(|at| text[at..].contains("PRIVATE KEY-----"))
            && text.contains("-----END ")
        {
            let span = source.span();
            let message = "a private key stands here in clear";
            return self.found("private-key", message.into(), span, span, HINT);
        }
        for word in text.split(|ch: char| ch.is_whitespace() || "\"'=,;:".contains(ch)) {
            let known = TOKENS
                .iter()
                .any(|(start, length)| word.starts_with(start) && word.len() >= *length);
            if known && word.is_ascii() {
                let at = word.as_ptr().addr() - text.as_ptr().addr();
                let span = source.locate(at, at + word.len());
                let message = "an access token stands here in clear";
                self.found("plain-secret", message.into(), span, span, HINT);
            }
        }
        if let Some((start, end)) = password_in_address(text) {
            let span = source.locate(start, end);
            let message = "a password stands in clear in this address";
            self.found("plain-secret", message.into(), span, span, HINT);
        }
    }

    /// `--password=...` on a command line, which every user of the host can read while it runs.
    fn command(&mut self, source: &TemplateSource) {
        let text = source.text();
        for option in ["--password=", "--passwd=", "--token=", "--secret="] {
            for (at, _) in text.match_indices(option) {
                let start = at + option.len();
                let rest = &text[start..];
                let length = rest.find(char::is_whitespace).unwrap_or(rest.len());
                let value = rest[..length].trim_matches(['\'', '"']);
                if !value.contains(['{', '$', '`', '<']) && looks_secret(value) {
                    let span = source.locate(start, start + length);
                    let message =
                        format!("`{}` has its value in clear", option.trim_end_matches('='));
                    let hint =
                        "read it from a file or from standard input: other users see command lines";
                    self.found("plain-secret", message, span, span, hint);
                }
            }
        }
    }

    fn found(&mut self, code: &str, message: String, at: Span, value: Span, hint: &str) {
        if self.seen.insert(value) {
            let warning = Diagnostic::warning(code, message).at(at).hiding(value);
            self.problems.push(warning.hint(hint));
        }
    }
}

const HINT: &str = "take it from a file that is not kept with the others (-e @file), or give the hash where one is enough";

/// Does a name say that its value is a secret?
fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace(['-', '.', ' '], "_");
    if HARMLESS_NAMES.iter().any(|it| name.ends_with(it)) {
        return false;
    }
    let mut words = name.rsplit('_').filter(|word| !word.is_empty());
    let last = words.next().unwrap_or_default();
    let before = words.next();
    LAST_WORDS.contains(&last)
        || ["password", "passwd", "secret", "apikey"]
            .iter()
            .any(|word| last.len() > word.len() && last.ends_with(word))
        || (last == "key" && before.is_some_and(|word| KEY_WORDS.contains(&word)))
}

/// Could a value be the secret itself?
fn looks_secret(text: &str) -> bool {
    let text = text.trim();
    let hash = HASHES.iter().any(|start| text.starts_with(start));
    let hexadecimal = text.len() >= 56 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let path = ["/", "~/", "./", "../"]
        .iter()
        .any(|start| text.starts_with(start));
    let place = text.starts_with("vault:") || text.starts_with("env:") || text.starts_with('<');
    let word = HARMLESS_VALUES.contains(&text.to_ascii_lowercase().as_str());
    !(text.is_empty() || hash || hexadecimal || path || place || word)
}

/// The password in `https://user:password@host`.
fn password_in_address(text: &str) -> Option<(usize, usize)> {
    let mut from = 0;
    while let Some(found) = text[from..].find("://") {
        let start = from + found + 3;
        let rest = &text[start..];
        let end = rest
            .find(|ch: char| ch.is_whitespace() || "/?#\"'".contains(ch))
            .unwrap_or(rest.len());
        if let Some((user, _)) = rest[..end].rsplit_once('@')
            && let Some((name, password)) = user.split_once(':')
            && !password.is_empty()
            && !password.contains(['{', '$', '<', '*'])
        {
            let at = start + name.len() + 1;
            return Some((at, at + password.len()));
        }
        from = start;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_is_secret() {
        for name in [
            "password",
            "db_password",
            "ansible_become_pass",
            "API_KEY",
            "api-token",
            "mysql_root_passwd",
            "dbpassword",
            "aws_secret_access_key",
            "client_secret",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in [
            "update_password",
            "password_file",
            "token_ttl",
            "ssh_key",
            "public_key",
            "secret_name",
            "bypass",
            "key",
            "password_lock",
            "compass",
            "authorized_key",
        ] {
            assert!(!is_secret_name(name), "{name}");
        }
    }

    #[test]
    fn hashes_paths_and_words_are_no_secrets() {
        for text in ["hunter2", "correct horse battery staple", "12345"] {
            assert!(looks_secret(text), "{text}");
        }
        for text in [
            "",
            "!",
            "*",
            "!!",
            "$6$salt$hash",
            "$2b$12$abc",
            "{SSHA}abc",
            "/etc/ssl/private/x.key",
            "on_create",
            "No",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        ] {
            assert!(!looks_secret(text), "{text}");
        }
    }

    #[test]
    fn addresses_may_hold_passwords() {
        let text = "get https://ops:s3cret@example.net/x";
        let (start, end) = password_in_address(text).unwrap();
        assert_eq!(&text[start..end], "s3cret");
        for text in [
            "https://example.net/a:b@c",
            "https://ops@example.net",
            "https://ops:{{ pw }}@example.net",
            "mailto:a@b",
        ] {
            assert_eq!(password_in_address(text), None, "{text}");
        }
    }
}
