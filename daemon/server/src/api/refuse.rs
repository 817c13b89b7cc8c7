//! Refusals on the wire: a gRPC code, a sentence, and `google.rpc` details for programs.
//! `common.proto` is the contract.

use crate::bundles::BundleError;
use crate::store::StoreError;
use standfast_core::controller::{About, RefusalKind, Unmet};
use standfast_core::engine::Refusal;
use standfast_core::finding::Findings;
use standfast_core::guard::Guard;
use standfast_proto::reason;
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, PreconditionViolation, StatusExt};

/// When another try makes sense, after the store had no quorum.
const RETRY_AFTER: Duration = Duration::from_secs(2);
/// Details travel in headers, which clients take up to 16 KiB of.
const MAX_DETAIL_BYTES: usize = 6 * 1024;
/// So does the message, in which what is not ASCII takes three times its bytes.
const MAX_MESSAGE_BYTES: usize = 2 * 1024;
/// The longest of what callers have sent, where it is repeated to them.
const MAX_WORD_BYTES: usize = 300;

/// The begin of `text`, if it has more than `most` bytes.
fn cut(text: impl Into<String>, most: usize) -> String {
    let text = text.into();
    if text.len() <= most {
        return text;
    }
    format!("{}... ({} bytes)", &text[..text.floor_char_boundary(most)], text.len())
}

fn status(
    code: Code,
    reason: &str,
    message: impl Into<String>,
    about: &[(&str, &str)],
    fill: impl FnOnce(&mut ErrorDetails),
) -> Status {
    let about: HashMap<String, String> =
        about.iter().map(|(key, value)| ((*key).to_owned(), cut(*value, MAX_MESSAGE_BYTES))).collect();
    let message = cut(message, MAX_MESSAGE_BYTES);
    let mut details = ErrorDetails::with_error_info(reason, reason::DOMAIN, about);
    fill(&mut details);
    Status::with_error_details(code, message, details)
}

/// A field of the request is wrong.
pub(super) fn bad_field(field: &str, why: impl Into<String>) -> Status {
    let why = cut(why, MAX_MESSAGE_BYTES);
    status(Code::InvalidArgument, reason::BAD_FIELD, format!("{field}: {why}"), &[], |details| {
        details.set_bad_request(vec![FieldViolation::new(field, why)]);
    })
}

/// There is nothing of that name.
pub(super) fn not_found(kind: &str, name: &str, help: &str) -> Status {
    let name = cut(standfast_core::finding::printable(name), MAX_WORD_BYTES);
    let message = format!("there is no {kind} {name:?}; {help}");
    status(Code::NotFound, reason::NO_SUCH_THING, message, &[], |details| {
        details.set_resource_info(kind, name.as_str(), "", "");
    })
}

/// The caller may not.
pub(super) fn not_allowed(message: impl Into<String>) -> Status {
    status(Code::PermissionDenied, reason::NOT_ALLOWED, message, &[], |_| {})
}

/// There is no such run, or not any more.
pub(super) fn no_run(id: &str) -> Status {
    not_found("run", id, "see: standfast run list")
}

/// Not possible in the state that something is in.
pub(super) fn wrong_state(message: impl Into<String>, state: &str) -> Status {
    status(Code::FailedPrecondition, reason::WRONG_STATE, message, &[("state", state)], |_| {})
}

/// It takes something away, and that has to be wanted.
pub(super) fn consent_needed(message: impl Into<String>) -> Status {
    let about = [("field", "replace_fleet")];
    status(Code::FailedPrecondition, reason::CONSENT_NEEDED, message, &about, |_| {})
}

/// What the caller has read is not what is there.
pub(super) fn stale(message: impl Into<String>) -> Status {
    status(Code::Aborted, reason::STALE_ETAG, message, &[], |_| {})
}

/// The request id came before, with something else.
pub(super) fn reused(request: &str) -> Status {
    let message = format!("the request id {request} was used before, for something else; take a new one");
    status(Code::InvalidArgument, reason::REQUEST_ID_REUSED, message, &[], |_| {})
}

/// A revision that the store does not have any more, or not yet.
pub(super) fn compacted(message: impl Into<String>) -> Status {
    status(Code::OutOfRange, reason::COMPACTED, message, &[], |_| {})
}

/// Nobody knows whether it happened.
pub(super) fn uncertain(message: impl Into<String>) -> Status {
    status(Code::Unknown, reason::UNCERTAIN, message, &[], |_| {})
}

/// This member cannot go on with a watch; another one can.
pub(super) fn lost(why: impl std::fmt::Display) -> Status {
    let message = format!("{why}; go on from the last revision on another member");
    status(Code::Unavailable, reason::NO_QUORUM, message, &[], |details| {
        details.set_retry_info(Some(RETRY_AFTER));
    })
}

/// Files that do not lint. As many findings as fit; all of them come with `validate_only`.
pub(super) fn findings(findings: &Findings) -> Status {
    let errors: Vec<_> = findings.iter().filter(|finding| finding.is_error()).collect();
    let count = errors.len() + findings.dropped();
    let mut room = MAX_DETAIL_BYTES;
    let mut violations = Vec::new();
    let mut ids: Vec<&str> = Vec::new();
    for finding in errors {
        let size = finding.message.len() + finding.file.len() + 40;
        if size > room {
            break;
        }
        room -= size;
        let place = match (finding.file.as_str(), finding.line) {
            ("", _) => String::new(),
            (file, 0) => file.to_owned(),
            (file, line) => format!("{file}:{line}:{}", finding.column),
        };
        let mut violation = FieldViolation::new(place, finding.message.as_str());
        violation.reason = finding.code.id.to_owned();
        violations.push(violation);
        if !ids.contains(&finding.code.id) {
            ids.push(finding.code.id);
        }
    }
    let more = match count - violations.len() {
        0 => String::new(),
        more => format!("; {more} more: standfast lint"),
    };
    let errors = if count == 1 { "error" } else { "errors" };
    let message = format!("{count} {errors} in these files{more}");
    let ids = ids.join(",");
    status(Code::InvalidArgument, reason::FINDINGS, message, &[("findings", &ids)], |details| {
        details.set_bad_request(violations);
    })
}

/// The leader has said no.
pub(super) fn refusal(refusal: &Refusal) -> Status {
    let message = refusal.message.as_str();
    match (refusal.kind, &refusal.about) {
        (RefusalKind::NotFound, _) => {
            status(Code::NotFound, reason::NO_SUCH_THING, message, &[], |details| {
                details.set_resource_info("step", "", "", cut(message, MAX_MESSAGE_BYTES));
            })
        }
        (RefusalKind::Denied, Some(About::Role(role))) => {
            status(Code::PermissionDenied, reason::NOT_ALLOWED, message, &[("role", role)], |_| {})
        }
        (RefusalKind::Denied, _) => not_allowed(message),
        (RefusalKind::Invalid, _) => status(Code::InvalidArgument, reason::BAD_FIELD, message, &[], |_| {}),
        (RefusalKind::Stale, Some(About::Run(_) | About::Site(_))) => stale(message),
        (RefusalKind::Stale, _) => status(Code::Aborted, reason::STALE_PLAN, message, &[], |_| {}),
        (RefusalKind::Precondition, Some(About::Run(run))) => {
            status(Code::FailedPrecondition, reason::LOCKED, message, &[("run", run.as_str())], |_| {})
        }
        (RefusalKind::Precondition, Some(About::Guard(guard))) => {
            let id = guard.id();
            let about = [("guards", id.as_str())];
            let text = format!("refused by {guard}: {message}");
            status(Code::FailedPrecondition, reason::GUARD_REFUSED, text, &about, |details| {
                let why = cut(message, MAX_MESSAGE_BYTES);
                let violation = PreconditionViolation::new(id.as_str(), guard.name(), why);
                details.set_precondition_failure(vec![violation]);
            })
        }
        (RefusalKind::Precondition, Some(About::Unmet(unmet))) => unmet_requirements(message, unmet),
        (RefusalKind::Precondition, _) => wrong_state(message, ""),
    }
}

/// What a playbook requires does not hold: refused by a guard if one of it is a guard's.
fn unmet_requirements(message: &str, unmet: &[Unmet]) -> Status {
    let joined = |names: BTreeSet<String>| names.into_iter().collect::<Vec<_>>().join(",");
    let guards: BTreeSet<Guard> = unmet.iter().filter_map(Unmet::guard).collect();
    let ids = joined(guards.iter().map(|guard| guard.id()).collect());
    // Only if all of it may be waived is it of use to say how.
    let roles: Option<BTreeSet<String>> = unmet.iter().map(|unmet| unmet.role.clone()).collect();
    let rules = joined(unmet.iter().map(|unmet| unmet.rule.clone()).collect());
    let roles = roles.map(joined);
    let mut about = match &roles {
        Some(roles) => vec![("override", rules.as_str()), ("role", roles.as_str())],
        None => vec![("override", "")],
    };
    let (reason, text) = match guards.first() {
        Some(guard) => {
            about.push(("guards", ids.as_str()));
            (reason::GUARD_REFUSED, format!("refused by {guard}: {message}"))
        }
        None => (reason::REQUIRE_UNMET, message.to_owned()),
    };
    status(Code::FailedPrecondition, reason, text, &about, |details| {
        let violation = |unmet: &Unmet| {
            let (kind, subject) = match unmet.guard() {
                Some(guard) => (guard.id(), guard.name().to_owned()),
                None => ("REQUIRE".to_owned(), unmet.condition.clone()),
            };
            let why = match unmet.guard() {
                Some(_) => format!("{}: {}", unmet.condition, unmet.answer),
                None => unmet.answer.clone(),
            };
            PreconditionViolation::new(kind, cut(subject, MAX_WORD_BYTES), cut(why, MAX_WORD_BYTES))
        };
        let mut room = MAX_DETAIL_BYTES;
        let fits = |violation: &PreconditionViolation| {
            let size = violation.subject.len() + violation.description.len() + 40;
            let fits = size <= room;
            room = room.saturating_sub(size);
            fits
        };
        details.set_precondition_failure(unmet.iter().map(violation).take_while(fits).collect::<Vec<_>>());
    })
}

/// The store could not do it.
pub(super) fn store(error: StoreError) -> Status {
    let message = error.to_string();
    match error {
        StoreError::Unavailable { .. } => {
            let message = format!(
                "{message}. Nothing was written. Bring back a majority of the store's members, then repeat this; \
                 if a site burns meanwhile: standfast local run"
            );
            status(Code::Unavailable, reason::NO_QUORUM, message, &[], |details| {
                details.set_retry_info(Some(RETRY_AFTER));
            })
        }
        StoreError::Ambiguous { .. } => uncertain(message),
        StoreError::TooLarge { .. } | StoreError::NoSpace { .. } => {
            status(Code::ResourceExhausted, reason::TOO_LARGE, message, &[], |_| {})
        }
        StoreError::Compacted { .. } => compacted(message),
        StoreError::LeaseExpired(_)
        | StoreError::Denied { .. }
        | StoreError::Corrupt { .. }
        | StoreError::Invalid(_) => {
            tracing::error!(error = message, "the store refuses what this member asks");
            Status::internal(message)
        }
    }
}

/// A bundle could not be read or applied.
pub(super) fn bundle(error: BundleError) -> Status {
    match error {
        BundleError::Store(error) => store(error),
        BundleError::Stale(_) => stale(error.to_string()),
        BundleError::Reused(request) => reused(&request),
        BundleError::OtherFleet { .. } | BundleError::NoSite(_) => consent_needed(error.to_string()),
        BundleError::Unreadable(_) | BundleError::Unusable { .. } => internal(error),
    }
}

/// Something in the store is not what this version writes.
pub(super) fn internal(error: impl std::fmt::Display) -> Status {
    let message = error.to_string();
    tracing::error!(error = message, "a call fails");
    Status::internal(message)
}
