//! The guards: a numbered table of rules, each of which can refuse a failover.
//!
//! They are asked in order, all of them, every time: the first that refuses is the reason that
//! is stored, and the whole list is the answer to "why not". A refusal is a value with words,
//! never a bare `false`.

use crate::controller::Order;
use crate::ids::{RunId, SiteId};
use crate::limits::{self, Moving};
use crate::rules::{Automation, Rules};
use crate::time::Span;
use crate::verdict::{Finding, Verdict};
use crate::vote::Vote;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

mod removed;

pub(crate) use removed::Removed;

/// The rules, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Guard {
    /// The leader's view was confirmed by a majority of the store just now.
    #[serde(rename = "G01")]
    Quorum,
    /// Enough sites can be heard to judge at all.
    #[serde(rename = "G02")]
    Freshness,
    /// A majority has said DOWN for long enough.
    #[serde(rename = "G03")]
    Confirm,
    /// Nobody inside the site is alive in the store.
    #[serde(rename = "G04")]
    Veto,
    /// The destination is well, in the eyes of others and in its own.
    #[serde(rename = "G05")]
    Destination,
    /// No other run holds the sites or the services.
    #[serde(rename = "G06")]
    Locks,
    /// Not again so soon.
    #[serde(rename = "G07")]
    HoldDown,
    /// The fleet lets the daemon act by itself.
    #[serde(rename = "G08")]
    Automation,
    /// Something stops the site when it is cut off: its sentries, or a command that cuts its power.
    #[serde(rename = "G09")]
    Enforcement,
    /// The replica is near enough; asked by the run itself, before its first step.
    #[serde(rename = "G10")]
    Lag,
    /// The old site cannot write any more; proven by the run itself, before it promotes.
    #[serde(rename = "G11")]
    Fence,
    /// The last look found that the playbook could run, and counts still; where the fleet asks it.
    #[serde(rename = "G12")]
    Readiness,
    /// Nobody has frozen the cluster.
    #[serde(rename = "G13")]
    Freeze,
    /// The sites do not come and go.
    #[serde(rename = "G14")]
    Flaps,
    /// Nobody works on the sites.
    #[serde(rename = "G15")]
    Maintenance,
    /// What has to be switched on before anything runs by itself is on.
    #[serde(rename = "G16")]
    Switches,
    /// It is not within a window of the calendar in which nothing runs by itself.
    #[serde(rename = "G17")]
    Window,
    /// Enough sites are well beside the one that is left.
    #[serde(rename = "G18")]
    Serving,
    /// A run, and the runs of a day, leave no more than they may.
    #[serde(rename = "G19")]
    BlastRadius,
    /// It ends in no state that the fleet forbids.
    #[serde(rename = "G20")]
    FinalState,
    /// What a person waives another one confirms, where the fleet asks it; asked of that run.
    #[serde(rename = "G21")]
    SecondPerson,
}

impl Guard {
    /// All, in order.
    pub const ALL: [Self; 21] = [
        Self::Quorum,
        Self::Freshness,
        Self::Confirm,
        Self::Veto,
        Self::Destination,
        Self::Locks,
        Self::HoldDown,
        Self::Automation,
        Self::Enforcement,
        Self::Lag,
        Self::Fence,
        Self::Readiness,
        Self::Freeze,
        Self::Flaps,
        Self::Maintenance,
        Self::Switches,
        Self::Window,
        Self::Serving,
        Self::BlastRadius,
        Self::FinalState,
        Self::SecondPerson,
    ];

    /// `G01` and so on.
    pub fn id(self) -> String {
        format!("G{:02}", self as usize + 1)
    }

    /// One word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Quorum => "quorum",
            Self::Freshness => "freshness",
            Self::Confirm => "confirm",
            Self::Veto => "veto",
            Self::Destination => "destination",
            Self::Locks => "locks",
            Self::HoldDown => "hold-down",
            Self::Automation => "automation",
            Self::Enforcement => "enforcement",
            Self::Lag => "lag",
            Self::Fence => "fence",
            Self::Readiness => "readiness",
            Self::Freeze => "freeze",
            Self::Flaps => "flaps",
            Self::Maintenance => "maintenance",
            Self::Switches => "switches",
            Self::Window => "window",
            Self::Serving => "serving",
            Self::BlastRadius => "blast-radius",
            Self::FinalState => "final-state",
            Self::SecondPerson => "second-person",
        }
    }
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.id(), self.name())
    }
}

/// What a guard says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Says {
    /// Go on.
    Passes,
    /// No.
    Refuses,
    /// It is asked by the run itself.
    Later,
}

/// A guard's answer and its reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ruling {
    /// Which.
    pub guard: Guard,
    /// What it says.
    pub says: Says,
    /// Why, in words for three in the morning.
    pub reason: String,
}

/// Everything the guards may look at.
#[derive(Debug)]
pub struct Facts<'a> {
    /// The fleet's rules.
    pub rules: &'a Rules,
    /// What is known of the site.
    pub finding: &'a Finding,
    /// Age of what is judged on; none before the first read of this term.
    pub age: Option<Duration>,
    /// Whether the destination can take over, and why (not).
    pub destination: Result<String, String>,
    /// The live run that holds one of the sites or services, and which.
    pub locked: Option<(RunId, String)>,
    /// The longest hold-down left on one of the sites.
    pub hold: Option<(SiteId, Span)>,
    /// The run that has left the site, which was not healthy since.
    pub left: Option<RunId>,
    /// Whether the playbook could run as the last look has it, and why (not).
    pub readiness: Result<String, String>,
    /// What stops the site when it is cut off, or why nothing does.
    pub enforced: Result<String, String>,
    /// Who wants nothing to run by itself, if anybody does.
    pub frozen: Option<Order>,
    /// The one of the sites that went down too often.
    pub flapped: Option<SiteId>,
    /// The one of the sites on which somebody works, and who.
    pub maintained: Option<(SiteId, Order)>,
    /// The switches that are on.
    pub switched: BTreeSet<String>,
    /// The window of the calendar that it is, and until when.
    pub window: Option<(String, String)>,
    /// What would be moved.
    pub moving: Moving,
}

/// A rule: passes with a reason, or refuses with one.
type Rule = fn(&Facts<'_>) -> Result<String, String>;

const BEFORE: [(Guard, Rule); 9] = [
    (Guard::Quorum, quorum),
    (Guard::Freshness, freshness),
    (Guard::Confirm, confirm),
    (Guard::Veto, veto),
    (Guard::Destination, destination),
    (Guard::Locks, locks),
    (Guard::HoldDown, hold_down),
    (Guard::Automation, automation),
    (Guard::Enforcement, enforcement),
];

/// Those with a number after what only a run can ask.
const AFTER: [(Guard, Rule); 9] = [
    (Guard::Readiness, readiness),
    (Guard::Freeze, freeze),
    (Guard::Flaps, flaps),
    (Guard::Maintenance, maintenance),
    (Guard::Switches, switches),
    (Guard::Window, window),
    (Guard::Serving, serving),
    (Guard::BlastRadius, blast_radius),
    (Guard::FinalState, final_state),
];

/// Asks every guard, in order.
pub fn ask(facts: &Facts<'_>) -> Vec<Ruling> {
    let asked = |table: &[(Guard, Rule)]| -> Vec<Ruling> {
        table.iter().map(|(guard, rule)| judged(*guard, rule(facts))).collect()
    };
    let mut rulings = asked(&BEFORE);
    for (guard, reason) in [
        (Guard::Lag, "asked by the run before its first step"),
        (Guard::Fence, "proven by the run before it promotes"),
    ] {
        rulings.push(Ruling { guard, says: Says::Later, reason: reason.into() });
    }
    rulings.extend(asked(&AFTER));
    let reason = "asked of a run for which a person waives something".into();
    rulings.push(Ruling { guard: Guard::SecondPerson, says: Says::Later, reason });
    rulings
}

fn judged(guard: Guard, says: Result<String, String>) -> Ruling {
    match says {
        Ok(reason) => Ruling { guard, says: Says::Passes, reason },
        Err(reason) => Ruling { guard, says: Says::Refuses, reason },
    }
}

/// The first that refuses.
pub fn refusing(rulings: &[Ruling]) -> Option<&Ruling> {
    rulings.iter().find(|ruling| ruling.says == Says::Refuses)
}

/// The first that refuses a proposal too. What only keeps the daemon from acting without a person
/// does not, unless the fleet wants no proposals.
pub fn forbidding(rulings: &[Ruling], automation: Automation) -> Option<&Ruling> {
    let asks_a_person = |guard| {
        automation != Automation::Off
            && matches!(guard, Guard::Automation | Guard::Enforcement | Guard::Readiness | Guard::Switches)
    };
    rulings.iter().find(|ruling| ruling.says == Says::Refuses && !asks_a_person(ruling.guard))
}

fn quorum(facts: &Facts<'_>) -> Result<String, String> {
    let limit = facts.rules.timing.validity;
    match facts.age.map(Span::from) {
        Some(age) if age < limit => Ok(format!("the store confirmed our view {age} ago")),
        Some(age) => Err(format!("the store has confirmed nothing for {age} (limit {limit})")),
        None => Err("this leader has not read the store yet".into()),
    }
}

fn freshness(facts: &Facts<'_>) -> Result<String, String> {
    let heard = |vote: &&crate::verdict::SiteVote| vote.vote != Vote::Abstain;
    let votes = &facts.finding.votes;
    let count = votes.iter().filter(heard).count();
    if count >= facts.finding.needed {
        return Ok(format!("{count} of {} sites vote", votes.len()));
    }
    let silent: Vec<String> = votes
        .iter()
        .filter(|vote| vote.vote == Vote::Abstain)
        .map(|vote| match vote.words.iter().find_map(|word| word.discounted.as_ref()) {
            Some(why) => format!("{} ({why})", vote.voter),
            None if vote.words.is_empty() => format!("{} (no member there is heard)", vote.voter),
            None => format!("{} (abstains)", vote.voter),
        })
        .collect();
    Err(format!(
        "{count} of {} sites vote, {} are needed; without a vote: {}",
        votes.len(),
        facts.finding.needed,
        silent.join(", ")
    ))
}

fn confirm(facts: &Facts<'_>) -> Result<String, String> {
    let finding = facts.finding;
    let entry = facts.rules.on_loss(&finding.site);
    let confirm = entry.map_or(facts.rules.timing.confirm, |entry| entry.confirm);
    let down: Vec<&str> =
        finding.votes.iter().filter(|vote| vote.vote == Vote::Down).map(|vote| vote.voter.as_str()).collect();
    let who = match down.as_slice() {
        [] => "nobody says DOWN".into(),
        [one] => format!("{one} says DOWN"),
        several => format!("{} say DOWN", several.join(" and ")),
    };
    if down.len() < finding.needed {
        return Err(format!("{who}; {} of {} sites are needed", finding.needed, finding.votes.len()));
    }
    if finding.confirmed < confirm {
        return Err(format!("{who}, for {} of {confirm}", finding.confirmed));
    }
    Ok(format!("{who}, for {}", finding.confirmed))
}

fn veto(facts: &Facts<'_>) -> Result<String, String> {
    let inside: Vec<&str> = facts.finding.inside.iter().map(|member| member.as_str()).collect();
    if inside.is_empty() {
        Ok(format!("no member in {} holds a live lease", facts.finding.site))
    } else {
        let verb =
            if facts.finding.verdict == Verdict::Partitioned { "a partition, not a loss" } else { "alive" };
        Err(format!("{} in {} holds a live lease: {verb}", inside.join(", "), facts.finding.site))
    }
}

fn destination(facts: &Facts<'_>) -> Result<String, String> {
    facts.destination.clone()
}

fn locks(facts: &Facts<'_>) -> Result<String, String> {
    match &facts.locked {
        None => Ok("no run holds the sites or the services".into()),
        Some((run, what)) => Err(format!("run {run} holds {what}")),
    }
}

fn hold_down(facts: &Facts<'_>) -> Result<String, String> {
    if let Some((site, left)) = &facts.hold {
        return Err(format!(
            "{site} is held down for {left} after the last run; to end it: standfast site ack {site} --reason ..."
        ));
    }
    let site = &facts.finding.site;
    match &facts.left {
        None => Ok("no hold-down".into()),
        Some(run) => Err(format!(
            "run {run} has left {site}, which was not healthy since; to let it be left again: \
             standfast site ack {site} --reason ..."
        )),
    }
}

fn automation(facts: &Facts<'_>) -> Result<String, String> {
    if facts.rules.on_loss(&facts.finding.site).is_none() {
        return Err(format!("on_loss names no playbook for {}", facts.finding.site));
    }
    match facts.rules.automation {
        Automation::Act => Ok("automation: act".into()),
        Automation::Advise => Err("automation: advise; a run is proposed and waits for approval".into()),
        Automation::Off => Err("automation: off".into()),
    }
}

fn enforcement(facts: &Facts<'_>) -> Result<String, String> {
    if facts.rules.lab || facts.rules.automation != Automation::Act {
        return Ok(if facts.rules.lab { "lab: true" } else { "nothing acts by itself" }.into());
    }
    facts.enforced.clone()
}

fn readiness(facts: &Facts<'_>) -> Result<String, String> {
    match &facts.readiness {
        Err(why) if facts.rules.readiness.required => Err(why.clone()),
        Err(why) => Ok(format!("not required; {why}")),
        Ok(why) => Ok(why.clone()),
    }
}

fn freeze(facts: &Facts<'_>) -> Result<String, String> {
    match &facts.frozen {
        None => Ok("nobody has frozen the cluster".into()),
        Some(freeze) => {
            Err(format!("frozen {}; to end it: standfast thaw --reason ...", freeze.told("thaws it")))
        }
    }
}

fn flaps(facts: &Facts<'_>) -> Result<String, String> {
    let (count, within) = (facts.rules.timing.flaps, facts.rules.timing.flaps_within);
    match &facts.flapped {
        None => Ok(format!("neither site went down {count} times within {within}")),
        Some(site) => Err(format!(
            "{site} went down {count} times within {within}; to unlock it: standfast site ack {site} --reason ..."
        )),
    }
}

fn maintenance(facts: &Facts<'_>) -> Result<String, String> {
    match &facts.maintained {
        None => Ok("nobody works on the sites".into()),
        Some((site, order)) => Err(format!(
            "{site} is in maintenance {}; to end it: standfast site release {site} --reason ...",
            order.told("releases it")
        )),
    }
}

fn switches(facts: &Facts<'_>) -> Result<String, String> {
    let site = &facts.finding.site;
    let needed: Vec<&String> = facts.rules.switches_of(site).collect();
    let off: Vec<&str> =
        needed.iter().filter(|name| !facts.switched.contains(**name)).map(|name| name.as_str()).collect();
    match (needed.len(), off.first()) {
        (0, _) => Ok(format!("the fleet has no switch for what runs in {site}")),
        (_, None) => Ok("all is switched on".into()),
        (_, Some(first)) => {
            let verb = if off.len() == 1 { "is" } else { "are" };
            Err(format!(
                "{} {verb} off; to turn it on: standfast switch on {first} --reason ...",
                off.join(", ")
            ))
        }
    }
}

fn window(facts: &Facts<'_>) -> Result<String, String> {
    match &facts.window {
        None => Ok("no window of the calendar holds".into()),
        Some((name, until)) => Err(format!("it is {name}, until {until}")),
    }
}

fn serving(facts: &Facts<'_>) -> Result<String, String> {
    limits::serving(facts.rules, &facts.moving)
}

fn blast_radius(facts: &Facts<'_>) -> Result<String, String> {
    limits::radius(facts.rules, &facts.moving)
}

fn final_state(facts: &Facts<'_>) -> Result<String, String> {
    limits::end(facts.rules, &facts.moving)
}

#[cfg(test)]
#[path = "guard_test.rs"]
mod tests;
