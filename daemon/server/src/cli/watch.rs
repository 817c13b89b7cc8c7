//! Following a run to its end, or to where it waits for people.
//!
//! The stream may break at any moment: its member may be in the site that is being left. Then
//! another member goes on from the last revision.

use std::time::Duration;

use jiff::Timestamp;
use standfast_proto::reason;
use standfast_proto::v1::runs_client::RunsClient;
use standfast_proto::v1::{Run, StepState, WatchRunRequest, WatchRunResponse};
use tokio::time::Instant;
use tonic::{Code, Status, Streaming};
use tonic_types::StatusExt;

use super::client::{Client, another_may_answer};
use super::exit::{Exit, Failure};
use super::human;
use super::output::{Output, Rows, Stream, Tone, plain};
use super::run::{next_commands, state_cell};
use super::view::{self, RunView};

/// How long a watch looks for a member before it gives up: longer than any election.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two rounds over all members, none of which answers.
const BETWEEN_ROUNDS: Duration = Duration::from_millis(500);
/// How often a live table is drawn when nothing happens, so that its times go on.
const REDRAW: Duration = Duration::from_millis(500);

/// Where the events go.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum To {
    /// They are what was asked for: stdout.
    Data,
    /// They are progress: stderr.
    Progress,
}

/// Follows a run. Ends with the run, or with `Exit::Waiting` where only people can go on.
pub async fn follow(client: &mut Client, output: &mut Output, id: &str, to: To) -> Result<Exit, Failure> {
    let mut watch = Watch { id, view: RunView::default(), stream: None, broken: None };
    let mut screen = Screen::default();
    let mut redraw = tokio::time::interval(REDRAW);
    loop {
        let message = tokio::select! {
            message = watch.next(client, output) => message?,
            _ = redraw.tick() => {
                screen.draw(&watch.view, output, to)?;
                continue;
            }
        };
        if watch.view.apply(&message) {
            screen.show(&message, &watch.view, output, to)?;
        }
        if let Some(exit) = watch.view.verdict() {
            screen.draw(&watch.view, output, to)?;
            if let Some(run) = watch.view.run() {
                for command in next_commands(run) {
                    output.err.line(format!("next: {command}"))?;
                }
            }
            return Ok(exit);
        }
    }
}

struct Watch<'a> {
    id: &'a str,
    view: RunView,
    stream: Option<(usize, Streaming<WatchRunResponse>)>,
    /// Since when no member answers, and which one fell silent.
    broken: Option<(Instant, Option<usize>)>,
}

impl Watch<'_> {
    /// The next message, from whichever member has it. Safe to drop at any point.
    async fn next(&mut self, client: &mut Client, output: &mut Output) -> Result<WatchRunResponse, Failure> {
        loop {
            let Some((member, stream)) = &mut self.stream else {
                self.open(client).await?;
                continue;
            };
            let why = match stream.message().await {
                Ok(Some(message)) => {
                    self.broken = None;
                    return Ok(message);
                }
                Ok(None) => "it ended the stream".to_owned(),
                Err(status) if compacted(&status) => {
                    self.view = RunView::default();
                    "it no longer has that revision".to_owned()
                }
                Err(status) if another_may_answer(&status) => status.message().to_owned(),
                Err(status) => return Err(status.into()),
            };
            let member = *member;
            self.stream = None;
            client.disconnect();
            self.broken.get_or_insert_with(|| (Instant::now(), Some(member)));
            output
                .err
                .line(format!("{} is lost ({why}); going on with another member", client.address(member)))?;
        }
    }

    async fn open(&mut self, client: &mut Client) -> Result<(), Failure> {
        let (since, silent) = *self.broken.get_or_insert_with(|| (Instant::now(), None));
        // The others first; the one that fell silent only when there is no other.
        let without: Vec<usize> = silent.filter(|_| client.len() > 1).into_iter().collect();
        let request = WatchRunRequest { id: self.id.to_owned(), from_revision: self.view.resume_from() };
        let opened = client
            .open(request, &without, |channel, request| async move {
                RunsClient::new(channel).watch_run(request).await
            })
            .await;
        match opened {
            Ok(stream) => {
                self.stream = Some(stream);
                Ok(())
            }
            // Before the first answer there is nothing to wait for.
            Err(failure) if self.view.run().is_none() || failure.exit != Exit::Unreachable => Err(failure),
            Err(failure) if since.elapsed() > PATIENCE => {
                Err(failure
                    .hint(format!("the run goes on without you; later: standfast run watch {}", self.id)))
            }
            Err(_) => {
                self.broken = Some((since, None));
                tokio::time::sleep(BETWEEN_ROUNDS).await;
                Ok(())
            }
        }
    }
}

fn compacted(status: &Status) -> bool {
    status.code() == Code::OutOfRange
        || status.get_details_error_info().is_some_and(|info| info.reason == reason::COMPACTED)
}

/// What stands on a terminal.
#[derive(Default)]
struct Screen {
    /// Lines of the table as it was drawn last.
    drawn: usize,
}

impl Screen {
    /// Shows a message that had news in it.
    fn show(
        &mut self,
        message: &WatchRunResponse,
        view: &RunView,
        output: &mut Output,
        to: To,
    ) -> Result<(), Failure> {
        if live(output, to) {
            return self.draw(view, output, to);
        }
        match to {
            To::Data => output.item(message, write_line),
            To::Progress => write_line(message, &mut output.err),
        }
    }

    /// Draws the table again, in its place; nothing where there is no terminal.
    fn draw(&mut self, view: &RunView, output: &mut Output, to: To) -> Result<(), Failure> {
        if !live(output, to) {
            return Ok(());
        }
        let stream = stream(output, to);
        let Some((run, (columns, rows))) = view.run().zip(stream.size()) else { return Ok(()) };
        let lines = table(run, stream, columns, rows);
        // Up to where the table begins, and clear from there to the end of the screen.
        let mut text = match self.drawn {
            0 => String::new(),
            lines => format!("\x1b[{lines}A\r\x1b[J"),
        };
        for line in &lines {
            text.push_str(line);
            text.push('\n');
        }
        self.drawn = lines.len();
        stream.write(&text)
    }
}

fn stream(output: &mut Output, to: To) -> &mut Stream {
    match to {
        To::Data => &mut output.out,
        To::Progress => &mut output.err,
    }
}

fn live(output: &mut Output, to: To) -> bool {
    let for_people = to == To::Progress || output.format == super::output::Format::Table;
    for_people && stream(output, to).size().is_some()
}

fn write_line(message: &WatchRunResponse, stream: &mut Stream) -> Result<(), Failure> {
    use standfast_proto::v1::watch_run_response::Item;
    match &message.item {
        Some(Item::Snapshot(run)) => stream.line(heading(run)),
        Some(Item::Event(event)) => stream.line(view::line(event)),
        Some(Item::Sync(_)) | None => Ok(()),
    }
}

fn heading(run: &Run) -> String {
    let state = human::camel(run.state().as_str_name(), "RUN_STATE_");
    let mut text = format!(
        "run {} {state}: {} from {} to {}, {} of {} steps",
        run.id, run.playbook, run.from, run.to, run.steps_done, run.steps_total
    );
    if !run.state_reason.is_empty() {
        text.push_str(": ");
        text.push_str(&run.state_reason);
    }
    text
}

/// The run as a table that fits the terminal: what is at work stays, then what comes next.
fn table(run: &Run, stream: &Stream, columns: u16, rows: u16) -> Vec<String> {
    let now = Timestamp::now();
    let room = usize::from(rows).saturating_sub(5).max(1);
    let ended = run.steps.iter().take_while(|step| view::is_end(step.state())).count();
    let first = ended.saturating_sub(1).min(run.steps.len().saturating_sub(room));
    let last = (first + room).min(run.steps.len());

    let mut table = Rows::new(stream, &["STEP", "STATE", "TIME", "ACTION", "DETAIL"]);
    for step in &run.steps[first..last] {
        let time = match (&step.started_at, &step.ended_at) {
            (Some(start), Some(end)) => human::timestamp(Some(start))
                .zip(human::timestamp(Some(end)))
                .map_or_else(|| "-".to_owned(), |(s, e)| human::duration(human::between(s, e))),
            (Some(start), None) => human::ago(Some(start), now),
            _ => String::new(),
        };
        table.row([
            plain(step.id.clone()),
            step_cell(step.state(), step.waits_for_approval),
            plain(time),
            plain(format!("{} {}", step.action, step.target)),
            plain(step.detail.replace('\n', " ")),
        ]);
    }
    table.limit(columns);
    let mut lines = vec![fit(&heading(run), columns)];
    lines.extend(table.lines());
    let hidden = run.steps.len() - (last - first);
    if hidden > 0 {
        lines.push(format!("({first} done above, {} to come below)", hidden - first));
    }
    lines
}

/// Cut, so that a line stays one line.
fn fit(line: &str, columns: u16) -> String {
    line.chars().take(usize::from(columns).saturating_sub(1)).collect()
}

/// A step's state as a cell.
pub fn step_cell(state: StepState, waits: bool) -> (Tone, String) {
    let tone = match state {
        StepState::Pending | StepState::Unspecified => Tone::Plain,
        StepState::Succeeded | StepState::AlreadyDone => Tone::Good,
        StepState::Failed | StepState::UndoFailed | StepState::Unknown => Tone::Bad,
        _ => Tone::Busy,
    };
    if waits {
        return (Tone::Bad, "waits for you".to_owned());
    }
    (tone, human::camel(state.as_str_name(), "STEP_STATE_"))
}

/// A run's line in a list.
pub fn run_row(run: &Run, now: Timestamp) -> [(Tone, String); 7] {
    [
        plain(run.id.clone()),
        state_cell(run),
        plain(format!("{} -> {}", run.from, run.to)),
        plain(human::lower(run.mode().as_str_name(), "MODE_")),
        plain(format!("{}/{}", run.steps_done, run.steps_total)),
        plain(human::ago(run.created_at.as_ref(), now)),
        plain(human::or_dash(&run.reason)),
    ]
}
