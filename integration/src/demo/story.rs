//! Events as lines: what is new about the site that dies, the leader and the run.

use std::collections::{BTreeMap, BTreeSet};

use standfast::cli::human::{camel, upper};
use standfast_proto::v1::event::Subject;
use standfast_proto::v1::{Event, JournalEvent, JournalEventKind, Run, RunState, Site, StepState};

use super::screen::Tone;

/// The site whose story it is.
const SITE: &str = "a";

/// What was told so far, so that only news is told.
#[derive(Debug, Default)]
pub(super) struct Story {
    votes: BTreeMap<String, String>,
    verdicts: BTreeMap<String, String>,
    failing: BTreeSet<String>,
    leader: Option<(String, u64)>,
    run: Option<(String, RunState)>,
    /// When each step began, by its id, in nanoseconds since 1970.
    began: BTreeMap<String, i128>,
}

/// Lines to be told.
pub(super) type Lines = Vec<(Tone, String)>;

impl Story {
    /// What an event has that was not told before.
    pub(super) fn tell(&mut self, event: &Event) -> Lines {
        match &event.subject {
            Some(Subject::Site(site)) => self.site(site),
            Some(Subject::Leader(leader)) => {
                let now = (leader.member.clone(), leader.epoch);
                if self.leader.replace(now.clone()).is_some_and(|before| before == now) {
                    return Vec::new();
                }
                vec![match leader.member.as_str() {
                    "" => (Tone::Bad, "nobody leads".into()),
                    name => (Tone::Good, format!("{name} in {} leads, epoch {}", leader.site, leader.epoch)),
                }]
            }
            Some(Subject::Run(run)) => self.run(run),
            Some(Subject::Journal(line)) => self.journal(line),
            Some(Subject::Refusal(refusal)) if refusal.site == SITE => {
                let guard = refusal.guard.clone().unwrap_or_default();
                let words = format!("held back by {} {}: {}", guard.id, guard.name, guard.reason);
                vec![(Tone::Busy, words)]
            }
            _ => Vec::new(),
        }
    }

    /// What a closer look at the site has: probes that fail now and did not before.
    pub(super) fn probes(&mut self, site: &Site) -> Lines {
        let mut lines = Vec::new();
        let mut failing = BTreeSet::new();
        for probe in &site.failing_probes {
            let key = format!("{} from {}", probe.probe, probe.member);
            if !self.failing.contains(&key) {
                let words = format!("{} fails, seen by {}: {}", probe.probe, probe.member, probe.answer);
                lines.push((Tone::Busy, words));
            }
            failing.insert(key);
        }
        self.failing = failing;
        lines
    }

    fn site(&mut self, site: &Site) -> Lines {
        let mut lines = Vec::new();
        if site.name == SITE {
            for vote in &site.votes {
                let says = upper(vote.vote().as_str_name(), "VOTE_").to_string();
                let before = self.votes.insert(vote.voter.clone(), says.clone());
                if before.as_ref() != Some(&says) {
                    let tone = if says == "DOWN" { Tone::Bad } else { Tone::Plain };
                    lines.push((tone, format!("{} votes {says} on {SITE}", vote.voter)));
                }
            }
        }
        let verdict = upper(site.verdict().as_str_name(), "VERDICT_").to_string();
        let before = self.verdicts.insert(site.name.clone(), verdict.clone());
        if before.as_ref() != Some(&verdict) {
            let tone = match verdict.as_str() {
                "HEALTHY" => Tone::Good,
                "LOST" => Tone::Bad,
                _ => Tone::Busy,
            };
            let why = if site.verdict_reason.is_empty() { "" } else { ": " };
            lines.push((tone, format!("verdict: {} is {verdict}{why}{}", site.name, site.verdict_reason)));
        }
        lines
    }

    fn run(&mut self, run: &Run) -> Lines {
        let now = (run.id.clone(), run.state());
        if self.run.replace(now.clone()).is_some_and(|before| before == now) {
            return Vec::new();
        }
        let state = camel(run.state().as_str_name(), "RUN_STATE_");
        let mut words = format!("run {} {state}: {} from {} to {}", run.id, run.playbook, run.from, run.to);
        for more in [&run.reason, &run.state_reason].into_iter().filter(|more| !more.is_empty()) {
            words.push_str("; ");
            words.push_str(more);
        }
        let tone = match run.state() {
            RunState::Succeeded => Tone::Good,
            RunState::Running => Tone::Loud,
            _ => Tone::Bad,
        };
        vec![(tone, words)]
    }

    fn journal(&mut self, line: &JournalEvent) -> Lines {
        let at =
            line.at.as_ref().map_or(0, |at| i128::from(at.seconds) * 1_000_000_000 + i128::from(at.nanos));
        match line.kind() {
            JournalEventKind::StepStateChanged => {
                let began = *self.began.entry(line.step.clone()).or_insert(at);
                let took = format!("{:.2}s", (at - began).max(0) as f64 / 1e9);
                let state = camel(line.step_state().as_str_name(), "STEP_STATE_");
                let words = match clause(&line.message) {
                    "" => String::new(),
                    words => format!(": {words}"),
                };
                match line.step_state() {
                    StepState::Succeeded | StepState::AlreadyDone => {
                        vec![(Tone::Good, format!("  {} {state} in {took}{words}", line.step))]
                    }
                    StepState::Failed | StepState::UndoFailed | StepState::Unknown => {
                        vec![(Tone::Bad, format!("  {} {state} after {took}{words}", line.step))]
                    }
                    StepState::Skipped => {
                        vec![(Tone::Busy, format!("  {} {state} after {took}{words}", line.step))]
                    }
                    StepState::Started => vec![(Tone::Busy, format!("  {} {state}{words}", line.step))],
                    _ => Vec::new(),
                }
            }
            JournalEventKind::AttemptFailed => {
                vec![(
                    Tone::Bad,
                    format!("  {} attempt {} failed: {}", line.step, line.attempt, line.message),
                )]
            }
            JournalEventKind::StepProgress => {
                vec![(Tone::Plain, format!("  {} {}", line.step, line.message))]
            }
            JournalEventKind::TakenOver => vec![(Tone::Busy, format!("taken over: {}", line.message))],
            _ => Vec::new(),
        }
    }
}

/// The first clause: the report has them all.
fn clause(message: &str) -> &str {
    message.split("; ").next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use standfast_proto::v1::{ProbeResult, SiteVote, Verdict, Vote};

    use super::*;

    fn site(verdict: Verdict, vote: Vote) -> Event {
        let vote = SiteVote { voter: "w".into(), vote: vote.into(), ..SiteVote::default() };
        let site = Site { name: "a".into(), verdict: verdict.into(), votes: vec![vote], ..Site::default() };
        Event { subject: Some(Subject::Site(site)), ..Event::default() }
    }

    fn step(state: StepState, nanos: i32) -> Event {
        let at = Some(pbjson_types::Timestamp { seconds: 7, nanos });
        let line = JournalEvent {
            at,
            kind: JournalEventKind::StepStateChanged.into(),
            step: "promote".into(),
            step_state: state.into(),
            ..JournalEvent::default()
        };
        Event { subject: Some(Subject::Journal(line)), ..Event::default() }
    }

    #[test]
    fn only_news_is_told() {
        let mut story = Story::default();
        story.tell(&site(Verdict::Healthy, Vote::Up));
        assert_eq!(story.tell(&site(Verdict::Healthy, Vote::Up)), []);
        let lines = story.tell(&site(Verdict::Lost, Vote::Down));
        assert_eq!(lines[0], (Tone::Bad, "w votes DOWN on a".into()));
        assert_eq!(lines[1], (Tone::Bad, "verdict: a is LOST".into()));
    }

    #[test]
    fn a_probe_is_told_when_it_begins_to_fail() {
        let mut story = Story::default();
        let probe = ProbeResult {
            probe: "http.get shop-web".into(),
            member: "w1".into(),
            answer: "refused".into(),
            ..ProbeResult::default()
        };
        let site = Site { failing_probes: vec![probe], ..Site::default() };
        let told = [(Tone::Busy, "http.get shop-web fails, seen by w1: refused".into())];
        assert_eq!(story.probes(&site), told);
        assert_eq!(story.probes(&site), []);
        assert_eq!(story.probes(&Site::default()), []);
        assert_eq!(story.probes(&site), told);
    }

    #[test]
    fn a_step_is_told_with_its_time() {
        let mut story = Story::default();
        assert_eq!(story.tell(&step(StepState::Inspecting, 0)), []);
        assert_eq!(
            story.tell(&step(StepState::Started, 10_000_000)),
            [(Tone::Busy, "  promote Started".into())]
        );
        let done = story.tell(&step(StepState::Succeeded, 260_000_000));
        assert_eq!(done, [(Tone::Good, "  promote Succeeded in 0.26s".into())]);
    }
}
