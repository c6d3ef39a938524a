//! Runs that survive: killed, interrupted, failed, and gone on with. Real command, real agents, real signals.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

#[expect(dead_code, reason = "other tests use the rest")]
mod support;

use support::Site;

/// Three tasks that leave a line each, a handler, and time enough in the middle.
const PLAYBOOK: &str = "
- name: Main
  hosts: all
  gather_facts: false
  tasks:
    - name: First
      shell: echo first >> /srv/out
    - name: Slow
      shell: echo begin >> /srv/out; sleep 6; echo end >> /srv/out
      notify: restart
    - name: Last
      shell: echo last >> /srv/out
  handlers:
    - name: restart
      shell: echo handler >> /srv/out
";

const IN_THE_MIDDLE: &str = "first\nbegin\n";
const SLOW_DONE: &str = "first\nbegin\nend\n";
const WHOLE: &str = "first\nbegin\nend\nlast\nhandler\n";

/// The id of a lock, as messages have it.
fn lock_id(text: &str) -> String {
    let (_, rest) = text.split_once("lock ").unwrap();
    rest.split_whitespace().next().unwrap().to_owned()
}

/// The id of a run, as the hint has it.
fn run_id(text: &str) -> String {
    let (_, rest) = text.split_once("hostler resume ").unwrap();
    rest.split_whitespace().next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_run_goes_on_where_it_was_and_does_nothing_twice() {
    let site = Site::new(3, PLAYBOOK).await;
    let run = site.start(&[]);
    site.until(IN_THE_MIDDLE).await;
    run.signal("KILL");
    assert_eq!(run.end().await.code, None);
    let refused = site.apply(&[]).await;
    assert_eq!(refused.code, Some(7), "{}", refused.all());
    assert!(
        refused.stderr.contains("stale: that process is gone"),
        "{}",
        refused.all()
    );
    let resumed = site.run(&["resume"]).await;
    assert_eq!(resumed.code, Some(0), "{}", resumed.all());
    for words in [
        "The newest run that can be resumed is ",
        "0 hosts at the end already, 3 go on.",
        "  from `",
    ] {
        assert!(
            resumed.stdout.contains(words),
            "{words:?}\n{}",
            resumed.all()
        );
    }
    assert_eq!(site.out(), [WHOLE; 3]);
    let nothing = site.run(&["resume"]).await;
    assert_eq!(nothing.code, Some(4), "{}", nothing.all());
    assert!(nothing.stderr.contains("no run to resume"));
    // Its locks are gone, too.
    assert_eq!(site.apply(&[]).await.code, Some(0));
    site.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_ctrl_c_term_and_hangup_let_running_tasks_finish() {
    let site = Site::new(2, PLAYBOOK).await;
    let mut done = String::new();
    for signal in ["INT", "TERM", "HUP"] {
        let run = site.start(&[]);
        site.until(&format!("{done}{IN_THE_MIDDLE}")).await;
        run.signal(signal);
        // A second request to terminate is no cancellation.
        if signal != "INT" {
            run.until_said("STOPPING").await;
            run.signal(signal);
        }
        let run = run.end().await;
        assert_eq!(run.code, Some(99), "{signal}: {}", run.all());
        let finished = format!("{done}{SLOW_DONE}");
        assert_eq!(site.out(), [finished.clone(), finished], "{signal}");
        assert!(run.stdout.contains("PLAY RECAP"), "{}", run.all());
        assert!(run.stdout.contains("owed: restart on "), "{}", run.all());
        let free = site.apply_other().await;
        assert_eq!(free.code, Some(0), "its locks are gone: {}", free.all());
        let id = run_id(&run.stdout);
        let resumed = site.run(&["resume", &id]).await;
        assert_eq!(resumed.code, Some(0), "{signal}: {}", resumed.all());
        done.push_str(WHOLE);
        assert_eq!(site.out(), [done.clone(), done.clone()], "{signal}");
    }
    site.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_ctrl_c_cancels_and_the_third_leaves() {
    let site = Site::new(2, PLAYBOOK).await;
    let run = site.start(&[]);
    site.until(IN_THE_MIDDLE).await;
    run.signal("INT");
    run.until_said("running tasks finish").await;
    run.signal("INT");
    let run = run.end().await;
    assert_eq!(run.code, Some(99), "{}", run.all());
    assert!(run.stdout.contains("PLAY RECAP"), "{}", run.all());
    assert_eq!(site.out(), [IN_THE_MIDDLE; 2], "the shell was ended");
    let free = site.apply_other().await;
    assert_eq!(free.code, Some(0), "its locks are gone: {}", free.all());
    let id = run_id(&run.stdout);
    let abandoned = site.run(&["runs", "abandon", &id]).await;
    assert_eq!(abandoned.code, Some(0), "{}", abandoned.all());

    let run = site.start(&[]);
    site.until(&format!("{IN_THE_MIDDLE}{IN_THE_MIDDLE}")).await;
    run.signal("INT");
    run.until_said("running tasks finish").await;
    run.signal("INT");
    run.signal("INT");
    let run = run.end().await;
    assert_eq!(run.code, Some(99), "{}", run.all());
    // The second may have been the end already; what counts is that the run can go on.
    let id = run_id(&run.stdout);
    let resumed = site.run(&["resume", &id, "--rerun-unknown"]).await;
    assert_eq!(resumed.code, Some(0), "{}", resumed.all());
    for out in site.out() {
        assert!(out.ends_with("last\nhandler\n"), "{out}");
        assert_eq!(out.matches("first").count(), 2, "{out}");
    }
    site.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_journal_nothing_starts() {
    let site = Site::new(1, PLAYBOOK).await;
    site.write("file", "");
    for command in [&["--state-dir", "file/state"][..], &["--state-dir", "file"]] {
        let refused = site.apply(command).await;
        assert_eq!(refused.code, Some(6), "{}", refused.all());
        assert!(refused.stderr.contains("--state-dir"), "{}", refused.all());
        assert_eq!(site.out(), [""], "nothing was contacted");
    }
    let preview = site.apply(&["--check", "--state-dir", "file"]).await;
    assert_eq!(preview.code, Some(0), "{}", preview.all());
    assert!(
        preview.stdout.contains("not kept in the history"),
        "{}",
        preview.all()
    );
    site.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_breaks_stops_the_run() {
    let site = Site::new(1, PLAYBOOK).await;
    let run = site.start(&["--state-dir", "state"]);
    site.until(IN_THE_MIDDLE).await;
    for name in ["runs.sqlite", "runs.sqlite-wal", "runs.sqlite-shm"] {
        let _not_there = std::fs::remove_file(site.directory.path().join("state").join(name));
    }
    let run = run.end().await;
    assert_eq!(run.code, Some(6), "{}", run.all());
    assert!(run.stdout.contains("PLAY RECAP"), "{}", run.all());
    assert!(
        run.stdout
            .contains("THE JOURNAL OF THIS RUN COULD NOT BE WRITTEN"),
        "{}",
        run.all()
    );
    assert_eq!(site.out(), [SLOW_DONE], "what ran finished, no more began");
    site.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_run_at_a_time() {
    let site = Site::new(2, PLAYBOOK).await;
    let first = site.start(&[]);
    site.until(IN_THE_MIDDLE).await;
    let refused = site.apply(&[]).await;
    assert_eq!(refused.code, Some(7), "{}", refused.all());
    for words in [
        "held by run ",
        "alive, last heartbeat ",
        "--wait waits for it",
    ] {
        assert!(
            refused.stderr.contains(words),
            "{words:?}\n{}",
            refused.all()
        );
    }
    let resumed = site.run(&["resume"]).await;
    assert_eq!(resumed.code, Some(4), "{}", resumed.all());
    assert!(
        resumed.stderr.contains("still goes on"),
        "{}",
        resumed.all()
    );
    // A preview locks nothing, and is not in the way.
    let preview = site.apply(&["--check", "--tags", "none"]).await;
    assert_eq!(preview.code, Some(0), "{}", preview.all());
    let impatient = site.start(&["--wait"]);
    impatient.until_said("Waiting for ").await;
    impatient.signal("INT");
    let impatient = impatient.end().await;
    assert_eq!(impatient.code, Some(99), "{}", impatient.all());
    let second = site.apply(&["--wait"]).await;
    assert_eq!(second.code, Some(0), "{}", second.all());
    assert!(second.stdout.contains("Waiting for "), "{}", second.all());
    let first = first.end().await;
    assert_eq!(first.code, Some(0), "{}", first.all());
    assert_eq!(
        site.out(),
        [format!("{WHOLE}{WHOLE}"), format!("{WHOLE}{WHOLE}")]
    );
    site.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_lock_is_broken_by_its_id_or_with_its_run() {
    let site = Site::new(2, PLAYBOOK).await;
    let run = site.start(&[]);
    site.until(IN_THE_MIDDLE).await;
    run.signal("KILL");
    run.end().await;
    // What was sent is finished on the hosts.
    site.until(SLOW_DONE).await;
    let refused = site.apply(&[]).await;
    assert_eq!(refused.code, Some(7), "{}", refused.all());
    let wrong = site.apply(&["--break-lock", "0000000000"]).await;
    assert_eq!(wrong.code, Some(7), "{}", wrong.all());
    let lock = lock_id(&refused.stderr);
    let broken = site.apply(&["--break-lock", &lock]).await;
    assert_eq!(broken.code, Some(0), "{}", broken.all());
    assert_eq!(
        site.out(),
        [format!("{SLOW_DONE}{WHOLE}"), format!("{SLOW_DONE}{WHOLE}")]
    );

    let run = site.start(&[]);
    site.until(&format!("{SLOW_DONE}{WHOLE}{IN_THE_MIDDLE}"))
        .await;
    run.signal("KILL");
    run.end().await;
    let refused = site.apply(&[]).await;
    let id = run_id(&refused.stderr.replace('`', " "));
    let abandoned = site.run(&["runs", "abandon", &id]).await;
    assert_eq!(abandoned.code, Some(0), "{}", abandoned.all());
    assert!(
        abandoned.stdout.contains("2 hosts released"),
        "{}",
        abandoned.all()
    );
    let again = site.run(&["resume", &id]).await;
    assert_eq!(again.code, Some(4), "{}", again.all());
    let free = site.apply(&["--wait", "60"]).await;
    assert_eq!(free.code, Some(0), "{}", free.all());
    site.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_inputs_are_named_and_need_a_flag() {
    let site = Site::new(2, PLAYBOOK).await;
    let run = site.start(&[]);
    site.until(IN_THE_MIDDLE).await;
    run.signal("TERM");
    assert_eq!(run.end().await.code, Some(99));
    let changed = PLAYBOOK.replace("echo last", "echo changed; echo last");
    site.write("site.yml", &changed);
    let refused = site.run(&["resume"]).await;
    assert_eq!(refused.code, Some(4), "{}", refused.all());
    assert!(
        refused
            .stderr
            .contains("site.yml has changed since the run began"),
        "{}",
        refused.all()
    );
    assert!(refused.stderr.contains("--accept-changes"));
    let accepted = site.run(&["resume", "--accept-changes"]).await;
    assert_eq!(accepted.code, Some(0), "{}", accepted.all());
    assert!(accepted.stdout.contains("Accepted: "), "{}", accepted.all());
    assert_eq!(site.out(), [WHOLE; 2]);
    site.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_those_that_failed_and_the_rest_is_left_alone() {
    let site = Site::new(3, "").await;
    let bad = site.fleet.hosts[1].name.clone();
    let playbook = |says: &str| {
        format!(
            "- hosts: all\n  gather_facts: false\n  tasks:\n    - name: First\n      shell: echo first >> /srv/out\n    \
             - name: Bad\n      shell: {says}\n      when: inventory_hostname == '{bad}'\n    \
             - name: Last\n      shell: echo last >> /srv/out\n"
        )
    };
    site.write("site.yml", &playbook("exit 3"));
    let none = site.apply(&["--limit", "@failed"]).await;
    assert_eq!(none.code, Some(4), "{}", none.all());
    assert!(
        none.stderr.contains("no earlier run of these playbooks"),
        "{}",
        none.all()
    );
    site.write("site.yml", &playbook("exit 3"));
    let failed = site.apply(&[]).await;
    assert_eq!(failed.code, Some(2), "{}", failed.all());
    assert_eq!(site.out(), ["first\nlast\n", "first\n", "first\nlast\n"]);
    let again = site.apply(&["--limit", "all:&@failed"]).await;
    assert_eq!(again.code, Some(2), "{}", again.all());
    assert!(again.stdout.contains(&bad), "{}", again.all());
    assert_eq!(site.out()[0], "first\nlast\n");
    let unreachable = site.apply(&["--limit", "@unreachable"]).await;
    assert_eq!(unreachable.code, Some(4), "{}", unreachable.all());
    assert!(
        unreachable.stderr.contains("no host was unreachable"),
        "{}",
        unreachable.all()
    );
    // A resumed run tries the failed task again, on that host alone.
    site.write("site.yml", &playbook("echo good >> /srv/out"));
    let resumed = site.run(&["resume", "--accept-changes"]).await;
    assert_eq!(resumed.code, Some(0), "{}", resumed.all());
    assert!(resumed.stdout.contains("1 goes on."), "{}", resumed.all());
    assert_eq!(site.out()[1], "first\nfirst\ngood\nlast\n");
    assert_eq!(site.out()[2], "first\nlast\n");
    site.down().await;
}

/// One host after the other: files that a plan has, and time enough between them.
const PLANNED: &str = "
- name: Main
  hosts: all
  gather_facts: false
  serial: 1
  tasks:
    - name: File
      copy: {content: \"planned\\n\", dest: /srv/file}
    - name: Slow
      shell: echo begin >> /srv/out; sleep 4; echo end >> /srv/out
    - name: Last
      copy: {content: \"last\\n\", dest: /srv/last}
";

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_goes_on_without_its_file_and_leaves_a_host_alone_that_has_moved() {
    let before = "- hosts: all\n  gather_facts: false\n  tasks:\n    - copy: {content: monday, dest: /srv/file}\n";
    let site = Site::new(3, before).await;
    assert_eq!(site.apply(&[]).await.code, Some(0));
    site.write("site.yml", PLANNED);
    let inventory = site.inventory();
    let planned = site
        .run(&["plan", "site.yml", "-i", inventory, "-o", "a.plan"])
        .await;
    assert_eq!(planned.code, Some(0), "{}", planned.all());
    let run = site.start_any(&["apply", "--plan", "a.plan", "--accept-unknown"]);
    support::wait("the first host", || {
        site.out().iter().any(|out| out == "begin\n")
    })
    .await;
    run.signal("KILL");
    run.end().await;
    let first = site.out().iter().position(|out| !out.is_empty()).unwrap();
    let (second, moved) = ((first + 1) % 3, (first + 2) % 3);
    std::fs::write(site.path_on(moved, "srv/file"), "by hand\n").unwrap();
    // What the run has of the plan is in the run store.
    std::fs::remove_file(site.directory.path().join("a.plan")).unwrap();
    let key = site.directory.path().join(".local/state/hostler/plan.key");
    std::fs::remove_file(key).unwrap();
    site.write("site.yml", &PLANNED.replace("last", "other"));
    let refused = site.run(&["resume", "--accept-changes"]).await;
    assert_eq!(refused.code, Some(4), "{}", refused.all());
    assert!(
        refused
            .stderr
            .contains("only with the files that it was made of"),
        "{}",
        refused.all()
    );
    site.write("site.yml", PLANNED);
    let resumed = site.run(&["resume"]).await;
    assert_eq!(resumed.code, Some(2), "{}", resumed.all());
    let drifted = "drifted: /srv/file changed since the plan";
    assert!(resumed.all().contains(drifted), "{}", resumed.all());
    let read = |host, path| std::fs::read_to_string(site.path_on(host, path)).ok();
    let text = |text: &str| Some(text.to_owned());
    for host in [first, second] {
        assert_eq!(site.out()[host], "begin\nend\n", "{}", resumed.all());
        assert_eq!(read(host, "srv/file"), text("planned\n"));
        assert_eq!(read(host, "srv/last"), text("last\n"));
    }
    assert_eq!(site.out()[moved], "");
    assert_eq!(read(moved, "srv/file"), text("by hand\n"));
    assert_eq!(read(moved, "srv/last"), None);
    let nothing = site.run(&["resume"]).await;
    assert_eq!(nothing.code, Some(4), "{}", nothing.all());
    site.down().await;
}
