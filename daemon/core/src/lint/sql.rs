//! Statements that cannot be one transaction with the epoch beside them.

use crate::finding::{Finding, Findings, code, quoted};
use crate::playbook::Step;

/// Begin or end a transaction, so that what follows would be without the epoch.
const TRANSACTION: &[&str] =
    &["begin", "start", "commit", "end", "rollback", "abort", "savepoint", "release", "prepare"];
/// Are refused inside of one.
const ALONE: &[&[&str]] = &[
    &["vacuum"],
    &["alter", "system"],
    &["create", "database"],
    &["drop", "database"],
    &["create", "tablespace"],
    &["drop", "tablespace"],
    &["reindex", "database"],
    &["reindex", "system"],
];

/// Reports what PostgreSQL would refuse, or worse, take.
pub(super) fn lint(step: &Step, findings: &mut Findings) {
    if !step.call.spec.is("postgres.run") {
        return;
    }
    for statement in step.call.args.texts("sql") {
        let words = words(&statement.value);
        let why = if words.first().is_some_and(|word| TRANSACTION.contains(&word.as_str())) {
            "begins or ends a transaction: all statements of a step are one"
        } else if ALONE
            .iter()
            .any(|alone| words.iter().zip(*alone).filter(|(word, own)| word == own).count() == alone.len())
        {
            "cannot run in a transaction, and so not with the epoch beside it"
        } else {
            continue;
        };
        let shown = words.join(" ");
        findings.push(Finding::new(code::WRONG_VALUE, statement.at, format!("{} {why}", quoted(&shown))));
    }
}

/// The first two words, in lower case, comments passed over.
fn words(sql: &str) -> Vec<String> {
    let mut rest = sql.trim_start();
    loop {
        let after = if let Some(comment) = rest.strip_prefix("--") {
            comment.split_once('\n').map_or("", |(_, after)| after)
        } else if let Some(comment) = rest.strip_prefix("/*") {
            comment.split_once("*/").map_or("", |(_, after)| after)
        } else {
            break;
        };
        rest = after.trim_start();
    }
    let word = |c: char| !c.is_ascii_alphanumeric() && c != '_';
    rest.split(word).filter(|word| !word.is_empty()).take(2).map(str::to_ascii_lowercase).collect()
}
