//! Whether the playbooks of `on_loss` could run, as the leader's last looks have it.

use super::super::state::State;
use super::super::{Api, refuse, wire};
use super::preview::trouble;
use crate::clock;
use crate::records;
use crate::store::Range;
use standfast_core::bundle::Bundle;
use standfast_core::look::Found;
use standfast_core::readiness::{Book, Standing};
use standfast_proto::v1::{self, ReadinessVerdict as Verdict};
use tonic::Status;

/// By site, without what was found.
pub(in crate::api) fn list(bundle: &Bundle, state: &State) -> Vec<v1::Readiness> {
    let (rules, now) = (bundle.rules(), clock::now());
    let book = Book::loaded(state.readiness.clone(), now);
    let known = book.aged(now);
    let shown = rules.on_loss.iter().map(|entry| {
        let says = book.says(&rules, entry, &bundle.digest, now);
        let mut shown = v1::Readiness {
            site: entry.site.to_string(),
            playbook: entry.playbook.to_string(),
            to: entry.to.to_string(),
            required: rules.readiness.required,
            ..v1::Readiness::default()
        };
        let verdict = match (known.get(&entry.site), &says) {
            (None, _) => Verdict::Unspecified,
            (Some(known), Ok(_)) if known.standing == Standing::Ready => Verdict::Ready,
            (Some(_), Ok(_)) => Verdict::Doubtful,
            (Some(_), Err(_)) if book.counts(&rules, entry, &bundle.digest, now) => Verdict::NotReady,
            (Some(_), Err(_)) => Verdict::Expired,
        };
        if let Some(known) = known.get(&entry.site) {
            shown.age = wire::span(known.age);
            shown.looked_at = wire::time(known.looked_wall_ms);
            shown.since = wire::time(known.since_wall_ms);
            (shown.errors, shown.warnings) = (wire::count(known.errors), wire::count(known.warnings));
        }
        shown.verdict = verdict.into();
        shown.reason = says.unwrap_or_else(|why| why);
        shown
    });
    shown.collect()
}

impl Api {
    /// The same, with what was found.
    pub(super) async fn readiness(&self) -> Result<Vec<v1::Readiness>, Status> {
        let bundle = self.bundle().await?;
        let state = State::read(self.store(), None).await?;
        let mut shown = list(&bundle, &state);
        for one in &mut shown {
            let key = records::found(&one.site.as_str().into());
            let reply = self.store().range(Range::key(key)).await.map_err(refuse::store)?;
            let found: Option<Vec<Found>> = reply.kvs.first().and_then(|kv| records::decode(kv).ok());
            one.troubles = found.iter().flatten().map(trouble).collect();
        }
        Ok(shown)
    }
}
