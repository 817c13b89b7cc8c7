//! What stands in etcd, read beside the daemon.

use std::time::Duration;

use etcd_client::GetOptions;
use serde_json::Value;
use standfast_checker::history::Stored;

use super::schedule::Site;
use crate::lab::member::SITES;
use crate::lab::world::World;
use crate::parts::{Error, Result};

/// Before every key.
const PREFIX: &str = "/standfast/";
/// For one question to one member.
const ANSWER: Duration = Duration::from_secs(1);
/// What is judged.
const KEPT: [&str; 3] = ["journals/", "plans/", "chunks/plans/"];

/// The site of whoever leads, if anybody does and that can be known.
pub async fn leader_site(world: &World) -> Option<Site> {
    let leader = range(world, "leader").await.ok()?.pop()?;
    let leader: Value = serde_json::from_str(&leader.value).ok()?;
    let site = leader["site"].as_str()?;
    SITES.iter().map(|(name, _)| *name).find(|name| *name == site)
}

/// The place of etcd's own leader, if there is one.
pub async fn etcd_leader(world: &World) -> Option<usize> {
    let etcd = world.cluster.etcd.as_ref()?;
    for place in 0..SITES.len() {
        if soon(etcd.leads(place)).await.is_ok_and(|leads| leads) {
            return Some(place);
        }
    }
    None
}

/// All that the checker reads.
pub async fn judged(world: &World) -> Result<Vec<Stored>> {
    let mut all = Vec::new();
    for prefix in KEPT {
        all.extend(range(world, prefix).await?);
    }
    Ok(all)
}

/// All keys that begin like this, from the first member of etcd that answers.
async fn range(world: &World, prefix: &str) -> Result<Vec<Stored>> {
    let etcd = world.cluster.etcd.as_ref().ok_or_else(|| Error::answer("chaos", "no etcd"))?;
    let mut last = String::new();
    for place in 0..SITES.len() {
        let asked = async {
            let mut client = etcd.client(place).await?;
            client.get(format!("{PREFIX}{prefix}"), Some(GetOptions::new().with_prefix())).await
        };
        match soon(asked).await {
            Ok(answer) => return Ok(answer.kvs().iter().map(stored).collect()),
            Err(error) => last = error,
        }
    }
    Err(Error::answer("etcd", last))
}

/// A member that stands still takes a connection and never says a word, which no timeout of the
/// client's own ends.
pub(super) async fn soon<T>(
    asked: impl Future<Output = std::result::Result<T, etcd_client::Error>>,
) -> std::result::Result<T, String> {
    match tokio::time::timeout(ANSWER, asked).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {ANSWER:?}")),
    }
}

fn stored(kv: &etcd_client::KeyValue) -> Stored {
    let key = String::from_utf8_lossy(kv.key());
    Stored {
        key: key.strip_prefix(PREFIX).unwrap_or(&key).to_owned(),
        value: String::from_utf8_lossy(kv.value()).into_owned(),
        created: kv.create_revision(),
        version: kv.version(),
    }
}
