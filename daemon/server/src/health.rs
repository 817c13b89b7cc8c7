//! Whether this member is alive and ready, as it says itself: told to `/livez`, `/readyz`
//! and whoever asks in the process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::clock;

/// An event loop that has not turned for this long hangs.
pub const HANGS_AFTER: Duration = Duration::from_secs(10);

/// A shared handle. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Health(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    beat: Duration,
    conditions: BTreeMap<&'static str, Result<(), String>>,
}

/// The conditions that must hold, in the order of their names: each holds, or says why not.
pub type Readiness = BTreeMap<&'static str, Result<(), String>>;

impl Health {
    /// Alive; ready when each of `conditions` was told to hold.
    pub fn new(conditions: impl IntoIterator<Item = &'static str>) -> Self {
        let starting = |name| (name, Err("not yet known: starting".to_owned()));
        let conditions = conditions.into_iter().map(starting).collect();
        Self(Arc::new(Mutex::new(State { beat: clock::boot(), conditions })))
    }

    /// The event loop has turned.
    pub fn beat(&self) {
        self.with(|state| state.beat = clock::boot());
    }

    /// The condition holds.
    pub fn ready(&self, condition: &'static str) {
        self.with(|state| state.conditions.insert(condition, Ok(())));
    }

    /// The condition does not hold. `why` is for people, and is shown to whoever may ask.
    pub fn not_ready(&self, condition: &'static str, why: impl Into<String>) {
        self.with(|state| state.conditions.insert(condition, Err(why.into())));
    }

    /// How long the event loop has not turned.
    pub fn silence(&self) -> Duration {
        self.with(|state| clock::boot().saturating_sub(state.beat))
    }

    /// All conditions as they are now.
    pub fn readiness(&self) -> Readiness {
        self.with(|state| state.conditions.clone())
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        // A panic elsewhere leaves plain values behind, which are still worth showing.
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
