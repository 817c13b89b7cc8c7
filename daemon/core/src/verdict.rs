//! Is a site lost? The votes of the other sites, held against each other over time.
//!
//! Votes are per site, never per member. LOST takes a strict majority of the other sites, at
//! least two, saying DOWN without a break for `confirm`; a live lease of any member inside the
//! site vetoes it. Whatever is not known freezes the count or starts it anew, never moves it on.

use crate::guard::{Guard, Removed};
use crate::ids::{MemberId, SiteId};
use crate::rules::Rules;
use crate::site_lease::{Expiry, Leases, Registry};
use crate::time::{Mono, Now, Span};
use crate::vote::{Observation, Vote, ineligible};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

/// What is the case with a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Verdict {
    /// A majority of the others says UP, nobody DOWN.
    Healthy,
    /// Some of it fails, or some say DOWN.
    Degraded,
    /// A majority says DOWN, but somebody inside still reaches the store.
    Partitioned,
    /// A majority says DOWN, for long enough, and nobody inside is heard.
    Lost,
    /// Not enough votes to say anything.
    Unknown,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Healthy => "HEALTHY",
            Self::Degraded => "DEGRADED",
            Self::Partitioned => "PARTITIONED",
            Self::Lost => "LOST",
            Self::Unknown => "UNKNOWN",
        })
    }
}

/// The word of one member on one site, and whether it counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Word {
    /// Who.
    pub member: MemberId,
    /// What it says.
    pub vote: Vote,
    /// For how long, by its own clock.
    pub held_for: Span,
    /// What fails.
    pub failing: Vec<String>,
    /// Whether the site's lease was held when it began to look down.
    #[serde(default)]
    pub leased: bool,
    /// Why it does not count, if it does not.
    pub discounted: Option<String>,
}

/// The vote of one site on another, with the words it is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteVote {
    /// The voting site.
    pub voter: SiteId,
    /// Its vote.
    pub vote: Vote,
    /// Its members' words.
    pub words: Vec<Word>,
}

/// All that is known of one site at one moment: the evidence of a decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The site.
    pub site: SiteId,
    /// The verdict.
    pub verdict: Verdict,
    /// For how long it has been the verdict.
    pub held_for: Span,
    /// How much of `confirm` has passed.
    pub confirmed: Span,
    /// Votes needed for DOWN.
    pub needed: usize,
    /// The votes of the other sites.
    pub votes: Vec<SiteVote>,
    /// Members inside that hold a live lease.
    pub inside: Vec<MemberId>,
}

/// What the leader's guarded transaction has read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The newest observation of every member.
    pub observations: Vec<Observation>,
    /// Every live member lease and its site.
    pub members: BTreeMap<MemberId, SiteId>,
    /// The leases of sites.
    pub leases: Leases,
}

#[derive(Clone, Debug)]
struct Heard {
    observation: Observation,
    moved: Mono,
}

#[derive(Clone, Debug)]
struct Case {
    majority: bool,
    confirmed: Duration,
    frozen: Duration,
    verdict: Verdict,
    since: Mono,
}

/// The leader's judgement over all sites; made anew with each term.
#[derive(Clone, Debug, Default)]
pub struct Court {
    heard: BTreeMap<MemberId, Heard>,
    members: BTreeMap<MemberId, SiteId>,
    registry: Registry,
    cases: BTreeMap<SiteId, Case>,
    judged: Option<Mono>,
    read: Option<Mono>,
    removed: Removed,
}

impl Court {
    /// Lets a guard refuse nothing.
    #[cfg(any(test, feature = "mutants"))]
    pub(crate) fn without(&mut self, removed: Removed) {
        self.removed = removed;
    }

    /// A confirmed read; `sent` is when it was asked for, on our clock, and `now` when it came.
    pub fn on_snapshot(&mut self, snapshot: Snapshot, sent: Mono, now: Now) {
        let published: BTreeSet<&MemberId> = snapshot.observations.iter().map(|seen| &seen.member).collect();
        self.heard.retain(|member, _| published.contains(member));
        for observation in snapshot.observations {
            let same = self.heard.get(&observation.member).is_some_and(|heard| {
                (&heard.observation.boot_id, heard.observation.sequence)
                    == (&observation.boot_id, observation.sequence)
            });
            if !same {
                self.heard.insert(observation.member.clone(), Heard { observation, moved: sent });
            }
        }
        self.members = snapshot.members;
        self.registry.on_read(snapshot.leases, now.mono);
        self.read = Some(sent);
    }

    /// The leases of sites, as read last.
    pub fn leases(&self) -> &Leases {
        self.registry.leases()
    }

    /// What the end of the lease of `finding`'s site proves.
    pub fn expiry(&self, finding: &Finding, rules: &Rules) -> Expiry {
        let words = finding.votes.iter().flat_map(|vote| &vote.words);
        let seen =
            words.filter(|word| word.discounted.is_none() && word.vote == Vote::Down).any(|word| word.leased);
        self.registry.expiry(&finding.site, seen, rules)
    }

    /// Age of what is judged on; none before the first read.
    pub fn age(&self, now: Now) -> Option<Duration> {
        self.read.map(|read| now.mono.since(read))
    }

    /// The sites of all live member leases.
    pub fn members(&self) -> impl Iterator<Item = &SiteId> {
        self.members.values()
    }

    /// Live member leases in `site`.
    pub fn inside(&self, site: &SiteId) -> Vec<MemberId> {
        self.members.iter().filter(|(_, at)| *at == site).map(|(member, _)| member.clone()).collect()
    }

    /// The words of the members of `voter` on `site`, and the vote they make: DOWN only if all
    /// that count say so and there is one; any UP wins.
    pub fn vote(&self, voter: &SiteId, site: &SiteId, rules: &Rules, now: Now) -> SiteVote {
        let of_site = self.heard.values().filter(|heard| heard.observation.site == *voter);
        let words: Vec<Word> = of_site
            .map(|heard| {
                let observation = &heard.observation;
                let opinion = observation.sites.get(site);
                Word {
                    member: observation.member.clone(),
                    vote: opinion.map_or(Vote::Abstain, |opinion| opinion.vote),
                    held_for: opinion.map_or(Span::default(), |opinion| opinion.held_for),
                    failing: opinion.map_or_else(Vec::new, |opinion| opinion.failing.clone()),
                    leased: opinion.is_some_and(|opinion| opinion.leased),
                    // What a member left behind is news to a new leader, and may be days old.
                    discounted: if self.removed.is(Guard::Freshness) {
                        None
                    } else if self.members.contains_key(&observation.member) {
                        ineligible(observation, now.mono.since(heard.moved), rules)
                    } else {
                        Some("it holds no live lease".into())
                    },
                }
            })
            .collect();
        let said: BTreeSet<Vote> =
            words.iter().filter(|word| word.discounted.is_none()).map(|word| word.vote).collect();
        let vote = if said.contains(&Vote::Up) {
            Vote::Up
        } else if said.contains(&Vote::Degraded) {
            Vote::Degraded
        } else if said.len() == 1 && said.contains(&Vote::Down) {
            Vote::Down
        } else {
            Vote::Abstain
        };
        SiteVote { voter: voter.clone(), vote, words }
    }

    /// Judges every site. To be called with every snapshot and every tick.
    pub fn judge(&mut self, rules: &Rules, now: Now) -> Vec<Finding> {
        let step = self.judged.replace(now.mono).map_or(Duration::ZERO, |last| now.mono.since(last));
        let gap = step > rules.timing.gap.0;
        let fresh = self.age(now).is_some_and(|age| age <= rules.timing.freshness.0);
        let sites: Vec<SiteId> = rules.sites.keys().cloned().collect();
        sites.iter().map(|site| self.judge_site(site, rules, now, step, gap, fresh)).collect()
    }

    fn judge_site(
        &mut self,
        site: &SiteId,
        rules: &Rules,
        now: Now,
        step: Duration,
        gap: bool,
        fresh: bool,
    ) -> Finding {
        let votes: Vec<SiteVote> =
            rules.voters(site).map(|voter| self.vote(voter, site, rules, now)).collect();
        let count = |wanted: Vote| votes.iter().filter(|vote| vote.vote == wanted).count();
        let (up, degraded, down, abstain) =
            (count(Vote::Up), count(Vote::Degraded), count(Vote::Down), count(Vote::Abstain));
        let majority = votes.len() / 2 + 1;
        let needed = if rules.single_observer { 1 } else { majority.max(2) };
        let inside = self.inside(site);

        let case = self.cases.entry(site.clone()).or_insert_with(|| Case {
            majority: false,
            confirmed: Duration::ZERO,
            frozen: Duration::ZERO,
            verdict: Verdict::Unknown,
            since: now.mono,
        });
        let unbroken = fresh && !gap;
        let before = std::mem::replace(&mut case.majority, unbroken && down >= needed);
        if case.majority {
            // The step that first shows the majority has not been lived through under it.
            case.confirmed += if before || case.frozen > Duration::ZERO { step } else { Duration::ZERO };
            case.frozen = Duration::ZERO;
        } else if unbroken && down + abstain >= needed && case.confirmed > Duration::ZERO {
            case.frozen += step;
            if case.frozen > 2 * rules.timing.publish.0 {
                case.confirmed = Duration::ZERO;
            }
        } else {
            case.confirmed = Duration::ZERO;
            case.frozen = Duration::ZERO;
        }

        let verdict = if !fresh {
            Verdict::Unknown
        } else if down >= needed && !inside.is_empty() {
            Verdict::Partitioned
        } else if down >= needed && case.confirmed >= rules.timing.confirm.0 {
            Verdict::Lost
        } else if down > 0 || degraded > 0 {
            Verdict::Degraded
        } else if up >= majority || (rules.single_observer && up > 0) {
            Verdict::Healthy
        } else {
            Verdict::Unknown
        };
        if verdict != case.verdict {
            case.verdict = verdict;
            case.since = now.mono;
        }
        Finding {
            site: site.clone(),
            verdict,
            held_for: now.mono.since(case.since).into(),
            confirmed: case.confirmed.into(),
            needed,
            votes,
            inside,
        }
    }

    /// Why `to` cannot take over from `from`, if it cannot. It is judged by the others: at
    /// least one UP and none DOWN among them, and a live member inside whose own probes pass.
    pub fn destination(&self, from: &SiteId, to: &SiteId, rules: &Rules, now: Now) -> Result<String, String> {
        let judges: Vec<&SiteId> = rules.voters(to).filter(|voter| *voter != from).collect();
        let votes: Vec<SiteVote> = judges.iter().map(|voter| self.vote(voter, to, rules, now)).collect();
        let seen = |wanted: Vote| votes.iter().find(|vote| vote.vote == wanted).map(|vote| &vote.voter);
        if let Some(voter) = seen(Vote::Down) {
            return Err(format!("{voter} says that {to} is DOWN"));
        }
        let Some(voter) = seen(Vote::Up) else {
            let others = judges.iter().map(|site| site.as_str()).collect::<Vec<_>>().join(", ");
            return Err(match judges.len() {
                1 => format!("{others} does not say that {to} is UP"),
                _ => format!("none of {others} says that {to} is UP"),
            });
        };
        if rules.single_observer {
            return Ok(format!("{voter} says UP"));
        }
        let inside = self.inside(to);
        if inside.is_empty() {
            return Err(format!("no member in {to} holds a live lease"));
        }
        let own = self.vote(to, to, rules, now);
        // One member there suffices; a sibling that has just started says nothing yet.
        let mut words: Vec<&Word> = own.words.iter().filter(|word| word.discounted.is_none()).collect();
        words.sort_by_key(|word| word.vote != Vote::Up);
        match words.first() {
            Some(word) if word.vote == Vote::Up => {
                Ok(format!("{voter} says UP, and {}'s own probes pass", word.member))
            }
            Some(word) => Err(format!(
                "{} in {to} says {} of its own site: {}",
                word.member,
                word.vote,
                word.failing.join("; ")
            )),
            None => Err(format!("no member in {to} can vouch for it")),
        }
    }
}

#[cfg(test)]
#[path = "verdict_test.rs"]
mod tests;
