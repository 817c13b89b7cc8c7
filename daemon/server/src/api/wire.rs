//! Words of the core in words of the wire.

use crate::clock;
use pbjson_types::{Duration as WireDuration, Timestamp};
use standfast_core::check::Answer;
use standfast_core::controller::Order;
use standfast_core::finding::{Finding, code};
use standfast_core::guard::{Guard, Ruling, Says};
use standfast_core::journal::{End, Evidence};
use standfast_core::plan::{Mode, OnFailure};
use standfast_core::rules::{Automation, Role};
use standfast_core::run::{State, StepState};
use standfast_core::time::Span;
use standfast_core::verdict::Verdict;
use standfast_core::vote::Vote;
use standfast_proto::v1;
use std::time::Duration;

/// Unix time in milliseconds.
pub(super) fn time(wall_ms: i64) -> Option<Timestamp> {
    let nanos = i32::try_from(wall_ms.rem_euclid(1_000) * 1_000_000).expect("less than a second");
    Some(Timestamp { seconds: wall_ms.div_euclid(1_000), nanos })
}

/// This moment, for people.
pub(super) fn now() -> Option<Timestamp> {
    time(clock::wall_ms())
}

/// Who works on a site.
pub(super) fn maintenance(order: &Order) -> v1::Maintenance {
    v1::Maintenance {
        by: order.by.to_string(),
        reason: order.reason.clone(),
        since: time(order.since_wall_ms),
        remaining: order.left.and_then(span),
    }
}

/// Why nothing begins by itself.
pub(super) fn freeze(freeze: &Order) -> v1::Freeze {
    v1::Freeze {
        by: freeze.by.to_string(),
        reason: freeze.reason.clone(),
        since: time(freeze.since_wall_ms),
        remaining: freeze.left.and_then(span),
    }
}

/// A length of time.
pub(super) fn span(span: Span) -> Option<WireDuration> {
    duration(span.0)
}

/// A length of time.
pub(super) fn duration(duration: Duration) -> Option<WireDuration> {
    let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    Some(WireDuration { seconds, nanos: duration.subsec_nanos().cast_signed() })
}

/// A length of time, below zero too.
pub(super) fn millis(millis: i64) -> WireDuration {
    let nanos = i32::try_from(millis % 1_000 * 1_000_000).expect("less than a second");
    WireDuration { seconds: millis / 1_000, nanos }
}

/// So long before `wall_ms`.
pub(super) fn ago(wall_ms: i64, span: Span) -> i64 {
    wall_ms.saturating_sub(i64::try_from(span.as_ms()).unwrap_or(i64::MAX))
}

/// How many.
pub(super) fn count(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

pub(super) fn mode(mode: Mode) -> v1::Mode {
    match mode {
        Mode::Emergency => v1::Mode::Emergency,
        Mode::Planned => v1::Mode::Planned,
        Mode::Drill => v1::Mode::Drill,
    }
}

pub(super) fn automation(automation: Automation) -> v1::AutomationLevel {
    match automation {
        Automation::Off => v1::AutomationLevel::Off,
        Automation::Advise => v1::AutomationLevel::Advise,
        Automation::Act => v1::AutomationLevel::Act,
    }
}

pub(super) fn role(role: Role) -> v1::SiteRole {
    match role {
        Role::Active => v1::SiteRole::Active,
        Role::Standby => v1::SiteRole::Standby,
        Role::Witness => v1::SiteRole::Witness,
    }
}

pub(super) fn verdict(verdict: Verdict) -> v1::Verdict {
    match verdict {
        Verdict::Healthy => v1::Verdict::Healthy,
        Verdict::Degraded => v1::Verdict::Degraded,
        Verdict::Partitioned => v1::Verdict::Partitioned,
        Verdict::Lost => v1::Verdict::Lost,
        Verdict::Unknown => v1::Verdict::Unknown,
    }
}

pub(super) fn vote(vote: Vote) -> v1::Vote {
    match vote {
        Vote::Up => v1::Vote::Up,
        Vote::Degraded => v1::Vote::Degraded,
        Vote::Down => v1::Vote::Down,
        Vote::Abstain => v1::Vote::Abstain,
    }
}

pub(super) fn on_failure(on_failure: OnFailure) -> v1::OnFailure {
    match on_failure {
        OnFailure::Pause => v1::OnFailure::Pause,
        OnFailure::Abort => v1::OnFailure::Abort,
        OnFailure::Continue => v1::OnFailure::Continue,
        OnFailure::Rollback => v1::OnFailure::Rollback,
    }
}

pub(super) fn run_state(state: State) -> v1::RunState {
    match state {
        State::Proposed => v1::RunState::Proposed,
        State::Running => v1::RunState::Running,
        State::Paused => v1::RunState::Paused,
        State::Blocked => v1::RunState::Blocked,
        State::RollingBack => v1::RunState::RollingBack,
        State::Ended(End::Succeeded) => v1::RunState::Succeeded,
        State::Ended(End::Partial) => v1::RunState::Partial,
        State::Ended(End::RolledBack) => v1::RunState::RolledBack,
        State::Ended(End::Stuck) => v1::RunState::Stuck,
        State::Ended(End::Aborted) => v1::RunState::Aborted,
        State::Ended(End::Cancelled) => v1::RunState::Cancelled,
    }
}

pub(super) fn step_state(state: StepState) -> v1::StepState {
    match state {
        StepState::Pending => v1::StepState::Pending,
        StepState::Started => v1::StepState::Started,
        StepState::Verifying => v1::StepState::Verifying,
        StepState::Unknown => v1::StepState::Unknown,
        StepState::Succeeded => v1::StepState::Succeeded,
        StepState::AlreadyDone => v1::StepState::AlreadyDone,
        StepState::Failed => v1::StepState::Failed,
        StepState::Skipped => v1::StepState::Skipped,
        StepState::Undoing => v1::StepState::Undoing,
        StepState::Undone => v1::StepState::Undone,
        StepState::UndoFailed => v1::StepState::UndoFailed,
    }
}

pub(super) fn severity(severity: standfast_core::look::Severity) -> v1::Severity {
    match severity {
        standfast_core::look::Severity::Error => v1::Severity::Error,
        standfast_core::look::Severity::Warning => v1::Severity::Warning,
        standfast_core::look::Severity::Note => v1::Severity::Note,
    }
}

pub(super) fn finding(finding: &Finding) -> v1::Finding {
    let severity = match finding.code.severity {
        code::Severity::Error => v1::Severity::Error,
        code::Severity::Warning => v1::Severity::Warning,
    };
    v1::Finding {
        id: finding.code.id.to_owned(),
        severity: severity.into(),
        message: finding.message.clone(),
        file: finding.file.clone(),
        line: count(finding.line),
        column: count(finding.column),
        help: finding.help.clone().unwrap_or_default(),
    }
}

pub(super) fn ruling(ruling: &Ruling) -> v1::GuardDecision {
    let outcome = match ruling.says {
        Says::Passes => v1::GuardOutcome::Passed,
        Says::Refuses => v1::GuardOutcome::Refused,
        Says::Later => v1::GuardOutcome::NotAsked,
    };
    guard(ruling.guard, outcome, ruling.reason.clone())
}

pub(super) fn guard(guard: Guard, outcome: v1::GuardOutcome, reason: impl Into<String>) -> v1::GuardDecision {
    let (id, name) = (guard.id(), guard.name().to_owned());
    v1::GuardDecision { id, name, outcome: outcome.into(), reason: reason.into() }
}

/// What was asked and answered, by then.
pub(super) fn evidence(evidence: &Evidence, wall_ms: i64) -> v1::Evidence {
    let prefix = match &evidence.answer {
        Answer::Holds(_) => "",
        Answer::Fails(_) => "no: ",
        Answer::Unknown(_) => "unknown: ",
    };
    let answer = format!("{prefix}{}", evidence.answer.detail());
    v1::Evidence { what: evidence.what.clone(), answer, at: time(wall_ms) }
}
