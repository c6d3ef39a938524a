//! What `plan`, `show` and `apply --check` share: running a preview, and showing what it found.

use std::io::Write;
use std::path::Path;

use hostler_app::{ApplyRequest, Audience, Draft, Interrupts};
use hostler_diag::SourceMap;
use hostler_events::Reporter;
use hostler_preview::Preview;
use hostler_reporters::{PageFacts, page, preview_json, preview_summary, preview_text};

use super::runtime;
use crate::output::Console;
use crate::problem::Problem;
use crate::signals;

/// Runs a preview; `reporters` see its events.
pub(super) fn run(
    request: ApplyRequest,
    console: &Console,
    reporters: impl FnOnce(&SourceMap) -> Vec<Box<dyn Reporter>>,
) -> (SourceMap, Result<Draft, Problem>) {
    let sources = SourceMap::new();
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(problem) => return (sources, Err(problem)),
    };
    let done = runtime.block_on(async {
        let interrupts = Interrupts::default();
        signals::watch(&interrupts, signals::Underway::default())?;
        let audience = Audience {
            reporters: reporters(&sources),
            interrupts,
            tell: console.teller(),
        };
        let draft = hostler_app::preview(request, &sources, audience).await;
        draft.map_err(Problem::from)
    });
    // A name look-up that hangs must not keep a finished program.
    runtime.shutdown_background();
    (sources, done)
}

/// How much of a preview is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// All of it.
    Whole,
    /// Without the tasks, which were told while it ran.
    Summary,
}

/// Shows a preview.
pub(super) fn show(preview: &Preview, extent: Extent, console: &Console) {
    let options = console.options();
    let text = match extent {
        _ if console.is_json() => preview_json(preview) + "\n",
        Extent::Whole => preview_text(preview, options),
        Extent::Summary => preview_summary(preview, options),
    };
    console.text(&text);
}

/// Writes the page to attach to a change request.
pub(super) fn write_page(
    preview: &Preview,
    expires_us: Option<i64>,
    path: &Path,
) -> Result<(), Problem> {
    let facts = PageFacts {
        made: hostler_app::time_words(preview.made.at_us),
        expires: expires_us.map(hostler_app::time_words),
    };
    let text = page(preview, &facts);
    std::fs::File::create(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| Problem::machine(format!("cannot write {}: {error}", path.display())))
}
