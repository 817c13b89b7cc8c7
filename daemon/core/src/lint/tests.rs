//! The example of the repository is clean, and what is done to it is found.

use crate::bind::bind;
use crate::bundle::Bundle;
use crate::plan::{Mode, Request};
use crate::source::SourceFile;
use insta::assert_snapshot;
use std::collections::BTreeMap;

pub(crate) const FLEET: &str = include_str!("../../../../playbooks/shop/fleet.yaml");
pub(crate) const SHOP: &str = include_str!("../../../../playbooks/shop/shop.yaml");

/// The example, with one text replaced by another.
fn with(from: &str, to: &str) -> Vec<SourceFile> {
    assert!(FLEET.contains(from) || SHOP.contains(from), "{from}");
    vec![
        SourceFile::new("fleet.yaml", FLEET.replace(from, to)),
        SourceFile::new("shop.yaml", SHOP.replace(from, to)),
    ]
}

fn text(files: Vec<SourceFile>) -> String {
    let (_, findings) = Bundle::load(files.clone());
    findings.to_text(&files, false)
}

fn emergency() -> Request {
    Request {
        playbook: "shop".into(),
        from: "a".into(),
        to: "b".into(),
        mode: Mode::Emergency,
        inputs: BTreeMap::new(),
    }
}

#[test]
fn the_example_is_clean() {
    let (bundle, findings) = Bundle::load(with("shop", "shop"));
    assert!(findings.is_empty());
    assert!(bundle.is_some());
}

#[test]
fn the_example_binds() {
    let (bundle, _) = Bundle::load(with("shop", "shop"));
    let plan = bind(&bundle.unwrap(), &emergency()).unwrap();
    assert_snapshot!(plan.to_string());
    assert_snapshot!(serde_json::to_string_pretty(&plan.steps[3]).unwrap());
}

#[test]
fn findings_look_like_those_of_rustc() {
    let files =
        with("postgres.promote: {cluster: orders, at: $to}", "postgres.promote: {cluster: order, at: b}");
    assert_snapshot!(text(files));
}
