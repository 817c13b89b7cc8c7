//! What these tests play on: one etcd in the clear, a target that writes down the epochs that it is
//! given, and a playbook.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::get;
use standfast::records;
use standfast_core::ids::RunId;
use standfast_core::journal::Event;
use standfast_integration::lab::api::{Api, request_id};
use standfast_integration::lab::bundle::Bundle;
use standfast_integration::lab::member::{Member, Plan, number};
use standfast_integration::parts::etcd::{Etcd, Place};
use standfast_integration::parts::ground::ip;
use standfast_integration::parts::scratch::Scratch;
use standfast_integration::parts::{LogEnd, Result, ports};
use standfast_proto::v1::{CreateRunRequest, Mode};
use tokio::net::TcpListener;
use tokio::sync::{Mutex as Turns, MutexGuard};

use super::Outcome;

/// Before the store's keys in etcd.
pub(crate) const PREFIX: &str = "/standfast/";
/// For whatever is waited for.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// Two at once would take each other's processor, and the fast profile its word.
static TURN: Turns<()> = Turns::const_new(());

/// What was asked of the target: the epoch of each request that acts, in order.
pub(crate) type Acts = Arc<Mutex<Vec<u64>>>;

/// Dropping it ends all of it, and prints the ends of the logs: a test that fails shows what it printed.
pub(crate) struct Stage {
    pub(crate) etcd: Etcd,
    /// A step waits until something listens here.
    pub(crate) gate: SocketAddr,
    acts: Acts,
    bundle: PathBuf,
    logs: Vec<PathBuf>,
    // Last, so that the folder goes when nothing runs in it any more.
    scratch: Scratch,
    _turn: MutexGuard<'static, ()>,
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.logs.iter().for_each(|log| println!("{}", LogEnd::of(log)));
    }
}

impl Stage {
    /// With more arguments for etcd, and a playbook of these steps, each indented by two. They may name
    /// the endpoints `gate` and `ear`, the target.
    pub(crate) async fn set(etcd: &[&str], steps: &str) -> Outcome<Stage> {
        let turn = TURN.lock().await;
        let scratch = Scratch::new()?;
        let place = Place { name: "w1".into(), site: scratch.site("w")?, ip: ip(3, 2) };
        let etcd = Etcd::start_with(&[place], None, etcd).await?;
        let (ear, acts) = ear().await?;
        let gate = ports::free(ip(3, 9))?;
        let bundle = bundle(ear, gate, steps).write(&scratch.path().join("bundle"))?;
        Ok(Stage { etcd, gate, acts, bundle, logs: Vec::new(), scratch, _turn: turn })
    }

    /// Starts the member of a site on this endpoint, without waiting for more than its process.
    pub(crate) async fn member(&mut self, site: &str, endpoint: String) -> Result<Member> {
        let member = Member::start(Plan {
            name: format!("{site}1"),
            site: site.into(),
            site_folder: self.scratch.site(site)?,
            ip: ip(number(site)?, 40),
            bundle: self.bundle.clone(),
            etcd: vec![endpoint],
            pki: None,
            secrets: Vec::new(),
        })
        .await?;
        self.logs.push(member.part_ref().log().to_path_buf());
        Ok(member)
    }

    /// Where files may be put.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// The epochs of what has acted so far.
    pub(crate) fn acts(&self) -> Vec<u64> {
        self.acts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The value of a key of the store, as etcd itself has it.
    pub(crate) async fn value(&self, key: &str) -> Outcome<Option<Vec<u8>>> {
        let reply = self.etcd.client(0).await?.get(format!("{PREFIX}{key}"), None).await?;
        Ok(reply.kvs().first().map(|kv| kv.value().to_vec()))
    }

    /// The journal of a run, as etcd itself has it.
    pub(crate) async fn journal(&self, run: &str) -> Outcome<Vec<Event>> {
        let folder = format!("{PREFIX}{}", records::journal(&RunId::new(run)));
        let all = etcd_client::GetOptions::new().with_prefix();
        let reply = self.etcd.client(0).await?.get(folder, Some(all)).await?;
        Ok(reply.kvs().iter().map(|kv| serde_json::from_slice(kv.value())).collect::<Result<_, _>>()?)
    }

    /// All keys and values under a prefix, as text.
    pub(crate) async fn texts(&self, prefix: &str) -> Outcome<Vec<String>> {
        let all = etcd_client::GetOptions::new().with_prefix();
        let reply = self.etcd.client(0).await?.get(format!("{PREFIX}{prefix}"), Some(all)).await?;
        Ok(reply.kvs().iter().map(|kv| String::from_utf8_lossy(kv.value()).into_owned()).collect())
    }
}

/// A wish for a run.
pub(crate) fn wish() -> CreateRunRequest {
    CreateRunRequest {
        playbook: "move".into(),
        from: "a".into(),
        to: "b".into(),
        mode: Mode::Drill.into(),
        reason: "a test".into(),
        request_id: request_id(),
        ..CreateRunRequest::default()
    }
}

/// Starts a run; its id.
pub(crate) async fn start(api: &mut Api) -> Outcome<String> {
    let created = api.create_run(wish()).await.map_err(|failure| failure.to_string())?;
    Ok(created.run.ok_or("a run was created and is not shown")?.id)
}

/// A client of these members.
pub(crate) fn api(members: &[&Member]) -> Result<Api> {
    let addresses: Vec<String> = members.iter().map(|member| member.grpc.to_string()).collect();
    Api::new(&addresses, None)
}

/// A whole journal has no gap, and its epochs never go back.
#[track_caller]
pub(crate) fn whole(journal: &[Event]) {
    let sequences: Vec<u64> = journal.iter().map(|event| event.sequence).collect();
    assert_eq!(sequences, (1..=journal.len() as u64).collect::<Vec<_>>());
    assert!(journal.is_sorted_by_key(|event| event.epoch), "{journal:#?}");
}

/// Answers 200 to whoever looks; whoever acts is written down.
async fn ear() -> Outcome<(SocketAddr, Acts)> {
    let acts = Acts::default();
    let act = |State(acts): State<Acts>, headers: HeaderMap| async move {
        let epoch = headers.get("x-standfast-epoch").and_then(|value| value.to_str().ok()?.parse().ok());
        acts.lock().unwrap_or_else(PoisonError::into_inner).push(epoch.unwrap_or_default());
        "done\n"
    };
    let listener = TcpListener::bind((ip(2, 30), 0)).await?;
    let address = listener.local_addr()?;
    let routes = axum::Router::new().route("/", get("well\n").post(act)).with_state(acts.clone());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Ok((address, acts))
}

fn bundle(ear: SocketAddr, gate: SocketAddr, steps: &str) -> Bundle {
    let fleet = format!(
        r#"api: standfast/v1
fleet: leaders
sites:
  a: {{role: active, power: grid-1}}
  b: {{role: standby, power: grid-2}}
  w: {{role: witness, power: grid-3}}
timing: {{profile: fast}}
automation: off
lab: true
canaries: none
probes:
  a: [{{http.get: {{endpoint: ear, status: 200}}}}, {{tcp.connect: {{endpoint: ear}}}}]
  b: [{{http.get: {{endpoint: ear, status: 200}}}}, {{tcp.connect: {{endpoint: ear}}}}]
services:
  shop: {{runs_in: {{a: active, b: standby}}}}
resources:
  ear: {{endpoint: {{a: "http://{ear}", b: "http://{ear}"}}}}
  gate: {{endpoint: {{a: "http://{gate}", b: "http://{gate}"}}}}
on_loss:
  - {{site: a, run: move, to: b}}
"#
    );
    let head =
        "api: standfast/v1\nplaybook: move\ntitle: Move\nservices: [shop]\nmodes: [emergency, drill]\n";
    Bundle { fleet, playbook: format!("{head}steps:\n{steps}") }
}
