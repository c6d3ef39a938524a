//! `ssh` command-line options out of `ansible_ssh_common_args`, `ansible_ssh_extra_args`, `ansible_ssh_args` and the
//! flags of the same names.

use super::keyword::{self, Keyword, Meaning};
use super::lexer;
use super::options::{AddressFamily, ConfigFileChoice, Proxy, SshOptions, proxy_jump};

/// What is wrong with a string of `ssh` options.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionError {
    /// A quotation mark is not closed.
    #[error("unbalanced quotes in the ssh options `{0}`")]
    Quotes(String),
    /// The option needs a value.
    #[error("the ssh option `{0}` needs a value")]
    MissingValue(String),
    /// The value is wrong.
    #[error("the ssh option `{option}` is wrong: {problem}")]
    Value {
        /// The option as written.
        option: String,
        /// What is wrong.
        problem: String,
    },
    /// OpenSSH does not know the option, or it makes no sense here.
    #[error("the ssh option `{0}` is not supported")]
    Unsupported(String),
}

/// Flags without a value that make no difference: verbosity, terminals, compression, multiplexing, forwarding of X11.
const IRRELEVANT_FLAGS: &str = "CqvTtxXYaMnkgy";

impl SshOptions {
    /// Applies options such as `-o ProxyCommand="ssh -W %h:%p b" -i ~/.ssh/k -p 2222`, split as Ansible splits them.
    /// What was set before stays. Multiplexing (`ControlMaster` and its kin) and verbosity are accepted and have no
    /// effect; an option that is unknown, or that would do something else than connect, is an error that names it.
    pub fn apply_cli_options(&mut self, args: &str) -> Result<(), OptionError> {
        let words =
            lexer::split_shell_words(args).map_err(|_| OptionError::Quotes(args.to_owned()))?;
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let mut flags = match word.strip_prefix('-') {
                Some(flags) if !flags.is_empty() && !flags.starts_with('-') => flags.chars(),
                _ => return Err(OptionError::Unsupported(word)),
            };
            while let Some(flag) = flags.next() {
                if IRRELEVANT_FLAGS.contains(flag) {
                    continue;
                }
                match flag {
                    '4' => self.address_family = Some(AddressFamily::Inet),
                    '6' => self.address_family = Some(AddressFamily::Inet6),
                    'A' => self
                        .warnings
                        .push("agent forwarding (`-A`) is not supported".to_owned()),
                    'o' | 'i' | 'p' | 'l' | 'J' | 'F' | 'S' | 'b' | 'c' | 'm' => {
                        let attached = flags.as_str().to_owned();
                        let value = if attached.is_empty() {
                            words.next()
                        } else {
                            Some(attached)
                        };
                        let value =
                            value.ok_or_else(|| OptionError::MissingValue(format!("-{flag}")))?;
                        self.apply_flag(flag, &value)?;
                        break;
                    }
                    _ => return Err(OptionError::Unsupported(format!("-{flag}"))),
                }
            }
        }
        Ok(())
    }

    fn apply_flag(&mut self, flag: char, value: &str) -> Result<(), OptionError> {
        let option = || format!("-{flag} {value}");
        let wrong = |problem| OptionError::Value {
            option: option(),
            problem,
        };
        let words = [value.to_owned()];
        match flag {
            'o' => return self.apply_option(value),
            'i' => self.set(Keyword::IdentityFile, value, &words),
            'p' => self.set(Keyword::Port, value, &words),
            'l' => self.set(Keyword::User, value, &words),
            'b' => self.set(Keyword::BindAddress, value, &words),
            'c' => self.set(Keyword::Ciphers, value, &words),
            'm' => self.set(Keyword::Macs, value, &words),
            'J' => proxy_jump(value).map(|jump: Proxy| {
                self.proxy.get_or_insert(jump);
            }),
            'F' => {
                let choice = match value {
                    "none" => ConfigFileChoice::None,
                    path => ConfigFileChoice::File(path.into()),
                };
                self.config_file.get_or_insert(choice);
                Ok(())
            }
            // -S: the path of a multiplexing socket.
            _ => Ok(()),
        }
        .map_err(wrong)
    }

    /// `-o Keyword=value`.
    fn apply_option(&mut self, text: &str) -> Result<(), OptionError> {
        let Some((name, raw)) = lexer::split_keyword(text) else {
            return Err(OptionError::MissingValue("-o".to_owned()));
        };
        match keyword::meaning(name) {
            Meaning::Used(keyword) => {
                self.set_text(keyword, raw)
                    .map_err(|problem| OptionError::Value {
                        option: format!("-o {text}"),
                        problem,
                    })
            }
            Meaning::Irrelevant => Ok(()),
            Meaning::Unsupported => {
                self.warn_unsupported(name, raw);
                Ok(())
            }
            Meaning::Unknown => Err(OptionError::Unsupported(format!("-o {name}"))),
        }
    }

    /// Records that an option has no effect here, unless its value switches it off anyway.
    pub(super) fn warn_unsupported(&mut self, name: &str, raw: &str) {
        let value = raw.trim().to_ascii_lowercase();
        if ["no", "false", "none", ""].contains(&value.as_str()) {
            return;
        }
        let warning = format!(
            "the ssh option `{name} {}` is not supported and has no effect",
            raw.trim()
        );
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::known_hosts::HostKeyPolicy;

    fn parse(text: &str) -> Result<SshOptions, OptionError> {
        let mut options = SshOptions::default();
        options.apply_cli_options(text)?;
        Ok(options)
    }

    #[test]
    fn what_people_put_there() {
        let options = parse(
            "-C -o ControlMaster=auto -o ControlPersist=60s -oControlPath=/tmp/%C -vvv -o StrictHostKeyChecking=no \
             -o UserKnownHostsFile=/dev/null -i ~/k1 -ik2 -p2222 -l admin -o Port=99 \
             -o ProxyCommand=\"ssh -W %h:%p -q bastion\" -J ignored -4",
        )
        .expect("options");
        assert_eq!(options.port, Some(2222));
        assert_eq!(options.user.as_deref(), Some("admin"));
        assert_eq!(options.identity_files, ["~/k1", "k2"]);
        assert_eq!(options.host_key_policy, Some(HostKeyPolicy::Off));
        assert_eq!(
            options.user_known_hosts_files.as_deref(),
            Some(&["/dev/null".to_owned()][..])
        );
        assert_eq!(
            options.proxy,
            Some(Proxy::Command("ssh -W %h:%p -q bastion".into()))
        );
        assert_eq!(options.address_family, Some(AddressFamily::Inet));
        assert!(options.warnings.is_empty(), "{:?}", options.warnings);
    }

    #[test]
    fn an_earlier_value_stays() {
        let mut options = SshOptions {
            port: Some(22),
            ..SshOptions::default()
        };
        options
            .apply_cli_options("-p 99 -o Port=98")
            .expect("options");
        assert_eq!(options.port, Some(22));
    }

    #[test]
    fn unknown_options_are_named() {
        for (text, named) in [
            ("-o Foo=bar", "-o Foo"),
            ("-N", "-N"),
            ("-L 80:a:80", "-L"),
            ("--help", "--help"),
            ("host", "host"),
            ("-", "-"),
        ] {
            assert_eq!(
                parse(text),
                Err(OptionError::Unsupported(named.into())),
                "{text}"
            );
        }
        assert_eq!(parse("-p"), Err(OptionError::MissingValue("-p".into())));
        assert!(matches!(parse("-p x"), Err(OptionError::Value { .. })));
        assert!(matches!(parse("-o 'x"), Err(OptionError::Quotes(_))));
    }

    #[test]
    fn what_has_no_effect_is_said() {
        assert_eq!(
            parse("-o ForwardAgent=no").expect("options").warnings,
            Vec::<String>::new()
        );
        assert_eq!(
            parse("-o ForwardAgent=yes -A")
                .expect("options")
                .warnings
                .len(),
            2
        );
    }
}
