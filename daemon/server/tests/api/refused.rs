//! What does not hold refuses a run that a person wants, by number, and says what to do.

use standfast_proto::reason;
use standfast_proto::v1::sites_client::SitesClient;
use standfast_proto::v1::*;
use tokio::net::TcpListener;
use tonic::Code;
use tonic_types::StatusExt;

use super::fixture::*;
use crate::console::standfast;
use standfast::cli::exit::Exit;

const WAITS: &str = "  - id: tool
    wait.until: {all: [{tcp.connect: {endpoint: tool, at: $to}}]}
    timeout: 20s
";

/// A leader whose fleet has a database that nobody can reach, and playbooks that require what
/// does not hold.
async fn leader(tool: &TcpListener) -> Daemon {
    let dead = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let dsn = |site: &str| {
        format!("{site}: {{dsn: \"host=127.0.0.1 port={dead} user=x\", password: {{secret: orders}}}}")
    };
    let resources = format!(
        "resources:
  orders: {{postgres: {{{}, {}}}}}
  hole: {{endpoint: {{a: \"http://127.0.0.1:{dead}\", b: \"http://127.0.0.1:{dead}\"}}}}
",
        dsn("a"),
        dsn("b")
    );
    let fleet = fleet(tool.local_addr().unwrap().port()).replace("resources:\n", &resources);
    let behind = format!(
        "require:
  - postgres.lag: {{cluster: orders, at: $to, below: 5s}}
    override: commander
steps:
{WAITS}"
    );
    let silent = format!(
        "require:
  - tcp.connect: {{endpoint: hole, at: $to}}
steps:
{WAITS}"
    );
    let fenced = format!(
        "steps:
  - id: fenced
    fence.prove: {{site: $from, any_of: [operator_word], role: commander}}
{WAITS}"
    );
    let store = store().await;
    let mut member = Daemon::answers("w1", "w", &store).await.leading();
    let files = [
        ("fleet.yaml", fleet),
        ("shop.yaml", playbook("shop", &behind)),
        ("silent.yaml", playbook("silent", &silent)),
        ("fenced.yaml", playbook("fenced", &fenced)),
    ];
    member.apply(&files).await;
    member
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guard_refuses_a_person_by_number_and_yields_to_its_name() {
    // Situation: nobody knows how far the standby is behind, and a person starts the playbook.
    // Danger: a promotion that loses more than was agreed, or a refusal that nobody understands
    // at three in the morning. Expectation: G10 refuses, nothing is begun, and what to type is
    // said; with the guard waived by name the run goes on, and the waiver stands in it.
    let tool = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let member = leader(&tool).await;
    let mut client = member.runs().await;
    let status = client.create_run(drill("shop", "r1")).await.expect_err("it is refused");
    let details = status.get_error_details();
    let violation = &details.precondition_failure().expect("violations").violations[0];
    assert_eq!((violation.r#type.as_str(), violation.subject.as_str()), ("G10", "lag"));
    assert!(violation.description.starts_with("postgres.lag orders"), "{violation:?}");
    let refused = Err::<(), _>(status);
    let told = ["guards", "override", "role"].map(|key| about(&refused, key));
    assert_eq!(told, ["G10", "lag", "commander"]);
    assert_eq!(why(refused), (Code::FailedPrecondition, reason::GUARD_REFUSED.into()));

    let words = "run start shop --from a --mode drill --reason exercise";
    let seen = standfast(&[member.address], words).await;
    assert_eq!(seen.exit(), Exit::Found, "{seen:?}");
    let said = seen.failure().to_string();
    assert!(said.starts_with("error: refused by G10 lag: "), "{said}");
    assert_eq!(said.matches("postgres.lag orders").count(), 1, "said once: {said}");
    assert!(said.contains("in the role `commander`: --override lag='why'"), "{said}");
    assert_eq!(client.list_runs(ListRunsRequest::default()).await.unwrap().into_inner().runs, []);

    let seen = standfast(&[member.address], &format!("{words} --override lag=agreed --watch")).await;
    assert_eq!(seen.exit(), Exit::Done, "{seen:?}");
    let runs = client.list_runs(ListRunsRequest::default()).await.unwrap().into_inner().runs;
    let run = get(&member, &runs[0].id).await;
    assert_eq!((runs.len(), run.state()), (1, RunState::Succeeded));
    let waived = Override { name: "lag".into(), reason: "agreed".into(), identity: "local".into() };
    assert_eq!(run.overrides, [waived]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_requirement_that_does_not_hold_refuses_a_person() {
    let tool = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let member = leader(&tool).await;
    let status = member.runs().await.create_run(drill("silent", "r1")).await.expect_err("it is refused");
    let details = status.get_error_details();
    let violation = &details.precondition_failure().expect("violations").violations[0];
    assert_eq!(violation.r#type, "REQUIRE");
    assert!(violation.subject.starts_with("tcp.connect 127.0.0.1:"), "{violation:?}");
    let refused = Err::<(), _>(status);
    assert_eq!(about(&refused, "override"), "");
    assert_eq!(why(refused), (Code::FailedPrecondition, reason::REQUIRE_UNMET.into()));

    // The dry run and the plan say the same, as an answer.
    for words in ["plan silent", "run start silent --dry-run"] {
        let seen = standfast(&[member.address], &format!("{words} --from a --to b --mode drill")).await;
        assert_eq!(seen.exit(), Exit::Found, "{seen:?}");
        assert!(seen.out.contains("would be refused now: tcp.connect"), "{}", seen.out);
    }
    let words = "run start silent --from a --to b --mode drill --reason exercise";
    let seen = standfast(&[member.address], words).await;
    assert_eq!(seen.exit(), Exit::Found, "{seen:?}");
    assert!(seen.failure().to_string().contains("nobody may waive it"), "{}", seen.failure());

    // What is gone from the terminal is told later.
    let mut sites = SitesClient::new(member.channel().await);
    let why_not = sites.why_not(WhyNotRequest { site: "a".into() }).await.unwrap().into_inner();
    let [refusal] = why_not.refusals.as_slice() else { panic!("{:?}", why_not.refusals) };
    assert_eq!((refusal.playbook.as_str(), refusal.to.as_str()), ("silent", "b"));
    let guard = refusal.guard.as_ref().unwrap();
    assert_eq!((guard.id.as_str(), guard.name.as_str()), ("", "required"));
    assert!(guard.reason.starts_with("local wanted silent from a to b: "), "{}", guard.reason);
    standfast(&[member.address], "run start shop --from a --to b --mode drill --reason exercise").await;
    let seen = standfast(&[member.address], "why-not a").await;
    assert!(seen.out.contains("local wanted shop from a to b: ") && seen.out.contains("G10"), "{}", seen.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_caller_sends_is_not_thrown_back_at_them_whole() {
    // Situation: a caller sends a name of 100 kB. Danger: the answer does not fit into the headers
    // that a client takes, and all that is seen of it is a broken call.
    let tool = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let member = leader(&tool).await;
    let huge = "\u{fc}".repeat(50_000);
    let mut client = member.runs().await;
    let wrong = client.create_run(drill(&huge, "r1")).await;
    assert_eq!(why(wrong), (Code::NotFound, reason::NO_SUCH_THING.into()));
    let wrong = client.get_run(GetRunRequest { id: huge.clone() }).await;
    assert_eq!(why(wrong), (Code::NotFound, reason::NO_SUCH_THING.into()));
    let from = CreateRunRequest { from: huge.clone(), ..drill("shop", "r2") };
    assert_eq!(why(client.create_run(from).await), (Code::NotFound, reason::NO_SUCH_THING.into()));
    let waiver = Override { name: huge.clone(), reason: huge.clone(), ..Override::default() };
    let wrong = CreateRunRequest { overrides: vec![waiver], ..drill("shop", "r3") };
    assert_eq!(why(client.create_run(wrong).await), (Code::InvalidArgument, reason::BAD_FIELD.into()));
    let inputs = [(huge.clone(), huge.clone())].into();
    let wrong = CreateRunRequest { inputs, ..drill("shop", "r4") };
    assert_eq!(why(client.create_run(wrong).await), (Code::InvalidArgument, reason::BAD_FIELD.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fence_is_not_skipped_and_somebody_gives_their_word() {
    let tool = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let member = leader(&tool).await;
    let start = "run start fenced --from a --to b --mode drill --reason exercise --watch";
    let begun = standfast(&[member.address], start).await;
    assert_eq!(begun.exit(), Exit::Waiting, "{begun:?}");
    let runs = member.runs().await.list_runs(ListRunsRequest::default()).await.unwrap().into_inner().runs;
    let id = &runs[0].id;
    let seen = standfast(&[member.address], &format!("run skip {id} --step fenced --reason exercise")).await;
    assert_eq!(seen.exit(), Exit::Found, "{seen:?}");
    let said = seen.failure().to_string();
    assert!(said.starts_with("error: refused by G11 fence: ") && said.contains("approve --step"), "{said}");
    assert_eq!(said.lines().count(), 1, "said once: {said}");

    // A word needs a reason, and what helps is said with it.
    let next = format!("next: standfast run approve {id} --step fenced --reason ...");
    assert!(begun.err.contains(&next), "{}", begun.err);
    let approve = format!("run approve {id} --step fenced");
    let seen = standfast(&[member.address], &approve).await;
    assert_eq!(seen.exit(), Exit::Usage, "{seen:?}");
    assert!(seen.failure().to_string().starts_with("error: reason: say why"), "{}", seen.failure());
    assert_eq!(get(&member, id).await.state(), RunState::Blocked);
    let seen = standfast(&[member.address], &format!("{approve} --reason seen --watch")).await;
    assert_eq!(seen.exit(), Exit::Done, "{seen:?}");
    let run = get(&member, id).await;
    let word = Override { name: "fence".into(), reason: "seen".into(), identity: "local".into() };
    assert_eq!(run.overrides, [word]);
    assert_eq!(run.next_commands, [format!("standfast run report {id}")]);
    let report = GetReportRequest { id: id.clone() };
    let report = member.runs().await.get_report(report).await.unwrap().into_inner();
    assert!(report.markdown.contains("| gave their word | step fenced |"), "{}", report.markdown);
    assert_eq!(report.overrides[0].reason, "seen");
    // By name, with a reason, from the begin.
    let seen = standfast(&[member.address], &format!("{start} --override fence=seen")).await;
    assert_eq!(seen.exit(), Exit::Done, "{seen:?}");
}
