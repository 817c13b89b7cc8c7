//! `approval.ask`: wait for people.
//!
//! There is nothing to perform: the engine asks, journals each approval and ends the step. Here
//! it always remains to be done, and to act on it is refused, so that no path through the
//! engine can take an approval for given because an inspection or an act went well.

use super::{Context, Driver, refused};
use async_trait::async_trait;
use standfast_core::action::{Failure, Inspection};

pub(super) struct Ask<'a> {
    pub(super) role: &'a str,
    pub(super) quorum: u32,
    pub(super) message: &'a str,
}

#[async_trait]
impl Driver for Ask<'_> {
    async fn inspect(&self, _: &Context) -> Inspection {
        Inspection::Needed(format!("waits for {} of {}: {}", self.quorum, self.role, self.message))
    }

    async fn act(&self, _: &Context) -> Result<String, Failure> {
        Err(refused(format!("approval.ask is answered by {}, and is nothing to act on", self.role)))
    }
}
