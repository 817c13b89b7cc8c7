//! Puts the daemon together: opens the store, binds the listeners, starts the loops, drains.
//!
//! Everything that can fail for want of a right setting fails here, before anything is started.

use crate::api;
use crate::bundles::{self, BundleError};
use crate::client::ssh::Links;
use crate::clock;
use crate::condition::Env;
use crate::health::Health;
use crate::http;
use crate::lead::{self, Me};
use crate::look::{self, Looker};
use crate::metrics::Metrics;
use crate::observer::{self, Claim};
use crate::readiness::{self, BUNDLE, LEADERSHIP, MEMBER, STORE};
use crate::secrets::Secrets;
use crate::settings::{self, Settings};
use crate::shutdown;
use crate::site_lease::{self, SiteLeases};
use crate::socket::{self, Socket};
use crate::store::Store;
use crate::store::embedded::EmbeddedStore;
use crate::store::etcd::{EtcdOptions, EtcdStore, EtcdTls};
use crate::survival;
use crate::tls::Tls;
use crate::trouble::Trouble;
use crate::watermark::Watermark;
use rand::Rng as _;
use standfast_core::bundle::Bundle;
use standfast_core::ids::Identity;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

mod error;

pub use error::AppError;

/// Runs the daemon until it is told to end.
pub async fn run(settings: Settings) -> Result<(), AppError> {
    let signalled = shutdown::on_signals().map_err(|source| AppError::System { what: "signals", source })?;
    std::fs::create_dir_all(&settings.data_dir)
        .map_err(|source| AppError::DataDir { path: settings.data_dir.clone(), source })?;
    let store = open(&settings).await?;
    serve(settings, store, signalled, |me, grpc, http| {
        println!(
            "standfast: member {} of site {} listens on {grpc} (gRPC) and {http} (HTTP)",
            me.id, me.site
        );
    })
    .await
}

/// Runs a member on `store` until `signalled` is cancelled; says `bound` where it listens.
pub async fn serve(
    settings: Settings,
    store: Arc<dyn Store>,
    signalled: CancellationToken,
    bound: impl FnOnce(&Me, SocketAddr, SocketAddr),
) -> Result<(), AppError> {
    let path = Watermark::file(&settings.data_dir);
    let watermark = Watermark::open(&settings.data_dir).map_err(|source| AppError::File { path, source })?;
    let tls = certificates(&settings)?;
    let grpc = http::bind("listen.grpc", settings.listen.grpc).await?;
    let web = http::bind("listen.http", settings.listen.http).await?;
    let socket = settings.listen.socket.as_deref().map(Socket::bind).transpose()?;
    let at = |listener: &tokio::net::TcpListener| listener.local_addr().unwrap_or(settings.listen.grpc);
    let (grpc_address, web_address): (SocketAddr, SocketAddr) = (at(&grpc), at(&web));

    let secrets = Secrets::new(&settings.secrets_dir);
    let mut env =
        Env::new(secrets, settings.probe_source).map_err(|error| AppError::Client(error.to_string()))?;
    env.ssh = Links::new(settings.data_dir.join("ssh"));
    let metrics = Metrics::new();
    if let Some(tls) = &tls {
        metrics.set_certificate_expiry("tls.cert", tls.expires());
        env.certificates.push(("tls.cert".to_owned(), tls.expires()));
    }
    let health = Health::new([BUNDLE, LEADERSHIP, MEMBER, STORE]);
    let me = Me {
        id: settings.member.clone(),
        site: settings.site.clone(),
        boot_id: format!("{:016x}", rand::rng().random::<u64>()),
        address: settings.listen.advertised(grpc_address),
    };
    tracing::info!(member = %me.id, site = %me.site, grpc = %grpc_address, http = %web_address, "starting");

    // Listeners and loops end one after the other: first those that begin something.
    let (serving, observing) = (CancellationToken::new(), CancellationToken::new());
    let (bundle_sender, bundle) = watch::channel(None);
    let (confirmed, confirmations) = watch::channel(None);
    let (leads, leading) = watch::channel(false);
    let (reaches, reached) = watch::channel(false);
    let (claim, claimed) = watch::channel(Claim::default());

    let cache = settings.data_dir.join("bundles");
    let following = tokio::spawn(bundles::follow(store.clone(), cache, bundle_sender, serving.clone()));
    if let Some(dir) = settings.bundle_dir.clone() {
        let store = store.clone();
        let (files, findings) = read_bundle(&dir)?;
        let Some(first) = files else { return Err(AppError::Findings { dir, findings }) };
        tokio::spawn(
            serving.clone().run_until_cancelled_owned(async move { put_first(&*store, &first).await }),
        );
    }
    let leases = SiteLeases::new();
    let keeper =
        site_lease::Deps { me: me.clone(), store: store.clone(), leases: leases.clone(), tls: tls.clone() };
    tokio::spawn(site_lease::keep(keeper, bundle.clone(), serving.clone()));
    let observer = tokio::spawn(observer::run(
        observer::Deps {
            me: me.clone(),
            store: store.clone(),
            env: env.clone(),
            metrics: metrics.clone(),
            at_once: Arc::new(Semaphore::new(settings.probe_concurrency)),
            confirmed,
            reaches,
            claim,
        },
        bundle.clone(),
        observing.clone(),
    ));
    let leader = tokio::spawn(lead_when_named(
        claimed.clone(),
        lead::Deps {
            me: me.clone(),
            store: store.clone(),
            bundle: bundle.clone(),
            env: env.clone(),
            metrics: metrics.clone(),
            reaches: reached,
            leads,
            drain: settings.shutdown_deadline.mul_f64(0.8),
            retention: settings.retention,
            leases: leases.clone(),
            watermark: watermark.clone(),
        },
        signalled.clone(),
    ));
    let watched = readiness::Deps {
        site: me.site.clone(),
        store: store.clone(),
        bundle: bundle.clone(),
        confirmed: confirmations.clone(),
        claim: claimed.clone(),
        watermark: watermark.clone(),
    };
    tokio::spawn(readiness::keep(watched, health.clone(), serving.clone()));

    let _ = leading;
    let looker = Looker { me: me.clone(), store: store.clone(), env: env.clone(), bundle: bundle.clone() };
    tokio::spawn(look::follow(looker, serving.clone()));
    let voters = match &settings.store {
        settings::Store::Etcd(etcd) => etcd.endpoints.clone(),
        settings::Store::Embedded => Vec::new(),
    };
    let surviving = survival::follow(store.clone(), bundle.clone(), voters, metrics.clone(), serving.clone());
    tokio::spawn(surviving);
    let deps = api::Deps {
        me: me.clone(),
        store: store.clone(),
        bundle,
        confirmed: confirmations,
        leases,
        watermark,
        env,
        stop: serving.clone(),
    };
    let (grpc_tls, stop) = (tls.clone(), serving.clone());
    let routes = api::routes(deps);
    let router = http::router(health.clone(), metrics);
    let reading = socket.map(|socket| {
        tracing::info!(path = ?settings.listen.socket, "whoever is on this machine may read");
        tokio::spawn(socket::serve(socket, routes.clone(), router.clone(), serving.clone()))
    });
    let api = tokio::spawn(async move { api::answer(routes, grpc, grpc_tls.as_ref(), stop).await });
    let stop = serving.clone();
    let web =
        tokio::spawn(async move { http::serve(web, tls.as_ref(), router, stop.cancelled_owned()).await });
    bound(&me, grpc_address, web_address);

    let taken = tokio::select! {
        () = signalled.cancelled() => None,
        taken = taken(claimed) => Some(taken),
    };
    signalled.cancel();
    health.not_ready(LEADERSHIP, "shutting down");
    // Leadership goes first, while this member still answers and observes.
    let drain = async {
        let _ = leader.await;
        observing.cancel();
        let _ = observer.await;
        serving.cancel();
        let _ = tokio::join!(following, web);
        if let Some(reading) = reading {
            let _ = reading.await;
        }
        api.await
    };
    match tokio::time::timeout(settings.shutdown_deadline, drain).await {
        Ok(Ok(served)) => served?,
        Ok(Err(_)) => {}
        Err(_) => return Err(AppError::Drain(settings.shutdown_deadline)),
    }
    tracing::info!("ended");
    taken.map_or(Ok(()), |why| Err(AppError::Taken(why)))
}

/// Loads the certificate, which must be this member's, for the site it stands in.
fn certificates(settings: &Settings) -> Result<Option<Tls>, AppError> {
    let Some(tls) = settings.tls.as_ref().map(Tls::load).transpose()? else { return Ok(None) };
    if tls.name().as_str() != settings.member.as_str() {
        return Err(AppError::Name { certificate: tls.name().clone(), member: settings.member.clone() });
    }
    let units = tls.units();
    if !units.is_empty() && !units.iter().any(|unit| unit == settings.site.as_str()) {
        return Err(AppError::Site { certificate: units.join(", "), site: settings.site.clone() });
    }
    Ok(Some(tls))
}

/// Leads when it may; not before this process has its name.
async fn lead_when_named(mut claim: watch::Receiver<Claim>, deps: lead::Deps, shutdown: CancellationToken) {
    let named = claim.wait_for(|claim| *claim == Claim::Mine);
    if matches!(shutdown.run_until_cancelled(named).await, Some(Ok(_))) {
        lead::run(deps, shutdown).await;
    }
}

/// Waits until it turns out that another process has this member's name; says which.
async fn taken(mut claim: watch::Receiver<Claim>) -> String {
    match claim.wait_for(|claim| matches!(claim, Claim::Taken(_))).await.as_deref() {
        Ok(Claim::Taken(why)) => why.clone(),
        _ => std::future::pending().await,
    }
}

async fn open(settings: &Settings) -> Result<Arc<dyn Store>, AppError> {
    match &settings.store {
        settings::Store::Embedded => {
            Ok(Arc::new(EmbeddedStore::open(settings.data_dir.join("store.redb")).await?))
        }
        settings::Store::Etcd(etcd) => {
            let mut options = EtcdOptions::new(etcd.endpoints.clone(), etcd.prefix.clone());
            options.request_timeout = etcd.request_timeout;
            let read = |path: &PathBuf| {
                std::fs::read(path).map_err(|source| AppError::File { path: path.clone(), source })
            };
            if let Some(ca) = &etcd.ca {
                let identity = etcd.identity.as_ref().map(|(cert, key)| {
                    Ok::<_, AppError>((read(cert)?, String::from_utf8_lossy(&read(key)?).into_owned().into()))
                });
                options.tls = Some(EtcdTls { ca: read(ca)?, identity: identity.transpose()? });
            }
            Ok(Arc::new(EtcdStore::connect(options).await?))
        }
    }
}

/// Reads the bundle folder; without a bundle, what is wrong with it.
fn read_bundle(dir: &std::path::Path) -> Result<(Option<Bundle>, String), AppError> {
    let files = bundles::load_dir(dir)?;
    let (bundle, findings) = Bundle::load(files.clone());
    Ok((bundle, findings.to_text(&files, false)))
}

/// Makes the bundle of the settings current if there is none; tries until the store answers.
async fn put_first(store: &dyn Store, bundle: &Bundle) {
    let unapplied = Trouble::new("the bundle of bundle_dir is not applied yet");
    loop {
        let wish = bundles::Wish {
            by: &Identity::new("settings"),
            reason: "bundle_dir of the settings",
            request: "",
            expected: Some(None),
            keep: None,
            wall_ms: clock::wall_ms(),
        };
        match bundles::put(store, bundle, wish).await {
            Ok(_) => return tracing::info!(bundle = bundle.digest.short(), "applied from bundle_dir"),
            Err(BundleError::Stale(current)) => {
                let differs = current.as_ref() != Some(&bundle.digest);
                if differs {
                    tracing::info!(
                        "the store has a bundle; bundle_dir is not used: standfast apply replaces it"
                    );
                }
                return;
            }
            Err(error) => unapplied.met(error),
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
