//! Everything that happens, in one stream that can be taken up again.

use standfast_proto::reason;
use standfast_proto::v1::event::Subject;
use standfast_proto::v1::events_client::EventsClient;
use standfast_proto::v1::watch_response::Item;
use standfast_proto::v1::*;
use tonic::{Code, Streaming};

use super::fixture::*;

async fn watch(member: &Daemon, from_revision: u64, kinds: &[EventKind]) -> Streaming<WatchResponse> {
    let request = WatchRequest { from_revision, kinds: kinds.iter().map(|kind| (*kind).into()).collect() };
    EventsClient::new(member.channel().await).watch(request).await.unwrap().into_inner()
}

async fn next(stream: &mut Streaming<WatchResponse>) -> Item {
    let message = tokio::time::timeout(PATIENCE, stream.message()).await.expect("an event in time");
    message.unwrap().expect("it goes on").item.expect("an item")
}

/// What there was, and the revision of SYNC.
async fn snapshot(stream: &mut Streaming<WatchResponse>) -> (Vec<Event>, u64) {
    let mut events = Vec::new();
    loop {
        match next(stream).await {
            Item::Snapshot(event) => events.push(event),
            Item::Sync(sync) => return (events, sync.revision),
            Item::Change(event) => panic!("before SYNC: {event:?}"),
        }
    }
}

/// Changes up to the end of a run.
async fn to_the_end(stream: &mut Streaming<WatchResponse>) -> Vec<Event> {
    let mut events = Vec::new();
    loop {
        match next(stream).await {
            Item::Change(event) => {
                let ends = matches!(&event.subject, Some(Subject::Journal(entry)) if entry.run_state() == RunState::Succeeded);
                events.push(event);
                if ends {
                    return events;
                }
            }
            Item::Sync(_) => {}
            Item::Snapshot(event) => panic!("after SYNC: {event:?}"),
        }
    }
}

fn kinds(events: &[Event]) -> std::collections::BTreeSet<EventKind> {
    events.iter().map(Event::kind).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_comes_first_then_what_happens() {
    let (store, member, _tool) = led().await;
    let first = start(&member, drill("waits", "r1")).await.id;
    until(&member, &first, |run| run.ended_at.is_some()).await;
    let mut stream = watch(&member, 0, &[]).await;
    let (there, sync) = snapshot(&mut stream).await;
    let wanted = [EventKind::Site, EventKind::Run, EventKind::Member, EventKind::Leader, EventKind::Bundle];
    assert!(wanted.iter().all(|kind| kinds(&there).contains(kind)), "{:?}", kinds(&there));
    assert!(there.iter().all(|event| event.revision <= sync));

    let second = start(&member, drill("waits", "r2")).await.id;
    let events = to_the_end(&mut stream).await;
    assert!(events.iter().all(|event| event.revision > sync));
    assert!(events.windows(2).all(|pair| pair[0].revision <= pair[1].revision), "out of order");
    let entries: Vec<&JournalEvent> = events
        .iter()
        .filter_map(|event| match &event.subject {
            Some(Subject::Journal(entry)) => Some(entry),
            _ => None,
        })
        .collect();
    assert!(entries.iter().all(|entry| entry.run_id == second));
    let sequences: Vec<u64> = entries.iter().map(|entry| entry.sequence).collect();
    assert_eq!(sequences, (1..=sequences.len() as u64).collect::<Vec<_>>());
    // The site is taken by the run: that is news of the site.
    let taken = |event: &&Event| matches!(&event.subject, Some(Subject::Site(site)) if site.run_id == second);
    assert!(events.iter().any(|event| taken(&event)));

    // Another member goes on from the same revision, and tells the same entries.
    let other = Daemon::answers("b1", "b", &store).await;
    let mut stream = watch(&other, sync, &[EventKind::Journal]).await;
    let again = to_the_end(&mut stream).await;
    let told: Vec<&Subject> = again.iter().filter_map(|event| event.subject.as_ref()).collect();
    let before: Vec<&Subject> = events
        .iter()
        .filter(|event| event.kind() == EventKind::Journal)
        .filter_map(|event| event.subject.as_ref())
        .collect();
    assert_eq!(told, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_told_is_said() {
    let (store, member, _tool) = led().await;
    let mut client = EventsClient::new(member.channel().await);
    let request = |from_revision: u64, kinds: &[i32]| WatchRequest { from_revision, kinds: kinds.to_vec() };
    let kind = why(client.watch(request(0, &[99])).await.map(|_| ()));
    assert_eq!(kind, (Code::InvalidArgument, reason::BAD_FIELD.into()));
    let ahead = why(client.watch(request(1 << 40, &[])).await.map(|_| ()));
    assert_eq!(ahead, (Code::OutOfRange, reason::COMPACTED.into()));
    let id = start(&member, drill("waits", "r1")).await.id;
    let run = until(&member, &id, |run| run.ended_at.is_some()).await;
    store.compact(run.revision).await.unwrap();
    let forgotten = why(client.watch(request(2, &[])).await.map(|_| ()));
    assert_eq!(forgotten, (Code::OutOfRange, reason::COMPACTED.into()));

    let mut stream = watch(&member, 0, &[EventKind::Leader]).await;
    let (there, _) = snapshot(&mut stream).await;
    assert_eq!(there.len(), 1, "only what was asked for");
    member.stop.cancel();
    let end = tokio::time::timeout(PATIENCE, stream.message()).await.expect("an end in time");
    assert_eq!(end.expect_err("it says so").code(), Code::Unavailable);
}
