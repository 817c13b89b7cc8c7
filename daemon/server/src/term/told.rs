//! What is written of wishes and orders: their answers, what is kept of them, and the audit.

use super::{Input, Run};
use crate::clock;
use crate::records::{self, Answered, FLAPS, FREEZE, MAINTENANCE, MOVES, SWITCHES};
use crate::store::Op;
use standfast_core::audit::Fact;
use standfast_core::controller::{Keep, Subject};
use standfast_core::engine::Refusal;
use tokio::task::JoinHandle;

impl Run {
    /// What writes an answer, and what the audit has to say of it. That a run began, or did what it
    /// was asked for, its journal says.
    pub(super) fn answer(
        &mut self,
        request: &str,
        answer: Result<Option<Subject>, Refusal>,
    ) -> (Vec<Op>, Vec<Fact>) {
        let ops = answer_ops(request, answer.clone());
        let asked = self.asked.get_mut(request).and_then(Option::take);
        let told = matches!(&answer, Ok(Some(subject)) if !subject.existed);
        let fact = asked.filter(|_| !told).map(|(by, ask)| {
            let refused = match answer {
                Ok(subject) => subject.map(|subject| format!("that is {} already", subject.run)),
                Err(refusal) => Some(refusal.message),
            };
            Fact::Asked { by, ask: Box::new(ask), refused }
        });
        (ops, fact.into_iter().collect())
    }

    /// Stores what is kept, after all that was to be stored before.
    pub(super) fn keep(&mut self, keep: &Keep, request: Option<&str>) {
        let (mut ops, mut facts) = request.map(|request| self.answer(request, Ok(None))).unwrap_or_default();
        if *keep == Keep::Freeze(None) && request.is_none() {
            facts.push(Fact::Thawed);
        }
        if let Keep::Flaps { locked, .. } = keep {
            facts.extend(locked.iter().map(Fact::from));
        }
        ops.push(match keep {
            Keep::Freeze(Some(freeze)) => Op::put(FREEZE, records::encode(freeze)),
            Keep::Freeze(None) => Op::delete(FREEZE),
            Keep::Flaps { flaps, .. } => Op::put(FLAPS, records::encode(flaps)),
            Keep::Maintenance(sites) => Op::put(MAINTENANCE, records::encode(sites)),
            Keep::Moves(moves) => Op::put(MOVES, records::encode(moves)),
            Keep::Switches(switches) => Op::put(SWITCHES, records::encode(switches)),
        });
        self.ordered(ops, facts);
    }

    /// Writes after everything of this kind that was to be written before.
    pub(super) fn ordered(&mut self, ops: Vec<Op>, facts: Vec<Fact>) {
        let (guarded, before) = (self.deps.guarded.clone(), self.keeping.take());
        self.keeping = Some(self.beside(async move {
            settled(before).await;
            guarded.tell(ops, facts).await.err().map(Input::Lost)
        }));
    }
}

/// A write that was begun is over. One that panicked has written nothing.
pub(super) async fn settled(before: Option<JoinHandle<()>>) {
    if let Some(before) = before {
        let _ = before.await;
    }
}

fn answer_ops(request: &str, answer: Result<Option<Subject>, Refusal>) -> Vec<Op> {
    let answered = Answered::new(answer, clock::wall_ms());
    vec![Op::put(records::answer(request), records::encode(&answered)), Op::delete(records::ask(request))]
}
