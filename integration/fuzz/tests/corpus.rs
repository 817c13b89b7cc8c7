//! What once broke something, and what is odd on purpose, is read without breaking; and the
//! runner finds what breaks.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use standfast_fuzz::hunt::Hunt;
use standfast_fuzz::{Target, pool};

#[test]
fn every_stored_input_is_read() {
    for target in [Target::Parser, Target::Proof] {
        let stored = pool::stored(target).unwrap();
        assert!(stored.len() >= 5, "{}", target.name());
        for (path, input) in stored {
            // The name is on stderr when this panics.
            eprintln!("{}", path.display());
            target.read(&input);
        }
    }
}

#[test]
fn every_seed_is_read() {
    for target in [Target::Parser, Target::Proof] {
        let seeds = pool::seeds(target).unwrap();
        assert!(seeds.len() > 5, "{}", target.name());
        let kinds: std::collections::BTreeSet<_> = seeds.iter().map(|input| target.read(input)).collect();
        assert!(kinds.contains(&Default::default()), "some of them are without findings");
    }
}

#[test]
fn several_files_are_one_input() {
    let input = "#=== fleet.yaml\na: 1\n#=== shop.yaml\nb: 2\n";
    let files = pool::split(input);
    let shown: Vec<_> = files.iter().map(|file| (file.name.as_str(), file.text.as_str())).collect();
    assert_eq!(shown, [("1-fleet.yaml", "a: 1\n"), ("2-shop.yaml", "b: 2\n")]);
    assert_eq!(pool::split(&pool::join(&files)).len(), 2);
    assert_eq!(pool::split("a: 1").len(), 1);
    assert_eq!(pool::split("").len(), 1);
}

fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_fuzz"))
}

#[test]
fn a_short_hunt_breaks_nothing() {
    for target in [Target::Parser, Target::Proof] {
        let folder = tempfile::tempdir().unwrap();
        let patient = Hunt {
            target,
            seed: 1,
            time: Duration::from_secs(300),
            count: Some(150),
            still: Duration::from_secs(60),
            from: None,
            keep: folder.path().to_owned(),
        };
        let bag = patient.go(program()).unwrap();
        assert!(bag.crashes.is_empty(), "{:?}", bag.crashes);
        assert_eq!(bag.inputs, 150);
        assert!(bag.kinds > 10, "{bag:?}");
    }
}

/// A panic, too much memory and no end are all found; what panics is made small and kept.
#[test]
fn what_breaks_is_found_and_kept() {
    for (word, how) in [("boom", "boom"), ("much", "memory"), ("forever", "stood still")] {
        let [from, keep] = [0, 1].map(|_| tempfile::tempdir().unwrap());
        let text = format!("calm\ncalm\n{word}\ncalm\n");
        std::fs::write(from.path().join("trap.yaml"), text).unwrap();
        let hunt = Hunt {
            target: Target::Trap,
            seed: 1,
            time: Duration::from_secs(if word == "forever" { 4 } else { 60 }),
            count: Some(20),
            still: Duration::from_secs(if word == "forever" { 2 } else { 60 }),
            from: Some(from.path().to_owned()),
            keep: keep.path().to_owned(),
        };
        let bag = hunt.go(program()).unwrap();
        let crash = bag.crashes.first().unwrap_or_else(|| panic!("{word}: {bag:?}"));
        assert!(crash.how.contains(how), "{word}: {}", crash.how);
        assert!(crash.file.starts_with(keep.path()));
        let kept = std::fs::read_to_string(&crash.file).unwrap();
        match word {
            "forever" => assert!(kept.contains(word)),
            _ => assert_eq!(kept, word, "made as small as it goes"),
        }
        if word != "forever" {
            let again = Command::new(program()).args(["one", "trap"]).arg(&crash.file).output().unwrap();
            assert!(!again.status.success(), "it breaks again");
        }
    }
}

/// The same seed throws the same files, so a crash can be met again by who has only the seed.
#[test]
fn the_same_seed_throws_the_same_files() {
    use standfast_fuzz::dice::Dice;
    use standfast_fuzz::mutate::mutate;
    let pool = pool::seeds(Target::Proof).unwrap();
    let thrown = |seed| {
        let mut dice = Dice::new(seed);
        (0..50).map(|_| mutate(Target::Proof, &pool, &mut dice)).collect::<Vec<_>>()
    };
    assert_eq!(thrown(7), thrown(7));
    assert_ne!(thrown(7), thrown(8));
    let changed = thrown(7).into_iter().filter(|input| !pool.contains(input)).count();
    assert!(changed > 40, "{changed} of 50 are changed");
}
