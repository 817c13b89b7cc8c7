//! `fence.prove`: proof that a site cannot write any more. Tried in order; one is enough.
//!
//! A proof is something seen. A server that does not answer, a command that did not end, a
//! lease that nobody enforced prove nothing.

use super::command::Run;
use super::{Context, Driver};
use crate::client::postgres::name;
use crate::condition::postgres::status;
use crate::site_lease::fence::Fences;
use async_trait::async_trait;
use standfast_core::action::{Failure, FailureKind, FenceProof, Inspection};
use standfast_core::check::Database;
use standfast_core::ids::SiteId;
use standfast_core::plan::Mode;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// For a database of the site, which may be dead: it then proves nothing, soon.
const ASK: Duration = Duration::from_secs(2);

pub(super) struct Prove<'a> {
    pub(super) site: &'a SiteId,
    pub(super) any_of: &'a [FenceProof],
}

#[async_trait]
impl Driver for Prove<'_> {
    async fn inspect(&self, cx: &Context) -> Inspection {
        let mut not = Vec::new();
        for proof in self.any_of {
            match self.seen(proof, cx).await {
                Some(Ok(evidence)) => return Inspection::Satisfied(evidence),
                Some(Err(why)) => not.push(why),
                None => {}
            }
        }
        let mut possible = false;
        for proof in self.any_of {
            match proof {
                FenceProof::PowerOff { command } => {
                    match (Run { command, env: &BTreeMap::new() }).inspect(cx).await {
                        Inspection::Conflict(why) => not.push(format!("power_off: {why}")),
                        _ => {
                            possible = true;
                            not.insert(0, format!("would run {}", command.join(" ")));
                        }
                    }
                }
                FenceProof::OperatorWord { .. } => possible = true,
                FenceProof::WritesRefused { databases, .. } => possible |= !databases.is_empty(),
                FenceProof::SiteLeaseExpired => {
                    let refused = |fences: &Fences| matches!(fences.seen(self.site), Some(Err(_)));
                    possible |= cx.mode == Mode::Emergency && !cx.fences.as_ref().is_some_and(refused);
                }
            }
        }
        let text = format!("{} is not proven fenced: {}", self.site, not.join("; "));
        if possible { Inspection::Needed(text) } else { Inspection::Conflict(text) }
    }

    async fn act(&self, cx: &Context) -> Result<String, Failure> {
        let mut not = Vec::new();
        let mut kind = FailureKind::Failed;
        for (at, proof) in self.any_of.iter().enumerate() {
            let tried = match (self.seen(proof, cx).await, proof) {
                (Some(seen), _) => seen,
                (None, FenceProof::PowerOff { command }) => {
                    cx.may_act()?;
                    // A command that hangs leaves its share of the time to the other proofs.
                    let now = Instant::now();
                    let rest = u32::try_from(self.any_of.len() - at).unwrap_or(u32::MAX);
                    let share = cx.deadline.saturating_duration_since(now) / rest;
                    let cx = Context { deadline: now + share, ..cx.clone() };
                    let run = Run { command, env: &BTreeMap::new() }.act(&cx).await;
                    run.map_err(|failure| {
                        if failure.kind == FailureKind::Ambiguous {
                            kind = FailureKind::Ambiguous;
                        }
                        format!("power_off: {}", failure.message)
                    })
                }
                (None, FenceProof::SiteLeaseExpired) => {
                    cx.may_act()?;
                    let (fences, now) = (cx.fences.as_ref(), Instant::now());
                    let rest = u32::try_from(self.any_of.len() - at).unwrap_or(u32::MAX);
                    let share = now + cx.deadline.saturating_duration_since(now) / rest;
                    let proven = match fences {
                        Some(fences) => fences.prove(self.site, &cx.attempt.run, share).await,
                        None => Err("only a leader can tell".to_owned()),
                    };
                    proven.map_err(|why| format!("site_lease_expired: {why}"))
                }
                (None, _) => continue,
            };
            match tried {
                Ok(evidence) => return Ok(evidence),
                Err(why) => not.push(why),
            }
        }
        let message = format!("{} is not proven fenced: {}", self.site, not.join("; "));
        Err(Failure { kind, message })
    }
}

impl Prove<'_> {
    /// What a proof that only looks comes to; nothing for one that acts. A person's word is
    /// journaled by the engine, which then does not ask here.
    async fn seen(&self, proof: &FenceProof, cx: &Context) -> Option<Result<String, String>> {
        match proof {
            FenceProof::SiteLeaseExpired => {
                let told = |why| Some(Err(format!("site_lease_expired: {why}")));
                match &cx.fences {
                    _ if cx.mode != Mode::Emergency => {
                        told("a site that is left on purpose keeps its lease".to_owned())
                    }
                    None => told("it is proven once the site is lost".to_owned()),
                    Some(fences) => match fences.seen(self.site) {
                        Some(Ok(evidence)) => Some(Ok(evidence)),
                        Some(Err(why)) => told(why),
                        None => None,
                    },
                }
            }
            FenceProof::PowerOff { .. } => None,
            FenceProof::OperatorWord { role } => Some(Err(format!(
                "operator_word: a person of {role} may give it, by name and with a reason, as an override of `fence`"
            ))),
            FenceProof::WritesRefused { databases, witness } => {
                let asked = writes_refused(databases, witness, cx).await;
                Some(asked.map_err(|why| format!("writes_refused: {why}")))
            }
        }
    }
}

/// Every server of the site itself, known by its system identifier, answers that it is in
/// recovery. A session that is merely read-only by default proves nothing: the next one may
/// not be.
async fn writes_refused(
    databases: &[Database],
    witness: &[Database],
    cx: &Context,
) -> Result<String, String> {
    if databases.is_empty() {
        return Err("the site has no database to ask".into());
    }
    let deadline = cx.deadline.min(Instant::now() + ASK);
    let mut evidence = Vec::new();
    for database in databases {
        let others = witness.iter().filter(|other| other.cluster == database.cluster);
        let asking = others.map(|other| status(other, &cx.env, deadline));
        let (found, others) =
            tokio::join!(status(database, &cx.env, deadline), futures::future::join_all(asking));
        let found = found.map_err(|error| format!("{error}, which proves nothing"))?;
        let name = name(database);
        let system = others.into_iter().find_map(Result::ok).map(|status| status.system);
        match system.or_else(|| cx.env.clusters.system_by_others(database)) {
            None => return Err(format!("{name} cannot be recognised: no other server of it was ever seen")),
            Some(system) if system != found.system => {
                return Err(format!("{name} is another cluster: {}, not {system}", found.system));
            }
            Some(system) if found.standby.is_some() => {
                evidence.push(format!("{name}, system {system}, is in recovery and refuses writes"));
            }
            Some(_) => return Err(format!("{name} is a primary and takes writes")),
        }
    }
    Ok(evidence.join("; "))
}
