//! Customers who were away come back together. Where the proof is to be full, they are let in
//! by and by.

use super::Book;
use super::model::Model;
use crate::finding::{Finding, Findings, code, quoted};
use std::collections::BTreeSet;

pub(crate) fn lint(model: &Model<'_>, books: &[Book<'_>], findings: &mut Findings) {
    if !model.fleet.full_proof {
        return;
    }
    for step in books.iter().flat_map(|book| &book.steps) {
        let args = &step.call.args;
        if !step.call.spec.is("traffic.shift") || args.list("weights").len() > 1 {
            continue;
        }
        let route = args.text("route").unwrap_or_default();
        let owners: BTreeSet<&str> =
            model.owners_of(route).iter().map(|owner| model.services[*owner].0.as_str()).collect();
        let of = match owners.is_empty() {
            true => quoted(route),
            false => owners.into_iter().map(quoted).collect::<Vec<_>>().join(", "),
        };
        let message = format!(
            "{} lets all customers of {of} in at once: those who were away come together",
            quoted(step.id.value.as_str())
        );
        findings.push(
            Finding::new(code::NO_RAMP, step.call.key_at, message)
                .help("give it weights that grow, and gates: `weights: [5, 25, 50, 100]`"),
        );
    }
}
