//! One seed, told step by step.

use standfast_core::ids::{Epoch, StepId};
use standfast_core::journal::Event;
use standfast_core::time::Span;
use std::time::Duration;

/// Who says a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Teller {
    /// The journal.
    Journal,
    /// What happens in the world.
    World,
    /// Who leads.
    Leader,
    /// A person.
    Person,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Line {
    /// Since the run was begun, in milliseconds.
    #[serde(rename = "at_ms")]
    pub at: Span,
    /// Who says it.
    pub teller: Teller,
    /// The step that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<StepId>,
    /// What happened, as one word, for entries of the journal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// Under which leader.
    pub epoch: Epoch,
    /// In one sentence.
    pub text: String,
}

/// Everything that happened, in order; or nothing, where nobody listens.
#[derive(Debug, Default)]
pub(super) struct Story {
    lines: Option<Vec<Line>>,
}

impl Story {
    pub(super) fn told() -> Self {
        Self { lines: Some(Vec::new()) }
    }

    pub(super) fn lines(self) -> Vec<Line> {
        self.lines.unwrap_or_default()
    }

    /// An entry that is durable.
    pub(super) fn entry(&mut self, event: &Event, at: Duration) {
        if let Some(lines) = &mut self.lines {
            let body = serde_json::to_value(&event.body).ok();
            let name = body.and_then(|body| body.get("event")?.as_str().map(str::to_owned));
            lines.push(Line {
                at: at.into(),
                teller: Teller::Journal,
                step: event.step().cloned(),
                event: name,
                epoch: event.epoch,
                text: event.sentence(),
            });
        }
    }

    /// Something that no journal knows. The text is made only where somebody listens.
    pub(super) fn say(
        &mut self,
        at: Duration,
        teller: Teller,
        epoch: Epoch,
        step: Option<&StepId>,
        text: impl FnOnce() -> String,
    ) {
        if let Some(lines) = &mut self.lines {
            lines.push(Line { at: at.into(), teller, step: step.cloned(), event: None, epoch, text: text() });
        }
    }
}
