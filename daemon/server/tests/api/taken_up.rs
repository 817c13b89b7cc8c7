//! All events, though the leader dies under whoever listens.

use std::collections::BTreeSet;

use standfast_proto::v1::event::Subject;
use standfast_proto::v1::events_client::EventsClient;
use standfast_proto::v1::watch_response::Item;
use standfast_proto::v1::*;
use tonic::{Status, Streaming};

use super::fixture::*;

/// What tells an event from all others.
type Name = (u64, i32, String);

fn name(event: &Event) -> Name {
    let name = match event.subject.as_ref().expect("a subject") {
        Subject::Site(site) => site.name.clone(),
        Subject::Run(run) => run.id.clone(),
        Subject::Journal(entry) => format!("{} {}", entry.run_id, entry.sequence),
        Subject::Member(member) => member.name.clone(),
        Subject::Leader(leader) => leader.epoch.to_string(),
        Subject::Bundle(bundle) => bundle.digest.clone(),
        Subject::Refusal(refusal) => refusal.site.clone(),
    };
    (event.revision, event.kind, name)
}

fn ends(event: &Event, run: &str) -> bool {
    matches!(&event.subject, Some(Subject::Journal(entry))
        if entry.run_id == run && entry.run_state() == RunState::Succeeded)
}

/// Everybody who listens does as the contract says: goes on from one revision before the last
/// event, and drops what it has.
struct Listener {
    stream: Streaming<WatchResponse>,
    sync: u64,
    heard: Vec<Event>,
    seen: BTreeSet<Name>,
}

impl Listener {
    async fn new(member: &Daemon, from_revision: u64) -> Self {
        let request = WatchRequest { from_revision, kinds: vec![] };
        let stream = EventsClient::new(member.channel().await).watch(request).await.unwrap().into_inner();
        Self { stream, sync: from_revision, heard: vec![], seen: BTreeSet::new() }
    }

    /// The place to go on from.
    fn place(&self) -> u64 {
        self.heard.last().map_or(self.sync, |event| event.revision - 1)
    }

    async fn goes_on(self, member: &Daemon) -> Self {
        let stream = Self::new(member, self.place()).await.stream;
        Self { stream, ..self }
    }

    /// One more message; an error when the stream has ended.
    async fn hear(&mut self) -> Result<(), Status> {
        let message =
            tokio::time::timeout(PATIENCE, self.stream.message()).await.expect("an event in time")?;
        match message.and_then(|message| message.item) {
            Some(Item::Change(event)) => {
                if self.seen.insert(name(&event)) {
                    self.heard.push(event);
                }
            }
            Some(Item::Sync(sync)) => self.sync = self.sync.max(sync.revision),
            Some(Item::Snapshot(_)) => {}
            None => return Err(Status::unavailable("the stream has ended")),
        }
        Ok(())
    }

    async fn until(&mut self, wanted: impl Fn(&Event) -> bool) {
        while !self.heard.iter().any(&wanted) {
            self.hear().await.expect("it goes on");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_event_is_lost_or_doubled_when_the_leader_dies_under_the_listener() {
    // Situation: a client hears all events from the leader, which is killed in mid-run; another
    // member leads, and the run goes on to its end. Danger: an event of between is lost, or told
    // twice. Expectation: the client goes on by revision on another member, and has heard what
    // somebody heard who was never cut off; wherever the stream breaks.
    let (store, leader, _tool) = led().await;
    let witness = Daemon::answers("w2", "w", &store).await;
    let mut other = Daemon::answers("b1", "b", &store).await.observing().leading();
    other.knows(&get_digest(&leader).await).await;
    let mut client = Listener::new(&leader, 0).await;
    while client.sync == 0 {
        client.hear().await.expect("a snapshot");
    }
    let mut control = Listener::new(&witness, client.sync).await;
    let id = start(&leader, drill("shop", "r1")).await.id;
    let asked = |event: &Event| matches!(&event.subject, Some(Subject::Journal(entry)) if entry.kind() == JournalEventKind::ApprovalAsked);
    client.until(asked).await;
    drop(leader);
    while client.hear().await.is_ok() {}
    client = client.goes_on(&other).await;

    until(&other, &id, |run| run.member == "b1").await;
    let approve = ApproveRunRequest {
        id: id.clone(),
        step: "word".into(),
        request_id: "a1".into(),
        ..ApproveRunRequest::default()
    };
    other.runs().await.approve_run(approve).await.unwrap();
    client.until(|event| ends(event, &id)).await;
    control.until(|event| ends(event, &id)).await;

    let last = control.heard.iter().position(|event| ends(event, &id)).expect("the end");
    let told: Vec<Name> = control.heard[..=last].iter().map(name).collect();
    let heard: Vec<Name> = client.heard.iter().map(name).take_while(|name| name.0 <= told[last].0).collect();
    assert_eq!(heard[..told.len()], told);
    let of = |kind: EventKind| told.iter().filter(|(_, k, _)| *k == i32::from(kind)).count();
    assert!(of(EventKind::Leader) >= 2 && of(EventKind::Site) >= 2, "{told:?}");
    let sequences: Vec<u64> = client
        .heard
        .iter()
        .filter_map(|event| match &event.subject {
            Some(Subject::Journal(entry)) if entry.run_id == id => Some(entry.sequence),
            _ => None,
        })
        .collect();
    assert_eq!(sequences, (1..=sequences.len() as u64).collect::<Vec<_>>());

    // Cut off behind any event, the rest is the same.
    for cut in 0..last {
        let heard = control.heard[..=cut].to_vec();
        let seen = heard.iter().map(name).collect();
        let mut again = Listener::new(&other, heard[cut].revision - 1).await;
        (again.heard, again.seen) = (heard, seen);
        again.until(|event| ends(event, &id)).await;
        assert_eq!(again.heard.iter().map(name).collect::<Vec<_>>(), told, "cut off behind {cut}");
    }
}
