//! What customers were promised, held against what the databases have.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::{History, Order, Row};
use crate::journal::Run;
use crate::{Notes, Rule};

/// A promotion that has begun.
struct Moved<'a> {
    run: &'a Run,
    /// When it was known that the site which is left cannot write.
    fenced_ms: Option<i64>,
    /// When the other one was told to.
    promoted_ms: i64,
}

const FENCED: &[&str] = &["step_succeeded", "step_already_done"];
const PROMOTED: &[&str] = &["step_started", "step_already_done"];

/// How many acknowledged rows are lost.
pub(crate) fn hold(history: &History, runs: &[Run], notes: &mut Notes) -> usize {
    let moves: Vec<Moved> = (runs.iter())
        .filter_map(|run| {
            let promoted_ms = run.when("postgres.promote", PROMOTED)?;
            Some(Moved { run, fenced_ms: run.when("fence.prove", FENCED), promoted_ms })
        })
        .collect();
    for moved in &moves {
        one_writer(history, moved, notes);
    }
    twice(history, notes);
    before_its_turn(history, &moves, notes);
    lost(history, &moves, notes)
}

/// Nothing is written where it must not be any more.
fn one_writer(history: &History, moved: &Moved, notes: &mut Notes) {
    let (run, from) = (&moved.run.id, &moved.run.plan.request.from);
    let Some(fenced) = moved.fenced_ms.filter(|fenced| *fenced <= moved.promoted_ms) else {
        return notes.note(Rule::Writers, format!("run {run} promotes before {from} is proven to be fenced"));
    };
    let acknowledged = history.orders.iter().filter(|order| order.site == *from && order.sent_ms > fenced);
    let written = history.rows.values().flatten();
    let written = written.filter(|row| row.site == *from && row.sent_ms > fenced);
    let ids: BTreeSet<i64> = acknowledged.map(|order| order.id).chain(written.map(|row| row.id)).collect();
    if let Some(first) = ids.first() {
        let what = format!("{} rows, the first of them {first}", ids.len());
        notes.note(Rule::Writers, format!("{from} takes {what}, after run {run} has proven its fence"));
    }
}

/// No row was written by two.
fn twice(history: &History, notes: &mut Notes) {
    let mut writers: BTreeMap<i64, &str> = BTreeMap::new();
    for Row { id, site, .. } in history.rows.values().flatten() {
        let first = writers.entry(*id).or_insert(site);
        if *first != site {
            notes.note(Rule::Writers, format!("row {id} was written by {first} and by {site}"));
        }
    }
}

/// A site that was not promoted takes nothing.
fn before_its_turn(history: &History, moves: &[Moved], notes: &mut Notes) {
    for order in history.orders.iter().filter(|order| order.site != history.facts.active) {
        let turn = moves.iter().filter(|moved| moved.run.plan.request.to == order.site);
        if !turn.into_iter().any(|moved| moved.promoted_ms <= order.acknowledged_ms) {
            let what = format!("{} takes row {} and was not promoted", order.site, order.id);
            return notes.note(Rule::Writers, what);
        }
    }
}

/// What was acknowledged and is not in the database that serves at the end. In an emergency the
/// last of it may be gone, for as long as the mode allows; otherwise nothing.
fn lost(history: &History, moves: &[Moved], notes: &mut Notes) -> usize {
    let serves = moves.last().map_or(&history.facts.active, |moved| &moved.run.plan.request.to);
    let Some(rows) = history.rows.get(serves) else {
        if !history.orders.is_empty() {
            notes.note(Rule::Rows, format!("the database of {serves}, which serves, cannot be read"));
        }
        return 0;
    };
    let present: BTreeSet<i64> = rows.iter().map(|row| row.id).collect();
    let lost: Vec<&Order> = history.orders.iter().filter(|order| !present.contains(&order.id)).collect();
    let (Some(first), Some(last)) = (lost.first(), lost.last()) else { return 0 };
    let emergency =
        moves.iter().rfind(|moved| moved.run.plan.request.mode == "emergency" && first.site != *serves);
    let Some(moved) = emergency else {
        let what = format!("{} rows, the first of them {}", lost.len(), first.id);
        notes.note(Rule::Rows, format!("{serves} lacks {what}"));
        return lost.len();
    };
    let from = &moved.run.plan.request.from;
    let kept = history.orders.iter().rfind(|order| order.site == *from && present.contains(&order.id));
    if let Some(kept) = kept.filter(|kept| kept.sent_ms > first.acknowledged_ms) {
        let what = format!("row {} is lost and {}, which came later, is not", first.id, kept.id);
        notes.note(Rule::Rows, what);
    }
    let cost = last.acknowledged_ms - first.acknowledged_ms;
    if u64::try_from(cost).is_ok_and(|cost| cost > history.facts.loss_ms) {
        let what = format!("{} rows of {cost} ms are lost", lost.len());
        notes.note(Rule::Rows, format!("{what}, {} ms are allowed", history.facts.loss_ms));
    }
    lost.len()
}
