//! Hostile input: never a panic.

use std::io;
use std::path::{Path, PathBuf};

use hostler_diag::SourceMap;
use hostler_inventory::{Loader, NoScripts, Pattern, load_inventory};
use proptest::prelude::*;

/// One file, whatever it is called.
struct One(String);

impl Loader for One {
    fn read(&self, _: &Path) -> io::Result<String> {
        Ok(self.0.clone())
    }
    fn list_dir(&self, _: &Path) -> io::Result<Vec<String>> {
        Ok(Vec::new())
    }
    fn is_dir(&self, _: &Path) -> bool {
        false
    }
    fn exists(&self, _: &Path) -> bool {
        true
    }
    fn is_executable(&self, _: &Path) -> bool {
        false
    }
    fn absolute(&self, path: &Path) -> PathBuf {
        path.to_owned()
    }
}

fn text() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "[",
        "]",
        ":",
        "web",
        "db",
        "\n",
        " ",
        "=",
        "'",
        "\"",
        "\\",
        "#",
        ",",
        "1",
        "01:03",
        "a:c",
        "children",
        "vars",
        "ü",
        "{{ x }}",
        "{",
        "}",
        "(",
        ")",
        "all",
        "-",
        "!",
        "&",
        "~",
        "*",
        "?",
        "::1",
        ".",
        "hosts:\n",
        "  ",
        "0x",
        "r'",
        "\\x",
        "\r",
        "\u{85}",
        "True",
        "[x:vars]\n",
        "[x]\n",
        "@",
    ]);
    prop::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn files_and_patterns_never_panic(text in text(), pattern in text()) {
        for name in ["hosts.ini", "hosts.yml", "hosts"] {
            let sources = SourceMap::new();
            let (loaded, _) = load_inventory(&[name.into()], &sources, &One(text.clone()), &NoScripts);
            let pattern = Pattern::parse(&pattern);
            loaded.inventory.select(&pattern);
        }
    }

    #[test]
    fn lists_never_panic(text in text()) {
        let sources = SourceMap::new();
        load_inventory(&[format!("{text},")], &sources, &hostler_inventory::FsLoader, &NoScripts);
    }
}
