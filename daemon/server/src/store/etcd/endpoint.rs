//! One member of etcd, and a client of its own.

use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use etcd_client::{Client, ConnectOptions, KvClient, TlsOptions};
use tokio::time::{Instant, timeout};

use super::EtcdOptions;
use super::failure::Failure;
use crate::store::{EndpointStatus, LeaseId, Result};

/// An open connection is pinged this often while calls or watches are under way. Under
/// 5 s etcd takes the pings for an attack and hangs up.
const PING_INTERVAL: Duration = Duration::from_secs(6);
/// And is given up when a ping is not answered for this long.
const PING_TIMEOUT: Duration = Duration::from_secs(3);
/// How long an answer vouches for an endpoint before it is probed again.
const VOUCH: Duration = Duration::from_secs(5);
/// A transaction that was applied must never be unreadable, however much it read.
const MAX_TXN_REPLY_BYTES: usize = 256 * 1024 * 1024;

/// One member of etcd.
pub(super) struct Endpoint {
    pub(super) url: String,
    pub(super) client: Client,
    request_timeout: Duration,
    connect_timeout: Duration,
    /// When it last answered; `None` when the last call failed.
    answered: Mutex<Option<Instant>>,
}

impl Endpoint {
    /// Makes the client. It connects when it is first used.
    pub(super) async fn new(url: &str, tls: Option<TlsOptions>, options: &EtcdOptions) -> Result<Self> {
        let mut connect = ConnectOptions::new()
            .with_connect_timeout(options.connect_timeout)
            .with_keep_alive(PING_INTERVAL, PING_TIMEOUT)
            // etcd does not permit pings on a connection without streams.
            .with_keep_alive_while_idle(false)
            .with_require_leader(true);
        if let Some(tls) = tls {
            connect = connect.with_tls(tls);
        }
        let client =
            Client::connect([url], Some(connect)).await.map_err(|error| Failure::settings(url, &error))?;
        Ok(Self {
            url: url.to_owned(),
            client,
            request_timeout: options.request_timeout,
            connect_timeout: options.connect_timeout,
            answered: Mutex::new(None),
        })
    }

    /// The most that one call may take.
    pub(super) fn request_timeout(&self) -> Duration {
        self.request_timeout
    }

    pub(super) fn txn_client(&self) -> KvClient {
        self.client.kv_client().max_decoding_message_size(MAX_TXN_REPLY_BYTES)
    }

    /// Makes a call that takes at most the request timeout (the client's own timeout does
    /// not cover connecting), and remembers how it went.
    pub(super) async fn call<T>(
        &self,
        call: impl Future<Output = std::result::Result<T, etcd_client::Error>>,
    ) -> std::result::Result<T, Failure> {
        self.call_within(self.request_timeout, call).await
    }

    async fn call_within<T>(
        &self,
        limit: Duration,
        call: impl Future<Output = std::result::Result<T, etcd_client::Error>>,
    ) -> std::result::Result<T, Failure> {
        let result = match timeout(limit, call).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(Failure::of(&self.url, error)),
            Err(_) => Err(Failure::Unclear(format!("{}: no answer within {limit:?}", self.url))),
        };
        let alive = matches!(result, Ok(_) | Err(Failure::Final(_)));
        *self.answered.lock().unwrap_or_else(PoisonError::into_inner) = alive.then(Instant::now);
        result
    }

    /// Makes sure that it answers and knows a leader, if it has not just shown that.
    /// Nothing else is sent to it before, so a failure here is certainly harmless.
    pub(super) async fn ready(&self) -> std::result::Result<(), Failure> {
        let answered = *self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        if answered.is_some_and(|at| at.elapsed() < VOUCH) {
            return Ok(());
        }
        match self.status().await?.leader {
            Some(_) => Ok(()),
            None => Err(Failure::NotSent(format!("{}: it knows no leader", self.url))),
        }
    }

    /// Asks it how it is.
    pub(super) async fn status(&self) -> std::result::Result<EndpointStatus, Failure> {
        let mut maintenance = self.client.maintenance_client();
        let status = self.call_within(self.connect_timeout, maintenance.status()).await?;
        let header = status.header();
        Ok(EndpointStatus {
            member: header.map_or(0, etcd_client::ResponseHeader::member_id),
            leader: (status.leader() != 0).then(|| status.leader()),
            revision: header.map_or(0, |header| header.revision().cast_unsigned()),
            db_bytes: status.db_size().cast_unsigned(),
            version: status.version().to_owned(),
            alarms: status.errors().to_vec(),
        })
    }

    /// Renews a lease and returns what it has left. (The library drops the first answer,
    /// so it takes a second one.)
    pub(super) async fn keep(&self, lease: LeaseId) -> std::result::Result<Duration, etcd_client::Error> {
        let mut leases = self.client.lease_client();
        let (mut keeper, mut answers) = leases.keep_alive(lease.0.cast_signed()).await?;
        keeper.keep_alive().await?;
        let left = answers.message().await?.map_or(0, |answer| answer.ttl());
        match u64::try_from(left) {
            Ok(seconds) if seconds > 0 => Ok(Duration::from_secs(seconds)),
            _ => Err(etcd_client::Error::LeaseKeepAliveError("lease not found".into())),
        }
    }
}
