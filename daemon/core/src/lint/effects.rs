//! What may be done twice, and what can be taken back.

use super::order::Way;
use super::steps::promotes;
use crate::action::repeats;
use crate::decode::{Call, Value};
use crate::finding::{Finding, Findings, code, quoted};
use crate::plan::OnFailure;
use crate::playbook::{Step, Undo};
use crate::time::Span;

/// Reports attempts that the engine will not make, because the first may have been done.
pub(super) fn retries(step: &Step, findings: &mut Findings) {
    let Some(attempts @ 2..) = step.attempts else { return };
    if repeatable(&step.call) != Some(false) {
        return;
    }
    let name = quoted(step.id.value.as_str());
    let message = format!("{attempts} attempts at {name}, which is not idempotent");
    let help = match step.call.spec.name {
        "http.request" | "command.run" | "ssh.run" => {
            "write `attempts: 1`, or `idempotent: true` if doing it twice is the same as doing it once"
        }
        _ => "write `attempts: 1`: what may have been done is looked at, and a person decides",
    };
    findings.push(Finding::new(code::RETRY, step.key_at("attempts"), message).help(help));
}

/// Reports a time in which nothing can be done. A command needs more than others: from its time it
/// is also ended.
pub(super) fn times(step: &Step, findings: &mut Findings) {
    let command = matches!(step.call.spec.name, "command.run" | "ssh.run");
    let least = if command { Span::secs(1) } else { Span::ms(100) };
    let Some(timeout) = step.timeout.filter(|timeout| *timeout < least) else { return };
    let name = quoted(step.id.value.as_str());
    let message = format!("{name} cannot be done in {timeout}: at least {least} are needed");
    findings.push(Finding::new(code::WRONG_VALUE, step.key_at("timeout"), message));
}

/// Whether doing it twice is the same as doing it once; none when only a run can tell.
fn repeatable(call: &Call) -> Option<bool> {
    match call.spec.name {
        "postgres.promote" => Some(false),
        "http.request" | "command.run" | "ssh.run" => {
            match call.args.get("idempotent").map(|value| &value.value) {
                Some(Value::Flag(idempotent)) => Some(*idempotent),
                Some(_) => None,
                None => call.args.text("method").map(repeats),
            }
        }
        _ => Some(true),
    }
}

/// Whether it leaves something behind that could be taken back.
fn is_effect(call: &Call) -> bool {
    match call.spec.name {
        "wait.until" | "approval.ask" | "fence.prove" => false,
        "http.request" => !matches!(call.args.text("method"), Some("GET" | "HEAD")),
        _ => true,
    }
}

fn is_final(step: &Step) -> bool {
    step.point_of_no_return || promotes(&step.call)
}

/// Reports effects that a run may have to leave behind although it could still go back.
pub(super) fn undone(way: &Way<'_>, findings: &mut Findings) {
    if !way.steps().iter().any(|step| is_final(step)) {
        return;
    }
    let past = way.at_or_after(is_final);
    for (step, past) in way.steps().iter().zip(past) {
        if !past && !step.was_given("undo") && is_effect(&step.call) {
            let message = format!(
                "{} comes before the point of no return, and nothing says how it is taken back",
                quoted(step.id.value.as_str())
            );
            findings.push(Finding::new(code::NO_UNDO, step.call.key_at, message).help(
                "add `undo` with the action that takes it back, or `undo: none` if leaving it does no harm",
            ));
        }
    }
}

/// Reports `on_failure: rollback` where there is no way back: from the point of no return, and
/// where an effect before it does not say how it is taken back.
pub(super) fn rolled_back(way: &Way<'_>, findings: &mut Findings) {
    let rolls = |step: &&&Step| step.on_failure == OnFailure::Rollback;
    let Some(first) = way.steps().iter().find(rolls).map(|step| quoted(step.id.value.as_str())) else {
        return;
    };
    let final_at_all = way.steps().iter().any(|step| is_final(step));
    let past = way.at_or_after(is_final);
    for (step, past) in way.steps().iter().zip(past) {
        let name = quoted(step.id.value.as_str());
        if past && step.on_failure == OnFailure::Rollback {
            let message = format!("{name} is past the point of no return, and cannot roll the run back");
            findings.push(Finding::new(code::LATE_ROLLBACK, step.key_at("on_failure"), message).help(
                "write `on_failure: pause`: from there a run only goes forward, and a person is asked",
            ));
        }
        // With a point of no return SF052 says so already.
        if !final_at_all && !step.was_given("undo") && is_effect(&step.call) {
            let message = format!("{first} rolls the run back, and nothing says how {name} is taken back");
            findings.push(Finding::new(code::LATE_ROLLBACK, step.call.key_at, message).help(
                "add `undo` with the action that takes it back, or `undo: none` if leaving it does no harm",
            ));
        }
    }
}

/// Reports an `undo` that no run can come to: in every mode it stands behind the point of no
/// return. One way for each mode.
pub(super) fn too_late(flat: &[&Step], ways: &[Way<'_>], findings: &mut Findings) {
    let mut can_be_run = vec![false; flat.len()];
    let mut runs = vec![false; flat.len()];
    for way in ways {
        for (index, past) in way.indices().zip(way.at_or_after(is_final)) {
            runs[index] = true;
            can_be_run[index] |= !past;
        }
    }
    for (index, step) in flat.iter().enumerate() {
        if runs[index] && !can_be_run[index] && matches!(step.undo, Some(Undo::Act(_))) {
            let message = format!(
                "{} cannot be taken back: the point of no return has started by then",
                quoted(step.id.value.as_str())
            );
            findings.push(Finding::new(code::LATE_UNDO, step.key_at("undo"), message).help(
                "remove `undo`: from the point of no return a run only goes forward, and the way back is a run of its own",
            ));
        }
    }
}
