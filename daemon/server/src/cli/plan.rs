//! `standfast plan`: what a run would do, seen live and read-only.

use std::collections::BTreeMap;

use clap::{Args, ValueEnum};
use standfast_proto::v1::plans_client::PlansClient;
use standfast_proto::v1::{
    ConditionOutcome, CreatePlanRequest, GuardOutcome, Mode, OnFailure, Plan, PlanStep, Preview,
};

use super::client::Client;
use super::exit::{Exit, Failure};
use super::human;
use super::output::{Output, Rows, Stream, Tone, plain};
use super::site::guard_row;

/// What binds a playbook.
#[derive(Debug, Args)]
pub struct Binding {
    /// Name of the playbook
    pub playbook: String,
    /// The site to leave
    #[arg(long, value_name = "SITE")]
    pub from: String,
    /// The site to go to; without it the one that `on_loss` names
    #[arg(long, value_name = "SITE")]
    pub to: Option<String>,
    /// Why: the site is gone, both are there, or an exercise. Without it the playbook's only mode
    #[arg(long, value_enum)]
    mode: Option<ModeArg>,
    /// A value for one of the playbook's inputs
    #[arg(long = "input", value_name = "NAME=VALUE", value_parser = input)]
    inputs: Vec<(String, String)>,
}

impl Binding {
    /// The mode, as it goes over the wire.
    pub fn mode(&self) -> i32 {
        self.mode.map_or(Mode::Unspecified, Mode::from).into()
    }

    /// The inputs by name.
    pub fn inputs(&self) -> BTreeMap<String, String> {
        self.inputs.iter().cloned().collect()
    }
}

/// Why a run is made.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum ModeArg {
    /// The site is gone
    Emergency,
    /// Both sites are there: no data is lost
    Planned,
    /// An exercise
    Drill,
}

impl From<ModeArg> for Mode {
    fn from(mode: ModeArg) -> Self {
        match mode {
            ModeArg::Emergency => Self::Emergency,
            ModeArg::Planned => Self::Planned,
            ModeArg::Drill => Self::Drill,
        }
    }
}

fn input(given: &str) -> Result<(String, String), String> {
    match given.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("it is written NAME=VALUE".to_owned()),
    }
}

/// `standfast plan ...`
#[derive(Debug, Args)]
pub struct PlanArgs {
    #[command(flatten)]
    binding: Binding,
    /// Only bind and order the steps; look at no target
    #[arg(long)]
    no_inspect: bool,
    /// Exit 4 when at least one step would do something
    #[arg(long, conflicts_with = "no_inspect")]
    exit_code: bool,
}

/// Makes and shows a plan.
pub async fn run(args: PlanArgs, client: &mut Client, output: &mut Output) -> Result<Exit, Failure> {
    let request = CreatePlanRequest {
        mode: args.binding.mode(),
        inputs: args.binding.inputs(),
        playbook: args.binding.playbook,
        from: args.binding.from,
        to: args.binding.to.unwrap_or_default(),
        inspect: !args.no_inspect,
    };
    let plan = client
        .call(request, |channel, request| async move { PlansClient::new(channel).create_plan(request).await })
        .await?;
    output.data(&plan, show)?;
    Ok(match (plan.would_be_refused, args.exit_code && plan.changes_pending) {
        (true, _) => Exit::Found,
        (false, true) => Exit::Pending,
        (false, false) => Exit::Done,
    })
}

/// A plan for people.
pub fn show(plan: &Plan, out: &mut Stream) -> Result<(), Failure> {
    out.line(format!(
        "{} from {} to {} ({}){}",
        plan.playbook,
        plan.from,
        plan.to,
        human::lower(plan.mode().as_str_name(), "MODE_"),
        if plan.title.is_empty() { String::new() } else { format!(": {}", plan.title) },
    ))?;
    out.line(format!("plan {}  bundle {}", plan.digest, human::digest(&plan.bundle_digest)))?;
    if plan.inspected_at.is_some() {
        out.line(format!(
            "seen from {} in {} at {}",
            plan.member,
            plan.member_site,
            human::date(plan.inspected_at.as_ref())
        ))?;
    }
    requires(plan, out)?;
    steps(plan, out)?;
    if let Some(path) = &plan.critical_path {
        let bound = human::wire_duration(path.duration.as_ref());
        out.line(format!("\nlongest path, at most {bound}: {}", path.steps.join(" -> ")))?;
    }
    if !plan.guards.is_empty() {
        out.line("")?;
        let mut rows = Rows::new(out, &["GUARD", "NAME", "SAYS", "REASON"]);
        for guard in &plan.guards {
            rows.row(guard_row(guard));
        }
        rows.write(out)?;
    }
    for finding in &plan.findings {
        super::bundle::show_finding(finding, out)?;
    }
    refusals(plan, out)
}

fn requires(plan: &Plan, out: &mut Stream) -> Result<(), Failure> {
    if plan.requires.is_empty() {
        return Ok(());
    }
    out.line("")?;
    let mut rows = Rows::new(out, &["MUST HOLD", "IT DOES", "ANSWER", "WAIVED BY"]);
    for require in &plan.requires {
        let outcome = match require.outcome() {
            ConditionOutcome::Unspecified => (Tone::Plain, "not asked"),
            ConditionOutcome::Holds => (Tone::Good, "yes"),
            ConditionOutcome::DoesNotHold => (Tone::Bad, "no"),
            ConditionOutcome::CannotTell => (Tone::Bad, "cannot tell"),
        };
        rows.row([
            plain(require.condition.clone()),
            (outcome.0, outcome.1.to_owned()),
            plain(human::or_dash(&require.answer)),
            plain(human::or_dash(&require.override_role)),
        ]);
    }
    rows.write(out)
}

fn steps(plan: &Plan, out: &mut Stream) -> Result<(), Failure> {
    out.line("")?;
    let headings = ["#", "STEP", "PREVIEW", "ACTION", "TARGET", "NEEDS", "TIMEOUT", "DETAIL"];
    let mut rows = Rows::new(out, &headings);
    for step in &plan.steps {
        let (tone, preview) = match step.preview() {
            Preview::Unspecified => (Tone::Plain, "-"),
            Preview::AlreadySo => (Tone::Good, "already so"),
            Preview::WouldDo => (Tone::Busy, "would do"),
            Preview::CannotTell => (Tone::Bad, "cannot tell"),
            Preview::Refuses => (Tone::Bad, "refuses"),
        };
        let timeout = human::wire_duration(step.timeout.as_ref());
        rows.row([
            plain(step.order.to_string()),
            plain(step.id.clone()),
            (tone, preview.to_owned()),
            plain(step.action.clone()),
            plain(step.target.clone()),
            plain(human::or_dash(&step.needs.join(","))),
            plain(if step.attempts > 1 { format!("{timeout} x{}", step.attempts) } else { timeout }),
            plain(detail(step)),
        ]);
    }
    rows.write(out)
}

/// What inspection saw, after what is special about the step.
fn detail(step: &PlanStep) -> String {
    let flags = [
        (step.point_of_no_return, "no way back"),
        (step.needs_approval, "asks a person"),
        (step.skip_unreachable, "skipped if unreachable"),
        (step.on_failure() == OnFailure::Continue, "may fail"),
        (step.on_failure() == OnFailure::Pause, "pauses on failure"),
    ];
    let mut parts: Vec<&str> = flags.iter().filter(|(on, _)| *on).map(|(_, said)| *said).collect();
    if !step.detail.is_empty() {
        parts.push(&step.detail);
    }
    parts.join("; ")
}

/// One line on what stands in the way, last, where eyes are.
fn refusals(plan: &Plan, out: &mut Stream) -> Result<(), Failure> {
    if plan.inspected_at.is_none() {
        return Ok(());
    }
    if !plan.would_be_refused {
        return out.line("\na run of this plan would begin now");
    }
    let guards = plan.guards.iter().filter(|guard| guard.outcome() == GuardOutcome::Refused);
    let requires = plan.requires.iter().filter(|require| {
        matches!(require.outcome(), ConditionOutcome::DoesNotHold | ConditionOutcome::CannotTell)
    });
    let steps = plan.steps.iter().filter(|step| step.preview() == Preview::Refuses);
    let names: Vec<&str> = guards
        .map(|guard| guard.id.as_str())
        .chain(requires.map(|require| require.name.as_str()))
        .chain(steps.map(|step| step.id.as_str()))
        .collect();
    out.line(format!("\na run of this plan would be refused now: {}", names.join(", ")))
}
