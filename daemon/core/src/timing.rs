//! The numbers that decide how fast a loss is seen, and the bounds that follow from them.
//!
//! They stand in the fleet and are equal for all members. Shorter windows find a loss sooner
//! and mistake more hiccups for one: an etcd election alone may take 1.9 s.

use crate::time::Span;
use serde::{Deserialize, Serialize};
use std::cmp::max;
use std::fmt;

/// A documented preset; every single value can be set on top of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// For real sites: 23.5 s to a verdict.
    #[default]
    Default,
    /// 5.2 s to a verdict, at the risk of an unneeded one: any hiccup of 4 s is a loss.
    Fast,
}

/// Every window of detection and leadership.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// From the start of one probe round to the start of the next.
    pub interval: Span,
    /// For one probe.
    pub timeout: Span,
    /// Bad rounds in a row until a member says DOWN.
    pub fall: u32,
    /// Good rounds in a row until it takes DOWN back.
    pub rise: u32,
    /// From one published observation to the next.
    pub publish: Span,
    /// How long a majority must say DOWN before the verdict is LOST.
    pub confirm: Span,
    /// Of the leases of members and of the leader.
    pub ttl: Span,
    /// From one renewal of the leadership to the next.
    pub renew: Span,
    /// After a renewal was sent, how long the leader may start effects.
    pub validity: Span,
    /// After a renewal was sent, when the children of actions are killed.
    pub kill: Span,
    /// The oldest store transaction of an observer that still counts.
    pub freshness: Span,
    /// After this long without a new sequence number, on the leader's clock, an observer counts
    /// as silent.
    pub sequence_stale: Span,
    /// A gap in a timer above this means: step down and read everything again.
    pub gap: Span,
    /// An observer whose event loop lags more abstains.
    pub loop_lag: Span,
    /// After a run, until the next automatic one.
    pub hold_down: Span,
    /// So often a site may go down within `flaps_within`; then it is locked.
    pub flaps: u32,
    /// How long a site that went down is counted for it.
    pub flaps_within: Span,
    /// The election timeout that etcd is started with.
    pub election: Span,
    /// Of the lease of a site that has sentries.
    pub site_ttl: Span,
    /// After this long without a confirmed renewal a sentry stops what writes on its host.
    pub isolate: Span,
    /// Beyond the end of a site's lease, until that proves a fence.
    pub margin: Span,
}

impl Default for Timing {
    fn default() -> Self {
        Self::of(Profile::Default)
    }
}

impl Timing {
    /// The preset.
    pub const fn of(profile: Profile) -> Self {
        match profile {
            Profile::Default => Self {
                interval: Span::secs(2),
                timeout: Span::ms(1_500),
                fall: 5,
                rise: 15,
                publish: Span::secs(1),
                confirm: Span::secs(10),
                ttl: Span::secs(10),
                renew: Span::secs(2),
                validity: Span::ms(6_500),
                kill: Span::secs(8),
                freshness: Span::secs(5),
                sequence_stale: Span::secs(6),
                gap: Span::secs(2),
                loop_lag: Span::ms(500),
                hold_down: Span::secs(3_600),
                flaps: 3,
                flaps_within: Span::secs(1_800),
                election: Span::secs(1),
                site_ttl: Span::secs(15),
                isolate: Span::secs(9),
                margin: Span::secs(5),
            },
            Profile::Fast => Self {
                interval: Span::ms(500),
                timeout: Span::ms(400),
                fall: 3,
                rise: 15,
                publish: Span::ms(250),
                confirm: Span::secs(2),
                ttl: Span::secs(4),
                renew: Span::ms(500),
                validity: Span::secs(3),
                kill: Span::ms(3_500),
                freshness: Span::secs(4),
                sequence_stale: Span::ms(4_800),
                gap: Span::secs(2),
                loop_lag: Span::ms(500),
                hold_down: Span::secs(3_600),
                flaps: 3,
                flaps_within: Span::secs(1_800),
                election: Span::secs(1),
                site_ttl: Span::secs(4),
                isolate: Span::ms(2_500),
                margin: Span::secs(1),
            },
        }
    }

    /// Every window by its key in the fleet, as it is written there.
    pub fn values(&self) -> [(&'static str, String); 21] {
        [
            ("interval", self.interval.to_string()),
            ("timeout", self.timeout.to_string()),
            ("fall", self.fall.to_string()),
            ("rise", self.rise.to_string()),
            ("publish", self.publish.to_string()),
            ("confirm", self.confirm.to_string()),
            ("ttl", self.ttl.to_string()),
            ("renew", self.renew.to_string()),
            ("validity", self.validity.to_string()),
            ("kill", self.kill.to_string()),
            ("freshness", self.freshness.to_string()),
            ("sequence_stale", self.sequence_stale.to_string()),
            ("gap", self.gap.to_string()),
            ("loop_lag", self.loop_lag.to_string()),
            ("hold_down", self.hold_down.to_string()),
            ("flaps", self.flaps.to_string()),
            ("flaps_within", self.flaps_within.to_string()),
            ("election", self.election.to_string()),
            ("site_ttl", self.site_ttl.to_string()),
            ("isolate", self.isolate.to_string()),
            ("margin", self.margin.to_string()),
        ]
    }

    /// From the death of a site to its verdict, by what the site held.
    pub fn bounds(&self) -> Bounds {
        let [interval, timeout, publish, confirm, ttl, election] =
            [self.interval, self.timeout, self.publish, self.confirm, self.ttl, self.election]
                .map(Span::as_ms);
        let second = 1_000;
        let elections = 3 * election;
        let votes = u64::from(self.fall) * interval + timeout + publish + confirm;
        let lead = ttl + second + publish;
        let veto = ttl;
        let bound = |lead: u64, veto: u64| Span::ms(max(votes, max(lead, veto)) + second);
        Bounds {
            nobody: bound(0, veto),
            leader: bound(lead + confirm, veto),
            store_leader: bound(0, veto + elections + second),
            both: bound(lead + elections + confirm, veto + elections + second),
            // The store's new leader starts every lease anew, so one whole TTL may be added.
            in_turn: bound(lead + elections + ttl + confirm, veto + elections + second + ttl),
        }
    }

    /// What contradicts itself, by the name of the value to change.
    pub fn contradictions(&self) -> Vec<(&'static str, String)> {
        let ordered = [
            ("timeout", self.timeout, "interval", self.interval, "a round would run into the next"),
            ("renew", self.renew, "validity", self.validity, "leadership would lapse between two renewals"),
            (
                "validity",
                self.validity,
                "kill",
                self.kill,
                "an effect could start after its children are killed",
            ),
            (
                "kill",
                self.kill,
                "ttl",
                self.ttl,
                "children could outlive the lease and meet the next leader's",
            ),
            ("renew", self.renew, "freshness", self.freshness, "every observer would always be stale"),
            (
                "publish",
                self.publish,
                "sequence_stale",
                self.sequence_stale,
                "every observer would look silent",
            ),
            (
                "renew",
                self.renew,
                "isolate",
                self.isolate,
                "every site would be isolated between two renewals",
            ),
            (
                "isolate",
                self.isolate,
                "site_ttl",
                self.site_ttl,
                "the lease of a site would end before anything in it has stopped",
            ),
        ];
        let mut found: Vec<(&'static str, String)> = ordered
            .into_iter()
            .filter(|(_, small, _, large, _)| small >= large)
            .map(|(name, small, other, large, why)| {
                (name, format!("{name} ({small}) must be below {other} ({large}): {why}"))
            })
            .collect();
        let positive = [
            ("interval", self.interval),
            ("timeout", self.timeout),
            ("publish", self.publish),
            ("renew", self.renew),
            ("election", self.election),
        ];
        for (name, value) in positive {
            if value.as_ms() == 0 {
                found.push((name, format!("{name} must be above zero")));
            }
        }
        for (name, value) in [("fall", self.fall), ("rise", self.rise)] {
            if value == 0 {
                found.push((name, format!("{name} must be at least 1")));
            }
        }
        if self.flaps < 2 {
            found.push((
                "flaps",
                format!("flaps ({}) must be at least 2: the first loss is no flap", self.flaps),
            ));
        }
        // The store grants leases in whole seconds.
        for (name, ttl) in [("ttl", self.ttl), ("site_ttl", self.site_ttl)] {
            if !ttl.as_ms().is_multiple_of(1_000) {
                found.push((name, format!("{name} ({ttl}) must be whole seconds")));
            }
        }
        found
    }
}

/// Longest times from the death of a site to the verdict LOST.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// The site held no leader.
    pub nobody: Span,
    /// It held our leader.
    pub leader: Span,
    /// It held etcd's leader.
    pub store_leader: Span,
    /// It held both, lost together.
    pub both: Span,
    /// It held both, and etcd's leader died only when our leader's lease was about to end.
    pub in_turn: Span,
}

/// Seconds with one decimal, rounded up: a bound must not promise more than it holds.
pub fn tenths(span: Span) -> String {
    let tenths = span.as_ms().div_ceil(100);
    match tenths % 10 {
        0 => format!("{} s", tenths / 10),
        rest => format!("{}.{rest} s", tenths / 10),
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [nobody, leader, store, both, turn] =
            [self.nobody, self.leader, self.store_leader, self.both, self.in_turn].map(tenths);
        write!(
            f,
            "a lost site is seen within {nobody}; with our leader in it {leader}, with etcd's {store}, \
             with both {both}, with one after the other {turn}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The figures of the protocol's description.
    #[test]
    fn the_bounds_are_those_that_were_promised() {
        let slow = Timing::of(Profile::Default).bounds();
        assert_eq!(
            (slow.nobody, slow.both, slow.in_turn),
            (Span::ms(23_500), Span::secs(26), Span::secs(36))
        );
        assert_eq!((slow.leader, slow.store_leader), (Span::ms(23_500), Span::ms(23_500)));
        let fast = Timing::of(Profile::Fast).bounds();
        assert_eq!(
            fast.to_string(),
            "a lost site is seen within 5.2 s; with our leader in it 8.3 s, with etcd's 9 s, \
             with both 11.3 s, with one after the other 15.3 s"
        );
        assert_eq!(fast.nobody, Span::ms(5_150));
    }

    #[test]
    fn the_presets_agree_with_themselves() {
        for profile in [Profile::Default, Profile::Fast] {
            assert_eq!(Timing::of(profile).contradictions(), []);
        }
    }

    #[test]
    fn contradictions_are_found_by_name() {
        let timing = Timing { validity: Span::secs(9), fall: 0, ttl: Span::ms(9_500), ..Timing::default() };
        let names: Vec<_> = timing.contradictions().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["validity", "fall", "ttl"]);
    }
}
