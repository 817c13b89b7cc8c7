//! `standfast local`: a run without quorum, with its journal on this machine, and its way home.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use standfast_core::controller::Order;
use standfast_core::ids::Epoch;
use standfast_core::run::State;
use standfast_proto::v1::cluster_client::ClusterClient;
use standfast_proto::v1::{GetStatusRequest, HeedRequest};

use super::client::{Client, Tls};
use super::exit::{Exit, Failure};
use super::output::Output;
use super::run::args::{RunCommand, StartArgs};
use super::screen::To;
use super::{plan::Binding, watch};
use crate::app::{self, AppError};
use crate::bundles;
use crate::clock;
use crate::lead::stored_epoch;
use crate::records::{self, EPOCH, FREEZE};
use crate::settings::{self, Settings};
use crate::store::{Op, Txn};
use crate::term::retention::Retention;
use crate::watermark::Watermark;

mod confirm;
mod journal;
mod members;
mod merge;
mod people;

use journal::{TAKEN, heads, open, unusable};
use members::told;
use merge::merge;

/// How far above all that was seen a local run begins: the cluster, should it live somewhere after all,
/// does not come there before people have met.
const LEAP: u64 = 1_000;
/// How long the local member may take until it leads.
const LEADS_WITHIN: Duration = Duration::from_secs(60);

/// `standfast local ...`
#[derive(Debug, Subcommand)]
pub enum LocalCommand {
    /// Execute a playbook here, because no member can lead
    #[command(after_help = "\
Examples:
  standfast local run shop --from a --to b --mode emergency --reason 'a burns, w is cut off' \\
      --bundle /etc/standfast/bundle --site b --journal /var/tmp/shop-run -s b1:7766,w1:7766

Refused when any member named with --server has a store that takes writes: then it is `standfast run start`.
Members that answer are told, and lead no more until the run is merged; those that do not may wake up
later, and are refused by whatever keeps the run's epoch. The proof of a fence that hangs on the store
cannot be had: waive it by name when you know that the site writes no more.
The journal is a folder on this machine. The same command goes on with a run that was cut off; people
approve, retry and skip in another terminal, with the address that is printed.
Exit: as `standfast run start --watch`; 3 when the cluster has a quorum.")]
    Run(Box<LocalRunArgs>),
    /// Bring a local run that has ended into the store, when it takes writes again
    #[command(after_help = "\
Example:
  standfast local merge --journal /var/tmp/shop-run --reason 'the night of a fire' -s b1:7766,w1:7766

Repeating it does nothing more. Exit: 0, 3 when the run has not ended.")]
    Merge(MergeArgs),
}

/// `standfast local run`
#[derive(Debug, Args)]
pub struct LocalRunArgs {
    /// What binds the playbook
    #[command(flatten)]
    binding: Binding,
    /// Why. It stands in the journal and in the report
    #[arg(long)]
    reason: String,
    /// Folder with the fleet and its playbooks
    #[arg(long, value_name = "DIR")]
    bundle: PathBuf,
    /// The site in which this machine stands; not the one to be left
    #[arg(long)]
    site: String,
    /// Folder for the journal; made if it is missing
    #[arg(long, value_name = "DIR")]
    journal: PathBuf,
    /// Folder of secrets, as a member has it
    #[arg(long, value_name = "DIR", default_value = "/etc/standfast/secrets")]
    secrets_dir: PathBuf,
    /// Data folder of a member on this machine that is down: it is told by its disk
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The run's epoch is to be above this one, if no member can tell which were used
    #[arg(long, value_name = "EPOCH", default_value_t = 0)]
    above: u64,
    /// Where the run is reached from other terminals of this machine; port 0: a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: std::net::SocketAddr,
    /// What you would be asked to type
    #[arg(long, value_name = "TEXT")]
    confirm: Option<String>,
    /// Waive a guard or a condition by name; without =REASON the reason of the run counts
    #[arg(long = "override", value_name = "NAME[=REASON]")]
    overrides: Vec<String>,
}

/// `standfast local merge`
#[derive(Debug, Args)]
pub struct MergeArgs {
    /// Folder of the journal
    #[arg(long, value_name = "DIR")]
    journal: PathBuf,
    /// Why the run was made, or what is to be known of it
    #[arg(long)]
    reason: String,
}

/// Runs `standfast local`.
pub async fn run(command: LocalCommand, client: &mut Client, output: &mut Output) -> Result<Exit, Failure> {
    match command {
        LocalCommand::Run(args) => local_run(*args, client, output).await,
        LocalCommand::Merge(args) => merge(args, client, output).await,
    }
}

async fn local_run(args: LocalRunArgs, client: &Client, output: &mut Output) -> Result<Exit, Failure> {
    if !args.listen.ip().is_loopback() {
        return Err(Failure::usage(format!("--listen {}: anybody could reach that", args.listen))
            .hint("an address of this machine alone, as in 127.0.0.1:7767"));
    }
    if args.site == args.binding.from {
        return Err(Failure::usage(format!("this machine stands in {}, which is to be left", args.site))
            .hint("run it from a site that stays"));
    }
    let bundle = bundle(&args.bundle)?;
    let store = open(&args.journal, true).await?;
    let heads = heads(&*store).await?;
    if let Some(ended) = heads.iter().find(|head| matches!(head.state, State::Ended(_))) {
        return Err(Failure::new(
            Exit::Found,
            format!("the run {} of this folder has ended: {}", ended.id, ended.state),
        )
        .hint(format!("standfast local merge --journal {} --reason ...", args.journal.display()))
        .hint("another run needs another folder"));
    }
    let live = heads.into_iter().next();
    confirm::typed(&args.binding, args.confirm.as_deref(), output)?;
    let mark = args.data_dir.as_deref().map(watermark).transpose()?;
    let (own, _) = stored_epoch(&*store).await.map_err(unusable)?;
    let heed = |epoch| HeedRequest {
        epoch,
        reason: format!("{} from {}: {}", args.binding.playbook, args.binding.from, args.reason),
    };
    let seen = told(client, heed(0), output).await?;
    let known = seen.max(args.above).max(mark.as_ref().map_or(0, |mark| mark.seen().0));
    // Who goes on with a run keeps its numbers, unless somebody has used them meanwhile.
    let epoch = if live.is_some() && own.0 >= known { own.0 } else { known.max(own.0) + LEAP };
    // Each time that the run is gone on with, its epoch grows.
    let taken = epoch + LEAP / 2;
    told(client, heed(taken), output).await?;
    if let Some(mark) = &mark {
        mark.raise(Epoch(taken)).map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
    }
    let freeze = Order {
        by: "standfast local run".into(),
        reason: "nothing but this run".into(),
        since_wall_ms: clock::wall_ms(),
        left: None,
    };
    let prepare = Txn::new()
        .then(Op::put(EPOCH, epoch.to_string()))
        .then(Op::put(TAKEN, taken.to_string()))
        .then(Op::put(FREEZE, records::encode(&freeze)));
    store.txn(prepare).await.map_err(unusable)?;

    // A second one, where one is there already, is no harm.
    let _ = crate::telemetry::install(&settings(&args).log);
    let signalled = crate::shutdown::on_signals()
        .map_err(|error| Failure::new(Exit::Failed, format!("cannot listen for signals: {error}")))?;
    let (sender, bound) = tokio::sync::oneshot::channel();
    let member = app::serve(settings(&args), store, signalled.clone(), move |_, grpc, _| {
        let _ = sender.send(grpc);
    });
    tokio::pin!(member);
    let work = async {
        let address =
            bound.await.map_err(|_| Failure::new(Exit::Failed, "the local member has not started"))?;
        output.err.line(format!("epoch {epoch}; in another terminal: standfast status -s {address}"))?;
        let mut here = Client::new(&[address.to_string()], &Tls::default(), Duration::from_secs(10))?;
        leads(&mut here, bundle.digest.as_str()).await?;
        let (id, mut exit) = match live {
            Some(head) => {
                (head.id.to_string(), watch::follow(&mut here, output, head.id.as_str(), To::Data).await?)
            }
            None => {
                let start = StartArgs {
                    binding: args.binding,
                    reason: Some(args.reason),
                    dry_run: false,
                    watch: true,
                    plan_digest: None,
                    overrides: args.overrides,
                    request_id: Some(format!("local-{epoch}")),
                };
                let exit = super::run::run(RunCommand::Start(start), &mut here, output).await?;
                (people::newest(&mut here).await?, exit)
            }
        };
        while exit == Exit::Waiting {
            output
                .err
                .line(format!("it waits for you: the same with -s {address}; Ctrl-C stops here for now"))?;
            people::decided(&mut here, &id).await?;
            exit = watch::follow(&mut here, output, &id, To::Progress).await?;
        }
        Ok((exit, people::report(&mut here, &id, &args.journal).await?))
    };
    let done: Result<_, Failure> = tokio::select! {
        ended = &mut member => {
            ended.map_err(cannot)?;
            return Err(Failure::new(Exit::Failed, "ended by a signal").hint("the same command goes on with the run"));
        }
        done = work => done,
    };
    signalled.cancel();
    member.await.map_err(cannot)?;
    let (exit, report) = done?;
    output.err.line(format!("what happened stands in {}", report.display()))?;
    output.err.line(format!(
        "when the store takes writes again: standfast local merge --journal {} --reason ...",
        args.journal.display()
    ))?;
    Ok(exit)
}

/// What a local member is set to: on loopback, by itself, with the journal's folder as its own.
fn settings(args: &LocalRunArgs) -> Settings {
    let loopback = ([127, 0, 0, 1], 0).into();
    Settings {
        member: "local".into(),
        site: args.site.as_str().into(),
        data_dir: args.journal.clone(),
        secrets_dir: args.secrets_dir.clone(),
        bundle_dir: Some(args.bundle.clone()),
        store: settings::Store::Embedded,
        listen: settings::Listen { grpc: args.listen, http: loopback, advertise: None, socket: None },
        tls: None,
        log: settings::Log {
            format: settings::LogFormat::Text,
            level: "warn,standfast::survival=error,standfast::observer=error".into(),
        },
        probe_source: None,
        probe_concurrency: 64,
        retention: Retention::default(),
        shutdown_deadline: Duration::from_secs(30),
    }
}

fn bundle(dir: &Path) -> Result<standfast_core::bundle::Bundle, Failure> {
    let files = bundles::load_dir(dir).map_err(|error| Failure::usage(error.to_string()))?;
    let (bundle, findings) = standfast_core::bundle::Bundle::load(files.clone());
    bundle.ok_or_else(|| Failure::new(Exit::Found, findings.to_text(&files, false)))
}

fn watermark(dir: &Path) -> Result<Watermark, Failure> {
    let file = Watermark::file(dir);
    Watermark::open(dir).map_err(|error| Failure::usage(format!("{}: {error}", file.display())))
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn cannot(error: AppError) -> Failure {
    Failure::new(Exit::Failed, error.to_string())
}

/// Waits until the local member leads, under this bundle.
async fn leads(here: &mut Client, bundle: &str) -> Result<(), Failure> {
    let led = async {
        loop {
            let asked = here
                .call(GetStatusRequest {}, |channel, request| async move {
                    ClusterClient::new(channel).get_status(request).await
                })
                .await;
            if let Ok(status) = asked
                && status.leader.is_some()
                && !status.bundle_digest.is_empty()
            {
                return match status.bundle_digest == bundle || !status.active_runs.is_empty() {
                    true => Ok(()),
                    false => {
                        Err(Failure::new(Exit::Found, "the journal's folder was used with another bundle")
                            .hint("take another folder for --journal"))
                    }
                };
            }
            here.disconnect();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let late = |_| Failure::new(Exit::Failed, "the local member does not lead").hint("its log is above");
    tokio::time::timeout(LEADS_WITHIN, led).await.map_err(late)?
}
