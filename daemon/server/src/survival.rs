//! Shows, for every site, whether Standfast and its people would survive its loss now.
//!
//! The fleet's own words go first; where it is silent, what is seen counts: the members that
//! are alive and the endpoints of the store. Reckoned when the bundle or the members change.

use crate::metrics::Metrics;
use crate::records::{self, MEMBERS, Member};
use crate::store::{Result, Store, range_all};
use standfast_core::bundle::Bundle;
use standfast_core::ids::Digest;
use standfast_core::proof::survival::{self, Known, Survival};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How often the members are counted.
const AGAIN: Duration = Duration::from_secs(15);

/// Keeps `standfast_survives` current until `cancel`. `voters` are the endpoints of the store.
pub async fn follow(
    store: Arc<dyn Store>,
    bundle: watch::Receiver<Option<Arc<Bundle>>>,
    voters: Vec<String>,
    metrics: Metrics,
    cancel: CancellationToken,
) {
    let follower = Follower { store, bundle, known: Known { voters, ..Known::default() }, metrics };
    cancel.run_until_cancelled(follower.run()).await;
}

struct Follower {
    store: Arc<dyn Store>,
    bundle: watch::Receiver<Option<Arc<Bundle>>>,
    known: Known,
    metrics: Metrics,
}

impl Follower {
    async fn run(mut self) {
        let mut shown: Option<(Digest, Known)> = None;
        let mut lost: BTreeMap<String, String> = BTreeMap::new();
        let mut again = tokio::time::interval(AGAIN);
        loop {
            tokio::select! {
                changed = self.bundle.changed() => if changed.is_err() { return },
                _ = again.tick() => {}
            }
            // As long as the store does not answer, those that were alive last count.
            match self.alive().await {
                Ok(members) => self.known.members = members,
                Err(error) => tracing::debug!(%error, "the members are not counted"),
            }
            let current = self.bundle.borrow_and_update().clone();
            let Some(bundle) = current else { continue };
            if shown.as_ref().is_some_and(|(digest, known)| *digest == bundle.digest && *known == self.known)
            {
                continue;
            }
            shown = Some((bundle.digest.clone(), self.known.clone()));
            let known = self.known.clone();
            let Ok(sites) = tokio::task::spawn_blocking(move || survival::of(&bundle, &known)).await else {
                continue;
            };
            self.metrics.set_survives(sites.iter().map(|site| (site.site.as_str(), site.survives())));
            lost = tell(&sites, lost);
        }
    }

    /// The site of every member that is alive, sorted.
    async fn alive(&self) -> Result<Vec<standfast_core::ids::SiteId>> {
        let members = range_all(&*self.store, MEMBERS).await?;
        let members = members.kvs.iter().filter_map(|kv| records::decode::<Member>(kv).ok());
        let mut sites: Vec<_> = members.map(|member| member.site).collect();
        sites.sort();
        Ok(sites)
    }
}

/// Logs what has changed; returns what is lost with each site now.
fn tell(sites: &[Survival], before: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut now = BTreeMap::new();
    for site in sites.iter().filter(|site| !site.survives()) {
        let missing = site.parts.iter().filter(|part| part.left != Some(true));
        let why: Vec<_> = missing.map(|part| format!("{}: {}", part.what.name(), part.why)).collect();
        now.insert(site.site.to_string(), why.join("; "));
    }
    for (site, why) in now.iter().filter(|(site, why)| before.get(*site) != Some(*why)) {
        tracing::warn!(site, why, "we would not survive the loss of this site");
    }
    for site in before.keys().filter(|site| !now.contains_key(*site)) {
        tracing::info!(site, "we would survive the loss of this site");
    }
    now
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{EmbeddedStore, Op, Txn};
    use standfast_core::source::SourceFile;

    const FLEET: &str = include_str!("../../../playbooks/shop/fleet.yaml");
    const SHOP: &str = include_str!("../../../playbooks/shop/shop.yaml");

    fn bundle(keys: &str) -> Arc<Bundle> {
        let fleet = FLEET.replace("\non_loss:", &format!("\n{keys}\non_loss:"));
        let files = vec![SourceFile::new("fleet.yaml", fleet), SourceFile::new("shop.yaml", SHOP)];
        Arc::new(Bundle::load(files).0.unwrap())
    }

    async fn until(metrics: &Metrics, line: &str) {
        let shown = async {
            while !metrics.encode().lines().any(|shown| shown == line) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let found = tokio::time::timeout(Duration::from_secs(20), shown).await;
        found.unwrap_or_else(|_| panic!("{line} in\n{}", metrics.encode()));
    }

    #[tokio::test]
    async fn the_metric_follows_the_bundle_and_counts_who_is_alive() {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> =
            Arc::new(EmbeddedStore::open(folder.path().join("store.redb")).await.unwrap());
        let member = |id: &str, site: &str| {
            let member = Member {
                id: id.into(),
                site: site.into(),
                boot_id: "1".into(),
                address: "127.0.0.1:1".into(),
                version: "0".into(),
                bundle: None,
            };
            Op::put(records::member(&id.into()), serde_json::to_vec(&member).unwrap())
        };
        store.txn(Txn::new().then(member("m1", "a")).then(member("m2", "b"))).await.unwrap();
        let (sender, receiver) = watch::channel(Some(bundle("")));
        let (metrics, cancel) = (Metrics::new(), CancellationToken::new());
        let voters = ["10.1.0.9:2379", "10.2.0.9:2379", "10.3.0.9:2379"].map(str::to_owned).to_vec();
        let following = tokio::spawn(follow(store, receiver, voters, metrics.clone(), cancel.clone()));
        // Nobody says how people are reached.
        until(&metrics, "standfast_survives{site=\"a\"} 0").await;
        let people = "control: {channels: {outside: phones}, alerting: {site: [a, w]}}\n";
        sender.send_replace(Some(bundle(people)));
        until(&metrics, "standfast_survives{site=\"a\"} 1").await;
        until(&metrics, "standfast_survives{site=\"w\"} 1").await;
        sender.send_replace(Some(bundle(&people.replace("[a, w]", "w"))));
        until(&metrics, "standfast_survives{site=\"w\"} 0").await;
        until(&metrics, "standfast_survives{site=\"a\"} 1").await;
        cancel.cancel();
        following.await.unwrap();
    }
}
