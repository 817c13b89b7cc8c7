//! The documentation says what the code does: references are made from the code, and whatever
//! the pages name exists.

use standfast_core::guard::Guard;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

#[path = "docs/cli.rs"]
mod cli;
#[path = "docs/settings.rs"]
mod settings;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Writes the page anew when it is out of date, and fails once to say so.
fn is_up_to_date(path: &str, wanted: &str) {
    let file = root().join(path);
    if fs::read_to_string(&file).unwrap_or_default() != wanted {
        fs::write(&file, wanted).unwrap();
        panic!("{path} was out of date and is written anew: commit it");
    }
}

#[test]
fn the_command_line_reference_is_up_to_date() {
    is_up_to_date("docs/reference/cli.md", &cli::markdown());
}

#[test]
fn the_settings_reference_is_up_to_date() {
    is_up_to_date("docs/reference/settings.md", &settings::markdown());
}

/// Every page for people: those of the root, and those of `docs`.
fn pages() -> Vec<String> {
    let mut found = Vec::new();
    for folder in ["", "docs", "docs/reference", "playbooks/pangyo-2022"] {
        for entry in fs::read_dir(root().join(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name.ends_with(".md") {
                found.push(format!("{folder}/{name}").trim_start_matches('/').to_owned());
            }
        }
    }
    assert!(found.len() > 5, "{found:?}");
    found
}

/// What stands between backquotes in `text`.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// The name and the file of each line of `page` that begins with `- KIND: `.
fn named<'p>(page: &'p str, kind: &str) -> Vec<(&'p str, &'p str)> {
    let prefix = format!("- {kind}: ");
    let lines = page.lines().filter_map(|line| line.strip_prefix(prefix.as_str()));
    lines
        .map(|line| match quoted(line)[..] {
            [name, file] => (name, file),
            _ => panic!("not a name and a file: {line}"),
        })
        .collect()
}

#[test]
fn each_guard_is_documented_with_a_function_and_a_test_that_exist() {
    let page = read("docs/safety.md");
    let sections: Vec<(&str, &str)> =
        page.split("\n### ").skip(1).map(|section| section.split_once('\n').unwrap()).collect();
    let titles: Vec<&str> = sections.iter().map(|(title, _)| *title).collect();
    let guards: Vec<String> = Guard::ALL.iter().map(ToString::to_string).collect();
    assert_eq!(titles, guards);
    for (title, body) in sections {
        assert!(body.contains("\nWhy: "), "{title} has no reason");
        assert!(!named(body, "Function").is_empty() && !named(body, "Test").is_empty(), "{title}");
    }
    for (kind, name, file) in ["Function", "Test"]
        .into_iter()
        .flat_map(|kind| named(&page, kind).into_iter().map(move |(name, file)| (kind, name, file)))
    {
        let source = read(file);
        let found = match kind {
            "Test" => is_test(&source, name),
            _ => source.contains(&format!("fn {name}(")),
        };
        assert!(found, "{file} has no {} {name}", kind.to_lowercase());
    }
}

fn is_test(source: &str, name: &str) -> bool {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let at = lines.iter().position(|line| line.contains(&format!("fn {name}(")));
    at.is_some_and(|at| at > 0 && lines[at - 1].starts_with("#[") && lines[at - 1].contains("test"))
}

/// Name and help of each metric family, as the source registers them.
fn families() -> Vec<(String, String)> {
    let source = read("daemon/server/src/metrics.rs");
    let source = source.split("#[cfg(test)]").next().unwrap();
    let mut found = Vec::new();
    for call in source.split("add(\n").chain(source.split("add(r, ")).skip(1) {
        let call = call.trim_start().strip_prefix("r,").unwrap_or(call).trim_start();
        let strings: Vec<&str> = call.split('"').collect();
        if let ["", name, _, help, ..] = strings[..] {
            found.push((format!("standfast_{name}"), help.to_owned()));
        }
    }
    found
}

#[test]
fn each_metric_is_documented_and_no_other() {
    let page = read("docs/reference/metrics.md");
    let families = families();
    assert!(families.len() > 10, "{families:?}");
    for (name, help) in &families {
        let row =
            page.lines().find(|line| line.starts_with(&format!("| `{name}")) && line.contains(help.as_str()));
        assert!(row.is_some(), "docs/reference/metrics.md has no row for {name}: {help}");
    }
    for page in pages() {
        for name in words(&read(&page), "standfast_") {
            let known = families.iter().any(|(family, _)| {
                [family.as_str(), &format!("{family}_total"), &format!("{family}_count")].contains(&&*name)
            });
            assert!(known, "{page} names {name}, which is no metric");
        }
    }
}

fn words(text: &str, prefix: &str) -> BTreeSet<String> {
    let starts = text.match_indices(prefix).map(|(at, _)| &text[at..]);
    let end = |word: &str| word.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(word.len());
    starts.map(|word| word[..end(word)].to_owned()).collect()
}

/// Links between pages, and to files of this house, lead somewhere.
#[test]
fn links_lead_somewhere() {
    for page in pages() {
        let text = read(&page);
        for target in text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            if target.starts_with("http") || target.starts_with('#') {
                continue;
            }
            let path = target.split('#').next().unwrap();
            let file = root().join(&page).parent().unwrap().join(path);
            assert!(file.exists(), "{page} links to {target}, which does not exist");
        }
    }
}
