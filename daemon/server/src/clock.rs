//! The two clocks of the daemon, read here and nowhere else.
//!
//! Every deadline is reckoned on `CLOCK_BOOTTIME`: it goes on while the machine is
//! suspended, so a member that slept through its lease notices. `Instant` stands still
//! then, and wall time jumps; wall time is only written down for people.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, Timespec, clock_gettime};
use standfast_core::date::Date;
use standfast_core::time::{Mono, Now};

/// Time since the machine started, time asleep included. Equal for all processes of one
/// machine, meaningless on another.
pub fn boot() -> Duration {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(tv_sec).expect("the boot clock starts at zero");
    let nanos = u32::try_from(tv_nsec).expect("nanoseconds are below a second");
    Duration::new(seconds, nanos)
}

/// Wall time in milliseconds since 1970 (UTC), negative before.
pub fn wall_ms() -> i64 {
    let millis = |d: Duration| i64::try_from(d.as_millis()).unwrap_or(i64::MAX);
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => millis(since),
        Err(before) => -millis(before.duration()),
    }
}

/// The present day (UTC), for promises that people dated.
pub fn today() -> Date {
    Date::of_wall_ms(wall_ms())
}

/// Both clocks, as the core takes them.
pub fn now() -> Now {
    Now { mono: Mono::new(boot()), wall_ms: wall_ms() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boot_time_goes_forward_and_is_not_behind_the_kernels_uptime() {
        let before = boot();
        let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
        let uptime: f64 = uptime.split(' ').next().unwrap().parse().unwrap();
        // In a container /proc/uptime may count from its start; it is never ahead.
        assert!(boot().as_secs_f64() + 0.02 >= uptime, "{before:?} < {uptime}");
        assert!(before <= boot());
    }

    #[test]
    fn wall_time_is_in_this_era() {
        assert!(wall_ms() > 1_600_000_000_000, "this machine thinks it is before 2020");
        let (first, second) = (now(), now());
        assert!(first.mono <= second.mono);
    }
}
