//! Whom a run waits for.

use crate::finding::{Finding, Findings, code, quoted};
use crate::fleet::Fleet;
use crate::playbook::Playbook;

/// Reports approvals that can never be given, because a role has too few people.
pub(super) fn lint(fleet: &Fleet, playbook: &Playbook, findings: &mut Findings) {
    for step in playbook.flat().filter(|step| step.call.spec.is("approval.ask")) {
        let args = &step.call.args;
        let (Some(role), Some(quorum)) = (args.text("role"), args.number("quorum")) else { continue };
        let Some(people) = fleet.roles.get(role) else { continue };
        if (people.len() as u64) < quorum {
            let at = if args.was_given("quorum") { args.get("quorum") } else { args.get("role") };
            let message = format!(
                "{} waits for {quorum} of {}, who are {}",
                quoted(step.id.value.as_str()),
                quoted(role),
                people.len()
            );
            findings.push(
                Finding::new(code::APPROVERS, at.map(|value| value.at), message)
                    .help("ask for fewer, or put more people under `roles`"),
            );
        }
    }
}
