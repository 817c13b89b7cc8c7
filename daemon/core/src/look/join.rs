//! What all members saw, joined: one answer a step, who says otherwise, and what stands in the way.

use super::troubles::troubles;
use super::{Skew, Stands, Trouble, View};
use crate::action::Inspection;
use crate::check::Answer;
use crate::ids::{MemberId, ResourceId, SiteId};
use crate::lag::Lag;
use crate::plan::Plan;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// What came back of a look.
#[derive(Clone, Debug, Default)]
pub struct Looked {
    /// The views, each with what its way told of the clocks; none of the member that asked.
    pub views: Vec<(View, Option<Skew>)>,
    /// Live members that did not answer, their sites, and what is known of why.
    pub silent: Vec<(MemberId, SiteId, String)>,
    /// Who leads.
    pub leader: Option<MemberId>,
}

/// What a member has to do with a run of the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// It would act.
    Acts,
    /// It would if it led.
    Might,
    /// It stands in the site that is left: it hands over before it acts.
    Leaves,
}

/// A member that was asked to look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vantage {
    /// The member.
    pub member: MemberId,
    /// Where it stands.
    pub site: SiteId,
    /// What it has to do with a run.
    pub part: Part,
    /// Why it did not look, if it did not.
    pub silent: Option<String>,
    /// Its clock against that of the member that asked.
    pub skew: Option<Skew>,
}

/// An answer, and who gave which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined<T> {
    /// What counts: the worst that those say who would act.
    pub says: T,
    /// What each member said, in the order of the vantage points that looked.
    pub by: Vec<(MemberId, T)>,
}

/// A trouble and the members that see it; all of them when the list is empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// What it is, as bad as it is for those who see it.
    pub trouble: Trouble,
    /// Who sees it.
    pub by: Vec<MemberId>,
}

/// What the loss of the site would cost, by database cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataSet {
    /// The cluster.
    pub cluster: ResourceId,
    /// The site whose server would take over.
    pub site: SiteId,
    /// How far that is behind, as the member saw it that would act and knows the most of it.
    pub lag: Lag,
}

/// A look, joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Everybody who was asked.
    pub vantages: Vec<Vantage>,
    /// The requirements, in the order of the plan.
    pub require: Vec<Joined<Answer>>,
    /// The steps, in the order of the plan.
    pub steps: Vec<Joined<Inspection>>,
    /// What stands in the way: the worst first, then in the order of the plan.
    pub troubles: Vec<Found>,
    /// The data sets that would be promoted.
    pub data: Vec<DataSet>,
}

impl Seen {
    /// Adds what stands in the way besides, after what is as bad.
    pub fn add(&mut self, found: impl IntoIterator<Item = Found>) {
        self.troubles.extend(found);
        self.troubles.sort_by_key(|found| Reverse(found.trouble.severity));
    }
}

/// Joins what was seen of `plan`.
pub fn join(plan: &Plan, looked: &Looked) -> Seen {
    let parts = parts(plan, looked);
    let part = |member: &MemberId| parts.get(member).copied().unwrap_or(Part::Might);
    let mut vantages: Vec<Vantage> = looked
        .views
        .iter()
        .map(|(view, skew)| (&view.member, &view.site, view.declined.clone(), *skew))
        .chain(looked.silent.iter().map(|(member, site, why)| (member, site, Some(why.clone()), None)))
        .map(|(member, site, silent, skew)| Vantage {
            member: member.clone(),
            site: site.clone(),
            part: part(member),
            silent,
            skew,
        })
        .collect();
    vantages.sort_by(|a, b| (a.part, &a.member).cmp(&(b.part, &b.member)));
    let mut views: Vec<&View> =
        looked.views.iter().map(|(view, _)| view).filter(|view| view.declined.is_none()).collect();
    views.sort_by(|a, b| (part(&a.member), &a.member).cmp(&(part(&b.member), &b.member)));
    let require = (0..plan.require.len()).map(|at| {
        let by = views.iter().filter_map(|view| Some((view.member.clone(), view.require.get(at)?.clone())));
        joined(by.collect(), part, answer_rank, || Answer::Unknown("nobody looked".into()))
    });
    let steps = (0..plan.steps.len()).map(|at| {
        let by =
            views.iter().filter_map(|view| Some((view.member.clone(), view.steps.get(at)?.found.clone())));
        joined(by.collect(), part, inspection_rank, || Inspection::Unknown("nobody looked".into()))
    });
    let data = data(plan, &views, &part);
    let troubles = troubles(plan, looked, &views, &parts, &data);
    Seen { vantages, require: require.collect(), steps: steps.collect(), troubles, data }
}

/// Who acts: the leader, unless it stands in the site that is left and another member lives. Then,
/// and while nobody leads, it may be any of the others.
fn parts(plan: &Plan, looked: &Looked) -> BTreeMap<MemberId, Part> {
    let views = looked.views.iter().map(|(view, _)| (&view.member, &view.site));
    let all: Vec<(&MemberId, &SiteId)> =
        views.chain(looked.silent.iter().map(|(member, site, _)| (member, site))).collect();
    let leaves = |site: &SiteId| *site == plan.request.from;
    let alone = all.iter().all(|(_, site)| leaves(site));
    let leads = |member: &MemberId| looked.leader.as_ref() == Some(member);
    let stays = all.iter().any(|(member, site)| leads(member) && (alone || !leaves(site)));
    let part = |member: &MemberId, site: &SiteId| match (leaves(site) && !alone, stays) {
        (true, _) => Part::Leaves,
        (false, true) if !leads(member) => Part::Might,
        (false, _) => Part::Acts,
    };
    all.into_iter().map(|(member, site)| (member.clone(), part(member, site))).collect()
}

fn answer_rank(answer: &Answer) -> u8 {
    match answer {
        Answer::Holds(_) => 0,
        Answer::Unknown(_) => 1,
        Answer::Fails(_) => 2,
    }
}

fn inspection_rank(found: &Inspection) -> u8 {
    match found {
        Inspection::Satisfied(_) => 0,
        Inspection::Needed(_) => 1,
        Inspection::Unknown(_) => 2,
        Inspection::Conflict(_) => 3,
    }
}

/// The worst answer of those whose part counts most, among those who answered.
fn joined<T: Clone>(
    by: Vec<(MemberId, T)>,
    part: impl Fn(&MemberId) -> Part,
    rank: impl Fn(&T) -> u8,
    none: impl FnOnce() -> T,
) -> Joined<T> {
    let counts = by.iter().map(|(member, _)| part(member)).min();
    let mut says: Option<&T> = None;
    for (_, answer) in by.iter().filter(|(member, _)| Some(part(member)) == counts) {
        if says.is_none_or(|worst| rank(answer) > rank(worst)) {
            says = Some(answer);
        }
    }
    Joined { says: says.cloned().unwrap_or_else(none), by }
}

impl Joined<Answer> {
    /// Whether not all say the same.
    pub fn differs(&self) -> bool {
        self.by.iter().any(|(_, answer)| answer_rank(answer) != answer_rank(&self.says))
    }
}

impl Joined<Inspection> {
    /// Whether not all say the same.
    pub fn differs(&self) -> bool {
        self.by.iter().any(|(_, found)| inspection_rank(found) != inspection_rank(&self.says))
    }
}

/// The lag of each server that would be promoted.
fn data(plan: &Plan, views: &[&View], part: &impl Fn(&MemberId) -> Part) -> Vec<DataSet> {
    let promoted = plan.steps.iter().filter_map(|step| step.action.promotes());
    let best = |cluster: &ResourceId, site: &SiteId| {
        let lags = views.iter().flat_map(|view| {
            let servers = view.servers.iter().filter(|s| s.cluster == *cluster && s.site == *site);
            servers.filter_map(|server| match &server.stands {
                Stands::Standby { lag, .. } => Some((part(&view.member), lag.clone())),
                _ => None,
            })
        });
        // Who acts comes first, but a figure of another is better than none.
        lags.min_by_key(|(part, lag)| (matches!(lag, Lag::Unknown(_)), *part)).map(|(_, lag)| lag)
    };
    let mut sets: Vec<DataSet> = promoted
        .filter_map(|database| {
            let lag = best(&database.cluster, &database.site)?;
            Some(DataSet { cluster: database.cluster.clone(), site: database.site.clone(), lag })
        })
        .collect();
    sets.dedup_by(|a, b| a.cluster == b.cluster);
    sets
}

#[cfg(test)]
#[path = "join_test.rs"]
mod tests;
