//! The command line: a gRPC client like any other, with exit codes to rely on.
//!
//! Each command is `arguments -> call -> output`; nothing in here decides anything.

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue};
use clap::{Args, CommandFactory, Parser, Subcommand};
use serde_json::json;

pub mod audit;
pub mod bundle;
pub mod client;
pub mod exit;
pub mod freeze;
pub mod guards;
pub mod human;
pub mod lint;
pub mod local;
pub mod member;
pub mod output;
#[cfg(test)]
mod paper;
pub mod plan;
pub mod readiness;
pub mod run;
pub mod schema;
pub mod screen;
pub mod sentry;
pub mod serve;
pub mod simulate;
pub mod site;
pub mod status;
pub mod switch;
pub mod view;
pub mod watch;
pub mod yaml;

use client::{Client, Tls};
use exit::{Exit, Failure};
use output::{Format, Output};

use crate::pki::{PkiArgs, PkiError};
use crate::supervise::SuperviseArgs;

/// Where a member listens when nobody says otherwise.
const DEFAULT_SERVER: &str = "http://127.0.0.1:7766";

const EXAMPLES: &str = "\
A site burns. In this order:
  standfast status                                      what is known, what waits, what to type
  standfast why-not a                                   why nothing happens by itself
  standfast run start shop --from a --mode emergency --dry-run     what a run would do; changes nothing
  standfast run start shop --from a --mode emergency --reason 'a burns' --watch

Exit codes: 0 done, 1 failed, 2 usage, 3 an error was found or something refuses,
4 changes pending (--exit-code), 5 unreachable, 6 denied, 7 stale plan or etag, 8 waits for people.";

/// Moves a business out of a data centre that is gone.
#[derive(Debug, Parser)]
#[command(name = "standfast", version, after_help = EXAMPLES, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Every command")]
struct Global {
    /// Members to ask, all at once; the first that answers is used. Repeat, or separate by commas.
    /// On the machine of a member: unix:PATH, its socket, for reading
    #[arg(
        short, long = "server", global = true, value_name = "ADDRESS", value_delimiter = ',',
        env = "STANDFAST_SERVER", default_value = DEFAULT_SERVER
    )]
    servers: Vec<String>,
    /// The authority that signs the members' certificates, in PEM
    #[arg(long, global = true, value_name = "FILE", env = "STANDFAST_TLS_CA")]
    tls_ca: Option<std::path::PathBuf>,
    /// Your certificate, in PEM; its name is who you are
    #[arg(long, global = true, value_name = "FILE", env = "STANDFAST_TLS_CERT")]
    tls_cert: Option<std::path::PathBuf>,
    /// Its key, in PEM
    #[arg(long, global = true, value_name = "FILE", env = "STANDFAST_TLS_KEY")]
    tls_key: Option<std::path::PathBuf>,
    /// How data is written to stdout; progress is on stderr
    #[arg(short, long, global = true, value_enum, default_value_t)]
    output: Format,
    /// Time for one call to one member, as in 500ms, 10s, 2m [default: 10s; 60s with inspection]
    #[arg(long, global = true, value_name = "DURATION", value_parser = duration)]
    timeout: Option<Duration>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Sites, leader, runs, what waits for you, and what to type next
    #[command(
        after_help = "Exit: 0, 5 when no member answers or the store takes no writes, 8 with --exit-code."
    )]
    Status(status::StatusArgs),
    /// What a run would do, seen live and read-only
    #[command(after_help = "\
Examples:
  standfast plan shop --from a --mode emergency                 seen from every live member
  standfast plan shop --from a --mode emergency -o mermaid      a drawing of its steps
  standfast plan shop --from a --mode emergency --exit-code     exit 4 when a step would do something

Exit: 0, 3 when something would refuse it, 4 with --exit-code.")]
    Plan(plan::PlanArgs),
    /// Whether what is run when a site is lost could run, as the last looks of all members found
    #[command(after_help = "\
The leader looks every few minutes (`readiness` in the fleet); `standfast plan` looks now.
Exit: 0, 3 when a playbook is not ready, or nobody has looked lately.")]
    Readiness,
    /// Everything that is wrong with a fleet and its playbooks, from the files alone
    #[command(after_help = "\
Examples:
  standfast lint playbooks/shop
  standfast lint fleet.yaml shop.yaml -o json
  standfast lint playbooks/shop -o sarif > shop.sarif      for code hosts and editors

Exit: 0, 2 when a file cannot be read, 3 when an error was found.")]
    Lint(lint::LintArgs),
    /// How long a playbook takes and what goes wrong: the real controller, in virtual time, many times
    #[command(after_help = "\
Examples:
  standfast simulate shop --from a --mode emergency playbooks/shop             1,000 runs
  standfast simulate shop --from a --mode emergency playbooks/shop --seed 7    one of them, told step by step
  standfast simulate shop --from a --mode emergency playbooks/shop --sweep takeover
  standfast simulate shop --from a --mode emergency playbooks/shop --people none --faults fail=5%,leader=0%

The faults: in an act fail (2%), hang until its timeout (1%), silent: done, and its answer lost (1%); in a
run slow: the destination degrades (10%), lag: the replica is too far behind (1%), alive: the site is only
cut off (50%), leader: the leader is lost at one entry of the journal (100%).

How long a step takes stands in the playbook (expect), or in reports of earlier runs, or is guessed from
its timeouts. The same seed is the same run, byte for byte.

Exit: 0, 2 when a file cannot be read, 3 when an invariant is broken, when a service does not come back
within its objective in 95 % of all runs, or when what is required does not hold.")]
    Simulate(simulate::SimulateArgs),
    /// What a finding means, why it is one, a wrong and a right example; or what an action promises
    Explain(lint::ExplainArgs),
    /// The keys of fleets and playbooks as JSON schema, for editors
    #[command(after_help = "\
Examples:
  standfast schema playbook > playbook.schema.json

The first line of a file tells many editors where its schema is:
  # yaml-language-server: $schema=playbook.schema.json")]
    Schema(schema::SchemaArgs),
    /// Make files the bundle that the cluster works by
    #[command(after_help = "\
Nothing is taken away by mistake: a fleet of another name, and one without a site in which a member lives,
is refused unless it is meant:
  standfast apply bundle --replace-fleet --reason 'w is given up'

Exit: 0, 2 when a file cannot be read, 3 on an error or when it is refused, 4 with --exit-code, 7 when
another bundle is current than --etag says.")]
    Apply(bundle::ApplyArgs),
    /// Start a run, look at it, and what people may do to it
    #[command(subcommand)]
    Run(run::args::RunCommand),
    /// What is known about the sites
    #[command(subcommand)]
    Site(site::SiteCommand),
    /// Which guard refuses an automatic failover of a site now, and why
    WhyNot(site::SiteArgs),
    /// Let no run begin by itself, nor be proposed; people start runs as ever
    #[command(after_help = "\
Examples:
  standfast freeze --reason 'the network between a and b is rebuilt' --for 4h
  standfast freeze --reason 'month-end closing' --until 2027-01-04T06:00:00Z

It lasts until its time has passed or somebody thaws it, whoever leads. A freeze that would end before
the present one is refused.
Exit: 0, 1 when the present one lasts longer.")]
    Freeze(freeze::FreezeArgs),
    /// End a freeze: what the fleet names begins by itself again
    #[command(after_help = "Exit: 0, 1 when the cluster is not frozen.")]
    Thaw(freeze::ThawArgs),
    /// What was decided and done, and the proof that nothing of it was changed
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// What has to be on before anything runs by itself
    #[command(
        subcommand,
        after_help = "The fleet says what there is to switch, under `switches`. What nobody has turned on is off."
    )]
    Switch(switch::SwitchCommand),
    /// Break glass: run a playbook when no member can lead, and bring that run home afterwards
    #[command(subcommand)]
    Local(local::LocalCommand),
    /// Who is there, and who leads
    #[command(subcommand)]
    Member(member::MemberCommand),
    /// Run the daemon: a member that observes, and leads when it is its turn
    Serve(serve::ServeArgs),
    /// Guard a data host: stop what writes on it when its site is cut off
    #[command(after_help = "\
Examples:
  standfast sentry db-a --bundle /etc/standfast/bundle -s a1.example.net:7766,a2.example.net:7766

The members given with --server are those of the sentry's own site. Let the service manager of the host
start it, as root if its steps need that, and start it again whenever it ends: a host without its sentry
is not left without a person.")]
    Sentry(sentry::SentryArgs),
    /// Make and extend a private certificate authority
    #[command(after_help = "\
Examples:
  standfast pki init --dir pki --member a1=a,10.1.0.2 --member b1=b,10.2.0.2,b1.example.net --client kim
  standfast pki issue --dir pki --client lee

Nothing is overwritten. Keep ca.key away from the members: it is needed only to issue more.")]
    Pki(PkiArgs),
    /// Run one command so that nothing of it outlives its deadline
    #[command(hide = true)]
    Supervise(SuperviseArgs),
    /// A completion script for your shell
    #[command(after_help = "Example:\n  standfast completion bash > /etc/bash_completion.d/standfast")]
    Completion {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// The version of this program
    Version,
}

impl Command {
    /// Whether its answer is a plan, which can be drawn.
    fn draws(&self) -> bool {
        match self {
            Self::Plan(_) => true,
            Self::Run(run::args::RunCommand::Start(args)) => args.dry_run,
            _ => false,
        }
    }
}

/// A page of a list.
#[derive(Debug, Args)]
pub struct PageArgs {
    /// At most this many, up to 200
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=200))]
    pub limit: u32,
    /// The page after the one that ended with this token
    #[arg(long, value_name = "TOKEN")]
    pub page: Option<String>,
}

/// The program: reads the arguments, runs the command, says what became of it.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    let cli = match Cli::try_parse_from(&args) {
        Ok(cli) => cli,
        Err(error) => {
            let error = plain_usage(error, &args);
            // Help and version go to stdout and are no errors; a closed pipe is none either.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage.into() } else { Exit::Done.into() };
        }
    };
    let cli = match cli.command {
        // It has a runtime of its own, and must have no other children or threads.
        Command::Supervise(args) => return args.run(),
        _ => cli,
    };
    crate::tls::install_provider();
    let mut output = Output::standard();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&mut output, &no_runtime(&error)).into(),
    };
    match runtime.block_on(run(cli, &mut output)) {
        Ok(exit) => exit.into(),
        Err(failure) => fail(&mut output, &failure).into(),
    }
}

/// The usage of an error, as `--help` has it. The parser's own lists everything that was given, what
/// stands in the environment too, as if all of that were needed.
fn plain_usage(mut error: clap::Error, args: &[OsString]) -> clap::Error {
    if error.get(ContextKind::Usage).is_some() {
        let mut root = Cli::command();
        root.build();
        let mut command = &mut root;
        for arg in args.iter().skip(1) {
            if command.find_subcommand(arg).is_some() {
                command = command.find_subcommand_mut(arg).expect("it was found");
            }
        }
        error.insert(ContextKind::Usage, ContextValue::StyledStr(command.render_usage()));
    }
    error
}

fn no_runtime(error: &std::io::Error) -> Failure {
    Failure::new(Exit::Failed, format!("cannot start threads or poll files: {error}"))
        .hint("is a limit of this user reached? ulimit -a")
}

/// Says why, and answers the exit code. A failure to say so changes nothing.
fn fail(output: &mut Output, failure: &Failure) -> Exit {
    if failure.exit != Exit::Done {
        let _ = output.err.line(failure.to_string());
    }
    failure.exit
}

/// Runs one command.
pub async fn run(cli: Cli, output: &mut Output) -> Result<Exit, Failure> {
    let Cli { global, command } = cli;
    output.format = global.output;
    if output.format == Format::Sarif && !matches!(command, Command::Lint(_)) {
        return Err(Failure::usage("only `lint` writes SARIF: -o table, json or yaml"));
    }
    if output.format == Format::Mermaid && !command.draws() {
        return Err(output::undrawable());
    }
    let client = |default: u64| {
        let tls = Tls { ca: global.tls_ca, cert: global.tls_cert, key: global.tls_key };
        let timeout = global.timeout.unwrap_or(Duration::from_secs(default));
        Client::new(&global.servers, &tls, timeout)
    };
    match command {
        Command::Status(args) => status::run(args, &mut client(10)?, output).await,
        Command::Plan(args) => plan::run(args, &mut client(60)?, output).await,
        Command::Readiness => readiness::run(&mut client(10)?, output).await,
        Command::Lint(args) => lint::lint(&args, output),
        Command::Simulate(args) => simulate::run(args, output),
        Command::Explain(args) => lint::explain(&args, output),
        Command::Schema(args) => schema::schema(&args, output),
        Command::Apply(args) => bundle::run(args, &mut client(10)?, output).await,
        Command::Run(command) => {
            let default = if command.inspects() { 60 } else { 10 };
            run::run(command, &mut client(default)?, output).await
        }
        Command::Site(command) => site::run(command, &mut client(10)?, output).await,
        Command::WhyNot(args) => site::why_not(args, &mut client(10)?, output).await,
        Command::Freeze(args) => freeze::freeze(args, &mut client(10)?, output).await,
        Command::Thaw(args) => freeze::thaw(args, &mut client(10)?, output).await,
        Command::Audit(command) if command.is_offline() => audit::offline(command, output),
        Command::Audit(command) => audit::run(command, &mut client(10)?, output).await,
        Command::Switch(command) => switch::run(command, &mut client(10)?, output).await,
        Command::Local(command) => local::run(command, &mut client(10)?, output).await,
        Command::Member(command) => member::run(command, &mut client(10)?, output).await,
        Command::Serve(args) => serve::run(args, output).await,
        Command::Sentry(args) => sentry::run(args, &client(10)?).await,
        Command::Pki(args) => {
            let files = args.run().map_err(no_certificates)?;
            let files: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
            output.data(&json!({"files": files}), |_, out| out.line(files.join("\n")))?;
            Ok(Exit::Done)
        }
        Command::Supervise(_) => Err(Failure::usage("supervise needs a process of its own")),
        Command::Completion { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "standfast", &mut script);
            output.out.write(&String::from_utf8_lossy(&script))?;
            Ok(Exit::Done)
        }
        Command::Version => {
            let version = json!({"version": env!("CARGO_PKG_VERSION")});
            let text = concat!("standfast ", env!("CARGO_PKG_VERSION"));
            output.data(&version, |_, out| out.line(text))?;
            Ok(Exit::Done)
        }
    }
}

fn no_certificates(error: PkiError) -> Failure {
    let exit = match &error {
        PkiError::Twice { .. } | PkiError::Outlives { .. } | PkiError::Nothing => Exit::Usage,
        PkiError::Exists { .. } | PkiError::NoAuthority { .. } | PkiError::Authority { .. } => Exit::Found,
        PkiError::Write { .. } | PkiError::Make(_) => Exit::Failed,
    };
    Failure::new(exit, error.to_string())
}

/// A new request id: 128 random bits, in hexadecimal.
fn request_id() -> String {
    format!("{:032x}", rand::random::<u128>())
}

/// Says how to find out what became of a change that nobody answered.
fn uncertain(failure: Failure, request_id: &str) -> Failure {
    let answered = failure.answered || !matches!(failure.exit, Exit::Unreachable | Exit::Failed);
    if answered {
        return failure;
    }
    failure.hint(format!(
        "to repeat it, add --request-id {request_id}: whatever became of it, nothing is done twice"
    ))
}

fn duration(text: &str) -> Result<Duration, String> {
    let parsed: jiff::SignedDuration =
        text.parse().map_err(|_| "it is written as in 500ms, 10s, 2m".to_owned())?;
    match Duration::try_from(parsed) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err("it has to be more than nothing".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_sound() {
        Cli::command().debug_assert();
    }

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn members_are_repeated_or_separated_by_commas() {
        let cli = parse("standfast status -s a:1,b:2 -s c:3").expect("arguments");
        assert_eq!(cli.global.servers, ["a:1", "b:2", "c:3"]);
    }

    #[test]
    fn a_change_that_needs_a_reason_does_not_begin_without() {
        for line in [
            "standfast run start shop --from a",
            "standfast run reject shop-1",
            "standfast run abort shop-1",
            "standfast run skip shop-1 --step drain",
            "standfast site ack a",
            "standfast site rejoin a",
            "standfast site maintain a",
            "standfast site release a",
            "standfast switch on armed",
            "standfast freeze",
            "standfast thaw",
            "standfast member step-down",
        ] {
            let error = parse(line).expect_err(line);
            assert!(error.to_string().contains("--reason"), "{line}: {error}");
            assert_eq!(error.exit_code(), 2);
        }
        parse("standfast run start shop --from a --dry-run").expect("a dry run needs none");
    }

    #[test]
    fn the_usage_of_an_error_is_that_of_the_help() {
        let words = ["standfast", "-s", "a:1", "run", "start", "shop"].map(OsString::from);
        let error = plain_usage(Cli::try_parse_from(&words).expect_err("no site"), &words);
        let text = error.to_string();
        let usage = text.lines().find(|line| line.starts_with("Usage:")).expect("a usage");
        assert!(usage.starts_with("Usage: standfast run start [OPTIONS] --from <SITE>"), "{usage}");
        assert!(!usage.contains("--server"), "{usage}");
    }

    #[test]
    fn durations_carry_their_unit() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert!(duration("10").is_err());
        assert!(duration("-1s").is_err());
        assert!(duration("0s").is_err());
    }

    #[test]
    fn a_freeze_ends_in_one_way_at_most() {
        for end in ["", "--for 4h", "--until 2027-01-04T07:00:00+01:00"] {
            parse(&format!("standfast freeze --reason no {end}")).expect(end);
        }
        for end in ["--for 4h --until 2027-01-04T06:00:00Z", "--for 4", "--until tomorrow"] {
            parse(&format!("standfast freeze --reason no {end}")).expect_err(end);
        }
    }

    #[test]
    fn request_ids_differ() {
        assert_ne!(request_id(), request_id());
        assert_eq!(request_id().len(), 32);
    }
}
