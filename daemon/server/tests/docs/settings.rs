//! The settings as a page: the default file, with what follows from each key.

use standfast::settings::DEFAULT;
use std::fmt::Write as _;

pub(crate) fn markdown() -> String {
    let mut page = String::from(
        "# Settings of a member\n\n\
         <!-- Made from daemon/server/src/settings/default.toml by a test. Edit that file instead. -->\n\n\
         What follows is the embedded default file (`daemon/server/src/settings/default.toml`), key by key.\n\n",
    );
    let mut section = String::new();
    let mut prose: Vec<&str> = Vec::new();
    let mut head = true;
    for line in DEFAULT.lines() {
        let setting = line.trim_start_matches('#');
        let key = setting.split_once(" = ").filter(|(key, _)| is_key(key) && !line.starts_with("# "));
        match key {
            Some((key, value)) => {
                let key = format!("{section}{key}");
                let env = key.replace('.', "__").to_uppercase();
                let default = if line.starts_with('#') { "none; for example" } else { "default" };
                let text = prose.join("\n");
                if !text.is_empty() {
                    let _ = write!(page, "\n## {key}\n\n{text}\n\n");
                }
                let _ = writeln!(page, "- `{key}`: {default} `{value}`; environment `STANDFAST_{env}`");
                prose.clear();
            }
            None if line.starts_with('[') => {
                let name = line.trim_start_matches('[').split(']').next().unwrap_or_default();
                section = format!("{name}.");
                prose.clear();
            }
            None if line.is_empty() => {
                if std::mem::take(&mut head) {
                    page.push_str(&intro(&prose));
                }
                prose.clear();
            }
            None => prose.push(line.strip_prefix("# ").unwrap_or(line.trim_start_matches('#'))),
        }
    }
    page
}

/// The head of the file: paragraphs, and the layers as it draws them.
fn intro(lines: &[&str]) -> String {
    lines.iter().map(|line| format!("{}\n", line.strip_prefix("  ").unwrap_or(line))).collect()
}

fn is_key(key: &str) -> bool {
    key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}
