//! The example with one fact changed, and what the proof says then.

mod anything;
mod brute;
mod growth;
mod losses;
mod plane;
mod promises;
mod survival;

use crate::bundle::Bundle;
use crate::date::Date;
use crate::finding::{Finding, code};
use crate::lint::tests::{FLEET, SHOP};
use crate::source::SourceFile;

/// The findings of the example after these changes, each `from -> to` in either file.
fn findings(changes: &[(&str, &str)]) -> Vec<Finding> {
    let mut files = [("fleet.yaml", FLEET.to_owned()), ("shop.yaml", SHOP.to_owned())];
    for (from, to) in changes {
        let found = files.iter_mut().filter(|(_, text)| text.contains(from));
        let changed = found.map(|(_, text)| *text = text.replace(from, to)).count();
        assert_eq!(changed, 1, "{from}");
    }
    let files = files.map(|(name, text)| SourceFile::new(name, text)).to_vec();
    let today = Date::parse("2026-02-28").ok();
    let findings = Bundle::load_on(files, today).1;
    // That a site is left by no playbook is not what is tested here.
    findings.iter().filter(|finding| finding.code != code::ON_LOSS).cloned().collect()
}

/// Ids, lines and paths.
fn found(changes: &[(&str, &str)]) -> Vec<String> {
    let shown = |finding: &Finding| {
        let place = format!("{} {}:{}", finding.code.id, finding.file, finding.line);
        match finding.path.is_empty() {
            true => place,
            false => format!("{place} {}", finding.path.join(" -> ")),
        }
    };
    findings(changes).iter().map(shown).collect()
}

const DB: &str = "shop-db: {tier: 0, kind: data, resource: orders, runs_in: {a: active, b: standby}}";
const TOOL: &str = "deploy-tool: {tier: 0, kind: tooling, runs_in: {a: active, b: standby}}";
/// Of the example; what stands before it is added to the fleet.
const END: &str = "on_loss:                      # exactly";

/// The findings after these keys were added to the fleet.
fn with(keys: &str) -> Vec<String> {
    found(&[(END, &format!("{keys}\n{END}"))])
}
