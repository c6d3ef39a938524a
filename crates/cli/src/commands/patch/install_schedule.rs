//! `hostler patch install-schedule`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Args;
use hostler_app::{ExitCode, InstallRequest, Invocation, Unit, patch_install_schedule};
use hostler_diag::SourceMap;

use crate::commands::begin;
use crate::output::Console;
use crate::problem::Problem;
use crate::run_args::OutputArgs;

/// Where systemd looks for units that an administrator has written.
const SYSTEM: &str = "/etc/systemd/system";

/// Flags of `patch install-schedule`.
#[derive(Args, Clone, Debug)]
pub(super) struct InstallArgs {
    /// The policy
    #[arg(value_name = "POLICY")]
    policy: PathBuf,
    /// Flags for `hostler patch daemon --once`, which the service runs: inventory, connection, state directory
    #[arg(value_name = "FLAGS", last = true)]
    flags: Vec<String>,
    /// Write nothing, show the units
    #[arg(long, conflicts_with_all = ["user", "directory"])]
    print: bool,
    /// Write units of your own service manager, in ~/.config/systemd/user
    #[arg(long, conflicts_with = "directory")]
    user: bool,
    /// Write them to this directory instead of /etc/systemd/system
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
    /// The account that the service runs as; its SSH keys and its run store are used
    #[arg(long, value_name = "NAME", conflicts_with = "user")]
    run_as: Option<String>,
    #[command(flatten)]
    show: OutputArgs,
}

pub(super) fn run(args: InstallArgs) -> ExitCode {
    let (console, _) = match begin(&args.show, false) {
        Ok(begun) => begun,
        Err(exit) => return exit,
    };
    let sources = SourceMap::new();
    let done = || -> Result<ExitCode, Problem> {
        let directory = directory(&args)?;
        let request = InstallRequest {
            invocation: invocation(&args)?,
            policy: args.policy,
            directory: directory.clone(),
        };
        let units = patch_install_schedule(&request, &sources)?;
        match directory {
            None => units.iter().for_each(|it| {
                console.text(&format!("# {}\n{}\n", it.name, it.text));
            }),
            Some(directory) => tell(&console, &units, &directory, args.user),
        }
        Ok(ExitCode::Ok)
    };
    done().unwrap_or_else(|problem| problem.tell(&sources, &console))
}

/// Where the units go; `None`: nowhere.
fn directory(args: &InstallArgs) -> Result<Option<PathBuf>, Problem> {
    if args.print {
        return Ok(None);
    }
    if !args.user {
        let directory = args.directory.clone();
        return Ok(Some(directory.unwrap_or_else(|| PathBuf::from(SYSTEM))));
    }
    let variable = |name: &str| std::env::var_os(name).filter(|it: &OsString| !it.is_empty());
    let config = variable("XDG_CONFIG_HOME").map(PathBuf::from);
    let config = config.or_else(|| Some(Path::new(&variable("HOME")?).join(".config")));
    match config {
        Some(config) => Ok(Some(config.join("systemd/user"))),
        None => Err(Problem::usage(
            "HOME is not set: --directory says where the units go",
        )),
    }
}

fn invocation(args: &InstallArgs) -> Result<Invocation, Problem> {
    let here = |error| Problem::machine(format!("cannot tell where this program is: {error}"));
    let policy = std::path::absolute(&args.policy).map_err(here)?;
    let first = ["patch", "daemon", "--once"].map(str::to_owned);
    let policy = policy.display().to_string();
    let flags = args.flags.iter().cloned();
    Ok(Invocation {
        program: std::env::current_exe().map_err(here)?,
        arguments: first.into_iter().chain([policy]).chain(flags).collect(),
        directory: std::env::current_dir().map_err(here)?,
        user: args.run_as.clone(),
    })
}

fn tell(console: &Console, units: &[Unit], directory: &Path, user: bool) {
    for unit in units {
        console.line(&format!(
            "Written: {}",
            directory.join(&unit.name).display()
        ));
    }
    // The timer is the last one.
    let manager = if user {
        "systemctl --user"
    } else {
        "systemctl"
    };
    if let Some(timer) = units.last() {
        console.line(&format!(
            "Start it: {manager} daemon-reload && {manager} enable --now {}",
            timer.name
        ));
    }
}
