//! Everything that happens, in order, whoever of the members dies meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use standfast::cli::exit::Failure;
use standfast_proto::v1::event::Subject;
use standfast_proto::v1::events_client::EventsClient;
use standfast_proto::v1::watch_response::Item;
use standfast_proto::v1::{Event, JournalEvent, WatchRequest, WatchResponse};
use tokio::task::JoinHandle;
use tonic::Streaming;

use super::api::Api;
use crate::parts::{Error, Result};

/// How long no member may answer: longer than any election.
const PATIENCE: Duration = Duration::from_secs(30);
const BETWEEN_ROUNDS: Duration = Duration::from_millis(100);

/// What a follower gets.
#[derive(Debug, Clone)]
pub enum News {
    /// Part of what there was when it began.
    Known(Event),
    /// Something that happened.
    Happened(Event),
    /// What there was is complete.
    Synced,
    /// The member that was listened to is gone; another one goes on.
    Lost {
        /// Its address.
        member: String,
        /// How it went.
        why: String,
    },
}

/// A follower of all events.
pub struct Events {
    api: Api,
    stream: Option<(usize, Streaming<WatchResponse>)>,
    silent: Option<usize>,
    /// Since when nobody answers.
    since: Option<Instant>,
    place: Place,
}

/// Where a follower stands in the history. Several events may share a revision, and a stream
/// may break between them: it is taken up one revision before, and what was seen is dropped.
#[derive(Debug, Default)]
struct Place {
    synced: bool,
    revision: u64,
    /// What was seen of that revision.
    seen: BTreeSet<(i32, String)>,
}

/// What tells an event from the others of its revision. Two members may tell the same one with
/// different words.
fn name(event: &Event) -> (i32, String) {
    let name = match &event.subject {
        Some(Subject::Site(site)) => site.name.clone(),
        Some(Subject::Run(run)) => run.id.clone(),
        Some(Subject::Journal(line)) => format!("{} {}", line.run_id, line.sequence),
        Some(Subject::Member(member)) => member.name.clone(),
        Some(Subject::Bundle(bundle)) => bundle.digest.clone(),
        Some(Subject::Refusal(refusal)) => {
            let guard = refusal.guard.as_ref().map(|guard| guard.id.as_str());
            format!("{} {}", refusal.site, guard.unwrap_or_default())
        }
        Some(Subject::Leader(_)) | None => String::new(),
    };
    (event.kind, name)
}

impl Place {
    fn resume_from(&self) -> u64 {
        if self.synced { self.revision.saturating_sub(1) } else { 0 }
    }

    fn take(&mut self, item: Item) -> Option<News> {
        match item {
            Item::Snapshot(event) => Some(News::Known(event)),
            Item::Sync(sync) => {
                self.revision = self.revision.max(sync.revision);
                (!std::mem::replace(&mut self.synced, true)).then_some(News::Synced)
            }
            Item::Change(event) => {
                if event.revision > self.revision {
                    self.revision = event.revision;
                    self.seen.clear();
                }
                let new = event.revision == self.revision && self.seen.insert(name(&event));
                new.then_some(News::Happened(event))
            }
        }
    }
}

impl Events {
    /// Follows the members that `api` knows.
    pub fn new(api: Api) -> Events {
        Events { api, stream: None, silent: None, since: None, place: Place::default() }
    }

    /// The next news. Safe to drop at any point.
    pub async fn next(&mut self) -> Result<News> {
        loop {
            let Some((member, stream)) = &mut self.stream else {
                self.open().await?;
                continue;
            };
            let why = match stream.message().await {
                Ok(Some(message)) => {
                    self.since = None;
                    match message.item.and_then(|item| self.place.take(item)) {
                        Some(news) => return Ok(news),
                        None => continue,
                    }
                }
                Ok(None) => "it ended the stream".to_string(),
                Err(status) => status.message().to_string(),
            };
            let member = *member;
            self.fell_silent(member);
            let member = self.api.client().address(member).to_string();
            return Ok(News::Lost { member, why });
        }
    }

    fn fell_silent(&mut self, member: usize) {
        self.stream = None;
        self.silent = Some(member);
        self.since.get_or_insert_with(Instant::now);
        self.api.client().disconnect();
    }

    /// Opens a stream, or waits a little where nobody answers.
    async fn open(&mut self) -> Result<()> {
        let client = self.api.client();
        let without: Vec<usize> = self.silent.filter(|_| client.len() > 1).into_iter().collect();
        let request = WatchRequest { from_revision: self.place.resume_from(), kinds: Vec::new() };
        let opened = client
            .open(request, &without, |channel, request| async move {
                EventsClient::new(channel).watch(request).await
            })
            .await;
        let failure = match opened {
            Ok((member, Ok(stream))) => {
                self.stream = Some((member, stream));
                return Ok(());
            }
            Ok((member, Err(status))) => {
                self.fell_silent(member);
                Failure::from(status)
            }
            Err(failure) => {
                self.silent = None;
                failure
            }
        };
        if self.since.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
            let problem = format!("nobody to listen to for {PATIENCE:?}: {failure}");
            return Err(Error::answer("events", problem));
        }
        tokio::time::sleep(BETWEEN_ROUNDS).await;
        Ok(())
    }
}

/// Writes down every event in the background, from its start on.
#[derive(Debug)]
pub struct Recorder {
    events: Arc<Mutex<Vec<Event>>>,
    work: JoinHandle<()>,
}

impl Recorder {
    /// Begins; what there is already counts.
    pub fn start(api: Api) -> Recorder {
        let events: Arc<Mutex<Vec<Event>>> = Arc::default();
        let written = Arc::clone(&events);
        let mut follower = Events::new(api);
        let work = tokio::spawn(async move {
            while let Ok(news) = follower.next().await {
                if let News::Known(event) | News::Happened(event) = news {
                    written.lock().unwrap_or_else(PoisonError::into_inner).push(event);
                }
            }
        });
        Recorder { events, work }
    }

    /// The journal of a run, as far as it was heard, in its order.
    pub fn journal(&self, run: &str) -> Vec<JournalEvent> {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = events.iter().filter_map(|event| match &event.subject {
            Some(Subject::Journal(line)) if line.run_id == run => Some((line.sequence, line.clone())),
            _ => None,
        });
        lines.collect::<BTreeMap<u64, JournalEvent>>().into_values().collect()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.work.abort();
    }
}

#[cfg(test)]
mod tests {
    use standfast_proto::v1::{EventKind, Sync};

    use super::*;

    fn event(revision: u64, kind: EventKind) -> Event {
        Event { revision, kind: kind.into(), ..Event::default() }
    }

    /// A stream that breaks between two events of one revision loses none and doubles none.
    #[test]
    fn a_broken_stream_is_taken_up_where_it_broke() {
        let mut place = Place::default();
        assert_eq!(place.resume_from(), 0);
        assert!(matches!(place.take(Item::Sync(Sync { revision: 5 })), Some(News::Synced)));
        let (site, run) = (event(6, EventKind::Site), event(6, EventKind::Run));
        assert!(matches!(place.take(Item::Change(site.clone())), Some(News::Happened(_))));
        assert_eq!(place.resume_from(), 5);
        assert!(place.take(Item::Change(site)).is_none());
        assert!(matches!(place.take(Item::Change(run)), Some(News::Happened(_))));
        assert!(place.take(Item::Sync(Sync { revision: 6 })).is_none());
        assert!(place.take(Item::Change(event(5, EventKind::Leader))).is_none());
        assert!(matches!(place.take(Item::Change(event(7, EventKind::Run))), Some(News::Happened(_))));
    }
}
