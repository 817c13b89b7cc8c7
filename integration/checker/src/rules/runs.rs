//! What begins a run, and that it is alone.

use serde_json::Value;

use crate::history::{Facts, History};
use crate::journal::Run;
use crate::{Notes, Rule};

pub(crate) fn hold(history: &History, runs: &[Run], notes: &mut Notes) {
    alone(runs, notes);
    for run in runs.iter().filter(|run| run.is_automatic()) {
        if let Err(why) = evidence(&history.facts, run) {
            notes.note(Rule::Evidence, format!("run {}: {why}", run.id));
        }
        needed(history, run, notes);
    }
}

/// In the order of the store's revisions no run begins while another holds one of its sites.
fn alone(runs: &[Run], notes: &mut Notes) {
    for (place, one) in runs.iter().enumerate() {
        let ends = one.end().map_or(i64::MAX, |entry| entry.created);
        for other in runs[place + 1..].iter().filter(|other| other.entries[0].created < ends) {
            let sites = |run: &Run| [run.plan.request.from.clone(), run.plan.request.to.clone()];
            if sites(one).iter().any(|site| sites(other).contains(site)) {
                notes.note(Rule::Alone, format!("run {} begins while {} lives", other.id, one.id));
            }
        }
    }
}

/// A strict majority of the other sites, at least two, has said DOWN for long enough, each by the
/// word of somebody who counts; and nobody inside was heard.
fn evidence(facts: &Facts, run: &Run) -> Result<(), String> {
    let evidence = run.trigger().map(|trigger| &trigger["evidence"]).filter(|value| value.is_object());
    let evidence = evidence.ok_or("it has no evidence")?;
    let from = &run.plan.request.from;
    let text = |key: &str| evidence[key].as_str().unwrap_or_default();
    if text("site") != from {
        return Err(format!("its evidence is of {}, and it leaves {from}", text("site")));
    }
    if text("verdict") != "LOST" {
        return Err(format!("its verdict is {}", text("verdict")));
    }
    if run.plan.request.mode != "emergency" {
        return Err(format!("a loss is no reason for the mode {}", run.plan.request.mode));
    }
    let confirmed = evidence["confirmed"].as_u64().unwrap_or(0);
    if confirmed < facts.confirm_ms {
        return Err(format!("{confirmed} ms of {} are confirmed", facts.confirm_ms));
    }
    if evidence["inside"].as_array().is_none_or(|inside| !inside.is_empty()) {
        return Err(format!("somebody inside was heard: {}", evidence["inside"]));
    }
    let others = || facts.sites.iter().filter(|site| *site != from);
    let votes = evidence["votes"].as_array().ok_or("it has no votes")?;
    let down = others().filter(|site| votes.iter().any(|vote| is_down(vote, site))).count();
    let needed = (others().count() / 2 + 1).max(2);
    if down < needed {
        return Err(format!("{down} sites say DOWN, {needed} are needed"));
    }
    Ok(())
}

/// Whether it is the DOWN of that site: said by at least one who counts, and by all who count.
fn is_down(vote: &Value, site: &str) -> bool {
    let words = vote["words"].as_array().map(Vec::as_slice).unwrap_or_default();
    let counts: Vec<&Value> = words.iter().filter(|word| word["discounted"].is_null()).collect();
    let all = !counts.is_empty() && counts.iter().all(|word| word["vote"] == "DOWN");
    vote["voter"] == site && vote["vote"] == "DOWN" && all
}

fn needed(history: &History, run: &Run, notes: &mut Notes) {
    let (from, began) = (&run.plan.request.from, run.entries[0].wall_ms);
    let notice = i64::try_from(history.facts.notice_ms).unwrap_or(i64::MAX);
    let harmed = history.harms.iter().any(|harm| {
        harm.site == *from && harm.began_ms <= began && began <= harm.ended_ms.saturating_add(notice)
    });
    if !harmed {
        notes.note(Rule::Needless, format!("run {} leaves {from}, which nothing has happened to", run.id));
    }
}
