//! Who leads, and for how long that may be believed.
//!
//! An etcd lease alone is no leadership: its TTL can be reset, its holder can be paused past it
//! and wake up still believing. So three things stand beside it. Every journal write is guarded
//! by the leader key's create revision and this term's nonce. Validity is counted on our own
//! boot clock from *before* the last confirmed beat was sent, and ends before the lease does.
//! And the epoch, which never goes back, travels with every effect.

use crate::ids::Epoch;
use crate::time::{Mono, Now};
use crate::timing::Timing;
use std::time::Duration;

/// A lease of the store.
pub type Lease = u64;
/// A revision of the store.
pub type Revision = u64;

/// One term of leadership: everything a guarded write compares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// The fencing token.
    pub epoch: Epoch,
    /// Create revision of the leader key.
    pub key_revision: Revision,
    /// What this campaign wrote; a restored store may repeat a revision, never this.
    pub nonce: String,
    /// The lease that the leader key hangs on.
    pub lease: Lease,
}

/// The store's epoch is lower than one that was seen before: it was restored from a backup, or a run
/// without it has used higher ones. Whoever led under it would be refused by targets at best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the store's epoch is {stored}, and {seen} was seen before: was it restored from a backup, or was there a \
     local run? Nobody who knows leads until somebody says: standfast member bump-epoch --reason ..."
)]
pub struct Regressed {
    /// What the store says.
    pub stored: Epoch,
    /// The highest that was seen.
    pub seen: Epoch,
}

/// The epoch of the next term, given the store's, and the highest that this member has seen.
///
/// # Errors
/// [`Regressed`].
pub fn successor(stored: Epoch, seen: Epoch) -> Result<Epoch, Regressed> {
    if stored < seen { Err(Regressed { stored, seen }) } else { Ok(Epoch(stored.0 + 1)) }
}

/// What is reported to the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Time passes; to be given at least every 250 ms.
    Tick,
    /// The leader key was read: held by somebody, or free.
    LeaderKey {
        /// Whether anybody holds it.
        held: bool,
        /// Whether this member can reach where a lost site's services would go. Those that can
        /// campaign at once, the others one renewal later.
        reaches: bool,
    },
    /// A lease was asked for.
    Granted(Option<Lease>),
    /// A campaign ended.
    Campaigned(Campaign),
    /// A beat (keep-alive and guarded write) ended.
    Beaten {
        /// When it was sent, on our clock.
        sent: Mono,
        /// What came of it.
        outcome: Beat,
    },
    /// A guarded journal write lost its compare: somebody else leads.
    GuardLost,
    /// This leader is to hand over, for this reason.
    StepDown(&'static str),
    /// The daemon ends; never campaign again.
    Shutdown,
}

/// What came of a campaign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Campaign {
    /// We lead.
    Won {
        /// Create revision of the leader key.
        key_revision: Revision,
        /// The new epoch.
        epoch: Epoch,
        /// When the campaign was sent.
        sent: Mono,
    },
    /// Somebody else does, or the store said no.
    Lost,
    /// No answer: it may have been committed.
    Ambiguous,
}

/// What came of a beat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beat {
    /// Lease kept and guarded write committed.
    Held,
    /// The lease is gone or the compare was lost.
    Lost,
    /// One of them was not answered in time.
    Unanswered,
}

/// What the daemon has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Ask the store for a lease of the member TTL.
    Grant,
    /// One transaction: if the leader key is free and the epoch unchanged, take both.
    Campaign {
        /// The lease to hang the key on.
        lease: Lease,
        /// What to write.
        nonce: String,
    },
    /// Keep the lease and write the guarded beat.
    Beat(Term),
    /// Give a lease back; what hangs on it is deleted.
    Revoke(Lease),
    /// Read the leader key.
    ReadLeader,
    /// Lead: load all state under this term.
    Lead(Term),
    /// Stop leading at once: start no effect, forget all state.
    Stop {
        /// Why.
        why: &'static str,
    },
    /// End the child processes of actions.
    KillChildren,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    Following,
    Granting,
    Campaigning { lease: Lease, nonce: String },
    Leading { term: Term, valid_until: Mono, beat_sent: Mono, beat_out: bool },
}

/// The machine of one member.
#[derive(Clone, Debug)]
pub struct Leadership {
    timing: Timing,
    boot_id: String,
    campaigns: u64,
    phase: Phase,
    last_tick: Option<Mono>,
    read_at: Option<Mono>,
    not_before: Option<Mono>,
    free_since: Option<Mono>,
    /// When children end, and with them the lease that keeps others from acting meanwhile.
    kill_at: Option<(Mono, Lease)>,
    ended: bool,
}

impl Leadership {
    /// `boot_id` is unique to this process; nonces are made of it.
    pub fn new(timing: Timing, boot_id: impl Into<String>) -> Self {
        Self {
            timing,
            boot_id: boot_id.into(),
            campaigns: 0,
            phase: Phase::Following,
            last_tick: None,
            read_at: None,
            not_before: None,
            free_since: None,
            kill_at: None,
            ended: false,
        }
    }

    /// The term under which an effect may start now, if any.
    pub fn term(&self, now: Now) -> Option<&Term> {
        match &self.phase {
            Phase::Leading { term, valid_until, .. } if now.mono < *valid_until => Some(term),
            _ => None,
        }
    }

    /// Until when the store has confirmed this term; none when this member does not lead.
    pub fn valid_until(&self) -> Option<Mono> {
        match &self.phase {
            Phase::Leading { valid_until, .. } => Some(*valid_until),
            _ => None,
        }
    }

    /// The fleet's timing changed with its bundle. A lease keeps the TTL that it was granted
    /// with, and a term the windows that it was confirmed for, so others take another campaign.
    pub fn retime(&mut self, timing: Timing, now: Now) -> Vec<Effect> {
        let mut effects = Vec::new();
        let windows = |timing: &Timing| (timing.ttl, timing.validity, timing.kill);
        if windows(&timing) != windows(&self.timing) {
            self.depose("the bundle changes the times of leadership", now, true, &mut effects);
        }
        self.timing = timing;
        effects
    }

    /// One input, all that follows from it.
    pub fn on(&mut self, input: Input, now: Now) -> Vec<Effect> {
        let mut effects = Vec::new();
        match input {
            Input::Tick => self.tick(now, &mut effects),
            Input::LeaderKey { held: true, .. } => self.free_since = None,
            Input::LeaderKey { held: false, reaches } => self.key_is_free(reaches, now, &mut effects),
            Input::Granted(lease) => self.granted(lease, &mut effects),
            Input::Campaigned(outcome) => self.campaigned(outcome, now, &mut effects),
            Input::Beaten { sent, outcome } => self.beaten(sent, outcome, now, &mut effects),
            Input::GuardLost => self.depose("a guarded write lost its compare", now, true, &mut effects),
            Input::StepDown(why) => self.resign(why, now, &mut effects),
            Input::Shutdown => {
                self.ended = true;
                self.resign("shutting down", now, &mut effects);
            }
        }
        effects
    }

    fn key_is_free(&mut self, reaches: bool, now: Now, effects: &mut Vec<Effect>) {
        let since = *self.free_since.get_or_insert(now.mono);
        let patient = reaches || now.mono.since(since) >= self.timing.renew.0;
        let allowed = !self.ended && self.not_before.is_none_or(|at| now.mono >= at);
        if allowed && patient && self.phase == Phase::Following {
            self.phase = Phase::Granting;
            effects.push(Effect::Grant);
        }
    }

    fn tick(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let gap = self.last_tick.replace(now.mono).map_or(Duration::ZERO, |last| now.mono.since(last));
        if gap > self.timing.gap.0 {
            self.depose("this member's time had a gap", now, true, effects);
        }
        if self.kill_at.is_some_and(|(at, _)| now.mono >= at) {
            self.kill(effects);
        }
        match &mut self.phase {
            Phase::Leading { valid_until, .. } if now.mono >= *valid_until => {
                self.depose("no beat was confirmed in time", now, false, effects);
            }
            Phase::Leading { term, beat_sent, beat_out, .. } => {
                let every = self.timing.renew.min(self.timing.publish).0;
                if !*beat_out && now.mono.since(*beat_sent) >= every {
                    *beat_sent = now.mono;
                    *beat_out = true;
                    effects.push(Effect::Beat(term.clone()));
                }
            }
            Phase::Following if !self.ended => {
                let due = self.read_at.is_none_or(|at| now.mono.since(at) >= self.timing.publish.0);
                if due {
                    self.read_at = Some(now.mono);
                    effects.push(Effect::ReadLeader);
                }
            }
            Phase::Following | Phase::Granting | Phase::Campaigning { .. } => {}
        }
    }

    fn granted(&mut self, lease: Option<Lease>, effects: &mut Vec<Effect>) {
        match (lease, self.phase == Phase::Granting && !self.ended) {
            (Some(lease), true) => {
                self.campaigns += 1;
                let nonce = format!("{}-{}", self.boot_id, self.campaigns);
                self.phase = Phase::Campaigning { lease, nonce: nonce.clone() };
                effects.push(Effect::Campaign { lease, nonce });
            }
            (Some(lease), false) => effects.push(Effect::Revoke(lease)),
            (None, true) => self.phase = Phase::Following,
            (None, false) => {}
        }
    }

    fn campaigned(&mut self, outcome: Campaign, now: Now, effects: &mut Vec<Effect>) {
        let Phase::Campaigning { lease, nonce } = std::mem::replace(&mut self.phase, Phase::Following) else {
            return;
        };
        match outcome {
            Campaign::Won { key_revision, epoch, sent } if !self.ended => {
                let term = Term { epoch, key_revision, nonce, lease };
                // Lived through by whatever children an earlier term left: they must be gone first.
                self.kill(effects);
                self.phase = Phase::Leading {
                    term: term.clone(),
                    valid_until: sent + self.timing.validity.0,
                    beat_sent: now.mono,
                    beat_out: true,
                };
                effects.push(Effect::Lead(term.clone()));
                effects.push(Effect::Beat(term));
            }
            // An ambiguous campaign may have won: without its lease it holds nothing.
            Campaign::Won { .. } | Campaign::Lost | Campaign::Ambiguous => {
                effects.push(Effect::Revoke(lease))
            }
        }
    }

    fn beaten(&mut self, sent: Mono, outcome: Beat, now: Now, effects: &mut Vec<Effect>) {
        let Phase::Leading { valid_until, beat_out, .. } = &mut self.phase else { return };
        *beat_out = false;
        if now.mono >= *valid_until {
            // Effects have been held back already; a term that lapsed is not taken up again.
            self.depose("a beat was confirmed too late", now, outcome == Beat::Lost, effects);
            return;
        }
        match outcome {
            // A late answer proves only what was true when it was sent.
            Beat::Held => *valid_until = (*valid_until).max(sent + self.timing.validity.0),
            Beat::Lost => self.depose("the lease or the leader key is lost", now, true, effects),
            Beat::Unanswered => {}
        }
    }

    /// Ends a term. `superseded`: somebody else may lead already, so children end at once.
    /// Otherwise they have until `kill`, and only then the lease is given back: nobody else acts
    /// as long as they may live.
    fn depose(&mut self, why: &'static str, now: Now, superseded: bool, effects: &mut Vec<Effect>) {
        let Phase::Leading { term, valid_until, .. } = &self.phase else { return };
        let last_sent = *valid_until - self.timing.validity.0;
        let kill_at = last_sent + self.timing.kill.0;
        effects.push(Effect::Stop { why });
        self.kill_at = Some((kill_at, term.lease));
        if superseded || now.mono >= kill_at {
            self.kill(effects);
        }
        self.phase = Phase::Following;
        self.read_at = None;
        self.free_since = None;
    }

    /// Ends what an earlier term left.
    fn kill(&mut self, effects: &mut Vec<Effect>) {
        if let Some((_, lease)) = self.kill_at.take() {
            effects.push(Effect::KillChildren);
            effects.push(Effect::Revoke(lease));
        }
    }

    /// Ends a term on purpose: the lease is revoked, so takeover is immediate; this member
    /// leaves the field to the others for one TTL.
    fn resign(&mut self, why: &'static str, now: Now, effects: &mut Vec<Effect>) {
        if let Phase::Leading { .. } = self.phase {
            self.depose(why, now, true, effects);
            self.not_before = Some(now.mono + self.timing.ttl.0);
        }
        self.kill(effects);
    }
}

#[cfg(test)]
#[path = "leadership_test.rs"]
mod tests;
