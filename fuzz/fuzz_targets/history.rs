//! A store of runs with damaged bytes: a clear error or an answer, whatever is asked. The input is a list of patches of
//! a database with one run: two bytes of where, one of what.
#![no_main]

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use hostler_events::{RunEvent, RunId, Stamped, TaskId};
use hostler_history::{NewRun, RunFilter, StateDir, Store};
use hostler_journal::{Journal, Note, OwedHandler};
use libfuzzer_sys::fuzz_target;

struct Sound {
    dir: PathBuf,
    database: Vec<u8>,
}

static SOUND: LazyLock<Sound> = LazyLock::new(|| {
    let dir = PathBuf::from(format!(
        "/dev/shm/hostler-fuzz-history-{}",
        std::process::id()
    ));
    let _not_there = fs::remove_dir_all(&dir);
    let state = StateDir::open(&dir).expect("a directory in memory");
    let store = Store::open(&state).expect("a store");
    {
        let writer = store.begin(&new_run()).expect("a run");
        writer.note(owed());
        let mut reporter = writer.reporter();
        for seq in 0..20 {
            reporter.event(&Stamped {
                seq,
                at_us: 5,
                event: RunEvent::TaskEnded { task: TaskId(1) },
            });
        }
    }
    drop(store);
    let database = fs::read(state.database()).expect("it is there");
    Sound { dir, database }
});

fn new_run() -> NewRun {
    NewRun {
        run: RunId("run-1".into()),
        started_us: 1_000_000,
        who: "alice@ctl".into(),
        version: "0.1.0".into(),
        request: serde_json::json!({"args": ["apply", "site.yml"]}),
        playbooks: vec!["site.yml".into()],
        inventory: vec!["hosts".into()],
        check: false,
        inputs: Vec::new(),
        hosts: vec!["web1".into(), "web2".into()],
        mandate: None,
        needs: None,
    }
}

fn owed() -> Note {
    Note::Owed(OwedHandler {
        host: "web1".into(),
        playbook: "/srv/site.yml".into(),
        play: "web".into(),
        handler: "restart".into(),
        run: RunId("run-1".into()),
    })
}

fuzz_target!(|data: &[u8]| {
    let sound = &*SOUND;
    let mut database = sound.database.clone();
    for patch in data.chunks_exact(3) {
        // Most of the first page is its head and the schema.
        let at = (usize::from(patch[0]) << 8 | usize::from(patch[1])) % database.len();
        database[at] ^= patch[2];
    }
    if data.len() % 3 == 1 {
        database.truncate(database.len() * usize::from(data[data.len() - 1]) / 256);
    }
    // A damaged one was moved aside.
    for entry in fs::read_dir(&sound.dir).expect("it is there").flatten() {
        if entry.path().extension().is_none_or(|it| it != "key") && !entry.path().ends_with("key") {
            let _not_a_file = fs::remove_file(entry.path());
        }
    }
    let state = StateDir::open(&sound.dir).expect("a directory in memory");
    fs::write(state.database(), &database).expect("a file in memory");
    let Ok(store) = Store::open(&state) else {
        return;
    };
    let run = RunId("run-1".into());
    let _error = store.runs(&RunFilter::default());
    let _error = store.find("latest");
    let _error = store.run(&run);
    if let Ok(events) = store.events(&run) {
        events.take(100).for_each(drop);
    }
    let _error = store.leases();
    let _error = store.replaced(&run, None);
    let _error = store.size();
    if let Ok((writer, ..)) = store.reopen(&run, "bob@ctl", None) {
        writer.note(owed());
    }
});
