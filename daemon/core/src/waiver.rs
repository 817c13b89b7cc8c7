//! Waivers: findings that people have looked at and accepted, in the file that has them.
//!
//! A waiver names an id and a reason, holds for its file or its step, and ends with a day. What
//! is waived is still shown and counted. Judging the day is for those who ask (lint, apply): a
//! daemon that reads its bundle gives none, and every waiver holds.

use crate::date::Date;
use crate::decode::Object;
use crate::finding::code::{self, Code, Group};
use crate::finding::{Finding, Findings, Waived, quoted};
use crate::source::{Place, Spanned};
use std::collections::BTreeMap;

/// An entry of `allow`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Waiver {
    /// What is waived.
    id: Spanned<String>,
    reason: String,
    /// The last day on which it holds.
    until: Option<Spanned<Date>>,
    /// The step it stands in; none when it holds for the whole file.
    step: Option<Place>,
}

/// All of a file: its own, and those of its steps.
pub(crate) fn collect(root: &Object) -> Vec<Waiver> {
    let mut waivers: Vec<Waiver> = of(root, None).collect();
    let mut steps: Vec<&Object> = objects(root, "steps").collect();
    while let Some(step) = steps.pop() {
        waivers.extend(of(step, Some(step.at)));
        steps.extend(objects(step, "parallel"));
    }
    waivers
}

fn objects<'a>(object: &'a Object, key: &str) -> impl Iterator<Item = &'a Object> {
    object.list(key).iter().filter_map(|item| item.value.object())
}

fn of(object: &Object, step: Option<Place>) -> impl Iterator<Item = Waiver> {
    objects(object, "allow").filter_map(move |waiver| {
        Some(Waiver {
            id: waiver.spanned_text("id")?,
            reason: waiver.text("reason")?.to_owned(),
            until: waiver
                .date("until")
                .map(|date| Spanned::new(date, waiver.get("until").map_or(waiver.at, |v| v.at))),
            step,
        })
    })
}

/// Whether people may accept it. What keeps a file from being read cannot be accepted, and
/// neither can windows that contradict each other: the engine relies on them.
fn is_waivable(code: Code) -> bool {
    code.group != Group::Structure && code != code::TIMING
}

/// Moves what is waived aside, and reports waivers that waive nothing, or no more. With `cut`
/// part of the files was not read, so nothing is called unused.
pub(crate) fn apply(waivers: &[Waiver], today: Option<Date>, cut: bool, findings: &mut Findings) {
    let mut by_id: BTreeMap<(u32, &str), Vec<usize>> = BTreeMap::new();
    let mut used = vec![false; waivers.len()];
    let mut reports = Vec::new();
    for (index, waiver) in waivers.iter().enumerate() {
        let id = waiver.id.value.as_str();
        match code::ALL.iter().find(|code| code.id == id) {
            Some(code) if is_waivable(*code) => {}
            Some(_) => {
                used[index] = true;
                reports.push(
                    Finding::new(
                        code::NOT_WAIVABLE,
                        waiver.id.at,
                        format!("{} cannot be waived", quoted(id)),
                    )
                    .help("it keeps the files from being used as they are: mend it"),
                );
                continue;
            }
            // No such id: reported by the decoder.
            None => continue,
        }
        match (waiver.until.as_ref(), today) {
            (Some(until), Some(today)) if until.value < today => {
                used[index] = true;
                let message = format!("the waiver of {} has ended on {}", quoted(id), until.value);
                reports.push(
                    Finding::new(code::WAIVER_ENDED, until.at, message)
                        .help("mend what it waives, or look at it again and give it another day"),
                );
            }
            _ => by_id.entry((waiver.id.at.file, id)).or_default().push(index),
        }
    }
    findings.waive(|finding| {
        let at = finding.at?;
        let candidates = by_id.get(&(at.file, finding.code.id))?;
        let holds = |index: &&usize| {
            waivers[**index].step.is_none_or(|step| step.start <= at.start && at.end <= step.end)
        };
        // The one that stands nearest.
        let narrow = |index: &&usize| waivers[**index].step.map_or(u32::MAX, |step| step.end - step.start);
        let index = *candidates.iter().filter(holds).min_by_key(narrow)?;
        used[index] = true;
        let Waiver { reason, until, .. } = &waivers[index];
        Some((reason.clone(), until.as_ref().map(|until| until.value)))
    });
    let unused = waivers.iter().zip(&used).filter(|(_, used)| !**used && !cut);
    for (waiver, _) in unused {
        let here = if waiver.step.is_some() { "step" } else { "file" };
        let message = format!("this waiver of {} waives nothing in this {here}", quoted(&waiver.id.value));
        reports.push(Finding::new(code::WAIVER_UNUSED, waiver.id.at, message).help("remove it"));
    }
    findings.extend(reports);
}

impl Waived {
    /// Until when and why, for people.
    pub fn terms(&self) -> String {
        match self.until {
            Some(until) => format!("until {until}: {}", self.reason),
            None => self.reason.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
