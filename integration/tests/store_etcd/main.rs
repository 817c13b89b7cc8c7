//! The store on a real etcd of three members: the contract, and what etcd and its client do
//! when members die, stall, compact or fill up.

mod calls;
mod cluster;
mod outcome;
mod watches;

use std::sync::Arc;

use standfast::store::Store;
use standfast_integration::store_contract;

use cluster::Cluster;

#[tokio::test(flavor = "multi_thread")]
async fn keeps_the_contract() {
    let cluster = Cluster::start().await;
    let mut count = 0;
    store_contract::check(|_| {
        count += 1;
        let options = cluster.options(&[0, 1, 2], &format!("/contract/{count}/"));
        async move { Arc::new(cluster::connect(options).await) as Arc<dyn Store> }
    })
    .await;
}
