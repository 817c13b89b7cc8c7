//! A playbook: steps, what must hold before them, how each is verified. Not yet bound.

use crate::compose;
use crate::decode::{Call, Object, Value};
use crate::finding::{Finding, Findings, code, quoted};
use crate::ids::{PlaybookId, ServiceId, StepId};
use crate::plan::{Mode, OnFailure, Unreachable};
use crate::source::{Place, Spanned};
use crate::time::Span;
use std::collections::{BTreeMap, BTreeSet};

/// More steps than this in one playbook are refused.
pub const MAX_STEPS: usize = 10_000;

/// A playbook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Playbook {
    /// Its name.
    pub id: Spanned<PlaybookId>,
    /// For people.
    pub title: String,
    /// What it moves.
    pub services: Vec<Spanned<ServiceId>>,
    /// Why a site may be left with it.
    pub modes: BTreeSet<Mode>,
    /// How long a loss must be confirmed before this runs by itself, if longer than the fleet's.
    pub confirm: Option<Span>,
    /// Values that a run gives, and their defaults.
    pub inputs: BTreeMap<String, Option<String>>,
    /// What must hold before the first step.
    pub require: Vec<Require>,
    /// From top to bottom.
    pub steps: Vec<Entry>,
    /// Steps that could not be read, by name if they have one: reported, and known to exist.
    pub broken: Vec<Spanned<StepId>>,
}

/// What must hold before the first step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Require {
    /// The condition.
    pub call: Call,
    /// Who may waive it.
    pub override_by: Option<String>,
}

/// An entry of the list of steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// One step.
    Step(Box<Step>),
    /// Steps that run side by side.
    Parallel {
        /// The block's name.
        id: Spanned<StepId>,
        /// Its steps.
        steps: Vec<Step>,
    },
    /// The entries of another playbook, in place of the step that named it.
    Group {
        /// The name of that step.
        id: Spanned<StepId>,
        /// What must have ended before; `None` means the entry above it.
        needs: Option<Vec<Spanned<StepId>>>,
        /// From top to bottom.
        entries: Vec<Entry>,
    },
}

impl Entry {
    fn flat<'a>(&'a self, steps: &mut Vec<&'a Step>) {
        match self {
            Entry::Step(step) => steps.push(step),
            Entry::Parallel { steps: block, .. } => steps.extend(block),
            Entry::Group { entries, .. } => entries.iter().for_each(|entry| entry.flat(steps)),
        }
    }
}

/// A step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its name.
    pub id: Spanned<StepId>,
    /// What it does.
    pub call: Call,
    /// What must have ended before; `None` means the entry above it.
    pub needs: Option<Vec<Spanned<StepId>>>,
    /// Only in these; all of the playbook's when empty.
    pub modes: BTreeSet<Mode>,
    /// For one act.
    pub timeout: Option<Span>,
    /// How often it is tried.
    pub attempts: Option<u32>,
    /// Before the second attempt.
    pub backoff: Span,
    /// When its attempts are spent.
    pub on_failure: OnFailure,
    /// When its target cannot be reached.
    pub unreachable: Unreachable,
    /// What proves it.
    pub verify: Option<Verify>,
    /// What it is done with, beside what its action names.
    pub uses: Vec<Spanned<ServiceId>>,
    /// What is back once it has succeeded; when empty, what it acts on at the destination.
    pub restores: Vec<Spanned<ServiceId>>,
    /// How long it takes, as people say.
    pub expect: Option<Spanned<Expected>>,
    /// What takes it back; `None` when the playbook is silent.
    pub undo: Option<Undo>,
    /// Once this has started, the run only goes forward.
    pub point_of_no_return: bool,
    /// The whole step.
    pub at: Place,
    /// The keys of its envelope that were written, and where.
    pub given: Vec<(&'static str, Place)>,
}

/// How long a step takes, verification included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    /// When everything goes well.
    pub min: Span,
    /// Most of the time.
    pub likely: Span,
    /// At worst, when nothing fails.
    pub max: Span,
}

impl Expected {
    /// Whether it grows from `min` to `max`.
    pub fn grows(&self) -> bool {
        self.min <= self.likely && self.likely <= self.max
    }
}

/// What proves a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verify {
    /// From the end of the act.
    pub within: Span,
    /// All must hold.
    pub all: Vec<Call>,
}

/// What takes a step back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undo {
    /// Leaving it does no harm.
    None,
    /// This does.
    Act(Call),
}

impl Playbook {
    /// The playbook of a decoded file. What is missing was reported by the decoder; what a
    /// parallel block may not hold is reported here.
    pub fn build(root: &Object, findings: &mut Findings) -> Self {
        let mut broken = Vec::new();
        let id = root.spanned_text("playbook").unwrap_or_else(|| Spanned::new(String::new(), root.at));
        let mut steps: Vec<Entry> =
            objects(root, "steps").filter_map(|step| entry(step, findings, &mut broken)).collect();
        limit(&mut steps, findings);
        Self {
            id: Spanned::new(id.value.into(), id.at),
            title: root.text("title").unwrap_or_default().to_owned(),
            services: names(root, "services"),
            modes: modes(root),
            confirm: root.span("confirm"),
            inputs: root
                .map("inputs")
                .iter()
                .map(|(name, input)| {
                    let default = input.value.object().and_then(|input| input.text("default"));
                    (name.value.clone(), default.map(str::to_owned))
                })
                .collect(),
            require: objects(root, "require").filter_map(require).collect(),
            steps,
            broken,
        }
    }

    /// Every step, those of blocks included, from top to bottom.
    pub fn flat(&self) -> impl Iterator<Item = &Step> + use<'_> {
        let mut steps = Vec::new();
        self.steps.iter().for_each(|entry| entry.flat(&mut steps));
        steps.into_iter()
    }
}

impl Step {
    /// Whether it runs in this mode.
    pub fn runs_in(&self, mode: Mode) -> bool {
        self.modes.is_empty() || self.modes.contains(&mode)
    }

    /// Whether a key of its envelope was written, right or wrong.
    pub fn was_given(&self, key: &str) -> bool {
        self.given.iter().any(|(given, _)| *given == key)
    }

    /// Where a key of its envelope stands; its name, when that was not written.
    pub fn key_at(&self, key: &str) -> Place {
        self.given.iter().find(|(given, _)| *given == key).map_or(self.id.at, |(_, at)| *at)
    }
}

/// Reports and drops what is too much.
fn limit(steps: &mut Vec<Entry>, findings: &mut Findings) {
    let mut count = 0;
    let fits = steps.iter().take_while(|entry| {
        count += match entry {
            Entry::Parallel { steps, .. } => steps.len(),
            Entry::Step(_) | Entry::Group { .. } => 1,
        };
        count <= MAX_STEPS
    });
    let kept = fits.count();
    if let Some(first) = steps.get(kept) {
        let at = match first {
            Entry::Step(step) => step.id.at,
            Entry::Parallel { id, .. } | Entry::Group { id, .. } => id.at,
        };
        findings.push(Finding::new(
            code::TOO_LARGE,
            at,
            format!("more than {MAX_STEPS} steps in one playbook"),
        ));
        steps.truncate(kept);
    }
}

fn objects<'a>(root: &'a Object, key: &str) -> impl Iterator<Item = &'a Object> {
    root.list(key).iter().filter_map(|item| item.value.object())
}

fn names<'a, T: From<&'a str>>(object: &'a Object, key: &str) -> Vec<Spanned<T>> {
    let name = |item: &'a Spanned<Value>| Some(Spanned::new(item.value.text()?.into(), item.at));
    object.list(key).iter().filter_map(name).collect()
}

fn modes(object: &Object) -> BTreeSet<Mode> {
    let mode = |text: Spanned<String>| match text.value.as_str() {
        "emergency" => Mode::Emergency,
        "planned" => Mode::Planned,
        _ => Mode::Drill,
    };
    object.texts("modes").into_iter().map(mode).collect()
}

fn require(object: &Object) -> Option<Require> {
    Some(Require { call: object.call.clone()?, override_by: object.text("override").map(str::to_owned) })
}

fn entry(object: &Object, findings: &mut Findings, broken: &mut Vec<Spanned<StepId>>) -> Option<Entry> {
    if !object.was_given("parallel") {
        let step = readable(object, broken)?;
        findings.extend(compose::misplaced(&step));
        return Some(Entry::Step(Box::new(step)));
    }
    let id = object.spanned_text("id")?;
    let mut steps = Vec::new();
    for child in objects(object, "parallel") {
        if let Some((_, at)) = child.given.iter().find(|(name, _)| *name == "parallel") {
            findings.push(nested(*at, &id.value));
            continue;
        }
        let step = readable(child, broken);
        findings.extend(step.iter().flat_map(compose::misplaced));
        steps.extend(step);
    }
    Some(Entry::Parallel { id: Spanned::new(id.value.into(), id.at), steps })
}

fn nested(at: Place, outer: &str) -> Finding {
    Finding::new(code::EXCLUSIVE, at, format!("a parallel block inside the parallel block {}", quoted(outer)))
        .help("steps of a block run side by side already; `needs` puts some after others")
}

/// The step, or its name among the broken ones.
fn readable(object: &Object, broken: &mut Vec<Spanned<StepId>>) -> Option<Step> {
    let step = step(object);
    if step.is_none() {
        let id = object.spanned_text("id").unwrap_or_else(|| Spanned::new(String::new(), object.at));
        broken.push(Spanned::new(id.value.into(), id.at));
    }
    step
}

fn step(object: &Object) -> Option<Step> {
    let id = object.spanned_text("id")?;
    Some(Step {
        id: Spanned::new(id.value.into(), id.at),
        call: object.call.clone()?,
        needs: object.get("needs").is_some().then(|| names(object, "needs")),
        modes: modes(object),
        timeout: object.span("timeout"),
        attempts: object.number("attempts").map(|count| u32::try_from(count).unwrap_or(u32::MAX)),
        backoff: object.span("backoff").unwrap_or(Span::secs(1)),
        on_failure: match object.text("on_failure") {
            Some("abort") => OnFailure::Abort,
            Some("continue") => OnFailure::Continue,
            Some("rollback") => OnFailure::Rollback,
            _ => OnFailure::Pause,
        },
        unreachable: match object.text("unreachable") {
            Some("skip") => Unreachable::Skip,
            _ => Unreachable::Fail,
        },
        verify: object.object("verify").map(|verify| Verify {
            within: verify.span("within").unwrap_or_default(),
            all: verify.calls("all").into_iter().cloned().collect(),
        }),
        uses: names(object, "uses"),
        restores: names(object, "restores"),
        expect: object.object("expect").and_then(|expect| {
            let likely = expect.span("likely")?;
            let min = expect.span("min").unwrap_or(Span::from(likely.0 / 2));
            Some(Spanned::new(Expected { min, likely, max: expect.span("max")? }, expect.at))
        }),
        undo: object.get("undo").and_then(|undo| match &undo.value {
            Value::None => Some(Undo::None),
            Value::Object(object) => object.call.clone().map(Undo::Act),
            _ => None,
        }),
        point_of_no_return: object.flag("point_of_no_return").unwrap_or(false),
        at: object.at,
        given: object.given.clone(),
    })
}
