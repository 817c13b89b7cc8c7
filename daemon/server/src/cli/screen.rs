//! A run on a terminal, drawn again in its place; as lines everywhere else.

use jiff::Timestamp;
use standfast_proto::v1::watch_run_response::Item;
use standfast_proto::v1::{Run, StepState, WatchRunResponse};

use super::exit::Failure;
use super::human;
use super::output::{Format, Output, Rows, Stream, Tone, one_line, plain};
use super::run::state_cell;
use super::view::{self, RunView};

/// Where the events go.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum To {
    /// They are what was asked for: stdout.
    Data,
    /// They are progress: stderr.
    Progress,
}

/// What stands on a terminal.
#[derive(Default)]
pub(super) struct Screen {
    /// Lines of the table as it was drawn last.
    drawn: usize,
    /// Columns and rows of the terminal then.
    size: Option<(u16, u16)>,
}

impl Screen {
    /// Shows a message that had news in it.
    pub(super) fn show(
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
    pub(super) fn draw(&mut self, view: &RunView, output: &mut Output, to: To) -> Result<(), Failure> {
        if !live(output, to) {
            return Ok(());
        }
        let stream = stream(output, to);
        let Some((run, (columns, rows))) = view.run().zip(stream.size()) else { return Ok(()) };
        let lines = table(run, stream, columns, rows);
        // Up to where the table begins, and clear from there to the end of the screen.
        // After a resize nobody knows how its lines were wrapped: the whole screen is drawn anew.
        let resized = self.size.replace((columns, rows)).is_some_and(|before| before != (columns, rows));
        let mut text = match self.drawn {
            0 => String::new(),
            _ if resized => "\x1b[H\x1b[2J".to_owned(),
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
    let for_people = to == To::Progress || output.format == Format::Table;
    for_people && stream(output, to).size().is_some()
}

fn write_line(message: &WatchRunResponse, stream: &mut Stream) -> Result<(), Failure> {
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
    one_line(&text)
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
            plain(step.detail.clone()),
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
