//! The way back on real parts: what HAProxy, BIND and a program were told is taken back, in reverse.
//!
//! One member in the witness site; both sites are served by one HAProxy, and the member's own programs
//! write down that they ran.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use standfast_integration::lab::api::{Api, request_id, short};
use standfast_integration::lab::member::{Member, Plan};
use standfast_integration::parts::bind::{Bind, Zone};
use standfast_integration::parts::ground::ip;
use standfast_integration::parts::haproxy::{Front, Haproxy, Server};
use standfast_integration::parts::ports;
use standfast_integration::parts::scratch::Scratch;
use standfast_proto::v1::runs_client::RunsClient;
use standfast_proto::v1::{CreateRunRequest, Mode, RollbackRunRequest, Run, RunState, StepState};

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

const ENOUGH: Duration = Duration::from_secs(60);
const IN_A: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 5);
const IN_B: Ipv4Addr = Ipv4Addr::new(10, 2, 0, 5);

/// Everything that the playbook changes.
#[derive(Debug, PartialEq, Eq)]
struct Targets {
    weights: [u16; 2],
    /// Administrative state of the server in a: 0 in rotation.
    drained: String,
    name: Vec<Ipv4Addr>,
}

struct Standing {
    haproxy: Haproxy,
    bind: Bind,
    member: Member,
    /// What the programs wrote, a line each.
    log: PathBuf,
    _scratch: Scratch,
}

/// A web service for the health checks.
async fn web(host: IpAddr) -> std::io::Result<SocketAddr> {
    let app = axum::Router::new().route("/", axum::routing::get(async || "here"));
    let listener = tokio::net::TcpListener::bind((host, 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(address)
}

fn fleet(webs: [SocketAddr; 2], runtime: SocketAddr, dns: SocketAddr) -> String {
    let [a, b] = webs;
    format!(
        "api: standfast/v1
fleet: back
sites:
  a: {{role: active, networks: [10.1.0.0/16], domains: [a.example.net], power: grid-1}}
  b: {{role: standby, networks: [10.2.0.0/16], domains: [b.example.net], power: grid-2}}
  w: {{role: witness, networks: [10.3.0.0/16], domains: [w.example.net], power: grid-3}}
timing: {{profile: fast}}
canaries: none
automation: advise
probes:
  a: [{{http.get: {{endpoint: web, status: 200}}}}, {{tcp.connect: {{endpoint: web}}}}]
  b: [{{http.get: {{endpoint: web, status: 200}}}}, {{tcp.connect: {{endpoint: web}}}}]
services:
  shop: {{tier: 1, owner: team, objectives: {{rto: 10m, rpo: 5s}}, runs_in: {{a: active, b: standby}}}}
resources:
  web: {{endpoint: {{a: \"http://{a}\", b: \"http://{b}\"}}}}
  front:
    route:
      haproxy: {{a: \"tcp://{runtime}\", b: \"tcp://{runtime}\"}}
      backend: web
      servers: {{a: web-a, b: web-b}}
  shop-name:
    dns: {{zone: example.net, record: shop, type: A, ttl: 5s, server: \"{dns}\",
          key: {{secret: tsig}}, values: {{a: {IN_A}, b: {IN_B}}}}}
on_loss:
  - {{site: a, run: shop, to: b}}
"
    )
}

/// Everything is done, and then a program fails.
fn playbook(log: &Path, on_failure: &str) -> String {
    let note = |what: &str| format!("[sh, -c, \"echo {what} >> {}\"]", log.display());
    let (first, last) = (note("first"), note("last"));
    let (first_back, last_back) = (note("first back"), note("last back"));
    format!(
        "api: standfast/v1
playbook: shop
title: Move the shop
services: [shop]
modes: [emergency, drill]
steps:
  - id: first
    command.run: {{command: {first}}}
    undo: {{command.run: {{command: {first_back}, idempotent: true}}}}
  - id: ramp
    traffic.shift: {{route: front, to: $to, weights: [50, 100], hold: 10ms}}
    verify: {{within: 10s, all: [{{http.get: {{endpoint: web, at: $to, status: 200}}}}]}}
    undo: {{traffic.shift: {{route: front, to: $from, weights: [100], hold: 10ms}}}}
  - id: drain
    traffic.drain: {{route: front, at: $from}}
    unreachable: skip
    undo: {{traffic.ready: {{route: front, at: $from}}}}
  - id: name
    dns.set: {{record: shop-name, to: $to}}
    attempts: 1
    timeout: 5s
    undo: {{dns.set: {{record: shop-name, to: $from}}}}
  - id: last
    command.run: {{command: {last}}}
    undo: {{command.run: {{command: {last_back}, idempotent: true}}}}
  - id: bad
    command.run: {{command: [sh, -c, \"echo no licence >&2; exit 3\"]}}
    attempts: 1
    on_failure: {on_failure}
    undo: none
"
    )
}

impl Standing {
    async fn start(on_failure: &str) -> Outcome<Standing> {
        let scratch = Scratch::new()?;
        let (site, witness) = (scratch.site("b")?, scratch.site("w")?);
        let webs = [web(ip(1, 20)).await?, web(ip(2, 20)).await?];
        let server = |name: &str, address, weight| Server { name: name.into(), address, weight };
        let servers = [server("web-a", webs[0], 100), server("web-b", webs[1], 0)];
        let front = Front::web(ports::free(ip(2, 5))?, &servers);
        let mut haproxy = Haproxy::start(&site, ports::free(ip(2, 5))?, &[front]).await?;
        haproxy.until_status("web-a", "UP").await?;
        haproxy.until_status("web-b", "UP").await?;
        let (name, record) = ("example.net".to_owned(), "shop".to_owned());
        let zone = Zone { name, record, more: Vec::new(), address: IN_A, ttl: Duration::from_secs(5) };
        let bind = Bind::start(&witness, ports::free(Ipv4Addr::LOCALHOST.into())?, zone).await?;
        let (bundle, log) = (scratch.path().join("bundle"), scratch.path().join("log"));
        std::fs::create_dir(&bundle)?;
        std::fs::write(bundle.join("fleet.yaml"), fleet(webs, haproxy.runtime, bind.address))?;
        std::fs::write(bundle.join("shop.yaml"), playbook(&log, on_failure))?;
        let mut member = Member::start(Plan {
            name: "w1".into(),
            site: "w".into(),
            site_folder: witness,
            ip: ip(3, 40),
            bundle,
            etcd: Vec::new(),
            pki: None,
            secrets: vec![("tsig".into(), format!("{}:{}", bind.key_name, bind.key))],
        })
        .await?;
        member.until_ready().await?;
        Ok(Standing { haproxy, bind, member, log, _scratch: scratch })
    }

    fn api(&self) -> Outcome<Api> {
        Ok(Api::new(&[self.member.grpc.to_string()], None)?)
    }

    async fn traffic(&self) -> Outcome<([u16; 2], String)> {
        let weights = [self.haproxy.weight("web-a").await?, self.haproxy.weight("web-b").await?];
        let state = self.haproxy.command("show servers state web").await?;
        let line = state.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        let drained = line.into_iter().find(|fields| fields.get(3) == Some(&"web-a"));
        let drained = drained.and_then(|fields| fields.get(6).map(ToString::to_string)).ok_or("web-a")?;
        Ok((weights, drained))
    }

    async fn targets(&self) -> Outcome<Targets> {
        let (weights, drained) = self.traffic().await?;
        Ok(Targets { weights, drained, name: self.bind.addresses().await? })
    }

    fn written(&self) -> Vec<String> {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    async fn begin(&self, api: &mut Api) -> Outcome<Run> {
        let request = CreateRunRequest {
            playbook: "shop".into(),
            from: "a".into(),
            to: "b".into(),
            mode: Mode::Drill.into(),
            reason: "an exercise".into(),
            request_id: request_id(),
            ..CreateRunRequest::default()
        };
        Ok(api.create_run(request).await?.run.ok_or("a run")?)
    }
}

fn states(run: &Run) -> Vec<(&str, StepState)> {
    run.steps.iter().map(|step| (step.id.as_str(), step.state())).collect()
}

/// The steps in the order in which the journal says that they were taken back.
async fn taken_back(api: &mut Api, id: &str) -> Outcome<Vec<String>> {
    let report = api.report(id).await?;
    let back = report.timeline.iter().filter(|entry| entry.message.starts_with("taken back: "));
    Ok(back.map(|entry| entry.step.clone()).collect())
}

/// Situation: everything of a move is done, and its last program fails. Danger: half of it stays, or what
/// was done first is taken back first, and for a moment nothing serves. Expectation: balancer and name
/// server are as they were, each program was undone, the last one first, and the journal says all that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_that_fails_leaves_its_targets_as_they_were() -> Outcome {
    let standing = Standing::start("rollback").await?;
    let before = standing.targets().await?;
    assert_eq!((before.weights, before.name.as_slice()), ([100, 0], &[IN_A][..]), "{before:?}");
    let mut api = standing.api()?;
    let run = standing.begin(&mut api).await?;
    let ended = api.until_run_is(&run.id, ENOUGH, "ended", |run| run.ended_at.is_some()).await?;
    assert_eq!(ended.state(), RunState::RolledBack, "{}", short(&ended));
    assert!(ended.state_reason.contains("no licence"), "{}", ended.state_reason);
    assert_eq!(standing.targets().await?, before);
    assert_eq!(standing.written(), ["first", "last", "last back", "first back"]);
    assert_eq!(taken_back(&mut api, &run.id).await?, ["last", "name", "drain", "ramp", "first"]);
    Ok(())
}

/// Situation: a person has the blocked run taken back, and the name server is gone by then. Danger: the rest
/// is taken back around it, so that traffic goes to a while the name leads to b; or nobody learns where it
/// stopped. Expectation: what was done after the name is taken back, what was done before it stays; the run
/// is Stuck, and says which step a person has to take back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_way_back_that_is_closed_stops_there_and_says_so() -> Outcome {
    let mut standing = Standing::start("pause").await?;
    let mut api = standing.api()?;
    let id = standing.begin(&mut api).await?.id;
    let blocked = |run: &Run| run.state() == RunState::Blocked;
    api.until_run_is(&id, ENOUGH, "blocked", blocked).await?;
    let moved = standing.targets().await?;
    assert_eq!((moved.weights, moved.name.as_slice()), ([0, 100], &[IN_B][..]), "{moved:?}");
    standing.bind.part().kill();
    let back = RollbackRunRequest {
        id: id.clone(),
        request_id: request_id(),
        reason: "not today".into(),
        ..RollbackRunRequest::default()
    };
    let send = async |channel, request| RunsClient::new(channel).rollback_run(request).await;
    api.call(back, send).await?;
    let ended = api.until_run_is(&id, ENOUGH, "ended", |run| run.ended_at.is_some()).await?;
    assert_eq!(ended.state(), RunState::Stuck, "{}", short(&ended));
    assert!(ended.state_reason.contains("a person has to take back: name"), "{}", ended.state_reason);
    let expected = [
        ("first", StepState::Succeeded),
        ("ramp", StepState::Succeeded),
        ("drain", StepState::Succeeded),
        ("name", StepState::UndoFailed),
        ("last", StepState::Undone),
        ("bad", StepState::Failed),
    ];
    assert_eq!(states(&ended), expected, "{}", short(&ended));
    assert_eq!(standing.traffic().await?, (moved.weights, moved.drained));
    assert_eq!(standing.written(), ["first", "last", "last back"]);
    Ok(())
}
