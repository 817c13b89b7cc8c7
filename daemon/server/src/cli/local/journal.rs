//! The folder in which a local run keeps its journal.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::cli::exit::{Exit, Failure};
use crate::records::{self, Head, RUNS};
use crate::store::{EmbeddedStore, Store, StoreError, pages};

/// Key of the epoch up to which members were told to lead no more.
pub(super) const TAKEN: &str = "taken";
/// How long a process that ends may still have the folder.
const PATIENCE: Duration = Duration::from_secs(3);

/// Opens it; made if it is missing and `make` says so.
pub(super) async fn open(journal: &Path, make: bool) -> Result<Arc<dyn Store>, Failure> {
    let file = journal.join("store.redb");
    if make {
        std::fs::create_dir_all(journal)
            .map_err(|error| Failure::usage(format!("{}: {error}", journal.display())))?;
    } else if !file.exists() {
        return Err(Failure::usage(format!("{} is no journal of a local run", journal.display())));
    }
    let asked = Instant::now();
    loop {
        match EmbeddedStore::open(&file).await {
            Ok(store) => return Ok(Arc::new(store)),
            // Whoever had it a moment ago may be about to end.
            Err(StoreError::Unavailable { .. }) if asked.elapsed() < PATIENCE => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(error) => return Err(unusable(error)),
        }
    }
}

/// The runs in it.
pub(super) async fn heads(store: &dyn Store) -> Result<Vec<Head>, Failure> {
    let reply = pages::range_all(store, RUNS).await.map_err(unusable)?;
    let heads = reply.kvs.iter().map(records::decode::<Head>).collect::<Result<_, _>>();
    heads.map_err(|error| Failure::new(Exit::Failed, error.to_string()))
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
pub(super) fn unusable(error: StoreError) -> Failure {
    Failure::new(Exit::Failed, format!("the journal: {error}"))
}
