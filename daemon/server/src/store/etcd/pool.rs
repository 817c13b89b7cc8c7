//! Which endpoint is asked, and what happens when it does not answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::endpoint::Endpoint;
use super::failure::Failure;
use crate::store::{Result, StoreError};

/// All endpoints. One is preferred for as long as it answers: an endpoint that fails is
/// found out once, not by every fourth call.
pub(super) struct Pool {
    endpoints: Vec<Arc<Endpoint>>,
    preferred: AtomicUsize,
}

impl Pool {
    pub(super) fn new(endpoints: Vec<Arc<Endpoint>>) -> Self {
        Self { endpoints, preferred: AtomicUsize::new(0) }
    }

    pub(super) fn endpoints(&self) -> &[Arc<Endpoint>] {
        &self.endpoints
    }

    pub(super) fn preferred(&self) -> usize {
        self.preferred.load(Ordering::Relaxed) % self.endpoints.len()
    }

    /// Where to go on when `index` failed.
    pub(super) fn next(&self, index: usize) -> usize {
        (index + 1) % self.endpoints.len()
    }

    /// Asks one endpoint after the other until one answers: for everything that may happen
    /// twice without harm.
    pub(super) async fn read<T, F>(&self, call: impl Fn(Arc<Endpoint>) -> F) -> Result<T>
    where
        F: Future<Output = std::result::Result<T, Failure>>,
    {
        self.ask(call, true).await
    }

    /// Asks one endpoint after the other, but not on once the request may have been
    /// applied.
    pub(super) async fn write<T, F>(&self, call: impl Fn(Arc<Endpoint>) -> F) -> Result<T>
    where
        F: Future<Output = std::result::Result<T, Failure>>,
    {
        self.ask(call, false).await
    }

    async fn ask<T, F>(&self, call: impl Fn(Arc<Endpoint>) -> F, repeatable: bool) -> Result<T>
    where
        F: Future<Output = std::result::Result<T, Failure>>,
    {
        let mut index = self.preferred();
        let mut said = Vec::new();
        for _ in &self.endpoints {
            let endpoint = &self.endpoints[index];
            let (answer, sent) = match endpoint.ready().await {
                Ok(()) => (call(Arc::clone(endpoint)).await, true),
                Err(failure) => (Err(failure), false),
            };
            let failure = match answer {
                Ok(_) | Err(Failure::Final(_)) => {
                    self.preferred.store(index, Ordering::Relaxed);
                    return answer.map_err(|failure| failure.into_error(&endpoint.url));
                }
                Err(failure) => failure,
            };
            index = self.next(index);
            if sent && !repeatable && matches!(failure, Failure::Unclear(_)) {
                // The read-back should not wait for this endpoint again.
                self.preferred.store(index, Ordering::Relaxed);
                return Err(failure.into_error(&endpoint.url));
            }
            said.push(failure.into_text());
        }
        Err(StoreError::Unavailable {
            at: format!("etcd, {} endpoints asked", said.len()),
            why: format!("{}; a quorum of its members must be reachable", said.join("; ")),
        })
    }
}
