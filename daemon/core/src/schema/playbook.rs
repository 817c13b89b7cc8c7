//! The keys of a playbook and the envelope of a step.

use super::calls::{ACTION, CONDITION};
use super::{ALLOW, CallKind, Field, Type};

static MODE: Type = Type::Choice(&["emergency", "planned", "drill"]);
static SERVICE: Type = Type::Service;
static STEP_NAME: Type = Type::Step;
static INPUT: Type = Type::Object(&[
    Field::optional("default", Type::Text, "used when the run does not give it"),
    Field::optional("doc", Type::Text, "what it is for"),
]);

/// Verification of a step.
pub static VERIFY: &[Field] = &[
    Field::required("within", Type::Span, "deadline, from the end of the act"),
    Field::required("all", Type::List(&CONDITION), "all must hold in one round"),
];

/// How long a step takes.
pub static EXPECT: &[Field] = &[
    Field::default("min", Type::Span, "half of `likely`", "when everything goes well"),
    Field::required("likely", Type::Span, "most of the time"),
    Field::required("max", Type::Span, "at worst, when nothing fails"),
];

/// What may stand beside a condition of `require`.
pub static REQUIRE: &[Field] =
    &[Field::optional("override", Type::Role, "who may waive it, by name; audited")];

/// A condition of `require`.
pub static REQUIREMENT: Type = Type::Call(CallKind::Condition, REQUIRE);

/// A step.
pub static STEP: Type = Type::Call(CallKind::Action, ENVELOPE);

/// What may stand beside an action.
pub static ENVELOPE: &[Field] = &[
    Field::required("id", Type::Name, "its name, once in the playbook"),
    Field::optional(
        "needs",
        Type::List(&STEP_NAME),
        "steps that must have ended well before; replaces the step above it. The id of a parallel \
         block means all its steps",
    ),
    Field::optional("modes", Type::List(&MODE), "only in these; when absent, in all of the playbook's"),
    Field::optional(
        "timeout",
        Type::Span,
        "for one act, without its verification. Of a command's a quarter, at most 2.1s, is for ending it",
    ),
    Field::optional("attempts", Type::Number(1, 100), "how often it is tried"),
    Field::default("backoff", Type::Span, "1s", "before the second attempt; doubled for each further one"),
    Field::default(
        "on_failure",
        Type::Choice(&["pause", "abort", "continue", "rollback"]),
        "pause",
        "when its attempts are spent: a person is asked; the run ends; the run goes on and can only \
         end partial; before the point of no return what was done is taken back",
    ),
    Field::default(
        "unreachable",
        Type::Choice(&["fail", "skip"]),
        "fail",
        "when its target cannot be reached: a failure, or to be expected of a lost site",
    ),
    Field::optional("verify", Type::Object(VERIFY), "what proves it"),
    Field::optional(
        "uses",
        Type::List(&SERVICE),
        "services that it is done with, beside what its action names: a program's tools",
    ),
    Field::optional(
        "restores",
        Type::List(&SERVICE),
        "services that are back once it has succeeded; when absent, those whose resource it acts on at `$to`",
    ),
    Field::optional(
        "expect",
        Type::Object(EXPECT),
        "how long it takes, verification included; for `standfast simulate`, which else guesses from the \
         timeouts. Changes nothing about a run",
    ),
    Field::optional("undo", Type::NoneOr(&ACTION), "what takes it back; `none`: leaving it does no harm"),
    Field::default(
        "point_of_no_return",
        Type::Flag,
        "false",
        "once this step has started, the run only goes forward",
    ),
    ALLOW,
    Field::optional(
        "parallel",
        Type::List(&STEP),
        "instead of an action, beside `id` alone: steps that run side by side",
    ),
];

/// A playbook.
pub static PLAYBOOK: &[Field] = &[
    Field::required("api", Type::Choice(&["standfast/v1"]), "the version of this format"),
    Field::required("playbook", Type::Name, "its name"),
    Field::required("title", Type::Text, "for people"),
    Field::required(
        "services",
        Type::List(&SERVICE),
        "what it moves; with what these need, locked while it runs",
    ),
    Field::required("modes", Type::List(&MODE), "why a site may be left with it"),
    Field::optional(
        "confirm",
        Type::Span,
        "how long a majority must say DOWN before this is run by itself, when the fleet's `confirm` is \
         too short: for data whose unneeded promotion costs more than the outage",
    ),
    Field::optional("inputs", Type::Map(&INPUT), "values of `$inputs.x`, given with the run"),
    Field::optional("require", Type::List(&REQUIREMENT), "read-only; all hold before the first step"),
    ALLOW,
    Field::required("steps", Type::List(&STEP), "from top to bottom"),
];
