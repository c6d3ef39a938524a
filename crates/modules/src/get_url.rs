//! `get_url`: download a file on the host.

mod checksum;
mod url;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::SystemTime;

use hostler_change::{Fetch, FileKind};
use hostler_module_api::prelude::*;

use crate::files::{Wanted, expand_path, path_info, with_file_args};
use checksum::Checksum;

with_file_args! {
    /// Download a file from a web server to the host.
    ///
    /// ```yaml
    /// - get_url:
    ///     url: https://example.com/tool.tar.gz
    ///     dest: /opt/tool.tar.gz
    ///     checksum: sha256:b5bb9d8014a0f9b1d61e21e796d78dccdf1352f23cd32812f4850b878ae4944c
    ///     mode: "0644"
    /// ```
    #[derive(Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    pub(crate) struct Args {
        /// Ciphers of TLS; not supported.
        ciphers: Option<Vec<String>>,
        /// Has no effect: compressed answers are not asked for.
        #[serde(default = "yes")]
        #[expect(dead_code, reason = "compressed answers are not asked for")]
        decompress: bool,
        /// What to download: an `http`, `https` or `file` URL.
        url: String,
        /// Where to put it. In a directory it gets the last name of the URL's path.
        dest: String,
        /// Directory for the unfinished file. It must be there, but has no effect: the unfinished file is beside
        /// `dest`, so that it can be put in place at once.
        tmp_dest: Option<String>,
        /// Download also if the file is there and the server's is not newer.
        #[serde(default)]
        force: bool,
        /// Keep a copy of the file as it was.
        #[serde(default)]
        backup: bool,
        /// Hash that the file must have, as `algorithm:digits` or `algorithm:url` of a list of hashes.
        #[serde(default)]
        checksum: String,
        /// Use the proxies of the host's environment.
        #[serde(default = "yes")]
        use_proxy: bool,
        /// Check the server's certificate.
        #[serde(default = "yes")]
        validate_certs: bool,
        /// Seconds without progress before it is given up.
        #[serde(default = "default_timeout")]
        timeout: u64,
        /// Headers of the request.
        headers: Option<BTreeMap<String, String>>,
        /// User for basic authentication.
        #[serde(alias = "username")]
        url_username: Option<String>,
        /// Password for basic authentication.
        #[serde(alias = "password")]
        url_password: Option<String>,
        /// Has no effect: user and password are always sent with the first request.
        #[serde(default)]
        #[expect(dead_code, reason = "it is always so")]
        force_basic_auth: bool,
        /// Certificate of the client; not supported.
        client_cert: Option<String>,
        /// Key of the client's certificate; not supported.
        client_key: Option<String>,
        /// Name of the client in the request.
        #[serde(default = "default_agent")]
        http_agent: String,
        /// Headers that are not sent after a redirection; not supported.
        #[serde(default)]
        unredirected_headers: Vec<String>,
        /// Authenticate with Kerberos; not supported.
        #[serde(default)]
        use_gssapi: bool,
        /// Has no effect: `~/.netrc` is not read.
        #[serde(default = "yes")]
        #[expect(dead_code, reason = "netrc is not read")]
        use_netrc: bool,
    }
}

fn yes() -> bool {
    true
}

fn default_timeout() -> u64 {
    10
}

fn default_agent() -> String {
    "ansible-httpget".into()
}

pub(crate) fn spec() -> ModuleSpec {
    spec_of::<Args>("get_url")
}

pub(crate) struct State {
    dest: PathBuf,
    /// `dest` was given as a directory.
    in_dir: bool,
    stat: Option<FileStat>,
    wanted: Wanted,
    info: Map,
    checksum: Option<Checksum>,
    /// Has the file the wanted hash? `None` if none is wanted, or there is no file.
    matches: Option<bool>,
    /// Hashes of the file; only if no other was computed, for the sake of large files.
    sha1: Option<String>,
    md5: Option<String>,
    seen: SystemTime,
}

/// Why the file is downloaded.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    /// It has the wanted hash.
    Nothing,
    /// It is not there, or has another hash.
    Sure,
    /// It is there; the server knows whether it is the same.
    Unsure,
}

pub(crate) struct This;

impl Module for This {
    type Args = Args;
    type State = State;
    const NAME: &'static str = "get_url";

    fn observe(args: &Args, host: &dyn Inspect) -> Result<State, ModuleError> {
        refuse_unsupported(args, host)?;
        let checksum = Checksum::read(args, host)?;
        let given = expand_path(&args.dest, host)?;
        let is_dir = |stat: Option<FileStat>| stat.is_some_and(|it| it.kind == FileKind::Dir);
        let in_dir = is_dir(host.stat(&given, Follow::Yes)?);
        let dest = if in_dir { given.join(url::file_name(&args.url)) } else { given };
        let parent = dest.parent().map(|dir| host.stat(dir, Follow::Yes)).transpose()?.flatten();
        if !is_dir(parent) {
            let dir = dest.parent().unwrap_or(&dest).display();
            return Err(fail(args, format!("Destination {dir} does not exist")));
        }
        if in_dir && is_dir(host.stat(&dest, Follow::Yes)?) {
            return Err(fail(args, format!("Destination {} is a directory", dest.display())));
        }
        let hash = |algorithm: &str| host.checksum(&dest, algorithm);
        let matches = match &checksum {
            Some(wanted) => hash(&wanted.algorithm)?.map(|it| it == wanted.digits),
            None => None,
        };
        let known = |algorithm: &str| match &checksum {
            None => hash(algorithm),
            Some(it) if it.algorithm == algorithm => hash(algorithm),
            Some(_) => Ok(None),
        };
        Ok(State {
            in_dir,
            stat: host.stat(&dest, Follow::No)?,
            wanted: Wanted::observe(&args.file_args(), &dest, host)?,
            info: path_info(&dest, host)?,
            matches,
            sha1: known("sha1")?,
            md5: known("md5")?,
            seen: host.now(),
            checksum,
            dest,
        })
    }

    fn plan(args: &Args, now: &State) -> Result<Plan, ModuleError> {
        let mut plan = Plan::none();
        // Whether the file is the server's cannot be seen on the host.
        plan.once = true;
        let need = need(args, now);
        plan.incomplete = need == Need::Unsure;
        let (attrs, deltas) = match &now.stat {
            Some(stat) => now.wanted.differs(&now.dest, stat)?,
            None => now.wanted.of_new(&now.dest, FileKind::File)?,
        };
        if need != Need::Nothing {
            let fetch = fetch(args, now, attrs);
            let shown = now.dest.display().to_string();
            let from = url::masked(&args.url);
            let what = match need {
                Need::Unsure => format!("download {from}, if it is another"),
                Need::Sure | Need::Nothing => format!("download {from}"),
            };
            let mut all = vec![Delta::action(&shown, what)];
            if now.stat.is_none() {
                all.insert(0, Delta::field(&shown, "state", "absent", "file"));
                all.extend(deltas);
            }
            plan.push_all(all, Edit::Fetch(fetch));
        }
        match &now.stat {
            // Also when the server's file is the same, and it is not written.
            Some(stat) => now.wanted.plan(&now.dest, stat, &mut plan)?,
            None => now.wanted.plan_attributes(&now.dest, &mut plan),
        }
        Ok(plan)
    }

    fn report(args: &Args, ran: &Ran<'_, State>) -> Report {
        let (before, after) = (ran.before, ran.after);
        let fetched = ran.applied.iter().find_map(|applied| match applied {
            Applied::Fetched {
                status,
                message,
                backup_file,
                ..
            } => Some((*status, message.as_str(), backup_file.as_deref())),
            _ => None,
        });
        let elapsed = after.seen.duration_since(before.seen).unwrap_or_default();
        let mut report = Report::default()
            .with("url", url::masked(&args.url))
            .with("dest", after.dest.display().to_string())
            .with("elapsed", elapsed.as_secs())
            .with("checksum_dest", before.sha1.clone())
            .with("checksum_src", fetched.and_then(|_| after.sha1.clone()));
        report.fields.extend(&after.info);
        if ran.check && need(args, before) == Need::Unsure {
            let attrs = ran.plan.edits.iter().any(|it| !matches!(it.edit, Edit::Fetch(_)));
            report.changed = Some(attrs);
        }
        let Some((status, message, backup)) = fetched else {
            let msg = match (need(args, before), ran.plan.is_empty()) {
                (Need::Nothing, true) => "file already exists",
                (Need::Nothing, false) => "file already exists but file attributes changed",
                _ => "",
            };
            return report.with("msg", msg);
        };
        if let Some(backup) = backup {
            report = report.with("backup_file", backup);
        }
        report
            .with("msg", message)
            .with("status_code", status)
            .with("md5sum", after.md5.clone())
    }
}

fn fail(args: &Args, msg: String) -> ModuleError {
    ModuleError::new(msg)
        .field("dest", args.dest.as_str())
        .field("url", url::masked(&args.url))
}

fn need(args: &Args, now: &State) -> Need {
    match (&now.stat, now.matches) {
        (None, _) | (Some(_), Some(false)) => Need::Sure,
        (Some(_), Some(true)) if !args.force && !now.in_dir => Need::Nothing,
        (Some(_), _) => Need::Unsure,
    }
}

fn fetch(args: &Args, now: &State, attrs: Attrs) -> Fetch {
    let unless_newer = need(args, now) == Need::Unsure && !args.force && !now.in_dir;
    let mtime = now.stat.as_ref().map(|it| it.mtime_ns.div_euclid(1_000_000_000));
    Fetch {
        url: url::without_user(&args.url),
        headers: url::headers(args),
        path: now.dest.clone(),
        attrs,
        backup: args.backup,
        checksum: now.checksum.as_ref().map(|it| (it.algorithm.clone(), it.digits.clone())),
        timeout_s: args.timeout,
        validate_certs: args.validate_certs,
        if_modified_since_s: mtime.filter(|_| unless_newer),
    }
}

fn refuse_unsupported(args: &Args, host: &dyn Inspect) -> Result<(), ModuleError> {
    if args.unsafe_writes {
        return Err(ModuleError::new("`unsafe_writes` is not available for downloads"));
    }
    let scheme = args.url.split_once(':').map_or("", |it| it.0).to_ascii_lowercase();
    if !matches!(scheme.as_str(), "http" | "https" | "file") {
        let msg = "only http, https and file URLs can be downloaded";
        return Err(fail(args, msg.to_owned()));
    }
    if let Some(dir) = &args.tmp_dest {
        match host.stat(&expand_path(dir, host)?, Follow::Yes)?.map(|it| it.kind) {
            Some(FileKind::Dir) => {}
            Some(_) => return Err(fail(args, format!("{dir} is a file but should be a directory."))),
            None => return Err(fail(args, format!("{dir} directory does not exist."))),
        }
    }
    let names = ["http_proxy", "https_proxy", "all_proxy"];
    let is_proxy = |name: &str| names.iter().any(|it| it.eq_ignore_ascii_case(name));
    let mut env = host.identity().env.iter();
    let proxied = env.any(|(name, value)| is_proxy(name) && !value.is_empty());
    let given = [
        ("ciphers", args.ciphers.as_ref().is_some_and(|it| !it.is_empty())),
        ("client_cert", args.client_cert.is_some()),
        ("client_key", args.client_key.is_some()),
        ("unredirected_headers", !args.unredirected_headers.is_empty()),
        ("use_gssapi", args.use_gssapi),
        ("use_proxy=false", !args.use_proxy && proxied),
    ];
    match given.iter().find(|(_, given)| *given) {
        Some((name, _)) => {
            let error = fail(args, format!("get_url does not support {name}"));
            Err(error.hint("download with curl in the command module, or on the controller"))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
