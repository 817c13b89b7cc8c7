//! Breaks what a schedule says, on the real parts, and mends it again.

use std::collections::BTreeMap;
use std::time::Duration;

use rustix::process::Signal;
use standfast_checker::history::Harm;

use super::disk::Disk;
use super::keys;
use super::schedule::{Fault, Site, Victim};
use crate::lab::member::SITES;
use crate::lab::net::{End, Net};
use crate::lab::world::World;
use crate::parts::ground::ip;
use crate::parts::ledger::now_ms;
use crate::parts::part::Part;
use crate::parts::process::{Process, descendants, one_at_a_time};
use crate::parts::{Error, Result, poll};

/// How long an action is waited for; what breaks next waits as well.
const COME: Duration = Duration::from_secs(3);
/// How long a site that has been wronged may take to be found well again.
const ECHO: Duration = Duration::from_secs(8);

/// What a fault has really hit.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Hit {
    Net(Vec<((End, End), u8)>),
    Member(Site),
    Etcd(usize),
    Sentry,
    Postgres(Site),
    Processes(Vec<Process>),
    Disk(Site),
    Nothing,
}

/// A fault that is not mended yet.
#[derive(Debug)]
struct Active {
    fault: Fault,
    hit: Hit,
    since_ms: i64,
    /// Whether site a may be lost by it.
    harms: bool,
}

/// Breaks and mends.
#[derive(Debug, Default)]
pub struct Injector {
    active: BTreeMap<usize, Active>,
    /// What was done, and when: milliseconds since 1970, and a line.
    pub told: Vec<(i64, String)>,
    /// What was really hit: what cannot be found at that moment is not.
    pub hits: Vec<Fault>,
    /// Times in which a site may truly have been lost.
    pub harms: Vec<Harm>,
}

impl Injector {
    /// Breaks something, under a number of the caller's.
    pub async fn begin(
        &mut self,
        number: usize,
        fault: Fault,
        world: &mut World,
        net: &mut Net,
        disks: &[Disk],
    ) -> Result<()> {
        let since_ms = now_ms();
        let hit = match fault {
            Fault::Cut(site) => cut(End::Site(site)),
            Fault::Unplug(site) => {
                net.link(site, false)?;
                Hit::Net(Vec::new())
            }
            Fault::OneWay(from, to) => Hit::Net(vec![((End::Site(from), End::Site(to)), 100)]),
            Fault::Loss(site, percent) => {
                let site = End::Site(site);
                Hit::Net(vec![((site, End::Anywhere), percent), ((End::Anywhere, site), percent)])
            }
            Fault::Alone(site) => {
                let number = place(site) as u8 + 1;
                let ends = [ip(number, 40), ip(number, 2)].map(End::Host);
                let ways = ends.iter().flat_map(|end| [(*end, End::Anywhere), (End::Anywhere, *end)]);
                Hit::Net(ways.map(|way| (way, 100)).collect())
            }
            Fault::Kill(victim) => signal(victim, Signal::KILL, world).await?,
            Fault::Stop(victim) => signal(victim, Signal::STOP, world).await?,
            Fault::Compact => {
                compact(world).await;
                Hit::Nothing
            }
            Fault::Full(site) => {
                disk(disks, site)?.fill()?;
                Hit::Disk(site)
            }
        };
        self.told.push((since_ms, format!("{fault}{}", aimed(fault, &hit))));
        let missed = match &hit {
            Hit::Nothing => fault != Fault::Compact,
            Hit::Processes(processes) => processes.is_empty(),
            _ => false,
        };
        if !missed {
            self.hits.push(fault);
        }
        let mut harms = harmful(fault, &hit);
        if halves(fault) {
            for other in self.active.values_mut().filter(|other| halves(other.fault)) {
                (other.harms, harms) = (true, true);
            }
        }
        self.active.insert(number, Active { fault, hit, since_ms, harms });
        net.drops(self.drops())
    }

    /// Mends it.
    pub async fn end(
        &mut self,
        number: usize,
        world: &mut World,
        net: &mut Net,
        disks: &[Disk],
    ) -> Result<()> {
        let Some(Active { fault, hit, since_ms, harms }) = self.active.remove(&number) else {
            return Ok(());
        };
        self.told.push((now_ms(), format!("mended: {fault}")));
        if harms {
            let ended_ms = now_ms() + i64::try_from(ECHO.as_millis()).unwrap_or(0);
            self.harms.push(Harm { site: "a".into(), began_ms: since_ms, ended_ms, what: fault.to_string() });
        }
        if let Fault::Unplug(site) = fault {
            net.link(site, true)?;
        }
        net.drops(self.drops())?;
        match hit {
            Hit::Member(site) => {
                let member = world.cluster.member(site)?;
                match member.part().is_alive() {
                    true => go_on(member.part()),
                    false => member.revive().await?,
                }
            }
            Hit::Etcd(place) => {
                let etcd = world.cluster.etcd.as_mut().ok_or_else(|| Error::answer("chaos", "no etcd"))?;
                match etcd.part(place).is_alive() {
                    true => etcd.part(place).resume(),
                    false => etcd.revive(place).await?,
                }
            }
            Hit::Sentry => {
                let sentry = world.sentry.as_mut().ok_or_else(|| Error::answer("chaos", "no sentry"))?;
                match sentry.part().is_alive() {
                    true => go_on(sentry.part()),
                    false => sentry.revive().await?,
                }
            }
            Hit::Postgres(site) => start_database(site, world).await?,
            Hit::Processes(processes) => tell_all(&processes, Signal::CONT),
            Hit::Disk(site) => disk(disks, site)?.empty()?,
            Hit::Net(_) | Hit::Nothing => {}
        }
        Ok(())
    }

    /// Mends all that is still broken.
    pub async fn heal(&mut self, world: &mut World, net: &mut Net, disks: &[Disk]) -> Result<()> {
        for number in self.active.keys().copied().collect::<Vec<_>>() {
            self.end(number, world, net, disks).await?;
        }
        Ok(())
    }

    fn drops(&self) -> BTreeMap<(End, End), u8> {
        let mut all = BTreeMap::new();
        for active in self.active.values() {
            let Hit::Net(drops) = &active.hit else { continue };
            for (way, percent) in drops {
                let most = all.entry(*way).or_insert(0);
                *most = (*percent).max(*most);
            }
        }
        all
    }
}

/// What can make site a look lost, or stop itself, by itself.
fn harmful(fault: Fault, hit: &Hit) -> bool {
    match fault {
        Fault::Cut(site) | Fault::Unplug(site) | Fault::Alone(site) => site == "a",
        Fault::OneWay(..) | Fault::Loss(..) | Fault::Compact | Fault::Full(_) => false,
        Fault::Kill(_) | Fault::Stop(_) => *hit == Hit::Member("a"),
    }
}

/// What can do so only together with another of its kind: no single voter is a majority.
fn halves(fault: Fault) -> bool {
    matches!(fault, Fault::OneWay(from, to) if from == "a" || to == "a")
}

fn cut(end: End) -> Hit {
    Hit::Net(vec![((end, End::Anywhere), 100), ((End::Anywhere, end), 100)])
}

fn aimed(fault: Fault, hit: &Hit) -> String {
    match (fault, hit) {
        (Fault::Kill(Victim::Leader) | Fault::Stop(Victim::Leader), Hit::Member(site)) => {
            format!(" ({site}1)")
        }
        (Fault::Kill(Victim::EtcdLeader) | Fault::Stop(Victim::EtcdLeader), Hit::Etcd(place)) => {
            format!(" (in {})", SITES[*place].0)
        }
        (_, Hit::Processes(processes)) => format!(" ({} processes)", processes.len()),
        (Fault::Kill(_) | Fault::Stop(_), Hit::Nothing) => " (there is none)".into(),
        _ => String::new(),
    }
}

fn place(site: &str) -> usize {
    SITES.iter().position(|(name, _)| *name == site).unwrap_or_default()
}

fn disk(disks: &[Disk], site: Site) -> Result<&Disk> {
    let found = disks.iter().find(|disk| disk.site == site);
    found.ok_or_else(|| Error::answer("chaos", format!("the member of {site} has no disk of its own")))
}

async fn signal(victim: Victim, signal: Signal, world: &mut World) -> Result<Hit> {
    let victim = match victim {
        Victim::Leader => match keys::leader_site(world).await {
            Some(site) => Victim::Member(site),
            None => return Ok(Hit::Nothing),
        },
        Victim::EtcdLeader => match keys::etcd_leader(world).await {
            Some(place) => Victim::Etcd(SITES[place].0),
            None => return Ok(Hit::Nothing),
        },
        other => other,
    };
    Ok(match victim {
        Victim::Member(site) => {
            send(world.cluster.member(site)?.part(), signal);
            Hit::Member(site)
        }
        Victim::Etcd(site) => {
            let etcd = world.cluster.etcd.as_mut().ok_or_else(|| Error::answer("chaos", "no etcd"))?;
            send(etcd.part(place(site)), signal);
            Hit::Etcd(place(site))
        }
        Victim::Sentry => {
            let sentry = world.sentry.as_mut().ok_or_else(|| Error::answer("chaos", "no sentry"))?;
            send(sentry.part(), signal);
            Hit::Sentry
        }
        Victim::Postgres(site) => {
            let part = postgres(site, world).part();
            if signal == Signal::KILL {
                part.kill()
            } else {
                part.pause()
            }
            Hit::Postgres(site)
        }
        Victim::Actions => {
            let acting = acting(world).await;
            tell_all(&acting, signal);
            Hit::Processes(acting)
        }
        Victim::Leader | Victim::EtcdLeader => Hit::Nothing,
    })
}

/// The program alone is stopped: what it has started goes on, as it would on a real host. Killed,
/// all that it has started dies as well, by its own doing; the guard only sees to it.
fn send(part: &mut Part, signal: Signal) {
    match part.process() {
        Some(process) if signal == Signal::STOP => tell_all(&[process], signal),
        Some(process) => {
            process.signal(signal);
            part.kill();
        }
        None => {}
    }
}

/// Who is gone needs no signal.
fn tell_all(processes: &[Process], signal: Signal) {
    for process in processes {
        process.signal(signal);
    }
}

fn go_on(part: &Part) {
    tell_all(part.process().as_slice(), Signal::CONT);
}

fn postgres(site: Site, world: &mut World) -> &mut crate::parts::postgres::Postgres {
    match site {
        "a" => &mut world.shop.a.postgres,
        _ => &mut world.shop.b.postgres,
    }
}

/// As whatever starts services on a host does: not while the sentry of the host has stopped them.
pub(super) async fn start_database(site: Site, world: &mut World) -> Result<()> {
    let sentry_says = world.shop.a.folder.join("sentry").join("sentry.json");
    let _held = match site {
        "a" => {
            let held = one_at_a_time(&world.shop.a.folder)?;
            let state = std::fs::read_to_string(&sentry_says).unwrap_or_default();
            if !state.contains("\"open\"") {
                return Ok(());
            }
            Some(held)
        }
        _ => None,
    };
    let database = postgres(site, world);
    match database.part().is_alive() {
        true => database.part().resume(),
        false => database.revive().await?,
    }
    Ok(())
}

/// Those that run now, or the next ones that come soon: none lasts a second.
async fn acting(world: &World) -> Vec<Process> {
    let found = poll(COME, || async {
        Some(actions(world)).filter(|found| !found.is_empty()).ok_or_else(|| "none".to_owned())
    });
    found.await.unwrap_or_default()
}

/// The commands that members run as actions, under their supervisors.
fn actions(world: &World) -> Vec<Process> {
    let members = world.cluster.members.iter().filter_map(|member| member.part_ref().process());
    let below = descendants(&members.collect::<Vec<_>>());
    let acts = |process: &Process| {
        let words = std::fs::read(format!("/proc/{}/cmdline", process.pid)).unwrap_or_default();
        words.split(|byte| *byte == 0).nth(1) == Some(b"act")
    };
    below.into_iter().filter(acts).collect()
}

async fn compact(world: &World) {
    let Some(etcd) = &world.cluster.etcd else { return };
    for place in 0..SITES.len() {
        let compacted = async {
            let mut client = etcd.client(place).await?;
            let status = client.status().await?;
            let revision = status.header().map_or(0, |header| header.revision());
            client.compact(revision, None).await.map(drop)
        };
        if keys::soon(compacted).await.is_ok() {
            return;
        }
    }
}
