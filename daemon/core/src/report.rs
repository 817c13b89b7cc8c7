//! What a run did, how long it took and what it lost, measured against what was promised.
//!
//! A report is made of the journal alone (and of what was promised and refused before), so it
//! is the same on every member, during the run and years after it. Lengths of time come from
//! leaders' boot clocks; wall times only label.

mod loss;
mod markdown;
mod people;

use crate::action::Action;
use crate::controller::Refused;
use crate::ids::{Epoch, Identity, PlaybookId, RunId, ServiceId, SiteId, StepId};
use crate::journal::{Body, End, Event, Trigger};
use crate::plan::Mode;
use crate::run::{Run, State, StepState};
use crate::time::Span;
use crate::verdict::Finding;
use crate::vote::Vote;
use serde::Serialize;

pub use loss::Loss;
pub use people::{Did, Word};

/// What was promised for a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Promise {
    /// The service.
    pub service: ServiceId,
    /// The longest it may be away.
    pub rto: Option<Span>,
    /// The most that may be lost.
    pub rpo: Option<Span>,
}

/// Whether a promise held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Held {
    /// It did.
    Met,
    /// It did not.
    Missed,
    /// Nobody can say.
    Unknown,
}

/// A promise and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Objective {
    /// What was promised.
    pub promise: Promise,
    /// How long the service was away; none while it is.
    pub rto: Option<Span>,
    /// Whether that held; none if nothing was promised.
    pub rto_held: Option<Held>,
    /// How much was lost, as far as is known.
    pub rpo: Option<Span>,
    /// Whether that held; none if nothing was promised.
    pub rpo_held: Option<Held>,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Unix time in milliseconds.
    pub wall_ms: i64,
    /// Since the first entry.
    pub offset: Span,
    /// The step it is about.
    pub step: Option<StepId>,
    /// The term that wrote it; 0 before there was a run.
    pub epoch: Epoch,
    /// What, in one sentence.
    pub text: String,
}

/// How long it took, part by part. A part is absent when the run has not come that far, or has
/// no step of that kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Measured {
    /// From the first vote that was DOWN to the decision.
    pub detection: Option<Span>,
    /// Commands and requests: what brings up that with which the rest is done.
    pub tools: Option<Span>,
    /// Fences and promotions.
    pub promotion: Option<Span>,
    /// Names and balancers.
    pub traffic: Option<Span>,
    /// From the first vote that was DOWN, or from the trigger by hand, to the end of the run.
    pub total: Option<Span>,
}

/// What something stands on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Proof {
    /// What was asked.
    pub what: String,
    /// What was answered.
    pub answer: String,
    /// Unix time in milliseconds.
    pub wall_ms: i64,
}

/// A failover that a guard refused before the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct No {
    /// The guard, as in "G04 veto".
    pub guard: String,
    /// Its words.
    pub reason: String,
    /// Unix time in milliseconds.
    pub wall_ms: i64,
}

/// The report of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The run.
    pub run: RunId,
    /// The playbook.
    pub playbook: PlaybookId,
    /// Its title.
    pub title: String,
    /// The site that was left.
    pub from: SiteId,
    /// The site that took over.
    pub to: SiteId,
    /// Why.
    pub mode: Mode,
    /// Where it stands.
    pub state: State,
    /// Who or what started it.
    pub started_by: Identity,
    /// Why, in one sentence.
    pub reason: String,
    /// Everything, in order.
    pub timeline: Vec<Entry>,
    /// How long it took.
    pub measured: Measured,
    /// What each data set lost.
    pub losses: Vec<Loss>,
    /// What was promised, and whether it held.
    pub objectives: Vec<Objective>,
    /// What people did, in order.
    pub people: Vec<Word>,
    /// Failovers of the same site that were refused before.
    pub refused: Vec<No>,
    /// What the decision and the verifications stand on.
    pub evidence: Vec<Proof>,
}

impl Report {
    /// From a run and its journal; `refused` are those of the site that it leaves.
    pub fn new(run: &Run, journal: &[Event], promises: &[Promise], refused: &[Refused]) -> Self {
        let request = &run.plan.request;
        let measured = measure(run);
        let losses = loss::losses(run, journal);
        let no = |refused: &Refused| No {
            guard: refused.guard.map_or_else(|| "required".to_owned(), |guard| guard.to_string()),
            reason: refused.reason.clone(),
            wall_ms: refused.wall_ms,
        };
        Self {
            run: run.id.clone(),
            playbook: request.playbook.clone(),
            title: run.plan.title.clone(),
            from: request.from.clone(),
            to: request.to.clone(),
            mode: request.mode,
            state: run.state(),
            started_by: run.trigger.identity(),
            reason: run.trigger.reason(),
            timeline: timeline(run, journal),
            objectives: promises.iter().map(|promise| judge(run, promise, &measured, &losses)).collect(),
            measured,
            losses,
            people: people::words(run, journal),
            refused: refused.iter().map(no).collect(),
            evidence: evidence(run, journal),
        }
    }
}

/// For how long somebody had said DOWN when the decision was made.
pub fn first_down(finding: &Finding) -> Option<Span> {
    let words = finding.votes.iter().filter(|vote| vote.vote == Vote::Down).flat_map(|vote| &vote.words);
    words.filter(|word| word.vote == Vote::Down).map(|word| word.held_for).max()
}

fn detection(run: &Run) -> Option<Span> {
    match &run.trigger {
        Trigger::Automatic { evidence } => first_down(evidence),
        Trigger::Operator { .. } => None,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Tools,
    Promotion,
    Traffic,
}

fn phase(action: &Action) -> Option<Phase> {
    Some(match action {
        Action::HttpRequest { .. } | Action::CommandRun { .. } | Action::SshRun { .. } => Phase::Tools,
        Action::FenceProve { .. } | Action::PostgresPromote { .. } | Action::PostgresRun { .. } => {
            Phase::Promotion
        }
        Action::TrafficDrain { .. }
        | Action::TrafficReady { .. }
        | Action::TrafficShift { .. }
        | Action::DnsSet { .. } => Phase::Traffic,
        Action::WaitUntil { .. } | Action::ApprovalAsk { .. } => return None,
    })
}

fn measure(run: &Run) -> Measured {
    let part = |wanted: Phase| {
        let steps = run.steps.iter().zip(&run.plan.steps);
        let done = steps.filter(|(record, step)| {
            phase(&step.action) == Some(wanted) && record.state != StepState::Skipped
        });
        let times: Vec<(u64, u64)> =
            done.filter_map(|(record, _)| Some((record.started_ms?, record.ended_ms?))).collect();
        let first = times.iter().map(|(start, _)| *start).min()?;
        let last = times.iter().map(|(_, end)| *end).max()?;
        Some(Span::ms(last.saturating_sub(first)))
    };
    let detection = detection(run);
    let ended = matches!(run.state(), State::Ended(_));
    let total = detection.unwrap_or_default().as_ms() + run.elapsed_ms;
    Measured {
        detection,
        tools: part(Phase::Tools),
        promotion: part(Phase::Promotion),
        traffic: part(Phase::Traffic),
        total: ended.then(|| Span::ms(total)),
    }
}

fn judge(run: &Run, promise: &Promise, measured: &Measured, losses: &[Loss]) -> Objective {
    let state = run.state();
    let back = matches!(state, State::Ended(End::Succeeded | End::Partial));
    let so_far = measured
        .total
        .unwrap_or_else(|| Span::ms(measured.detection.unwrap_or_default().as_ms() + run.elapsed_ms));
    let rto = measured.total.filter(|_| back);
    let rto_held = promise.rto.map(|promised| match (rto, state) {
        (Some(took), _) if took <= promised => Held::Met,
        (Some(_), _) => Held::Missed,
        (None, _) if so_far > promised => Held::Missed,
        // It may still be met by another run, or by hand.
        (None, _) => Held::Unknown,
    });
    let rpo = losses.iter().map(|loss| loss.time).collect::<Option<Vec<Span>>>();
    let rpo = rpo.and_then(|times| times.into_iter().max());
    let uncertain = losses.iter().any(|loss| loss.at_least);
    let rpo_held = promise.rpo.map(|promised| match rpo {
        Some(lost) if lost > promised => Held::Missed,
        Some(_) if !uncertain => Held::Met,
        _ => Held::Unknown,
    });
    Objective { promise: promise.clone(), rto, rto_held, rpo, rpo_held }
}

fn timeline(run: &Run, journal: &[Event]) -> Vec<Entry> {
    let before = detection(run).unwrap_or_default();
    let mut entries = Vec::new();
    if let Trigger::Automatic { evidence } = &run.trigger {
        let ago = |span: Span| run.created_wall_ms - i64::try_from(span.as_ms()).unwrap_or(i64::MAX);
        let entry = |held: Span, text: String| Entry {
            wall_ms: ago(held),
            offset: Span::ms(before.as_ms().saturating_sub(held.as_ms())),
            step: None,
            epoch: Epoch(0),
            text,
        };
        let site = &evidence.site;
        if let Some(first) = first_down(evidence) {
            entries.push(entry(first, format!("the first vote on {site} is DOWN")));
        }
        entries.push(entry(evidence.held_for, format!("{site} is {}", evidence.verdict)));
    }
    entries.extend(journal.iter().map(|event| Entry {
        wall_ms: event.wall_ms,
        offset: Span::ms(before.as_ms() + event.elapsed_ms),
        step: event.step().cloned(),
        epoch: event.epoch,
        text: event.line(),
    }));
    entries
}

fn evidence(run: &Run, journal: &[Event]) -> Vec<Proof> {
    let mut proofs = Vec::new();
    if let Trigger::Automatic { evidence } = &run.trigger {
        let words = evidence.votes.iter().flat_map(|vote| vote.words.iter().map(move |word| (vote, word)));
        proofs.extend(words.map(|(vote, word)| {
            let failing = if word.failing.is_empty() { "" } else { "; " };
            Proof {
                what: format!("{} of {} on {}", word.member, vote.voter, evidence.site),
                answer: format!("{} for {}{failing}{}", word.vote, word.held_for, word.failing.join("; ")),
                wall_ms: run.created_wall_ms,
            }
        }));
    }
    for event in journal {
        let seen = match &event.body {
            Body::RequirementsMet { evidence }
            | Body::StepSucceeded { evidence, .. }
            | Body::StepAlreadyDone { evidence, .. } => evidence,
            _ => continue,
        };
        proofs.extend(seen.iter().map(|seen| Proof {
            what: seen.what.clone(),
            answer: seen.answer.detail().to_owned(),
            wall_ms: event.wall_ms,
        }));
    }
    proofs
}

#[cfg(test)]
mod tests;
