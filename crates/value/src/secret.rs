//! Text that must not be shown.

use zeroize::Zeroizing;

/// A secret text: it has no `Display`, its `Debug` shows nothing, it cannot be serialised, and its memory is wiped
/// when it goes. [`Secret::reveal`] is the one way to read it, so that every use can be found.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Secret(Zeroizing::new(text.into()))
    }

    /// The text itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("<secret>")
    }
}
