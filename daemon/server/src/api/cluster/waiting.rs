//! What waits for people, and what to type.

use super::super::runs::{Story, next};
use super::super::state::State;
use super::super::wire;
use standfast_core::ids::{Identity, SiteId};
use standfast_core::rules::Rules;
use standfast_core::run::State as RunState;
use standfast_proto::v1::{self, Verdict, WaitingItem, WaitingKind};

/// Commands that are shown.
const SHOWN: usize = 5;

/// Everything that waits, oldest first, and the commands that help most.
pub(super) fn list(
    stories: &[Story],
    sites: &[v1::Site],
    rules: Option<&Rules>,
    caller: &Identity,
    state: &State,
) -> (Vec<WaitingItem>, Vec<String>) {
    let mut items: Vec<WaitingItem> = stories.iter().flat_map(of_run).collect();
    items.extend(sites.iter().filter_map(|site| of_site(site, rules)));
    for item in &mut items {
        item.for_me = match item.role.as_str() {
            "" => true,
            role => rules.is_some_and(|rules| rules.has_role(caller, role)),
        };
    }
    // What began first has waited longest; what has no beginning comes last.
    items.sort_by_key(|item| item.since.map_or((1, 0, 0), |at| (0, at.seconds, at.nanos)));
    let mine = items.iter().filter(|item| item.for_me).chain(items.iter().filter(|item| !item.for_me));
    let mut commands: Vec<String> = Vec::new();
    for command in mine.flat_map(|item| &item.commands) {
        if !commands.contains(command) {
            commands.push(command.clone());
        }
    }
    let watches = stories.iter().filter(|story| story.run.state() == RunState::Running);
    commands.extend(watches.map(|story| format!("standfast run watch {}", story.run.id)));
    if rules.is_none() {
        commands.push("standfast apply DIRECTORY".to_owned());
    }
    if state.leader.is_none() {
        commands.push("standfast member list".to_owned());
    }
    commands.extend(state.freeze.as_ref().map(|_| "standfast thaw --reason ...".to_owned()));
    let ill = sites.iter().filter(|site| matches!(site.verdict(), Verdict::Lost | Verdict::Degraded));
    commands.extend(ill.map(|site| format!("standfast why-not {}", site.name)));
    commands.truncate(SHOWN);
    (items, commands)
}

fn of_run(story: &Story) -> Vec<WaitingItem> {
    let run = &story.run;
    let request = &run.plan.request;
    let item = |kind: WaitingKind, question: String, commands: Vec<String>| WaitingItem {
        kind: kind.into(),
        run_id: run.id.to_string(),
        question,
        since: wire::time(story.since_ms()),
        commands,
        ..WaitingItem::default()
    };
    let mut items = Vec::new();
    match run.state() {
        RunState::Proposed => items.push(item(
            WaitingKind::ApproveRun,
            format!(
                "{}: move {} from {} to {}?",
                run.trigger.reason(),
                request.playbook,
                request.from,
                request.to
            ),
            next::proposed(story),
        )),
        RunState::Paused => items.push(item(
            WaitingKind::ResumeRun,
            format!("run {} is paused: go on?", run.id),
            next::paused(story),
        )),
        RunState::Running | RunState::Blocked | RunState::RollingBack => {}
        RunState::Ended(_) => return items,
    }
    for block in run.blocks.values() {
        let asked = run.overriding.get(&block.step).map(|asked| format!("; {asked}")).unwrap_or_default();
        let mut blocked = item(
            WaitingKind::UnblockRun,
            match &block.step {
                Some(step) => format!("run {}, step {step}: {}{asked}", run.id, block.why),
                None => format!("run {} may not begin: {}{asked}", run.id, block.why),
            },
            next::unblock(story, block),
        );
        blocked.step = block.step.as_ref().map(ToString::to_string).unwrap_or_default();
        items.push(blocked);
    }
    for (step, role, message, since_ms) in story.asking() {
        let command = next::approve(story, step);
        let asked = item(WaitingKind::ApproveStep, format!("run {}: {message}", run.id), vec![command]);
        items.push(WaitingItem {
            step: step.to_string(),
            role: role.to_owned(),
            since: wire::time(since_ms),
            ..asked
        });
    }
    items
}

fn of_site(site: &v1::Site, rules: Option<&Rules>) -> Option<WaitingItem> {
    let name = &site.name;
    let (kind, question, commands) = match (site.verdict(), &site.hold_down_remaining) {
        (Verdict::Partitioned, _) => {
            let entry = rules.and_then(|rules| rules.on_loss(&SiteId::new(name.as_str())));
            let start = entry.map(|entry| {
                format!("standfast run start {} --from {name} --mode emergency --reason ...", entry.playbook)
            });
            let question = format!("{name} looks down and a member in it is alive: move its services away?");
            let commands = [format!("standfast why-not {name}")].into_iter().chain(start).collect();
            (WaitingKind::DecidePartition, question, commands)
        }
        _ if site.flap_locked => (
            WaitingKind::AckSite,
            format!("{name} went down too often: does it stand now?"),
            vec![format!("standfast site ack {name} --reason ...")],
        ),
        (_, Some(_)) => (
            WaitingKind::AckSite,
            format!("{name} is held down after a run: is it well?"),
            vec![format!("standfast site ack {name} --reason ...")],
        ),
        _ => return None,
    };
    Some(WaitingItem {
        kind: kind.into(),
        site: name.clone(),
        question,
        since: site.verdict_since.filter(|_| kind == WaitingKind::DecidePartition),
        commands,
        ..WaitingItem::default()
    })
}
