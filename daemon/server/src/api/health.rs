//! `grpc.health.v1`: SERVING as long as the store answers, so that clients pass a member that
//! is cut off over.

use crate::store::Store;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};

/// How often the store is asked.
const EVERY: Duration = Duration::from_secs(1);
/// How long it may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// What is asked for besides the empty name.
const SERVICES: [&str; 6] = [
    "standfast.v1.Bundles",
    "standfast.v1.Cluster",
    "standfast.v1.Events",
    "standfast.v1.Plans",
    "standfast.v1.Runs",
    "standfast.v1.Sites",
];

/// The service, and a task that keeps it up to date until `stop`.
pub(super) fn serve(store: Arc<dyn Store>, stop: CancellationToken) -> HealthServer<impl Health> {
    let (reporter, service) = tonic_health::server::health_reporter();
    tokio::spawn(async move {
        let mut due = tokio::time::interval(EVERY);
        while stop.run_until_cancelled(due.tick()).await.is_some() {
            let health = tokio::time::timeout(PATIENCE, store.health()).await;
            let serving = match health.is_ok_and(|health| health.has_leader()) {
                true => ServingStatus::Serving,
                false => ServingStatus::NotServing,
            };
            for service in SERVICES.into_iter().chain([""]) {
                reporter.set_service_status(service, serving).await;
            }
        }
        for service in SERVICES.into_iter().chain([""]) {
            reporter.set_service_status(service, ServingStatus::NotServing).await;
        }
    });
    service
}
