//! A simulator that cannot fail proves nothing: every guard is taken out once, and missed.

use super::people::Want;
use super::stage::{CALENDAR, FAST, FORBIDS, LIMITS, LOCKED, PATIENT, Scene, TOWN, aimed, at, staged};
use super::*;
use standfast_core::guard::Guard;
use std::ops::Range;

const SAFETY: &str = include_str!("../../../../docs/safety.md");

/// Where a mutant is found.
enum Hunt {
    /// Among seeds as they are drawn.
    Seeds(Range<u64>),
    /// Where this is played.
    Scenes(Vec<Scene>, Range<u64>),
}

/// Where a mutant is found, and which invariant it breaks. One that is not here does not compile.
fn hunt(mutant: Mutant) -> (Hunt, &'static str) {
    use Hunt::{Scenes, Seeds};
    let lost = |second: u32| at(second, Fault::Power(0), 199 - second);
    let scene = |fleet: usize, faults: &[Planned]| Scene::new(fleet, faults).mended(100);
    let few = |scene: Scene| Scenes(vec![scene], 0..8);
    match mutant {
        Mutant::Without(guard) => of_guard(guard),
        Mutant::NoGuards => (Seeds(8..20), "a journal never forks"),
        Mutant::NoDemotion => {
            // It wakes up to the answer that its entry is durable.
            let stopped = |entry| scene(FAST, &[lost(30), aimed(entry, Fault::Stop(fault::LEADER), 20)]);
            let scenes = (3..12).map(stopped).collect();
            (Scenes(scenes, 0..12), "nobody acts under an epoch that is over")
        }
        Mutant::FenceWithoutProof => (Seeds(0..8), "never two writers of one cluster"),
        Mutant::NoVeto => (Seeds(8..20), "no failover where somebody is alive"),
        Mutant::NoConfirm => (Seeds(0..8), "no failover without its evidence"),
        Mutant::NoHoldDown => {
            let flapping = Scene::new(FAST, &[at(15, Fault::Flap(0), 184)]);
            (few(flapping), "one run for each hold-down")
        }
        Mutant::NoAdvice => (Seeds(0..8), "nothing acts by itself that may not"),
        Mutant::NoSentry => (Seeds(0..12), "never two writers of one cluster"),
        Mutant::NoFencedKey => (Seeds(0..12), "never two writers of one cluster"),
        Mutant::NoLinger => {
            let killed = |entry| scene(FAST, &[lost(30), aimed(entry, Fault::Kill(fault::LEADER), 60)]);
            let scenes = (5..12).map(killed).collect();
            (Scenes(scenes, 0..12), "effects of different epochs never overlap")
        }
        Mutant::NoLag => {
            (few(scene(FAST, &[at(50, Fault::Behind, 49), lost(60)])), "no promotion without its guards")
        }
        Mutant::NoPrerequisite => {
            let killed = |entry| scene(FAST, &[lost(30), aimed(entry, Fault::Kill(fault::LEADER), 60)]);
            let scenes = (12..22).map(killed).collect();
            (Scenes(scenes, 0..12), "a name is not set by an earlier leader after a later one")
        }
        Mutant::NoWatermark => {
            let killed = [0, 1, 2].map(|member| at(30, Fault::Kill(member), 15));
            let faults = [&killed[..], &[at(20, Fault::Restore, 40)]].concat();
            (few(scene(FAST, &faults)), "nobody leads under an epoch that they have seen")
        }
        Mutant::NoFailsafe => {
            let down = [0, 1, 2].map(|site| at(40, Fault::Down(site), 50));
            (few(scene(FAST, &down)), "losing the store is not losing a site")
        }
    }
}

fn of_guard(guard: Guard) -> (Hunt, &'static str) {
    use Hunt::Scenes;
    let lost = at(60, Fault::Power(0), 39);
    let scene = |fleet: usize, faults: &[Planned]| Scene::new(fleet, faults).mended(100);
    let ill = at(10, Fault::Web(1), 89);
    let (scene, invariant) = match guard {
        // Beats go unanswered so long before the loss is confirmed that the term ends just then.
        Guard::Quorum => {
            let of = |ms: u64| {
                let deaf = Planned {
                    fault: Fault::NoStore(fault::LEADER),
                    when: When::At(Duration::from_millis(ms)),
                    lasts: Duration::from_secs(20),
                };
                scene(PATIENT, &[at(20, Fault::Kill(0), 79), at(40, Fault::Power(0), 59), deaf]).mended(62)
            };
            let scenes = (43_400..44_600).step_by(100).map(of).collect();
            return (Scenes(scenes, 0..40), "nothing is decided on what is old");
        }
        Guard::Freshness => {
            (scene(FAST, &[at(10, Fault::Blind(2), 89), lost]), "nobody is believed who is cut off")
        }
        Guard::Destination => (scene(FAST, &[ill, lost]), "nothing goes by itself where it is not well"),
        Guard::Locks => {
            let scene = scene(FAST, &[]).wants(30, Want::Start(1)).wants(33, Want::Start(3));
            (scene, "nobody wants a run where one lives")
        }
        Guard::Enforcement => (
            scene(FAST, &[at(10, Fault::Sentry(0), 89), lost]),
            "nothing leaves a site by itself that nothing stops",
        ),
        Guard::Readiness => (
            Scene::new(CALENDAR, &[at(1, Fault::Unready, 189), at(125, Fault::Power(0), 60)]).mended(190),
            "nothing begins by itself that nobody found ready",
        ),
        Guard::Freeze => {
            (scene(FAST, &[lost]).wants(20, Want::Freeze(None)), "frozen, nothing begins by itself")
        }
        Guard::Flaps => {
            let came = [15, 40, 65].map(|second| at(second, Fault::Probes(0), 10));
            let faults = [&came[..], &[at(95, Fault::Power(0), 60)]].concat();
            let scene = Scene::new(LOCKED, &faults).mended(160);
            (scene, "nothing touches a site that comes and goes by itself")
        }
        Guard::Maintenance => (
            scene(FAST, &[lost]).wants(20, Want::Maintain(0, None)),
            "nothing touches a site in maintenance by itself",
        ),
        Guard::Switches => (scene(FORBIDS, &[lost]), "nothing begins by itself before it is switched on"),
        Guard::Window => (
            scene(CALENDAR, &[at(62, Fault::Power(0), 37)]),
            "nothing begins by itself in a window of the calendar",
        ),
        Guard::Serving => (
            scene(LIMITS, &[ill]).wants(60, Want::Start(1)),
            "enough sites are well beside the one that is left",
        ),
        Guard::BlastRadius => {
            let first = Scene::new(LIMITS, &[]).visits(8).wants(20, Want::Start(1));
            let scene =
                [90, 120, 150, 180].into_iter().fold(first, |scene, at| scene.wants(at, Want::Start(3)));
            (scene, "one site is left a day")
        }
        Guard::FinalState => {
            (scene(FORBIDS, &[]).wants(30, Want::Start(4)), "nothing ends as the fleet forbids")
        }
        Guard::SecondPerson => {
            (scene(LIMITS, &[]).wants(30, Want::Start(1)), "what one waives another approves")
        }
        Guard::Confirm | Guard::Veto | Guard::HoldDown | Guard::Automation | Guard::Lag | Guard::Fence => {
            unreachable!("{guard} is taken away at the edge")
        }
    };
    (Scenes(vec![scene], 0..8), invariant)
}

/// Each mutant is found where it is hunted, and there nothing breaks without it.
fn found(mutant: Mutant) -> Result<(), String> {
    let town = staged(Town::with(mutant));
    let (hunt, invariant) = hunt(mutant);
    let (broken, healthy) = match hunt {
        Hunt::Seeds(seeds) => {
            let found = seeds.clone().find_map(|seed| Some((seed, town.seed(seed).broken?)));
            let (seed, broken) = found.ok_or_else(|| format!("{mutant} is not found in {seeds:?}"))?;
            (broken, TOWN.seed(seed))
        }
        Hunt::Scenes(scenes, seeds) => {
            let all = seeds.clone().flat_map(|seed| scenes.iter().map(move |scene| (seed, scene)));
            let mut broken =
                all.filter_map(|(seed, scene)| Some((seed, scene, scene.play(&town, seed, false).broken?)));
            let first = broken.next();
            let (seed, scene, broken) =
                first.ok_or_else(|| format!("{mutant} is not found in seeds {seeds:?} of its scenes"))?;
            (broken, scene.play(&TOWN, seed, false))
        }
    };
    match (broken.invariant == invariant, healthy.broken) {
        (true, None) => Ok(()),
        (_, healthy) => Err(format!("{mutant} breaks {broken}; without it: {healthy:?}")),
    }
}

/// The tests run at once: each takes every so manieth.
fn every(of: usize, nth: usize) {
    let mine = Mutant::all().enumerate().filter(|(at, _)| at % of == nth);
    let missed: Vec<String> = mine.filter_map(|(_, mutant)| found(mutant).err()).collect();
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
fn every_mutant_is_found_1() {
    every(4, 0);
}

#[test]
fn every_mutant_is_found_2() {
    every(4, 1);
}

#[test]
fn every_mutant_is_found_3() {
    every(4, 2);
}

#[test]
fn every_mutant_is_found_4() {
    every(4, 3);
}

/// No guard without its mutant, and the page names it.
#[test]
fn no_guard_is_without_its_mutant() {
    let all: Vec<Mutant> = Mutant::all().collect();
    for guard in Guard::ALL {
        let mutants: Vec<&Mutant> = all.iter().filter(|mutant| mutant.guard() == Some(guard)).collect();
        assert_eq!(mutants.len(), 1, "{guard}: {mutants:?}");
    }
    let others = [
        "no-guards",
        "no-demotion",
        "no-fenced-key",
        "no-sentry",
        "no-linger",
        "no-prerequisite",
        "no-failsafe",
    ];
    for name in others {
        assert!(all.iter().any(|mutant| mutant.to_string() == name), "{name}");
    }
    for mutant in all {
        assert!(SAFETY.contains(&format!("- Mutant: `{mutant}`")), "docs/safety.md does not name {mutant}");
    }
}

#[test]
fn a_fence_without_proof_is_shrunk() {
    let town = Town::with(Mutant::FenceWithoutProof);
    let found = (0..40).map(|seed| (seed, town.seed(seed))).find(|(_, outcome)| outcome.broken.is_some());
    let (seed, outcome) = found.expect("the site writes on behind the cut");
    let shrunk = shrink(&town, seed, &outcome);
    let invariant = |outcome: &Outcome| outcome.broken.as_ref().map(|broken| broken.invariant);
    assert_eq!(invariant(&shrunk), invariant(&outcome));
    assert!(shrunk.faults.len() <= outcome.faults.len() && !shrunk.story.is_empty());
    assert!(shrunk.faults.len() <= 2, "a cut is enough: {:#?}", shrunk.faults);
}
