//! playbooks/pangyo-2022: what stood in October 2022 is refused, for reasons that can be mended
//! one by one; what was put right is not.

#[path = "pangyo/mends.rs"]
mod mends;
#[path = "pangyo/simulated.rs"]
mod simulated;

use mends::{MENDS, Mend};
use standfast_core::bundle::Bundle;
use standfast_core::date::Date;
use standfast_core::finding::{Finding, Findings};
use standfast_core::source::SourceFile;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

/// The files of a bundle, named as they are called from the root of the repository.
fn files(bundle: &str) -> Vec<SourceFile> {
    let folder = format!("playbooks/pangyo-2022/{bundle}");
    let paths = fs::read_dir(root().join(&folder)).unwrap().map(|entry| entry.unwrap().path());
    let yaml = paths.filter(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    let mut files: Vec<_> = yaml
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            SourceFile::new(format!("{folder}/{name}"), fs::read_to_string(&path).unwrap())
        })
        .collect();
    files.sort_by(|a, b| a.name.cmp(&b.name));
    files
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// As of the day of the fire.
fn lint(files: &[SourceFile]) -> Findings {
    Bundle::load_on(files.to_vec(), Date::parse("2022-10-15").ok()).1
}

/// A finding's id with the first name in it, if there is one.
fn key(finding: &Finding) -> String {
    match finding.message.split('`').nth(1) {
        Some(name) => format!("{} {name}", finding.code.id),
        None => finding.code.id.to_owned(),
    }
}

/// What each finding says. Where it stands is left out: an edit moves what is below it.
fn said(findings: &Findings) -> BTreeMap<String, Vec<String>> {
    let mut said: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for finding in findings.iter() {
        let text = format!("{} {}", finding.message, finding.path.join(" -> "));
        said.entry(key(finding)).or_default().push(text);
    }
    said
}

/// The files of `actual/` with these facts changed.
fn mended<'a>(mends: impl IntoIterator<Item = &'a Mend>) -> Vec<SourceFile> {
    let mut files = files("actual");
    for (name, old, new) in mends.into_iter().flat_map(|mend| mend.edits) {
        let file = files.iter_mut().find(|file| file.name.ends_with(name)).expect("a file of that name");
        assert_eq!(file.text.matches(old).count(), 1, "{name}: {old}");
        file.text = file.text.replace(old, new);
    }
    files
}

/// Writes the page anew when it is out of date, and fails once to say so.
#[test]
fn what_stood_in_2022_is_refused() {
    let files = files("actual");
    let findings = lint(&files);
    assert!(findings.has_errors());
    let path = root().join("playbooks/pangyo-2022/actual/refused.txt");
    let text = findings.to_text(&files, false);
    if fs::read_to_string(&path).unwrap_or_default() != text {
        fs::write(&path, &text).unwrap();
        panic!("{} was out of date and is written anew: commit it", path.display());
    }
}

#[test]
fn each_fact_alone_decides_its_finding() {
    let before = said(&lint(&files("actual")));
    for mend in MENDS {
        let after = said(&lint(&mended([mend])));
        let fact = mend.fact;
        for (key, said) in &before {
            let now = after.get(key).map(Vec::as_slice).unwrap_or_default();
            match (mend.gone.contains(&key.as_str()), mend.changed.contains(&key.as_str())) {
                (true, _) => assert_eq!(now, [""; 0], "{fact}: {key} is still there"),
                (_, true) => {
                    assert_eq!(now.len(), said.len(), "{fact}: {key}");
                    assert_ne!(now, said, "{fact}: {key} has not changed");
                }
                (false, false) => assert_eq!(now, said, "{fact}: {key} has nothing to do with it"),
            }
        }
        let new: Vec<_> = after.iter().filter(|(key, _)| !before.contains_key(*key)).collect();
        assert!(new.is_empty(), "{fact}: {new:#?}");
        for key in mend.gone.iter().chain(mend.changed) {
            assert!(before.contains_key(*key), "{fact}: {key} was never there");
        }
        assert!(!mend.gone.is_empty(), "{fact}");
    }
}

/// What all the facts explain together is everything that there is.
#[test]
fn with_every_fact_mended_nothing_is_left() {
    let files = mended(MENDS);
    let findings = lint(&files);
    assert!(findings.is_empty(), "{}", findings.to_text(&files, false));
}

#[test]
fn what_was_put_right_is_clean() {
    let files = files("fixed");
    for today in [None, Date::parse("2026-11-22").ok()] {
        let (bundle, findings) = Bundle::load_on(files.clone(), today);
        assert!(findings.is_empty() && bundle.is_some(), "{}", findings.to_text(&files, false));
    }
    // A drill counts for a year.
    let late = Bundle::load_on(files, Date::parse("2027-11-22").ok()).1;
    assert_eq!(late.iter().map(key).collect::<Vec<_>>(), ["SF143 pangyo"]);
}
