//! What a person may type about a run as it stands.

use super::Story;
use standfast_core::action::{Action, FenceProof};
use standfast_core::ids::StepId;
use standfast_core::journal::{Block, BlockKind};
use standfast_core::run::State;

/// All of it: what it waits for, or else how to look at it.
pub(crate) fn commands(story: &Story) -> Vec<String> {
    let run = &story.run;
    let mut commands = match run.state() {
        State::Proposed => proposed(story),
        State::Paused => paused(story),
        State::Ended(_) => return vec![format!("standfast run report {}", run.id)],
        State::Running | State::Blocked | State::RollingBack => Vec::new(),
    };
    commands.extend(run.blocks.values().flat_map(|block| unblock(story, block)));
    commands.extend(story.asking().map(|(step, ..)| approve(story, step)));
    if commands.is_empty() {
        commands.push(format!("standfast run watch {}", run.id));
    }
    commands
}

/// For a run that waits to be let start.
pub(crate) fn proposed(story: &Story) -> Vec<String> {
    let id = &story.run.id;
    vec![
        format!("standfast run approve {id} --reason ..."),
        format!("standfast run reject {id} --reason ..."),
    ]
}

/// For a run that somebody holds.
pub(crate) fn paused(story: &Story) -> Vec<String> {
    let id = &story.run.id;
    let mut commands = vec![format!("standfast run resume {id}")];
    commands.extend(rollback(story));
    commands.push(format!("standfast run abort {id} --reason ..."));
    commands
}

/// Where there is a way back.
fn rollback(story: &Story) -> Option<String> {
    let run = &story.run;
    run.no_way_back().is_none().then(|| format!("standfast run rollback {} --reason ...", run.id))
}

/// For a step that asks people.
pub(crate) fn approve(story: &Story, step: &StepId) -> String {
    format!("standfast run approve {} --step {step} --reason ...", story.run.id)
}

/// For a block: the word of a person where it helps, another try, giving up.
pub(crate) fn unblock(story: &Story, block: &Block) -> Vec<String> {
    let run = &story.run;
    let Some(step) = &block.step else {
        let waivable = run.plan.require.iter().any(|require| require.override_by.is_some());
        let approve = waivable.then(|| format!("standfast run approve {} --reason ...", run.id));
        return approve.into_iter().chain([format!("standfast run retry {}", run.id)]).collect();
    };
    let action = run.step_index(step).map(|at| &run.plan.steps[at].action);
    let fence = matches!(action, Some(Action::FenceProve { .. }));
    let word = matches!(
        action,
        Some(Action::FenceProve { any_of, .. })
            if any_of.iter().any(|proof| matches!(proof, FenceProof::OperatorWord { .. }))
    );
    let mut commands = vec![format!("standfast run retry {} --step {step}", run.id)];
    if word {
        commands.push(approve(story, step));
    } else if !fence && block.kind != BlockKind::Requirement {
        commands.push(format!("standfast run skip {} --step {step} --reason ...", run.id));
    }
    commands.extend(rollback(story));
    commands
}
