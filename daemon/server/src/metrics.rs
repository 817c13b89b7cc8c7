//! What `/metrics` shows: families `standfast_*`, set through typed methods.
//!
//! Labels are names from the fleet and from fixed lists, so that the number of series is
//! bounded by the fleet. Ids of runs never become labels.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};
use standfast_core::readiness::Ready;

/// The content type of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The verdicts on a site, as label values.
pub const VERDICTS: [&str; 5] = ["healthy", "degraded", "partitioned", "lost", "unknown"];

/// The guard label of a site on whose loss no guard would refuse to act.
pub const NO_GUARD: &str = "none";

/// The votes, with the value that `standfast_vote` shows for each.
pub const VOTES: [(&str, i64); 4] = [("abstain", 0), ("up", 1), ("degraded", 2), ("down", 3)];

type FloatGauge = Gauge<f64, AtomicU64>;
type Timings<S> = Family<S, Histogram, Seconds>;

/// The metrics of this process. Cheap to clone: all clones set the same values.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    registry: Registry,
    leader: Gauge,
    epoch: Gauge,
    lag: FloatGauge,
    verdict: Family<VerdictOf, Gauge>,
    vote: Family<VoteOn, Gauge>,
    would_act: Family<GuardOf, Gauge>,
    survives: Family<SiteOf, Gauge>,
    /// Guards that were ever shown of a site: those that refuse no longer are set to 0.
    guards: Mutex<BTreeMap<String, BTreeSet<String>>>,
    probe_seconds: Timings<ProbeOf>,
    probe_results: Family<ProbeResult, Counter>,
    runs: Family<RunsIn, Gauge>,
    steps: Family<StepsOf, Counter>,
    store_seconds: Timings<StoreOp>,
    store_errors: Family<StoreError, Counter>,
    certificate_expires: Family<CertificateIn, Gauge>,
    ready: Family<ReadyOf, Gauge>,
    readiness_age: Family<ReadyOf, FloatGauge>,
    findings: Family<FindingOf, Gauge>,
    /// Findings that were ever shown: those that are gone are set to 0.
    found: Mutex<BTreeSet<[String; 3]>>,
}

macro_rules! labels {
    ($($name:ident { $($label:ident),+ })+) => {$(
        #[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
        struct $name { $($label: String),+ }
        impl $name {
            fn new($($label: &str),+) -> Self {
                Self { $($label: $label.to_owned()),+ }
            }
        }
    )+};
}

labels! {
    VerdictOf { site, verdict }
    VoteOn { site, voter }
    GuardOf { site, guard }
    SiteOf { site }
    ProbeOf { site, kind }
    ProbeResult { site, kind, result }
    RunsIn { state }
    StepsOf { action, outcome }
    StoreOp { operation }
    StoreError { operation, error }
    CertificateIn { file }
    ReadyOf { site, playbook }
    FindingOf { playbook, finding, severity }
}

/// Buckets from 0.5 ms (a local answer) to 16 s (past every probe's timeout).
#[derive(Clone, Debug)]
struct Seconds;

impl MetricConstructor<Histogram> for Seconds {
    fn new_metric(&self) -> Histogram {
        Histogram::new((0..16).map(|power| 0.000_5 * f64::from(1_u32 << power)))
    }
}

impl Metrics {
    /// All families, registered and empty.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("standfast");
        let r = &mut registry;
        let inner = Inner {
            leader: add(r, "leader", "1 if this member leads", Gauge::default()),
            epoch: add(r, "epoch", "The epoch that this member led last", Gauge::default()),
            lag: add(
                r,
                "event_loop_lag_seconds",
                "How late the event loop's last timer came",
                FloatGauge::default(),
            ),
            verdict: add(r, "verdict", "1 for the present verdict on the site", Family::default()),
            vote: add(
                r,
                "vote",
                "What the voting site thinks of the site: 0 abstain, 1 up, 2 degraded, 3 down",
                Family::default(),
            ),
            would_act: add(
                r,
                "would_act",
                "1 for each guard that would refuse now, were the site lost; none: none would",
                Family::default(),
            ),
            survives: add(
                r,
                "survives",
                "1 if Standfast and a way to reach people would be left, were the site gone now",
                Family::default(),
            ),
            guards: Mutex::default(),
            probe_seconds: add(r, "probe_duration_seconds", "Time to an answer", timings()),
            probe_results: add(r, "probe_results", "Answers to probes", Family::default()),
            runs: add(r, "runs", "Live runs in this state", Family::default()),
            steps: add(r, "steps", "Attempts at steps, by outcome", Family::default()),
            store_seconds: add(r, "store_duration_seconds", "Time of a store request", timings()),
            store_errors: add(r, "store_errors", "Store requests that failed", Family::default()),
            certificate_expires: add(
                r,
                "certificate_expires_timestamp_seconds",
                "When the certificate in use ends (seconds since 1970)",
                Family::default(),
            ),
            ready: add(
                r,
                "ready",
                "1 if the last look found that the playbook for the loss of the site could run, and counts still",
                Family::default(),
            ),
            readiness_age: add(
                r,
                "readiness_age_seconds",
                "How old the last look at the playbook for the loss of the site is",
                Family::default(),
            ),
            findings: add(
                r,
                "readiness_findings",
                "What the last looks found in the way of the playbook, by kind and severity",
                Family::default(),
            ),
            found: Mutex::default(),
            registry,
        };
        Self(Arc::new(inner))
    }

    /// Whether this member leads.
    pub fn set_leader(&self, leads: bool) {
        self.0.leader.set(leads.into());
    }

    /// The epoch of the term.
    pub fn set_epoch(&self, epoch: u64) {
        self.0.epoch.set(whole(epoch));
    }

    /// How late the event loop's last timer came.
    pub fn set_event_loop_lag(&self, lag: Duration) {
        self.0.lag.set(lag.as_secs_f64());
    }

    /// The verdict on a site, one of [`VERDICTS`]; the other verdicts become 0.
    pub fn set_verdict(&self, site: &str, verdict: &str) {
        debug_assert!(VERDICTS.contains(&verdict), "{verdict} is no verdict");
        for name in VERDICTS {
            let gauge = self.0.verdict.get_or_create(&VerdictOf::new(site, name));
            gauge.set((name == verdict).into());
        }
    }

    /// What the site `voter` thinks of `site`, one of [`VOTES`]. Any other word counts as
    /// an abstention: absence of knowledge is neither up nor down.
    pub fn set_vote(&self, site: &str, voter: &str, vote: &str) {
        let value = VOTES.iter().find(|(name, _)| *name == vote).map_or(0, |(_, value)| *value);
        self.0.vote.get_or_create(&VoteOn::new(site, voter)).set(value);
    }

    /// Shows no verdicts, votes, guards and runs: another member leads now.
    pub fn forget_judgement(&self) {
        self.0.verdict.clear();
        self.0.vote.clear();
        self.0.would_act.clear();
        self.0.runs.clear();
        self.set_ready(&[]);
        self.0.findings.clear();
        self.0.found.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.0.guards.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The guards that would refuse to act on the loss of `site` now; none of them:
    /// the guard [`NO_GUARD`] is shown as 1.
    pub fn set_would_act<'g>(&self, site: &str, refusing: impl IntoIterator<Item = &'g str>) {
        let mut refusing: BTreeSet<&str> = refusing.into_iter().collect();
        if refusing.is_empty() {
            refusing.insert(NO_GUARD);
        }
        let mut guards = self.0.guards.lock().unwrap_or_else(PoisonError::into_inner);
        let shown = guards.entry(site.to_owned()).or_default();
        shown.insert(NO_GUARD.to_owned());
        shown.extend(refusing.iter().map(|guard| (*guard).to_owned()));
        for guard in shown.iter() {
            let gauge = self.0.would_act.get_or_create(&GuardOf::new(site, guard));
            gauge.set(refusing.contains(guard.as_str()).into());
        }
    }

    /// For every site of the fleet, whether we would survive its loss; other sites are forgotten.
    pub fn set_survives<'s>(&self, sites: impl IntoIterator<Item = (&'s str, bool)>) {
        self.0.survives.clear();
        for (site, survives) in sites {
            self.0.survives.get_or_create(&SiteOf::new(site)).set(survives.into());
        }
    }

    /// Whether the playbooks for the loss of sites could run, and how old the looks are that say
    /// so; those that are not named are forgotten.
    pub fn set_ready(&self, all: &[Ready]) {
        self.0.ready.clear();
        self.0.readiness_age.clear();
        for one in all {
            let labels = ReadyOf::new(one.site.as_str(), one.playbook.as_str());
            if let Some(age) = one.age {
                self.0.readiness_age.get_or_create(&labels).set(age.0.as_secs_f64());
            }
            self.0.ready.get_or_create(&labels).set(one.ready.into());
        }
    }

    /// How many findings there are by playbook, kind and severity; those that were there before and
    /// are not named become 0.
    pub fn set_findings(&self, findings: &BTreeMap<[String; 3], u64>) {
        let mut found = self.0.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.extend(findings.keys().cloned());
        for labels @ [playbook, finding, severity] in found.iter() {
            let gauge = self.0.findings.get_or_create(&FindingOf::new(playbook, finding, severity));
            gauge.set(whole(findings.get(labels).copied().unwrap_or(0)));
        }
    }

    /// One answer to a probe; `kind` is the condition's (`http.get`), `result` a fixed
    /// word (`up`, `down`, `timeout`).
    pub fn probed(&self, site: &str, kind: &str, result: &str, took: Duration) {
        let seconds = took.as_secs_f64();
        self.0.probe_seconds.get_or_create(&ProbeOf::new(site, kind)).observe(seconds);
        self.0.probe_results.get_or_create(&ProbeResult::new(site, kind, result)).inc();
    }

    /// How many runs are in `state`.
    pub fn set_runs(&self, state: &str, count: u64) {
        self.0.runs.get_or_create(&RunsIn::new(state)).set(whole(count));
    }

    /// One attempt at a step came to an end.
    pub fn stepped(&self, action: &str, outcome: &str) {
        self.0.steps.get_or_create(&StepsOf::new(action, outcome)).inc();
    }

    /// One request to the store, answered or not.
    pub fn stored(&self, operation: &str, took: Duration) {
        let seconds = took.as_secs_f64();
        self.0.store_seconds.get_or_create(&StoreOp::new(operation)).observe(seconds);
    }

    /// A store request failed; `error` is a fixed word (`unavailable`, `timeout`).
    pub fn store_failed(&self, operation: &str, error: &str) {
        self.0.store_errors.get_or_create(&StoreError::new(operation, error)).inc();
    }

    /// When the certificate in `file` ends, in seconds since 1970.
    pub fn set_certificate_expiry(&self, file: &str, seconds: i64) {
        self.0.certificate_expires.get_or_create(&CertificateIn::new(file)).set(seconds);
    }

    /// The text that `/metrics` answers, in the OpenMetrics format ([`CONTENT_TYPE`]).
    pub fn encode(&self) -> String {
        let mut out = String::new();
        text::encode(&mut out, &self.0.registry).expect("writing to a String does not fail");
        out
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

fn add<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M {
    registry.register(name, help, metric.clone());
    metric
}

fn timings<S: Clone + std::hash::Hash + Eq>() -> Timings<S> {
    Family::new_with_constructor(Seconds)
}

fn whole(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use standfast_core::time::Span;

    #[test]
    fn one_verdict_is_1_and_the_others_are_0() {
        let metrics = Metrics::new();
        metrics.set_verdict("a", "healthy");
        metrics.clone().set_verdict("a", "lost");
        let text = metrics.encode();
        assert!(text.contains("standfast_verdict{site=\"a\",verdict=\"lost\"} 1\n"), "{text}");
        assert!(text.contains("standfast_verdict{site=\"a\",verdict=\"healthy\"} 0\n"), "{text}");
        assert_eq!(text.matches("standfast_verdict{").count(), VERDICTS.len());
    }

    #[test]
    fn a_finding_that_is_gone_goes_to_0() {
        let metrics = Metrics::new();
        let labels = ["shop", "privilege", "error"].map(str::to_owned);
        let line =
            "standfast_readiness_findings{playbook=\"shop\",finding=\"privilege\",severity=\"error\"} ";
        metrics.set_findings(&BTreeMap::from([(labels, 2)]));
        assert!(metrics.encode().contains(&format!("{line}2\n")), "{}", metrics.encode());
        metrics.set_findings(&BTreeMap::new());
        assert!(metrics.encode().contains(&format!("{line}0\n")), "{}", metrics.encode());
        metrics.forget_judgement();
        assert!(!metrics.encode().contains("privilege"));
    }

    #[test]
    fn readiness_is_shown_with_its_age_as_long_as_the_fleet_asks_for_it() {
        let metrics = Metrics::new();
        let ready = |playbook: &str, age| Ready {
            site: "a".into(),
            playbook: playbook.into(),
            ready: age == Some(Span::secs(90)),
            age,
        };
        metrics.set_ready(&[ready("old", None)]);
        assert!(!metrics.encode().contains("readiness_age_seconds{"), "nobody has looked");
        metrics.set_ready(&[ready("shop", Some(Span::secs(90)))]);
        let text = metrics.encode();
        assert!(text.contains("standfast_ready{site=\"a\",playbook=\"shop\"} 1\n"), "{text}");
        let age = "standfast_readiness_age_seconds{site=\"a\",playbook=\"shop\"} 90.0\n";
        assert!(text.contains(age) && !text.contains("old\""), "{text}");
    }

    #[test]
    fn a_guard_that_refuses_no_longer_goes_to_0() {
        let metrics = Metrics::new();
        let shown = |guard: &str| {
            let line = format!("standfast_would_act{{site=\"a\",guard=\"{guard}\"}} ");
            let text = metrics.encode();
            text.lines().find_map(|l| l.strip_prefix(&line).map(str::to_owned))
        };
        metrics.set_would_act("a", ["G02", "G07"]);
        assert_eq!(shown("G02").as_deref(), Some("1"));
        assert_eq!(shown("none").as_deref(), Some("0"));
        metrics.set_would_act("a", ["G07"]);
        assert_eq!(shown("G02").as_deref(), Some("0"));
        assert_eq!(shown("G07").as_deref(), Some("1"));
        metrics.set_would_act("a", []);
        assert_eq!(shown("G07").as_deref(), Some("0"));
        assert_eq!(shown("none").as_deref(), Some("1"));
    }

    #[test]
    fn sites_that_are_gone_from_the_fleet_are_gone_from_the_metrics() {
        let metrics = Metrics::new();
        metrics.set_survives([("a", true), ("old", false)]);
        metrics.set_survives([("a", false)]);
        let text = metrics.encode();
        assert!(text.contains("standfast_survives{site=\"a\"} 0\n"), "{text}");
        assert!(!text.contains("old"), "{text}");
    }

    #[test]
    fn who_leads_no_more_shows_no_judgement() {
        let metrics = Metrics::new();
        metrics.set_verdict("a", "healthy");
        metrics.set_vote("a", "w", "up");
        metrics.set_would_act("a", ["G08"]);
        metrics.forget_judgement();
        let text = metrics.encode();
        assert!(!text.contains("site=\"a\""), "{text}");
        metrics.set_would_act("a", []);
        assert!(!metrics.encode().contains("G08"), "nor does the next term");
    }

    #[test]
    fn every_family_is_shown_with_prefix_and_value() {
        let metrics = Metrics::new();
        metrics.set_leader(true);
        metrics.set_epoch(42);
        metrics.set_event_loop_lag(Duration::from_millis(250));
        metrics.set_vote("a", "w", "down");
        metrics.set_vote("b", "w", "no such word");
        metrics.probed("a", "http.get", "up", Duration::from_millis(3));
        metrics.set_runs("running", 2);
        metrics.stepped("dns.set", "done");
        metrics.stored("txn", Duration::from_millis(2));
        metrics.store_failed("txn", "timeout");
        metrics.set_certificate_expiry("tls.cert", 1_900_000_000);
        let text = metrics.encode();
        for line in [
            "standfast_leader 1",
            "standfast_epoch 42",
            "standfast_event_loop_lag_seconds 0.25",
            "standfast_vote{site=\"a\",voter=\"w\"} 3",
            "standfast_vote{site=\"b\",voter=\"w\"} 0",
            "standfast_probe_duration_seconds_bucket{le=\"0.004\",site=\"a\",kind=\"http.get\"} 1",
            "standfast_probe_results_total{site=\"a\",kind=\"http.get\",result=\"up\"} 1",
            "standfast_runs{state=\"running\"} 2",
            "standfast_steps_total{action=\"dns.set\",outcome=\"done\"} 1",
            "standfast_store_duration_seconds_count{operation=\"txn\"} 1",
            "standfast_store_errors_total{operation=\"txn\",error=\"timeout\"} 1",
            "standfast_certificate_expires_timestamp_seconds{file=\"tls.cert\"} 1900000000",
            "# EOF",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is missing in\n{text}");
        }
    }
}
