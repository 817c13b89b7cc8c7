//! The audit, page by page: each of one revision, so that what is compared belongs together.

use super::{Api, refuse};
use crate::ledger::number;
use crate::records::{self, AUDIT, AUDITED, Head, RUNS};
use crate::store::{KeyValue, Range, Revision, Store, StoreError, pages};
use standfast_core::audit::{Entry, Fact, Head as Last};
use standfast_proto::v1::audit_server::Audit;
use standfast_proto::v1::*;
use std::collections::BTreeMap;
use tonic::{Request, Response, Status};

/// Entries of a page.
const PAGE: usize = 500;
/// A page ends with the entry that brings it over this; a message may have 4 MiB.
const PAGE_BYTES: usize = 1024 * 1024;

#[tonic::async_trait]
impl Audit for Api {
    async fn list_entries(
        &self,
        request: Request<ListEntriesRequest>,
    ) -> Result<Response<ListEntriesResponse>, Status> {
        let request = request.into_inner();
        let size = match usize::try_from(request.page_size).unwrap_or(usize::MAX) {
            0 => PAGE,
            size if size > PAGE => return Err(refuse::bad_field("page_size", format!("at most {PAGE}"))),
            size => size,
        };
        let store = self.store();
        let at = |range: Range| match request.revision {
            0 => range,
            revision => range.at(revision),
        };
        let head = store.range(at(Range::key(AUDITED))).await.map_err(refuse::store)?;
        let revision = if request.revision == 0 { head.revision } else { request.revision };
        let last = head.kvs.first().map(records::decode::<Last>).transpose().map_err(refuse::internal)?;
        let last = last.unwrap_or_default();
        let range = Range { after: Some(records::audit(request.after)), ..Range::prefix(AUDIT).at(revision) };
        let page = pages::page(store, range, &mut size.clone()).await.map_err(refuse::store)?;
        let (mut entries, mut bytes, mut more) = (Vec::new(), 0, page.more);
        for kv in page.kvs {
            if bytes > PAGE_BYTES {
                more = true;
                break;
            }
            let records = match request.records {
                true => journal_records(store, &kv, revision).await.map_err(refuse::store)?,
                false => Vec::new(),
            };
            bytes += kv.value.len() + records.iter().map(|record| record.record.len()).sum::<usize>();
            entries.push(AuditEntry { sequence: number(&kv.key), line: kv.value, records });
        }
        let journals = match request.records && !more {
            true => journals(store, revision).await?,
            false => BTreeMap::new(),
        };
        let head = Some(AuditHead { sequence: last.sequence, digest: last.digest.to_string() });
        Ok(Response::new(ListEntriesResponse { entries, more, revision, head, journals }))
    }
}

/// The records that an entry tells of. Those of an entry that cannot be read are nobody's.
async fn journal_records(
    store: &dyn Store,
    kv: &KeyValue,
    revision: Revision,
) -> Result<Vec<AuditRecord>, StoreError> {
    let Ok(entry) = serde_json::from_slice::<Entry>(&kv.value) else { return Ok(Vec::new()) };
    let mut records = Vec::new();
    for fact in &entry.facts {
        let Fact::Run { run, entry, .. } = fact else { continue };
        let reply = store.range(Range::key(records::entry(run, *entry)).at(revision)).await?;
        let record = reply.kvs.into_iter().next().map(|kv| kv.value);
        let found = record.is_some();
        let record = record.unwrap_or_default();
        records.push(AuditRecord { run: run.to_string(), entry: *entry, record, found });
    }
    Ok(records)
}

/// The last entry of the journal of each run.
async fn journals(store: &dyn Store, revision: Revision) -> Result<BTreeMap<String, u64>, Status> {
    let mut journals = BTreeMap::new();
    let mut range = Range::prefix(RUNS).at(revision);
    loop {
        let page = pages::page(store, range.clone(), &mut PAGE.clone()).await.map_err(refuse::store)?;
        for kv in &page.kvs {
            let head: Head = records::decode(kv).map_err(refuse::internal)?;
            journals.insert(head.id.to_string(), head.sequence);
        }
        range.after = page.kvs.last().map(|kv| kv.key.clone());
        if !page.more {
            return Ok(journals);
        }
    }
}
