//! The servers of every database cluster that a plan touches, in all sites: what each says it is.

use super::late;
use super::targets::trouble;
use crate::client::Error;
use crate::client::postgres::{Status, name};
use crate::clock;
use crate::condition::Env;
use crate::condition::postgres::status;
use futures::StreamExt as _;
use standfast_core::action::{Action, FenceProof};
use standfast_core::bundle::Bundle;
use standfast_core::check::{Check, Database};
use standfast_core::ids::ResourceId;
use standfast_core::look::{Kind, Server, Severity, Stands, Trouble};
use standfast_core::plan::Plan;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::Instant;

/// For one server: one of a dead site must not take the time of the others.
const ASK: Duration = Duration::from_secs(3);

/// The clusters that a plan touches.
fn clusters(plan: &Plan) -> BTreeSet<&ResourceId> {
    fn of_check(check: &Check) -> Option<&Database> {
        match check {
            Check::PostgresRole { database, .. } | Check::PostgresWritable { database } => Some(database),
            Check::PostgresLag { replica, .. } => Some(replica),
            _ => None,
        }
    }
    let mut found: Vec<&Database> = plan.require.iter().filter_map(|r| of_check(&r.check)).collect();
    for step in &plan.steps {
        found.extend(step.verify.iter().flat_map(|verify| &verify.all).filter_map(of_check));
        match &step.action {
            Action::PostgresPromote { database } | Action::PostgresRun { database, .. } => {
                found.push(database);
            }
            Action::WaitUntil { all } => found.extend(all.iter().filter_map(of_check)),
            Action::FenceProve { any_of, .. } => {
                for proof in any_of {
                    if let FenceProof::WritesRefused { databases, .. } = proof {
                        found.extend(databases);
                    }
                }
            }
            _ => {}
        }
    }
    found.into_iter().map(|database| &database.cluster).collect()
}

/// What every server of these clusters says of itself, and who of them does not take our login.
pub(super) async fn survey(
    bundle: &Bundle,
    plan: &Plan,
    env: &Env,
    at_once: usize,
    deadline: Instant,
) -> (Vec<Server>, Vec<Trouble>) {
    let servers = clusters(plan).into_iter().flat_map(|cluster| bundle.fleet.cluster(cluster).into_values());
    let asking: Vec<_> = servers
        .map(|database| async move {
            let until = deadline.min(Instant::now() + ASK);
            let asked = clock::now().mono;
            let status = match late(env, until).await {
                Some(why) => Err(Error::Ours(format!("{}: {why}", name(&database)))),
                None => status(&database, env, until).await,
            };
            if let Ok(status) = &status {
                env.clusters.note(&database, asked, status);
            }
            (database, status)
        })
        .collect();
    let answers: Vec<_> = futures::stream::iter(asking).buffered(at_once).collect().await;

    let mut troubles = Vec::new();
    let servers = answers.into_iter().map(|(database, answer)| {
        if let Err(error @ Error::Denied(_)) = &answer {
            // What is promoted is an error of its step; of the others it takes a measure away.
            let trouble = trouble(error.clone(), &name(&database), Kind::Credentials);
            troubles.push(Trouble { severity: Severity::Warning, ..trouble });
        }
        server(&database, answer, env)
    });
    let servers = servers.collect();
    (servers, troubles)
}

fn server(database: &Database, answer: Result<Status, Error>, env: &Env) -> Server {
    let stands = match answer {
        Err(error) => Stands::Silent { why: error.to_string() },
        Ok(Status { standby: None, .. }) => Stands::Primary,
        Ok(Status { standby: Some(standby), position, .. }) => Stands::Standby {
            streaming: standby.streaming,
            paused: standby.paused,
            lag: env.clusters.behind(&database.cluster, position),
        },
    };
    Server { cluster: database.cluster.clone(), site: database.site.clone(), stands }
}
