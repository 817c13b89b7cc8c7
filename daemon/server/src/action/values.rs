//! Literals and secrets that a step hands to its target, and keeping the latter out of texts.

use super::refused;
use crate::client::clip;
use crate::secrets::Secrets;
use secrecy::ExposeSecret as _;
use standfast_core::action::{Failure, Value};
use std::collections::BTreeMap;

/// Named values, resolved. Not printable on purpose.
#[derive(Default)]
pub(super) struct Values {
    resolved: Vec<(String, String)>,
    secret: Vec<String>,
}

impl Values {
    /// Reads the secrets among `named`.
    pub(super) fn resolve(named: &BTreeMap<String, Value>, secrets: &Secrets) -> Result<Self, Failure> {
        let mut values = Self { resolved: Vec::new(), secret: Vec::new() };
        for (name, value) in named {
            let value = match value {
                Value::Text(text) => text.clone(),
                Value::Secret(secret) => {
                    let read = secrets.get(secret.as_str()).map_err(|e| refused(format!("{name}: {e}")))?;
                    values.secret.push(read.expose_secret().to_owned());
                    read.expose_secret().to_owned()
                }
            };
            values.resolved.push((name.clone(), value));
        }
        Ok(values)
    }

    /// Names and values.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.resolved.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// One short line of what the target said, without the secrets that it was told.
    pub(super) fn clip(&self, text: &str) -> String {
        clip(&self.secret.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), "***")))
    }
}
