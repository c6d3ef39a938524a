//! `slurp`: send a file's content back.

use hostler_module_api::prelude::*;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::files::expand_path;

/// Largest file: its base64 form must fit a message.
const SIZE_MAX: u64 = 10 << 20;

/// Send a file's content back, as base64.
///
/// ```yaml
/// - slurp:
///     src: /proc/mounts
///   register: mounts
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Args {
    /// The file on the host.
    #[serde(alias = "path")]
    src: String,
}

pub(crate) fn spec() -> ModuleSpec {
    spec_of::<Args>("slurp")
}

pub(crate) struct This;

impl Module for This {
    type Args = Args;
    type State = (String, Vec<u8>);
    const NAME: &'static str = "slurp";

    fn observe(args: &Args, host: &dyn Inspect) -> Result<(String, Vec<u8>), ModuleError> {
        let path = expand_path(&args.src, host)?;
        let shown = path.display().to_string();
        let stat = host.stat(&path, Follow::Yes)?;
        let stat = stat.ok_or_else(|| ModuleError::new(format!("File not found: {shown}")))?;
        if stat.kind == FileKind::Dir {
            let msg = format!("Source is a directory and must be a file: {shown}");
            return Err(ModuleError::new(msg));
        }
        if !host.access(&path, 4) {
            return Err(ModuleError::new(format!("File is not readable: {shown}")));
        }
        let bytes = host.read(&path, SIZE_MAX)?;
        Ok((shown, bytes.unwrap_or_default()))
    }

    fn plan(_: &Args, _: &(String, Vec<u8>)) -> Result<Plan, ModuleError> {
        Ok(Plan::none())
    }

    fn report(_: &Args, ran: &Ran<'_, (String, Vec<u8>)>) -> Report {
        let (source, bytes) = ran.after;
        Report::default()
            .with("content", STANDARD.encode(bytes))
            .with("source", source)
            .with("encoding", "base64")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_module_api::fake::{FakeHost, check_fails, check_module};

    fn src(path: &str) -> Map {
        std::iter::once(("src", path)).collect()
    }

    #[test]
    fn sends_content() {
        let done = check_module::<This>(src("~/f"), FakeHost::bare().file("/root/f", "hi\n"));
        assert!(!done.first.changed);
        let fields = done.first.fields;
        assert_eq!(fields.get("content"), Some(&"aGkK".into()));
        assert_eq!(fields.get("source"), Some(&"/root/f".into()));
        assert_eq!(fields.get("encoding"), Some(&"base64".into()));
    }

    #[test]
    fn refusals() {
        let host = FakeHost::bare;
        assert_eq!(check_fails::<This>(src("/f"), host()), "File not found: /f");
        assert!(check_fails::<This>(src("/etc"), host()).contains("is a directory"));
    }
}
