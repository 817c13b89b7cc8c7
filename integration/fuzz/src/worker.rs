//! The process that reads the files, and dies of them.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, setrlimit};
use rustix::time::{ClockId, Timespec, clock_gettime};

use crate::dice::Dice;
use crate::{Result, Target, at, mutate, pool};

/// What a worker may take of memory. Linting is promised to stay below, whatever it reads.
const MEMORY: u64 = 1 << 30;

/// An input that takes this process longer, whatever else the machine does, is a crash of its own:
/// all are small.
const SLOW: Duration = Duration::from_secs(3);

/// Whether this is the build of `make fuzz`; see build.rs.
const OPTIMISED: bool = cfg!(optimised);

/// How long this process has been at work.
fn busy() -> Duration {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::ProcessCPUTime);
    let seconds = u64::try_from(tv_sec).expect("work takes no negative time");
    Duration::new(seconds, u32::try_from(tv_nsec).expect("nanoseconds are below a second"))
}

/// So many inputs are kept to be changed further.
const MAX_POOL: usize = 2_000;

/// Whatever is taken above that, ends this process.
pub fn limit_memory() -> Result<()> {
    let limit = Rlimit { current: Some(MEMORY), maximum: Some(MEMORY) };
    setrlimit(Resource::As, limit).map_err(|error| at("limiting the memory")(error.into()))
}

/// Reads one input, as in a hunt.
///
/// # Panics
/// When a promise is broken.
pub fn read_one(target: Target, input: &[u8]) -> BTreeSet<&'static str> {
    let begin = busy();
    let found = target.read(input);
    let took = busy() - begin;
    // An unoptimised build is slow with everything.
    assert!(took < SLOW || !OPTIMISED, "{} bytes took {took:?}", input.len());
    found
}

/// Changes and reads inputs until it is killed, or `count` are read. What is read stands in
/// `current` before it is read; on stdout a line for each ten says how many there were, and how
/// many kinds of answers. It begins with the seeds of the target and the files of `from`.
pub fn work(
    target: Target,
    seed: u64,
    count: Option<u64>,
    from: Option<&Path>,
    current: &Path,
) -> Result<()> {
    let mut dice = Dice::new(seed);
    let mut pool = pool::seeds(target)?;
    if let Some(from) = from {
        pool.extend(pool::files(from)?.into_iter().map(|(_, bytes)| bytes));
    }
    let mut known: BTreeSet<BTreeSet<&'static str>> = BTreeSet::new();
    let mut out = std::io::stdout();
    for number in 0.. {
        if count.is_some_and(|count| number >= count) {
            break;
        }
        let input = mutate::mutate(target, &pool, &mut dice);
        fs::write(current, &input).map_err(at("writing what is read next"))?;
        let found = read_one(target, &input);
        if known.insert(found) && pool.len() < MAX_POOL {
            pool.push(input);
        }
        if number % 10 == 9 {
            writeln!(out, "{} {}", number + 1, known.len()).map_err(at("writing to the parent"))?;
        }
    }
    Ok(())
}
