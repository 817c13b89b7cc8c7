//! What is wrong with a fleet or a playbook: a stable id, a place, a sentence, a suggestion.

pub mod code;
mod render;
mod sarif;

use crate::date::Date;
use crate::source::{Lines, MAX_BYTES, Place, SourceFile};
use code::{Code, Severity};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// At most this many findings are shown; the rest are counted.
pub const MAX_SHOWN: usize = 500;

/// At most this many names of a path are shown.
const MAX_PATH: usize = 40;

/// At most this many are collected before they are sorted.
const MAX_KEPT: usize = 20_000;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which kind: `SF005`.
    pub code: Code,
    /// What is wrong, in one line, without control characters.
    pub message: String,
    /// Where, if it has a place in a file.
    pub at: Option<Place>,
    /// The file's name; empty without a place.
    pub file: String,
    /// From 1; 0 without a place.
    pub line: usize,
    /// From 1, in characters; 0 without a place.
    pub column: usize,
    /// What stands at the place, in a few words.
    pub label: Option<String>,
    /// What to write instead.
    pub help: Option<String>,
    /// The chain of names that leads to it, if it has one: a cycle, a dependency.
    pub path: Vec<String>,
    /// What the last of them is, in a few words.
    pub path_ends: Option<&'static str>,
}

impl Finding {
    /// `message` must name the thing; `at` is where.
    pub fn new(code: Code, at: impl Into<Option<Place>>, message: impl AsRef<str>) -> Self {
        Self {
            code,
            message: printable(message.as_ref()),
            at: at.into(),
            file: String::new(),
            line: 0,
            column: 0,
            label: None,
            help: None,
            path: Vec::new(),
            path_ends: None,
        }
    }

    /// The one finding of a file that is not even looked at.
    pub fn too_large(file: impl Into<String>, bytes: usize) -> Self {
        let (tenths, limit) = (bytes * 10 / (1 << 20), MAX_BYTES >> 20);
        let mut finding = Self::new(
            code::TOO_LARGE,
            None,
            format!("this file has {}.{} MiB; at most {limit} MiB are read", tenths / 10, tenths % 10),
        );
        (finding.file, finding.line, finding.column) = (file.into(), 1, 1);
        finding
    }

    /// What stands at the place, in a few words.
    pub fn label(mut self, label: impl AsRef<str>) -> Self {
        self.label = Some(printable(label.as_ref()));
        self
    }

    /// What to write instead.
    pub fn help(mut self, help: impl AsRef<str>) -> Self {
        self.help = Some(printable(help.as_ref()));
        self
    }

    /// Suggests the name in `known` that looks most like `name`, or lists a few of them.
    pub fn did_you_mean<'a>(self, name: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        let known: Vec<&str> = known.into_iter().collect();
        // Comparing with thousands of names, thousands of times, would take longer than reading.
        let near = known
            .iter()
            .filter(|candidate| candidate.len().abs_diff(name.len()) * 2 <= candidate.len().max(name.len()))
            .take(200)
            .map(|candidate| (strsim::normalized_damerau_levenshtein(name, candidate), *candidate))
            .filter(|(likeness, _)| *likeness >= 0.5)
            .max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(a.1)));
        match near {
            Some((_, near)) => self.help(format!("did you mean {}?", quoted(near))),
            None if known.is_empty() => self,
            None => {
                let shown: Vec<_> = known.iter().take(16).map(|name| quoted(name)).collect();
                let more = if known.len() > shown.len() { ", …" } else { "" };
                self.help(format!("known here: {}{more}", shown.join(", ")))
            }
        }
    }

    /// The chain of names that leads to it; of a long one the middle is counted, not shown.
    pub fn path(mut self, path: impl IntoIterator<Item = String>) -> Self {
        self.path = path.into_iter().map(|name| printable(&name)).collect();
        let more = self.path.len().saturating_sub(MAX_PATH);
        if more > 0 {
            let middle = MAX_PATH / 2..MAX_PATH / 2 + more + 1;
            self.path.splice(middle, [format!("… {} more …", more + 1)]);
        }
        self
    }

    /// As [`Finding::path`], to a site that is presumed lost.
    pub fn path_to_lost(self, path: impl IntoIterator<Item = String>) -> Self {
        Self { path_ends: Some("the site presumed lost"), ..self.path(path) }
    }

    fn name_file(&mut self, files: &[SourceFile]) {
        if let Some(at) = self.at
            && let Some(file) = files.get(at.file as usize)
        {
            self.file.clone_from(&file.name);
        }
    }

    fn by_place(&self, other: &Self) -> Ordering {
        let key = |f: &Self| (f.at.is_none(), f.at, f.line, f.column, f.code.id);
        key(self)
            .cmp(&key(other))
            .then_with(|| self.file.cmp(&other.file))
            .then_with(|| self.message.cmp(&other.message))
    }

    /// Whether nothing may be done with these files.
    pub fn is_error(&self) -> bool {
        self.code.severity == Severity::Error
    }
}

/// A finding that people have accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waived {
    /// What.
    pub finding: Finding,
    /// Why, in their words.
    pub reason: String,
    /// The last day on which it is accepted; none when for good.
    pub until: Option<Date>,
}

/// Findings of all files, sorted by place when finished.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    list: Vec<Finding>,
    waived: Vec<Waived>,
    dropped: usize,
}

impl Findings {
    /// Adds one.
    pub fn push(&mut self, finding: Finding) {
        if self.list.len() < MAX_KEPT {
            self.list.push(finding);
        } else {
            self.dropped += 1;
        }
    }

    /// Adds all of another list.
    pub fn extend(&mut self, others: impl IntoIterator<Item = Finding>) {
        others.into_iter().for_each(|finding| self.push(finding));
    }

    /// Puts aside what `waive` gives a reason for, with the last day on which that holds.
    pub(crate) fn waive(&mut self, mut waive: impl FnMut(&Finding) -> Option<(String, Option<Date>)>) {
        for finding in std::mem::take(&mut self.list) {
            match waive(&finding) {
                Some((reason, until)) => {
                    self.waived.push(Waived { finding, reason: printable(&reason), until });
                }
                None => self.list.push(finding),
            }
        }
    }

    /// Keeps those that `keep` says, and all that are waived.
    pub fn retain(&mut self, keep: impl FnMut(&Finding) -> bool) {
        self.list.retain(keep);
    }

    /// Sorts by place, removes repetitions, fills in names and lines, and cuts the list.
    pub fn finish(mut self, files: &[SourceFile]) -> Self {
        self.list.iter_mut().for_each(|finding| finding.name_file(files));
        self.waived.iter_mut().for_each(|waived| waived.finding.name_file(files));
        self.list.sort_by(Finding::by_place);
        self.list.dedup();
        self.waived.sort_by(|a, b| a.finding.by_place(&b.finding));
        self.waived.dedup();
        self.waived.truncate(MAX_SHOWN);
        if self.list.len() > MAX_SHOWN {
            self.dropped += self.list.len() - MAX_SHOWN;
            self.list.truncate(MAX_SHOWN);
        }
        let mut lines: BTreeMap<u32, Lines<'_>> = BTreeMap::new();
        for finding in self.list.iter_mut().chain(self.waived.iter_mut().map(|waived| &mut waived.finding)) {
            if let Some(at) = finding.at
                && let Some(file) = files.get(at.file as usize)
            {
                let lines = lines.entry(at.file).or_insert_with(|| Lines::of(&file.text));
                (finding.line, finding.column) = lines.position(at.start as usize);
            }
        }
        self
    }

    /// All that are shown.
    pub fn iter(&self) -> impl Iterator<Item = &Finding> {
        self.list.iter()
    }

    /// All that are waived.
    pub fn waived(&self) -> &[Waived] {
        &self.waived
    }

    /// How many more there were.
    pub fn dropped(&self) -> usize {
        self.dropped
    }

    /// Whether nothing was found but what is waived.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether at least one of this group is an error.
    pub fn has_errors_in(&self, group: code::Group) -> bool {
        self.list.iter().any(|finding| finding.is_error() && finding.code.group == group)
    }

    /// Whether at least one is an error.
    pub fn has_errors(&self) -> bool {
        self.dropped > 0 || self.list.iter().any(Finding::is_error)
    }
}

impl IntoIterator for Findings {
    type Item = Finding;
    type IntoIter = std::vec::IntoIter<Finding>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.into_iter()
    }
}

/// `text` without anything that could move a terminal's cursor or hide what follows.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if hides(c) { '\u{fffd}' } else { c }).collect()
}

/// Control characters, and those that reorder or vanish.
pub fn hides(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Lines of text from afar, each [`printable`]: line breaks and tabs stay.
pub fn printable_lines(text: &str) -> String {
    let plain = |c: char| matches!(c, '\n' | '\t') || !hides(c);
    text.chars().map(|c| if plain(c) { c } else { '\u{fffd}' }).collect()
}

/// A name or value from a file inside a sentence: in back-ticks, printable, cut at 60.
pub fn quoted(text: &str) -> String {
    let cut: String = text.chars().take(60).collect();
    let more = if cut.len() < text.len() { "…" } else { "" };
    format!("`{}{more}`", printable(&cut))
}
