//! An inventory of any format, and a pattern of hosts: `PATTERN\0INVENTORY`.
#![no_main]

use std::io;
use std::path::{Path, PathBuf};

use hostler_diag::SourceMap;
use hostler_inventory::{Loader, NoScripts, NoSets, Pattern, load_inventory};
use libfuzzer_sys::fuzz_target;

/// One file, whatever it is called.
struct One<'a>(&'a str);

impl Loader for One<'_> {
    fn read(&self, _: &Path) -> io::Result<String> {
        Ok(self.0.to_owned())
    }
    fn list_dir(&self, _: &Path) -> io::Result<Vec<String>> {
        Ok(Vec::new())
    }
    fn is_dir(&self, _: &Path) -> bool {
        false
    }
    fn exists(&self, path: &Path) -> bool {
        !path.to_string_lossy().contains(',')
    }
    fn is_executable(&self, _: &Path) -> bool {
        false
    }
    fn absolute(&self, path: &Path) -> PathBuf {
        path.to_owned()
    }
}

fuzz_target!(|data: &str| {
    let (pattern, text) = data.split_once('\0').unwrap_or(("all", data));
    for name in ["hosts", "hosts.yml", "a,b[1:3]"] {
        let sources = SourceMap::new();
        let given = [name.to_owned()];
        let (loaded, _) = load_inventory(&given, &sources, &One(text), &NoScripts);
        loaded.inventory.select(&Pattern::parse(pattern));
    }
    let (limit, _) = Pattern::parse_limit(pattern, &One(text), &NoSets);
    limit.is_empty();
});
