//! A site as it is shown: the leader's judgement, and what members say themselves.

use super::super::heard::Heard;
use super::super::state::State;
use super::super::wire;
use crate::clock;
use standfast_core::bundle::Bundle;
use standfast_core::controller::{Judged, Judgement, Refused, site_etag};
use standfast_core::ids::{MemberId, SiteId};
use standfast_core::rules::Rules;
use standfast_core::site_lease::trouble;
use standfast_core::time::Span;
use standfast_core::verdict::{Court, Finding, SiteVote, Snapshot, Verdict, Word};
use standfast_core::vote::{Observation, Vote};
use standfast_proto::v1;

/// How much is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    /// For lists.
    Short,
    /// With observations and evidence.
    Full,
}

/// Everything that a site is shown by.
pub(crate) struct View<'a> {
    pub(crate) bundle: &'a Bundle,
    pub(crate) state: &'a State,
    pub(crate) heard: &'a Heard,
}

impl View<'_> {
    /// All sites, by name, in short.
    pub(crate) fn sites(&self) -> Vec<v1::Site> {
        self.bundle.fleet.sites.keys().map(|site| self.site(site, Detail::Short)).collect()
    }

    /// One site of the fleet.
    pub(crate) fn site(&self, site: &SiteId, detail: Detail) -> v1::Site {
        let full = detail == Detail::Full;
        let rules = self.bundle.rules();
        let judgement = self.state.judged();
        let judged = judgement.and_then(|judgement| {
            let judged = judgement.sites.iter().find(|judged| judged.finding.site == *site)?;
            Some((judgement, judged))
        });
        let votes = match judged {
            Some((_, judged)) => judged.finding.votes.clone(),
            None => self.unjudged(site, &rules),
        };
        let wall_ms = judgement.map_or_else(clock::wall_ms, |judgement| judgement.wall_ms);
        let (verdict, since, reason) = match judged {
            Some((judgement, Judged { finding, .. })) => {
                let since = wire::time(wire::ago(judgement.wall_ms, finding.held_for));
                let asked = rules.probes.contains_key(site);
                (finding.verdict, since, because(judgement, finding, asked))
            }
            None if self.state.leader.is_none() => {
                (Verdict::Unknown, None, format!("{}; see: standfast status", self.state.unjudged()))
            }
            None => (Verdict::Unknown, None, "the leader has not judged this site yet".to_owned()),
        };
        let confirm = judged.and_then(|(_, Judged { finding, .. })| {
            let down = finding.votes.iter().filter(|vote| vote.vote == Vote::Down).count();
            let left = rules.timing.confirm.0.saturating_sub(finding.confirmed.0);
            (down >= finding.needed && finding.verdict != Verdict::Lost).then(|| wire::duration(left))?
        });
        let words = || votes.iter().flat_map(|vote| &vote.words);
        let failing = words().flat_map(|word| word.failing.iter().map(|text| probe(&word.member, text)));
        v1::Site {
            name: site.to_string(),
            role: rules.sites.get(site).copied().map_or(v1::SiteRole::Unspecified, wire::role).into(),
            verdict: wire::verdict(verdict).into(),
            verdict_since: since,
            verdict_reason: reason,
            votes: votes.iter().map(|vote| self.vote(site, vote, wall_ms, full)).collect(),
            failing_probes: if full { failing.collect() } else { Vec::new() },
            leases: self.leases(site, &rules),
            evidence: if full { evidence(site, &votes, wall_ms) } else { Vec::new() },
            confirm_remaining: confirm,
            hold_down_remaining: self.state.hold(site).and_then(wire::span),
            flap_locked: self.state.flaps.locked.contains(site),
            run_id: self.run(site),
            etag: self.etag(site),
            lease: self.lease(site, &rules),
            maintenance: self.state.maintenance.get(site).map(wire::maintenance),
            left_by: self.state.flaps.left.get(site).map(ToString::to_string).unwrap_or_default(),
        }
    }

    /// The site's lease, if anything there enforces it, or it is fenced.
    fn lease(&self, site: &SiteId, rules: &Rules) -> Option<v1::SiteLease> {
        let leases = &self.state.leases;
        let fenced = leases.fenced.get(site);
        let wanted = rules.sentries.get(site);
        if fenced.is_none() && wanted.is_none() {
            return None;
        }
        let roster = leases.rosters.get(site);
        let sentries = wanted.into_iter().flatten().map(|(name, guarding)| {
            let report = roster.and_then(|roster| roster.sentries.get(name));
            let state = report.and_then(|report| serde_json::to_value(report.state).ok());
            v1::Sentry {
                name: name.to_string(),
                state: state.and_then(|state| Some(state.as_str()?.to_owned())).unwrap_or_default(),
                heard: report.and_then(|report| wire::span(report.heard)),
                trouble: trouble(report, &guarding.steps, rules).unwrap_or_default(),
            }
        });
        Some(v1::SiteLease {
            held: leases.held.contains(site),
            fenced_by: fenced.map(|fenced| fenced.run.to_string()).unwrap_or_default(),
            sentries: sentries.collect(),
        })
    }

    /// As the leader has it.
    fn etag(&self, site: &SiteId) -> String {
        let (held, locked) = (self.state.held(site), self.state.flaps.locked.contains(site));
        site_etag(held, locked, self.state.locks.get(&format!("site/{site}")))
    }

    fn run(&self, site: &SiteId) -> String {
        self.state.locks.get(&format!("site/{site}")).map(ToString::to_string).unwrap_or_default()
    }

    /// What members say while nobody judges.
    fn unjudged(&self, site: &SiteId, rules: &Rules) -> Vec<SiteVote> {
        let now = clock::now();
        let members = self.state.members.iter().map(|(id, member)| (id.clone(), member.site.clone()));
        // What a member left behind when it went says nothing about now.
        let live = self.state.observations.iter().filter(|(id, _)| self.state.members.contains_key(*id));
        let observations = live.map(|(_, seen)| seen.clone()).collect();
        let mut court = Court::default();
        court.on_snapshot(
            Snapshot { observations, members: members.collect(), ..Snapshot::default() },
            now.mono,
            now,
        );
        rules.voters(site).map(|voter| court.vote(voter, site, rules, now)).collect()
    }

    fn vote(&self, site: &SiteId, vote: &SiteVote, wall_ms: i64, full: bool) -> v1::SiteVote {
        let said = vote.words.iter().filter(|word| word.discounted.is_none() && word.vote == vote.vote);
        let since = said.map(|word| word.held_for).max();
        let observations = vote.words.iter().map(|word| self.observation(site, word));
        v1::SiteVote {
            voter: vote.voter.to_string(),
            vote: wire::vote(vote.vote).into(),
            since: since.and_then(|held| wire::time(wire::ago(wall_ms, held))),
            observations: if full { observations.collect() } else { Vec::new() },
        }
    }

    fn observation(&self, site: &SiteId, word: &Word) -> v1::MemberObservation {
        let opinion = self.state.observations.get(&word.member).and_then(|seen| seen.sites.get(site));
        v1::MemberObservation {
            member: word.member.to_string(),
            vote: wire::vote(word.vote).into(),
            abstains_because: word.discounted.clone().unwrap_or_default(),
            failed_rounds: opinion.map_or(0, |opinion| opinion.bad),
            passed_rounds: opinion.map_or(0, |opinion| opinion.good),
            age: self.heard.age(&word.member).and_then(wire::duration),
            probes: word.failing.iter().map(|text| probe(&word.member, text)).collect(),
        }
    }

    fn leases(&self, site: &SiteId, rules: &Rules) -> Vec<v1::MemberLease> {
        let mut known = self.heard.members();
        known.retain(|_, trace| trace.record.site == *site);
        let live = self.state.members.values().filter(|member| member.site == *site);
        let mut names: std::collections::BTreeSet<&MemberId> = known.keys().collect();
        names.extend(live.map(|member| &member.id));
        names
            .into_iter()
            .map(|member| {
                let trace = known.get(member);
                let live = self.state.members.contains_key(member);
                v1::MemberLease {
                    member: member.to_string(),
                    live,
                    since: trace
                        .filter(|trace| trace.live == live)
                        .and_then(|trace| wire::time(trace.since_ms)),
                    ttl: wire::span(rules.timing.ttl),
                    local_probes: self.state.observations.get(member).map(local).unwrap_or_default(),
                }
            })
            .collect()
    }
}

/// What a member's probes of its own site say when nothing is wrong: there are none, or all pass.
pub(crate) const QUIET: [&str; 2] = ["none", "all pass"];

/// What a member's probes of its own site say.
fn local(seen: &Observation) -> String {
    match seen.sites.get(&seen.site) {
        None => QUIET[0].to_owned(),
        Some(opinion) => opinion.failing.first().cloned().unwrap_or_else(|| QUIET[1].to_owned()),
    }
}

/// The verdict in one sentence. A site may have no probes: then nothing of it is `asked`.
fn because(judgement: &Judgement, finding: &Finding, asked: bool) -> String {
    let saying = |wanted: Vote| {
        let said = finding.votes.iter().filter(|vote| vote.vote == wanted);
        let who: Vec<&str> = said.map(|vote| vote.voter.as_str()).collect();
        let say = if who.len() == 1 { "says" } else { "say" };
        (!who.is_empty()).then(|| format!("{} {say} {wanted}", who.join(" and ")))
    };
    let mut parts: Vec<String> =
        [Vote::Down, Vote::Degraded, Vote::Up].into_iter().filter_map(saying).collect();
    if !asked {
        return "the fleet names no probes for it, so nobody can say anything".to_owned();
    }
    if parts.is_empty() {
        parts.push("no site says anything".to_owned());
    }
    if finding.verdict == Verdict::Partitioned {
        let inside: Vec<&str> = finding.inside.iter().map(MemberId::as_str).collect();
        parts.push(format!("{} inside is alive: a person decides", inside.join(", ")));
    }
    let age = u64::try_from(clock::wall_ms() - judgement.wall_ms).unwrap_or(0);
    format!("{}; judged {} ago by {}", parts.join(", "), Span::ms(age), judgement.member)
}

/// The votes on a site, one line for each word.
pub(crate) fn evidence(site: &SiteId, votes: &[SiteVote], wall_ms: i64) -> Vec<v1::Evidence> {
    let words = votes.iter().flat_map(|vote| vote.words.iter().map(move |word| (vote, word)));
    words
        .map(|(vote, word)| {
            let mut answer = format!("{} for {}", word.vote, word.held_for);
            for failing in &word.failing {
                answer.push_str("; ");
                answer.push_str(failing);
            }
            if let Some(why) = &word.discounted {
                answer.push_str(&format!("; does not count: {why}"));
            }
            let what = format!("{} of {} on {site}", word.member, vote.voter);
            v1::Evidence { what, answer, at: wire::time(wall_ms) }
        })
        .collect()
}

/// A failing probe, as an observation has it: what was asked, and what it answered.
fn probe(member: &MemberId, text: &str) -> v1::ProbeResult {
    let (probe, answer) = text.split_once(": ").unwrap_or((text, ""));
    let kind = probe.split_once('.').map_or("", |(kind, _)| kind);
    v1::ProbeResult {
        probe: probe.to_owned(),
        kind: kind.to_owned(),
        member: member.to_string(),
        passed: false,
        answer: answer.to_owned(),
        latency: None,
        at: None,
    }
}

/// A refused failover.
pub(crate) fn refusal(refused: &Refused, rules: Option<&Rules>) -> v1::Refusal {
    let Refused { site, wall_ms, guard, reason, finding, wanted } = refused;
    let entry = rules.and_then(|rules| rules.on_loss(site));
    let entry = entry.map(|entry| (entry.playbook.to_string(), entry.to.to_string()));
    let wanted = wanted.as_ref().map(|wanted| (wanted.playbook.to_string(), wanted.to.to_string()));
    let (playbook, to) = wanted.or(entry).unwrap_or_default();
    let outcome = v1::GuardOutcome::Refused;
    // What a playbook requires has no number.
    let required =
        || v1::GuardDecision { name: "required".into(), outcome: outcome.into(), ..Default::default() };
    let guard = guard.map_or_else(required, |guard| wire::guard(guard, outcome, ""));
    v1::Refusal {
        site: site.to_string(),
        guard: Some(v1::GuardDecision { reason: reason.clone(), ..guard }),
        first_at: wire::time(*wall_ms),
        last_at: wire::time(*wall_ms),
        count: 1,
        evidence: evidence(site, &finding.votes, *wall_ms),
        playbook,
        to,
    }
}
