//! What a member inside a site knows of its lease: until when the site may serve.
//!
//! The lease is renewed in the store. While the store cannot be had, the site goes on only if
//! every member of every other site says that it has no quorum either, and promises not to fence
//! this site for as long as the lease would have lasted. Otherwise the loss of the store would
//! stop every healthy site.

use crate::ids::MemberId;
use crate::time::{Mono, Now};
use crate::timing::Timing;
use std::collections::{BTreeMap, BTreeSet};

/// What came of an attempt to renew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// Confirmed by a majority of the store.
    Held,
    /// The site is fenced.
    Fenced,
    /// No answer, or no quorum.
    Unanswered,
}

/// The keeper of one site's lease, in one member.
#[derive(Clone, Debug, Default)]
pub struct Keeper {
    renewed: Option<Mono>,
    fenced: bool,
    promised: BTreeMap<MemberId, Mono>,
}

impl Keeper {
    /// An attempt to renew, sent at `sent` on our clock, has ended.
    pub fn on_renewal(&mut self, sent: Mono, renewal: Renewal) {
        match renewal {
            Renewal::Held => {
                self.fenced = false;
                self.renewed = self.renewed.max(Some(sent));
                // What was promised was for the time without a store.
                self.promised.clear();
            }
            Renewal::Fenced => {
                self.fenced = true;
                self.renewed = None;
                self.promised.clear();
            }
            Renewal::Unanswered => {}
        }
    }

    /// A member of another site was asked at `sent` for its promise, and gave it or not; `others`
    /// are all members of all other sites.
    ///
    /// A promise is for what is to come. It counts only if it comes while the lease cannot have
    /// ended, or while others were bound: whoever promises not to fence this site may not know that
    /// somebody has done so long ago.
    pub fn on_promise(
        &mut self,
        from: MemberId,
        sent: Mono,
        given: bool,
        others: &BTreeSet<MemberId>,
        timing: &Timing,
        now: Now,
    ) {
        let unbroken = self.confirmed(others).is_some_and(|at| now.mono < at + timing.site_ttl.0);
        if given && unbroken {
            let at = self.promised.entry(from).or_insert(sent);
            *at = (*at).max(sent);
        } else if !given {
            self.promised.remove(&from);
        }
    }

    /// Whether the store says that this site is fenced.
    pub fn is_fenced(&self) -> bool {
        self.fenced
    }

    /// Whether the others are to be asked: a renewal is missing. A site that has held no lease
    /// since this member began has nothing to go on with.
    pub fn asks(&self, timing: &Timing, now: Now) -> bool {
        !self.fenced && self.renewed.is_some_and(|at| now.mono.since(at) > 2 * timing.renew.0)
    }

    /// The latest point on our clock at which it was sure that nobody may fence this site for the
    /// time that a lease lasts. `others` are all members of all other sites.
    pub fn confirmed(&self, others: &BTreeSet<MemberId>) -> Option<Mono> {
        if self.fenced {
            return None;
        }
        let all = others.iter().map(|member| self.promised.get(member).copied()).collect::<Option<Vec<_>>>();
        // Nobody to ask is nobody who promised.
        let promised = all.and_then(|all| all.into_iter().min());
        self.renewed.max(promised)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Mono {
        Mono::from_ms(ms)
    }

    fn now(ms: u64) -> Now {
        Now { mono: at(ms), wall_ms: 0 }
    }

    /// Situation: the store is gone for everybody. Danger: one silent member could be the one that
    /// still has a quorum. Expectation: every one must promise, and the oldest promise counts.
    #[test]
    fn a_site_goes_on_only_while_all_others_promise() {
        let others: BTreeSet<MemberId> = ["b1".into(), "w1".into()].into();
        let timing = Timing::default();
        let mut keeper = Keeper::default();
        assert!(!keeper.asks(&timing, now(60_000)), "it never held the lease");
        keeper.on_renewal(at(1_000), Renewal::Held);
        assert!(!keeper.asks(&timing, now(4_000)));
        keeper.on_renewal(at(3_000), Renewal::Unanswered);
        assert!(keeper.asks(&timing, now(5_001)));
        let mut promise = |from: &str, sent: u64, given: bool| {
            keeper.on_promise(from.into(), at(sent), given, &others, &timing, now(sent + 5));
            keeper.confirmed(&others)
        };
        assert_eq!(promise("b1", 6_000, true), Some(at(1_000)));
        assert_eq!(promise("w1", 5_500, true), Some(at(5_500)));
        assert_eq!(
            promise("b1", 5_000, true),
            Some(at(5_500)),
            "an answer that comes late takes nothing back"
        );
        assert_eq!(promise("w1", 7_000, false), Some(at(1_000)), "somebody may have a quorum");
        assert_eq!(keeper.confirmed(&BTreeSet::new()), Some(at(1_000)), "nobody to ask promises nothing");
    }

    /// Situation: a site was cut off beyond its lease, and was fenced; then nobody has a quorum. Danger:
    /// the others, who know nothing of the fence, promise not to fence it. Expectation: it does not go
    /// on with what was broken, until the store renews it.
    #[test]
    fn promises_do_not_bring_back_what_had_ended() {
        let others: BTreeSet<MemberId> = ["b1".into(), "w1".into()].into();
        let timing = Timing::default();
        let mut keeper = Keeper::default();
        keeper.on_renewal(at(1_000), Renewal::Held);
        let mut promise = |ms: u64| {
            for from in ["b1", "w1"] {
                keeper.on_promise(from.into(), at(ms), true, &others, &timing, now(ms + 5));
            }
            keeper.confirmed(&others)
        };
        assert_eq!(promise(15_990), Some(at(15_990)), "the lease of 15 s was held then");
        assert_eq!(promise(30_980), Some(at(30_980)), "and they were bound");
        assert_eq!(promise(46_000), Some(at(30_980)), "somebody may have fenced it meanwhile");
    }

    #[test]
    fn a_fenced_site_has_no_lease_until_the_store_gives_one_again() {
        let others: BTreeSet<MemberId> = ["b1".into()].into();
        let mut keeper = Keeper::default();
        keeper.on_renewal(at(1_000), Renewal::Held);
        let timing = Timing::default();
        keeper.on_promise("b1".into(), at(2_000), true, &others, &timing, now(2_000));
        keeper.on_renewal(at(3_000), Renewal::Fenced);
        assert!(keeper.is_fenced() && !keeper.asks(&Timing::default(), now(60_000)));
        keeper.on_promise("b1".into(), at(4_000), true, &others, &timing, now(4_000));
        assert_eq!(keeper.confirmed(&others), None);
        keeper.on_renewal(at(5_000), Renewal::Held);
        assert_eq!(keeper.confirmed(&others), Some(at(5_000)));
    }
}
