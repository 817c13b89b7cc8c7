//! The demonstration: a site burns, a playbook moves it.
//!
//! [`play`] starts everything, lets site a die, tells what happens while it happens, and
//! measures: [`screen`] is where it is told, `story` turns events into lines, `watch` waits
//! for them, [`figures`] turns what was seen into the table and the verdict.

pub mod figures;
pub mod screen;
mod story;
mod watch;

use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use crate::lab::cluster::Kind;
use crate::lab::events::{Events, News};
use crate::lab::world::{Setup, TTL, World};
use crate::parts::client::Client;
use crate::parts::scratch::Scratch;
use crate::parts::shop::rows;
use crate::parts::{Error, LogEnd, Result, poll};
use figures::{Death, Figures, Seen};
use screen::{Screen, Tone};
use story::Story;

/// Orders after the end of the run that show that the shop serves.
const SERVED: usize = 50;
const SETTLED: Duration = Duration::from_secs(15);

/// What a demonstration is asked for.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Where the daemons keep their state
    #[arg(long, value_enum, default_value = "embedded")]
    pub store: Kind,
    /// Write the figures to this file as JSON, whether they are good or not
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Leave the folder with data and logs
    #[arg(long)]
    pub keep: bool,
}

/// What became of it.
#[derive(Debug)]
pub enum Ending {
    /// The shop was moved and the objectives hold.
    Good,
    /// It was not, or they do not; why stands on the screen. The ends of the members' logs.
    Bad(Logs),
}

/// The end of each member's log, by its name.
pub type Logs = Vec<(String, Box<LogEnd>)>;

/// Why there is no ending, and what the members said last.
#[derive(Debug)]
pub struct Failed {
    /// While what.
    pub during: &'static str,
    /// What went wrong.
    pub error: Error,
    /// The ends of the members' logs.
    pub logs: Logs,
}

/// Plays it. What it started is gone when this returns or is dropped.
pub async fn play(options: &Options, scratch: &Scratch, screen: &mut Screen) -> Result<Ending, Box<Failed>> {
    let early = |error| Box::new(Failed { during: "starting the sites", error, logs: Vec::new() });
    let started = Instant::now();
    banner(options.store, screen);
    let at = |started: Instant| format!("{:6.1}s  ", started.elapsed().as_secs_f64());
    let setup = Setup::new(options.store);
    let told = |line: &str| screen.line(Tone::Plain, &format!("{}{line}", at(started)));
    let world = World::start(scratch, setup, told).await.map_err(early)?;
    let failed = |during: &'static str| {
        let logs = world.logs();
        move |error| Box::new(Failed { during, error, logs })
    };

    let customer = world.customer().await.map_err(failed("waiting for the customer to be served"))?;
    screen.line(Tone::Plain, &format!("{}a customer orders without pause", at(started)));
    world.until_steady().await.map_err(failed("waiting for a steady state"))?;
    world.cluster.lead_from("a").await.map_err(failed("moving the leaders into site a"))?;
    let leader = leaders(&world).await.map_err(failed("asking who leads"))?;
    screen.line(Tone::Good, &format!("{}both sites HEALTHY, the standby streams; {leader}", at(started)));

    let seen = disaster(&world, &customer, screen).await;
    let seen = seen.map_err(|error| failed("watching the failover")(error))?;
    let record = customer.stop().await;
    let present = rows(&world.shop.b).await.map_err(failed("counting the rows in site b"))?;
    let figures = Figures::new(options.store, &seen, &record, &present, started.elapsed());
    screen.blank();
    for (tone, line) in figures.table() {
        screen.line(tone, &line);
    }
    if let Some(file) = &options.json {
        let text = serde_json::to_string_pretty(&figures).expect("figures are plain data");
        let written = std::fs::write(file, text + "\n");
        written.map_err(Error::io(format!("writing {}", file.display()))).map_err(failed("writing JSON"))?;
    }
    if figures.failures.is_empty() {
        return Ok(Ending::Good);
    }
    Ok(Ending::Bad(world.logs()))
}

fn banner(store: Kind, screen: &mut Screen) {
    screen.line(Tone::Loud, "Standfast: a site burns, a playbook moves it");
    let lines: &[&str] = match store {
        Kind::Embedded => &[
            "Two sites, a (127.77.1.x) and b (127.77.2.x), and a witness w with one daemon.",
            "single_observer: act. One daemon has one point of view: what it cannot reach it takes",
            "for lost, with nobody to contradict it. Good for one machine, not for three sites.",
        ],
        Kind::Etcd => &[
            "Three sites, a (127.77.1.x), b (127.77.2.x) and the witness w (127.77.3.x): an etcd member",
            "and a daemon in each. Both leaders sit in a, the site that dies.",
        ],
    };
    for line in lines {
        screen.line(Tone::Plain, line);
    }
    screen
        .line(Tone::Plain, "All is on loopback, real, and gone at the end. The playbook is playbooks/shop.");
    let ttl = TTL.as_secs();
    screen
        .line(Tone::Plain, &format!("The shop's name may be kept for {ttl} s. Objectives: RTO 10m, RPO 5s."));
    screen.blank();
}

async fn leaders(world: &World) -> Result<String> {
    let status = world.cluster.api()?.status().await?;
    let leader = status.leader.unwrap_or_default();
    let ours = format!("{} leads from {}", leader.member, leader.site);
    let Some(etcd) = &world.cluster.etcd else { return Ok(ours) };
    let name = ["a", "b", "w"][etcd.leader().await?];
    Ok(format!("{ours}, etcd's leader is in {name}"))
}

/// Kills site a and follows what comes of it until the run has ended and the customer is
/// served again, or time is up.
async fn disaster(world: &World, customer: &Client, screen: &mut Screen) -> Result<Seen> {
    let mut events = Events::new(world.cluster.api()?);
    let mut story = Story::default();
    // What there is before is known, not told.
    while let News::Known(_) | News::Lost { .. } | News::Happened(_) = known(&mut events, &mut story).await? {
    }

    screen.blank();
    let (killed, moment) = (SystemTime::now(), Instant::now());
    let (_, dead) = world.kill_site_a()?;
    let gone = Instant::now();
    screen.line(
        Tone::Bad,
        &format!("  0.00s  site a dies: {dead} guards and programs killed within {:.0?}", gone - moment),
    );

    let death = Death { killed, moment, gone };
    let run = watch::until_end(world, &mut events, story, customer, death, screen).await?;
    let mut api = world.cluster.api()?;
    let run = match run {
        Some(run) => Some(api.run(&run.id).await?),
        None => None,
    };
    let report = match &run {
        Some(run) => Some(api.report(&run.id).await?),
        None => None,
    };
    // Served: not once by luck, but steadily, after the end.
    let after = Instant::now();
    let served = poll(SETTLED, || async {
        let new =
            customer.look(|record| record.orders.iter().rev().take_while(|order| order.sent > after).count());
        if new >= SERVED { Ok(()) } else { Err(new).map_err(|new| format!("{new} orders")) }
    });
    let served = served.await.is_ok();
    screen.status("");
    Ok(Seen { death, run, report, served })
}

async fn known(events: &mut Events, story: &mut Story) -> Result<News> {
    let news = tokio::time::timeout(SETTLED, events.next()).await;
    let news = news.map_err(|_| Error::answer("events", "no snapshot"))??;
    if let News::Known(event) | News::Happened(event) = &news {
        story.tell(event);
    }
    Ok(news)
}
