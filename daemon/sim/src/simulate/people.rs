//! People, as a model: somebody comes a while after they are called, looks, and tries again.

use standfast_core::action::{Action, FenceProof};
use standfast_core::engine::Command;
use standfast_core::ids::{Identity, StepId};
use standfast_core::journal::BlockKind;
use standfast_core::rules::Rules;
use standfast_core::run::{Run, State, StepState};
use std::collections::BTreeMap;

/// How often the same thing is tried again before people look for another way.
const TRIES: u32 = 3;

/// What people have tried.
#[derive(Clone, Debug, Default)]
pub(super) struct People {
    tries: BTreeMap<Option<StepId>, u32>,
    pub(super) visits: u32,
}

/// Something that a person asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) by: Identity,
    pub(super) command: Command,
    /// The site that the person has made sure of, before giving their word that it cannot write.
    pub(super) fences: bool,
}

impl People {
    /// What they do about everything that a run waits for; nothing when they know no way.
    pub(super) fn visit(&mut self, run: &Run, rules: &Rules) -> Vec<Wish> {
        self.visits += 1;
        let mut wishes = Vec::new();
        if run.state() == State::Paused {
            wishes.push(wish(Command::Resume { reason: "go on".into() }));
        }
        for (step, block) in &run.blocks {
            let tries = self.tries.entry(step.clone()).or_default();
            if *tries < TRIES {
                *tries += 1;
                wishes.push(answer(run, rules, step.as_ref(), block.kind));
            }
        }
        for (record, spec) in run.steps.iter().zip(&run.plan.steps) {
            if let (StepState::Started, Action::ApprovalAsk { role, quorum, .. }) =
                (record.state, &spec.action)
            {
                let new = those(rules, role).filter(|who| !record.approvals.contains(*who));
                let missing = (*quorum as usize).saturating_sub(record.approvals.len());
                wishes.extend(new.take(missing).map(|who| Wish {
                    by: who.clone(),
                    command: Command::Approve { step: Some(spec.id.clone()), reason: "as asked".into() },
                    fences: false,
                }));
            }
        }
        wishes
    }
}

fn those<'a>(rules: &'a Rules, role: &str) -> impl Iterator<Item = &'a Identity> {
    rules.roles.get(role).into_iter().flatten()
}

fn wish(command: Command) -> Wish {
    Wish { by: "operator".into(), command, fences: false }
}

/// A requirement is waived by who may, a fence is given a word for by who may; all else is tried
/// again.
fn answer(run: &Run, rules: &Rules, step: Option<&StepId>, kind: BlockKind) -> Wish {
    let again = || wish(Command::Retry { step: step.cloned(), reason: "looked at".into() });
    if kind == BlockKind::Requirement {
        let roles = run.plan.require.iter().filter_map(|require| require.override_by.as_deref());
        let waives = roles.filter_map(|role| those(rules, role).next()).next();
        let command = |_: &Identity| Command::Approve { step: None, reason: "taken upon ourselves".into() };
        return waives.map_or_else(again, |by| Wish { by: by.clone(), command: command(by), fences: false });
    }
    let word = step.and_then(|step| run.step_index(step)).and_then(|at| {
        let Action::FenceProve { any_of, .. } = &run.plan.steps[at].action else { return None };
        let failed = run.steps[at].state == StepState::Failed;
        any_of.iter().filter(|_| failed).find_map(|proof| match proof {
            FenceProof::OperatorWord { role } => those(rules, role).next(),
            _ => None,
        })
    });
    match word {
        Some(by) => Wish {
            by: by.clone(),
            command: Command::Approve { step: step.cloned(), reason: "made sure of it".into() },
            fences: true,
        },
        None => again(),
    }
}
