//! Whether a run by itself could do what it should, as the last look found it, and for how long
//! that counts.
//!
//! What was found is void when the bundle changes, when a later look finds otherwise, and with
//! time. Its age is counted on the leader's clock and stored, so that the next leader counts on;
//! the wall clock can only make it older.

use crate::ids::{Digest, PlaybookId, SiteId};
use crate::look::{Seen, Severity};
use crate::plan::Plan;
use crate::rules::{OnLoss, Rules};
use crate::time::{Mono, Now, Span};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// How often ages are stored.
const STORE_EVERY: Duration = Duration::from_secs(30);

/// What a look came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Nothing stands in the way.
    Ready,
    /// Nothing that a run would fail at, but somebody should look.
    Doubtful,
    /// A run would be refused, or fail at something that was seen.
    NotReady,
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ready => "ready",
            Self::Doubtful => "doubtful",
            Self::NotReady => "not ready",
        })
    }
}

/// What was found of the playbook that is run when a site is lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readiness {
    /// The site that would be left.
    pub site: SiteId,
    /// What would be run.
    pub playbook: PlaybookId,
    /// Where its services would go.
    pub to: SiteId,
    /// The bundle that was looked at.
    pub bundle: Digest,
    /// What it came to.
    pub standing: Standing,
    /// Things that a run would fail at.
    pub errors: usize,
    /// Things that somebody should look at.
    pub warnings: usize,
    /// The worst of them, in words; empty when there is none.
    pub worst: String,
    /// When it was looked at, in Unix milliseconds.
    pub looked_wall_ms: i64,
    /// Since when every look has come to this, in Unix milliseconds.
    pub since_wall_ms: i64,
    /// How old it was when it was stored.
    pub age: Span,
}

impl Readiness {
    /// Of a look at `plan` that was begun at `wall_ms`.
    pub fn of(plan: &Plan, seen: &Seen, wall_ms: i64) -> Self {
        let count =
            |severity| seen.troubles.iter().filter(|found| found.trouble.severity == severity).count();
        let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
        let worst = seen.troubles.first().filter(|_| errors + warnings > 0);
        Self {
            site: plan.request.from.clone(),
            playbook: plan.request.playbook.clone(),
            to: plan.request.to.clone(),
            bundle: plan.bundle.clone(),
            standing: match (errors, warnings) {
                (0, 0) => Standing::Ready,
                (0, _) => Standing::Doubtful,
                _ => Standing::NotReady,
            },
            errors,
            warnings,
            worst: worst.map(|found| found.trouble.words.clone()).unwrap_or_default(),
            looked_wall_ms: wall_ms,
            since_wall_ms: wall_ms,
            age: Span::default(),
        }
    }

    /// Why it counts no longer for what `entry` says, if it does not.
    fn void(&self, entry: &OnLoss, bundle: &Digest, max_age: Span, age: Span) -> Option<String> {
        if self.bundle != *bundle || self.playbook != entry.playbook || self.to != entry.to {
            return Some("the bundle was changed after the last look".into());
        }
        (age > max_age).then(|| format!("the last look is {age} old, and counts for {max_age}"))
    }
}

/// What metrics show of one playbook of `on_loss`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ready {
    /// The site that would be left.
    pub site: SiteId,
    /// What would be run.
    pub playbook: PlaybookId,
    /// Whether the last look found that it could, and counts still.
    pub ready: bool,
    /// How old that look is; none when nobody has looked.
    pub age: Option<Span>,
}

/// What a leader knows of the playbooks of all sites.
#[derive(Debug, Default)]
pub struct Book {
    known: BTreeMap<SiteId, (Readiness, Mono)>,
    stored: Mono,
}

impl Book {
    /// Goes on with what the leader before knew.
    pub fn loaded(known: BTreeMap<SiteId, Readiness>, now: Now) -> Self {
        let known = known.into_iter().map(|(site, mut readiness)| {
            let by_wall = u64::try_from(now.wall_ms.saturating_sub(readiness.looked_wall_ms)).unwrap_or(0);
            readiness.age = readiness.age.max(Span::ms(by_wall));
            (site, (readiness, now.mono))
        });
        Self { known: known.collect(), stored: now.mono }
    }

    /// Notes what a look has found: what the one before had found counts no more.
    pub fn found(&mut self, mut readiness: Readiness, now: Now) {
        if let Some((before, _)) = self.known.get(&readiness.site)
            && before.standing == readiness.standing
        {
            readiness.since_wall_ms = before.since_wall_ms;
        }
        self.known.insert(readiness.site.clone(), (readiness, now.mono));
    }

    fn age((readiness, noted): &(Readiness, Mono), now: Now) -> Span {
        let by_wall = u64::try_from(now.wall_ms.saturating_sub(readiness.looked_wall_ms)).unwrap_or(0);
        Span(readiness.age.0 + now.mono.since(*noted)).max(Span::ms(by_wall))
    }

    /// How old the last look at what is run for `site` is.
    pub fn age_of(&self, site: &SiteId, now: Now) -> Option<Span> {
        self.known.get(site).map(|known| Self::age(known, now))
    }

    /// Everything that is known, with its age.
    pub fn aged(&self, now: Now) -> BTreeMap<SiteId, Readiness> {
        let aged = |known: &(Readiness, Mono)| Readiness { age: Self::age(known, now), ..known.0.clone() };
        self.known.iter().map(|(site, known)| (site.clone(), aged(known))).collect()
    }

    /// The same, when it is time to store it.
    pub fn due(&mut self, now: Now) -> Option<BTreeMap<SiteId, Readiness>> {
        if self.known.is_empty() || now.mono.since(self.stored) < STORE_EVERY {
            return None;
        }
        self.stored = now.mono;
        Some(self.aged(now))
    }

    /// Whether there is a look that counts still, whatever it came to.
    pub fn counts(&self, rules: &Rules, entry: &OnLoss, bundle: &Digest, now: Now) -> bool {
        let known = self.known.get(&entry.site);
        let void = |known: &(Readiness, Mono)| {
            known.0.void(entry, bundle, rules.readiness.max_age, Self::age(known, now))
        };
        known.is_some_and(|known| void(known).is_none())
    }

    /// Whether what `entry` says is ready under `bundle`, and why (not).
    pub fn says(&self, rules: &Rules, entry: &OnLoss, bundle: &Digest, now: Now) -> Result<String, String> {
        let Some(known) = self.known.get(&entry.site) else {
            return Err(format!("nobody has looked yet whether {} could run", entry.playbook));
        };
        let (readiness, age) = (&known.0, Self::age(known, now));
        if let Some(why) = readiness.void(entry, bundle, rules.readiness.max_age, age) {
            return Err(why);
        }
        let more = match readiness.errors + readiness.warnings {
            0 | 1 => String::new(),
            several => format!(", and {} more", several - 1),
        };
        let looked = format!("looked at {age} ago");
        match readiness.standing {
            Standing::Ready => Ok(format!("ready, {looked}")),
            Standing::Doubtful => Ok(format!("ready, {looked}; to look at: {}{more}", readiness.worst)),
            Standing::NotReady => Err(format!("not ready, {looked}: {}{more}", readiness.worst)),
        }
    }
}

#[cfg(test)]
#[path = "readiness_test.rs"]
mod tests;
