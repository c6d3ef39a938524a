//! Known secrets are taken out of everything that is shown or stored.

use std::sync::{Arc, PoisonError, RwLock};

use hostler_change::{Change, Delta};
use hostler_events::{ItemResult, TaskResult};
use hostler_value::{Map, Secret, Value};

/// What stands for a secret.
const STARS: &str = "********";
/// Shorter secrets are masked only where a text is nothing else: they occur in every text.
const INSIDE_MIN: usize = 4;

/// Masks known secrets. Clones share what they know.
#[derive(Clone, Debug, Default)]
pub struct Mask(Arc<RwLock<Vec<Secret>>>);

impl Mask {
    /// Masks these.
    pub fn new(secrets: impl IntoIterator<Item = Secret>) -> Self {
        let mask = Mask::default();
        secrets.into_iter().for_each(|it| mask.learn(it));
        mask
    }

    /// Masks one more from now on.
    pub fn learn(&self, secret: Secret) {
        if secret.reveal().is_empty() {
            return;
        }
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if !known.iter().any(|it| it.reveal() == secret.reveal()) {
            known.push(secret);
        }
    }

    fn known(&self) -> std::sync::RwLockReadGuard<'_, Vec<Secret>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing to mask?
    pub fn is_empty(&self) -> bool {
        self.known().is_empty()
    }

    /// Takes the secrets out of a text.
    pub fn text(&self, text: &mut String) {
        for secret in self.known().iter() {
            let secret = secret.reveal();
            if text == secret {
                STARS.clone_into(text);
            } else if secret.len() >= INSIDE_MIN && text.contains(secret) {
                *text = text.replace(secret, STARS);
            }
        }
    }

    /// Takes them out of a value.
    pub fn value(&self, value: &mut Value) {
        match value {
            Value::Str(text) => {
                let mut masked = text.to_string();
                self.text(&mut masked);
                if masked != **text {
                    *value = Value::from(masked);
                }
            }
            Value::List(items) => Arc::make_mut(items)
                .iter_mut()
                .for_each(|it| self.value(it)),
            Value::Map(map) => {
                let masked: Map = map
                    .iter()
                    .map(|(key, value)| {
                        let (mut key, mut value) = (key.clone(), value.clone());
                        self.value(&mut key);
                        self.value(&mut value);
                        (key, value)
                    })
                    .collect();
                *value = Value::from(masked);
            }
            _ => {}
        }
    }

    /// Takes them out of differences.
    pub fn deltas(&self, deltas: &mut [Delta]) {
        if self.is_empty() {
            return;
        }
        for delta in deltas {
            self.text(&mut delta.subject);
            match &mut delta.change {
                Change::Text { before, after } | Change::Opaque { before, after } => {
                    [before, after]
                        .into_iter()
                        .flatten()
                        .for_each(|it| self.text(it));
                }
                Change::Field { before, after, .. } => {
                    self.value(before);
                    self.value(after);
                }
                Change::Action(what) => self.text(what),
            }
        }
    }

    /// Takes them out of what is shown of a result.
    pub fn result(&self, result: &mut TaskResult) {
        if self.is_empty() {
            return;
        }
        self.value(&mut result.value);
        self.deltas(&mut result.deltas);
        let texts = result.message.iter_mut().chain(&mut result.hint);
        texts
            .chain(&mut result.warnings)
            .for_each(|it| self.text(it));
    }

    /// Takes them out of what is shown of an item.
    pub fn item(&self, item: &mut ItemResult) {
        if self.is_empty() {
            return;
        }
        self.value(&mut item.value);
        self.deltas(&mut item.deltas);
        self.text(&mut item.label);
        item.message.iter_mut().for_each(|it| self.text(it));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_wherever_they_stand() {
        let mask = Mask::new([Secret::new("hunter22"), Secret::new("x1"), Secret::new("")]);
        let mut deltas = [
            Delta::content("/etc/a", Some(b"pw=old"), Some(b"pw=hunter22\n")),
            Delta::field("/etc/hunter22", "owner", "x1", "x12"),
        ];
        mask.deltas(&mut deltas);
        let text = format!("{deltas:?}");
        assert!(
            !text.contains("hunter22") && text.contains("pw=********"),
            "{text}"
        );
        assert!(text.contains("x12") && !text.contains("\"x1\""), "{text}");
        let mut value = Value::list([Value::str("hunter22"), Value::Int(1)]);
        mask.value(&mut value);
        assert_eq!(value, Value::list([Value::str(STARS), Value::Int(1)]));
    }
}
