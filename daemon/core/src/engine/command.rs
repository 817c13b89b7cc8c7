//! What people may ask of a run, and when.

use crate::action::{Action, FenceProof};
use crate::check::Answer;
use crate::guard::Guard;
use crate::ids::{Identity, RunId, SiteId, StepId};
use crate::journal::{Body, End, Evidence};
use crate::run::{Overriding, Run, State, StepState};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A request to a run. Every one carries a reason, which is journaled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// Let a proposed run start, waive its requirements, approve a step, or give one's word
    /// that a site is fenced.
    Approve {
        /// The step; none for the run itself.
        step: Option<StepId>,
        /// Why.
        reason: String,
    },
    /// Cancel a proposed run, or refuse a step's approval, which aborts the run.
    Reject {
        /// Why.
        reason: String,
    },
    /// Try a step again, or the requirements when none is named.
    Retry {
        /// The step.
        step: Option<StepId>,
        /// Why.
        reason: String,
    },
    /// Leave a step out.
    Skip {
        /// The step.
        step: StepId,
        /// Why.
        reason: String,
    },
    /// Start no further step.
    Pause {
        /// Why.
        reason: String,
    },
    /// Start steps again.
    Resume {
        /// Why.
        reason: String,
    },
    /// Take back what was done, in reverse.
    Rollback {
        /// Why.
        reason: String,
    },
    /// End the run once nothing is under way.
    Abort {
        /// Why.
        reason: String,
    },
}

/// Why a request is not carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Which status the caller gets.
    pub kind: RefusalKind,
    /// What, and what to do.
    pub message: String,
    /// What it is about, for programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<About>,
}

/// The thing that a refusal names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum About {
    /// The run that stands in the way.
    Run(RunId),
    /// The site that has changed.
    Site(SiteId),
    /// The role that is missing.
    Role(String),
    /// The safety rule that refuses.
    Guard(Guard),
    /// What the playbook requires and what does not hold.
    Unmet(Vec<Unmet>),
}

/// A requirement that does not hold, or is not known to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unmet {
    /// The name under which it may be waived.
    pub rule: String,
    /// The condition with its bounds.
    pub condition: String,
    /// What was answered.
    pub answer: String,
    /// The role that may waive it; none when nobody may.
    pub role: Option<String>,
}

impl Unmet {
    /// The numbered rule that it is, if it is one.
    pub fn guard(&self) -> Option<Guard> {
        (self.rule == Guard::Lag.name()).then_some(Guard::Lag)
    }
}

/// The kinds of refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalKind {
    /// No such run, step or site.
    NotFound,
    /// Not in this state.
    Precondition,
    /// Not this person.
    Denied,
    /// The request contradicts itself.
    Invalid,
    /// The plan or the state that the caller has seen is not the present one.
    Stale,
}

impl Refusal {
    /// A refusal of `kind`.
    pub fn new(kind: RefusalKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), about: None }
    }

    /// Names what it is about.
    pub fn about(self, about: About) -> Self {
        Self { about: Some(about), ..self }
    }
}

fn precondition(message: impl Into<String>) -> Refusal {
    Refusal::new(RefusalKind::Precondition, message)
}

/// Whether the person has seen the run as it stands now, if they insist on that.
pub fn fresh(run: &Run, seen: Option<u64>) -> Result<(), Refusal> {
    match seen {
        Some(seen) if seen != run.sequence => {
            let message = format!(
                "run {} has changed since you read it: its journal has {} entries, you have seen {seen}",
                run.id, run.sequence
            );
            Err(Refusal::new(RefusalKind::Stale, message).about(About::Run(run.id.clone())))
        }
        _ => Ok(()),
    }
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub struct Person<'a> {
    /// The name in the certificate.
    pub by: &'a Identity,
    /// The roles of that name.
    pub roles: &'a BTreeSet<String>,
    /// What they override takes another person too.
    pub two: bool,
}

/// Whose override an approval is.
enum Whose {
    /// Of the person alone.
    Theirs,
    /// Of the person, once another approves it.
    Asked,
    /// Of somebody else, and the person approves it.
    Approved(Overriding),
}

/// Who overrides something would approve that too.
pub(crate) fn alone() -> Refusal {
    precondition("who overrides something does not approve that too: it takes another person")
        .about(About::Guard(Guard::SecondPerson))
}

/// The entries that carry `command` out, or why not.
pub fn judge(run: &Run, person: &Person<'_>, command: &Command) -> Result<Vec<Body>, Refusal> {
    let state = run.state();
    if let State::Ended(end) = state {
        return Err(precondition(format!("the run has ended: {end}")));
    }
    if state == State::RollingBack && !matches!(command, Command::Abort { .. }) {
        return Err(precondition(
            "the run is being rolled back; it can only be ended where it stands: abort",
        ));
    }
    let by = person.by.clone();
    match command {
        Command::Approve { step: None, reason } => approve_run(run, person, reason),
        Command::Approve { step: Some(step), reason } => approve_step(run, person, step, reason),
        Command::Reject { reason } => match state {
            State::Proposed => {
                Ok(vec![Body::Ended { end: End::Cancelled, why: format!("rejected by {by}: {reason}") }])
            }
            _ if asks_approval(run) => {
                Ok(vec![Body::AbortAsked { by, reason: format!("rejected: {reason}") }])
            }
            _ => {
                Err(precondition(format!("nothing waits for approval: the run is {state}; to end it: abort")))
            }
        },
        Command::Retry { step: None, reason } => {
            if run.blocks.contains_key(&None) {
                Ok(vec![Body::Retried { step: None, by, reason: reason.clone() }])
            } else {
                Err(precondition("no requirement blocks the run; name the step to retry"))
            }
        }
        Command::Retry { step: Some(step), reason } => {
            let record = find(run, step)?;
            let blocked = run.blocks.contains_key(&Some(step.clone()));
            let waits = matches!(record.state, StepState::Pending | StepState::Unknown);
            if blocked && waits || record.state == StepState::Failed {
                Ok(vec![Body::Retried { step: Some(step.clone()), by, reason: reason.clone() }])
            } else {
                Err(precondition(format!("step {step} is {} and does not wait for anybody", record.state)))
            }
        }
        Command::Skip { step, reason } => {
            let record = find(run, step)?;
            let blocked = run.blocks.contains_key(&Some(step.clone()));
            match record.state {
                StepState::Failed | StepState::Unknown => {}
                StepState::Pending if blocked => {}
                _ => {
                    return Err(precondition(format!(
                        "step {step} is {}; only a step that failed or blocks the run can be skipped",
                        record.state
                    )));
                }
            }
            let guarded = matches!(find_action(run, step), Action::FenceProve { .. });
            if guarded {
                let message = format!(
                    "step {step} proves the fence and cannot be skipped; give your word with: approve --step {step}"
                );
                return Err(precondition(message).about(About::Guard(Guard::Fence)));
            }
            Ok(vec![Body::StepSkipped { step: step.clone(), why: reason.clone(), by: Some(by) }])
        }
        Command::Pause { reason } => match state {
            State::Running | State::Blocked => Ok(vec![Body::Paused { by, reason: reason.clone() }]),
            _ => Err(precondition(format!("the run is {state}"))),
        },
        Command::Resume { reason } => match state {
            State::Paused => Ok(vec![Body::Resumed { by, reason: reason.clone() }]),
            _ => Err(precondition(format!("the run is {state}, not Paused"))),
        },
        Command::Rollback { reason } => match (state, run.no_way_back(), &run.abort_asked) {
            (_, _, Some(why)) => Err(precondition(format!("the run is ending already: {why}"))),
            (_, Some(why), _) => Err(precondition(why)),
            (State::Blocked | State::Paused, None, None) => {
                Ok(vec![Body::RollbackBegun { by: Some(by), why: reason.clone() }])
            }
            (state, None, None) => Err(precondition(format!("the run is {state}: pause it first"))),
        },
        Command::Abort { reason } => match &run.abort_asked {
            None => Ok(vec![Body::AbortAsked { by, reason: reason.clone() }]),
            Some(why) => Err(precondition(format!("the run is ending already: {why}"))),
        },
    }
}

fn find<'a>(run: &'a Run, step: &StepId) -> Result<&'a crate::run::StepRecord, Refusal> {
    let at = run.step_index(step);
    at.map(|at| &run.steps[at]).ok_or_else(|| {
        Refusal::new(RefusalKind::NotFound, format!("the plan of {} has no step {step}", run.id))
    })
}

fn find_action<'a>(run: &'a Run, step: &StepId) -> &'a Action {
    let at = run.step_index(step).expect("the step was found");
    &run.plan.steps[at].action
}

fn asks_approval(run: &Run) -> bool {
    let mut steps = run.steps.iter().zip(&run.plan.steps);
    steps.any(|(record, spec)| {
        record.state == StepState::Started && matches!(spec.action, Action::ApprovalAsk { .. })
    })
}

impl Person<'_> {
    fn needs(&self, role: &str) -> Result<(), Refusal> {
        if self.roles.contains(role) {
            return Ok(());
        }
        let message = format!("this takes the role {role}, which the fleet does not give to {}", self.by);
        Err(Refusal::new(RefusalKind::Denied, message).about(About::Role(role.into())))
    }

    /// Whose override of a step, or of the requirements, their approval is.
    fn overrides(&self, run: &Run, step: Option<&StepId>) -> Result<Whose, Refusal> {
        match run.overriding.get(&step.cloned()) {
            _ if !self.two => Ok(Whose::Theirs),
            None => Ok(Whose::Asked),
            Some(asked) if asked.by == *self.by => Err(alone()),
            Some(asked) => Ok(Whose::Approved(asked.clone())),
        }
    }
}

/// A safety rule gives way to this person: the journal must be able to say why.
fn needs_reason(reason: &str) -> Result<(), Refusal> {
    if reason.trim().is_empty() {
        let message =
            "reason: say why a safety rule may give way: it stands in the journal and in the report";
        return Err(Refusal::new(RefusalKind::Invalid, message));
    }
    Ok(())
}

fn approve_run(run: &Run, person: &Person<'_>, reason: &str) -> Result<Vec<Body>, Refusal> {
    let (by, reason) = (person.by.clone(), reason.to_owned());
    if run.state() == State::Proposed {
        return Ok(vec![Body::Approved { by, reason }]);
    }
    if !run.blocks.contains_key(&None) {
        return Err(precondition(format!("the run is {}; name the step to approve", run.state())));
    }
    let open = run.plan.require.iter().enumerate().filter(|(index, _)| !run.waived.contains(index));
    // Those that hold by themselves need no waiver; those that nobody may waive stay.
    let open: Vec<(usize, &String)> =
        open.filter_map(|(index, spec)| Some((index, spec.override_by.as_ref()?))).collect();
    if open.is_empty() {
        return Err(precondition("no role may waive these requirements; mend the cause and retry"));
    }
    let whose = person.overrides(run, None)?;
    if !matches!(whose, Whose::Approved(_)) {
        open.iter().try_for_each(|(_, role)| person.needs(role))?;
    }
    needs_reason(&reason)?;
    let waive = |by: &Identity, reason: &str| {
        let waived = |(requirement, _): &(usize, _)| Body::Waived {
            requirement: *requirement,
            by: by.clone(),
            reason: reason.to_owned(),
        };
        open.iter().map(waived).collect::<Vec<Body>>()
    };
    Ok(match whose {
        Whose::Theirs => waive(&by, &reason),
        Whose::Asked => vec![Body::OverrideAsked { step: None, by, reason }],
        Whose::Approved(Overriding { by: first, reason: why }) => {
            [vec![Body::Approved { by, reason }], waive(&first, &why)].concat()
        }
    })
}

fn approve_step(run: &Run, person: &Person<'_>, step: &StepId, reason: &str) -> Result<Vec<Body>, Refusal> {
    let record = find(run, step)?;
    match find_action(run, step) {
        Action::ApprovalAsk { role, .. } if record.state == StepState::Started => {
            person.needs(role)?;
            let by = person.by.clone();
            if record.approvals.contains(&by) {
                return Err(precondition(format!("{by} has approved already; another person is needed")));
            }
            Ok(vec![Body::ApprovalGiven { step: step.clone(), by, reason: reason.into() }])
        }
        Action::FenceProve { site, any_of } if record.state == StepState::Failed => {
            let role = any_of.iter().find_map(|proof| match proof {
                FenceProof::OperatorWord { role } => Some(role),
                _ => None,
            });
            let role = role.ok_or_else(|| {
                precondition(format!(
                    "step {step} does not list operator_word: nobody's word can replace the proof"
                ))
            })?;
            give_word(run, person, (step, site, role), reason)
        }
        _ => Err(precondition(format!("step {step} is {} and asks for no approval", record.state))),
    }
}

/// Somebody's word that `site` cannot write.
fn give_word(
    run: &Run,
    person: &Person<'_>,
    (step, site, role): (&StepId, &SiteId, &str),
    reason: &str,
) -> Result<Vec<Body>, Refusal> {
    let whose = person.overrides(run, Some(step))?;
    if !matches!(whose, Whose::Approved(_)) {
        person.needs(role)?;
    }
    needs_reason(reason)?;
    let (by, reason, step) = (person.by.clone(), reason.to_owned(), step.clone());
    let word = |by: Identity, reason: String, approved: &str| {
        let said = format!("on the word of {by} that {site} cannot write: {reason}{approved}");
        let evidence = vec![Evidence { what: "fence.prove".into(), answer: Answer::Holds(said) }];
        let given = Body::ApprovalGiven { step: step.clone(), by, reason };
        [given, Body::StepSucceeded { step: step.clone(), evidence }]
    };
    Ok(match whose {
        Whose::Theirs => word(by, reason, "").into(),
        Whose::Asked => vec![Body::OverrideAsked { step: Some(step.clone()), by, reason }],
        Whose::Approved(Overriding { by: first, reason: why }) => {
            let approved = format!("; approved by {by}: {reason}");
            let approval = Body::Approved { by, reason };
            [approval].into_iter().chain(word(first, why, &approved)).collect()
        }
    })
}
