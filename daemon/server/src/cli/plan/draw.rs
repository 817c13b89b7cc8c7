//! A plan as a drawing.

use std::collections::BTreeMap;

use standfast_core::mermaid::{self, Node, Tone};
use standfast_proto::v1::{Plan, PlanStep, Preview};

use super::super::human;

/// The steps of a plan as a flowchart, coloured by what they would do.
pub(super) fn draw(plan: &Plan) -> String {
    let places: BTreeMap<&str, usize> =
        plan.steps.iter().enumerate().map(|(place, step)| (step.id.as_str(), place)).collect();
    let node = |step: &PlanStep| Node {
        lines: vec![
            format!("{} {}", step.order, step.id),
            format!("{} {}", step.action, step.target),
            match step.undo.as_str() {
                "" | "none" => "unspecified".to_owned(),
                undo => format!("undo: {undo}"),
            },
            human::lower(step.preview().as_str_name(), "PREVIEW_").replace('_', " "),
        ]
        .into_iter()
        .filter(|line| line != "unspecified")
        .collect(),
        needs: step.needs.iter().filter_map(|need| places.get(need.as_str()).copied()).collect(),
        tone: match step.preview() {
            Preview::Unspecified => Tone::Plain,
            Preview::AlreadySo => Tone::Done,
            Preview::WouldDo => Tone::Would,
            Preview::CannotTell => Tone::Unclear,
            Preview::Refuses => Tone::Refuses,
        },
        no_way_back: step.point_of_no_return,
    };
    let mode = human::lower(plan.mode().as_str_name(), "MODE_");
    let title = format!("{} from {} to {} ({mode})", plan.playbook, plan.from, plan.to);
    let nodes: Vec<Node> = plan.steps.iter().map(node).collect();
    mermaid::draw(&title, &nodes)
}
