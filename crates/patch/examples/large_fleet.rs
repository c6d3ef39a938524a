//! How long it takes to choose, plan and forecast for a large fleet:
//! `cargo run --release -p hostler-patch --example large_fleet -- 200`.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a program for developers, run by hand"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::fmt::Write as _;
use std::time::Instant;

use hostler_diag::SourceMap;
use hostler_patch::select::Request;
use hostler_patch::{forecast, text};
use support::{Case, Fleet, load_and_lint};

fn main() {
    let count: usize = std::env::args()
        .nth(1)
        .map_or(200, |it| it.parse().unwrap());
    let mut inventory = String::new();
    let mut fleet = String::new();
    for index in 0..count {
        let role = ["web", "db", "cache", "batch"][index % 4];
        writeln!(inventory, "{role}: h{index:05}").unwrap();
        let boot = ["bios kvm", "uefi kvm", "uefi metal R640"][index % 3];
        write!(
            fleet,
            "h{index:05}: boot {boot}; os debian {}",
            12 + index % 2
        )
        .unwrap();
        // Sixty updates each, of which some are everywhere and some only with a role.
        for package in 0..60 {
            let name = if package % 3 == 0 { role } else { "all" };
            write!(fleet, "; update {name}-{package} 1.0-1 -> 1.0-2 security").unwrap();
        }
        fleet.push('\n');
    }
    let case = Case::parse(&format!(
        "== policy\nkind: PatchPolicy\nname: large\ntargets: all\n\
         window: {{zone: Europe/Berlin, weekly: sat, at: \"22:00\", duration: 6h}}\n\
         groups: {{db: {{hosts: db, max_unavailable: 10%}}, cache: {{hosts: cache, min_available: 80%}}}}\n\
         waves: [auto, 10%, rest]\n== inventory\n{inventory}\n== fleet\n{fleet}\n== now\n2026-12-08 10:00\n"
    ));
    let mut fleet = Fleet::of(&case);
    let sources = SourceMap::new();
    let began = Instant::now();
    let (found, _) = load_and_lint(&sources, case.section("policy"), &fleet);
    let (policy, checked) = found.unwrap();
    println!("read and linted in {:?}", began.elapsed());
    let began = Instant::now();
    let plan = fleet.plan(&policy, &checked, &Request::default());
    println!(
        "{} hosts planned in {:?}, {} simulations on hosts among it",
        plan.hosts.len(),
        began.elapsed(),
        fleet.asked
    );
    let began = Instant::now();
    let id = plan.id().unwrap();
    println!("id {} in {:?}", id.short(), began.elapsed());
    let began = Instant::now();
    let seen = forecast::forecast(&plan, id.short(), fleet.now_us);
    println!("forecast in {:?}\n", began.elapsed());
    let zone = hostler_schedule::Zone::parse(&plan.zone).unwrap();
    println!("{}", text::forecast(&seen, &zone));
}
