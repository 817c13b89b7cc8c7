//! Statements and programs on hosts: shown with what they would do, and not done.

use std::net::Ipv4Addr;

use standfast_core::action::Inspection::{self, Needed, Unknown};
use standfast_core::look::{Kind, Seen};
use standfast_integration::lab::bundle::Bundle;
use standfast_integration::parts::ports;
use standfast_integration::parts::scratch::Scratch;
use standfast_integration::parts::sshd::Sshd;

use super::Outcome;
use super::given::{Standing, errors, finds, look};

/// The shop with two steps more, before its last.
fn with_jobs(standing: &Standing, sshd: &Sshd, program: &str) -> Outcome<Bundle> {
    let mut bundle = standing.bundle.clone();
    let (address, user, key) = (sshd.address, &sshd.user, sshd.host_key.trim());
    let host = |site: &str| {
        format!(
            "      {site}: {{address: \"{address}\", user: {user}, host_key: {key}, key: {{secret: ssh}}}}\n"
        )
    };
    let hosts = format!("  job-host:\n    ssh:\n{}{}  shop-name:\n", host("a"), host("b"));
    bundle.edit_fleet("  shop-name:\n", &hosts)?;
    let steps = format!(
        "  - id: open
    needs: [promote]
    postgres.run: {{cluster: orders, at: $to, sql: [\"create table tills (open boolean)\"]}}

  - id: jobs
    needs: [open]
    ssh.run: {{on: job-host, at: $to, run: [{program}, started], idempotent: true}}

  - id: ramp
"
    );
    bundle.edit_playbook("  - id: ramp\n", &steps)?;
    Ok(bundle)
}

/// What is found of the two steps: they stand before the last.
fn found(seen: &Seen) -> [&Inspection; 2] {
    let [.., open, jobs, _] = &seen.steps[..] else { panic!("{:?}", seen.steps) };
    [&open.says, &jobs.says]
}

/// Situation: a playbook changes rows and starts a program on a host, and somebody looks at it before they
/// need it. Danger: the look does it, or says nothing of a host that nobody can log in to. Expectation: each
/// is shown with what it would do, nothing is left behind, and what a run would fail at has its kind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_and_programs_are_shown_and_not_done() -> Outcome {
    let standing = Standing::start().await?;
    let scratch = Scratch::new()?;
    let place = ports::free(Ipv4Addr::new(127, 77, 2, 40).into())?;
    let sshd = Sshd::start(&scratch.site("b")?, place).await?;
    let bundle = with_jobs(&standing, &sshd, "touch")?;
    let locked_out = look(&standing.given, &bundle).await?;
    finds(&locked_out, Kind::Credentials, "jobs", &["secret `ssh` is missing"]);
    standing.given.secret("ssh", &sshd.key)?;
    let seen = look(&standing.given, &bundle).await?;
    assert_eq!(errors(&seen), []);
    let [open, jobs] = found(&seen);
    assert!(
        matches!(open, Needed(said) if said.contains("once it is a primary: create table tills")),
        "{open:?}"
    );
    assert!(matches!(jobs, Unknown(said) if said.contains("would run touch started")), "{jobs:?}");
    let left: Vec<_> = std::fs::read_dir(&sshd.home)?.collect();
    assert!(left.is_empty(), "looking leaves nothing behind: {left:?}");
    let primary = standing.shop.a.postgres.standfast().await?;
    let tills = primary.query_one("select to_regclass('tills') is null", &[]).await?;
    assert!(tills.get::<_, bool>(0), "looking runs no statement");

    let missing = look(&standing.given, &with_jobs(&standing, &sshd, "no-such-job")?).await?;
    let [_, jobs] = found(&missing);
    assert!(matches!(jobs, Inspection::Conflict(said) if said.contains("no no-such-job")), "{jobs:?}");
    Ok(())
}
