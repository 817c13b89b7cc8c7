//! A request on its way to the leader, and its answer on the way back.
//!
//! That a request came is written together with it, under the caller's id, once. So whoever
//! repeats it, at whatever member and however often, waits for the same answer.

use super::{Api, refuse};
use crate::clock;
use crate::records::{self, Answered, Asked, LEADER, Requested};
use crate::store::{Compare, Op, OpResult, Range, RangeReply, Txn, WatchEvent};
use prost::Message;
use standfast_core::controller::{Ask, Subject};
use standfast_core::ids::{Digest, Identity};
use standfast_core::time::Span;
use standfast_core::timing::Timing;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use tonic::Status;

/// How long an answer is waited for while somebody leads; callers wait 10 s.
const PATIENCE: Duration = Duration::from_secs(8);
/// How long it is waited for while nobody does.
const LEADERLESS: Duration = Duration::from_secs(2);
/// How often a write that nobody answered is tried.
const TRIES: usize = 3;
/// The longest id of a request, in bytes.
const MAX_ID: usize = 128;
/// The longest reason, in bytes.
const MAX_REASON: usize = 4_096;

/// Something that a person wants, before it is known how to say it to the leader.
#[derive(Debug)]
pub(super) struct Wish {
    /// The caller's id for it.
    pub(super) id: String,
    /// The name in the certificate.
    pub(super) by: Identity,
    content: Digest,
}

/// What came of it.
#[derive(Debug)]
pub(super) enum Outcome {
    /// Carried out; the run it concerns, if it concerns one.
    Done(Option<Subject>),
    /// It waits for a leader.
    Waiting {
        /// Whether somebody leads, who has not answered yet.
        led: bool,
    },
}

impl Wish {
    /// The wish of a message, under the id that the caller chose.
    pub(super) fn new(id: &str, by: Identity, message: &impl Message) -> Result<Self, Status> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        if id.is_empty() || id.len() > MAX_ID || !id.bytes().all(plain) {
            let why = format!("choose an id of 1 to {MAX_ID} letters, digits, `-`, `_`, `.`: a UUID, say");
            return Err(refuse::bad_field("request_id", why));
        }
        let content = Digest::of([by.as_str().as_bytes(), message.encode_to_vec().as_slice()]);
        Ok(Self { id: id.to_owned(), by, content })
    }
}

/// Whether `reason` can stand in a journal.
pub(super) fn reason(reason: &str, needed: bool) -> Result<String, Status> {
    let reason = reason.trim();
    if needed && reason.is_empty() {
        return Err(refuse::bad_field("reason", "say why: it stands in the journal and in the report"));
    }
    if reason.len() > MAX_REASON {
        return Err(refuse::bad_field("reason", format!("at most {MAX_REASON} bytes are kept")));
    }
    Ok(standfast_core::finding::printable(reason))
}

/// How long it may take at most until somebody leads: the lease of the last leader, and an
/// election of the store.
pub(super) fn until_led(timing: &Timing) -> Span {
    Span(timing.ttl.0 + 3 * timing.election.0 + Duration::from_secs(1))
}

impl Api {
    /// Whether the wish came before.
    pub(super) async fn known(&self, wish: &Wish) -> Result<bool, Status> {
        let reply = self.store().range(Range::key(records::request(&wish.id))).await;
        recognize(wish, &reply.map_err(refuse::store)?)
    }

    /// Writes the wish, once, provided that `guards` hold; otherwise what the caller has seen is
    /// not what is there.
    pub(super) async fn place(&self, wish: &Wish, ask: Ask, guards: Vec<Compare>) -> Result<(), Status> {
        let wall_ms = clock::wall_ms();
        let seen = records::request(&wish.id);
        let requested = Requested { content: wish.content.clone(), wall_ms };
        let asked = Asked { by: wish.by.clone(), ask, wall_ms };
        let mut txn = Txn::new()
            .when(Compare::absent(&seen))
            .then(Op::put(&seen, records::encode(&requested)))
            .then(Op::put(records::ask(&wish.id), records::encode(&asked)))
            .or_else(Op::get(&seen));
        txn.compare.extend(guards);
        let mut tries = 1;
        loop {
            match self.store().txn(txn.clone()).await {
                Ok(reply) if reply.succeeded => return Ok(()),
                Ok(reply) => {
                    return match reply.results.first() {
                        Some(OpResult::Range(range)) if recognize(wish, range)? => Ok(()),
                        _ => Err(refuse::stale("it has changed since you read it; read it again")),
                    };
                }
                // Sent again it is found, if it was written.
                Err(error) if error.is_ambiguous() && tries < TRIES => tries += 1,
                Err(error) => return Err(refuse::store(error)),
            }
        }
    }

    /// Waits for the leader's answer.
    pub(super) async fn outcome(&self, wish: &Wish) -> Result<Outcome, Status> {
        let began = Instant::now();
        let led = self.led().await?;
        let patience = if led { PATIENCE } else { LEADERLESS };
        match timeout_at(began + patience, self.answer(wish)).await {
            Err(_) => Ok(Outcome::Waiting { led: self.led().await? }),
            Ok(answered) => match answered? {
                Answered { refusal: Some(refusal), .. } => Err(refuse::refusal(&refusal)),
                Answered { subject, .. } => Ok(Outcome::Done(subject)),
            },
        }
    }

    /// Places a wish that has no other answer than that it was done.
    pub(super) async fn ask(
        &self,
        wish: &Wish,
        ask: Ask,
        guards: Vec<Compare>,
    ) -> Result<Option<Subject>, Status> {
        self.place(wish, ask, guards).await?;
        match self.outcome(wish).await? {
            Outcome::Done(subject) => Ok(subject),
            Outcome::Waiting { led } => Err(self.unanswered(wish, led)),
        }
    }

    pub(super) fn unanswered(&self, wish: &Wish, led: bool) -> Status {
        let timing = self.timing();
        let why = if led { "the leader has not answered yet" } else { "nobody leads at the moment" };
        refuse::uncertain(format!(
            "{why}: the request {} is stored, and is acted upon by whoever leads next, within {} if the store \
             has a quorum; the same call with the same request id finds out what came of it",
            wish.id,
            until_led(&timing)
        ))
    }

    /// The windows of the current fleet.
    pub(super) fn timing(&self) -> Timing {
        self.deps.bundle.borrow().as_ref().map_or_else(Timing::default, |bundle| bundle.fleet.timing)
    }

    async fn led(&self) -> Result<bool, Status> {
        let reply = self.store().range(Range::key(LEADER)).await.map_err(refuse::store)?;
        Ok(!reply.kvs.is_empty())
    }

    async fn answer(&self, wish: &Wish) -> Result<Answered, Status> {
        let key = records::answer(&wish.id);
        loop {
            let reply = self.store().range(Range::key(&key)).await.map_err(refuse::store)?;
            if let Some(kv) = reply.kvs.first() {
                return records::decode(kv).map_err(refuse::internal);
            }
            let mut changes = self.store().watch(&key, reply.revision + 1).await;
            // A watch that ends is begun anew by reading again.
            while let Ok(batch) = changes.next().await {
                let puts = batch.events.iter().filter(|event| event.key() == key);
                for event in puts {
                    if let WatchEvent::Put(kv) = event {
                        return records::decode(kv).map_err(refuse::internal);
                    }
                }
            }
        }
    }
}

fn recognize(wish: &Wish, range: &RangeReply) -> Result<bool, Status> {
    let Some(kv) = range.kvs.first() else { return Ok(false) };
    let requested: Requested = records::decode(kv).map_err(refuse::internal)?;
    if requested.content != wish.content {
        return Err(refuse::reused(&wish.id));
    }
    Ok(true)
}
