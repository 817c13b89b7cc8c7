//! What stands in the way, of all that was seen: each thing once, as bad as it is for those who see
//! it.

use super::{DataSet, Found, Kind, Looked, Part, Server, Severity, Skew, Stands, StepView, Trouble, View};
use crate::action::Inspection;
use crate::check::Answer;
use crate::ids::{MemberId, ResourceId, SiteId, StepId};
use crate::lag::Lag;
use crate::plan::{Plan, Step};
use crate::time::Span;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// A clock that is off by more is worth a word.
const SKEW_SEEN: Span = Span::secs(2);
/// By more, what is signed and what is dated begins to be refused.
const SKEW_BAD: Span = Span::secs(60);

/// All troubles: the worst first, then in the order of the plan.
pub(super) fn troubles(
    plan: &Plan,
    looked: &Looked,
    views: &[&View],
    parts: &BTreeMap<MemberId, Part>,
    data: &[DataSet],
) -> Vec<Found> {
    let mut all = Troubles { parts, found: BTreeMap::new() };
    all.of_members(plan, looked);
    for view in views {
        all.of_view(plan, view);
    }
    all.of_clusters(plan, views);
    all.of_data(plan, data);
    all.sorted(plan)
}

/// What two members mean when they mean the same.
type Key = (Kind, Option<StepId>, String);

struct Troubles<'a> {
    parts: &'a BTreeMap<MemberId, Part>,
    found: BTreeMap<Key, Found>,
}

impl Troubles<'_> {
    /// Adds what one member sees, as bad as it is for a member of its part.
    fn see(&mut self, member: &MemberId, trouble: Trouble) {
        let severity = match self.parts.get(member) {
            Some(Part::Acts) => trouble.severity,
            Some(Part::Leaves) => Severity::Note,
            _ => trouble.severity.min(Severity::Warning),
        };
        let key = (trouble.kind, trouble.step.clone(), trouble.about.clone());
        match self.found.get_mut(&key) {
            Some(found) => {
                if severity > found.trouble.severity {
                    found.trouble = Trouble { severity, ..trouble };
                }
                found.by.push(member.clone());
            }
            None => {
                let found = Found { trouble: Trouble { severity, ..trouble }, by: vec![member.clone()] };
                self.found.insert(key, found);
            }
        }
    }

    /// Adds what is so wherever one stands.
    fn all(&mut self, trouble: Trouble, by: Vec<MemberId>) {
        let key = (trouble.kind, trouble.step.clone(), trouble.about.clone());
        self.found.insert(key, Found { trouble, by });
    }

    /// Who did not look, whose bundle is another, whose clock is off.
    fn of_members(&mut self, plan: &Plan, looked: &Looked) {
        for (member, site, why) in &looked.silent {
            let words = format!("{member} in {site} did not answer: {why}");
            self.see(member, Trouble::warning(Kind::Silent, member.as_str(), words));
        }
        for (view, skew) in &looked.views {
            let (member, site) = (&view.member, &view.site);
            let about = member.as_str();
            if view.bundle.as_ref() != Some(&plan.bundle) {
                let has = view.bundle.as_ref().map_or("no bundle", |bundle| bundle.short());
                let words = format!(
                    "{member} in {site} works by {has}, not by {}: does it reach the store?",
                    plan.bundle.short()
                );
                self.see(member, Trouble::error(Kind::Bundle, about, words));
            } else if let Some(why) = &view.declined {
                let words = format!("{member} in {site} did not look: {why}");
                self.see(member, Trouble::warning(Kind::Silent, about, words));
            }
            let off = skew.map_or(Span::ms(0), Skew::certain);
            if let Some(skew) = skew.filter(|_| off > SKEW_SEEN) {
                let words = format!(
                    "the clock of {member} in {site} is {skew}: signatures, certificates and waivers go by it"
                );
                let trouble = Trouble::error(Kind::Clock, about, words);
                let severity = if off > SKEW_BAD { Severity::Error } else { Severity::Warning };
                self.see(member, Trouble { severity, ..trouble });
            }
        }
    }

    fn of_view(&mut self, plan: &Plan, view: &View) {
        let member = &view.member;
        for (require, answer) in plan.require.iter().zip(&view.require) {
            if !answer.holds() {
                let about = require.check.to_string();
                self.see(member, Trouble::error(Kind::Requirement, about, answer.detail()));
            }
        }
        for (step, seen) in plan.steps.iter().zip(&view.steps) {
            self.of_step(member, step, seen);
        }
        view.troubles.iter().for_each(|trouble| self.see(member, trouble.clone()));
    }

    fn of_step(&mut self, member: &MemberId, step: &Step, seen: &StepView) {
        let about = step.action.target();
        seen.troubles.iter().for_each(|trouble| self.see(member, trouble.clone().of(&step.id)));
        match &seen.found {
            Inspection::Conflict(why) if seen.troubles.iter().all(|t| t.severity < Severity::Error) => {
                self.see(member, Trouble::error(Kind::Target, &about, why).of(&step.id));
            }
            Inspection::Unknown(why) if step.action.previews() && seen.troubles.is_empty() => {
                self.see(member, Trouble::warning(Kind::Unclear, &about, why).of(&step.id));
            }
            _ => {}
        }
        let checks = step.verify.iter().flat_map(|verify| &verify.all);
        for (check, answer) in checks.zip(&seen.verify) {
            // That it does not hold before the step is done says nothing; that it cannot be asked does.
            if let Answer::Unknown(why) = answer {
                let words = format!("cannot be verified from here: {why}");
                self.see(member, Trouble::warning(Kind::Unclear, check.to_string(), words).of(&step.id));
            }
        }
    }

    /// Two primaries, also where no member sees both; replicas that do not follow.
    fn of_clusters(&mut self, plan: &Plan, views: &[&View]) {
        let mut primaries: BTreeMap<&ResourceId, BTreeMap<&SiteId, Vec<MemberId>>> = BTreeMap::new();
        for view in views {
            for server in view.servers.iter().filter(|server| server.stands == Stands::Primary) {
                let sites = primaries.entry(&server.cluster).or_default();
                sites.entry(&server.site).or_default().push(view.member.clone());
            }
        }
        for (cluster, sites) in &primaries {
            if sites.len() > 1 {
                let names: Vec<&str> = sites.keys().map(|site| site.as_str()).collect();
                let words = format!(
                    "{cluster} has {} primaries, in {}: each takes writes that the other never sees; fence all but one",
                    names.len(),
                    names.join(" and in ")
                );
                let by: BTreeSet<MemberId> = sites.values().flatten().cloned().collect();
                let trouble = Trouble::error(Kind::Primaries, cluster.as_str(), words);
                self.all(trouble, by.into_iter().collect());
            }
        }
        for step in &plan.steps {
            let Some(database) = step.action.promotes() else { continue };
            let mine = |s: &&Server| s.cluster == database.cluster && s.site == database.site;
            for view in views {
                let Some(server) = view.servers.iter().find(mine) else { continue };
                let Stands::Standby { streaming, paused, .. } = server.stands else { continue };
                let name = format!("{} in {}", database.cluster, database.site);
                if paused {
                    let words = format!(
                        "the replay of {name} is paused, so it is not promoted: pg_wal_replay_resume() first"
                    );
                    self.see(&view.member, Trouble::error(Kind::Replication, &name, words).of(&step.id));
                } else if !streaming && primaries.contains_key(&database.cluster) {
                    let words = format!("{name} does not stream, and its primary lives: it falls behind");
                    self.see(&view.member, Trouble::warning(Kind::Replication, &name, words).of(&step.id));
                }
            }
        }
    }

    fn of_data(&mut self, plan: &Plan, data: &[DataSet]) {
        let Some(rpo) = plan.rpo else { return };
        for set in data {
            if let Lag::Known { time, .. } = &set.lag
                && *time > rpo
            {
                let words =
                    format!("{} in {} is {}, and at most {rpo} was promised", set.cluster, set.site, set.lag);
                self.all(Trouble::warning(Kind::Rpo, set.cluster.as_str(), words), Vec::new());
            }
        }
    }

    fn sorted(self, plan: &Plan) -> Vec<Found> {
        let place = |found: &Found| {
            let step = found.trouble.step.as_ref();
            step.and_then(|id| plan.steps.iter().position(|step| step.id == *id))
        };
        let mut found: Vec<Found> = self.found.into_values().collect();
        found.sort_by_key(|found| (Reverse(found.trouble.severity), place(found)));
        found
    }
}
