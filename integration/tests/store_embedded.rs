//! The embedded store keeps the contract. What is particular to it (restart, a full disk,
//! a damaged file) is tested where it is written.

use std::sync::Arc;

use standfast::store::{EmbeddedStore, Store};
use standfast_integration::store_contract;

#[tokio::test(flavor = "multi_thread")]
async fn keeps_the_contract() {
    let folder = tempfile::tempdir().expect("a folder");
    store_contract::check(|case| {
        let path = folder.path().join(format!("{}.redb", case.replace("::", "-")));
        async move {
            let store = EmbeddedStore::open(path).await.expect("a store");
            Arc::new(store) as Arc<dyn Store>
        }
    })
    .await;
}
