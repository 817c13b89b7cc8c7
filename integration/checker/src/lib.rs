//! Judges what a cluster has done by what it left behind: the keys of its store as they are stored,
//! what its targets wrote down, what customers were promised, and what their databases hold.
//!
//! It shares no code with the daemon: a mistake in the daemon's own reading of its journal would
//! be shared as well. It is given texts and numbers ([`history`]), reads the journals itself
//! ([`journal`]) and holds every [`Rule`] against them.

pub mod history;
pub mod journal;
mod rules;

use std::fmt;

use history::History;
use journal::Run;

/// What must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// Every journal can be read, has no gaps, and no entry of it was ever rewritten.
    Journal,
    /// Epochs never go back, in the store and at every target, and each belongs to one member.
    Epochs,
    /// Effects of different epochs never overlap.
    Apart,
    /// Nothing is done before what it needs is done.
    Order,
    /// Nothing that is finished is acted upon again.
    Once,
    /// No effect without its journal entry.
    Announced,
    /// Two live runs never share a site.
    Alone,
    /// Every automatic run has valid evidence.
    Evidence,
    /// No automatic run from a site that nothing has happened to.
    Needless,
    /// Never two writers.
    Writers,
    /// No acknowledged row is lost beyond what the mode of the run allows.
    Rows,
}

impl Rule {
    /// In one sentence.
    pub fn sentence(self) -> &'static str {
        match self {
            Rule::Journal => "a journal is whole and is never rewritten",
            Rule::Epochs => "epochs never go back, and each belongs to one member",
            Rule::Apart => "effects of different epochs never overlap",
            Rule::Order => "no step before those that it needs",
            Rule::Once => "no finished step is acted upon again",
            Rule::Announced => "no effect without its entry in the journal",
            Rule::Alone => "two live runs never share a site",
            Rule::Evidence => "every automatic run has valid evidence",
            Rule::Needless => "no automatic run without a loss",
            Rule::Writers => "never two writers",
            Rule::Rows => "no acknowledged row is lost beyond what the mode allows",
        }
    }
}

/// A rule that was broken, and by what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Which.
    pub rule: Rule,
    /// What was seen.
    pub what: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule.sentence(), self.what)
    }
}

/// What a history came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Every rule that was broken, each time.
    pub broken: Vec<Broken>,
    /// Runs, of which the automation began so many.
    pub runs: (usize, usize),
    /// Runs that were taken over by another leader, counted once for each time.
    pub takeovers: usize,
    /// Effects that targets accepted, and those they refused because of their epoch.
    pub effects: (usize, usize),
    /// Rows that were acknowledged, and those of them that are lost.
    pub rows: (usize, usize),
}

impl Verdict {
    /// Whether no rule was broken.
    pub fn holds(&self) -> bool {
        self.broken.is_empty()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Verdict { runs, takeovers, effects, rows, .. } = self;
        writeln!(f, "{} runs, {} of them automatic, {takeovers} takeovers", runs.0, runs.1)?;
        writeln!(f, "{} effects, {} refused because of their epoch", effects.0, effects.1)?;
        writeln!(f, "{} rows acknowledged, {} of them lost", rows.0, rows.1)?;
        for broken in &self.broken {
            writeln!(f, "BROKEN {broken}")?;
        }
        write!(f, "{}", if self.holds() { "every rule holds" } else { "not every rule holds" })
    }
}

/// Where rules say what they found.
#[derive(Debug, Default)]
struct Notes(Vec<Broken>);

impl Notes {
    fn note(&mut self, rule: Rule, what: impl Into<String>) {
        self.0.push(Broken { rule, what: what.into() });
    }
}

/// Holds every rule against a history.
pub fn judge(history: &History) -> Verdict {
    let mut notes = Notes::default();
    let runs = journal::read(history, &mut |what| notes.note(Rule::Journal, what));
    rules::epochs::hold(history, &runs, &mut notes);
    rules::steps::hold(history, &runs, &mut notes);
    rules::runs::hold(history, &runs, &mut notes);
    let lost = rules::rows::hold(history, &runs, &mut notes);
    let accepted = history.effects.iter().filter(|effect| effect.accepted).count();
    Verdict {
        runs: (runs.len(), runs.iter().filter(|run| run.is_automatic()).count()),
        takeovers: runs.iter().map(Run::takeovers).sum(),
        effects: (accepted, history.effects.len() - accepted),
        rows: (history.orders.len(), lost),
        broken: notes.0,
    }
}
