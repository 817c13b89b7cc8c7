//! `approval.ask`: wait for people.
//!
//! There is nothing to perform. The engine asks, journals each approval, and hands those who
//! gave one to the inspection; enough of them satisfy it. To act on it is refused, so that no
//! path through the engine can take an approval for given because its act went well.

use super::{Context, Driver, refused};
use async_trait::async_trait;
use standfast_core::action::{Failure, Inspection};
use std::collections::BTreeSet;

pub(super) struct Ask<'a> {
    pub(super) role: &'a str,
    pub(super) quorum: u32,
    pub(super) message: &'a str,
}

#[async_trait]
impl Driver for Ask<'_> {
    async fn inspect(&self, cx: &Context) -> Inspection {
        let people: BTreeSet<_> = cx.approved_by.iter().map(|person| person.as_str()).collect();
        let (have, Ask { role, quorum, message }) = (people.len(), self);
        let names = people.into_iter().collect::<Vec<_>>().join(", ");
        // Nobody's approval is none, whatever the plan asks for.
        if have > 0 && have >= *quorum as usize {
            Inspection::Satisfied(format!("approved by {names}"))
        } else {
            Inspection::Needed(format!("waits for {quorum} of {role}, has {have}: {message}"))
        }
    }

    async fn act(&self, _: &Context) -> Result<String, Failure> {
        Err(refused(format!("approval.ask is answered by {}, and is nothing to act on", self.role)))
    }
}
