//! `dns.set`: replace a record set by a signed update, which the server itself refuses to a leader
//! that is not the latest any more.

use super::{Context, Driver, failure, uninspected, unread};
use crate::client::Error;
use crate::client::dns::{self, Key, RecordSet, Records};
use async_trait::async_trait;
use secrecy::ExposeSecret as _;
use standfast_core::action::{Failure, FailureKind, Inspection};
use standfast_core::check::RecordType;
use standfast_core::ids::SecretName;
use standfast_core::time::Span;

pub(super) struct Set<'a> {
    pub(super) server: &'a str,
    pub(super) zone: &'a str,
    pub(super) name: &'a str,
    pub(super) record_type: RecordType,
    pub(super) ttl: Span,
    pub(super) key: &'a SecretName,
    pub(super) values: &'a [String],
}

#[async_trait]
impl Driver for Set<'_> {
    async fn inspect(&self, cx: &Context) -> Inspection {
        let (found, wanted) = match (self.ask(cx).await, self.wanted()) {
            (Ok(found), Ok(wanted)) => (found, wanted),
            (Err(error), _) | (_, Err(error)) => return uninspected(error),
        };
        match self.held(cx).await {
            Ok(held) => {
                if let Some(why) = held.and_then(|held| cx.fenced_by(held)) {
                    return Inspection::Conflict(format!("{}, {why}", self.seen(&found)));
                }
            }
            Err(error) => return uninspected(error),
        }
        if found == wanted {
            return Inspection::Satisfied(self.seen(&found));
        }
        match self.signing_key(cx) {
            Ok(_) => Inspection::Needed(self.seen(&found)),
            Err(error) => Inspection::Conflict(error.to_string()),
        }
    }

    async fn act(&self, cx: &Context) -> Result<String, Failure> {
        let wanted = self.wanted().map_err(failure)?;
        let key = self.signing_key(cx).map_err(failure)?;
        let before = self.ask(cx).await.map_err(unread)?;
        let epoch = cx.attempt.epoch.0;
        // What is right already may have been written by an earlier leader, who must not come back.
        if before == wanted && self.held(cx).await.map_err(unread)? == Some(epoch) {
            return Ok(self.seen(&before));
        }
        let set = RecordSet {
            zone: self.zone,
            name: self.name,
            record_type: self.record_type,
            ttl_s: self.ttl_s(),
            values: self.values,
        };
        cx.may_act()?;
        dns::replace(self.server, &set, epoch, &key, cx.env.source, cx.deadline).await.map_err(failure)?;
        let after = self.ask(cx).await.map_err(failure)?;
        if after != wanted {
            // A server may take an update and leave out what contradicts the zone, such as an
            // alias beside an address.
            let message = format!("{} took the update, and still {}", self.server, self.seen(&after));
            return Err(Failure { kind: FailureKind::Failed, message });
        }
        Ok(format!("{}, was {}", self.seen(&after), list(&before.values)))
    }
}

impl Set<'_> {
    async fn ask(&self, cx: &Context) -> Result<Records, Error> {
        dns::query(self.server, self.name, self.record_type, cx.env.source, cx.deadline).await
    }

    async fn held(&self, cx: &Context) -> Result<Option<u64>, Error> {
        dns::held(self.server, self.name, cx.env.source, cx.deadline).await
    }

    fn wanted(&self) -> Result<Records, Error> {
        let values = self.values.iter().map(|value| dns::canonical(self.record_type, value));
        let mut values = values.collect::<Result<Vec<_>, _>>()?;
        values.sort();
        let ttl_s = (!values.is_empty()).then_some(self.ttl_s());
        Ok(Records { values, ttl_s })
    }

    fn ttl_s(&self) -> u32 {
        u32::try_from(self.ttl.0.as_secs()).unwrap_or(u32::MAX)
    }

    fn signing_key(&self, cx: &Context) -> Result<Key, Error> {
        let secret = cx.env.secrets.get(self.key.as_str()).map_err(|e| Error::Ours(e.to_string()))?;
        Key::parse(secret.expose_secret()).map_err(|why| Error::Ours(format!("secret `{}` {why}", self.key)))
    }

    fn seen(&self, records: &Records) -> String {
        format!("{} is {} at {}", self.name, list(&records.values), self.server)
    }
}

fn list(values: &[String]) -> String {
    if values.is_empty() { "nothing".into() } else { values.join(", ") }
}
