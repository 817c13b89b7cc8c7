//! `standfast plan`: what a run would do, seen live and read-only.

use std::collections::BTreeMap;

use clap::{Args, ValueEnum};
use standfast_proto::MAX_ANSWER_BYTES;
use standfast_proto::v1::plans_client::PlansClient;
use standfast_proto::v1::{CreatePlanRequest, Mode, Plan};

use super::client::Client;
use super::exit::{Exit, Failure};
use super::output::{Format, Output};

mod draw;
mod show;

pub use show::troubles;

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

    /// The mode, if one was given.
    pub fn core_mode(&self) -> Option<standfast_core::plan::Mode> {
        use standfast_core::plan::Mode::{Drill, Emergency, Planned};
        self.mode.map(|mode| match mode {
            ModeArg::Emergency => Emergency,
            ModeArg::Planned => Planned,
            ModeArg::Drill => Drill,
        })
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
        .call(request, |channel, request| async move {
            PlansClient::new(channel).max_decoding_message_size(MAX_ANSWER_BYTES).create_plan(request).await
        })
        .await?;
    write(&plan, output)?;
    Ok(match (plan.would_be_refused, args.exit_code && plan.changes_pending) {
        (true, _) => Exit::Found,
        (false, true) => Exit::Pending,
        (false, false) => Exit::Done,
    })
}

/// Writes a plan as it is wanted: for people, as data, or drawn.
pub fn write(plan: &Plan, output: &mut Output) -> Result<(), Failure> {
    if output.format == Format::Mermaid {
        return output.out.write(&draw::draw(plan));
    }
    output.data(plan, show::show)
}
