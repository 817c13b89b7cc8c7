//! The layers that settings come from, each checked against the reference before they are
//! laid over one another: what is wrong is told with the layer that says it.

use std::collections::BTreeMap;
use std::path::Path;

use config::{ConfigError, Map, Source, Value, ValueKind};

use super::{Problem, SettingsError, reference};

/// The prefix of variables that are settings.
const PREFIX: &str = "STANDFAST_";

/// Variables with that prefix that are no settings of a member: where the settings are, and
/// what the command line's other commands read.
const NOT_SETTINGS: [&str; 5] =
    ["STANDFAST_CONFIG", "STANDFAST_SERVER", "STANDFAST_TLS_CA", "STANDFAST_TLS_CERT", "STANDFAST_TLS_KEY"];

/// One layer: dotted keys, values, and where each was said.
#[derive(Clone, Debug, Default)]
pub(super) struct Layer(BTreeMap<String, Value>);

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        Ok(self.0.clone().into_iter().collect())
    }
}

impl Layer {
    pub(super) fn defaults() -> Self {
        let keys = reference::read(reference::DEFAULT).expect("the default file is TOML, tested");
        let mut layer = Self::default();
        for (key, kind) in keys {
            layer.set(key, kind, "default");
        }
        layer
    }

    /// A settings file's text.
    pub(super) fn file(
        path: &Path,
        text: &str,
        known: &BTreeMap<String, ValueKind>,
        problems: &mut Vec<Problem>,
    ) -> Result<Self, SettingsError> {
        let keys = reference::read(text).map_err(|error| SettingsError::Syntax {
            path: path.to_owned(),
            message: error.to_string().trim_end().to_owned(),
        })?;
        let origin = path.display().to_string();
        let mut layer = Self::default();
        for (key, kind) in keys {
            match known.get(&key) {
                Some(like) if kind_name(like) == kind_name(&kind) => layer.set(key, kind, &origin),
                Some(like) => problems.push(wrong_kind(&key, &origin, like, &kind)),
                None if is_section(&key, known) => {
                    if !matches!(&kind, ValueKind::Table(table) if table.is_empty()) {
                        problems.push(Problem::new(&key, &origin, "is a section: write it as [section]"));
                    }
                }
                None => problems.push(unknown(&key, &origin, &key, known)),
            }
        }
        Ok(layer)
    }

    /// The `STANDFAST_*` variables among `variables`.
    pub(super) fn environment(
        variables: &BTreeMap<String, String>,
        known: &BTreeMap<String, ValueKind>,
        problems: &mut Vec<Problem>,
    ) -> Self {
        let mut layer = Self::default();
        for (variable, text) in variables {
            let Some(name) = variable.strip_prefix(PREFIX) else { continue };
            if NOT_SETTINGS.contains(&variable.as_str()) {
                continue;
            }
            let key = name.to_lowercase().replace("__", ".");
            layer.set_text(&key, text, &format!("environment variable {variable}"), known, problems);
        }
        layer
    }

    /// Keys and texts from flags.
    pub(super) fn flags<'f>(
        flags: impl IntoIterator<Item = (&'f str, String, String)>,
        known: &BTreeMap<String, ValueKind>,
        problems: &mut Vec<Problem>,
    ) -> Self {
        let mut layer = Self::default();
        for (key, text, flag) in flags {
            layer.set_text(key, &text, &format!("flag {flag}"), known, problems);
        }
        layer
    }

    /// Adds to `origins` where each key of this layer was said.
    pub(super) fn note_origins(&self, origins: &mut BTreeMap<String, String>) {
        for (key, value) in &self.0 {
            origins.insert(key.clone(), value.origin().unwrap_or_default().to_owned());
        }
    }

    fn set(&mut self, key: String, kind: ValueKind, origin: &str) {
        self.0.insert(key, Value::new(Some(&origin.to_owned()), kind));
    }

    /// Sets a key from text, read as the kind that the reference has.
    fn set_text(
        &mut self,
        key: &str,
        text: &str,
        origin: &str,
        known: &BTreeMap<String, ValueKind>,
        problems: &mut Vec<Problem>,
    ) {
        let kind = match known.get(key) {
            None => return problems.push(unknown(key, origin, key, known)),
            Some(ValueKind::I64(_)) => text.parse().ok().map(ValueKind::I64),
            Some(ValueKind::Array(_)) => {
                let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
                Some(ValueKind::Array(parts.map(Value::from).collect()))
            }
            Some(_) => Some(ValueKind::String(text.to_owned())),
        };
        match kind {
            Some(kind) => self.set(key.to_owned(), kind, origin),
            None => {
                let got = ValueKind::String(text.to_owned());
                problems.push(wrong_kind(key, origin, &known[key], &got));
            }
        }
    }
}

fn is_section(key: &str, known: &BTreeMap<String, ValueKind>) -> bool {
    let prefix = format!("{key}.");
    known.keys().any(|k| k.starts_with(&prefix))
}

fn unknown(key: &str, origin: &str, wrong: &str, known: &BTreeMap<String, ValueKind>) -> Problem {
    let hint = match reference::nearest(wrong, known.keys()) {
        Some(near) => format!("is no setting: did you mean `{near}`?"),
        None => "is no setting: the default file lists them all".to_owned(),
    };
    Problem::new(key, origin, hint)
}

fn wrong_kind(key: &str, origin: &str, like: &ValueKind, got: &ValueKind) -> Problem {
    let message = format!("must be {}, and is {}", kind_name(like), shown(got));
    Problem::new(key, origin, message)
}

fn kind_name(kind: &ValueKind) -> &'static str {
    match kind {
        ValueKind::Boolean(_) => "true or false",
        ValueKind::I64(_) | ValueKind::I128(_) | ValueKind::U64(_) | ValueKind::U128(_) => "a whole number",
        ValueKind::Float(_) => "a number",
        ValueKind::String(_) => "a string",
        ValueKind::Array(_) => "a list",
        ValueKind::Table(_) => "a section",
        ValueKind::Nil => "nothing",
    }
}

fn shown(kind: &ValueKind) -> String {
    match kind {
        ValueKind::String(text) => format!("the string {text:?}"),
        ValueKind::Array(_) | ValueKind::Table(_) | ValueKind::Nil => kind_name(kind).to_owned(),
        plain => format!("{} ({plain})", kind_name(plain)),
    }
}
