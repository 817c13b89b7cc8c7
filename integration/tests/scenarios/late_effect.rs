//! A leader stands still while what it has sent is on its way, and wakes when another one leads.
//!
//! Situation: site a is lost and a run moves the shop. The leader has sent a request to a tool; before
//! it arrives the leader is stopped (SIGSTOP), for longer than its lease. Another member leads, finds the
//! step as one of which nobody knows the end, does it again, and goes on to the name; its update is
//! held up just so, and it is stopped as well. The first one goes on, and what it had sent arrives;
//! it takes over again, and moves the name; then the second one wakes, and its update arrives.
//!
//! Danger: what comes late is done: a tool acts for a leader that is none, a name moves under the
//! feet of the one that is. Or the one that wakes writes down what it believes.
//!
//! Expectation: it is the targets that refuse, by the epoch: the tool by the header, the name server by
//! the record beside the name. Who wakes follows. The run goes on at the very step each time and
//! succeeds, and the checker finds nothing in journal and targets.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use standfast_checker::history::{Facts, Harm, History};
use standfast_checker::judge;
use standfast_core::timing::{Profile, Timing};
use standfast_integration::chaos::keys;
use standfast_integration::lab::api::{Api, short};
use standfast_integration::lab::bundle::Bundle;
use standfast_integration::lab::events::Recorder;
use standfast_integration::lab::held::{Held, Speech};
use standfast_integration::lab::world::World;
use standfast_integration::parts::ground::ip;
use standfast_integration::parts::ledger::{self, Ear, Ledger, now_ms};
use standfast_integration::parts::{Error, Result, ports};
use standfast_proto::v1::{JournalEventKind, Leader, Run, RunState, StepState};
use tokio_util::task::AbortOnDropHandle;

use super::Outcome;

const SOON: Duration = Duration::from_secs(30);
/// The tool's answer to a lower epoch than it has seen.
const PRECONDITION_FAILED: u16 = 412;
/// The name server's, when there is a record that should not be, or not the one that should.
const NOT_AS_REQUIRED: [u16; 2] = [7, 8];

/// The ways to both targets, and the tool.
pub(crate) struct Stage {
    tool: Held,
    name: Held,
    file: tempfile::TempPath,
    target: Arc<OnceLock<SocketAddr>>,
    _ear: AbortOnDropHandle<Result<()>>,
}

impl Stage {
    pub(crate) async fn start() -> Outcome<Stage> {
        let file = tempfile::NamedTempFile::new()?.into_temp_path();
        let listen = ports::free(ip(2, 20))?;
        let ledger = Ledger { file: file.to_path_buf(), target: "ear".into(), takes_ms: 50 };
        let ear = AbortOnDropHandle::new(tokio::spawn(Ear { listen, ledger }.serve()));
        let known = Arc::new(OnceLock::from(listen));
        let tool = Held::open(ports::free(ip(2, 21))?, known, Speech::Http).await?;
        let target = Arc::new(OnceLock::new());
        let name = Held::open(ports::free(ip(3, 53))?, Arc::clone(&target), Speech::Dns).await?;
        Ok(Stage { tool, name, file, target, _ear: ear })
    }

    /// The change of the bundle: both targets are reached by their ways.
    pub(crate) fn edit(&self) -> impl FnOnce(&mut Bundle) -> Result<()> + Send + 'static {
        let (tool, name, target) = (self.tool.address, self.name.address, Arc::clone(&self.target));
        move |bundle| {
            bundle.edit_playbook("hold: 10s", "hold: 1s")?;
            let ear = format!("  ear: {{endpoint: {{a: \"http://{tool}\", b: \"http://{tool}\"}}}}\n");
            bundle.edit_fleet("resources:\n", &format!("resources:\n{ear}"))?;
            let request = "{endpoint: ear, at: $to, method: POST, path: /act, idempotent: true, linger: 1s}";
            let hear =
                format!("  - id: hear\n    needs: [promote]\n    http.request: {request}\n    undo: none\n");
            let before = "  - id: name\n    needs: [promote]\n";
            let after = "  - id: name\n    needs: [hear]\n";
            bundle.edit_playbook(before, &format!("{hear}\n{after}"))?;
            let real = bundle.fleet.split("server: \"").nth(1).and_then(|rest| rest.split('"').next());
            let real = real.unwrap_or_default().to_owned();
            let address =
                real.parse().map_err(|_| Error::answer("fleet", format!("{real:?} is its name server")))?;
            target.get_or_init(|| address);
            bundle.edit_fleet(&format!("server: \"{real}\""), &format!("server: \"{name}\""))
        }
    }
}

pub(crate) async fn play(world: &mut World, stage: &Stage) -> Outcome {
    let mut api = world.cluster.api()?;
    let recorder = Recorder::start(world.cluster.api()?);
    let lost_ms = now_ms();
    world.kill_site_a()?;
    let run = api.until_run(Duration::from_secs(40)).await?.id;

    stage.tool.until_sent(SOON).await?;
    let first = stopped(world, &mut api).await?;
    let taken = api.until_run_is(&run, SOON, "is taken over", |now| now.epoch > first.epoch).await?;
    stage.name.until_sent(Duration::from_secs(60)).await?;
    let second = stopped(world, &mut api).await?;
    assert!(second.site != first.site && second.epoch == taken.epoch, "{second:?} after {first:?}");

    // What the first one has sent arrives when it lives again.
    world.cluster.member(&first.site)?.part().resume();
    assert_eq!(stage.tool.let_go(SOON).await?, PRECONDITION_FAILED, "the tool takes what came late");
    let effects = ledger::read(&stage.file)?;
    let seen: Vec<(u64, bool)> = effects.iter().map(|effect| (effect.epoch, effect.accepted)).collect();
    assert_eq!(seen, [(second.epoch, true), (first.epoch, false)], "{effects:?}");

    let again = api.until_run_is(&run, SOON, "is taken over", |now| now.epoch > second.epoch).await?;
    let named = |run: &Run| run.steps.iter().any(|s| s.id == "name" && s.state() == StepState::Succeeded);
    api.until_run_is(&run, Duration::from_secs(60), "has moved the name", named).await?;
    let third = api.until_leader(SOON).await?;
    assert_eq!((third.site.as_str(), third.epoch), (first.site.as_str(), again.epoch));
    let stands = format!("\"epoch={}\"", third.epoch);
    assert_eq!(beside(world).await?, stands);
    world.cluster.member(&second.site)?.part().resume();
    let code = stage.name.let_go(SOON).await?;
    assert!(NOT_AS_REQUIRED.contains(&code), "the name server takes what came late: {code}");
    assert_eq!(beside(world).await?, stands);

    let ended =
        api.until_run_is(&run, Duration::from_secs(90), "ended", |run| run.ended_at.is_some()).await?;
    assert_eq!(ended.state(), RunState::Succeeded, "{}", short(&ended));
    assert_eq!(world.shop.bind.addresses().await?.len(), 1);
    assert_eq!(beside(world).await?, stands);
    let mut own = world.cluster.api_of(&second.site)?;
    let followed = own.until_leader(SOON).await?;
    assert!(followed.epoch >= third.epoch && followed.site == third.site, "{followed:?} after {third:?}");
    once_by_each(&recorder, &run, [&first, &second, &third]);
    let verdict = judge(&history(world, &stage.file, lost_ms).await?);
    assert!(verdict.holds() && verdict.takeovers == 2, "{verdict}");
    Ok(())
}

/// Whoever leads comes to a stop, and cannot say so.
async fn stopped(world: &mut World, api: &mut Api) -> Outcome<Leader> {
    let leader = api.until_leader(SOON).await?;
    world.cluster.member(&leader.site)?.part().pause();
    Ok(leader)
}

/// The record beside the name.
async fn beside(world: &World) -> Outcome<String> {
    let bind = &world.shop.bind;
    let (server, port) = (format!("@{}", bind.address.ip()), bind.address.port().to_string());
    let name = format!("_standfast.{}", bind.zone.full_name());
    let dig = standfast_integration::parts::program("dig")?;
    let asked = tokio::process::Command::new(dig)
        .args(["+short", "+tcp", &server, "-p", &port, &name, "TXT"])
        .output();
    Ok(String::from_utf8(asked.await?.stdout)?.trim().to_owned())
}

/// The journal: each step as often as it was begun, under the epochs of those who began it.
fn once_by_each(recorder: &Recorder, run: &str, [first, second, third]: [&Leader; 3]) {
    let journal = recorder.journal(run);
    let begun = |step: &str| -> Vec<u64> {
        let of = journal.iter().filter(|line| line.kind() == JournalEventKind::StepStateChanged);
        let of = of.filter(|line| line.step == step && line.step_state() == StepState::Started);
        of.map(|line| line.epoch).collect()
    };
    assert_eq!(begun("promote"), [first.epoch]);
    assert_eq!(begun("hear"), [first.epoch, second.epoch]);
    assert_eq!(begun("name"), [second.epoch, third.epoch]);
    assert_eq!(begun("ramp"), [third.epoch]);
    assert!(journal.windows(2).all(|pair| pair[0].epoch <= pair[1].epoch), "epochs never go back");
}

/// What the checker is given, who knows nothing of this scenario.
async fn history(world: &World, file: &Path, lost_ms: i64) -> Outcome<History> {
    let timing = Timing::of(Profile::Fast);
    Ok(History {
        facts: Facts {
            sites: ["a", "b", "w"].map(str::to_owned).to_vec(),
            active: "a".into(),
            confirm_ms: timing.confirm.as_ms(),
            ..Facts::default()
        },
        store: keys::judged(world).await?,
        effects: ledger::read(file)?,
        harms: vec![Harm {
            site: "a".into(),
            began_ms: lost_ms,
            ended_ms: now_ms(),
            what: "it lost power".into(),
        }],
        ..History::default()
    })
}
