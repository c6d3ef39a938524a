//! A demo fleet alone, for tests and for trying other tools against it: `demo-fleet [HOSTS]`, until standard input ends.

use std::io::{Read, Write};
use std::process::ExitCode;

use hostler_demo::{Fleet, FleetOptions, HELPER_ARGUMENT, host_main};

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1).peekable();
    if args.next_if(|arg| arg == HELPER_ARGUMENT).is_some() {
        return host_main(args);
    }
    let count = args
        .next()
        .and_then(|arg| arg.to_str()?.parse().ok())
        .unwrap_or(3);
    match stay_up(count) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let source = std::error::Error::source(error.as_ref());
            let cause = source.map(|it| format!(": {it}")).unwrap_or_default();
            // Nobody reads it: nothing else can be done.
            let _ = writeln!(std::io::stderr(), "{error}{cause}");
            ExitCode::FAILURE
        }
    }
}

fn stay_up(count: usize) -> Result<(), Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let fleet = Fleet::up(count, &FleetOptions::default()).await?;
        let mut out = std::io::stdout();
        writeln!(out, "{}", fleet.inventory_path().display())?;
        out.flush()?;
        let mut rest = Vec::new();
        tokio::task::spawn_blocking(move || std::io::stdin().read_to_end(&mut rest)).await??;
        fleet.down().await?;
        Ok(())
    })
}
