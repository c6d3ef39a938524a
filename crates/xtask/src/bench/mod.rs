//! The benchmark: `playbooks/baseline.yml` on N fresh hosts, by hostler and by others, against the floor.
//!
//! The floor is what OpenSSH needs to log in to the same hosts and run `true`. It is measured before, between and after
//! an engine's two runs, and every ratio is to the mean of its two neighbours: machines are noisy, ratios less so. Each engine
//! gets fresh hosts, and its times count only after the end state of every host has been looked at.

mod engine;
mod first_frame;
mod measure;
mod verify;

use std::fmt::Write;
use std::fs;
use std::path::Path;

pub use engine::Engine;
pub(crate) use engine::hostler;
use measure::{Cost, measure};

use crate::fleet::{Fleet, Guard, Host, Init, Set};
use crate::process::{Context, Failure, Result, checkout, tail};

/// One line of the table.
#[derive(Debug)]
struct Row {
    what: String,
    cost: Cost,
    ratio: f64,
}

/// Runs the benchmark with `engines` on `count` hosts and returns the table.
pub fn run(count: usize, engines: &[Engine], progress: &dyn Fn(&str)) -> Result<String> {
    let work = checkout().join("target/bench");
    fs::create_dir_all(&work).context("create target/bench")?;
    for engine in engines {
        progress(&format!("{}: getting ready", engine.name()));
        engine.prepare(&work)?;
    }
    let fleet = Guard(Fleet::named("bench")?);
    let mut rows = Vec::new();
    let mut own_count = String::new();
    for engine in engines {
        fleet.down()?;
        let hosts = fleet.up(Set::A, count, Init::Sshd)?;
        progress(&format!("{}: {count} fresh hosts are up", engine.name()));
        rows.extend(compare(&fleet, &hosts, *engine, &work, progress)?);
        if *engine == Engine::Hostler {
            own_count = count_round_trips(&fleet, &hosts, &work)?;
            let host = hosts.first().context("a fleet without hosts")?;
            let first_frame = first_frame::median(host)?.as_secs_f64() * 1000.0;
            let _ = writeln!(
                own_count,
                "its agent takes {first_frame:.1} ms (median) from exec to the first frame"
            );
        }
    }
    fleet.down()?;
    Ok(table(count, &rows) + &own_count)
}

/// Floor, first run, floor, second run, floor.
fn compare(
    fleet: &Fleet,
    hosts: &[Host],
    engine: Engine,
    work: &Path,
    progress: &dyn Fn(&str),
) -> Result<Vec<Row>> {
    let floor = |turn: usize| -> Result<Cost> {
        let log = work.join(format!("floor-{turn}.log"));
        let (status, cost) = measure(fleet, hosts, &mut engine::floor(fleet, hosts, work)?, &log)?;
        if !status.success() {
            return Err(failed("parallel-ssh", &status.to_string(), &log));
        }
        progress(&format!("floor: {:.2} s", cost.wall.as_secs_f64()));
        Ok(cost)
    };
    let apply = |turn: usize| -> Result<Cost> {
        let log = work.join(format!("{engine:?}-{turn}.log").to_lowercase());
        let mut command = engine.command(fleet, hosts, work)?;
        let (status, cost) = measure(fleet, hosts, &mut command, &log)?;
        if !status.success() {
            return Err(failed(engine.name(), &status.to_string(), &log));
        }
        if engine.has_recap() {
            let output = fs::read(&log).context("read the engine's output")?;
            verify::recap(&String::from_utf8_lossy(&output), hosts, turn > 1)?;
        }
        hosts.iter().try_for_each(verify::baseline)?;
        progress(&format!(
            "{}: run {turn}: {:.2} s, checked",
            engine.name(),
            cost.wall.as_secs_f64()
        ));
        Ok(cost)
    };
    // A first login warms the hosts' page cache; it counts for nobody.
    floor(0)?;
    let before = floor(1)?;
    let first = apply(1)?;
    let between = floor(2)?;
    let second = apply(2)?;
    let after = floor(3)?;
    let row = |what: String, cost: Cost, left: Cost, right: Cost| {
        let floor = f64::midpoint(left.wall.as_secs_f64(), right.wall.as_secs_f64());
        Row {
            what,
            cost,
            ratio: cost.wall.as_secs_f64() / floor,
        }
    };
    Ok(vec![
        row(
            "floor (parallel-ssh true)".to_owned(),
            between,
            before,
            after,
        ),
        row(
            format!("{}, first run", engine.name()),
            first,
            before,
            between,
        ),
        row(
            format!("{}, second run", engine.name()),
            second,
            between,
            after,
        ),
    ])
}

/// What hostler itself counts in a third run, from the last event of `--output json`.
fn count_round_trips(fleet: &Fleet, hosts: &[Host], work: &Path) -> Result<String> {
    let log = work.join("hostler-events.log");
    let mut command = Engine::Hostler.command(fleet, hosts, work)?;
    command.args(["--output", "json"]);
    let (status, _) = measure(fleet, hosts, &mut command, &log)?;
    if !status.success() {
        return Err(failed("hostler --output json", &status.to_string(), &log));
    }
    let events = fs::read(&log).context("read the events")?;
    let events = String::from_utf8_lossy(&events);
    let total = events
        .lines()
        .rev()
        .find_map(|line| number_after(line, "\"round_trips\":"));
    let total = total.context("no event of hostler's has `round_trips`")?;
    let count = u64::try_from(hosts.len().max(1)).unwrap_or(1);
    Ok(format!(
        "\nhostler counts {} round trips per host in a run without changes\n",
        total / count
    ))
}

/// The number that follows `key` in a line of JSON.
fn number_after(line: &str, key: &str) -> Option<u64> {
    let rest = line.split_once(key)?.1.trim_start();
    let digits = rest
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(rest.len());
    rest[..digits].parse().ok()
}

fn failed(what: &str, how: &str, log: &Path) -> Failure {
    let output = fs::read(log).unwrap_or_default();
    let said = String::from_utf8_lossy(&output);
    Failure::new(format!(
        "{what}: {how}; {} ends:\n{}",
        log.display(),
        tail(&said, 30)
    ))
}

fn table(count: usize, rows: &[Row]) -> String {
    let mut text = format!(
        "{count} hosts; ratios to the floor measured around each run; CPU of the whole machine; memory of the controller\n\n\
         | run | wall s | x floor | CPU s | peak MiB | KiB per host | packets per host |\n\
         |---|--:|--:|--:|--:|--:|--:|\n"
    );
    for Row { what, cost, ratio } in rows {
        let _ = writeln!(
            text,
            "| {what} | {:.2} | {ratio:.2} | {:.1} | {} | {} | {} |",
            cost.wall.as_secs_f64(),
            cost.cpu,
            cost.peak_memory / (1024 * 1024),
            cost.bytes_per_host / 1024,
            cost.packets_per_host,
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::number_after;

    #[test]
    fn a_number_is_found_in_an_event() {
        let line = r#"{"event":"run_finished","bytes":[10,20],"round_trips": 4200}"#;
        assert_eq!(number_after(line, "\"round_trips\":"), Some(4200));
        assert_eq!(number_after(line, "\"elapsed\":"), None);
        assert_eq!(
            number_after("{\"round_trips\":null}", "\"round_trips\":"),
            None
        );
    }
}
