//! Composition: a `playbook.run` step is replaced by the steps of the playbook that it names.
//!
//! It happens when files are read, so that nothing behind it knows of it: a composed playbook
//! is bound, proven, simulated and run as one, with one plan and one journal. The step `promote`
//! of the playbook that the step `data` names is `data/promote`.

use crate::bind::{MAX_WAITS, too_much};
use crate::decode::{Call, Object, Value, Var};
use crate::finding::{Finding, Findings, code, quoted};
use crate::ids::StepId;
use crate::plan::Mode;
use crate::playbook::{Entry, MAX_STEPS, Playbook, Require, Step, Undo};
use crate::source::Spanned;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// The action that is composed away.
pub const RUN: &str = "playbook.run";

/// What a step that names a playbook may have beside that.
const ENVELOPE: [&str; 3] = ["id", "needs", "modes"];

/// More steps than this are not composed, over all playbooks: each costs memory of its own.
const MAX_COMPOSED: usize = 100_000;

type Playbooks<'a> = BTreeMap<&'a str, &'a Playbook>;

/// All playbooks, each with its `playbook.run` steps replaced. One that cannot be composed is
/// reported and left out.
pub(crate) fn all<'a>(
    playbooks: &Playbooks<'a>,
    findings: &mut Findings,
) -> BTreeMap<&'a str, Cow<'a, Playbook>> {
    let mut composed = BTreeMap::new();
    let mut total = 0;
    for (name, playbook) in playbooks {
        if !playbook.flat().any(runs) {
            if fits(playbook, playbook, findings) {
                composed.insert(*name, Cow::Borrowed(*playbook));
            }
            continue;
        }
        let mut composer = Composer { playbooks, path: vec![*name], count: 0, findings };
        let whole = composer.playbook(playbook);
        total += composer.count;
        if total > MAX_COMPOSED {
            let message = format!("more than {MAX_COMPOSED} steps in all playbooks with those that they run");
            findings.push(Finding::new(code::TOO_LARGE, playbook.id.at, message));
            break;
        }
        if let Some(whole) = whole.filter(|whole| fits(whole, playbook, findings)) {
            composed.insert(*name, Cow::Owned(whole));
        }
    }
    composed
}

/// Whether what waits for what can be held; `playbook` is told if not.
fn fits(whole: &Playbook, playbook: &Playbook, findings: &mut Findings) -> bool {
    let fits = !too_much(whole);
    if !fits {
        let message = format!("steps wait for more than {MAX_WAITS} others in all");
        let help = "put a step between two blocks: it waits for the one, and the other for it alone";
        findings.push(Finding::new(code::TOO_LARGE, playbook.id.at, message).help(help));
    }
    fits
}

/// The names of the playbooks that others run.
pub(crate) fn inner<'a>(playbooks: &Playbooks<'a>) -> BTreeSet<&'a str> {
    let runs = playbooks.values().flat_map(|playbook| playbook.flat()).filter(|step| runs(step));
    runs.filter_map(|step| step.call.args.text("playbook")).collect()
}

/// Whether a step names a playbook.
pub(crate) fn runs(step: &Step) -> bool {
    step.call.spec.is(RUN)
}

/// What may not stand beside `playbook.run`, and where it may not stand.
pub(crate) fn misplaced(step: &Step) -> Vec<Finding> {
    let mut found = Vec::new();
    if runs(step) {
        for (key, at) in step.given.iter().filter(|(key, _)| !ENVELOPE.contains(key)) {
            let message = format!("{} has no place beside `{RUN}`", quoted(key));
            found.push(
                Finding::new(code::EXCLUSIVE, *at, message).help("put it on the steps of that playbook"),
            );
        }
    }
    if let Some(Undo::Act(call)) = &step.undo
        && call.spec.is(RUN)
    {
        let message = format!("`{RUN}` takes nothing back");
        found.push(Finding::new(code::EXCLUSIVE, call.key_at, message).help("name one action, or `none`"));
    }
    found
}

struct Composer<'a, 'f> {
    playbooks: &'f Playbooks<'a>,
    /// The playbooks that are being composed, the outermost first.
    path: Vec<&'a str>,
    count: usize,
    findings: &'f mut Findings,
}

/// What the steps of a named playbook get from the step that names it.
struct Given {
    /// Before every name.
    prefix: String,
    /// The only modes in which they run.
    modes: BTreeSet<Mode>,
    /// What each of the playbook's inputs is called outside.
    inputs: BTreeMap<String, String>,
}

impl<'a> Composer<'a, '_> {
    fn playbook(&mut self, outer: &Playbook) -> Option<Playbook> {
        let mut whole = outer.clone();
        let steps = self.entries(&outer.steps, &outer.modes, &mut whole)?;
        whole.steps = steps;
        Some(whole)
    }

    fn entries(
        &mut self,
        entries: &[Entry],
        modes: &BTreeSet<Mode>,
        whole: &mut Playbook,
    ) -> Option<Vec<Entry>> {
        let mut out = Vec::with_capacity(entries.len());
        for entry in entries {
            match entry {
                Entry::Step(step) => out.push(self.step(step, modes, whole)?),
                Entry::Parallel { id, steps } if steps.iter().any(runs) => {
                    // Side by side: nothing in the block waits for what stands above it there.
                    let free = |step: &Step| {
                        let needs = step.needs.clone().or(Some(Vec::new()));
                        Step { needs, ..step.clone() }
                    };
                    let entries = steps.iter().map(|step| self.step(&free(step), modes, whole));
                    let entries = entries.collect::<Option<_>>()?;
                    out.push(Entry::Group { id: id.clone(), needs: None, entries });
                }
                Entry::Parallel { steps, .. } => {
                    self.count += steps.len();
                    out.push(entry.clone());
                }
                Entry::Group { .. } => out.push(entry.clone()),
            }
        }
        Some(out)
    }

    fn step(&mut self, step: &Step, modes: &BTreeSet<Mode>, whole: &mut Playbook) -> Option<Entry> {
        // Also a step that runs a playbook counts: those without steps of their own double too.
        self.count += 1;
        if self.count > MAX_STEPS {
            let message = format!("more than {MAX_STEPS} steps with those of the playbooks that it runs");
            self.findings.push(Finding::new(code::TOO_LARGE, whole.id.at, message));
            return None;
        }
        if !runs(step) {
            return Some(Entry::Step(Box::new(step.clone())));
        }
        // A name of nothing is reported with all other names.
        let name = step.call.args.spanned_text("playbook")?;
        let (name, inner) = self.playbooks.get_key_value(name.value.as_str())?;
        if self.path.contains(name) {
            let path = self.path.iter().chain([name]).map(|name| (*name).to_owned());
            let message = "these playbooks run each other";
            self.findings.push(Finding::new(code::CYCLE, step.call.key_at, message).path(path));
            return None;
        }
        let wanted = if step.modes.is_empty() { modes } else { &step.modes };
        let missing: Vec<String> = wanted.difference(&inner.modes).map(|mode| format!("`{mode}`")).collect();
        if !missing.is_empty() {
            let message = format!("the playbook {} is not for mode {}", quoted(name), missing.join(", "));
            let finding = Finding::new(code::COMPOSED, step.call.key_at, message);
            self.findings.push(finding.help("give this step `modes`, or that playbook the mode"));
            return None;
        }
        let inputs = self.inputs(step, inner, whole)?;
        let given = Given { prefix: format!("{}/", step.id.value), modes: wanted.clone(), inputs };
        whole.services.extend(inner.services.iter().cloned());
        whole.confirm = whole.confirm.max(inner.confirm);
        whole.broken.extend(inner.broken.iter().map(|id| match id.value.as_str() {
            "" => id.clone(),
            name => Spanned::new(format!("{}{name}", given.prefix).into(), id.at),
        }));

        self.path.push(name);
        // What it names itself is composed first, so that names grow from the inside out.
        let mut part = Playbook { steps: Vec::new(), ..(*inner).clone() };
        let entries = self.entries(&inner.steps, &inner.modes, &mut part);
        self.path.pop();
        let entries = entries?.into_iter().filter_map(|entry| given.entry(entry)).collect();
        whole.services.extend(part.services.drain(inner.services.len()..));
        whole.confirm = whole.confirm.max(part.confirm);
        for (name, default) in part.inputs.into_iter().filter(|(name, _)| name.contains('/')) {
            whole.inputs.insert(format!("{}{name}", given.prefix), default);
        }
        let require = part
            .require
            .into_iter()
            .map(|require| Require { call: given.call(require.call), override_by: require.override_by });
        whole.require.extend(require);
        Some(Entry::Group { id: step.id.clone(), needs: step.needs.clone(), entries })
    }

    /// What the inputs of the playbook are outside: the inputs that were passed on, or new ones
    /// whose default is what was given.
    fn inputs(
        &mut self,
        step: &Step,
        inner: &Playbook,
        whole: &mut Playbook,
    ) -> Option<BTreeMap<String, String>> {
        let passed = step.call.args.map("inputs");
        if let Some((name, _)) = passed.iter().find(|(name, _)| !inner.inputs.contains_key(&name.value)) {
            let message = format!(
                "the playbook {} has no input {}",
                quoted(inner.id.value.as_str()),
                quoted(&name.value)
            );
            let finding = Finding::new(code::UNKNOWN_INPUT, name.at, message);
            self.findings.push(finding.did_you_mean(&name.value, inner.inputs.keys().map(String::as_str)));
            return None;
        }
        let mut inputs = BTreeMap::new();
        for (name, default) in &inner.inputs {
            let value = passed.iter().find(|(given, _)| given.value == *name).map(|(_, value)| &value.value);
            let default = match (value, default) {
                (Some(Value::Var(Var::Input(outer))), _) => {
                    inputs.insert(name.clone(), outer.clone());
                    continue;
                }
                (Some(Value::Text(text)), _) => text,
                (None, Some(default)) => default,
                (_, _) => {
                    let message = format!("the input {} of that playbook must be given", quoted(name));
                    self.findings.push(Finding::new(code::COMPOSED, step.call.key_at, message));
                    return None;
                }
            };
            let outer = format!("{}/{name}", step.id.value);
            whole.inputs.insert(outer.clone(), Some(default.clone()));
            inputs.insert(name.clone(), outer);
        }
        Some(inputs)
    }
}

impl Given {
    fn name(&self, id: Spanned<StepId>) -> Spanned<StepId> {
        Spanned::new(format!("{}{}", self.prefix, id.value).into(), id.at)
    }

    fn needs(&self, needs: Option<Vec<Spanned<StepId>>>) -> Option<Vec<Spanned<StepId>>> {
        needs.map(|needs| needs.into_iter().map(|need| self.name(need)).collect())
    }

    /// The entry under its name outside; nothing if it runs in none of the modes.
    fn entry(&self, entry: Entry) -> Option<Entry> {
        match entry {
            Entry::Step(step) => self.step(*step).map(|step| Entry::Step(Box::new(step))),
            Entry::Parallel { id, steps } => {
                let steps = steps.into_iter().filter_map(|step| self.step(step)).collect();
                Some(Entry::Parallel { id: self.name(id), steps })
            }
            Entry::Group { id, needs, entries } => {
                let entries = entries.into_iter().filter_map(|entry| self.entry(entry)).collect();
                Some(Entry::Group { id: self.name(id), needs: self.needs(needs), entries })
            }
        }
    }

    fn step(&self, step: Step) -> Option<Step> {
        let modes: BTreeSet<Mode> = match step.modes.is_empty() {
            true => self.modes.clone(),
            false => step.modes.intersection(&self.modes).copied().collect(),
        };
        (!modes.is_empty()).then(|| Step {
            id: self.name(step.id),
            needs: self.needs(step.needs),
            modes,
            call: self.call(step.call),
            verify: step.verify.map(|mut verify| {
                verify.all = verify.all.into_iter().map(|call| self.call(call)).collect();
                verify
            }),
            undo: step.undo.map(|undo| match undo {
                Undo::None => Undo::None,
                Undo::Act(call) => Undo::Act(self.call(call)),
            }),
            ..step
        })
    }

    fn call(&self, mut call: Call) -> Call {
        self.object(&mut call.args);
        call
    }

    fn object(&self, object: &mut Object) {
        object.fields.iter_mut().for_each(|(_, value)| self.value(&mut value.value));
        if let Some(call) = &mut object.call {
            self.object(&mut call.args);
        }
    }

    fn value(&self, value: &mut Value) {
        match value {
            Value::Var(Var::Input(name)) => {
                if let Some(outer) = self.inputs.get(name) {
                    name.clone_from(outer);
                } else if name.contains('/') {
                    *name = format!("{}{name}", self.prefix);
                }
            }
            Value::List(items) => items.iter_mut().for_each(|item| self.value(&mut item.value)),
            Value::Map(entries) => entries.iter_mut().for_each(|(_, item)| self.value(&mut item.value)),
            Value::Object(object) => self.object(object),
            _ => {}
        }
    }
}

#[cfg(test)]
#[path = "compose_test.rs"]
mod tests;
