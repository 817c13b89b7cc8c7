//! Exit codes, and how a failed call becomes one.

use std::fmt;
use std::process::ExitCode;

use standfast_proto::reason;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// What a script can tell from `$?`. The numbers are a promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// A run or a remote operation failed.
    Failed = 1,
    /// The command line, a file or the settings are wrong, or name what is not there.
    Usage = 2,
    /// Something was found that refuses it: an error in a file, a guard, a condition. Nothing
    /// was begun.
    Found = 3,
    /// Changes are pending (`plan --exit-code`).
    Pending = 4,
    /// No member answers, or the store takes no writes.
    Unreachable = 5,
    /// Not allowed.
    Denied = 6,
    /// The plan or the etag is stale.
    Stale = 7,
    /// It waits for people.
    Waiting = 8,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// Why a command ended early: the exit code, what happened, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The code.
    pub exit: Exit,
    /// What happened; the first line is one sentence.
    pub message: String,
    /// What to do, one line each.
    pub hints: Vec<String>,
    /// A member has said no: nothing was done, and nothing will be.
    pub answered: bool,
}

impl Failure {
    /// A failure without a hint.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hints: Vec::new(), answered: false }
    }

    /// The command line is wrong.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// Adds what to do.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

impl std::error::Error for Failure {}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        self.hints.iter().try_for_each(|hint| write!(f, "\n  = {hint}"))
    }
}

/// The server's own word decides; the gRPC code does when it said none, as a proxy would.
impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        let details = status.get_error_details();
        let said = details.error_info().filter(|info| info.domain == reason::DOMAIN);
        let exit =
            said.and_then(|info| exit_of_reason(&info.reason)).unwrap_or_else(|| exit_of_code(status.code()));
        let mut message = match status.message() {
            "" => format!("the call failed: {}", status.code()),
            message => message.to_owned(),
        };
        let lines = detail_lines(&details, &message);
        for line in lines {
            message.push_str("\n  ");
            message.push_str(&line);
        }
        let mut failure = Self::new(exit, message);
        if let Some(info) = said {
            failure.answered = ![reason::UNCERTAIN, reason::NO_QUORUM].contains(&info.reason.as_str());
            failure.hints.extend(hint_of(&info.reason, |key| info.metadata.get(key).cloned()));
        }
        failure
    }
}

fn exit_of_reason(said: &str) -> Option<Exit> {
    Some(match said {
        reason::FINDINGS
        | reason::GUARD_REFUSED
        | reason::REQUIRE_UNMET
        | reason::LOCKED
        | reason::CONSENT_NEEDED => Exit::Found,
        reason::BAD_FIELD | reason::REQUEST_ID_REUSED | reason::NO_SUCH_THING => Exit::Usage,
        reason::STALE_ETAG | reason::STALE_PLAN => Exit::Stale,
        reason::NO_CERTIFICATE | reason::NOT_ALLOWED => Exit::Denied,
        reason::NO_QUORUM => Exit::Unreachable,
        reason::WRONG_STATE | reason::COMPACTED | reason::TOO_LARGE | reason::UNCERTAIN => Exit::Failed,
        _ => return None,
    })
}

fn exit_of_code(code: Code) -> Exit {
    match code {
        Code::Ok => Exit::Done,
        Code::InvalidArgument | Code::NotFound => Exit::Usage,
        Code::Unavailable | Code::DeadlineExceeded => Exit::Unreachable,
        Code::PermissionDenied | Code::Unauthenticated => Exit::Denied,
        Code::Aborted => Exit::Stale,
        _ => Exit::Failed,
    }
}

/// The ids and places that the message does not carry.
fn detail_lines(details: &ErrorDetails, message: &str) -> Vec<String> {
    let fields = details.bad_request().into_iter().flat_map(|bad| &bad.field_violations);
    let fields = fields.map(|v| (v.reason.as_str(), v.field.as_str(), v.description.as_str()));
    let refusals = details.precondition_failure().into_iter().flat_map(|failure| &failure.violations);
    let refusals = refusals.map(|v| match v.r#type.as_str() {
        "REQUIRE" => ("", v.subject.as_str(), v.description.as_str()),
        id => (id, v.subject.as_str(), v.description.as_str()),
    });
    fields
        .chain(refusals)
        .filter(|(id, what, why)| [id, what, why].into_iter().any(|part| !message.contains(part)))
        .map(|(id, what, why)| format!("{id} {what}: {why}").trim_start().to_owned())
        .collect()
}

fn hint_of(said: &str, metadata: impl Fn(&str) -> Option<String>) -> Option<String> {
    match said {
        reason::LOCKED => metadata("run").map(|run| format!("to look at it: standfast run get {run}")),
        reason::GUARD_REFUSED | reason::REQUIRE_UNMET => metadata("override").map(|names| {
            if names.is_empty() {
                return "mend it, and do this again: nobody may waive it".to_owned();
            }
            let waive: Vec<String> =
                names.split(',').map(|name| format!("--override {name}='why'")).collect();
            let role = metadata("role").unwrap_or_default();
            let waive = waive.join(" ");
            format!("mend it, and do this again; or take it upon yourself, in the role `{role}`: {waive}")
        }),
        reason::NOT_ALLOWED => {
            metadata("role").map(|role| format!("it takes the role `{role}`: one of its people has to do it"))
        }
        reason::NO_CERTIFICATE => {
            Some("give a client certificate: --tls-ca, --tls-cert, --tls-key".to_owned())
        }
        reason::CONSENT_NEEDED => metadata("field")
            .map(|field| format!("if that is meant: --{} --reason 'why'", field.replace('_', "-"))),
        reason::STALE_ETAG => Some("read it again, and decide again".to_owned()),
        reason::STALE_PLAN => Some("make the plan again, and look at it again".to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;
    use tonic_types::{ErrorDetails, FieldViolation, PreconditionViolation};

    fn status(code: Code, reason: &str, fill: impl FnOnce(&mut ErrorDetails)) -> Status {
        let mut details = ErrorDetails::new();
        details.set_error_info(reason, "standfast", HashMap::new());
        fill(&mut details);
        Status::with_error_details(code, "no", details)
    }

    #[test]
    fn every_reason_has_an_exit_code() {
        for said in reason::ALL {
            assert!(exit_of_reason(said).is_some(), "{said}");
        }
    }

    #[test]
    fn the_codes_are_those_of_the_design() {
        let exits = [
            (Exit::Done, 0),
            (Exit::Failed, 1),
            (Exit::Usage, 2),
            (Exit::Found, 3),
            (Exit::Pending, 4),
            (Exit::Unreachable, 5),
            (Exit::Denied, 6),
            (Exit::Stale, 7),
            (Exit::Waiting, 8),
        ];
        for (exit, number) in exits {
            assert_eq!(exit as u8, number);
        }
    }

    #[test]
    fn a_refusal_names_its_guards() {
        let refused = status(Code::FailedPrecondition, reason::GUARD_REFUSED, |details| {
            let violations = vec![PreconditionViolation::new("G08", "lag", "12 s, allowed 5 s")];
            details.set_precondition_failure(violations);
        });
        let failure = Failure::from(refused);
        assert_eq!(failure.exit, Exit::Found);
        assert_eq!(failure.message, "no\n  G08 lag: 12 s, allowed 5 s");
    }

    #[test]
    fn what_is_said_is_not_said_twice() {
        let refused = status(Code::InvalidArgument, reason::BAD_FIELD, |details| {
            details.set_bad_request(vec![FieldViolation::new("mode", "say which")]);
        });
        let refused =
            Status::with_error_details(refused.code(), "mode: say which", refused.get_error_details());
        assert_eq!(Failure::from(refused).message, "mode: say which");
    }

    #[test]
    fn what_may_be_waived_is_said_with_its_name_and_role() {
        let hint = |names: &str| {
            let metadata = [("override", names), ("role", "commander")];
            let metadata = metadata.map(|(key, value)| (key.to_owned(), value.to_owned()));
            let mut details = ErrorDetails::new();
            details.set_error_info(reason::REQUIRE_UNMET, "standfast", HashMap::from(metadata));
            let status = Status::with_error_details(Code::FailedPrecondition, "no", details);
            Failure::from(status).hints
        };
        assert!(hint("")[0].ends_with("nobody may waive it"), "{:?}", hint(""));
        let said = "in the role `commander`: --override lag='why' --override http.get='why'";
        assert!(hint("lag,http.get")[0].ends_with(said), "{:?}", hint("lag,http.get"));
    }

    #[test]
    fn findings_come_with_place_and_id() {
        let refused = status(Code::InvalidArgument, reason::FINDINGS, |details| {
            let mut violation = FieldViolation::new("shop.yaml:12:3", "unknown key `tmeout`");
            violation.reason = "SF0107".into();
            details.set_bad_request(vec![violation]);
        });
        let failure = Failure::from(refused);
        assert_eq!(failure.exit, Exit::Found);
        assert_eq!(failure.message, "no\n  SF0107 shop.yaml:12:3: unknown key `tmeout`");
    }

    #[test]
    fn a_lock_says_which_run_to_look_at() {
        let mut details = ErrorDetails::new();
        let metadata = HashMap::from([("run".to_owned(), "shop-7kq2".to_owned())]);
        details.set_error_info(reason::LOCKED, "standfast", metadata);
        let refused = Status::with_error_details(Code::FailedPrecondition, "b is taken", details);
        let failure = Failure::from(refused);
        assert_eq!(failure.exit, Exit::Found);
        assert_eq!(failure.hints, ["to look at it: standfast run get shop-7kq2"]);
    }

    #[test]
    fn without_details_the_grpc_code_decides() {
        let exit = |code| Failure::from(Status::new(code, "")).exit;
        assert_eq!(exit(Code::Unavailable), Exit::Unreachable);
        assert_eq!(exit(Code::DeadlineExceeded), Exit::Unreachable);
        assert_eq!(exit(Code::PermissionDenied), Exit::Denied);
        assert_eq!(exit(Code::Aborted), Exit::Stale);
        assert_eq!(exit(Code::InvalidArgument), Exit::Usage);
        assert_eq!(exit(Code::NotFound), Exit::Usage);
        assert_eq!(exit(Code::Internal), Exit::Failed);
    }

    #[test]
    fn a_foreign_reason_is_not_believed() {
        let mut details = ErrorDetails::new();
        details.set_error_info(reason::GUARD_REFUSED, "example.net", HashMap::new());
        let status = Status::with_error_details(Code::Unavailable, "no", details);
        assert_eq!(Failure::from(status).exit, Exit::Unreachable);
    }
}
