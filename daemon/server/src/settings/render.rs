//! `standfast serve --print-settings`: what holds, as TOML, with the layer that said it.

use std::fmt::Write;

use serde_json::Value;

use super::Loaded;

impl Loaded {
    /// The effective settings, as a settings file that says the same. Settings name files
    /// of keys and secrets, never their contents, so that there is nothing to hide.
    pub fn render(&self) -> String {
        let tree = serde_json::to_value(&self.raw).expect("settings are plain data");
        let Value::Object(tree) = tree else { unreachable!("settings are a struct") };
        let mut out = String::new();
        let (sections, keys): (Vec<_>, Vec<_>) = tree.iter().partition(|(_, v)| v.is_object());
        for (key, value) in keys {
            self.line(&mut out, key, key, value);
        }
        for (section, values) in sections {
            // Writing to a String does not fail.
            let _ = writeln!(out, "\n[{section}]");
            for (key, value) in values.as_object().into_iter().flatten() {
                self.line(&mut out, key, &format!("{section}.{key}"), value);
            }
        }
        out
    }

    fn line(&self, out: &mut String, key: &str, dotted: &str, value: &Value) {
        let origin = self.origins.get(dotted).map_or("", String::as_str);
        // Strings, numbers and lists of strings are written alike in JSON and TOML.
        let _ = match value {
            Value::Null => writeln!(out, "#{key} is not set"),
            value => writeln!(out, "{key} = {value} # {origin}"),
        };
    }
}
