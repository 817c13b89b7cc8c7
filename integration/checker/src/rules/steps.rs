//! The order of steps: in the journals, and in what targets saw.

use std::collections::BTreeMap;

use super::epochs::named;
use crate::history::{Effect, History};
use crate::journal::{Entry, Run};
use crate::{Notes, Rule};

/// What may follow a step that has ended like this.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// Done or left out: whatever needs it may begin.
    Done,
    /// Failed; only a person lets it begin again, or what needs it.
    Failed,
}

pub(crate) fn hold(history: &History, runs: &[Run], notes: &mut Notes) {
    for run in runs {
        in_the_journal(run, notes);
    }
    let by_id: BTreeMap<&str, &Run> = runs.iter().map(|run| (run.id.as_str(), run)).collect();
    for effect in &history.effects {
        match by_id.get(effect.run.as_str()) {
            Some(run) => announced(run, effect, notes),
            None => notes.note(Rule::Announced, format!("{}: there is no such run", named(effect))),
        }
    }
    for run in runs {
        let own: Vec<&Effect> =
            history.effects.iter().filter(|effect| effect.accepted && effect.run == run.id).collect();
        at_the_targets(run, &own, notes);
    }
}

fn in_the_journal(run: &Run, notes: &mut Notes) {
    let mut ended: BTreeMap<&str, Ended> = BTreeMap::new();
    for entry in &run.entries {
        let Some(step) = entry.step.as_deref() else { continue };
        let at = format!("run {}, entry {}", run.id, entry.sequence);
        match entry.event.as_str() {
            "step_started" | "step_already_done" => {
                match ended.get(step) {
                    Some(Ended::Done) => notes.note(Rule::Once, format!("{at}: {step} is finished")),
                    Some(Ended::Failed) => {
                        notes.note(Rule::Order, format!("{at}: {step} had failed, and nobody retried it"));
                    }
                    None => {}
                }
                if let Some(need) = unmet(run, step, &ended) {
                    notes.note(Rule::Order, format!("{at}: {step} begins before {need} is done"));
                }
                if entry.event == "step_already_done" {
                    ended.insert(step, Ended::Done);
                }
            }
            "step_succeeded" | "step_skipped" => drop(ended.insert(step, Ended::Done)),
            "step_failed" => drop(ended.insert(step, Ended::Failed)),
            "retried" => drop(ended.remove(step)),
            _ => {}
        }
    }
}

/// A step that must have ended well before this one, and has not.
fn unmet<'a>(run: &'a Run, step: &str, ended: &BTreeMap<&str, Ended>) -> Option<&'a str> {
    let Some(planned) = run.plan.steps.iter().find(|planned| planned.id == step) else {
        return Some("a plan that has it");
    };
    let needs = planned.needs.iter().map(|need| run.plan.steps.get(*need));
    let unmet = |need: Option<&'a crate::journal::Step>| {
        let Some(need) = need else { return Some("a step that the plan does not have") };
        let met = match ended.get(need.id.as_str()) {
            Some(Ended::Done) => true,
            Some(Ended::Failed) => need.on_failure == "continue",
            None => false,
        };
        (!met).then_some(need.id.as_str())
    };
    needs.map(unmet).find_map(|unmet| unmet)
}

/// The journal says that this very attempt begins, under this epoch.
fn announced(run: &Run, effect: &Effect, notes: &mut Notes) {
    let begins = |entry: &&Entry| {
        entry.event == "step_started"
            && entry.step.as_deref() == Some(&effect.step)
            && entry.attempt == Some(effect.attempt)
            && entry.epoch == effect.epoch
    };
    if !run.entries.iter().any(|entry| begins(&entry)) {
        notes.note(Rule::Announced, format!("{}, epoch {}", named(effect), effect.epoch));
    }
}

fn at_the_targets(run: &Run, effects: &[&Effect], notes: &mut Notes) {
    let finished = |step: &str| {
        let done = |entry: &&Entry| {
            entry.step.as_deref() == Some(step)
                && ["step_succeeded", "step_already_done", "step_skipped"].contains(&entry.event.as_str())
        };
        run.entries.iter().find(done).map(|entry| entry.wall_ms)
    };
    for effect in effects {
        if finished(&effect.step).is_some_and(|at| effect.began_ms > at) {
            let what = "begins at its target after the journal says that it is finished";
            notes.note(Rule::Once, format!("{} {what}", named(effect)));
        }
        let Some(step) = run.plan.steps.iter().find(|step| step.id == effect.step) else { continue };
        for need in step.needs.iter().filter_map(|need| run.plan.steps.get(*need)) {
            let late = effects.iter().find(|other| {
                other.step == need.id && other.ended_ms.unwrap_or(other.began_ms) > effect.began_ms
            });
            if let Some(late) = late {
                let what = format!("{} begins while {} acts", named(effect), named(late));
                notes.note(Rule::Order, what);
            }
        }
    }
}
