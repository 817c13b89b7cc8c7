//! Looking at a plan from everywhere: every live member sees what it would touch, read-only.
//!
//! There is no connection from member to member, and none is added: the request is written into
//! the store and so are the answers, all on one short lease, so that nothing of it stays. Whoever
//! asks looks itself without asking the store; what others see is added as it comes.

mod acting;
mod aged;
mod answer;
mod ask;
mod history;
mod survey;

pub use acting::{Act, Acting};
pub use aged::aged;
pub use answer::follow;
pub use history::history;

use crate::condition::Env;
use crate::lead::Me;
use crate::store::Store;
use standfast_core::bundle::Bundle;
use standfast_core::look::View;
use standfast_core::plan::Plan;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// For everything that one member looks at. Callers wait a minute.
pub const WITHIN: Duration = Duration::from_secs(40);

/// What looking needs. Cheap to clone.
#[derive(Clone)]
pub struct Looker {
    /// Who this member is.
    pub me: Me,
    /// The store.
    pub store: Arc<dyn Store>,
    /// What conditions and actions need.
    pub env: Env,
    /// The current bundle, as this member knows it.
    pub bundle: watch::Receiver<Option<Arc<Bundle>>>,
}

impl Looker {
    /// What this member sees of `plan`, made of `bundle`, within `within`.
    async fn see(&self, bundle: &Bundle, plan: &Plan, within: Duration) -> View {
        let heard_ms = (self.env.wall_ms)();
        let seen =
            survey::survey(bundle, plan, &self.env, self.me.id.as_str(), Instant::now() + within).await;
        View {
            member: self.me.id.clone(),
            site: self.me.site.clone(),
            bundle: Some(bundle.digest.clone()),
            declined: None,
            heard_ms,
            answered_ms: (self.env.wall_ms)(),
            require: seen.require,
            steps: seen.steps,
            servers: seen.servers,
            troubles: seen.troubles,
        }
    }
}
