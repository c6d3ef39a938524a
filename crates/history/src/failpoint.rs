//! Places where tests end the program or make a write fail.
//!
//! `HOSTLER_FAILPOINT=PLACE:N:ACTION` with the cargo feature `failpoints`: at the N-th time (from 1, in this process)
//! that PLACE is come by. Places: `journal-commit-before` (also `journal-commit`) and `journal-commit-after`, around each
//! commit to the store. Actions: `kill` (SIGKILL to itself) and `error` (the write fails; from then on all do).

/// Where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// All statements of the transaction were carried out.
    Before,
    /// The commit is durable.
    After,
}

#[cfg(not(feature = "failpoints"))]
#[expect(
    clippy::unnecessary_wraps,
    reason = "it can fail with the feature failpoints"
)]
pub(crate) fn hit(_: Place) -> rusqlite::Result<()> {
    Ok(())
}

#[cfg(feature = "failpoints")]
pub(crate) use armed::hit;

#[cfg(feature = "failpoints")]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::Place;

    struct Failpoint {
        place: Place,
        at: u64,
        kills: bool,
    }

    static ARMED: OnceLock<Option<Failpoint>> = OnceLock::new();
    static BEFORE: AtomicU64 = AtomicU64::new(0);
    static AFTER: AtomicU64 = AtomicU64::new(0);

    pub(crate) fn hit(place: Place) -> rusqlite::Result<()> {
        let counter = match place {
            Place::Before => &BEFORE,
            Place::After => &AFTER,
        };
        let count = counter.fetch_add(1, Ordering::SeqCst) + 1;
        let armed = ARMED.get_or_init(|| parse(&std::env::var("HOSTLER_FAILPOINT").ok()?));
        let Some(it) = armed.as_ref().filter(|it| it.place == place) else {
            return Ok(());
        };
        if it.kills && count == it.at {
            let _killed = rustix::process::kill_process(
                rustix::process::getpid(),
                rustix::process::Signal::KILL,
            );
        }
        if !it.kills && count >= it.at {
            let error = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR_WRITE);
            let text = Some("a failpoint".to_owned());
            return Err(rusqlite::Error::SqliteFailure(error, text));
        }
        Ok(())
    }

    fn parse(text: &str) -> Option<Failpoint> {
        let mut parts = text.split(':');
        let place = match parts.next()? {
            "journal-commit" | "journal-commit-before" => Place::Before,
            "journal-commit-after" => Place::After,
            _ => return None,
        };
        let at = parts.next()?.parse().ok()?;
        let kills = match parts.next()? {
            "kill" => true,
            "error" => false,
            _ => return None,
        };
        Some(Failpoint { place, at, kills })
    }
}
