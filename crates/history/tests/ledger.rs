//! Facts that outlive runs, and the notes of patch runs.

mod support;

use hostler_events::RunId;
use hostler_history::{Fact, FactFilter, FactKind, PruneRequest, RunState};
use hostler_journal::Journal;
use support::*;

const DAY: i64 = 86_400_000_000;

fn fact(kind: FactKind, key: &str, at_us: i64, json: &str) -> Fact {
    Fact {
        seq: 0,
        kind,
        key: key.into(),
        at_us,
        run: None,
        json: json.into(),
    }
}

fn texts(facts: &[Fact]) -> Vec<&str> {
    facts.iter().map(|it| it.json.as_str()).collect()
}

#[test]
fn facts_are_found_by_kind_key_time_and_place() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let mut of_run = fact(FactKind::Approval, "web", 30, "3");
    of_run.run = Some(RunId("run-1".into()));
    store
        .append_facts(&[
            fact(FactKind::Approval, "web", 20, "1"),
            fact(FactKind::Approval, "db", 10, "2"),
            of_run.clone(),
            fact(FactKind::Order, "web", 99, "other"),
            // Late: an earlier time, written afterwards.
            fact(FactKind::Approval, "web", 25, "4"),
        ])
        .unwrap();
    let ask = |filter: FactFilter<'_>| store.facts(&filter).unwrap();
    let all = ask(FactFilter::all(FactKind::Approval));
    assert_eq!(texts(&all), ["1", "2", "3", "4"]);
    assert_eq!(all[2].run, of_run.run);
    let web = FactFilter {
        key: Some("web"),
        ..FactFilter::all(FactKind::Approval)
    };
    assert_eq!(texts(&ask(web.clone())), ["1", "3", "4"]);
    let late = FactFilter {
        since_us: Some(25),
        ..web.clone()
    };
    assert_eq!(texts(&ask(late)), ["3", "4"]);
    let after = FactFilter {
        after: Some(all[0].seq),
        ..web
    };
    assert_eq!(texts(&ask(after)), ["3", "4"]);
    let newest = store.newest_fact(FactKind::Approval, "web").unwrap();
    assert_eq!(newest.unwrap().json, "3");
    assert_eq!(store.newest_fact(FactKind::Approval, "mail").unwrap(), None);
    let newest = store.newest_facts(FactKind::Approval).unwrap();
    let keys: Vec<&str> = newest.iter().map(|it| it.key.as_str()).collect();
    assert_eq!((keys, texts(&newest)), (vec!["db", "web"], vec!["2", "3"]));
}

#[test]
fn what_is_claimed_belongs_to_the_first_of_all_who_try() {
    let dir = tempfile::tempdir().unwrap();
    drop(store(dir.path()));
    let barrier = std::sync::Barrier::new(4);
    let won: usize = std::thread::scope(|scope| {
        let tries: Vec<_> = (0..4)
            .map(|who: i32| {
                let (dir, barrier) = (dir.path(), &barrier);
                scope.spawn(move || {
                    let store = store(dir);
                    barrier.wait();
                    let claims: Vec<Fact> = (0..20)
                        .map(|n| {
                            let key = format!("prod/night/{n}");
                            fact(FactKind::Occurrence, &key, 1, &who.to_string())
                        })
                        .collect();
                    let mut won = 0;
                    for claim in &claims {
                        let claim = std::slice::from_ref(claim);
                        won += usize::from(store.claim_facts(claim).unwrap()[0]);
                    }
                    won
                })
            })
            .collect();
        tries.into_iter().map(|it| it.join().unwrap()).sum()
    });
    assert_eq!(won, 20);
    let store = store(dir.path());
    let all = store.facts(&FactFilter::all(FactKind::Occurrence)).unwrap();
    assert_eq!(all.len(), 20);
    // Not even somebody who does not ask can open one again; nothing else of the same call is written then.
    let opened = [
        fact(FactKind::Order, "run", 1, "x"),
        fact(FactKind::Occurrence, "prod/night/7", 2, "again"),
    ];
    assert!(store.append_facts(&opened).is_err());
    let orders = store.facts(&FactFilter::all(FactKind::Order)).unwrap();
    assert!(orders.is_empty());
    // Some new, some not, one twice.
    let keys = ["a", "b", "a"].map(|key| fact(FactKind::FirstSeen, key, 5, ""));
    store.append_facts(&keys[1..2]).unwrap();
    assert_eq!(store.claim_facts(&keys).unwrap(), [true, false, false]);
}

#[test]
fn old_facts_go_and_the_newest_scan_of_a_host_stays() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let now = now_us();
    let at = |kind, key, days: i64| fact(kind, key, now - days * DAY, &days.to_string());
    let mut facts = vec![
        at(FactKind::Scan, "retired", 500),
        at(FactKind::Scan, "silent", 300),
        at(FactKind::Scan, "silent", 200),
        at(FactKind::Scan, "silent", 100),
        at(FactKind::Fixed, "silent", 500),
        at(FactKind::Fixed, "silent", 300),
        at(FactKind::FirstSeen, "vim", 5000),
        at(FactKind::Plan, "p", 91),
    ];
    facts.extend((0..5).rev().map(|days| at(FactKind::Scan, "web", days)));
    store.append_facts(&facts).unwrap();
    let dry = PruneRequest {
        dry_run: true,
        ..PruneRequest::default()
    };
    store.prune(&dry).unwrap();
    let count = |kind| store.facts(&FactFilter::all(kind)).unwrap().len();
    assert_eq!(count(FactKind::Scan), 9);
    store.prune(&PruneRequest::default()).unwrap();
    let scans = store.facts(&FactFilter::all(FactKind::Scan)).unwrap();
    assert_eq!(texts(&scans), ["200", "100", "2", "1", "0"]);
    let fixed = store.facts(&FactFilter::all(FactKind::Fixed)).unwrap();
    assert_eq!(texts(&fixed), ["300"]);
    assert_eq!(count(FactKind::FirstSeen), 1);
    assert_eq!(count(FactKind::Plan), 0);
    // The end of any run does it, too.
    store.append_facts(&[at(FactKind::Plan, "p", 91)]).unwrap();
    let writer = store.begin(&new_run("run-1", &["web"])).unwrap();
    writer.finish(end(RunState::Finished, false)).unwrap();
    drop(writer);
    assert_eq!(count(FactKind::Plan), 0);
}

#[test]
fn notes_of_a_patch_run_outlive_its_end_and_go_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let run = RunId("run-1".into());
    let other = store.begin(&new_run("run-0", &["db"])).unwrap();
    let writer = store.begin(&new_run("run-1", &["web"])).unwrap();
    wait(writer.patch_note("{\"n\":1}".into())).unwrap();
    // Durable: another connection sees it while the run goes on.
    assert_eq!(store.patch_notes(&run).unwrap(), ["{\"n\":1}"]);
    // Nobody waits for this one.
    drop(writer.patch_note("{\"n\":2}".into()));
    wait(other.patch_note("{\"of\":\"run-0\"}".into())).unwrap();
    drop(writer);
    let (writer, _, _) = store.reopen(&run, "alice", None).unwrap();
    wait(writer.patch_note("secret-in-a-hook".into())).unwrap();
    writer.finish(end(RunState::Finished, false)).unwrap();
    drop(writer);
    let expected = ["{\"n\":1}", "{\"n\":2}", "secret-in-a-hook"];
    assert_eq!(store.patch_notes(&run).unwrap(), expected);
    store
        .append_facts(&[fact(FactKind::Scan, "web", 1, "secret-of-a-scan")])
        .unwrap();
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(
            !bytes
                .windows(10)
                .any(|it| it == b"secret-in-" || it == b"secret-of-")
        );
    }
    let named = PruneRequest {
        runs: vec![run.clone()],
        ..PruneRequest::default()
    };
    store.prune(&named).unwrap();
    assert!(store.patch_notes(&run).is_err());
    let left = store.patch_notes(other.run()).unwrap();
    assert_eq!(left, ["{\"of\":\"run-0\"}"]);
    assert!(wait(other.sync()).is_ok());
}
