//! What one member thinks of every site, and whether its word counts.
//!
//! Probes of a site run in rounds. A member says DOWN after `fall` rounds in a row in which at
//! least two *kinds* of probe (TCP and HTTP, say) failed, each kind with all its probes: one
//! broken service is not a lost site. Silence is not evidence: a member that cannot trust its
//! own view abstains, and an abstention is never a DOWN.

use crate::check::{Answer, Kind};
use crate::ids::{MemberId, SiteId};
use crate::rules::Rules;
use crate::time::{Now, Span};
use crate::timing::Timing;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

/// What is thought of a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Vote {
    /// It serves.
    Up,
    /// Some of it fails: alerts, and never fails a site over.
    Degraded,
    /// It is gone, as far as can be seen from here.
    Down,
    /// Nothing can be said.
    Abstain,
}

impl fmt::Display for Vote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Up => "UP",
            Self::Degraded => "DEGRADED",
            Self::Down => "DOWN",
            Self::Abstain => "ABSTAIN",
        })
    }
}

/// One member's opinion of one site, as it is published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opinion {
    /// What it thinks.
    pub vote: Vote,
    /// For how long it has thought so.
    pub held_for: Span,
    /// Rounds seen so far.
    pub rounds: u64,
    /// Of these, up to now and in a row: rounds in which probes of two kinds failed.
    #[serde(default)]
    pub bad: u32,
    /// Of these, up to now and in a row: rounds in which they did not.
    #[serde(default)]
    pub good: u32,
    /// Whether the site's lease was held when the bad rounds began.
    #[serde(default)]
    pub leased: bool,
    /// What fails now: the probe, and what it answered.
    pub failing: Vec<String>,
}

/// What a member publishes every `publish`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// Who.
    pub member: MemberId,
    /// From where.
    pub site: SiteId,
    /// New at every start of the process.
    pub boot_id: String,
    /// Grows with every publication of this boot.
    pub sequence: u64,
    /// Age of this member's last confirmed store transaction.
    pub store_age: Span,
    /// Canaries that answered in the last round.
    pub canaries: usize,
    /// How late its timers fire.
    pub loop_lag: Span,
    /// What it thinks of every site it has probed, its own included.
    pub sites: BTreeMap<SiteId, Opinion>,
}

/// Why a member's word does not count.
pub fn ineligible(observation: &Observation, silent_for: Duration, rules: &Rules) -> Option<String> {
    let timing = &rules.timing;
    if !rules.sites.contains_key(&observation.site) {
        return Some(format!("the fleet has no site {}", observation.site));
    }
    if silent_for > timing.sequence_stale.0 {
        return Some(format!("silent for {}", Span::from(silent_for)));
    }
    if observation.store_age > timing.freshness {
        return Some(format!("its last store transaction is {} old", observation.store_age));
    }
    if observation.loop_lag > timing.loop_lag {
        return Some(format!("its event loop lags {}", observation.loop_lag));
    }
    // At least two of three; in general, two thirds rounded up.
    let needed = (rules.canaries * 2).div_ceil(3);
    if !rules.single_observer && observation.canaries < needed {
        return Some(format!(
            "{} of {} canaries answer: it may be cut off",
            observation.canaries, rules.canaries
        ));
    }
    let mut remote = observation.sites.iter().filter(|(site, _)| **site != observation.site).peekable();
    let several = observation.sites.keys().filter(|site| **site != observation.site).count() > 1;
    if several && remote.peek().is_some() && remote.all(|(_, opinion)| opinion.vote == Vote::Down) {
        return Some("every remote site looks dead at once: it is cut off itself".into());
    }
    None
}

/// One site as this member sees it.
#[derive(Clone, Debug)]
struct View {
    rounds: u64,
    bad: u32,
    good: u32,
    leased: bool,
    vote: Vote,
    since: Now,
    failing: Vec<String>,
}

/// All sites as this member sees them.
#[derive(Clone, Debug, Default)]
pub struct Views {
    sites: BTreeMap<SiteId, View>,
    leased: BTreeSet<SiteId>,
}

/// One answered probe of a round.
#[derive(Clone, Debug)]
pub struct Probed {
    /// The probe, for people.
    pub name: String,
    /// Its kind.
    pub kind: Kind,
    /// Its answer. `Unknown` means that it could not even be asked for a reason of our own.
    pub answer: Answer,
}

/// The first few of what fails, cut short. Every leader reads the observations of all members in
/// one transaction: they must fit in when everything fails at once.
fn shown<'a>(failing: impl Iterator<Item = &'a Probed>) -> Vec<String> {
    const SHOWN: usize = 5;
    const LONGEST: usize = 200;
    let failing: Vec<&Probed> = failing.collect();
    let line = |probed: &&Probed| {
        let line = format!("{}: {}", probed.name, probed.answer.detail());
        line.chars().take(LONGEST).collect()
    };
    let mut lines: Vec<String> = failing.iter().take(SHOWN).map(line).collect();
    if failing.len() > SHOWN {
        lines.push(format!("and {} more", failing.len() - SHOWN));
    }
    lines
}

impl Views {
    /// The leases of these sites are held, as the store was read just now.
    pub fn on_leases(&mut self, held: BTreeSet<SiteId>) {
        self.leased = held;
    }

    /// A round of probes of `site` has ended.
    pub fn on_round(&mut self, site: &SiteId, round: &[Probed], timing: &Timing, now: Now) {
        let view = self.sites.entry(site.clone()).or_insert_with(|| View {
            rounds: 0,
            bad: 0,
            good: 0,
            leased: false,
            vote: Vote::Abstain,
            since: now,
            failing: Vec::new(),
        });
        // A probe that could not be asked says nothing, so a round of nothing changes nothing.
        let asked = || round.iter().filter(|probed| !matches!(probed.answer, Answer::Unknown(_)));
        view.failing = shown(round.iter().filter(|probed| !probed.answer.holds()));
        if asked().next().is_none() {
            return;
        }
        view.rounds += 1;
        let kinds = |good: bool| -> BTreeSet<Kind> {
            asked().filter(|probed| probed.answer.holds() == good).map(|probed| probed.kind).collect()
        };
        let (working, failing) = (kinds(true), kinds(false));
        let dead_kinds = failing.difference(&working).count();
        let vote = if dead_kinds >= 2 {
            if view.bad == 0 {
                view.leased = self.leased.contains(site);
            }
            view.good = 0;
            view.bad = view.bad.saturating_add(1);
            if view.bad >= timing.fall { Vote::Down } else { view.vote }
        } else if view.vote == Vote::Down
            && (view.good.saturating_add(1) < timing.rise || !failing.is_empty())
        {
            view.bad = 0;
            view.good = if failing.is_empty() { view.good.saturating_add(1) } else { 0 };
            Vote::Down
        } else {
            view.bad = 0;
            view.good = view.good.saturating_add(1);
            if failing.is_empty() { Vote::Up } else { Vote::Degraded }
        };
        // A fresh observer has not seen enough to say anything.
        let vote = if view.rounds < u64::from(timing.fall) { Vote::Abstain } else { vote };
        if vote != view.vote {
            view.vote = vote;
            view.since = now;
        }
    }

    /// What is to be published.
    pub fn opinions(&self, now: Now) -> BTreeMap<SiteId, Opinion> {
        let opinion = |view: &View| Opinion {
            vote: view.vote,
            held_for: now.mono.since(view.since.mono).into(),
            rounds: view.rounds,
            bad: view.bad,
            good: view.good,
            leased: view.leased,
            failing: view.failing.clone(),
        };
        self.sites.iter().map(|(site, view)| (site.clone(), opinion(view))).collect()
    }
}

#[cfg(test)]
#[path = "vote_test.rs"]
mod tests;
