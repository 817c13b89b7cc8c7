//! Journals and plans, read from the keys of the store as they are stored.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::history::{History, Stored};

/// A run: its journal and its plan.
#[derive(Debug, Clone)]
pub struct Run {
    /// Its name.
    pub id: String,
    /// Its journal, in its order; never empty.
    pub entries: Vec<Entry>,
    /// What it carries out.
    pub plan: Plan,
}

/// An entry of a journal.
#[derive(Debug, Clone, Deserialize)]
pub struct Entry {
    /// From 1, without gaps.
    pub sequence: u64,
    /// When it was written, for people.
    pub wall_ms: i64,
    /// The term.
    pub epoch: u64,
    /// Who wrote it.
    pub member: String,
    /// What happened.
    pub event: String,
    /// To which step.
    pub step: Option<String>,
    /// In which attempt.
    pub attempt: Option<u32>,
    /// Everything else that it says.
    #[serde(flatten)]
    pub more: serde_json::Map<String, Value>,
    /// The revision of the store that it came with.
    #[serde(skip)]
    pub created: i64,
}

/// A plan, as far as it matters here.
#[derive(Debug, Clone, Deserialize)]
pub struct Plan {
    /// What was asked for.
    pub request: Request,
    /// Its steps.
    pub steps: Vec<Step>,
}

/// What was asked for.
#[derive(Debug, Clone, Deserialize)]
pub struct Request {
    /// The site that is left.
    pub from: String,
    /// The site that takes over.
    pub to: String,
    /// `emergency`, `planned` or `drill`.
    pub mode: String,
}

/// A step of a plan.
#[derive(Debug, Clone, Deserialize)]
pub struct Step {
    /// Its name.
    pub id: String,
    /// The places of the steps that come before it.
    pub needs: Vec<usize>,
    /// What it does.
    pub action: Action,
    /// What follows when its attempts are spent.
    pub on_failure: String,
}

/// What a step does.
#[derive(Debug, Clone, Deserialize)]
pub struct Action {
    /// By name.
    pub action: String,
}

impl Run {
    /// Whether nobody has asked for it.
    pub fn is_automatic(&self) -> bool {
        self.trigger().is_some_and(|trigger| trigger["by"] == "automatic")
    }

    /// Who or what began it.
    pub fn trigger(&self) -> Option<&Value> {
        self.entries.first()?.more.get("trigger")
    }

    /// How often another leader went on with it.
    pub fn takeovers(&self) -> usize {
        self.entries.iter().filter(|entry| entry.event == "took_over").count()
    }

    /// The entry with which it ended.
    pub fn end(&self) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.event == "ended")
    }

    /// When something was first written of any step with this action.
    pub fn when(&self, action: &str, events: &[&str]) -> Option<i64> {
        let steps: Vec<&str> = (self.plan.steps.iter())
            .filter(|step| step.action.action == action)
            .map(|step| step.id.as_str())
            .collect();
        let about = |entry: &&Entry| entry.step.as_deref().is_some_and(|step| steps.contains(&step));
        let entry = self.entries.iter().filter(about).find(|entry| events.contains(&entry.event.as_str()));
        entry.map(|entry| entry.wall_ms)
    }
}

/// All runs, oldest first. What cannot be read is told, and left out.
pub fn read(history: &History, tell: &mut impl FnMut(String)) -> Vec<Run> {
    let keys: BTreeMap<&str, &Stored> = history.store.iter().map(|kv| (kv.key.as_str(), kv)).collect();
    let mut journals: BTreeMap<&str, Vec<Entry>> = BTreeMap::new();
    for (key, stored) in &keys {
        let Some((run, number)) = key.strip_prefix("journals/").and_then(|rest| rest.split_once('/')) else {
            continue;
        };
        if stored.version != 1 {
            tell(format!("{key} was written {} times", stored.version));
        }
        match serde_json::from_str::<Entry>(&stored.value) {
            Ok(entry) if number.parse() == Ok(entry.sequence) => {
                let entry = Entry { created: stored.created, ..entry };
                journals.entry(run).or_default().push(entry);
            }
            Ok(entry) => tell(format!("{key} says that it is entry {}", entry.sequence)),
            Err(error) => tell(format!("{key}: {error}")),
        }
    }
    let mut runs = Vec::new();
    for (id, entries) in journals {
        whole(id, &entries, tell);
        match plan(&keys, &entries) {
            Ok(plan) => runs.push(Run { id: id.to_owned(), entries, plan }),
            Err(why) => tell(format!("run {id}: {why}")),
        }
    }
    runs.sort_by_key(|run| run.entries[0].created);
    runs
}

/// From the first entry on, one after the other, nothing after the end.
fn whole(run: &str, entries: &[Entry], tell: &mut impl FnMut(String)) {
    for (expected, entry) in (1..).zip(entries) {
        if entry.sequence != expected {
            return tell(format!("run {run}: entry {expected} is not there, {} is", entry.sequence));
        }
    }
    for pair in entries.windows(2) {
        if pair[1].created < pair[0].created {
            tell(format!("run {run}: entry {} was written before the one before it", pair[1].sequence));
        }
        if pair[0].event == "ended" {
            tell(format!("run {run}: it goes on after its end, with entry {}", pair[1].sequence));
        }
        if pair[1].event == "created" {
            tell(format!("run {run}: it is created again, by entry {}", pair[1].sequence));
        }
    }
    if entries[0].event != "created" {
        tell(format!("run {run}: it begins with {}", entries[0].event));
    }
}

/// What stands at the plan's key says how many chunks there are, which lie beside one another.
fn plan(keys: &BTreeMap<&str, &Stored>, entries: &[Entry]) -> Result<Plan, String> {
    let digest = entries[0].more.get("plan").and_then(Value::as_str).ok_or("it names no plan")?;
    let manifest = keys.get(format!("plans/{digest}").as_str()).ok_or("its plan is not there")?;
    let manifest: Value = serde_json::from_str(&manifest.value).map_err(|e| format!("its plan: {e}"))?;
    let sha = manifest["sha256"].as_str().ok_or("its plan has no digest")?;
    let folder = format!("chunks/plans/{digest}@{sha}/");
    let chunks = keys.range(folder.as_str()..).take_while(|(key, _)| key.starts_with(&folder));
    let text: String = chunks.map(|(_, chunk)| chunk.value.as_str()).collect();
    serde_json::from_str(&text).map_err(|e| format!("its plan: {e}"))
}
