//! What the guards promise, each in the judge's own words: whether a run may begin, and go on.

use super::{Judge, Tracked};
use crate::cluster::fleets::Special;
use crate::cluster::setting::{Case, MAILS};
use standfast_core::controller::Creation;
use standfast_core::ids::{Epoch, RunId, SiteId};
use standfast_core::journal::{Body, End, Event, Trigger};
use standfast_core::plan::Request;
use standfast_core::run::State;
use standfast_core::vote::Vote;
use std::collections::BTreeSet;
use std::time::Duration;

/// Whatever is so for as long must be known to whoever leads.
const KNOWN: Duration = Duration::from_secs(25);
/// How old a look may be in the fleet that asks for one, and what clocks may add.
const LOOKED: Duration = Duration::from_secs(46);
/// How long a sentry may have been silent when the lease of its site was renewed last: what the fleets
/// say at most, and what clocks and ways may add.
const SILENT: Duration = Duration::from_secs(11);
/// The window of the calendar, in seconds of a day by the wall clock, in the summer time of Berlin.
const WINDOW: std::ops::Range<i64> = 8 * 3_600 + 20 * 60..8 * 3_600 + 21 * 60;
const SUMMER: i64 = 2 * 3_600;
/// How many times a site may go down in the fleet that counts.
const DOWNS: u32 = 3;

impl Judge {
    /// A leader asks for a run, which is not durable yet. `read`: the age of what it has read last, and
    /// how old that may be.
    pub(in crate::cluster) fn wants(
        &mut self,
        creation: &Creation,
        epoch: Epoch,
        (age, validity): (Option<Duration>, Duration),
        now: Duration,
    ) {
        let Body::Created { trigger, .. } = &creation.created.body else { return };
        if matches!(trigger, Trigger::Automatic { .. }) && age.is_none_or(|age| age >= validity) {
            let what = format!("{} is wanted, and the store has confirmed nothing for {age:?}", creation.run);
            self.note("nothing is decided on what is old", what, now);
        }
        let request = &creation.plan.request;
        let touches = |tracked: &Tracked| {
            let held = &tracked.run.plan.request;
            [&held.from, &held.to].into_iter().any(|site| *site == request.from || *site == request.to)
        };
        let rival = self.runs.iter().find(|(_, tracked)| tracked.ended.is_none() && touches(tracked));
        // Who leads no more may not know; the store tells them.
        if let Some((rival, _)) =
            rival.filter(|_| epoch >= self.epoch && self.lost.is_none_or(|lost| epoch > lost))
        {
            let what = format!("{} is wanted while {rival} lives", creation.run);
            self.note("nobody wants a run where one lives", what, now);
        }
    }

    /// A run begins: which promise does that break?
    pub(super) fn promised(
        &self,
        case: &Case,
        (trigger, proposed): (&Trigger, bool),
        request: &Request,
        wall_ms: i64,
        now: Duration,
    ) -> Option<(&'static str, String)> {
        self.limited(case, trigger, request, now).or_else(|| match trigger {
            Trigger::Automatic { evidence } => {
                let blind = evidence.votes.iter().filter(|vote| vote.vote == Vote::Down).find(|vote| {
                    let since = place(&vote.voter).and_then(|voter| self.told.blind[voter]);
                    since.is_some_and(|since| now >= since + KNOWN)
                });
                if let Some(vote) = blind {
                    let what =
                        format!("{} has lost the world outside, and {} is left", vote.voter, request.from);
                    return Some(("nobody is believed who is cut off", what));
                }
                self.orders(request, now).or_else(|| self.rules(case, request, (proposed, wall_ms), now))
            }
            Trigger::Operator { .. } => None,
        })
    }

    /// What people have ordered.
    fn orders(&self, request: &Request, now: Duration) -> Option<(&'static str, String)> {
        let sites = [&request.from, &request.to];
        if self.told.is_frozen(now) {
            return Some(("frozen, nothing begins by itself", format!("{} is left", request.from)));
        }
        if let Some(site) = sites.iter().find(|site| self.told.is_maintained(site, now)) {
            let what = format!("a run of {} and {} begins, and {site} is", sites[0], sites[1]);
            return Some(("nothing touches a site in maintenance by itself", what));
        }
        None
    }

    /// What the fleet says of runs that nobody has asked for.
    fn rules(
        &self,
        case: &Case,
        request: &Request,
        (proposed, wall_ms): (bool, i64),
        now: Duration,
    ) -> Option<(&'static str, String)> {
        let (from, to) = (&request.from, &request.to);
        if let Some(since) = self.ill(to, now) {
            let what = format!("{to} is not well for {:?}", now - since);
            return Some(("nothing goes by itself where it is not well", what));
        }
        let often = |site: &&SiteId| self.told.downs.get(*site).is_some_and(|downs| *downs >= DOWNS);
        if let Some(site) = [from, to].into_iter().find(often).filter(|_| case.manner.flaps == DOWNS) {
            let what = format!("{site} has gone down {DOWNS} times, and {from} is left");
            return Some(("nothing touches a site that comes and goes by itself", what));
        }
        let special = case.manner.rules;
        let second = (wall_ms.div_euclid(1_000) + SUMMER).rem_euclid(86_400);
        if special == Special::Calendar && WINDOW.contains(&second) {
            let what = format!("{from} is left {second} s into the day");
            return Some(("nothing begins by itself in a window of the calendar", what));
        }
        // What only keeps it from beginning without a person.
        if proposed {
            return None;
        }
        if special == Special::Forbids && !self.told.switched {
            return Some(("nothing begins by itself before it is switched on", format!("{from} is left")));
        }
        let ready = self.told.ready.get(from).is_some_and(|at| now < *at + LOOKED);
        if special == Special::Calendar && !ready {
            return Some(("nothing begins by itself that nobody found ready", format!("{from} is left")));
        }
        let site = place(from)?;
        let (heard, renewed) = (self.told.heard[site], self.told.renewed[site]);
        if renewed > heard + SILENT {
            let what = format!("the sentry of {from} was silent for {:?} then", renewed - heard);
            return Some(("nothing leaves a site by itself that nothing stops", what));
        }
        None
    }

    /// What binds people too.
    fn limited(
        &self,
        case: &Case,
        trigger: &Trigger,
        request: &Request,
        now: Duration,
    ) -> Option<(&'static str, String)> {
        let waived = |rule: &str| match trigger {
            Trigger::Operator { overrides, .. } => overrides.iter().any(|waiver| waiver.rule == rule),
            Trigger::Automatic { .. } => false,
        };
        let from = &request.from;
        match case.manner.rules {
            Special::Limits => {
                let other = if from.as_str() == "a" { SiteId::from("b") } else { "a".into() };
                if let Some(since) = self.ill(&other, now).filter(|_| !waived("serving")) {
                    let what = format!("{from} is left, and {other} is not well for {:?}", now - since);
                    return Some(("enough sites are well beside the one that is left", what));
                }
                let counts = |tracked: &&Tracked| tracked.run.state() != State::Ended(End::Cancelled);
                let left = self.runs.values().filter(counts).map(|tracked| &tracked.run.plan.request.from);
                let left: BTreeSet<&SiteId> = left.chain([from]).collect();
                (left.len() > 1 && !waived("blast-radius"))
                    .then(|| ("one site is left a day", format!("{from} is left after another")))
            }
            Special::Forbids if request.playbook.as_str() == MAILS && !waived("final-state") => {
                Some(("nothing ends as the fleet forbids", "the mail is to serve in a".into()))
            }
            _ => None,
        }
    }

    /// Since when a site is not well, if that must be known.
    fn ill(&self, site: &SiteId, now: Duration) -> Option<Duration> {
        self.told.ill[place(site)?].filter(|since| now >= *since + KNOWN)
    }

    /// The sentry of a site stops what writes there. `lost`: since when the store has no majority.
    pub(in crate::cluster) fn closes(
        &mut self,
        site: &SiteId,
        fenced: bool,
        lost: Option<Duration>,
        now: Duration,
    ) {
        if !fenced && lost.is_some_and(|lost| self.told.only_store(lost)) {
            let what = format!("{site} is stopped, and the members of all sites reach each other");
            self.note("losing the store is not losing a site", what, now);
        }
    }

    /// An entry of a run is durable: a run for which something is waived has two people.
    pub(super) fn takes_two(&mut self, case: &Case, id: &RunId, event: &Event, now: Duration) {
        let Some(tracked) = self.runs.get_mut(id) else { return };
        let Trigger::Operator { identity, overrides, .. } = &tracked.run.trigger else { return };
        match &event.body {
            Body::Approved { by, .. } if by != identity => tracked.second = true,
            Body::StepStarted { step, .. }
                if case.manner.rules == Special::Limits && !overrides.is_empty() && !tracked.second =>
            {
                let what = format!("step {step} of {id} begins, and only {identity} has agreed");
                self.note("what one waives another approves", what, now);
            }
            _ => {}
        }
    }
}

fn place(site: &SiteId) -> Option<usize> {
    ["a", "b", "w"].iter().position(|name| *name == site.as_str())
}
