//! Whether a chain is whole: nothing changed, missing, reordered or put in.

use super::{Entry, Fact, Head};
use crate::ids::{Digest, RunId};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Something that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Broken {
    /// The line after this entry is no entry.
    Unreadable {
        /// The last that could be read; 0 before the first.
        after: u64,
        /// What is wrong with it.
        why: String,
    },
    /// The entry is not the one that the next was chained to.
    Changed(u64),
    /// These entries are not there.
    Missing {
        /// The first.
        from: u64,
        /// The last.
        to: u64,
    },
    /// The entry stands after this one.
    Misplaced {
        /// Which.
        sequence: u64,
        /// After which.
        after: u64,
    },
    /// The chain does not have the entry that it is known to have had.
    NotKnown(Head),
    /// A record of a run is not the one that was written.
    Record {
        /// The run.
        run: RunId,
        /// The entry of its journal.
        entry: u64,
        /// How.
        how: How,
    },
}

/// What is wrong with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// It says something else.
    Changed,
    /// It is not there, and nothing tells that it was let go.
    Missing,
    /// No entry of the audit knows of it.
    PutIn,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { after: 0, why } => write!(f, "the first line is no entry: {why}"),
            Self::Unreadable { after, why } => {
                write!(f, "what stands after entry {after} is no entry: {why}")
            }
            Self::Changed(sequence) => write!(f, "entry {sequence} was changed"),
            Self::Missing { from, to } if from == to => write!(f, "entry {from} is missing"),
            Self::Missing { from, to } => write!(f, "entries {from} to {to} are missing"),
            Self::Misplaced { sequence, after } => write!(f, "entry {sequence} stands after entry {after}"),
            Self::NotKnown(head) => {
                write!(f, "entry {} is not the one known as {}", head.sequence, head.digest)
            }
            Self::Record { run, entry, how } => write!(
                f,
                "entry {entry} of the journal of {run} {}",
                match how {
                    How::Changed => "was changed",
                    How::Missing => "is missing",
                    How::PutIn => "was put in: the audit does not know of it",
                }
            ),
        }
    }
}

/// Takes lines in their order, and says what is wrong with them.
#[derive(Clone, Debug, Default)]
pub struct Chain {
    last: Option<Head>,
    first: Option<(u64, Digest)>,
    trimmed: Vec<Head>,
    known: Vec<Head>,
    journals: BTreeMap<RunId, u64>,
    missing: BTreeMap<RunId, Vec<u64>>,
    forgotten: BTreeSet<RunId>,
    broken: Vec<Broken>,
}

/// What a chain came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The first entry that is there; none if there is none.
    pub first: Option<u64>,
    /// The last.
    pub head: Head,
    /// What is wrong; empty when the chain is whole.
    pub broken: Vec<Broken>,
}

impl Chain {
    /// A chain that is known to have had these entries, or to end with one of them.
    pub fn knowing(known: impl IntoIterator<Item = Head>) -> Self {
        let known = known.into_iter().filter(|head| head.sequence > 0).collect();
        Self { known, ..Self::default() }
    }

    /// Takes the next line, without its end; what it says, if it is an entry.
    pub fn take(&mut self, line: &[u8]) -> Option<Entry> {
        let after = self.last.as_ref().map_or(0, |last| last.sequence);
        let entry: Entry = match serde_json::from_slice(line) {
            Ok(entry) => entry,
            Err(error) => {
                self.broken.push(Broken::Unreadable { after, why: error.to_string() });
                return None;
            }
        };
        let sequence = entry.sequence;
        match &self.last {
            None => self.first = Some((sequence, entry.previous.clone())),
            Some(last) if sequence == last.sequence + 1 => {
                if entry.previous != last.digest {
                    self.broken.push(Broken::Changed(last.sequence));
                }
            }
            Some(last) if sequence > last.sequence => {
                self.broken.push(Broken::Missing { from: last.sequence + 1, to: sequence - 1 });
            }
            Some(_) => {
                self.broken.push(Broken::Misplaced { sequence, after });
                return Some(entry);
            }
        }
        let head = Head::of(sequence, line);
        self.known.retain(|known| {
            let reached = known.sequence == sequence;
            if reached && *known != head {
                self.broken.push(Broken::NotKnown(known.clone()));
            }
            !reached
        });
        self.last = Some(head);
        for fact in &entry.facts {
            match fact {
                Fact::Run { run, entry, .. } => {
                    let last = self.journals.entry(run.clone()).or_default();
                    *last = (*last).max(*entry);
                }
                Fact::Forgotten { run } => drop(self.forgotten.insert(run.clone())),
                Fact::Trimmed { last } => self.trimmed.push(last.clone()),
                _ => {}
            }
        }
        Some(entry)
    }

    /// Compares a fact about a run's journal with the record that is there; none when there is none.
    pub fn compare(&mut self, fact: &Fact, record: Option<&[u8]>) {
        let Fact::Run { run, entry, digest, .. } = fact else { return };
        match record {
            Some(record) if Digest::plain(record) == *digest => {}
            Some(_) => {
                let (run, entry) = (run.clone(), *entry);
                self.broken.push(Broken::Record { run, entry, how: How::Changed });
            }
            None => self.missing.entry(run.clone()).or_default().push(*entry),
        }
    }

    /// The chain is over, and the journals that are there end with these entries.
    pub fn end(mut self, journals: &BTreeMap<RunId, u64>) -> Verdict {
        if let Some((first, previous)) = self.first.clone().filter(|(first, _)| *first > 1) {
            let accounted = Head { sequence: first - 1, digest: previous };
            if !self.trimmed.contains(&accounted) {
                self.broken.push(Broken::Missing { from: 1, to: first - 1 });
            }
        }
        let head = self.last.unwrap_or_default();
        let first = self.first.map(|(first, _)| first);
        for known in self.known {
            // What was let go lies before the first; it is accounted for, or missing, as a whole.
            if known.sequence > head.sequence {
                self.broken.push(Broken::Missing { from: head.sequence + 1, to: known.sequence });
            } else if first.is_none_or(|first| known.sequence >= first) {
                self.broken.push(Broken::NotKnown(known));
            }
        }
        for (run, entries) in self.missing {
            if !self.forgotten.contains(&run) {
                let record = |entry| Broken::Record { run: run.clone(), entry, how: How::Missing };
                self.broken.extend(entries.into_iter().map(record));
            }
        }
        for (run, last) in journals {
            let known = self.journals.get(run).copied().unwrap_or_default();
            // A run that is older than the oldest entry is told of by none.
            if *last > known && (known > 0 || self.trimmed.is_empty()) {
                self.broken.push(Broken::Record { run: run.clone(), entry: known + 1, how: How::PutIn });
            }
        }
        Verdict { first, head, broken: self.broken }
    }
}

#[cfg(test)]
mod tests;
