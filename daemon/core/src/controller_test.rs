//! A leader in a small world: members publish, people ask, runs are driven to their end.

use super::*;
use crate::action::Inspection;
use crate::check::Answer;
use crate::engine::Command;
use crate::guard;
use crate::journal::{End, Evidence, Override};
use crate::plan::{Mode, Request};
use crate::readiness::{Readiness, Standing};
use crate::source::SourceFile;
use crate::verdict::{Snapshot, Verdict};
use crate::vote::{Observation, Opinion, Vote};

const PLAYBOOK: &str = "api: standfast/v1
playbook: shop
title: Move the shop
services: [shop]
modes: [emergency, drill]
require:
  - tcp.connect: {endpoint: tool, at: $to}
    override: commander
steps:
  - id: start
    http.request: {endpoint: tool, at: $to, method: POST, path: /start}
    verify: {within: 5s, all: [{http.get: {endpoint: tool, at: $to, status: 200}}]}
    undo: none
";

fn fleet(settings: &str) -> String {
    format!(
        "api: standfast/v1
fleet: test
sites:
  a: {{role: active, networks: [10.1.0.0/16], domains: [a.example.net], power: grid-1}}
  b: {{role: standby, networks: [10.2.0.0/16], domains: [b.example.net], power: grid-2}}
  w: {{role: witness, networks: [10.3.0.0/16], domains: [w.example.net], power: grid-3}}
canaries: none
roles: {{commander: [kim]}}
probes:
  a: [{{http.get: {{endpoint: tool, status: 200}}}}, {{tcp.connect: {{address: \"10.1.0.1:22\"}}}}]
  b: [{{http.get: {{endpoint: tool, status: 200}}}}, {{tcp.connect: {{address: \"10.2.0.1:22\"}}}}]
services:
  shop: {{tier: 1, owner: team, objectives: {{rto: 10m, rpo: 5s}}, runs_in: {{a: active, b: standby}}}}
resources:
  tool: {{endpoint: {{a: \"http://10.1.0.1:80\", b: \"http://10.2.0.1:80\"}}}}
on_loss:
  - {{site: a, run: shop, to: b}}
{settings}"
    )
}

fn bundle(settings: &str) -> Arc<Bundle> {
    let file = |name: &str, text: String| SourceFile { name: name.into(), text };
    let files = vec![file("fleet.yaml", fleet(settings)), file("shop.yaml", PLAYBOOK.into())];
    let (bundle, findings) = Bundle::load(files);
    let errors: Vec<_> = findings.iter().map(|finding| &finding.message).collect();
    Arc::new(bundle.unwrap_or_else(|| panic!("{errors:#?}")))
}

struct Town {
    controller: Controller,
    ms: u64,
    effects: Vec<Effect>,
    /// Everything is answered well unless this is set: then the requirements of a run do not hold.
    requirement: Answer,
    /// What they answer before a person gets a run.
    before: Answer,
    votes: [Vote; 2],
    /// What everybody thinks of `b`.
    destination: Vote,
    live: Vec<&'static str>,
    /// A lock is held by a run that nobody knows.
    locked: bool,
}

impl Town {
    fn new(settings: &str, site: &str) -> Self {
        let mut controller = Controller::new("m-leader".into(), site.into(), Epoch(7));
        let now = Now { mono: Mono::from_ms(0), wall_ms: 0 };
        controller.on(Input::Bundle(bundle(settings)), now);
        controller.on(Input::Loaded { runs: vec![], holds: BTreeMap::new(), kept: Kept::default() }, now);
        let requirement = Answer::Holds("ok".into());
        let live = vec!["b", "w"];
        Self {
            controller,
            ms: 0,
            effects: vec![],
            before: requirement.clone(),
            requirement,
            votes: [Vote::Down; 2],
            destination: Vote::Up,
            live,
            locked: false,
        }
    }

    fn now(&self) -> Now {
        Now { mono: Mono::from_ms(self.ms), wall_ms: self.ms as i64 }
    }

    fn give(&mut self, input: Input) {
        let mut queue = VecDeque::from(self.controller.on(input, self.now()));
        while let Some(effect) = queue.pop_front() {
            self.effects.push(effect.clone());
            let answer = match effect {
                Effect::Create(_) if self.locked => {
                    Some(Input::NotCreated { holder: Some(RunId::new("r1-1")) })
                }
                Effect::Create(_) => Some(Input::Created),
                Effect::Require { request, .. } => {
                    Some(Input::Required { request, answers: vec![self.before.clone()] })
                }
                Effect::Append { run, .. } => Some(Input::Run(run, engine::Input::Appended)),
                Effect::Run(run, effect) => self.perform(&run, effect).map(|input| Input::Run(run, input)),
                _ => None,
            };
            if let Some(input) = answer {
                queue.extend(self.controller.on(input, self.now()));
            }
        }
    }

    fn perform(&self, _: &RunId, effect: engine::Effect) -> Option<engine::Input> {
        Some(match effect {
            engine::Effect::Require => engine::Input::Required(vec![self.requirement.clone()]),
            engine::Effect::Inspect { step } => {
                engine::Input::Inspected { step, found: Inspection::Needed("would".into()) }
            }
            engine::Effect::Act { step, .. } => engine::Input::Acted { step, result: Ok("done".into()) },
            engine::Effect::Verify { step } => {
                let evidence = vec![Evidence { what: "http".into(), answer: Answer::Holds("200".into()) }];
                engine::Input::Verified { step, evidence }
            }
            engine::Effect::InspectUndo { step } => {
                engine::Input::UndoInspected { step, found: Inspection::Satisfied("as it was".into()) }
            }
            engine::Effect::Undo { step, .. } => engine::Input::Undone { step, result: Ok("done".into()) },
            engine::Effect::Append { .. } | engine::Effect::Refuse { .. } => return None,
        })
    }

    /// Publishes and ticks for `ms`.
    fn pass(&mut self, ms: u64) {
        for _ in 0..ms / 500 {
            self.ms += 500;
            let destination = self.destination;
            let says = |site: &str, on_a: Vote| {
                let opinion = |vote| Opinion {
                    vote,
                    held_for: Span::secs(9),
                    rounds: 99,
                    bad: 0,
                    good: 0,
                    leased: false,
                    failing: vec![],
                };
                let sites = [("a", on_a), ("b", destination), ("w", Vote::Up)];
                Observation {
                    member: MemberId::new(format!("m-{site}")),
                    site: site.into(),
                    boot_id: "boot".into(),
                    sequence: self.ms,
                    store_age: Span::ms(9),
                    canaries: 0,
                    loop_lag: Span::ms(1),
                    sites: sites.into_iter().map(|(site, vote)| (site.into(), opinion(vote))).collect(),
                }
            };
            let observations = vec![says("b", self.votes[0]), says("w", self.votes[1])];
            let members =
                self.live.iter().map(|site| (MemberId::new(format!("m-{site}")), SiteId::from(*site)));
            let snapshot = Snapshot { observations, members: members.collect(), ..Snapshot::default() };
            self.give(Input::Snapshot { snapshot, sent: Mono::from_ms(self.ms) });
            self.give(Input::Tick);
        }
    }

    fn ask(&mut self, by: &str, ask: Ask) -> Option<Result<Option<Subject>, Refusal>> {
        self.give(Input::Asked { request: "q".into(), by: by.into(), ask });
        self.effects.iter().rev().find_map(|effect| match effect {
            Effect::Answer { answer, .. } => Some(answer.clone()),
            Effect::Keep { request: Some(_), .. } => Some(Ok(None)),
            Effect::Create(creation) if creation.request.is_some() => {
                let run = creation.run.clone();
                Some(Ok(Some(Subject { run, sequence: 1, existed: false })))
            }
            _ => None,
        })
    }

    fn ends(&self) -> Vec<End> {
        let events = self.effects.iter().filter_map(|effect| match effect {
            Effect::Append { events, .. } => Some(events),
            _ => None,
        });
        let ended = |event: &Event| match event.body {
            Body::Ended { end, .. } => Some(end),
            _ => None,
        };
        events.flatten().filter_map(ended).collect()
    }

    fn created(&self) -> Vec<&Creation> {
        let creations = self.effects.iter().filter_map(|effect| match effect {
            Effect::Create(creation) => Some(&**creation),
            _ => None,
        });
        creations.collect()
    }

    fn refusals(&self) -> Vec<Guard> {
        let refused = |effect: &Effect| match effect {
            Effect::Refused(refused) => refused.guard,
            _ => None,
        };
        self.effects.iter().filter_map(refused).collect()
    }
}

#[path = "controller_test/flaps.rs"]
mod flaps;
#[path = "controller_test/freezes.rs"]
mod freezes;
#[path = "controller_test/holds.rs"]
mod holds;
#[path = "controller_test/limits.rs"]
mod limits;
#[path = "controller_test/orders.rs"]
mod orders;
#[path = "controller_test/wishes.rs"]
mod wishes;

const ACT: &str = "lab: true\nautomation: act\n";

fn start(reason: &str, overrides: Vec<Override>) -> Ask {
    let request = Request {
        playbook: "shop".into(),
        from: "a".into(),
        to: "b".into(),
        mode: Mode::Emergency,
        inputs: BTreeMap::new(),
    };
    Ask::Start { request, reason: reason.into(), overrides, plan: None }
}

#[test]
fn a_lost_site_is_failed_over_once() {
    let mut town = Town::new(ACT, "w");
    town.pass(60_000);
    assert_eq!(town.ends(), [End::Succeeded]);
    let created = town.created();
    assert_eq!(created.len(), 1, "hold-down keeps the second one back");
    assert_eq!(created[0].run.as_str(), "r7-1");
    assert_eq!(created[0].locks, ["site/a", "site/b", "service/shop"]);
    let Body::Created { trigger: Trigger::Automatic { evidence }, .. } = &created[0].created.body else {
        panic!("{created:?}");
    };
    assert_eq!((evidence.verdict, evidence.votes.len()), (Verdict::Lost, 2));
    assert_eq!(town.refusals(), [Guard::HoldDown]);
    let left = &town.controller.judgement().holds[&SiteId::from("a")];
    assert!(*left < Span::secs(3_600) && *left > Span::secs(3_500), "{left}");
}

#[test]
fn an_acknowledged_site_may_be_failed_over_again() {
    let mut town = Town::new(ACT, "w");
    town.pass(30_000);
    for site in ["a", "b"] {
        let answer =
            town.ask("kim", Ask::Acknowledge { site: site.into(), reason: "seen".into(), seen: None });
        assert_eq!(answer, Some(Ok(None)));
    }
    town.pass(5_000);
    assert_eq!(town.created().len(), 2);
}

#[test]
fn advice_waits_for_approval_and_is_withdrawn_with_its_reason() {
    let mut town = Town::new("", "w");
    town.pass(20_000);
    let run = town.created()[0].run.clone();
    assert_eq!(town.controller.run(&run).unwrap().state(), State::Proposed);
    town.votes = [Vote::Up; 2];
    town.pass(2_000);
    assert_eq!(town.ends(), [End::Cancelled]);
    assert_eq!(town.controller.judgement().holds, BTreeMap::new(), "nothing was done: no hold-down");

    let mut town = Town::new("", "w");
    town.pass(20_000);
    let run = town.created()[0].run.clone();
    let approve = Command::Approve { step: None, reason: "seen".into() };
    town.ask("kim", Ask::Run { run, command: approve, seen: None });
    assert_eq!(town.ends(), [End::Succeeded]);
}

#[test]
fn a_partition_is_refused_and_stored() {
    let mut town = Town::new(ACT, "w");
    town.live = vec!["a", "b", "w"];
    town.pass(60_000);
    assert_eq!((town.created().len(), town.refusals()), (0, vec![Guard::Veto]));
}

#[test]
fn a_destination_that_nobody_vouches_for_is_refused_and_stored() {
    let mut town = Town::new(ACT, "w");
    town.destination = Vote::Degraded;
    town.pass(60_000);
    assert_eq!((town.created().len(), town.refusals()), (0, vec![Guard::Destination]));
}

/// What a run promotes is a standby no longer, and its probes say so.
#[test]
fn a_run_under_way_is_no_refused_failover() {
    let mut town = Town::new(ACT, "w");
    town.requirement = Answer::Fails("behind".into());
    town.pass(20_000);
    town.live = vec!["w"];
    town.pass(20_000);
    assert_eq!((town.created().len(), town.refusals()), (1, vec![]));
}

#[test]
fn a_leader_that_reads_nothing_does_not_act_on_what_it_knew() {
    let mut town = Town::new(ACT, "w");
    town.pass(4_000);
    for _ in 0..40 {
        town.ms += 500;
        town.give(Input::Tick);
    }
    let ruling = guard::refusing(&town.controller.judgement().sites[0].rulings).unwrap().clone();
    assert_eq!((town.created().len(), ruling.guard), (0, Guard::Quorum));
    assert!(ruling.reason.contains("confirmed nothing"), "{}", ruling.reason);
}

#[test]
fn where_too_few_are_heard_nothing_moves() {
    let mut town = Town::new(ACT, "w");
    town.votes = [Vote::Abstain, Vote::Down];
    town.pass(60_000);
    let ruling = guard::refusing(&town.controller.judgement().sites[0].rulings).unwrap().clone();
    assert_eq!((town.created().len(), ruling.guard), (0, Guard::Freshness));
    assert!(ruling.reason.contains("without a vote: b"), "{}", ruling.reason);
}

#[test]
fn where_nothing_stops_a_lost_site_a_person_is_asked() {
    let mut town = Town::new("lab: true\nautomation: act\n", "w");
    let (bundle, rules) = town.controller.bundle.clone().unwrap();
    town.controller.bundle = Some((bundle, Arc::new(Rules { lab: false, ..(*rules).clone() })));
    town.pass(60_000);
    let run = town.created()[0].run.clone();
    assert_eq!(town.controller.run(&run).unwrap().state(), State::Proposed, "a person is asked");
}

/// Situation: the site is lost, and the fleet wants a look that counts before anything runs by
/// itself. Nobody has looked; the look found a wrong password; it is too old; it is well.
#[test]
fn where_the_fleet_requires_readiness_nothing_runs_by_itself_without() {
    let settings = format!("{ACT}readiness: {{required: true}}\n");
    let begun = |readiness: Option<Readiness>, settings: &str, age: Span| {
        let mut town = Town::new(settings, "w");
        let digest = town.controller.bundle.as_ref().unwrap().0.digest.clone();
        if let Some(readiness) = readiness {
            let known = Readiness { bundle: digest, age, ..readiness };
            town.give(Input::Known([("a".into(), known)].into()));
        }
        town.pass(60_000);
        let run = town.created()[0].run.clone();
        town.controller.run(&run).map(|run| run.state())
    };
    let found = |standing| Readiness {
        site: "a".into(),
        playbook: "shop".into(),
        to: "b".into(),
        bundle: Digest::default(),
        standing,
        errors: usize::from(standing == Standing::NotReady),
        warnings: 0,
        worst: "orders in b refuses the login".into(),
        looked_wall_ms: 0,
        since_wall_ms: 0,
        age: Span::default(),
    };
    let young = Span::secs(60);
    let a_person_is_asked = Some(State::Proposed);
    assert_eq!(begun(None, &settings, young), a_person_is_asked);
    assert_eq!(begun(Some(found(Standing::NotReady)), &settings, young), a_person_is_asked);
    assert_eq!(begun(Some(found(Standing::Ready)), &settings, Span::secs(900)), a_person_is_asked);
    assert_ne!(begun(Some(found(Standing::Ready)), &settings, young), a_person_is_asked);
    // By default it only is said.
    assert_ne!(begun(Some(found(Standing::NotReady)), ACT, young), a_person_is_asked);
}

#[test]
fn one_observer_alone_moves_nothing() {
    let mut town = Town::new(ACT, "w");
    town.votes = [Vote::Up, Vote::Down];
    town.pass(60_000);
    assert_eq!(town.created().len(), 0);
    let ruling = guard::refusing(&town.controller.judgement().sites[0].rulings).unwrap().clone();
    assert_eq!(
        (ruling.guard, ruling.reason.as_str()),
        (Guard::Confirm, "w says DOWN; 2 of 2 sites are needed")
    );
}

#[test]
fn a_leader_in_the_site_that_is_left_hands_over() {
    let mut town = Town::new(ACT, "a");
    town.votes = [Vote::Up; 2];
    town.pass(1_000);
    town.ask("kim", start("leave", vec![])).unwrap().unwrap();
    let why = "the run that it has begun leaves its own site";
    assert!(town.effects.contains(&Effect::HandOver { why }), "nobody has asked it to");
    assert!(
        !town.effects.iter().any(|effect| matches!(effect, Effect::Append { .. })),
        "before its first entry"
    );
}

#[test]
fn a_playbook_may_ask_for_more_patience() {
    let file = |name: &str, text: String| SourceFile { name: name.into(), text };
    let patient = PLAYBOOK.replace("modes:", "confirm: 45s\nmodes:");
    let (bundle, _) = Bundle::load(vec![file("fleet.yaml", fleet(ACT)), file("shop.yaml", patient)]);
    let mut town = Town::new(ACT, "w");
    town.give(Input::Bundle(Arc::new(bundle.unwrap())));
    town.pass(45_000);
    assert_eq!(town.created().len(), 0, "the fleet's 10 s are not enough");
    town.pass(1_000);
    assert_eq!(town.created().len(), 1);
}

#[test]
fn a_lock_that_nobody_owns_is_told_once_and_tried_rarely() {
    // Situation: a run that this version cannot read holds a lock. Danger: a transaction with
    // every tick, and no word to anybody.
    let mut town = Town::new(ACT, "w");
    town.locked = true;
    town.pass(60_000);
    assert!((4..=6).contains(&town.created().len()), "{}", town.created().len());
    assert_eq!(town.refusals(), [Guard::Locks]);
}
