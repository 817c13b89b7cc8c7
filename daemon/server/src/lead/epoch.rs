//! Takes the lead under the next epoch, and under none of the past.

use crate::records::{self, EPOCH, LEADER, Leader};
use crate::store::{Compare, LeaseId, Op, Range, Store, StoreError, Txn};
use crate::trouble::Trouble;
use crate::watermark::Watermark;
use standfast_core::ids::Epoch;

/// Keeps an epoch that was seen; a disk that does not take it is told of.
pub(super) fn keep(watermark: &Watermark, epoch: Epoch, unkept: &Trouble) {
    match watermark.raise(epoch) {
        Ok(()) => unkept.over(),
        Err(error) => unkept.met(error),
    }
}

/// The store's epoch, and the compare that it is still that.
///
/// # Errors
/// As [`Store::range`]; `Corrupt` when it is no number: whatever it was, it must not go back.
pub async fn stored_epoch(store: &dyn Store) -> Result<(Epoch, Compare), StoreError> {
    let read = store.range(Range::key(EPOCH)).await?;
    let Some(kv) = read.kvs.first() else { return Ok((Epoch(0), Compare::absent(EPOCH))) };
    let number = std::str::from_utf8(&kv.value).ok().and_then(|text| text.parse().ok());
    match number.filter(|number| *number < u64::MAX) {
        Some(number) => Ok((Epoch(number), Compare::value(EPOCH, kv.value.clone()))),
        None => {
            let why = "the epoch is no number".to_owned();
            Err(StoreError::Corrupt { at: format!("key {EPOCH:?}"), why })
        }
    }
}

/// One transaction: if the leader key is free and the epoch unchanged, take both. Not under an epoch
/// that was seen before.
pub(super) async fn campaign(
    store: &dyn Store,
    leader: &mut Leader,
    lease: u64,
    watermark: &Watermark,
) -> Result<Option<u64>, StoreError> {
    let (stored, unchanged) = stored_epoch(store).await?;
    let Ok(epoch) = watermark.successor(stored) else { return Ok(None) };
    leader.epoch = epoch;
    let txn = Txn::new()
        .when(Compare::absent(LEADER))
        .when(unchanged)
        .then(Op::put_leased(LEADER, records::encode(leader), LeaseId(lease)))
        .then(Op::put(EPOCH, epoch.to_string()));
    Ok(Some(store.txn(txn).await?).filter(|reply| reply.succeeded).map(|reply| reply.revision))
}
