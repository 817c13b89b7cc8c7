//! The arguments of `standfast run`.

use clap::{Args, Subcommand};

use crate::cli::PageArgs;
use crate::cli::plan::Binding;

/// `standfast run ...`
#[derive(Debug, Subcommand)]
pub enum RunCommand {
    /// Start a run by hand: this moves services
    #[command(after_help = "\
Examples:
  standfast run start shop --from a --mode emergency --dry-run     what it would do; what would refuse it
  standfast run start shop --from a --to b --mode emergency --reason 'a burns' --watch
  standfast run start shop --from a --mode emergency --reason 'a burns' --override lag='5 s lost, kim agreed'

Detection and hold-down are not asked. Fence and lag are, and are waived by name only.
A leader in the site that is left hands over before the first step; the run goes on under the next one.
Exit: 0 started (with --watch: succeeded), 1 failed, 3 refused, 7 the plan is stale, 8 waits for people.")]
    Start(StartArgs),
    /// List runs, newest first
    List(ListArgs),
    /// Show one run with its steps
    Get(IdArgs),
    /// Follow a run; Ctrl-C ends the watching, never the run
    #[command(after_help = "\
Ends with the run, or with exit code 8 where only people can go on, and says what to type.
A member that is lost is replaced by another one: name all of them with --server.")]
    Watch(IdArgs),
    /// Approve a proposed run, or a step that asks; waive what blocks a run
    #[command(after_help = "\
Examples:
  standfast run approve r7-1 --reason 'lee has looked at a'     a proposed run; or what is required is waived
  standfast run approve r7-1 --step fence --reason 'the power of a is off'     your word for what nothing proves

Waiving takes the role that the playbook names, and a reason. Where the fleet says `second_person: true` it
counts once another person has approved it, by the same command with their own certificate.
Exit: 0 done (with --watch: succeeded), 3 refused, 8 waits for people.")]
    Approve(ApproveArgs),
    /// Reject a proposed run, or a step that asks
    Reject(RejectArgs),
    /// Give the step that blocks a run new attempts
    Retry(RetryArgs),
    /// Go on without a step; the run ends as Partial at best
    Skip(SkipArgs),
    /// Start no further step; what acts goes on to its end
    Pause(OptionalReason),
    /// Go on with a paused run
    Resume(ResumeArgs),
    /// Take back what a blocked or paused run has done, in reverse; before the point of no return only
    Rollback(RollbackArgs),
    /// End a run where it stands; nothing is undone
    Abort(RequiredReason),
    /// What happened and how long it took, as Markdown (-o json for the data)
    Report(IdArgs),
}

impl RunCommand {
    /// Whether a member looks at every target before it answers, which takes its time.
    pub fn inspects(&self) -> bool {
        matches!(self, Self::Start(args) if args.dry_run)
    }
}

/// A run.
#[derive(Debug, Args)]
pub struct IdArgs {
    /// Id of the run, as in r7-1
    pub id: String,
}

/// A new run.
#[derive(Debug, Args)]
pub struct StartArgs {
    /// What binds the playbook
    #[command(flatten)]
    pub binding: Binding,
    /// Why; needed but for --dry-run. It stands in the journal and in the report
    #[arg(long, required_unless_present = "dry_run")]
    pub reason: Option<String>,
    /// Inspect everything, change nothing; exit 3 on what would refuse it
    #[arg(long)]
    pub dry_run: bool,
    /// Follow it to its end
    #[arg(long, conflicts_with = "dry_run")]
    pub watch: bool,
    /// Digest of the plan that was looked at: another one is refused
    #[arg(long = "plan", value_name = "DIGEST")]
    pub plan_digest: Option<String>,
    /// Waive a guard or a condition by name; without =REASON the reason of the run counts
    #[arg(long = "override", value_name = "NAME[=REASON]")]
    pub overrides: Vec<String>,
    /// Repeat a request whose outcome is not known: the id that the error printed
    #[arg(long, value_name = "ID")]
    pub request_id: Option<String>,
}

/// Which runs.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Only runs that have not ended
    #[arg(long)]
    pub active: bool,
    /// Which page
    #[command(flatten)]
    pub page: PageArgs,
}

/// The way back.
#[derive(Debug, Args)]
pub struct RollbackArgs {
    /// Which, and why
    #[command(flatten)]
    pub run: RequiredReason,
    /// Follow it to its end
    #[arg(long)]
    pub watch: bool,
}

/// What every change takes.
#[derive(Debug, Args)]
pub struct ChangeArgs {
    /// The run as it was read (`etag` in -o json): if it has changed since, nothing is done
    #[arg(long)]
    pub etag: Option<String>,
    /// Repeat a request whose outcome is not known: the id that the error printed
    #[arg(long, value_name = "ID")]
    pub request_id: Option<String>,
}

/// A change with or without a reason.
#[derive(Debug, Args)]
pub struct OptionalReason {
    /// Which run
    #[command(flatten)]
    pub run: IdArgs,
    /// Why; it stands in the journal
    #[arg(long)]
    pub reason: Option<String>,
    /// What every change takes
    #[command(flatten)]
    pub change: ChangeArgs,
}

/// A change that needs a reason.
#[derive(Debug, Args)]
pub struct RequiredReason {
    /// Which run
    #[command(flatten)]
    pub run: IdArgs,
    /// Why; it stands in the journal
    #[arg(long)]
    pub reason: String,
    /// What every change takes
    #[command(flatten)]
    pub change: ChangeArgs,
}

/// An approval.
#[derive(Debug, Args)]
pub struct ApproveArgs {
    /// Which run, and perhaps why
    #[command(flatten)]
    pub run: OptionalReason,
    /// The step that asks; without it the run as proposed
    #[arg(long)]
    pub step: Option<String>,
    /// Follow the run to its end
    #[arg(long)]
    pub watch: bool,
}

/// A rejection.
#[derive(Debug, Args)]
pub struct RejectArgs {
    /// Which run, and why
    #[command(flatten)]
    pub run: RequiredReason,
    /// The step that asks; without it the run as proposed
    #[arg(long)]
    pub step: Option<String>,
}

/// New attempts.
#[derive(Debug, Args)]
pub struct RetryArgs {
    /// Which run, and perhaps why
    #[command(flatten)]
    pub run: OptionalReason,
    /// The step; without it the one that blocks the run
    #[arg(long)]
    pub step: Option<String>,
    /// Follow the run to its end
    #[arg(long)]
    pub watch: bool,
}

/// A step to give up.
#[derive(Debug, Args)]
pub struct SkipArgs {
    /// Which run, and why
    #[command(flatten)]
    pub run: RequiredReason,
    /// The step
    #[arg(long)]
    pub step: String,
    /// Follow the run to its end
    #[arg(long)]
    pub watch: bool,
}

/// A paused run goes on.
#[derive(Debug, Args)]
pub struct ResumeArgs {
    /// Which run, and perhaps why
    #[command(flatten)]
    pub run: OptionalReason,
    /// Follow the run to its end
    #[arg(long)]
    pub watch: bool,
}
