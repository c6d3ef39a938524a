//! Random secrets, and a search for them that does not trust how they are hidden.
//!
//! A canary is two random words with every character between them that some format escapes. A format may escape what
//! lies between, but none changes the words themselves: so a search for the words (as they are, in base64 at any
//! alignment, in hex, backwards) finds a secret in JSON, URLs, HTML, shell words and whatever comes next.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// Most bytes of an unpacked stream that are searched.
const UNPACKED_MAX: u64 = 256 << 20;

/// A secret that must not be seen.
#[derive(Clone, Debug)]
pub(crate) struct Canary {
    pub(crate) name: &'static str,
    /// The whole secret.
    pub(crate) text: String,
    needles: Vec<(String, Vec<u8>)>,
}

impl Canary {
    /// One with everything between its words that has to be escaped somewhere.
    pub(crate) fn new(name: &'static str) -> Self {
        Self::with(name, "'\"\\ $x`&<é>%+/#~{{ 7 * 191 }}{%;|")
    }

    /// One that fits a line of a password file and an INI file.
    pub(crate) fn password(name: &'static str) -> Self {
        Self::with(name, "-$&%+/~!")
    }

    fn with(name: &'static str, between: &str) -> Self {
        let words = [word(), word()];
        let mut needles = Vec::new();
        for word in &words {
            let bytes = word.as_bytes();
            needles.push(("plain".to_owned(), bytes.to_vec()));
            let backwards = bytes.iter().rev().copied().collect();
            needles.push(("backwards".to_owned(), backwards));
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            needles.push(("hex".to_owned(), hex.to_uppercase().into_bytes()));
            needles.push(("hex".to_owned(), hex.into_bytes()));
            for before in 0..3 {
                needles.push((format!("base64 at {before}"), base64_inside(bytes, before)));
            }
        }
        Canary {
            name,
            text: format!("{}{between}{}", words[0], words[1]),
            needles,
        }
    }

    fn found_in<'a>(&'a self, bytes: &'a [u8]) -> impl Iterator<Item = String> + 'a {
        self.needles.iter().filter_map(|(form, needle)| {
            let at = find(bytes, needle)?;
            let around = &bytes[at.saturating_sub(60)..(at + 80).min(bytes.len())];
            let around = String::from_utf8_lossy(around);
            Some(format!("{} ({form}): ...{around:?}...", self.name))
        })
    }
}

/// Where canaries were found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Finds(Vec<String>);

impl Finds {
    /// Looks through bytes, and through what is packed in them.
    pub(crate) fn search(&mut self, canaries: &[Canary], place: &str, bytes: &[u8]) {
        for canary in canaries {
            self.0
                .extend(canary.found_in(bytes).map(|it| format!("{place}: {it}")));
        }
        for (at, _) in bytes
            .windows(3)
            .enumerate()
            .filter(|(_, it)| *it == [0x1f, 0x8b, 8])
        {
            let mut unpacked = Vec::new();
            // What was unpacked before the end of a damaged stream counts too.
            let _damaged = flate2::read::GzDecoder::new(&bytes[at..])
                .take(UNPACKED_MAX)
                .read_to_end(&mut unpacked);
            self.search(canaries, &format!("{place} (gzip at {at})"), &unpacked);
        }
        let zlib = |it: &[u8]| it[0] == 0x78 && matches!(it[1], 0x01 | 0x5e | 0x9c | 0xda);
        for (at, _) in bytes.windows(2).enumerate().filter(|(_, it)| zlib(it)) {
            let mut unpacked = Vec::new();
            let _damaged = flate2::read::ZlibDecoder::new(&bytes[at..])
                .take(UNPACKED_MAX)
                .read_to_end(&mut unpacked);
            for canary in canaries {
                let found = canary.found_in(&unpacked);
                self.0
                    .extend(found.map(|it| format!("{place} (zlib at {at}): {it}")));
            }
        }
    }

    /// Looks through every file, name and link below a directory, except the files that `may` hold them.
    pub(crate) fn walk(&mut self, canaries: &[Canary], directory: &Path, may: &[PathBuf]) {
        let Ok(entries) = fs::read_dir(directory) else {
            return;
        };
        for entry in entries.filter_map(Result::ok) {
            let path = entry.path();
            if may.contains(&path) {
                continue;
            }
            let place = path.display().to_string();
            self.search(canaries, "a name", place.as_bytes());
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            if kind.is_dir() {
                self.walk(canaries, &path, may);
            } else if kind.is_file() {
                self.search(canaries, &place, &fs::read(&path).unwrap_or_default());
            }
        }
    }

    /// Fails with everything that was found.
    pub(crate) fn expect_none(&self) {
        assert!(
            self.0.is_empty(),
            "{} finds:\n{}",
            self.0.len(),
            self.0.join("\n")
        );
    }

    pub(crate) fn extend(&mut self, other: Finds) {
        self.0.extend(other.0);
    }
}

/// Looks at the arguments and environments of all processes of the machine as often as it can, until it is stopped.
pub(crate) struct Watch {
    stop: Arc<AtomicBool>,
    looks: Arc<AtomicU64>,
    found: Arc<Mutex<Finds>>,
    thread: JoinHandle<()>,
}

impl Watch {
    /// Begins. `extra` is looked at as often: directories for temporary files.
    pub(crate) fn begin(canaries: Vec<Canary>, extra: Vec<PathBuf>) -> Watch {
        let stop = Arc::new(AtomicBool::new(false));
        let looks = Arc::new(AtomicU64::new(0));
        let found = Arc::new(Mutex::new(Finds::default()));
        let thread = std::thread::spawn({
            let (stop, looks, found) = (stop.clone(), looks.clone(), found.clone());
            move || {
                while !stop.load(Ordering::Relaxed) {
                    let mut finds = Finds::default();
                    look_at_processes(&canaries, &mut finds);
                    for directory in &extra {
                        finds.walk(&canaries, directory, &[]);
                    }
                    looks.fetch_add(1, Ordering::Relaxed);
                    let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                    // One look is enough to fail.
                    if found.0.is_empty() {
                        found.extend(finds);
                    }
                }
            }
        });
        Watch {
            stop,
            looks,
            found,
            thread,
        }
    }

    /// Ends; gives what was found and the number of looks.
    pub(crate) fn end(self) -> (Finds, u64) {
        self.stop.store(true, Ordering::Relaxed);
        // A panic of the thread shows as no looks.
        let _panicked = self.thread.join();
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        (found.clone(), self.looks.load(Ordering::Relaxed))
    }
}

fn look_at_processes(canaries: &[Canary], finds: &mut Finds) {
    let own = std::process::id().to_string();
    let Ok(entries) = fs::read_dir("/proc") else {
        return;
    };
    for entry in entries.filter_map(Result::ok) {
        let name = entry.file_name();
        let Some(pid) = name.to_str().filter(|it| it.parse::<u32>().is_ok()) else {
            continue;
        };
        if pid == own {
            continue;
        }
        for what in ["cmdline", "environ"] {
            let path = entry.path().join(what);
            // A process may end between two looks.
            let bytes = fs::read(&path).unwrap_or_default();
            for canary in canaries {
                let found = canary.found_in(&bytes);
                finds
                    .0
                    .extend(found.map(|it| format!("{}: {it}", path.display())));
            }
        }
    }
}

/// Twelve random letters and digits, none of which stand for themselves in another form.
fn word() -> String {
    const LETTERS: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789";
    let mut random = [0; 12];
    fs::File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut random))
        .expect("random bytes");
    random
        .iter()
        .map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()]))
        .collect()
}

/// The characters of a base64 text that depend on these bytes alone, if `before` bytes of a group of three stand before.
fn base64_inside(bytes: &[u8], before: usize) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bit = |at: usize| bytes[at / 8] >> (7 - at % 8) & 1;
    // The first group of six bits that begins inside.
    let mut at = (6 - before * 8 % 6) % 6;
    let mut digits = Vec::new();
    while at + 6 <= bytes.len() * 8 {
        let value = (at..at + 6).fold(0, |sum, at| sum << 1 | bit(at));
        digits.push(DIGITS[usize::from(value)]);
        at += 6;
    }
    digits
}

fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    let (first, rest) = needle.split_first()?;
    let mut from = 0;
    while let Some(step) = bytes[from..].iter().position(|byte| byte == first) {
        let at = from + step;
        if bytes[at + 1..].starts_with(rest) {
            return Some(at);
        }
        from = at + 1;
    }
    None
}
