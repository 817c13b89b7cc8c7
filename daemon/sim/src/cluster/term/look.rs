//! Whether what `on_loss` names could run: the leader has it looked at, as the daemon does.

use super::Leading;
use crate::cluster::Cluster;
use standfast_core::controller::Input as Ctl;
use standfast_core::ids::SiteId;
use standfast_core::readiness::{Readiness, Standing};
use standfast_core::rules::OnLoss;
use standfast_core::time::{Now, Span};

impl Cluster<'_> {
    /// Looks, when it is time, where the fleet asks for it. While a site is not reached nobody looks at
    /// its playbook.
    pub(super) fn look(&mut self, member: usize) {
        let bundle = self.cases[self.members[member].case].bundle.clone();
        let (rules, now) = (bundle.rules(), self.now(member));
        let every = rules.readiness.every.0;
        let due = |leading: &&mut Leading| leading.looked.is_none_or(|at| now.mono.since(at) >= every);
        if !rules.readiness.required || self.members[member].leading.as_mut().filter(due).is_none() {
            return;
        }
        let ready = self.unready == 0;
        for entry in &rules.on_loss {
            let place = |site: &SiteId| self.case.targets.site(site);
            if [&entry.site, &entry.to].into_iter().all(|site| self.reaches(member, place(site))) {
                self.judge.told.looked(&entry.site, ready, self.clock.elapsed());
                let found = found(entry, bundle.digest.clone(), ready, now);
                self.control(member, Ctl::Looked(Box::new(found)));
            }
        }
        if let Some(leading) = &mut self.members[member].leading {
            leading.looked = Some(now.mono);
        }
    }
}

fn found(entry: &OnLoss, bundle: standfast_core::ids::Digest, ready: bool, now: Now) -> Readiness {
    let (standing, errors, worst) = match ready {
        true => (Standing::Ready, 0, String::new()),
        false => (Standing::NotReady, 1, "a password is wrong".into()),
    };
    Readiness {
        site: entry.site.clone(),
        playbook: entry.playbook.clone(),
        to: entry.to.clone(),
        bundle,
        standing,
        errors,
        warnings: 0,
        worst,
        looked_wall_ms: now.wall_ms,
        since_wall_ms: now.wall_ms,
        age: Span::default(),
    }
}
