//! What is kept of a run that a person wanted and did not get, so that `why-not` tells it later.

use super::{About, Controller, Effect, Refused, Unmet};
use crate::engine::Refusal;
use crate::guard::Guard;
use crate::ids::{Identity, SiteId};
use crate::plan::Request;
use crate::time::{Now, Span};
use crate::verdict::{Finding, Verdict};

impl Controller {
    /// Notes that a rule refused the run that `by` wanted. A mistake in the wish is none.
    pub(super) fn note_refused(
        &self,
        by: &Identity,
        wanted: &Request,
        refusal: &Refusal,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let guard = match &refusal.about {
            Some(About::Guard(guard)) => Some(*guard),
            Some(About::Run(_)) => Some(Guard::Locks),
            Some(About::Unmet(unmet)) => unmet.iter().find_map(Unmet::guard),
            _ => return,
        };
        let Request { playbook, from, to, .. } = wanted;
        effects.push(Effect::Refused(Box::new(Refused {
            site: from.clone(),
            wall_ms: now.wall_ms,
            guard,
            reason: format!("{by} wanted {playbook} from {from} to {to}: {}", refusal.message),
            finding: self.known_of(from),
            wanted: Some(wanted.clone()),
        })));
    }

    /// What the last judgement says of a site.
    fn known_of(&self, site: &SiteId) -> Finding {
        let judged = self.judgement.sites.iter().find(|judged| judged.finding.site == *site);
        judged.map(|judged| judged.finding.clone()).unwrap_or_else(|| Finding {
            site: site.clone(),
            verdict: Verdict::Unknown,
            held_for: Span::default(),
            confirmed: Span::default(),
            needed: 0,
            votes: Vec::new(),
            inside: Vec::new(),
        })
    }
}
