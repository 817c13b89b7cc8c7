//! What a member promises to other sites while it has no quorum: not to fence them.
//!
//! The promise binds this process for as long as a site's lease and the margin last. A process
//! that has just begun does not know what the one before it promised, so it waits as long first.

use crate::ids::SiteId;
use crate::time::{Mono, Now};
use crate::timing::Timing;
use std::collections::BTreeMap;

/// All promises of one process.
#[derive(Clone, Debug)]
pub struct Promises {
    began: Mono,
    given: BTreeMap<SiteId, Mono>,
}

impl Promises {
    /// Of a process that began at `began`.
    pub fn new(began: Mono) -> Self {
        Self { began, given: BTreeMap::new() }
    }

    /// Promises `site` not to fence it, unless this member may have a quorum: its last confirmed
    /// transaction was sent at `confirmed`.
    ///
    /// # Errors
    /// Why not, in words.
    pub fn give(
        &mut self,
        site: &SiteId,
        confirmed: Option<Mono>,
        timing: &Timing,
        now: Now,
    ) -> Result<(), String> {
        // Shorter than a sentry waits, so that a site is told in time; longer than one renewal.
        let quorum = timing.isolate.0 / 2;
        if let Some(age) = confirmed.map(|at| now.mono.since(at)).filter(|age| *age < quorum) {
            return Err(format!(
                "the store confirmed a transaction of this member {} ago",
                crate::time::Span::from(age)
            ));
        }
        self.given.insert(site.clone(), now.mono);
        Ok(())
    }

    /// From when on `site` may be fenced by this process, as far as its promises go.
    pub fn free_from(&self, site: &SiteId, timing: &Timing) -> Mono {
        let lasts = timing.site_ttl.0 + timing.margin.0;
        let promised = self.given.get(site).copied().unwrap_or_default();
        self.began.max(promised) + lasts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now(ms: u64) -> Now {
        Now { mono: Mono::from_ms(ms), wall_ms: 0 }
    }

    #[test]
    fn a_promise_is_given_without_a_quorum_only_and_kept() {
        let (timing, a) = (Timing::default(), SiteId::from("a"));
        let mut promises = Promises::new(Mono::from_ms(1_000));
        // Whoever has just begun may have promised before.
        assert_eq!(promises.free_from(&a, &timing), Mono::from_ms(21_000));
        let refused = promises.give(&a, Some(Mono::from_ms(60_000)), &timing, now(64_499));
        assert_eq!(refused.unwrap_err(), "the store confirmed a transaction of this member 4.499s ago");
        promises.give(&a, Some(Mono::from_ms(60_000)), &timing, now(64_500)).unwrap();
        assert_eq!(promises.free_from(&a, &timing), Mono::from_ms(84_500));
        assert_eq!(promises.free_from(&"b".into(), &timing), Mono::from_ms(21_000), "to whom it was given");
    }
}
