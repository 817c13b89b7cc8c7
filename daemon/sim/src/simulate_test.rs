//! The example, simulated; and the checker, which sees each thing that is broken on purpose.

use super::*;
use standfast_core::ids::StepId;
use standfast_core::journal::End;
use standfast_core::source::SourceFile;
use std::collections::{BTreeMap, BTreeSet};

#[path = "simulate/varied_test.rs"]
mod varied;

const FLEET: &str = include_str!("../../../playbooks/shop/fleet.yaml");
const SHOP: &str = include_str!("../../../playbooks/shop/shop.yaml");
/// Seeds in which everything that can be broken is met.
const SEEDS: u64 = 300;

fn bundle(change: impl Fn(&str) -> String) -> Arc<Bundle> {
    let files =
        vec![SourceFile::new("fleet.yaml", change(FLEET)), SourceFile::new("shop.yaml", change(SHOP))];
    let (bundle, findings) = Bundle::load(files.clone());
    Arc::new(bundle.unwrap_or_else(|| panic!("{}", findings.to_text(&files, false))))
}

fn emergency() -> Request {
    Request {
        playbook: "shop".into(),
        from: "a".into(),
        to: "b".into(),
        mode: Mode::Emergency,
        inputs: BTreeMap::new(),
    }
}

fn case(change: impl Fn(&str) -> String, options: Options) -> Case {
    Case::new(bundle(change), &emergency(), options).unwrap_or_else(|findings| panic!("{findings:?}"))
}

fn shop(options: Options) -> Case {
    case(str::to_owned, options)
}

fn calm() -> Options {
    Options { faults: Faults::NONE, ..Options::default() }
}

fn attended() -> Options {
    Options { people: Some(Span::secs(300)), ..Options::default() }
}

/// Everything goes wrong often.
fn rough() -> Options {
    let faults = "fail=20%,hang=10%,silent=10%,slow=50%,lag=10%,alive=100%";
    Options { faults: Faults::parse(faults).unwrap(), ..attended() }
}

#[test]
fn a_run_without_faults_succeeds_step_by_step() {
    let (outcome, lines) = shop(calm()).replay(1);
    assert_eq!(outcome.finish, Finish::Ended(End::Succeeded));
    assert!(outcome.steps.iter().all(Option::is_some));
    let told: Vec<String> = lines
        .iter()
        .filter(|line| line.event.as_deref() != Some("step_acted"))
        .map(|line| {
            format!(
                "{} {}",
                line.step.as_ref().map_or("-", StepId::as_str),
                line.event.as_deref().unwrap_or(&line.text)
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            "- a is gone; nothing in it answers",
            "- created",
            "- requirements_met",
            "tools step_started",
            "tools step_succeeded",
            "fenced step_started",
            "fenced step_succeeded",
            "promote step_started",
            "drain step_skipped",
            "promote step_succeeded",
            "name step_started",
            "name step_succeeded",
            "ramp step_started",
            "ramp step_succeeded",
            "- ended",
        ]
    );
    // What the playbook holds on purpose takes its time: three pauses of ten seconds.
    assert!(outcome.steps[5].unwrap().own >= Duration::from_secs(30));
}

#[test]
fn the_same_seed_is_the_same_run_and_another_is_not() {
    let (one, two) = (shop(rough()), shop(rough()));
    for seed in 0..50 {
        assert_eq!(one.replay(seed), two.replay(seed));
        assert_eq!(one.seed(seed), two.replay(seed).0, "telling it changes nothing");
    }
    assert_ne!(one.seed(1).took, one.seed(2).took);
}

#[test]
fn whatever_goes_wrong_every_run_ends_or_waits_for_people() {
    let mut ends = BTreeSet::new();
    for options in [rough(), Options { people: None, ..rough() }, attended(), calm()] {
        let case = shop(options);
        for seed in 0..SEEDS {
            let outcome = case.seed(seed);
            assert_eq!(outcome.breach, None, "seed {seed}");
            ends.insert(match outcome.finish {
                Finish::Ended(end) => end.to_string(),
                Finish::Waits(_) => "waits".into(),
                Finish::Broken => "broken".into(),
            });
        }
    }
    assert_eq!(ends, ["Succeeded", "waits"].map(str::to_owned).into());
}

#[test]
fn people_make_the_difference_between_waiting_and_going_on() {
    let succeeded = |options| {
        let case = shop(options);
        (0..SEEDS).filter(|seed| case.seed(*seed).finish == Finish::Ended(End::Succeeded)).count()
    };
    let (alone, attended) = (succeeded(Options::default()), succeeded(attended()));
    assert!(alone < attended && attended >= SEEDS as usize * 95 / 100, "{alone} {attended}");
}

#[test]
fn a_leader_is_lost_where_the_fate_says_and_the_next_one_goes_on() {
    let case = shop(calm());
    for entry in 2..=case.entries() {
        for durable in [false, true] {
            let outcome = case.seed_with_loss(1, Loss { entry, durable });
            assert_eq!((outcome.breach, outcome.lost), (None, Some(Loss { entry, durable })));
        }
    }
    let lost = case.seed_with_loss(1, Loss { entry: 2, durable: true });
    let took_longer = lost.took - case.seed(1).took;
    let timing = &case.bundle.fleet.timing;
    assert!(took_longer >= timing.ttl.0 - timing.renew.0, "{took_longer:?}");
}

/// Each invariant, and what breaks it.
const BREAKS: [(Sabotage, &str); 8] = [
    (Sabotage::EmptyFence, "never two writers of one cluster"),
    (Sabotage::EmptyPromotion, "a run that succeeds leaves one writable site per data set"),
    (Sabotage::LostAnswer, "every run ends or waits for people"),
    (Sabotage::ActTwice, "no finished step is acted again"),
    (Sabotage::EarlyAct, "no act before its entry is durable"),
    (Sabotage::TakenForUntouched, "nothing is done twice that may not be, unless a person says so"),
    (Sabotage::OldEpoch, "epochs never go back"),
    (Sabotage::LostEntry, "what is written can be read back"),
];

#[test]
fn a_report_counts_every_seed_and_names_what_decides() {
    let case = shop(attended());
    let report = |case: &Case, required| {
        let mut tally = Tally::new(case);
        (100..400).for_each(|seed| tally.add(&case.seed(seed)));
        tally.report(required)
    };
    let seen = report(&case, Some(Span::secs(1)));
    assert_eq!((seen.first_seed, seen.seeds, seen.ends.values().sum::<u64>()), (100, 300, 300));
    assert_eq!(seen.histogram.iter().map(|bar| bar.runs).sum::<u64>(), seen.ends["Succeeded"]);
    assert_eq!(seen.detection, Span::secs(36));
    let Quantiles { p50, p95, max, .. } = seen.quantiles;
    assert!(p50 < p95 && p95 <= seen.slowest.map(|slowest| slowest.took), "{p50:?} {p95:?} {max:?}");
    // A chain, but for the drain, for which nothing waits: shortening a step saves all of it.
    assert_eq!(seen.deciders.len(), 5);
    for decider in &seen.deciders {
        assert_eq!(decider.runs, seen.ends["Succeeded"]);
        assert!(decider.saves.as_ms().abs_diff(decider.mean.as_ms()) <= 1, "{decider:?}");
    }
    let against = seen.against();
    assert!(against.last().unwrap().contains("at most 1s"), "{against:?}");
    assert_eq!(
        serde_json::to_string(&seen).unwrap(),
        serde_json::to_string(&report(&shop(attended()), Some(Span::secs(1)))).unwrap()
    );
}

#[test]
fn a_sweep_loses_the_leader_at_every_entry() {
    let case = shop(calm());
    let places = case.places();
    assert_eq!(places.len() as u64, 2 * (case.entries() - 1));
    let points: Vec<Point> = places.into_iter().map(|place| case.point(place, 0..3)).collect();
    assert!(points.iter().all(|point| point.broken.is_empty() && point.ends.values().sum::<u64>() == 3));
    let waits = |step: &str, durable| {
        let mut points =
            points.iter().filter(|point| point.step.as_ref().is_some_and(|id| id.as_str() == step));
        points.find(|point| point.event == "step_started" && point.durable == durable).unwrap().waiting.len()
    };
    // A request that may not be repeated and leaves no trace: a person is asked.
    assert_eq!((waits("tools", false), waits("tools", true)), (0, 1));
}

fn broken(case: &Case) -> BTreeSet<&'static str> {
    (0..SEEDS).filter_map(|seed| case.seed(seed).breach).map(|breach| breach.invariant()).collect()
}

#[test]
fn what_is_broken_on_purpose_is_seen() {
    for (what, invariant) in BREAKS {
        let mut case = shop(rough());
        case.sabotage = Some(what);
        assert_eq!(broken(&case), [invariant].into(), "{what:?}");
        case.sabotage = None;
        assert_eq!(broken(&case), [].into());
    }
}

/// The engine is given a plan whose steps need nothing; the checker knows better.
#[test]
fn an_engine_that_forgets_what_steps_need_is_seen() {
    let mut case = shop(calm());
    let mut plan = Plan::clone(&case.plan);
    plan.steps.iter_mut().for_each(|step| step.needs.clear());
    let created = created(&plan);
    case.run = Run::new(case.run.id.clone(), Arc::new(plan), &created).unwrap();
    case.created = created;
    assert_eq!(broken(&case), ["no step before what it needs"].into());
}

/// An engine that takes back what it did first, or what is past its way back.
#[test]
fn a_wrong_way_back_is_seen() {
    let case = shop(calm());
    let drain = case.run.step_index(&"drain".into()).unwrap();
    let promote = case.run.step_index(&"promote".into()).unwrap();
    let entry = |sequence, body| Event { sequence, body, ..case.created.clone() };
    let started = |step: &str| Body::StepStarted { step: step.into(), attempt: 1, inspected: String::new() };
    let undo = |step: &str| Body::UndoStarted { step: step.into(), attempt: 1, inspected: String::new() };
    let now = Duration::ZERO;
    let mut checker = Checker::new(case.run.plan.clone());
    for (at, step) in case.run.plan.steps[..promote].iter().enumerate() {
        let skipped = Body::StepSkipped { step: step.id.clone(), why: String::new(), by: None };
        checker.durable(&entry(2, skipped), Some(at), now);
    }
    checker.durable(&entry(2, started("promote")), Some(promote), now);
    checker.durable(&entry(3, undo("drain")), Some(drain), now);
    let invariant = "what is taken back is so in reverse, before the point of no return";
    assert_eq!(checker.breach().map(Breach::invariant), Some(invariant));
    let mut checker = Checker::new(case.run.plan.clone());
    checker.undoes(drain, case.created.epoch);
    assert_eq!(checker.breach().map(Breach::invariant), Some(invariant));
}

#[test]
fn every_invariant_has_been_broken_once() {
    let mut seen: BTreeSet<&str> = BREAKS.iter().map(|(_, invariant)| *invariant).collect();
    seen.insert("no step before what it needs");
    seen.insert("what is taken back is so in reverse, before the point of no return");
    assert_eq!(seen, Breach::ALL.into());
}

#[test]
fn a_service_is_back_with_its_own_steps_and_the_playbook_with_its_last() {
    let with_rto = |text: &str| {
        text.replace("shop-db: {tier: 0,", "shop-db: {tier: 0, objectives: {rto: 5m},")
            .replace("deploy-tool: {tier: 0,", "deploy-tool: {tier: 0, objectives: {rto: 1m},")
    };
    let case = case(with_rto, calm());
    let waits_for = |promise: &Promised| case.returns[promise.back].waits_for();
    let named: Vec<_> =
        case.promises.iter().map(|promise| (promise.service.as_str(), waits_for(promise))).collect();
    let waits = [("deploy-tool", (false, vec![0])), ("shop", (true, vec![4])), ("shop-db", (false, vec![2]))];
    assert_eq!(named, waits);
    let outcome = case.seed(1);
    let back: Vec<Duration> =
        case.promises.iter().map(|promise| outcome.back[promise.back].unwrap()).collect();
    assert!(back[0] < back[2] && back[2] < back[1]);
    // The last resolver forgets the old address long before the ramp is up.
    assert_eq!(back[1], outcome.took);
}

#[test]
fn what_a_playbook_expects_is_what_is_drawn() {
    let expecting = |text: &str| {
        text.replace(
            "    timeout: 90s\n",
            "    timeout: 90s\n    expect: {min: 20s, likely: 21s, max: 22s}\n",
        )
    };
    let case = case(expecting, calm());
    assert_eq!((case.basis(2), case.basis(4)), (Basis::Declared, Basis::Guessed));
    for seed in 0..50 {
        let own = case.seed(seed).steps[2].unwrap().own;
        // Beside it only the inspection, which waits a second for the dead, and the journal.
        assert!((20_900..23_300).contains(&own.as_millis()), "{own:?}");
    }
}

/// What `standfast run report` says of a run is what the history reads.
#[test]
fn a_report_of_a_run_becomes_history() {
    let case = shop(calm());
    let (by, step) = (StepId::from("tools"), |body| (1_000, body));
    let evidence = vec![];
    let bodies = [
        (200, Body::RequirementsMet { evidence: evidence.clone() }),
        step(Body::StepStarted { step: by.clone(), attempt: 1, inspected: "cannot tell".into() }),
        (2_000, Body::StepActed { step: by.clone(), evidence: "200".into() }),
        (3_500, Body::StepSucceeded { step: by.clone(), evidence }),
    ];
    let entry = |(before, (elapsed_ms, body)): (usize, (u64, Body))| Event {
        sequence: before as u64 + 2,
        elapsed_ms,
        body,
        ..case.created.clone()
    };
    let journal: Vec<Event> =
        [case.created.clone()].into_iter().chain(bodies.into_iter().enumerate().map(entry)).collect();
    let run = Run::fold(case.run.id.clone(), case.plan.clone(), &journal).unwrap();
    let report = standfast_core::report::Report::new(&run, &journal, &[], &[]);
    let timeline: Vec<_> = report
        .timeline
        .iter()
        .map(|entry| {
            let (offset, step) = (format!("{}s", entry.offset.0.as_secs_f64()), entry.step.clone());
            serde_json::json!({"offset": offset, "step": step.unwrap_or_default(), "message": entry.text})
        })
        .collect();
    let mut history = History::default();
    history.add(&serde_json::json!({ "timeline": timeline }).to_string()).unwrap();
    let case = shop(Options { history, ..calm() });
    assert_eq!((case.basis(0), case.basis(1)), (Basis::History, Basis::Guessed));
    let own = case.seed(1).steps[0].unwrap().own.as_millis();
    assert!((2_500..3_000).contains(&own), "{own}");
}
