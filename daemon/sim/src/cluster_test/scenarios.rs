//! The situations that have to end well, each played by name, over several seeds.
//!
//! Nobody asks for anything, and nobody comes, before everything is mended.

use super::people::Want;
use super::stage::{ACT, ADVISE, FAST, LOCKED, Scene, TOWN, aimed, at};
use super::*;

/// What happened in a seed, up to the mending and after it.
struct Played {
    before: Vec<String>,
    after: Vec<String>,
    coverage: Coverage,
}

impl Played {
    fn count(&self, what: &str) -> usize {
        self.before.iter().filter(|line| line.contains(what)).count()
    }

    /// When something was first told, in seconds.
    fn when(&self, what: &str) -> Option<f64> {
        let line = self.before.iter().find(|line| line.contains(what))?;
        line.split_whitespace().next()?.parse().ok()
    }

    /// What was last told like this before that second.
    fn last(&self, second: f64, what: &str) -> Option<&str> {
        let early = |line: &&String| {
            let time = line.split_whitespace().next().and_then(|time| time.parse::<f64>().ok());
            time.is_some_and(|time| time < second) && line.contains(what)
        };
        self.before.iter().rfind(early).map(String::as_str)
    }
}

/// Plays faults in a seed of one of the fleets.
fn play(fleet: usize, seed: u64, faults: &[Planned]) -> Played {
    played(&Scene::new(fleet, faults), seed)
}

fn played(scene: &Scene, seed: u64) -> Played {
    let outcome = scene.play(&TOWN, seed, true);
    let mended = outcome.story.iter().position(|line| line.contains("everything is mended"));
    let mut before = outcome.story;
    let after = before.split_off(mended.unwrap_or(before.len()));
    assert_eq!(outcome.broken, None, "seed {seed}:\n{}\n{}", before.join("\n"), after.join("\n"));
    Played { before, after, coverage: outcome.coverage }
}

/// Nothing is begun, and nothing is asked of anybody.
fn nothing_moves(fleet: usize, faults: &[Planned]) {
    for seed in 0..6 {
        let played = play(fleet, seed, faults);
        assert_eq!(played.coverage.runs, 0, "seed {seed}:\n{}", played.before.join("\n"));
    }
}

/// Situation 1: Our leader and the store's leader are in the lost site: the survivors fail over within the
/// bound, and nothing of the lost site serves by then.
#[test]
fn s01_both_leaders_are_lost_with_the_site() {
    let mut both = 0;
    for (fleet, bound) in [(ACT, 36.0), (FAST, 15.3)] {
        for seed in 0..12 {
            let played = play(fleet, seed, &[at(60, Fault::Power(0), 140)]);
            let ours = played.last(60.0, "leads, epoch").is_some_and(|line| line.contains("m0-a"));
            both += usize::from(ours);
            let story = played.before.join("\n");
            let began = played.when(" 1 (epoch").unwrap_or_else(|| panic!("seed {seed}: no run\n{story}"));
            assert!(began - 60.0 <= bound, "seed {seed}: seen after {} s\n{story}", began - 60.0);
            // A target may fail by itself: then the run waits for people, or goes back.
            let stopped = played.count("a person is needed") + played.count("to be rolled back");
            let acted = played.count("orders in b is acted upon");
            assert!(acted == 1 || acted == 0 && stopped > 0, "seed {seed}\n{story}");
        }
    }
    assert!(both > 0, "in no seed were both leaders in a");
}

/// Situation 2: The store has no majority: no automatic action.
#[test]
fn s02_without_a_majority_nothing_moves() {
    nothing_moves(ACT, &[at(60, Fault::Power(0), 140), at(60, Fault::Power(2), 140)]);
    nothing_moves(FAST, &[at(60, Fault::Power(0), 140), at(61, Fault::Down(2), 140)]);
}

/// Situation 3: The leader alone is cut off: it demotes itself, others lead, and no run is begun.
#[test]
fn s03_the_leader_alone_is_cut_off() {
    for seed in 0..6 {
        let played = play(ACT, seed, &[at(60, Fault::Nic(fault::LEADER), 60)]);
        let story = played.before.join("\n");
        let demoted = played.when("no beat was confirmed in time").unwrap_or_else(|| panic!("{story}"));
        assert!(demoted - 60.0 <= 6.5 + 0.3, "{demoted}\n{story}");
        assert_eq!(played.coverage.runs, 0, "{story}");
        assert!(played.coverage.terms >= 2, "{story}");
    }
}

/// Situation 4: A one-way cut, or a site that only its customers do not reach, is no loss.
#[test]
fn s04_a_one_way_cut_or_a_veto_is_no_loss() {
    nothing_moves(ACT, &[at(60, Fault::OneWay(0, 1), 100)]);
    nothing_moves(ACT, &[at(60, Fault::OneWay(1, 0), 100), at(70, Fault::Web(0), 60)]);
    // From both others, but its own endpoint of the store is reached and does: somebody inside is alive.
    nothing_moves(ACT, &[at(60, Fault::Probes(0), 100)]);
}

/// Situation 5: The leader is stopped in mid-step, beyond its lease, and goes on: the next one takes the run up
/// at that very step.
#[test]
fn s05_a_leader_that_is_stopped_in_mid_step() {
    let mut taken = 0;
    for seed in 0..8 {
        let faults = [at(60, Fault::Power(0), 139), aimed(6, Fault::Stop(fault::LEADER), 30)];
        let played = play(FAST, seed, &faults);
        taken += played.count("goes on, under epoch");
        assert!(played.count("orders in b is acted upon") <= 1, "{}", played.before.join("\n"));
    }
    assert!(taken >= 6, "{taken} runs were taken over");
}

/// Situation 6: Wall clocks jump: nothing starts because of it.
#[test]
fn s06_wall_clocks_jump() {
    nothing_moves(ACT, &[at(60, Fault::Jump(0), 40), at(70, Fault::Jump(1), 50), at(80, Fault::Jump(2), 5)]);
}

/// Situation 7: The store is slow, or takes a lease back wrongly: never a loss.
#[test]
fn s07_the_store_is_slow_or_wrong() {
    nothing_moves(ACT, &[at(60, Fault::Disk, 100), at(90, Fault::Revoke, 1), at(120, Fault::Revoke, 1)]);
    nothing_moves(ACT, &[at(60, Fault::Full, 60)]);
}

/// Situation 8: The replica is too far behind: the run waits for people, and promotes nothing.
#[test]
fn s08_a_replica_that_is_behind_is_not_promoted() {
    for seed in 0..6 {
        let played = play(ACT, seed, &[at(50, Fault::Behind, 150), at(60, Fault::Power(0), 140)]);
        let story = played.before.join("\n");
        assert_eq!(played.count("further behind than is allowed"), 1, "{story}");
        assert_eq!(played.count("orders in b is acted upon"), 0, "{story}");
    }
}

/// Situation 9: The destination dies in the middle of the run: nothing goes anywhere else.
#[test]
fn s09_the_destination_dies_in_the_middle() {
    for seed in 0..6 {
        let faults = [at(60, Fault::Cut(0), 139), aimed(7, Fault::Power(1), 60)];
        let played = play(FAST, seed, &faults);
        assert_eq!(played.count("stock in a is acted upon"), 0, "{}", played.before.join("\n"));
        assert!(played.coverage.runs <= 2, "{}", played.before.join("\n"));
    }
}

/// Situation 10: A site flaps: at most one run in each hold-down, which the judge sees to, and none once
/// it went down three times, whoever leads.
#[test]
fn s10_a_site_that_flaps() {
    let (mut unlocked, mut locked) = (0, 0);
    for seed in 0..6 {
        let flaps = [at(15, Fault::Flap(0), 184)];
        unlocked += play(FAST, seed, &flaps).coverage.runs;
        let played = play(LOCKED, seed, &flaps);
        assert!(played.coverage.runs <= 2, "{}", played.before.join("\n"));
        locked += played.coverage.runs;
    }
    assert!(locked < unlocked, "{locked} runs with the lock, {unlocked} without");
}

/// Situation 10, on: a site that is left stays lost. Nothing leaves it again when its hold-down is over.
#[test]
fn s10_a_site_that_stays_lost() {
    for seed in 0..4 {
        let played = play(FAST, seed, &[at(20, Fault::Power(0), 179)]);
        assert_eq!(played.coverage.runs, 1, "{}", played.before.join("\n"));
    }
}

/// Situation 11: An operator starts by hand, at any moment, what the automation begins: there is one run,
/// whoever was first.
#[test]
fn s11_an_operator_and_the_automation_race() {
    let (mut by_hand, mut by_itself) = (0, 0);
    for (seed, second) in (0..).zip(70..100) {
        let scene = Scene::new(ACT, &[at(60, Fault::Power(0), 139)]).wants(second, Want::Start(0));
        let played = played(&scene, seed);
        let story = played.before.join("\n");
        assert_eq!((played.coverage.runs, played.count(" 1 (epoch")), (1, 1), "{story}");
        match played.coverage.automatic {
            0 => by_hand += 1,
            _ => by_itself += 1,
        }
    }
    assert!(by_hand > 0 && by_itself > 0, "{by_hand} runs of people, {by_itself} of the automation");
}

/// Situation 12: Answers are lost all the while: what is written stands once, and the run comes to its end.
#[test]
fn s12_answers_of_the_store_are_lost() {
    for seed in 0..6 {
        let played = play(ACT, seed, &[at(10, Fault::Lossy, 190), at(60, Fault::Power(0), 139)]);
        let all = format!("{}\n{}", played.before.join("\n"), played.after.join("\n"));
        let ends = played.coverage.ends.values().sum::<u64>();
        assert_eq!((ends, played.coverage.runs > 0), (played.coverage.runs, true), "{all}");
    }
}

/// Situation 12: The store is restored from a backup that is older than a term: nobody leads under the old
/// epoch, until people have raised it.
#[test]
fn s12_the_store_is_restored() {
    for seed in 0..6 {
        // A term begins between the backup and the restore.
        let killed = at(30, Fault::Kill(fault::LEADER), 15);
        let played = play(FAST, seed, &[killed, at(20, Fault::Restore, 40)]);
        let story = [played.before, played.after].concat();
        let epoch = |line: &String| line.split("leads, epoch ").nth(1)?.trim().parse::<u64>().ok();
        let epochs: Vec<u64> = story.iter().filter_map(epoch).collect();
        let back = story.iter().position(|line| line.contains("restored from a backup")).expect("it is");
        let again = story[back..].iter().any(|line| line.contains("leads, epoch"));
        assert!(again && epochs.is_sorted_by(|a, b| a < b), "{epochs:?}\n{}", story.join("\n"));
    }
}

/// Situation 12: Another bundle is applied in the middle of a run: the run goes on with the plan that it
/// was begun with.
#[test]
fn s12_the_playbook_is_edited_in_the_middle() {
    let mut changed = 0;
    for (seed, second) in (0..).zip(75..100) {
        let scene = Scene::new(ACT, &[at(60, Fault::Power(0), 139)]).wants(second, Want::Apply(ADVISE));
        let played = played(&scene, seed);
        let story = played.before.join("\n");
        let (begun, ended) = (played.when(" 1 (epoch"), played.when("Succeeded: "));
        let (Some(begun), Some(ended)) = (begun, ended) else { continue };
        assert_eq!(played.count("orders in b is acted upon"), 1, "{story}");
        let middle = begun < f64::from(second) && f64::from(second) + 1.0 < ended;
        changed += usize::from(middle);
    }
    assert!(changed >= 3, "{changed} runs were under way");
}

/// Situation 13: The store is lost everywhere while all sites are healthy: nothing moves.
#[test]
fn s13_the_store_is_lost_everywhere() {
    nothing_moves(
        FAST,
        &[at(60, Fault::Down(0), 100), at(60, Fault::Down(1), 100), at(60, Fault::Down(2), 100)],
    );
}

/// Situation 14: the member of a site dies first, the site is cut off later: its sentry had stopped what
/// writes, but nobody has seen the lease held when the site went down. Nothing is promoted without a
/// person.
#[test]
fn s14_the_member_dies_before_the_site_is_cut_off() {
    for seed in 0..6 {
        let played = play(ACT, seed, &[at(40, Fault::Kill(0), 160), at(90, Fault::Cut(0), 109)]);
        let story = played.before.join("\n");
        let closes = played.last(90.0, "a closes its gate");
        assert!(closes.is_some() && closes > played.last(90.0, "a opens its gate"), "{story}");
        assert_eq!(played.count("orders in b is acted upon"), 0, "{story}");
    }
}

/// A step fails before the point of no return: what was done is taken back. The leader is lost at every
/// moment of that: the next one goes on taking back, and comes to the same end.
#[test]
fn a_leader_is_lost_while_it_takes_back() {
    let (mut back, mut resumed) = (0, 0);
    for (entry, seed) in (12..20).flat_map(|entry| (0..2).map(move |seed| (entry, seed))) {
        let faults = [aimed(8, Fault::Power(1), 100), aimed(entry, Fault::Kill(fault::LEADER), 30)];
        let scene = Scene::new(ACT, &faults).wants(60, Want::Start(1));
        let played = played(&scene, seed);
        let story = [played.before, played.after].concat();
        let at = |what: &str| story.iter().position(|line| line.contains(what));
        assert_eq!(story.iter().filter(|line| line.contains("orders in b is acted upon")).count(), 0);
        let Some(begun) = at("to be rolled back") else { continue };
        back += 1;
        // What was under way when its target was lost cannot be taken back.
        let end = if at("could not be taken back").is_some() { "Stuck: " } else { "RolledBack: " };
        assert!(at(end).is_some(), "{}", story.join("\n"));
        resumed += usize::from(story[begun..].iter().any(|line| line.contains("goes on, under epoch")));
    }
    assert!(back >= 12 && resumed >= 4, "{back} runs were rolled back, {resumed} of them taken over");
}

/// A fleet that only advises proposes, and does nothing.
#[test]
fn advice_does_nothing() {
    for seed in 0..4 {
        let played = play(ADVISE, seed, &[at(60, Fault::Power(0), 139)]);
        let story = played.before.join("\n");
        assert_eq!((played.coverage.runs, played.count("is acted upon")), (1, 0), "{story}");
    }
}
