//! One round: sites that are brought up, broken by a schedule, mended, looked at and judged.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use standfast_checker::history::{Facts, History, Order, Row};
use standfast_checker::{Verdict, judge};
use standfast_core::timing::{Profile, Timing};
use standfast_proto::v1::{Run, RunState};

use super::disk::Disk;
use super::inject::{Injector, start_database};
use super::keys;
use super::schedule::{Fault, Schedule};
use crate::lab::api::{Api, short};
use crate::lab::cluster::Kind;
use crate::lab::member::SITES;
use crate::lab::net::Net;
use crate::lab::timeline;
use crate::lab::world::{Setup, World};
use crate::parts::client::{Client, Record};
use crate::parts::ground::ip;
use crate::parts::ledger::{self, Ear, Ledger, now_ms};
use crate::parts::part::Part;
use crate::parts::scratch::Scratch;
use crate::parts::shop::stored;
use crate::parts::{Error, Result, ports};

/// How long everything may take to be well again once it is mended.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often that is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// What a command takes, and what the service takes, in milliseconds.
const TAKES_MS: [u64; 2] = [700, 400];

/// What came of a round.
#[derive(Debug)]
pub struct Outcome {
    /// What was done, and when: milliseconds since 1970, and a line.
    pub told: Vec<(i64, String)>,
    /// What was really hit.
    pub hits: Vec<Fault>,
    /// The runs that there were, in a line each.
    pub runs: Vec<String>,
    /// Of the checker.
    pub verdict: Verdict,
    /// What did not come to rest once everything was mended.
    pub restless: Option<String>,
    /// The folder with the logs, the timeline and the history, if it is kept.
    pub kept: Option<PathBuf>,
}

impl Outcome {
    /// Whether all went as it must.
    pub fn holds(&self) -> bool {
        self.verdict.holds() && self.restless.is_none()
    }
}

/// Everything of a round. Dropping it ends it; what was started goes before its disks and networks.
struct Stage {
    world: World,
    ledgers: [PathBuf; 2],
    _ear: Part,
    disks: Vec<Disk>,
    net: Net,
    scratch: Scratch,
}

/// Plays a schedule. What fails here, and not in the outcome, is the stage itself.
pub async fn play(schedule: &Schedule) -> Result<Outcome> {
    let mut stage = Stage::start().await?;
    let mut injector = Injector::default();
    let played = stage.act(schedule, &mut injector).await;
    let (history, runs, restless) = match played {
        Ok(played) => played,
        Err(error) => {
            let kept = stage.keep(&injector, None);
            return Err(Error::answer("chaos", format!("{error}; logs: {}", kept.display())));
        }
    };
    let verdict = judge(&history);
    let (told, hits) = (injector.told.clone(), injector.hits.clone());
    let mut outcome = Outcome { told, hits, runs, verdict, restless, kept: None };
    if !outcome.holds() {
        outcome.kept = Some(stage.keep(&injector, Some(&history)));
    }
    Ok(outcome)
}

impl Stage {
    async fn start() -> Result<Stage> {
        let net = Net::up()?;
        let scratch = Scratch::new()?;
        let mut disks = Vec::new();
        for (site, _) in SITES {
            let data = scratch.site(site)?.join(format!("{site}1")).join("data");
            disks.push(Disk::mount(site, &data)?);
        }
        let listen = ports::free(ip(2, 20))?;
        let ledgers = ["hand", "ear"].map(|name| scratch.path().join(format!("{name}.jsonl")));
        let ledger = |place: usize, target: &str| Ledger {
            file: ledgers[place].clone(),
            target: target.into(),
            takes_ms: TAKES_MS[place],
        };
        let ear = ledger::start(&scratch.site("b")?, &Ear { listen, ledger: ledger(1, "ear") }).await?;
        let command = ledger(0, "hand").command()?;
        let setup = Setup::new(Kind::Etcd).led_from("w").guarded().edited(move |bundle| {
            let at = format!("{{a: \"http://{listen}\", b: \"http://{listen}\"}}");
            bundle.edit_fleet("resources:\n", &format!("resources:\n  ear: {{endpoint: {at}}}\n"))?;
            bundle.edit_playbook("hold: 10s", "hold: 1s")?;
            // A site may be back before its fence is proven: then a person is asked, and soon.
            let fence = "any_of: [site_lease_expired]}\n";
            bundle.edit_playbook(fence, &format!("{fence}    timeout: 10s\n"))?;
            for (number, before) in (1..).zip(["fenced", "name", "ramp"]) {
                bundle.edit_playbook(&format!("  - id: {before}\n"), &steps(number, before, &command)?)?;
            }
            Ok(())
        });
        let world = World::start(&scratch, setup, |_| {}).await?;
        world.until_steady().await?;
        world.until_enforced().await?;
        Ok(Stage { world, ledgers, _ear: ear, disks, net, scratch })
    }

    /// Breaks, mends, waits until all is at rest, and collects what there is.
    async fn act(
        &mut self,
        schedule: &Schedule,
        injector: &mut Injector,
    ) -> Result<(History, Vec<String>, Option<String>)> {
        let (customer, clock) = (self.world.customer().await?, Clock::now());
        let begun = Instant::now();
        let mut turns: Vec<(Duration, usize, bool)> = Vec::new();
        for (number, planned) in schedule.faults.iter().enumerate() {
            turns.push((planned.at, number, true));
            turns.push((planned.at + planned.lasts, number, false));
        }
        turns.sort();
        let Stage { world, net, disks, .. } = self;
        for (at, number, begins) in turns {
            tokio::time::sleep_until((begun + at).into()).await;
            match begins {
                true => injector.begin(number, schedule.faults[number].fault, world, net, disks).await?,
                false => injector.end(number, world, net, disks).await?,
            }
        }
        tokio::time::sleep_until((begun + schedule.lasts).into()).await;
        injector.heal(world, net, disks).await?;
        let restless = self.until_rest(&customer).await.err().map(|error| error.to_string());
        let mut api = self.world.cluster.api()?;
        let mut runs = Vec::new();
        for run in api.runs().await.unwrap_or_default() {
            runs.push(short(&api.run(&run.id).await.unwrap_or(run)));
        }
        let history = self.collect(customer.stop().await, clock, injector).await?;
        Ok((history, runs, restless))
    }

    /// Everybody is ready, somebody leads, no run is under way, and customers are served, unless a
    /// person has been asked.
    async fn until_rest(&mut self, customer: &Client) -> Result<()> {
        let healed = Instant::now();
        for member in &mut self.world.cluster.members {
            member.until_ready().await?;
        }
        let mut api = self.world.cluster.api()?;
        let runs = loop {
            // A database that died is started again as soon as its site's sentry lets it.
            for site in ["a", "b"] {
                start_database(site, &mut self.world).await?;
            }
            match at_rest(&mut api).await {
                Ok(runs) => break runs,
                Err(last) if healed.elapsed() > PATIENCE => {
                    let problem = format!("no rest within {PATIENCE:?} (last: {last})");
                    return Err(Error::answer("standfast", problem));
                }
                Err(_) => tokio::time::sleep(LOOK).await,
            }
        };
        let asked = |run: &Run| !matches!(run.state(), RunState::Succeeded | RunState::Cancelled);
        if runs.iter().any(asked) {
            return Ok(());
        }
        loop {
            let (order, last) = customer
                .look(|record| (record.first_after(healed).cloned(), record.failures.last().cloned()));
            if order.is_some() {
                return Ok(());
            }
            if healed.elapsed() > 2 * PATIENCE {
                return Err(Error::answer("customer", format!("is not served: {last:?}")));
            }
            start_database("a", &mut self.world).await?;
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn collect(&mut self, record: Record, clock: Clock, injector: &Injector) -> Result<History> {
        let timing = Timing::of(Profile::Fast);
        let store = keys::judged(&self.world).await?;
        let mut history = History {
            facts: Facts {
                sites: SITES.map(|(site, _)| site.to_owned()).to_vec(),
                active: "a".into(),
                confirm_ms: timing.confirm.as_ms(),
                notice_ms: 15_000,
                // The lag that the playbook allows, and as long as a site that is cut off may serve.
                loss_ms: 5_000 + (timing.site_ttl.0 + timing.margin.0).as_millis() as u64,
            },
            store,
            harms: injector.harms.clone(),
            ..History::default()
        };
        for file in &self.ledgers {
            history.effects.extend(ledger::read(file)?);
        }
        history.orders = (record.orders.iter())
            .map(|order| Order {
                id: order.id,
                sent_ms: clock.ms(order.sent),
                acknowledged_ms: clock.ms(order.acknowledged),
                site: order.site.clone(),
            })
            .collect();
        // Nobody writes any more; what a sentry has stopped goes on, so that it can be read.
        let sites = [&mut self.world.shop.a, &mut self.world.shop.b];
        for site in sites {
            site.deploy.part().kill();
            match site.postgres.part().is_alive() {
                true => site.postgres.part().resume(),
                false => site.postgres.revive().await?,
            }
            site.postgres.until_answers().await?;
            let rows = stored(site).await?;
            let rows = rows.into_iter().map(|(id, site, sent_ms)| Row { id, site, sent_ms }).collect();
            history.rows.insert(site.name.clone(), rows);
        }
        Ok(history)
    }

    /// Leaves everything for a person to look at; says where.
    fn keep(&mut self, injector: &Injector, history: Option<&History>) -> PathBuf {
        self.scratch.keep();
        let folder = self.scratch.path().to_path_buf();
        if let Some(history) = history {
            let text = serde_json::to_string_pretty(history).unwrap_or_default();
            report(std::fs::write(folder.join("history.json"), text));
        }
        report(timeline::write(&folder, &injector.told));
        folder
    }
}

/// All runs, if somebody leads and none of them is under way.
async fn at_rest(api: &mut Api) -> std::result::Result<Vec<Run>, String> {
    api.status().await.map_err(|e| e.to_string())?.leader.ok_or("nobody leads")?;
    let runs = api.runs().await.map_err(|e| e.to_string())?;
    let busy = |run: &&Run| matches!(run.state(), RunState::Running | RunState::RollingBack);
    match runs.iter().find(busy) {
        Some(run) => Err(short(run)),
        None => Ok(runs),
    }
}

/// What cannot be written down is said, and hides nothing else.
fn report(written: std::io::Result<()>) {
    if let Err(error) = written {
        eprintln!("chaos: {error}");
    }
}

/// A target of each kind, in front of a step.
fn steps(number: usize, before: &str, command: &[String]) -> Result<String> {
    let words = serde_json::to_string(command).map_err(|e| Error::answer("chaos", e))?;
    Ok(format!(
        "  - id: hear-{number}
    http.request: {{endpoint: ear, at: $to, method: POST, path: /act, idempotent: true}}
    timeout: 4s
    undo: none

  - id: act-{number}
    command.run: {{command: {words}, idempotent: true}}
    timeout: 4s
    undo: none

  - id: {before}
"
    ))
}

/// Turns moments into times that everybody writes down.
#[derive(Debug, Clone, Copy)]
struct Clock {
    at: Instant,
    ms: i64,
}

impl Clock {
    fn now() -> Clock {
        Clock { at: Instant::now(), ms: now_ms() }
    }

    fn ms(&self, moment: Instant) -> i64 {
        let after = moment.saturating_duration_since(self.at).as_millis();
        let before = self.at.saturating_duration_since(moment).as_millis();
        self.ms + i64::try_from(after).unwrap_or(0) - i64::try_from(before).unwrap_or(0)
    }
}
