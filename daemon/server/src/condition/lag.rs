//! `postgres.lag`, and what each member notes of the database clusters so that it can answer
//! when the primary is gone.

use super::Env;
use super::postgres::{describe, status};
use crate::client::Error;
use crate::client::postgres::{Status, connect, name};
use crate::clock;
use futures::StreamExt as _;
use standfast_core::check::{Answer, Database, LagLimit};
use standfast_core::ids::{ResourceId, SiteId};
use standfast_core::lag::{Lag, LagBook, Lsn, Sample, SystemId};
use standfast_core::time::Mono;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

/// For a primary that may be cut off, and for which every run of an emergency waits: what it said last
/// counts as well, and that is asked for all the time.
const SOON: Duration = Duration::from_millis(500);
/// Who did not answer so long ago is not waited for again by each condition: the sampling asks all the time.
const SILENT: Duration = Duration::from_secs(2);
/// Servers asked at the same time.
const AT_ONCE: usize = 16;

/// What this member has seen of the database clusters of the fleet. Not persistent: a member
/// that starts when the primary is already gone knows no lag, and says so.
#[derive(Debug, Default)]
pub struct Clusters {
    clusters: Mutex<BTreeMap<ResourceId, Cluster>>,
}

#[derive(Debug, Default)]
struct Cluster {
    servers: Vec<Database>,
    /// The identifier that the server of a site showed last, as a standby (true) and as a primary.
    shown: BTreeMap<(SiteId, bool), SystemId>,
    /// When the server of a site last did not answer, if it has not answered since.
    silent: BTreeMap<SiteId, Mono>,
    book: LagBook,
}

impl Clusters {
    /// Takes over the servers of a new fleet; what was seen of those that stay is kept.
    pub fn set_servers(&self, servers: impl IntoIterator<Item = Database>) {
        let mut clusters = self.lock();
        let mut old = std::mem::take(&mut *clusters);
        for server in servers {
            let cluster = clusters
                .entry(server.cluster.clone())
                .or_insert_with(|| old.remove(&server.cluster).map(Cluster::emptied).unwrap_or_default());
            cluster.servers.push(server);
        }
    }

    /// All servers of all clusters.
    pub fn servers(&self) -> Vec<Database> {
        self.lock().values().flat_map(|cluster| cluster.servers.clone()).collect()
    }

    /// The other servers of the cluster that `server` belongs to.
    pub fn others(&self, server: &Database) -> Vec<Database> {
        let clusters = self.lock();
        let servers = clusters.get(&server.cluster).map(|cluster| cluster.servers.iter());
        servers.into_iter().flatten().filter(|other| other.site != server.site).cloned().collect()
    }

    /// The identifier of the cluster that `server` should belong to, as the other servers have
    /// shown it: the primary seen last before all.
    pub fn system_by_others(&self, server: &Database) -> Option<SystemId> {
        let clusters = self.lock();
        let cluster = clusters.get(&server.cluster)?;
        let primary = cluster.book.primary().filter(|(site, _)| **site != server.site);
        let mut others = cluster.shown.iter().filter(|((site, _), _)| *site != server.site);
        primary.map(|(_, system)| system).or(others.next().map(|(_, system)| *system))
    }

    /// The same, or as `server` itself has shown it while it was a standby; not while it was a
    /// primary, which anything may be.
    pub fn system(&self, server: &Database) -> Option<SystemId> {
        self.system_by_others(server).or_else(|| {
            let clusters = self.lock();
            clusters.get(&server.cluster)?.shown.get(&(server.site.clone(), true)).copied()
        })
    }

    /// Notes what a server answered to a question asked at `at`.
    pub fn note(&self, server: &Database, at: Mono, status: &Status) {
        let mut clusters = self.lock();
        let cluster = clusters.entry(server.cluster.clone()).or_default();
        let (site, system) = (server.site.clone(), status.system);
        let standby = status.standby.is_some();
        cluster.shown.insert((site.clone(), standby), system);
        cluster.silent.remove(&site);
        if !standby {
            cluster.book.push(Sample { at, site, system, position: status.position });
        }
    }

    /// Notes that a server had not answered at `at`.
    fn note_silence(&self, server: &Database, at: Mono) {
        let mut clusters = self.lock();
        let cluster = clusters.entry(server.cluster.clone()).or_default();
        cluster.silent.insert(server.site.clone(), at);
    }

    /// Whether a server has just not answered.
    fn is_silent(&self, server: &Database, now: Mono) -> bool {
        let clusters = self.lock();
        let at = clusters.get(&server.cluster).and_then(|cluster| cluster.silent.get(&server.site));
        at.is_some_and(|at| now.since(*at) < SILENT)
    }

    /// How far a replica that has received `received` is behind, as far as this member has seen.
    pub fn behind(&self, cluster: &ResourceId, received: Lsn) -> Lag {
        let clusters = self.lock();
        let none = LagBook::default();
        clusters.get(cluster).map_or(&none, |cluster| &cluster.book).lag(received, clock::now().mono)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ResourceId, Cluster>> {
        self.clusters.lock().expect("nothing panics while it holds this lock")
    }
}

impl Cluster {
    fn emptied(self) -> Self {
        Self { servers: Vec::new(), ..self }
    }
}

/// Asks a server and notes the answer.
async fn sample(server: &Database, env: &Env, deadline: Instant) -> Result<Status, Error> {
    let at = clock::now().mono;
    let answer = status(server, env, deadline).await;
    match &answer {
        Ok(status) => env.clusters.note(server, at, status),
        Err(_) => env.clusters.note_silence(server, clock::now().mono),
    }
    answer
}

/// Samples every server of every cluster once; those that do not answer are left as last seen.
pub async fn sample_all(env: &Env, timeout: Duration) {
    let asking = env.clusters.servers().into_iter().map(|server| async move {
        // A server that does not answer is the probes' business; here it only adds no sample.
        let _ = sample(&server, env, Instant::now() + timeout).await;
    });
    futures::stream::iter(asking).buffer_unordered(AT_ONCE).collect::<()>().await;
}

/// Samples every `interval` until `stop`.
pub async fn keep_sampling(env: &Env, interval: Duration, timeout: Duration, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let rounds = async {
        loop {
            ticks.tick().await;
            sample_all(env, timeout).await;
        }
    };
    stop.run_until_cancelled(rounds).await;
}

/// Holds if `replica` is within `limit` of the primary: as it stands now if it answers, else as
/// this member saw it last.
pub(super) async fn lag(
    replica: &Database,
    others: &[Database],
    limit: LagLimit,
    env: &Env,
    deadline: Instant,
) -> Result<Answer, Error> {
    // A dead primary must leave time for the replica, which is asked after it: a position
    // received is never older than the one it is measured against.
    let half = deadline.saturating_duration_since(Instant::now()) / 2;
    let half = Instant::now() + half.min(SOON);
    let now = clock::now().mono;
    let asking = others
        .iter()
        .filter(|other| !env.clusters.is_silent(other, now))
        .map(|other| async move { (other, sample(other, env, half).await) });
    let (others, session) =
        tokio::join!(futures::future::join_all(asking), connect(replica, &env.secrets, env.source, deadline));
    let status = session?.status().await?;
    if status.standby.is_none() {
        return Ok(Answer::Fails(format!("{}, not a replica", describe(replica, &status))));
    }
    let primaries: Vec<_> = others
        .iter()
        .filter_map(|(other, answer)| Some((other, answer.as_ref().ok()?)))
        .filter(|(_, status)| status.standby.is_none())
        .map(|(other, _)| name(other))
        .collect();
    if primaries.len() > 1 {
        return Ok(Answer::Unknown(format!("two primaries answer: {}", primaries.join(", "))));
    }
    if let Some(system) = env.clusters.system(replica).filter(|system| *system != status.system) {
        return Ok(Answer::Fails(format!(
            "{} is no replica of this cluster: its system identifier is {}, not {system}",
            name(replica),
            status.system
        )));
    }
    let answer = env.clusters.behind(&replica.cluster, status.position).within(limit);
    let named = |text: String| format!("{} is {text}", name(replica));
    Ok(match answer {
        Answer::Holds(text) => Answer::Holds(named(text)),
        Answer::Fails(text) => Answer::Fails(named(text)),
        Answer::Unknown(text) => Answer::Unknown(format!("lag of {}: {text}", name(replica))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use standfast_core::lag::Lsn;

    /// Situation: the primary is cut off, and swallows what it is asked. Danger: every condition waits for
    /// it once more. Expectation: who has just not answered is passed over, for two seconds or until it
    /// answers.
    #[test]
    fn who_has_just_not_answered_is_not_asked_again() {
        let server =
            Database { cluster: "orders".into(), site: "a".into(), dsn: String::new(), password: None };
        let at = |ms| Mono::new(Duration::from_millis(ms));
        let clusters = Clusters::default();
        assert!(!clusters.is_silent(&server, at(0)));
        clusters.note_silence(&server, at(1_000));
        assert!(clusters.is_silent(&server, at(2_999)) && !clusters.is_silent(&server, at(3_000)));
        let other = Database { site: "b".into(), ..server.clone() };
        assert!(!clusters.is_silent(&other, at(1_000)), "nobody has asked that one");
        let status = Status { system: SystemId(1), position: Lsn(1), standby: None, timeline: None };
        clusters.note(&server, at(1_500), &status);
        assert!(!clusters.is_silent(&server, at(1_600)));
    }
}
