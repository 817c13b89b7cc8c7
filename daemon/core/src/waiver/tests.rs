//! What is accepted, by whom it stands, and for how long.

use crate::bundle::Bundle;
use crate::date::Date;
use crate::finding::Findings;
use crate::lint::tests::{FLEET, SHOP};
use crate::source::SourceFile;
use insta::assert_snapshot;

const SENT: &str =
    "  - {id: sent, http.request: {endpoint: deploy-tool, at: $to, path: /x}, attempts: 2, undo: none";

/// The example with what stands in `fleet` and below its steps, as of 15 October 2022.
fn judged(fleet: &str, steps: &str) -> (Option<Bundle>, Findings) {
    Bundle::load_on(files(fleet, steps), Date::parse("2022-10-15").ok())
}

fn files(fleet: &str, steps: &str) -> Vec<SourceFile> {
    vec![
        SourceFile::new("fleet.yaml", format!("{FLEET}{fleet}")),
        SourceFile::new("shop.yaml", format!("{SHOP}{steps}")),
    ]
}

fn ids(findings: &Findings) -> (Vec<&str>, Vec<&str>) {
    let waived = findings.waived().iter().map(|waived| waived.finding.code.id);
    (findings.iter().map(|finding| finding.code.id).collect(), waived.collect())
}

const NONE: [&str; 0] = [];

#[test]
fn what_is_waived_is_no_error_and_is_still_shown() {
    let steps =
        format!("{SENT}}}\n\nallow:\n  - {{id: SF051, reason: the tool deduplicates, until: 2022-12-31}}\n");
    let (bundle, findings) = judged("", &steps);
    assert!(bundle.is_some());
    assert_eq!(ids(&findings), (vec![], vec!["SF051"]));
    assert!(findings.is_empty() && !findings.has_errors());
    assert_snapshot!(findings.to_text(&files("", &steps), false), @r"
    waived[SF051]: 2 attempts at `sent`, which is not idempotent
      --> shop.yaml:43:74
       |
    43 |   - {id: sent, http.request: {endpoint: deploy-tool, at: $to, path: /x}, attempts: 2, undo: none}
       |                                                                          ^^^^^^^^
       |
       = note: until 2022-12-31: the tool deduplicates

    0 errors, 0 warnings, 1 waived; `standfast explain ID` tells more
    ");
    let json = findings.to_json();
    assert_eq!(json["findings"].as_array().map(Vec::len), Some(0));
    assert_eq!(json["waived"][0]["id"], "SF051");
    assert_eq!(json["waived"][0]["reason"], "the tool deduplicates");
    assert_eq!(json["waived"][0]["until"], "2022-12-31");
}

/// Its last day counts; a daemon, which gives no day, goes on with what was applied.
#[test]
fn a_waiver_ends_with_its_last_day() {
    let until = |day: &str| format!("{SENT}}}\n\nallow: [{{id: SF051, reason: because, until: {day}}}]\n");
    assert_eq!(ids(&judged("", &until("2022-10-15")).1), (vec![], vec!["SF051"]));
    let (bundle, findings) = judged("", &until("2022-10-14"));
    assert!(bundle.is_none());
    assert_eq!(ids(&findings), (vec!["SF051", "SF070"], vec![]));
    let (bundle, findings) = Bundle::load(files("", &until("2022-10-14")));
    assert!(bundle.is_some());
    assert_eq!(ids(&findings), (vec![], vec!["SF051"]));
}

#[test]
fn a_waiver_holds_for_its_file_or_its_step() {
    let allow = "allow: [{id: SF051, reason: because}]";
    let again = SENT.replace("id: sent", "id: again");
    let steps = format!("{SENT}, {allow}}}\n{again}}}\n");
    assert_eq!(ids(&judged("", &steps).1), (vec!["SF051"], vec!["SF051"]));
    let block = format!("  - id: both\n    parallel:\n    {SENT}, {allow}}}\n    {again}, {allow}}}\n");
    assert_eq!(ids(&judged("", &block).1), (vec![], vec!["SF051", "SF051"]));
    let whole = format!("{SENT}}}\n{again}}}\n\n{allow}\n");
    assert_eq!(ids(&judged("", &whole).1), (vec![], vec!["SF051", "SF051"]));
    // The fleet does not speak for the playbook.
    let (_, findings) = judged(&format!("\n{allow}\n"), &format!("{SENT}}}\n"));
    assert_eq!(ids(&findings), (vec!["SF071", "SF051"], vec![]));
    // The nearest counts, so the other is not needed.
    let both = format!("{SENT}, {allow}}}\n\n{allow}\n");
    assert_eq!(ids(&judged("", &both).1), (vec!["SF071"], vec!["SF051"]));
}

#[test]
fn what_keeps_files_from_being_used_cannot_be_waived() {
    for id in ["SF001", "SF005", "SF020", "SF030", "SF034", "SF045", "SF050", "SF070", "SF071", "SF072"] {
        let (bundle, findings) = judged(&format!("\nallow: [{{id: {id}, reason: because}}]\n"), "");
        assert!(bundle.is_none());
        assert_eq!(ids(&findings), (vec!["SF072"], vec![]), "{id}");
    }
}

#[test]
fn a_waiver_has_an_id_that_exists_and_a_reason() {
    for (waiver, id) in [
        ("id: SF051", "SF006"),
        ("id: SF051, reason: \" \"", "SF008"),
        ("reason: because", "SF006"),
        ("id: SF999, reason: because", "SF008"),
        ("id: SF051, reason: because, until: soon", "SF008"),
        ("id: SF051, reason: because, until: 2023-02-29", "SF008"),
        ("id: SF051, reason: because, untill: 2023-02-28", "SF005"),
    ] {
        let (_, findings) = judged("", &format!("\nallow: [{{{waiver}}}]\n"));
        assert!(ids(&findings).0.contains(&id), "{waiver}: {findings:?}");
    }
}

/// What was not read may hold what is waived.
#[test]
fn nothing_is_called_unused_when_files_are_cut() {
    let (_, findings) = judged("\nallow: [{id: SF048, reason: because}]\n", "  - {id: [\n");
    assert_eq!(ids(&findings), (vec!["SF001"], NONE.to_vec()));
}
