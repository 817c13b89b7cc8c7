//! Whether a run may begin: by its evidence, and by what was truly the case.

use super::Judge;
use crate::cluster::setting::Case;
use crate::cluster::store::{Key, Store, Value};
use standfast_core::ids::{RunId, SiteId};
use standfast_core::journal::Trigger;
use standfast_core::plan::Request;
use standfast_core::run::Run;
use standfast_core::timing::Timing;
use standfast_core::verdict::{Finding, Verdict};
use standfast_core::vote::Vote;
use std::time::Duration;

/// A loss that is older than this is no reason for a failover.
const OLD: Duration = Duration::from_secs(120);
/// A leader judges by what it has read within this time.
const HEARD: Duration = Duration::from_secs(8);

impl Judge {
    /// No other live run has one of the sites.
    pub(super) fn alone(&mut self, id: &RunId, now: Duration) {
        let sites = |run: &Run| [run.plan.request.from.clone(), run.plan.request.to.clone()];
        let mine = sites(&self.runs[id].run);
        let rival = self.runs.iter().find(|(other, tracked)| {
            *other != id
                && tracked.ended.is_none()
                && sites(&tracked.run).iter().any(|site| mine.contains(site))
        });
        if let Some((rival, _)) = rival {
            self.note("one run for each site", format!("{id} while {rival} lives"), now);
        }
    }

    pub(super) fn created(
        &mut self,
        case: &Case,
        store: &Store,
        (trigger, proposed): (&Trigger, bool),
        request: &Request,
        now: Duration,
    ) {
        let from = &request.from;
        self.coverage.runs += 1;
        self.coverage.with_runs = 1;
        let Trigger::Automatic { evidence } = trigger else { return };
        self.coverage.automatic += 1;
        if !proposed && !case.manner.acts {
            self.note("nothing acts by itself that may not", format!("{from} is left"), now);
        }
        let alive = self.joined.iter().find(|(member, at)| {
            let record = store.get(&Key::Member(**member)).map(|kv| &kv.value);
            matches!(record, Some(Value::Member(_, site)) if site == from) && now >= **at + HEARD
        });
        if let Some((member, _)) = alive {
            self.note("no failover where somebody is alive", format!("m{member} in {from} is"), now);
        }
        if let Err(why) = judged(evidence, &case.timing) {
            self.note("no failover without its evidence", format!("{from}: {why}"), now);
        }
        if self.holds.get(from).is_some_and(|until| now < *until) {
            self.note("one run for each hold-down", format!("{from} is held down"), now);
        }
        let lost = |voter: usize, site: usize| self.unreached[voter][site].is_some_and(|at| now < at + OLD);
        let place = |site: &SiteId| ["a", "b", "w"].iter().position(|name| *name == site.as_str());
        let truly = evidence.votes.iter().filter(|vote| vote.vote == Vote::Down).filter(|vote| {
            matches!((place(&vote.voter), place(from)), (Some(voter), Some(site)) if lost(voter, site))
        });
        if truly.count() < 2 {
            self.note("no failover where nothing was lost", format!("{from} was not lost"), now);
        }
    }
}

/// Whether the evidence says what it has to.
fn judged(evidence: &Finding, timing: &Timing) -> Result<(), String> {
    let down: Vec<_> = evidence.votes.iter().filter(|vote| vote.vote == Vote::Down).collect();
    let counts = |vote: &&&standfast_core::verdict::SiteVote| {
        let mut words = vote.words.iter().filter(|word| word.discounted.is_none()).peekable();
        words.peek().is_some() && words.all(|word| word.vote == Vote::Down)
    };
    match () {
        () if evidence.verdict != Verdict::Lost => Err(format!("the verdict is {}", evidence.verdict)),
        () if !evidence.inside.is_empty() => Err("somebody inside is alive".into()),
        () if evidence.confirmed < timing.confirm => Err("it is not confirmed".into()),
        () if down.iter().filter(counts).count() < 2 => Err("too few say so".into()),
        () => Ok(()),
    }
}
