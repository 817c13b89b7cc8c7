//! The format reference beside the playbooks is the one that the tables give, and every file
//! beside it lints clean.

use standfast_core::bundle::Bundle;
use standfast_core::source::SourceFile;
use standfast_core::timing::{Profile, Timing};
use std::fs;
use std::path::PathBuf;

fn playbooks() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../playbooks")
}

/// Writes the page anew when it is out of date, and fails once to say so.
#[test]
fn the_reference_is_up_to_date() {
    let path = playbooks().join("README.md");
    let wanted = standfast_core::reference::markdown();
    if fs::read_to_string(&path).unwrap_or_default() != wanted {
        fs::write(&path, wanted).unwrap();
        panic!("playbooks/README.md was out of date and is written anew: commit it");
    }
}

/// What is there to be refused, and tested in pangyo.rs.
const REFUSED: &[&str] = &["pangyo-2022/actual"];

/// The YAML of every folder that has some.
fn examples() -> Vec<(PathBuf, Vec<SourceFile>)> {
    let mut found = Vec::new();
    let mut folders = vec![playbooks()];
    while let Some(folder) = folders.pop() {
        let mut paths: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        folders.extend(paths.iter().filter(|path| path.is_dir()).cloned());
        let yaml = paths.iter().filter(|path| path.extension().is_some_and(|e| e == "yaml"));
        let files: Vec<_> = yaml
            .map(|path| SourceFile::new(path.display().to_string(), fs::read_to_string(path).unwrap()))
            .collect();
        if !files.is_empty() {
            found.push((folder, files));
        }
    }
    found
}

#[test]
fn every_example_lints_clean_but_what_is_there_to_be_refused() {
    let mut refused = 0;
    let examples = examples();
    for (folder, files) in &examples {
        let (_, findings) = Bundle::load(files.clone());
        if REFUSED.iter().any(|name| folder.ends_with(name)) {
            assert!(findings.has_errors(), "{}", folder.display());
            refused += 1;
        } else {
            assert!(findings.is_empty(), "{}", findings.to_text(files, false));
        }
    }
    assert_eq!((examples.len() - refused, refused), (3, REFUSED.len()));
}

/// Every window can be set by the key under which it is listed.
#[test]
fn every_window_can_be_set() {
    let fleet = fs::read_to_string(playbooks().join("shop/fleet.yaml")).unwrap();
    let shop = fs::read_to_string(playbooks().join("shop/shop.yaml")).unwrap();
    let fast = Timing::of(Profile::Fast);
    let lines: Vec<_> = fast.values().iter().map(|(name, value)| format!("{name}: {value}")).collect();
    let text = fleet.replace("{profile: default}", &format!("{{{}}}", lines.join(", ").replace("1h", "2h")));
    let files = vec![SourceFile::new("fleet.yaml", text), SourceFile::new("shop.yaml", shop)];
    let (bundle, findings) = Bundle::load(files.clone());
    assert!(findings.is_empty(), "{}", findings.to_text(&files, false));
    let hold_down = standfast_core::time::Span::secs(7_200);
    assert_eq!(bundle.unwrap().rules().timing, Timing { hold_down, ..fast });
}
