//! What is to be broken and when: a function of the seed and of nothing else.

use std::fmt;
use std::time::Duration;

use standfast_sim::dice::Dice;

/// A site, by name.
pub type Site = &'static str;

/// Something that breaks, and is mended later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing goes into the site or comes out of it, customers included.
    Cut(Site),
    /// Its cable is pulled.
    Unplug(Site),
    /// Nothing arrives from the first site at the second.
    OneWay(Site, Site),
    /// So many percent of what goes into the site or comes out of it is lost.
    Loss(Site, u8),
    /// The member of the site, and the etcd beside it, are cut off; its services are not.
    Alone(Site),
    /// SIGKILL; started again when it is mended.
    Kill(Victim),
    /// SIGSTOP; SIGCONT when it is mended.
    Stop(Victim),
    /// etcd forgets all revisions but the last.
    Compact,
    /// The disk of the site's member is full.
    Full(Site),
}

/// Whom a signal is sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Victim {
    /// The member of a site.
    Member(Site),
    /// The member that leads at that moment.
    Leader,
    /// The etcd member of a site.
    Etcd(Site),
    /// The one that leads etcd at that moment.
    EtcdLeader,
    /// The sentry of site a.
    Sentry,
    /// The database of a site.
    Postgres(Site),
    /// The commands that run as actions at that moment.
    Actions,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Cut(site) => write!(f, "{site} is cut off"),
            Fault::Unplug(site) => write!(f, "the cable of {site} is pulled"),
            Fault::OneWay(from, to) => write!(f, "nothing arrives from {from} at {to}"),
            Fault::Loss(site, percent) => write!(f, "{percent} % of the packets of {site} are lost"),
            Fault::Alone(site) => write!(f, "the member and etcd of {site} are cut off"),
            Fault::Kill(victim) => write!(f, "SIGKILL to {victim}"),
            Fault::Stop(victim) => write!(f, "SIGSTOP to {victim}"),
            Fault::Compact => write!(f, "etcd is compacted"),
            Fault::Full(site) => write!(f, "the disk of the member of {site} is full"),
        }
    }
}

impl fmt::Display for Victim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Victim::Member(site) => write!(f, "the member of {site}"),
            Victim::Leader => write!(f, "the leader"),
            Victim::Etcd(site) => write!(f, "etcd in {site}"),
            Victim::EtcdLeader => write!(f, "etcd's leader"),
            Victim::Sentry => write!(f, "the sentry of a"),
            Victim::Postgres(site) => write!(f, "PostgreSQL in {site}"),
            Victim::Actions => write!(f, "what runs as an action"),
        }
    }
}

impl Fault {
    /// What breaks, whoever it breaks for.
    pub fn kind(self) -> &'static str {
        match self {
            Fault::Cut(_) => "site cut off",
            Fault::Unplug(_) => "cable pulled",
            Fault::OneWay(..) => "cut one way",
            Fault::Loss(..) => "packets lost",
            Fault::Alone(_) => "member and etcd cut off",
            Fault::Kill(_) => "SIGKILL",
            Fault::Stop(_) => "SIGSTOP, SIGCONT",
            Fault::Compact => "compaction",
            Fault::Full(_) => "disk full",
        }
    }

    /// For whom, in few words.
    pub fn target(self) -> String {
        match self {
            Fault::Cut(site) | Fault::Unplug(site) | Fault::Alone(site) | Fault::Loss(site, _) => site.into(),
            Fault::OneWay(from, to) => format!("{from} to {to}"),
            Fault::Kill(victim) | Fault::Stop(victim) => victim.to_string(),
            Fault::Compact => "etcd".into(),
            Fault::Full(site) => format!("the member of {site}"),
        }
    }

    /// One of each kind for each of its targets: all that schedules draw from.
    pub fn every() -> Vec<Fault> {
        let mut all = Vec::new();
        let mut of_each = |fault: fn(Site) -> Fault| all.extend(SITES.map(fault));
        of_each(Fault::Cut);
        of_each(Fault::Unplug);
        of_each(|site| Fault::Loss(site, 10));
        of_each(Fault::Alone);
        of_each(Fault::Full);
        let ways = SITES.into_iter().flat_map(|from| SITES.map(|to| (from, to)));
        all.extend(ways.filter(|(from, to)| from != to).map(|(from, to)| Fault::OneWay(from, to)));
        let members = SITES.map(Victim::Member).into_iter().chain(SITES.map(Victim::Etcd));
        let others = [Victim::Leader, Victim::EtcdLeader, Victim::Sentry, Victim::Actions];
        let databases = ["a", "b"].map(Victim::Postgres);
        for victim in members.chain(others).chain(databases) {
            all.extend([Fault::Kill(victim), Fault::Stop(victim)]);
        }
        all.push(Fault::Compact);
        all
    }
}

/// A fault with its time, counted from the beginning of the round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Planned {
    /// What breaks.
    pub fault: Fault,
    /// When.
    pub at: Duration,
    /// For how long.
    pub lasts: Duration,
}

/// What a round is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scene {
    /// One thing after the other breaks, and nothing of it is the loss of a site.
    Calm,
    /// Site a is lost, and more breaks while the shop moves.
    Loss,
}

/// Everything that breaks in one round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// Whether a site is lost in it.
    pub scene: Scene,
    /// When all of it is mended.
    pub lasts: Duration,
    /// In the order in which it begins.
    pub faults: Vec<Planned>,
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Planned { fault, at, lasts } in &self.faults {
            writeln!(f, "  {:5.1} s  {fault}, for {:.1} s", at.as_secs_f64(), lasts.as_secs_f64())?;
        }
        write!(f, "  {:5.1} s  all is mended", self.lasts.as_secs_f64())
    }
}

const SITES: [Site; 3] = ["a", "b", "w"];

impl Schedule {
    /// That of a round of a seed, both counted from anywhere.
    pub fn draw(seed: u64, round: u64) -> Schedule {
        let mut dice = Dice::new(seed).fork_named(&format!("round {round}"));
        match dice.below(4) {
            0 => calm(&mut dice),
            _ => loss(&mut dice),
        }
    }
}

fn seconds(dice: &mut Dice, least: u64, most: u64) -> Duration {
    dice.between(Duration::from_secs(least), Duration::from_secs(most))
}

/// With pauses in which everybody is well again: what comes next does not add up with it.
fn calm(dice: &mut Dice) -> Schedule {
    let mut faults = Vec::new();
    let mut at = seconds(dice, 1, 4);
    for _ in 0..3 {
        let lasts = seconds(dice, 3, 10);
        faults.push(Planned { fault: harmless(dice), at, lasts });
        at += lasts + seconds(dice, 8, 10);
    }
    Schedule { scene: Scene::Calm, lasts: at, faults }
}

/// What must never lead to a run, by itself.
fn harmless(dice: &mut Dice) -> Fault {
    let [one, other] = pair(dice);
    let far = far(dice);
    match dice.below(19) {
        0 | 1 => Fault::OneWay(one, other),
        2 => Fault::Loss(one, 10),
        3 => Fault::Cut(far),
        4 => Fault::Unplug(far),
        5 => Fault::Alone(far),
        6 => Fault::Kill(Victim::Member(far)),
        7 => Fault::Stop(Victim::Member(far)),
        8 => Fault::Kill(Victim::Etcd(one)),
        9 => Fault::Stop(Victim::Etcd(one)),
        10 => Fault::Kill(Victim::EtcdLeader),
        11 => Fault::Stop(Victim::EtcdLeader),
        12 => Fault::Kill(Victim::Sentry),
        13 | 14 => Fault::Stop(Victim::Sentry),
        15 => Fault::Kill(Victim::Postgres(data(dice))),
        16 => Fault::Stop(Victim::Postgres(data(dice))),
        17 => Fault::Compact,
        _ => Fault::Full(one),
    }
}

fn far(dice: &mut Dice) -> Site {
    if dice.below(2) == 0 { "b" } else { "w" }
}

/// A site with a database.
fn data(dice: &mut Dice) -> Site {
    if dice.below(2) == 0 { "a" } else { "b" }
}

fn pair(dice: &mut Dice) -> [Site; 2] {
    let one = dice.below(3);
    let other = (one + 1 + dice.below(2)) % 3;
    [one, other].map(|place| SITES[usize::try_from(place).unwrap_or(0)])
}

/// How long before a loss a sentry must be away so that everybody knows: longer than it may be silent.
const KNOWN: Duration = Duration::from_secs(6);
/// How long after a loss its sentry has stopped the site at the latest.
const STOPPED: Duration = Duration::from_secs(6);

/// A sentry that comes to a stop between [`KNOWN`] before the loss and [`STOPPED`] after it is the one
/// thing that is left out: it stops nothing, its lease ends all the same, and nobody can know. That is
/// the window which `lint` lists, and which only a fence of another kind closes.
fn loss(dice: &mut Dice) -> Schedule {
    let mut faults = Vec::new();
    let lost = seconds(dice, 8, 14);
    let before = match dice.below(6) {
        // It is away when the site is lost: then the end of the lease proves nothing, and a person is
        // asked. It comes back in the midst of it, or long after.
        0 => {
            let fault = if dice.below(3) == 0 { Fault::Kill } else { Fault::Stop };
            let at = dice.between(Duration::ZERO, lost - KNOWN);
            Planned { fault: fault(Victim::Sentry), at, lasts: lost - at + seconds(dice, 3, 30) }
        }
        _ => Planned { fault: harmless(dice), at: seconds(dice, 0, 2), lasts: seconds(dice, 1, 5) },
    };
    faults.push(before);
    let lasts = seconds(dice, 16, 34);
    let both = |one: Fault, other: Fault| vec![one, other];
    let losses = match dice.below(8) {
        0 | 1 => vec![Fault::Cut("a")],
        2 => vec![Fault::Unplug("a")],
        3 => both(Fault::OneWay("a", "b"), Fault::OneWay("a", "w")),
        4 => both(Fault::OneWay("b", "a"), Fault::OneWay("w", "a")),
        5 => vec![Fault::Alone("a")],
        6 => vec![Fault::Stop(Victim::Member("a"))],
        _ => vec![Fault::Kill(Victim::Member("a"))],
    };
    for fault in losses {
        // Cables and processes do not fail at one stroke.
        faults.push(Planned {
            fault,
            at: lost + dice.between(Duration::ZERO, Duration::from_secs(1)),
            lasts,
        });
    }
    // A run begins about 6 s after the loss and lasts about 8 s.
    for _ in 0..2 + dice.below(2) {
        let fault = worse(dice);
        let soonest = match fault {
            Fault::Kill(Victim::Sentry) | Fault::Stop(Victim::Sentry) => STOPPED,
            _ => Duration::from_secs(4),
        };
        let at = lost + dice.between(soonest, Duration::from_secs(16));
        faults.push(Planned { fault, at, lasts: seconds(dice, 2, 9) });
    }
    faults.sort_by_key(|planned| planned.at);
    let end = |planned: &Planned| planned.at + planned.lasts;
    let lasts = faults.iter().map(end).max().unwrap_or_default() + Duration::from_secs(1);
    Schedule { scene: Scene::Loss, lasts, faults }
}

/// What makes it worse while the shop moves.
fn worse(dice: &mut Dice) -> Fault {
    let far = far(dice);
    match dice.below(19) {
        0 | 1 => Fault::Kill(Victim::Leader),
        2..=4 => Fault::Stop(Victim::Leader),
        5 => Fault::Kill(Victim::EtcdLeader),
        6 => Fault::Stop(Victim::EtcdLeader),
        7 => Fault::Kill(Victim::Actions),
        8 => Fault::Stop(Victim::Actions),
        9 => Fault::Cut(far),
        10 => Fault::Alone(far),
        11 => Fault::Loss(far, 30),
        12 => Fault::Compact,
        13 => Fault::Full(far),
        14 => Fault::Kill(Victim::Sentry),
        15 => Fault::Stop(Victim::Sentry),
        16 => Fault::Kill(Victim::Postgres(data(dice))),
        _ => Fault::Stop(Victim::Postgres(data(dice))),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_schedule_is_a_function_of_its_seed() {
        let texts = |seed| (0..4).map(|round| Schedule::draw(seed, round).to_string()).collect::<Vec<_>>();
        assert_eq!(texts(7), texts(7));
        assert_ne!(texts(7), texts(8));
        assert_ne!(texts(7)[0], texts(7)[1]);
    }

    fn named(fault: Fault) -> (&'static str, String) {
        (fault.kind(), fault.target())
    }

    /// Every kind of fault comes up for every target, nothing else does, and every schedule is of a
    /// length that can be waited for.
    #[test]
    fn every_kind_of_fault_comes_up_for_every_target() {
        let mut drawn = BTreeSet::new();
        for seed in 0..1_000 {
            let schedule = Schedule::draw(seed, 0);
            assert!(schedule.lasts < Duration::from_secs(75), "{schedule}");
            assert!(schedule.faults.is_sorted_by_key(|planned| planned.at), "{schedule}");
            let lost = schedule.faults.iter().any(|planned| planned.lasts > Duration::from_secs(15));
            assert_eq!(lost, schedule.scene == Scene::Loss, "{schedule}");
            drawn.extend(schedule.faults.iter().map(|planned| named(planned.fault)));
        }
        let every: BTreeSet<_> = Fault::every().into_iter().map(named).collect();
        assert_eq!(drawn, every);
    }

    /// The window that is listed is never entered.
    #[test]
    fn a_sentry_does_not_go_away_in_the_moment_of_the_loss() {
        let schedules = (0..1_000).map(|seed| Schedule::draw(seed, 0));
        let (mut away, mut later) = (0, 0);
        for schedule in schedules.filter(|schedule| schedule.scene == Scene::Loss) {
            let is_sentry =
                |fault| matches!(fault, Fault::Kill(Victim::Sentry) | Fault::Stop(Victim::Sentry));
            let losses: Vec<&Planned> = (schedule.faults.iter())
                .filter(|planned| planned.lasts >= Duration::from_secs(16) && !is_sentry(planned.fault))
                .collect();
            let (first, last) = (losses.first().expect("a loss"), losses.last().expect("a loss"));
            for sentry in schedule.faults.iter().filter(|planned| is_sentry(planned.fault)) {
                let back = sentry.at + sentry.lasts;
                if sentry.at < first.at {
                    assert!(back < first.at || sentry.at + KNOWN <= first.at, "{schedule}");
                    away += usize::from(back > first.at);
                } else {
                    assert!(sentry.at >= last.at + STOPPED - Duration::from_secs(1), "{schedule}");
                    later += 1;
                }
            }
        }
        assert!(away > 50 && later > 50, "{away} before, {later} after");
    }

    /// In a calm round one thing is over before the next begins, with time to get well.
    #[test]
    fn in_calm_rounds_nothing_adds_up() {
        let calm: Vec<Schedule> = (0..100)
            .map(|seed| Schedule::draw(seed, 1))
            .filter(|schedule| schedule.scene == Scene::Calm)
            .collect();
        assert!(calm.len() > 10);
        for pair in calm.iter().flat_map(|schedule| schedule.faults.windows(2)) {
            assert!(pair[0].at + pair[0].lasts + Duration::from_secs(8) <= pair[1].at, "{pair:?}");
        }
    }
}
