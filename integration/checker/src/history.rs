//! What a cluster leaves behind. All times are milliseconds since 1970, of one clock.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Everything that is judged.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct History {
    /// What is known of the fleet beforehand.
    pub facts: Facts,
    /// The keys of the store, without its prefix.
    pub store: Vec<Stored>,
    /// What targets wrote down, in the order in which it came to each.
    pub effects: Vec<Effect>,
    /// What customers were promised, oldest first.
    pub orders: Vec<Order>,
    /// What the database of each site holds at the end.
    pub rows: BTreeMap<String, Vec<Row>>,
    /// When a site may truly have been lost.
    pub harms: Vec<Harm>,
}

/// What is known of a fleet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// All sites.
    pub sites: Vec<String>,
    /// The site that serves in the beginning.
    pub active: String,
    /// How long a loss has to be seen without a break.
    pub confirm_ms: u64,
    /// How long after the end of a harm its loss may still be acted upon.
    pub notice_ms: u64,
    /// The longest span of acknowledged work that an emergency may cost.
    pub loss_ms: u64,
}

/// A key of the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stored {
    /// Its name.
    pub key: String,
    /// Its value.
    pub value: String,
    /// The revision of the store that created it.
    pub created: i64,
    /// How often it was written since; 1 when once.
    pub version: i64,
}

/// Something that was done to a target, as the target wrote it down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Effect {
    /// The target.
    pub target: String,
    /// The run, as it was told.
    pub run: String,
    /// The step.
    pub step: String,
    /// The attempt, from 1.
    pub attempt: u32,
    /// The epoch.
    pub epoch: u64,
    /// The key that is the same for every attempt of a step.
    pub key: String,
    /// Whether it was done; a target refuses a lower epoch than it has seen.
    pub accepted: bool,
    /// When it began.
    pub began_ms: i64,
    /// When it ended; none if nobody saw that.
    pub ended_ms: Option<i64>,
}

/// A row that was acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// Its number.
    pub id: i64,
    /// When it was sent.
    pub sent_ms: i64,
    /// When the acknowledgement came.
    pub acknowledged_ms: i64,
    /// The site that gave it.
    pub site: String,
}

/// A row of a database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Its number.
    pub id: i64,
    /// The site whose service wrote it.
    pub site: String,
    /// When the customer sent it.
    pub sent_ms: i64,
}

/// A time in which a site may truly have been lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Harm {
    /// The site.
    pub site: String,
    /// From when on.
    pub began_ms: i64,
    /// Until when.
    pub ended_ms: i64,
    /// What was done to it.
    pub what: String,
}
