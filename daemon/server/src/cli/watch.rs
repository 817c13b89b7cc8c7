//! Following a run to its end, or to where it waits for people.
//!
//! The stream may break at any moment: its member may be in the site that is being left. Then
//! another member goes on from the last revision.

use std::time::Duration;

use standfast_proto::MAX_ANSWER_BYTES;
use standfast_proto::reason;
use standfast_proto::v1::runs_client::RunsClient;
use standfast_proto::v1::{WatchRunRequest, WatchRunResponse};
use tokio::time::Instant;
use tonic::{Code, Status, Streaming};
use tonic_types::StatusExt;

use super::client::{Client, another_may_answer};
use super::exit::{Exit, Failure};
use super::output::Output;
use super::run::next_commands;
use super::screen::{Screen, To};
use super::view::RunView;

/// How long a watch looks for a member before it gives up: longer than any election.
const PATIENCE: Duration = Duration::from_secs(60);
/// The same before it has seen anything: long enough to ask every member.
const FIRST_PATIENCE: Duration = Duration::from_secs(5);
/// Between two rounds over all members, none of which answers.
const BETWEEN_ROUNDS: Duration = Duration::from_millis(500);
/// How often a live table is drawn when nothing happens, so that its times go on.
const REDRAW: Duration = Duration::from_millis(500);

/// Follows a run. Ends with the run, or with `Exit::Waiting` where only people can go on.
pub async fn follow(client: &mut Client, output: &mut Output, id: &str, to: To) -> Result<Exit, Failure> {
    let mut connection = Connection { id, stream: None, broken: None };
    let mut view = RunView::default();
    let mut screen = Screen::default();
    let mut redraw = tokio::time::interval(REDRAW);
    loop {
        let news = {
            let next = connection.next(client, &view);
            tokio::pin!(next); // drawn beside it, never instead: a slow member gets its time
            loop {
                tokio::select! {
                    news = &mut next => break news?,
                    _ = redraw.tick() => screen.draw(&view, output, to)?,
                }
            }
        };
        match news {
            News::Message(message) => {
                if view.apply(&message) {
                    screen.show(&message, &view, output, to)?;
                }
            }
            News::Lost(line) => output.err.line(line)?,
            News::Compacted => view = RunView::default(),
            News::Nothing => {}
        }
        if let Some(exit) = view.verdict() {
            screen.draw(&view, output, to)?;
            // The events say where the run stands, not what helps there.
            let told = match exit {
                Exit::Waiting => super::run::get(client, id.to_owned()).await.ok(),
                _ => None,
            };
            for command in told.as_ref().or(view.run()).map(next_commands).unwrap_or_default() {
                output.err.line(format!("next: {command}"))?;
            }
            return Ok(exit);
        }
    }
}

/// What comes of a connection.
enum News {
    Message(Box<WatchRunResponse>),
    /// A member fell silent; what to tell people.
    Lost(String),
    /// The revision to go on from is gone: begin again.
    Compacted,
    /// No member has any yet.
    Nothing,
}

struct Connection<'a> {
    id: &'a str,
    stream: Option<(usize, Streaming<WatchRunResponse>)>,
    /// Since when no member answers, and which one fell silent.
    broken: Option<(Instant, Option<usize>)>,
}

impl Connection<'_> {
    /// The next news, from whichever member has them.
    async fn next(&mut self, client: &mut Client, view: &RunView) -> Result<News, Failure> {
        let patience = if view.run().is_some() { PATIENCE } else { FIRST_PATIENCE };
        let (member, status) = match self.message(client, view).await {
            Ok(message) => {
                self.broken = None;
                return Ok(News::Message(Box::new(message)));
            }
            Err(Trouble::Member(member, status)) => (member, status),
            // Before the first message there is nothing that another round could bring back.
            Err(Trouble::Nobody(failure)) if view.run().is_none() => return Err(failure),
            Err(Trouble::Nobody(failure)) => {
                let since = self.broken.map_or_else(Instant::now, |(since, _)| since);
                self.broken = Some((since, None));
                self.wait(since, patience, failure).await?;
                return Ok(News::Nothing);
            }
        };
        self.stream = None;
        client.disconnect();
        if compacted(&status) {
            return Ok(News::Compacted);
        }
        if !another_may_answer(&status) {
            return Err(status.into());
        }
        let lost = format!("{} is lost ({})", client.address(member), status.message());
        match self.broken.replace((Instant::now(), Some(member))) {
            None => Ok(News::Lost(format!("{lost}; going on with another member"))),
            // This one broke before a message came, too.
            Some((since, _)) => {
                self.broken = Some((since, Some(member)));
                self.wait(since, patience, Failure::new(Exit::Unreachable, lost)).await?;
                Ok(News::Nothing)
            }
        }
    }

    /// The next message; opens a stream when there is none.
    async fn message(&mut self, client: &mut Client, view: &RunView) -> Result<WatchRunResponse, Trouble> {
        if self.stream.is_none() {
            // The others first; the one that fell silent only when there is no other.
            let silent = self.broken.and_then(|(_, silent)| silent).filter(|_| client.len() > 1);
            let without: Vec<usize> = silent.into_iter().collect();
            let request = WatchRunRequest { id: self.id.to_owned(), from_revision: view.resume_from() };
            let (member, opened) = client
                .open(request, &without, |channel, request| async move {
                    RunsClient::new(channel)
                        .max_decoding_message_size(MAX_ANSWER_BYTES)
                        .watch_run(request)
                        .await
                })
                .await
                .map_err(Trouble::Nobody)?;
            let stream = opened.map_err(|status| Trouble::Member(member, status))?;
            self.stream = Some((member, stream));
        }
        let (member, stream) = self.stream.as_mut().expect("opened above");
        match stream.message().await {
            Ok(Some(message)) => Ok(message),
            Ok(None) => Err(Trouble::Member(*member, Status::unavailable("it ended the stream"))),
            Err(status) => Err(Trouble::Member(*member, status)),
        }
    }

    /// Waits for the next round, or gives up with the failure of this one.
    async fn wait(&self, since: Instant, patience: Duration, failure: Failure) -> Result<(), Failure> {
        if since.elapsed() > patience {
            let later = format!("a run goes on without you; later: standfast run watch {}", self.id);
            return Err(failure.hint(later));
        }
        tokio::time::sleep(BETWEEN_ROUNDS).await;
        Ok(())
    }
}

/// Why there is no message.
enum Trouble {
    /// One member said so, or fell silent.
    Member(usize, Status),
    /// No member answers.
    Nobody(Failure),
}

fn compacted(status: &Status) -> bool {
    status.code() == Code::OutOfRange
        || status.get_details_error_info().is_some_and(|info| info.reason == reason::COMPACTED)
}
