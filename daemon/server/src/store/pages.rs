//! Reading everything under a prefix, however much it is, as of one revision.

use super::{Range, RangeReply, Result, Store, StoreError};

/// Keys of the first page; fewer are asked for when their values are large.
const PAGE_KEYS: usize = 500;

/// Reads all keys that begin with `prefix`, page by page, all as of the revision of the
/// first page: that is the revision of the reply, and a watch from the one after it misses
/// nothing.
///
/// # Errors
/// As [`Store::range`]; `Compacted` if the history was compacted in the middle of it.
pub async fn range_all(store: &dyn Store, prefix: &str) -> Result<RangeReply> {
    let mut keys = PAGE_KEYS;
    let mut all = page(store, Range::prefix(prefix), &mut keys).await?;
    while all.more {
        let mut next = Range::prefix(prefix).at(all.revision);
        next.after = all.kvs.last().map(|kv| kv.key.clone());
        let page = page(store, next, &mut keys).await?;
        all.kvs.extend(page.kvs);
        all.more = page.more;
    }
    Ok(all)
}

/// Reads one page of at most `keys` keys, of half as many as long as it is too large.
///
/// # Errors
/// As [`Store::range`].
pub async fn page(store: &dyn Store, range: Range, keys: &mut usize) -> Result<RangeReply> {
    loop {
        match store.range(range.clone().limit(*keys)).await {
            Err(StoreError::TooLarge { .. }) if *keys > 1 => *keys /= 2,
            page => return page,
        }
    }
}
