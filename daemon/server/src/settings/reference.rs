//! The default file read twice: as the defaults, and with its commented keys as the list
//! of all keys and the kinds of their values.

use std::collections::BTreeMap;

use config::{FileFormat, Source, ValueKind};

/// The embedded default file, which documents every key.
pub const DEFAULT: &str = include_str!("default.toml");

/// Every key there is, dotted, with a value of the right kind.
pub(super) fn keys() -> BTreeMap<String, ValueKind> {
    let all: String = DEFAULT.lines().map(uncommented).flat_map(|line| [line, "\n"]).collect();
    read(&all).expect("the default file is TOML, tested").into_iter().collect()
}

/// A key without default stands behind a `#` and no space; prose stands behind `# `.
fn uncommented(line: &str) -> &str {
    match line.strip_prefix('#') {
        Some(key) if key.starts_with(|c: char| c.is_ascii_lowercase()) => key,
        _ => line,
    }
}

/// TOML as dotted keys and values. An empty section counts as a key, so that it is seen.
pub(super) fn read(toml: &str) -> Result<Vec<(String, ValueKind)>, config::ConfigError> {
    let tree = config::File::from_str(toml, FileFormat::Toml).collect()?;
    let mut keys = Vec::new();
    for (key, value) in tree {
        flatten(key, value.kind, &mut keys);
    }
    keys.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(keys)
}

fn flatten(key: String, kind: ValueKind, into: &mut Vec<(String, ValueKind)>) {
    match kind {
        ValueKind::Table(table) if !table.is_empty() => {
            for (name, value) in table {
                flatten(format!("{key}.{name}"), value.kind, into);
            }
        }
        kind => into.push((key, kind)),
    }
}

/// The known key that was probably meant, if one is near enough.
pub(super) fn nearest<'k>(key: &str, known: impl Iterator<Item = &'k String>) -> Option<&'k String> {
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    let distance = |candidate: &str| {
        let whole = strsim::osa_distance(key, candidate);
        // A good name in the wrong section, or in none.
        let misplaced = last(key) == last(candidate);
        if misplaced { whole.min(1) } else { whole }
    };
    known
        .map(|candidate| (distance(candidate), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.len() / 3).max(2))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_name_is_suggested_and_a_far_one_is_not() {
        let known = keys();
        let nearest = |key| nearest(key, known.keys()).map(String::as_str);
        assert_eq!(nearest("listen.gprc"), Some("listen.grpc"));
        assert_eq!(nearest("endpoints"), Some("etcd.endpoints"));
        assert_eq!(nearest("data-dir"), Some("data_dir"));
        assert_eq!(nearest("probes.deadline"), Some("shutdown.deadline"));
        assert_eq!(nearest("colour_of_the_bicycle_shed"), None);
    }

    #[test]
    fn each_key_is_documented_right_above_it() {
        let mut documented = false;
        for line in DEFAULT.lines() {
            let key = uncommented(line).split_once(" = ").map(|(key, _)| key);
            match key {
                Some(key) if key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') => {
                    assert!(documented, "`{key}` has no comment above it");
                }
                _ => documented = line.starts_with("# "),
            }
        }
    }
}
