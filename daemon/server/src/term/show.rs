//! What a term shows of itself: the judgement for the next beat, what site leases prove for those who
//! fence, and figures.

use super::Run;
use crate::clock;
use standfast_core::guard::Says;
use standfast_core::run::State;

/// Where a live run can stand, and the metric's word for it.
const LIVE: [(State, &str); 5] = [
    (State::Proposed, "proposed"),
    (State::Running, "running"),
    (State::Paused, "paused"),
    (State::Blocked, "blocked"),
    (State::RollingBack, "rolling_back"),
];

impl Run {
    /// Hands the judgement to the next beat and to the metrics.
    pub(super) fn show(&self) {
        self.expiries.send_if_modified(|known| {
            let changed = known != self.controller.expiries();
            known.clone_from(self.controller.expiries());
            changed
        });
        let judgement = self.controller.judgement();
        for judged in &judgement.sites {
            let (metrics, site) = (&self.deps.metrics, judged.finding.site.as_str());
            metrics.set_verdict(site, &judged.finding.verdict.to_string().to_lowercase());
            for vote in &judged.finding.votes {
                metrics.set_vote(site, vote.voter.as_str(), &vote.vote.to_string().to_lowercase());
            }
            if !judged.rulings.is_empty() {
                let refusing = judged.rulings.iter().filter(|ruling| ruling.says == Says::Refuses);
                let ids: Vec<String> = refusing.map(|ruling| ruling.guard.id()).collect();
                metrics.set_would_act(site, ids.iter().map(String::as_str));
            }
        }
        self.deps.metrics.set_ready(&self.controller.ready(clock::now()));
        let running = self.controller.runs().next().is_some();
        self.running.send_if_modified(|known| std::mem::replace(known, running) != running);
        for (state, label) in LIVE {
            let count = self.controller.runs().filter(|run| run.state() == state).count();
            self.deps.metrics.set_runs(label, count as u64);
        }
        self.deps.judged.send_replace(judgement.clone());
    }
}
