//! Limits that would keep what `on_loss` names from being run on the day on which it is needed.

use crate::finding::{Finding, Findings, code, quoted};
use crate::fleet::Fleet;
use crate::limits::{self, Forbidden, Limits, Moving};
use crate::playbook::Playbook;
use crate::rules::{Role, Rules};
use std::collections::BTreeMap;

pub(super) fn lint(fleet: &Fleet, playbooks: &BTreeMap<&str, &Playbook>, findings: &mut Findings) {
    let carry = fleet.sites.values().filter(|site| site.role != Role::Witness).count() as u64;
    if let (Some(needed), Some(at)) = (fleet.limits.min_serving, fleet.limits_at.min_serving)
        && needed >= carry
    {
        let message = format!("{needed} sites beside the one that is left, and {carry} carry load in all");
        findings.push(
            Finding::new(code::WRONG_VALUE, at, message)
                .help("a fleet of N such sites can ask for N - 1 at most"),
        );
    }
    let rules = fleet.rules();
    for (forbidden, at) in fleet.limits.forbidden.iter().zip(&fleet.limits_at.forbidden) {
        let few = match forbidden {
            Forbidden::Apart(services) | Forbidden::Together(services) => services.len() < 2,
            Forbidden::Active { .. } => false,
        };
        if few {
            let message = "this takes two services at least";
            findings.push(Finding::new(code::WRONG_VALUE, *at, message));
        } else if let Some(what) = forbidden.met(&rules.serving) {
            let message = format!("{what} as the fleet stands here");
            findings.push(
                Finding::new(code::FORBIDDEN, *at, message).help("correct `runs_in`, or what is forbidden"),
            );
        } else {
            let limits = Limits { forbidden: vec![forbidden.clone()], ..Limits::default() };
            let alone = Rules { limits, ..rules.clone() };
            findings.extend(ends(fleet, playbooks, &alone).map(|message| {
                Finding::new(code::FORBIDDEN, *at, message)
                    .help("move what belongs together, or go elsewhere")
            }));
        }
    }
}

/// What `on_loss` names and would end so.
fn ends(fleet: &Fleet, playbooks: &BTreeMap<&str, &Playbook>, rules: &Rules) -> Option<String> {
    fleet.on_loss.iter().find_map(|entry| {
        let playbook = playbooks.get(entry.playbook.value.as_str())?;
        let services = fleet.with_needs(playbook.services.iter().map(|service| &service.value));
        let moving = Moving {
            from: entry.site.value.clone(),
            to: entry.to.value.clone(),
            services: services.into_keys().cloned().collect(),
            ..Moving::default()
        };
        let why = limits::end(rules, &moving).err()?;
        Some(format!("{} is run when {} is lost, and {why}", quoted(playbook.id.value.as_str()), moving.from))
    })
}
