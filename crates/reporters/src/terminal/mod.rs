//! The view for people: calm with 200 hosts, everything that matters, nothing twice.
//!
//! [`view`] turns events into lines, as a plain state machine; this file puts them on the screen: finished lines scroll
//! up, and one indicatif bar below them shows what runs now. One thread ticks it, whatever the number of hosts.

mod control;
mod failure;
mod live;
mod recap;
mod task;
mod view;

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hostler_diag::SourceMap;
use hostler_events::{Reporter, RunEvent, Stamped};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::Options;
pub use control::{Control, LateHost};
use live::Live;
use view::View;

/// How often the live view may be redrawn.
const TICK: Duration = Duration::from_millis(100);

/// Shows a run on a terminal.
pub struct Terminal {
    view: Arc<Mutex<View>>,
    out: Out,
    /// Only the live view: somebody else tells what came of it.
    silent: bool,
}

enum Out {
    /// A screen, with a live view below the lines.
    Screen(Screen),
    /// Lines alone.
    Lines(Box<dyn Write + Send>),
}

struct Screen {
    bar: ProgressBar,
    stop: Arc<AtomicBool>,
    ticker: Option<JoinHandle<()>>,
}

impl Terminal {
    /// Writes to standard output, which must be a terminal. `sources` holds the texts that failures point into.
    pub fn new(options: Options, sources: SourceMap) -> Self {
        let view = Arc::new(Mutex::new(View::new(options, sources)));
        let screen = Screen::start(&view, options.color);
        Terminal {
            view,
            out: Out::Screen(screen),
            silent: false,
        }
    }

    /// The live view alone, without lines that stay.
    pub fn progress(options: Options, sources: SourceMap) -> Self {
        Terminal {
            silent: true,
            ..Terminal::new(options, sources)
        }
    }

    /// A handle on the live view, for somebody who reads keys.
    pub fn control(&self) -> Control {
        Control::new(&self.view)
    }

    /// Writes the same lines without a live view, to anything.
    pub fn to_writer(
        options: Options,
        sources: SourceMap,
        out: impl Write + Send + 'static,
    ) -> Self {
        Terminal {
            view: Arc::new(Mutex::new(View::new(options, sources))),
            out: Out::Lines(Box::new(out)),
            silent: false,
        }
    }
}

impl Reporter for Terminal {
    fn event(&mut self, event: &Stamped) {
        let mut lines = lock(&self.view).event(event);
        if self.silent {
            lines.clear();
        }
        let over = matches!(event.event, RunEvent::RunFinished { .. });
        match &mut self.out {
            Out::Screen(screen) => {
                if over {
                    screen.end();
                }
                screen.print(&lines);
            }
            Out::Lines(out) => {
                // A closed pipe is no failure of the run.
                for line in &lines {
                    let _ = writeln!(out, "{line}");
                }
                if over {
                    let _ = out.flush();
                }
            }
        }
    }
}

impl Screen {
    fn start(view: &Arc<Mutex<View>>, color: bool) -> Self {
        let live = Arc::new(Mutex::new(Live::default()));
        let bar = ProgressBar::with_draw_target(Some(1), ProgressDrawTarget::stdout_with_hz(10));
        bar.set_style(style(&live, color));
        let stop = Arc::new(AtomicBool::new(false));
        let ticker = {
            let (view, bar, stop) = (Arc::clone(view), bar.clone(), Arc::clone(&stop));
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let (rows, columns) = console::Term::stdout().size();
                    let now = {
                        let mut view = lock(&view);
                        view.resize(columns.into(), rows.into());
                        view.live(now_us())
                    };
                    if let Some(now) = now {
                        bar.update(|state| {
                            state.set_len(now.total);
                            state.set_pos(now.done);
                        });
                        *lock(&live) = now;
                        bar.tick();
                    }
                    std::thread::park_timeout(TICK);
                }
            })
        };
        Screen {
            bar,
            stop,
            ticker: Some(ticker),
        }
    }

    fn print(&self, lines: &[String]) {
        if lines.is_empty() {
            return;
        }
        let text = lines.join("\n");
        self.bar.suspend(|| {
            // A closed terminal is no failure of the run.
            let mut out = std::io::stdout().lock();
            let _ = writeln!(out, "{text}");
            let _ = out.flush();
        });
    }

    /// Takes the live view off the screen; lines can still be printed.
    fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(ticker) = self.ticker.take() {
            ticker.thread().unpark();
            // A ticker that panicked has drawn its last; the run is not concerned.
            let _ = ticker.join();
        }
        self.bar.finish_and_clear();
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.end();
    }
}

/// Header, bar and the hosts that are waited for, all read from `live` at each drawing.
fn style(live: &Arc<Mutex<Live>>, color: bool) -> ProgressStyle {
    let bar = if color {
        "{bar:24.cyan/black.bright}"
    } else {
        "{bar:24}"
    };
    let template = format!("{{header}}\n{bar} {{counts}}{{waiting}}");
    let key = |read: fn(&Live) -> &str| {
        let live = Arc::clone(live);
        move |_: &ProgressState, out: &mut dyn std::fmt::Write| {
            // Writing into the line under construction cannot fail.
            let _ = out.write_str(read(&lock(&live)));
        }
    };
    ProgressStyle::with_template(&template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("━╸─")
        .with_key("header", key(|live| &live.header))
        .with_key("counts", key(|live| &live.counts))
        .with_key("waiting", key(|live| &live.waiting))
}

/// A poisoned lock holds plain data that is still good enough to show.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn now_us() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
