//! Sentries: what stops the hosts of a site that is cut off.

use crate::decode::{Object, Value};
use crate::ids::{Digest, SentryId, ServiceId, SiteId};
use crate::site_lease::Guarding;
use crate::source::{Place, Spanned};
use crate::time::Span;
use std::collections::BTreeMap;

/// A sentry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sentry {
    /// Where its name stands.
    pub at: Place,
    /// Where its host stands.
    pub site: Spanned<SiteId>,
    /// The services that it stops.
    pub guards: Vec<Spanned<ServiceId>>,
    /// Run when the site's lease was not renewed in time.
    pub on_isolation: Vec<LocalStep>,
    /// Run when it is renewed again.
    pub on_rejoin: Vec<LocalStep>,
}

/// A command on the sentry's own host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalStep {
    /// Program and arguments.
    pub run: Vec<String>,
    /// After this it is killed, and has failed.
    pub timeout: Span,
}

impl Sentry {
    pub(super) fn build(at: Place, object: &Object) -> Option<Self> {
        let site = object.spanned_text("site")?;
        let steps = |key| object.list(key).iter().filter_map(|item| LocalStep::build(&item.value)).collect();
        Some(Self {
            at,
            site: Spanned::new(site.value.into(), site.at),
            guards: object
                .texts("guards")
                .into_iter()
                .map(|text| Spanned::new(text.value.into(), text.at))
                .collect(),
            on_isolation: steps("on_isolation"),
            on_rejoin: steps("on_rejoin"),
        })
    }

    /// The longest that isolation may take: one step after the other, each its whole time.
    pub fn time_to_isolate(&self) -> Span {
        self.on_isolation.iter().map(|step| step.timeout.0).sum::<std::time::Duration>().into()
    }

    /// Names its steps and when it begins with them: two sentries of the same digest do the same.
    pub fn steps(&self, isolate: Span) -> Digest {
        let words = |steps: &[LocalStep]| {
            let line = |step: &LocalStep| format!("{:?} {}", step.run, step.timeout.as_ms());
            steps.iter().map(line).collect::<Vec<_>>().join("\n")
        };
        let (out, back) = (words(&self.on_isolation), words(&self.on_rejoin));
        let isolate = isolate.as_ms().to_be_bytes();
        Digest::of([out.as_bytes(), back.as_bytes(), &isolate])
    }
}

impl LocalStep {
    fn build(value: &Value) -> Option<Self> {
        let object = value.object()?;
        let run = object.texts("run").into_iter().map(|word| word.value).collect();
        Some(Self { run, timeout: object.span("timeout")? })
    }
}

/// What those who decide must know of them.
pub(super) fn by_site(
    sentries: &BTreeMap<SentryId, Sentry>,
    isolate: Span,
) -> BTreeMap<SiteId, BTreeMap<SentryId, Guarding>> {
    let mut sites: BTreeMap<SiteId, BTreeMap<SentryId, Guarding>> = BTreeMap::new();
    for (name, sentry) in sentries {
        let services = sentry.guards.iter().map(|service| service.value.clone()).collect();
        let guarding = Guarding { steps: sentry.steps(isolate), services };
        sites.entry(sentry.site.value.clone()).or_default().insert(name.clone(), guarding);
    }
    sites
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Situation: the fleet's windows grow shorter, and the host still has the file of before. Danger:
    /// its sentry begins later than the end of the lease proves.
    #[test]
    fn a_sentry_that_begins_at_another_time_is_another_one() {
        let at = Place { file: 0, start: 0, end: 0 };
        let step = LocalStep { run: vec!["stop".into()], timeout: Span::secs(1) };
        let sentry = Sentry {
            at,
            site: Spanned::new("a".into(), at),
            guards: Vec::new(),
            on_isolation: vec![step],
            on_rejoin: Vec::new(),
        };
        assert_eq!(sentry.steps(Span::secs(9)), sentry.clone().steps(Span::secs(9)));
        assert_ne!(sentry.steps(Span::secs(9)), sentry.steps(Span::ms(2_500)));
    }
}
