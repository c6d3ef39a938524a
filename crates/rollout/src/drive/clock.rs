//! The controller's clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{Clock, Later};

/// Between two looks at the clock: a machine that was suspended, or whose clock was set, is noticed so late at most.
const LOOK: Duration = Duration::from_secs(30);

/// The clock of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_us(&self) -> i64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        now.map_or(0, |it| i64::try_from(it.as_micros()).unwrap_or(i64::MAX))
    }

    fn sleep_until(&self, us: i64) -> Later<'_, ()> {
        Box::pin(async move {
            loop {
                let left = us.saturating_sub(self.now_us());
                let Ok(left) = u64::try_from(left) else {
                    return;
                };
                if left == 0 {
                    return;
                }
                tokio::time::sleep(Duration::from_micros(left).min(LOOK)).await;
            }
        })
    }
}
