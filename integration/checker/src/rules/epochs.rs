//! Epochs in the store and at targets.

use std::collections::BTreeMap;

use crate::history::{Effect, History};
use crate::journal::{Entry, Run};
use crate::{Notes, Rule};

pub(crate) fn hold(history: &History, runs: &[Run], notes: &mut Notes) {
    in_the_store(runs, notes);
    at_targets(history, notes);
    apart(history, notes);
}

fn in_the_store(runs: &[Run], notes: &mut Notes) {
    let mut all: Vec<(&Run, &Entry)> =
        runs.iter().flat_map(|run| run.entries.iter().map(move |entry| (run, entry))).collect();
    all.sort_by_key(|(_, entry)| (entry.created, entry.sequence));
    for pair in all.windows(2) {
        let [(_, before), (run, entry)] = pair else { continue };
        if entry.epoch < before.epoch {
            let what = format!("{} of run {} is of epoch {}", entry.sequence, run.id, entry.epoch);
            notes.note(Rule::Epochs, format!("entry {what}, after one of epoch {}", before.epoch));
        }
    }
    let mut members: BTreeMap<u64, &str> = BTreeMap::new();
    for (run, entry) in all {
        let known = members.entry(entry.epoch).or_insert(&entry.member);
        if *known != entry.member {
            let what = format!("{known} and {} write under epoch {}", entry.member, entry.epoch);
            notes.note(Rule::Epochs, format!("{what}, in run {}", run.id));
        }
    }
    for run in runs {
        for pair in run.entries.windows(2) {
            if pair[1].epoch != pair[0].epoch && pair[1].event != "took_over" {
                let what = format!("run {}: epoch {} begins with {}", run.id, pair[1].epoch, pair[1].event);
                notes.note(Rule::Epochs, what);
            }
        }
    }
}

fn at_targets(history: &History, notes: &mut Notes) {
    let mut highest: BTreeMap<&str, &Effect> = BTreeMap::new();
    for effect in history.effects.iter().filter(|effect| effect.accepted) {
        let before = highest.entry(&effect.target).or_insert(effect);
        if effect.epoch < before.epoch {
            let what = format!("{} takes epoch {} ", effect.target, effect.epoch);
            notes.note(Rule::Epochs, format!("{what}after {} ({})", before.epoch, named(effect)));
        } else {
            *before = effect;
        }
    }
}

fn apart(history: &History, notes: &mut Notes) {
    let done: Vec<&Effect> = history.effects.iter().filter(|effect| effect.accepted).collect();
    for (place, one) in done.iter().enumerate() {
        for other in &done[place + 1..] {
            if one.epoch != other.epoch && overlap(one, other) {
                let what = format!("{} of epoch {} and {} of ", named(one), one.epoch, named(other));
                notes.note(Rule::Apart, format!("{what}epoch {}", other.epoch));
            }
        }
    }
}

/// One of which the end was not seen lasted for a moment at least.
fn overlap(one: &Effect, other: &Effect) -> bool {
    let end = |effect: &Effect| effect.ended_ms.unwrap_or(effect.began_ms);
    one.began_ms < end(other) && other.began_ms < end(one)
        || one.began_ms == other.began_ms
        || within(one, other)
        || within(other, one)
}

fn within(point: &Effect, span: &Effect) -> bool {
    point.ended_ms.is_none()
        && span.ended_ms.is_some_and(|end| span.began_ms <= point.began_ms && point.began_ms <= end)
}

pub(crate) fn named(effect: &Effect) -> String {
    format!("step {} of run {}, attempt {}", effect.step, effect.run, effect.attempt)
}
