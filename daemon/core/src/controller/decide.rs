//! Judges every site, asks the guards, then acts, proposes, withdraws, or says why not.

use super::{Controller, Effect, Judged, Judgement, Refused, start};
use crate::bind::bind;
use crate::bundle::Bundle;
use crate::engine::{self, Engine};
use crate::guard::{self, Facts, Guard, Ruling};
use crate::ids::{RunId, SiteId};
use crate::journal::Trigger;
use crate::limits::Moving;
use crate::plan::{Mode, Request};
use crate::rules::{OnLoss, Rules};
use crate::run::State;
use crate::site_lease;
use crate::time::Now;
use crate::verdict::{Finding, Verdict};
use crate::vote::Vote;
use std::collections::BTreeMap;
use std::sync::Arc;

impl Controller {
    /// Judges every site, then asks the guards, then acts, proposes or says why not.
    pub(super) fn judge(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let Some((bundle, rules)) = self.bundle.clone() else { return };
        let mut sites = Vec::new();
        self.expiries.clear();
        let findings = self.court.judge(&rules, now);
        if self.loaded {
            let named =
                |site: &SiteId| rules.on_loss.iter().any(|entry| entry.site == *site || entry.to == *site);
            findings.iter().filter(|finding| named(&finding.site)).for_each(|finding| {
                self.flaps.see(finding, &rules, now);
            });
        }
        for finding in findings {
            let rulings = match rules.on_loss(&finding.site) {
                Some(entry) => {
                    let moving = Moving {
                        from: entry.site.clone(),
                        to: entry.to.clone(),
                        services: entry.moves.clone(),
                        well: self.well(&entry.site, &rules, now),
                        today: self.moves.today(now),
                    };
                    let facts = self.facts(&bundle, &rules, &finding, (entry, moving), now);
                    self.removed.apply(guard::ask(&facts))
                }
                None => Vec::new(),
            };
            let expiry = self.court.expiry(&finding, &rules);
            self.expiries.insert(finding.site.clone(), expiry);
            sites.push(Judged { finding, rulings });
        }
        for Judged { finding, rulings } in &sites {
            self.withdraw(finding, now, effects);
            self.decide(&bundle, &rules, finding, rulings, now, effects);
        }
        let (epoch, member) = (self.epoch, self.me.clone());
        self.judgement =
            Judgement { epoch, member, wall_ms: now.wall_ms, sites, holds: self.holds.left(now) };
    }

    fn facts<'a>(
        &self,
        bundle: &Bundle,
        rules: &'a Rules,
        finding: &'a Finding,
        (entry, moving): (&OnLoss, Moving),
        now: Now,
    ) -> Facts<'a> {
        let to = &entry.to;
        let wanted = |lock: &String| {
            let service = lock.strip_prefix("service/");
            *lock == format!("site/{}", finding.site)
                || *lock == format!("site/{to}")
                || service.is_some_and(|service| {
                    rules.services.get(&finding.site).is_some_and(|services| services.contains(service))
                })
        };
        let locked = self.engines.values().find_map(|engine| {
            let lock = start::locks(&engine.run().plan).into_iter().find(wanted)?;
            Some((engine.run().id.clone(), lock.replace('/', " ")))
        });
        let hold = [&finding.site, to]
            .into_iter()
            .filter_map(|site| Some((site.clone(), self.holds.of(site, now)?)))
            .max_by_key(|(_, left)| *left);
        let destination = self.court.destination(&finding.site, to, rules, now);
        let readiness = self.readiness.says(rules, entry, &bundle.digest, now);
        let enforced = site_lease::enforced(&finding.site, rules, self.court.leases());
        let (age, frozen) = (self.court.age(now), self.frozen.is(now));
        let left = self.flaps.left(&finding.site).cloned();
        let flapped = [&finding.site, to].into_iter().find(|site| self.flaps.locks(site)).cloned();
        let maintained = [&finding.site, to]
            .into_iter()
            .find_map(|site| Some((site.clone(), self.maintained.of(site, now)?)));
        let switched = self.switched.keys().cloned().collect();
        let window =
            rules.windows.iter().find_map(|(name, window)| Some((name.clone(), window.holds(now.wall_ms)?)));
        Facts {
            rules,
            finding,
            age,
            destination,
            locked,
            hold,
            left,
            readiness,
            enforced,
            frozen,
            flapped,
            maintained,
            switched,
            window,
            moving,
        }
    }

    fn decide(
        &mut self,
        bundle: &Bundle,
        rules: &Rules,
        finding: &Finding,
        rulings: &[Ruling],
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let Some(entry) = rules.on_loss(&finding.site) else { return };
        if !self.loaded || self.creating.is_some() || now.mono < self.create_after {
            return;
        }
        match guard::forbidding(rulings, rules.automation) {
            Some(ruling) => {
                let lost = finding.confirmed >= entry.confirm;
                // While a run of our own is under way, none of its doings is a refusal worth a record.
                let under_way = rulings
                    .iter()
                    .any(|ruling| ruling.guard == Guard::Locks && ruling.says == guard::Says::Refuses);
                let news = self.refused.get(&finding.site) != Some(&ruling.guard) && !under_way;
                if lost && news {
                    self.refused.insert(finding.site.clone(), ruling.guard);
                    effects.push(Effect::Refused(Box::new(Refused {
                        site: finding.site.clone(),
                        wall_ms: now.wall_ms,
                        guard: Some(ruling.guard),
                        reason: ruling.reason.clone(),
                        finding: finding.clone(),
                        wanted: None,
                    })));
                } else if finding.verdict == Verdict::Healthy {
                    self.refused.remove(&finding.site);
                }
            }
            None => {
                // Everything but the permission to act by itself may be there: propose.
                let advised = guard::refusing(rulings).is_some();
                let wanted = Request {
                    playbook: entry.playbook.clone(),
                    from: entry.site.clone(),
                    to: entry.to.clone(),
                    mode: Mode::Emergency,
                    inputs: BTreeMap::new(),
                };
                // An applied bundle has been linted; a plan that does not bind was refused then.
                let Ok(plan) = bind(bundle, &wanted) else { return };
                let trigger = Trigger::Automatic { evidence: Box::new(finding.clone()) };
                self.create(Arc::new(plan), trigger, advised, None, now, effects);
            }
        }
    }

    /// Takes a proposal back once enough sites say that its reason is gone. Silence is not
    /// enough: it is no recovery.
    fn withdraw(&mut self, finding: &Finding, now: Now, effects: &mut Vec<Effect>) {
        let maybe =
            finding.votes.iter().filter(|vote| matches!(vote.vote, Vote::Down | Vote::Abstain)).count();
        if maybe >= finding.needed {
            return;
        }
        let proposals: Vec<RunId> = self
            .engines
            .values()
            .map(Engine::run)
            .filter(|run| run.state() == State::Proposed && run.plan.request.from == finding.site)
            .filter(|run| matches!(run.trigger, Trigger::Automatic { .. }))
            .map(|run| run.id.clone())
            .collect();
        for run in proposals {
            self.withdrawn.insert(run.clone());
            let why = format!("{} is {} again", finding.site, finding.verdict);
            self.drive(&run, engine::Input::Withdrawn(why), now, effects);
        }
    }
}
