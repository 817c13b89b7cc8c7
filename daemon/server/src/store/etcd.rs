//! The store on etcd.
//!
//! The client library balances blindly over its endpoints and never says which one failed;
//! measured with one of three endpoints dead, a quarter of the calls did. So there is one
//! client for each endpoint ([`endpoint`]), and what to do when one does not answer is
//! decided here ([`pool`]): a read is asked again elsewhere, a write only if it certainly
//! did not happen.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use etcd_client::{Certificate, Identity, TlsOptions};

use self::convert::Keyspace;
use self::endpoint::Endpoint;
use self::failure::Failure;
use self::pool::Pool;
use super::{
    EndpointHealth, Health, LeaseId, Range, RangeReply, Result, Revision, Store, StoreError, Txn, TxnReply,
    WatchStream, limits,
};

mod convert;
mod endpoint;
mod failure;
mod feed;
mod pool;

/// How large the prefix of all keys may be, so that the limits hold with it: 64 bytes.
const MAX_PREFIX_BYTES: usize = 64;

/// What an etcd store needs to know.
#[derive(Debug, Clone)]
pub struct EtcdOptions {
    /// The members, such as `https://10.1.0.2:2379`; the first one is preferred until it
    /// fails. Name the one in the own site first.
    pub endpoints: Vec<String>,
    /// Put before every key, such as `/standfast/shop/`; at most 64 bytes.
    pub prefix: String,
    /// For `https` endpoints.
    pub tls: Option<EtcdTls>,
    /// The most that one call may take at one endpoint.
    pub request_timeout: Duration,
    /// The most that connecting, or asking an endpoint whether it lives, may take.
    pub connect_timeout: Duration,
    /// How long a watch looks for an endpoint that will carry it before it ends.
    pub watch_patience: Duration,
}

/// The certificates, as PEM.
#[derive(Debug, Clone)]
pub struct EtcdTls {
    /// The authority that signed etcd's certificates.
    pub ca: Vec<u8>,
    /// Our own certificate with its chain, and its private key.
    pub identity: Option<(Vec<u8>, secrecy::SecretString)>,
}

impl EtcdOptions {
    /// The defaults: calls of at most 2 s, connects of at most 1 s, and 5 s of patience.
    pub fn new(endpoints: impl IntoIterator<Item = impl Into<String>>, prefix: impl Into<String>) -> Self {
        Self {
            endpoints: endpoints.into_iter().map(Into::into).collect(),
            prefix: prefix.into(),
            tls: None,
            request_timeout: Duration::from_secs(2),
            connect_timeout: Duration::from_secs(1),
            watch_patience: Duration::from_secs(5),
        }
    }
}

/// The store on an etcd cluster.
pub struct EtcdStore {
    pool: Arc<Pool>,
    keys: Keyspace,
    watch_patience: Duration,
}

impl EtcdStore {
    /// Makes a client for each endpoint. Nothing is sent: an etcd that is down now is no
    /// reason not to start. Ask [`Store::health`].
    ///
    /// # Errors
    /// `Invalid` for settings that can never work.
    pub async fn connect(options: EtcdOptions) -> Result<Self> {
        if options.endpoints.is_empty() {
            return Err(StoreError::Invalid("etcd needs at least one endpoint".into()));
        }
        if options.prefix.len() > MAX_PREFIX_BYTES {
            return Err(StoreError::Invalid(format!(
                "the prefix {:?} of the keys is longer than {MAX_PREFIX_BYTES} bytes",
                options.prefix
            )));
        }
        let tls = options.tls.as_ref().map(tls_options);
        let mut endpoints = Vec::with_capacity(options.endpoints.len());
        for url in &options.endpoints {
            let endpoint = Endpoint::new(url, tls.clone(), &options).await?;
            endpoints.push(Arc::new(endpoint));
        }
        Ok(Self {
            pool: Arc::new(Pool::new(endpoints)),
            keys: Keyspace::new(options.prefix),
            watch_patience: options.watch_patience,
        })
    }
}

#[async_trait]
impl Store for EtcdStore {
    async fn range(&self, range: Range) -> Result<RangeReply> {
        limits::check_range(&range)?;
        let request = self.keys.range(&range);
        let ask = |endpoint: Arc<Endpoint>| {
            let (key, options) = request.clone();
            let mut kv = endpoint.client.kv_client();
            async move { endpoint.call(kv.get(key, Some(options))).await }
        };
        self.keys.range_reply(self.pool.read(ask).await?)
    }

    async fn txn(&self, txn: Txn) -> Result<TxnReply> {
        limits::check_txn(&txn)?;
        let request = self.keys.txn(&txn);
        let send = |endpoint: Arc<Endpoint>| {
            let request = request.clone();
            let mut kv = endpoint.txn_client();
            async move { endpoint.call(kv.txn(request)).await }
        };
        let reply = self.pool.write(send).await;
        let reply = reply.map_err(|error| about_lease(error, convert::first_lease(&txn)))?;
        self.keys.txn_reply(&reply)
    }

    async fn watch(&self, prefix: &str, from: Revision) -> WatchStream {
        let (sink, stream) = WatchStream::channel();
        let feed = feed::Feed {
            pool: Arc::clone(&self.pool),
            keys: self.keys.clone(),
            prefix: prefix.to_owned(),
            cursor: from.max(1),
            patience: self.watch_patience,
        };
        tokio::spawn(feed.run(sink));
        stream
    }

    async fn lease_grant(&self, ttl: Duration) -> Result<LeaseId> {
        limits::check_ttl(ttl)?;
        let whole = ttl.as_secs() + u64::from(ttl.subsec_nanos() > 0);
        let ask = |endpoint: Arc<Endpoint>| async move {
            let mut leases = endpoint.client.lease_client();
            endpoint.call(leases.grant(whole.cast_signed(), None)).await
        };
        let granted = self.pool.read(ask).await?;
        Ok(LeaseId(granted.id().cast_unsigned()))
    }

    async fn lease_keep(&self, lease: LeaseId) -> Result<Duration> {
        let ask = |endpoint: Arc<Endpoint>| async move { endpoint.call(endpoint.keep(lease)).await };
        let left = self.pool.read(ask).await;
        left.map_err(|error| about_lease(error, Some(lease)))
    }

    async fn lease_revoke(&self, lease: LeaseId) -> Result<()> {
        let ask = |endpoint: Arc<Endpoint>| async move {
            let mut leases = endpoint.client.lease_client();
            endpoint.call(leases.revoke(lease.0.cast_signed())).await
        };
        match self.pool.read(ask).await {
            Ok(_) | Err(StoreError::LeaseExpired(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn compact(&self, revision: Revision) -> Result<()> {
        let ask = |endpoint: Arc<Endpoint>| async move {
            let mut kv = endpoint.client.kv_client();
            endpoint.call(kv.compact(revision.cast_signed(), None)).await
        };
        match self.pool.read(ask).await {
            Ok(_) | Err(StoreError::Compacted { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn health(&self) -> Health {
        let preferred = self.pool.preferred();
        let asked = self.pool.endpoints().iter().map(|endpoint| endpoint.status());
        let answers = futures::future::join_all(asked).await;
        let endpoints = self.pool.endpoints().iter().zip(answers).enumerate();
        Health {
            kind: "etcd",
            endpoints: endpoints
                .map(|(index, (endpoint, status))| EndpointHealth {
                    endpoint: endpoint.url.clone(),
                    preferred: index == preferred,
                    status: status.map_err(Failure::into_text),
                })
                .collect(),
        }
    }
}

/// Names the lease, which etcd's error does not.
fn about_lease(error: StoreError, lease: Option<LeaseId>) -> StoreError {
    match (error, lease) {
        (StoreError::LeaseExpired(_), Some(lease)) => StoreError::LeaseExpired(lease),
        (other, _) => other,
    }
}

fn tls_options(tls: &EtcdTls) -> TlsOptions {
    use secrecy::ExposeSecret;
    let options = TlsOptions::new().ca_certificate(Certificate::from_pem(&tls.ca));
    match &tls.identity {
        Some((certificate, key)) => options.identity(Identity::from_pem(certificate, key.expose_secret())),
        None => options,
    }
}
