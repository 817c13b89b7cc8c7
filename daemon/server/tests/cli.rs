//! The command line against members that answer what a test says.

mod cli {
    pub(crate) mod console;
    mod local;
    pub(crate) mod member;
    pub(crate) mod watching;
}

use std::collections::HashMap;

use cli::console::standfast;
use cli::member::{Answers, Member};
use serde_json::{Value, json};
use standfast::cli::exit::Exit;
use standfast::settings::TlsFiles;
use standfast_proto::reason;
use standfast_proto::v1::{self, *};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, PreconditionViolation, StatusExt};

fn run(state: RunState) -> Run {
    let step = |id: &str| Step {
        id: id.into(),
        action: "http.request".into(),
        target: "deploy-tool at b".into(),
        attempts: 3,
        ..Step::default()
    };
    Run {
        id: "shop-1".into(),
        playbook: "shop".into(),
        from: "a".into(),
        to: "b".into(),
        state: state.into(),
        steps: vec![step("tools"), step("promote")],
        steps_total: 2,
        ..Run::default()
    }
}

fn refused(code: Code, reason: &str, metadata: &[(&str, &str)]) -> Answers {
    let mut details = ErrorDetails::new();
    let metadata: HashMap<String, String> =
        metadata.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    details.set_error_info(reason, reason::DOMAIN, metadata);
    if reason == reason::GUARD_REFUSED {
        details.set_precondition_failure(vec![PreconditionViolation::new(
            "G05",
            "veto",
            "a member lives in a",
        )]);
    }
    Answers { refusal: Some(Status::with_error_details(code, "no", details)), ..Answers::default() }
}

#[tokio::test]
async fn status_says_who_leads_what_waits_and_what_to_type() {
    let status = ClusterStatus {
        member: "w1".into(),
        member_site: "w".into(),
        identity: "kim".into(),
        fleet: "shop".into(),
        automation: AutomationLevel::Advise.into(),
        leader: Some(Leader { member: "b1".into(), site: "b".into(), epoch: 7, since: None }),
        sites: vec![Site {
            name: "a".into(),
            verdict: Verdict::Lost.into(),
            votes: vec![SiteVote { voter: "w".into(), vote: Vote::Down.into(), ..SiteVote::default() }],
            ..Site::default()
        }],
        waiting: vec![WaitingItem {
            question: "move the shop to b?".into(),
            for_me: true,
            commands: vec!["standfast run approve shop-1".into()],
            ..WaitingItem::default()
        }],
        next_commands: vec!["standfast run get shop-1".into()],
        ..ClusterStatus::default()
    };
    let member = Member::start(Answers { status, ..Answers::default() }).await;
    let seen = standfast(&[member.address], "status").await;
    assert_eq!(seen.exit(), Exit::Done);
    for said in ["leader b1 in b, epoch 7", "automation advise", "LOST", "w DOWN", "move the shop to b?"] {
        assert!(seen.out.contains(said), "{said} in\n{}", seen.out);
    }
    assert!(seen.out.ends_with("next:\n  standfast run get shop-1\n"), "{}", seen.out);
    assert!(!seen.out.contains('\x1b'), "colours where there is no terminal");

    assert_eq!(standfast(&[member.address], "status --exit-code").await.exit(), Exit::Waiting);
    let json: Value =
        serde_json::from_str(&standfast(&[member.address], "status -o json").await.out).expect("JSON");
    assert_eq!(json["leader"]["epoch"], "7");
    let yaml = standfast(&[member.address], "status -o yaml").await.out;
    assert!(yaml.contains("leader:\n  epoch: \"7\"\n"), "{yaml}");
}

#[tokio::test]
async fn a_dry_run_says_what_would_refuse_it() {
    let plan = Plan {
        would_be_refused: true,
        changes_pending: true,
        inspected_at: Some(pbjson_types::Timestamp::default()),
        requires: vec![PlanRequire {
            name: "postgres.lag orders".into(),
            condition: "postgres.lag orders at b below 5s".into(),
            outcome: ConditionOutcome::DoesNotHold.into(),
            answer: "12 s".into(),
            override_role: "incident-commander".into(),
            ..PlanRequire::default()
        }],
        steps: vec![PlanStep {
            id: "promote".into(),
            preview: Preview::WouldDo.into(),
            point_of_no_return: true,
            ..PlanStep::default()
        }],
        ..Plan::default()
    };
    let created = CreateRunResponse { plan: Some(plan.clone()), ..CreateRunResponse::default() };
    let member = Member::start(Answers { plan, created, ..Answers::default() }).await;
    for words in ["plan shop --from a --exit-code", "run start shop --from a --dry-run"] {
        let seen = standfast(&[member.address], words).await;
        assert_eq!(seen.exit(), Exit::Found, "{words}");
        assert!(seen.out.ends_with("would be refused now: postgres.lag orders\n"), "{}", seen.out);
        assert!(seen.out.contains("no way back"), "{}", seen.out);
    }
    let asked = member.asked();
    assert_eq!(asked[0].1, json!({"playbook": "shop", "from": "a", "inspect": true}));
    assert_eq!(asked[1].1["validateOnly"], true);
}

#[tokio::test]
async fn pending_changes_have_their_own_exit_code_when_asked_for() {
    let plan = Plan { changes_pending: true, ..Plan::default() };
    let member = Member::start(Answers { plan, ..Answers::default() }).await;
    assert_eq!(standfast(&[member.address], "plan shop --from a").await.exit(), Exit::Done);
    let seen = standfast(&[member.address], "plan shop --from a --exit-code --mode drill --input n=1").await;
    assert_eq!(seen.exit(), Exit::Pending);
    assert_eq!(member.asked()[1].1["mode"], "MODE_DRILL");
    assert_eq!(member.asked()[1].1["inputs"], json!({"n": "1"}));
}

#[tokio::test]
async fn a_run_that_starts_is_named_with_the_next_command() {
    let created = CreateRunResponse { run: Some(run(RunState::Running)), ..CreateRunResponse::default() };
    let member = Member::start(Answers { created, ..Answers::default() }).await;
    let words =
        "run start shop --from a --to b --mode emergency --reason fire --override lag=kim --override G07";
    let seen = standfast(&[member.address], words).await;
    assert_eq!(seen.exit(), Exit::Done);
    assert!(seen.out.starts_with("shop-1  Running  a -> b"), "{}", seen.out);
    assert_eq!(seen.err, "next: standfast run watch shop-1\n");
    let request = &member.asked()[0].1;
    assert_eq!(
        request["overrides"],
        json!([{"name": "lag", "reason": "kim"}, {"name": "G07", "reason": "fire"}])
    );
    assert_eq!(request["requestId"].as_str().expect("an id").len(), 32);
}

#[tokio::test]
async fn a_proposed_run_waits_for_people() {
    let created = CreateRunResponse { run: Some(run(RunState::Proposed)), ..CreateRunResponse::default() };
    let member = Member::start(Answers { created, ..Answers::default() }).await;
    let seen = standfast(&[member.address], "run start shop --from a --reason fire").await;
    assert_eq!(seen.exit(), Exit::Waiting);
    assert!(seen.err.contains("next: standfast run approve shop-1 --reason ...\n"), "{}", seen.err);
}

#[tokio::test]
async fn each_change_reaches_its_method_with_reason_and_step() {
    let member = Member::start(Answers { run: run(RunState::Running), ..Answers::default() }).await;
    let changes = [
        ("run approve shop-1 --step ask --etag 9", "approve_run"),
        ("run reject shop-1 --reason no", "reject_run"),
        ("run retry shop-1", "retry_step"),
        ("run skip shop-1 --step drain --reason no", "skip_step"),
        ("run pause shop-1", "pause_run"),
        ("run resume shop-1", "resume_run"),
        ("run abort shop-1 --reason no", "abort_run"),
        ("site ack a --reason no", "ack_site"),
        ("site maintain a --reason no --until 2027-01-04T06:00:00Z", "maintain_site"),
        ("site release a --reason no", "release_site"),
        ("switch on armed --reason no", "set_switch"),
        ("switch off armed --reason no", "set_switch"),
        ("freeze --reason no --for 2h", "freeze"),
        ("thaw --reason no", "thaw"),
        ("member step-down b1 --reason no --epoch 7", "step_down"),
    ];
    for (words, method) in changes {
        let seen = standfast(&[member.address], words).await;
        assert_eq!(seen.exit(), Exit::Done, "{words}: {seen:?}");
        // After an abort it is looked whether the run has ended.
        let (_, request) =
            member.asked().into_iter().rev().find(|(asked, _)| *asked == method).expect("a request");
        assert_eq!(request["reason"] == "no", words.contains("--reason"), "{request}");
        assert!(request["requestId"].is_string(), "{request}");
    }
    let asked = member.asked();
    assert_eq!((&asked[0].1["step"], &asked[0].1["etag"]), (&json!("ask"), &json!("9")));
    assert_eq!(asked[3].1["step"], "drain");
    let (last, request) = asked.last().expect("requests");
    assert_eq!((&**last, &request["epoch"]), ("step_down", &json!("7")));
}

/// Situation: somebody has frozen the cluster, and another starts a run. Danger: they do not know of
/// each other.
#[tokio::test]
async fn a_freeze_is_seen_by_whoever_asks_and_whoever_acts() {
    let freeze = Freeze {
        by: "lee".into(),
        reason: "the network\nis rebuilt".into(),
        since: Some(pbjson_types::Timestamp { seconds: 1_800_000_000, nanos: 0 }),
        remaining: Some(pbjson_types::Duration { seconds: 5_400, nanos: 0 }),
    };
    let said = "frozen by lee since 2027-01-15 08:00:00Z, for another 1h 30m: the network is rebuilt";
    let created = CreateRunResponse {
        run: Some(run(RunState::Running)),
        freeze: Some(freeze.clone()),
        ..CreateRunResponse::default()
    };
    let member = Member::start(Answers {
        created,
        status: ClusterStatus { freeze: Some(freeze.clone()), ..ClusterStatus::default() },
        frozen: FreezeResponse { freeze: Some(freeze) },
        ..Answers::default()
    })
    .await;
    let seen = standfast(&[member.address], "status").await.out;
    assert!(seen.contains(said), "{seen}");
    let seen = standfast(&[member.address], "run start shop --from a --reason fire").await;
    assert_eq!(seen.exit(), Exit::Done);
    assert!(seen.err.contains(said), "{}", seen.err);
    let until = "freeze --reason no --until 2027-01-15T09:30:00+00:00";
    let seen = standfast(&[member.address], until).await;
    assert!(seen.out.starts_with(said), "{}", seen.out);
    let (_, request) = member.asked().pop().expect("a request");
    assert_eq!(request["until"], "2027-01-15T09:30:00+00:00", "{request}");
    let member = Member::start(refused(Code::FailedPrecondition, reason::WRONG_STATE, &[])).await;
    assert_eq!(standfast(&[member.address], "thaw --reason no").await.exit(), Exit::Failed);
}

#[tokio::test]
async fn an_abort_answers_as_the_run_has_ended() {
    let member = Member::start(Answers { run: run(RunState::Aborted), ..Answers::default() }).await;
    let seen = standfast(&[member.address], "run abort shop-1 --reason no").await;
    assert!(seen.out.starts_with("shop-1  Aborted"), "{}", seen.out);
    assert_eq!(member.asked().len(), 1, "it need not be looked at again");
}

/// Situation: the member that took the request loses the store before it can answer. Danger: the
/// person types it again and two runs start. Expectation: another member gets the same request.
#[tokio::test]
async fn a_call_without_an_answer_goes_to_another_member_with_the_same_id() {
    let created = CreateRunResponse { run: Some(run(RunState::Running)), ..CreateRunResponse::default() };
    let silent = Member::start(refused(Code::Unavailable, reason::NO_QUORUM, &[])).await;
    let other = Member::start(Answers { created, not_serving: true, ..Answers::default() }).await;
    let seen = standfast(&[silent.address, other.address], "run start shop --from a --reason fire").await;
    assert_eq!(seen.exit(), Exit::Done, "{seen:?}");
    let (first, second) = (silent.asked(), other.asked());
    assert_eq!((first.len(), second.len()), (1, 1));
    assert_eq!(first[0].1, second[0].1);
}

#[tokio::test]
async fn a_change_that_nobody_answers_says_how_to_find_out() {
    let member = Member::start(refused(Code::Unavailable, reason::NO_QUORUM, &[])).await;
    let seen = standfast(&[member.address], "run abort shop-1 --reason no --request-id r1").await;
    assert_eq!(seen.exit(), Exit::Unreachable);
    assert!(seen.failure().to_string().contains("--request-id r1"), "{}", seen.failure());
}

/// Situation: a member is stopped (SIGSTOP); the kernel still accepts its connections. Danger:
/// the command hangs. Expectation: another member answers.
#[tokio::test]
async fn a_stopped_member_does_not_hold_a_command_up() {
    let stopped = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = stopped.local_addr().expect("an address");
    let member = Member::start(Answers { run: run(RunState::Running), ..Answers::default() }).await;
    let seen = standfast(&[address, member.address], "run get shop-1 --timeout 5s").await;
    assert_eq!(seen.exit(), Exit::Done);
    let alone = standfast(&[address], "run get shop-1 --timeout 5s").await;
    assert_eq!(alone.exit(), Exit::Unreachable);
    assert!(alone.failure().message.contains(&address.to_string()), "{}", alone.failure());
}

/// Situation: the watched member dies with its site, in the middle of events that share a
/// revision. Danger: an event is missed, or counted twice. Expectation: each is seen once.
#[tokio::test]
async fn what_refuses_is_named_and_has_its_exit_code() {
    let cases = [
        (Code::FailedPrecondition, reason::GUARD_REFUSED, Exit::Found, "G05 veto: a member lives in a"),
        (Code::Aborted, reason::STALE_PLAN, Exit::Stale, "make the plan again"),
        (Code::PermissionDenied, reason::NOT_ALLOWED, Exit::Denied, "`incident-commander`"),
        (Code::FailedPrecondition, reason::LOCKED, Exit::Found, "standfast run get shop-9"),
    ];
    for (code, reason, exit, said) in cases {
        let metadata = [("role", "incident-commander"), ("run", "shop-9")];
        let member = Member::start(refused(code, reason, &metadata)).await;
        let seen = standfast(&[member.address], "run start shop --from a --reason fire").await;
        assert_eq!(seen.exit(), exit, "{reason}");
        assert!(seen.failure().to_string().contains(said), "{}", seen.failure());
        assert_eq!(seen.out, "");
    }
}

#[tokio::test]
async fn why_not_names_the_guard_that_refuses() {
    let guard = GuardDecision {
        id: "G05".into(),
        name: "veto".into(),
        outcome: GuardOutcome::Refused.into(),
        reason: "a1 in a holds its lease".into(),
    };
    let refusal = Refusal { guard: Some(guard.clone()), count: 3, ..Refusal::default() };
    let why_not = WhyNotResponse {
        site: "a".into(),
        playbook: "shop".into(),
        to: "b".into(),
        guards: vec![guard],
        refused_by: "G05".into(),
        refusals: vec![refusal],
        ..WhyNotResponse::default()
    };
    let member = Member::start(Answers { why_not, ..Answers::default() }).await;
    let seen = standfast(&[member.address], "why-not a").await;
    assert!(seen.out.contains("refused now by G05"), "{}", seen.out);
    assert_eq!(seen.out.matches("a1 in a holds its lease").count(), 2, "now and then:\n{}", seen.out);
}

#[tokio::test]
async fn apply_shows_findings_and_changes() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("fleet.yaml"), "fleet: shop").expect("a file");
    let words = format!("apply --dry-run --exit-code {}", folder.path().display());
    let finding = Finding {
        id: "SF0107".into(),
        severity: Severity::Error.into(),
        message: "unknown key `tmeout`".into(),
        file: "fleet.yaml".into(),
        line: 12,
        column: 3,
        help: "did you mean `timeout`?".into(),
    };
    let applied = ApplyBundleResponse { findings: vec![finding], ..ApplyBundleResponse::default() };
    let member = Member::start(Answers { applied, ..Answers::default() }).await;
    let seen = standfast(&[member.address], &words).await;
    assert_eq!(seen.exit(), Exit::Found);
    let said = "error[SF0107]: unknown key `tmeout`\n  --> fleet.yaml:12:3\n  = help: did you mean";
    assert!(seen.out.starts_with(said), "{}", seen.out);
    assert_eq!(member.asked()[0].1["files"], json!([{"name": "fleet.yaml", "text": "fleet: shop"}]));

    let applied =
        ApplyBundleResponse { digest: "3f2a".into(), changed: true, ..ApplyBundleResponse::default() };
    let member = Member::start(Answers { applied, ..Answers::default() }).await;
    assert_eq!(standfast(&[member.address], &words).await.exit(), Exit::Pending);
}

#[tokio::test]
async fn lists_and_reports_are_readable() {
    let member = Member::start(Answers {
        run: run(RunState::Partial),
        runs: ListRunsResponse { runs: vec![run(RunState::Partial)], next_page_token: "p2".into() },
        report: Report { markdown: "# shop-1\n".into(), ..Report::default() },
        site: Site { name: "a".into(), verdict: Verdict::Healthy.into(), ..Site::default() },
        status: ClusterStatus {
            members: vec![v1::Member { name: "b1".into(), live: true, ..v1::Member::default() }],
            ..ClusterStatus::default()
        },
        ..Answers::default()
    })
    .await;
    let list = standfast(&[member.address], "run list --active --limit 7").await;
    assert!(list.out.contains("shop-1  Partial  a -> b"), "{}", list.out);
    assert_eq!(list.err, "more: standfast run list --active --page p2\n");
    assert_eq!(member.asked()[0].1["pageSize"], 7);
    assert_eq!(member.asked()[0].1["states"].as_array().map(Vec::len), Some(5));
    assert_eq!(standfast(&[member.address], "run report shop-1").await.out, "# shop-1\n");
    let got = standfast(&[member.address], "run get shop-1").await.out;
    assert!(got.contains("http.request  deploy-tool at b"), "{got}");
    assert!(standfast(&[member.address], "site list").await.out.contains("HEALTHY"));
    assert!(standfast(&[member.address], "site get a").await.out.contains("HEALTHY"));
    assert!(standfast(&[member.address], "member list").await.out.contains("b1"));
}

/// Members that are not on loopback demand certificates, so a person needs three files and a
/// member whose certificate has the name that is called.
#[tokio::test]
async fn with_certificates_from_pki_a_person_gets_through() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path().join("pki");
    let words = format!("pki init --dir {} --member b1=b,127.0.0.1 --client kim", dir.display());
    let made = standfast(&[], &words).await;
    assert_eq!(made.exit(), Exit::Done, "{made:?}");
    assert!(made.out.contains("kim.key"), "{}", made.out);

    let file = |name: &str| dir.join(name);
    let files = TlsFiles { ca: file("ca.pem"), cert: file("b1.pem"), key: file("b1.key") };
    let tls = standfast::tls::Tls::load(&files).expect("the files that were made").server_config();
    let member =
        Member::start(Answers { run: run(RunState::Running), tls: Some(tls), ..Answers::default() }).await;
    let named = |name: &str| format!("--tls-{name} {}/", dir.display());
    let words =
        format!("run get shop-1 {}ca.pem {}kim.pem {}kim.key", named("ca"), named("cert"), named("key"));
    let seen = standfast(&[member.address], &words).await;
    assert_eq!(seen.exit(), Exit::Done, "{seen:?}");
    let without = standfast(&[member.address], "run get shop-1").await;
    assert_eq!(without.exit(), Exit::Unreachable);
    assert!(without.failure().to_string().contains("if members want TLS: --tls-ca"), "{without:?}");

    // Somebody else's authority, which has the same name.
    let words = format!("pki init --dir {}/other --client kim", dir.display());
    assert_eq!(standfast(&[], &words).await.exit(), Exit::Done);
    let with = |ca: &str, pair: &str| {
        let [ca, pair] = [ca, pair].map(|folder| format!("{}/{folder}", dir.display()));
        format!("run get shop-1 --tls-ca {ca}ca.pem --tls-cert {pair}kim.pem --tls-key {pair}kim.key")
    };
    for _ in 0..5 {
        let seen = standfast(&[member.address], &with("", "other/")).await;
        assert_eq!(seen.exit(), Exit::Denied, "{seen:?}");
        let said = seen.failure().to_string();
        assert!(said.contains("it refuses your certificate") && said.contains("--tls-cert"), "{said}");
        let seen = standfast(&[member.address], &with("other/", "")).await;
        assert_eq!(seen.exit(), Exit::Unreachable, "{seen:?}");
        let said = seen.failure().to_string();
        assert!(
            said.contains("not of the authority in --tls-ca") && said.contains("= --tls-ca must"),
            "{said}"
        );
    }
}

#[test]
fn the_program_keeps_its_exit_codes() {
    let program = |words: &[&str]| {
        std::process::Command::new(env!("CARGO_BIN_EXE_standfast"))
            .args(words)
            .env_remove("STANDFAST_SERVER")
            .output()
            .expect("it starts")
    };
    let version = program(&["version"]);
    assert_eq!(version.status.code(), Some(0));
    assert!(version.stdout.starts_with(b"standfast "));
    assert_eq!(program(&["--help"]).status.code(), Some(0));
    assert_eq!(program(&["run", "start"]).status.code(), Some(2));
    // Port 1 of loopback: nothing listens there without root having put it there.
    let unreachable = program(&["status", "-s", "127.0.0.1:1"]);
    assert_eq!(unreachable.status.code(), Some(5));
    assert!(String::from_utf8_lossy(&unreachable.stderr).contains("127.0.0.1:1: "));
    assert!(program(&["completion", "bash"]).stdout.starts_with(b"_standfast()"));
}

#[tokio::test]
async fn readiness_is_shown_with_what_stands_in_the_way() {
    let trouble = Trouble {
        kind: "privilege".into(),
        severity: Severity::Error.into(),
        step: "promote".into(),
        message: "the user of orders in b may not promote it".into(),
        members: vec!["b1".into(), "w1".into()],
        ..Trouble::default()
    };
    let one = Readiness {
        site: "a".into(),
        playbook: "shop".into(),
        to: "b".into(),
        verdict: ReadinessVerdict::NotReady.into(),
        reason: "not ready, looked at 3m ago".into(),
        troubles: vec![trouble],
        ..Readiness::default()
    };
    let well = Readiness { verdict: ReadinessVerdict::Doubtful.into(), troubles: vec![], ..one.clone() };
    for (readiness, exit, words) in
        [(vec![one], Exit::Found, "error    privilege  promote  b1,w1"), (vec![well], Exit::Done, "yes, but")]
    {
        let readiness = ListReadinessResponse { readiness };
        let member = Member::start(Answers { readiness, ..Answers::default() }).await;
        let seen = standfast(&[member.address], "readiness").await;
        assert_eq!(seen.exit(), exit, "{seen:?}");
        assert!(seen.out.contains(words), "{}", seen.out);
    }
}
