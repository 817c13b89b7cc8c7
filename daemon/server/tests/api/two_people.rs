//! Where an override takes two people: each with a certificate of their own, over TLS.

use standfast::settings::TlsFiles;
use standfast::tls::Tls;
use standfast_proto::v1::cluster_client::ClusterClient;
use standfast_proto::v1::*;
use tokio::net::TcpListener;

use super::fixture::*;
use crate::console::{Seen, standfast, standfast_words};
use standfast::cli::exit::Exit;

/// A leader, and a member that only takes people with certificates.
struct Given {
    leader: Daemon,
    door: Daemon,
    pki: tempfile::TempDir,
    _tool: TcpListener,
}

/// A fleet whose commander is kim; lee has no role.
async fn given(settings: &str) -> Given {
    let tool = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let pki = tempfile::tempdir().unwrap();
    let dir = pki.path().join("pki");
    let words = format!("pki init --dir {} --member b1=b,127.0.0.1 --client kim --client lee", dir.display());
    assert_eq!(standfast(&[], &words).await.exit(), Exit::Done);
    let file = |name: &str| dir.join(name);
    let tls = TlsFiles { ca: file("ca.pem"), cert: file("b1.pem"), key: file("b1.key") };
    let store = store().await;
    let mut leader = Daemon::answers("w1", "w", &store).await.observing().leading();
    let mut door = Daemon::with_tls("b1", "b", &store, Some(Tls::load(&tls).unwrap())).await;
    let mut files = files(tool.local_addr().unwrap().port());
    files[0].1 = files[0].1.replace("commander: [local]", "commander: [kim]") + settings;
    let word = "    fence.prove: {site: $from, any_of: [operator_word], role: commander}\n";
    let fenced = files[2].1.replace("playbook: waits", "playbook: fenced");
    files.push(("fenced.yaml", fenced.replace("steps:\n", &format!("steps:\n  - id: fence\n{word}"))));
    let digest = leader.apply(&files).await;
    door.knows(&digest).await;
    Given { leader, door, pki, _tool: tool }
}

impl Given {
    /// What somebody types, with their own certificate.
    async fn types(&self, who: &str, words: &[&str]) -> Seen {
        let dir = self.pki.path().join("pki");
        let file = |name: &str| dir.join(name).display().to_string();
        let (ca, cert, key) = (file("ca.pem"), file(&format!("{who}.pem")), file(&format!("{who}.key")));
        let tls = ["--tls-ca", &ca, "--tls-cert", &cert, "--tls-key", &key];
        standfast_words(&[self.door.address], &[words, &tls].concat()).await
    }

    async fn approves(&self, who: &str, run: &str, step: &[&str]) -> Seen {
        let words = [&["run", "approve", run, "--reason", "the phone is dead too"], step].concat();
        self.types(who, &words).await
    }

    /// The only run.
    async fn run(&self) -> Run {
        let runs = self.leader.runs().await.list_runs(ListRunsRequest::default()).await.unwrap();
        let [run] = &runs.into_inner().runs[..] else { panic!("one run") };
        get(&self.leader, &run.id).await
    }
}

const TWO: &str = "limits: {per_run: {services: 0}}\noverrides: {role: commander, second_person: true}\n";

/// Situation: kim waives a limit for a run. Expectation: who that is, is told by certificates: kim again is
/// nobody else, lee is.
#[tokio::test(flavor = "multi_thread")]
async fn who_approves_an_override_has_another_certificate() {
    let given = given(TWO).await;
    let start = "run start waits --from a --to b --mode drill --reason exercise --override G19=agreed";
    let start: Vec<&str> = start.split(' ').collect();
    let denied = given.types("lee", &start).await;
    assert_eq!(denied.exit(), Exit::Denied, "who waives needs the role: {denied:?}");
    let started = given.types("kim", &start).await;
    assert_eq!(started.exit(), Exit::Waiting, "{started:?}");
    let run = given.run().await;
    assert_eq!(run.state(), RunState::Proposed);
    let alone = given.approves("kim", &run.id, &[]).await;
    assert_eq!(alone.exit(), Exit::Found, "{alone:?}");
    assert!(alone.failure().to_string().contains("G21"), "{}", alone.failure());
    assert_eq!(given.run().await.state(), RunState::Proposed);
    let second = given.approves("lee", &run.id, &[]).await;
    assert_eq!(second.exit(), Exit::Done, "{second:?}");
    let run = until(&given.leader, &run.id, |run| run.state() == RunState::Succeeded).await;
    let waived: Vec<(&str, &str)> =
        run.overrides.iter().map(|waiver| (waiver.name.as_str(), waiver.identity.as_str())).collect();
    assert_eq!(waived, [("blast-radius", "kim")]);
}

/// Situation: a run blocks on a fence that nothing proves, and kim gives their word. Danger: the fleet asks
/// for two people and one of them is enough, because the run has begun. Expectation: the run goes on only
/// once lee has approved it, and everything that is told has both names.
#[tokio::test(flavor = "multi_thread")]
async fn a_word_given_in_a_run_takes_two_too() {
    let given = given("overrides: {second_person: true}\n").await;
    let start = "run start fenced --from a --to b --mode drill --reason exercise";
    let started = given.types("lee", &start.split(' ').collect::<Vec<_>>()).await;
    assert_eq!(started.exit(), Exit::Done, "what waives nothing begins at once: {started:?}");
    let id = given.run().await.id;
    let blocked = |run: &Run| run.state() == RunState::Blocked;
    until(&given.leader, &id, blocked).await;
    let step = ["--step", "fence"];
    let denied = given.approves("lee", &id, &step).await;
    assert_eq!(denied.exit(), Exit::Denied, "nobody has given their word yet: {denied:?}");
    let asked = given.approves("kim", &id, &step).await;
    assert_eq!(asked.exit(), Exit::Done, "{asked:?}");
    let alone = given.approves("kim", &id, &step).await;
    assert!(alone.failure().to_string().contains("G21"), "{}", alone.failure());
    let run = given.run().await;
    assert!(blocked(&run) && run.overrides.is_empty(), "{run:?}");
    assert!(run.state_reason.contains("kim overrides it (the phone is dead too)"), "{}", run.state_reason);
    let mut cluster = ClusterClient::new(given.leader.channel().await);
    let status = cluster.get_status(GetStatusRequest {}).await.unwrap().into_inner();
    let item = status.waiting.iter().find(|item| item.kind() == WaitingKind::UnblockRun).unwrap();
    assert!(item.question.contains("another person has to approve"), "{item:?}");
    assert!(item.commands.contains(&format!("standfast run approve {id} --step fence --reason ...")));

    let second = given.approves("lee", &id, &step).await;
    assert_eq!(second.exit(), Exit::Done, "{second:?}");
    let run = until(&given.leader, &id, |run| run.state() == RunState::Succeeded).await;
    let given_by: Vec<&str> = run.overrides.iter().map(|waiver| waiver.identity.as_str()).collect();
    assert_eq!(given_by, ["kim"]);
    let audit = given.types("lee", &["audit", "list", "--run", &id]).await.out;
    for said in ["an override is asked for by kim", "approved by lee", "approved by kim"] {
        assert!(audit.contains(said), "{said}: {audit}");
    }
}
