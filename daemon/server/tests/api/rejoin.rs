//! A fenced site comes back when a person says so, and not otherwise.

use standfast::records;
use standfast::store::{Op, Range, Txn};
use standfast_core::ids::Epoch;
use standfast_core::site_lease::Fenced;
use standfast_proto::reason;
use standfast_proto::v1::sites_client::SitesClient;
use standfast_proto::v1::*;
use tonic::Code;

use super::fixture::*;
use crate::console::standfast;
use standfast::cli::exit::Exit;

fn rejoin(request_id: &str, reason: &str) -> RejoinSiteRequest {
    RejoinSiteRequest { name: "a".into(), request_id: request_id.into(), reason: reason.into() }
}

/// Situation: a run has fenced site a and is over. Danger: it comes back without anybody having
/// looked, or a person cannot let it. Expectation: it needs a reason, is done once, and whoever asks
/// for what is not there, or while a run leaves the site, is refused.
#[tokio::test(flavor = "multi_thread")]
async fn a_person_lets_a_fenced_site_come_back() {
    let (store, member, _tool) = led().await;
    let mut sites = SitesClient::new(member.channel().await);
    let wrong = (Code::FailedPrecondition, reason::WRONG_STATE.to_owned());
    assert_eq!(why(sites.rejoin_site(rejoin("q1", "it is empty")).await), wrong, "it is not fenced");

    let key = records::site_fenced(&"a".into());
    let fenced = Fenced { run: "r7-1".into(), epoch: Epoch(7), wall_ms: 0 };
    store.txn(Txn::new().then(Op::put(&key, records::encode(&fenced)))).await.unwrap();
    let shown = sites.get_site(GetSiteRequest { name: "a".into() }).await.unwrap().into_inner();
    assert_eq!(shown.lease.unwrap().fenced_by, "r7-1");
    assert_eq!(why(sites.rejoin_site(rejoin("q2", " ")).await).1, reason::BAD_FIELD);

    let run = start(&member, drill("shop", "r1")).await;
    until(&member, &run.id, |run| run.steps[0].waits_for_approval).await;
    let held = format!("run {} leaves a now; let it end first", run.id);
    let asked = async {
        // Whoever leads reads the key at its next look.
        for round in 0.. {
            let refused = sites.rejoin_site(rejoin(&format!("q3-{round}"), "it is empty")).await.unwrap_err();
            if refused.message() != "a is not fenced" {
                return refused.message().to_owned();
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        unreachable!("asked for ever")
    };
    assert_eq!(tokio::time::timeout(PATIENCE, asked).await.expect("the leader looks"), held);
    let abort = AbortRunRequest { id: run.id.clone(), reason: "enough".into(), ..AbortRunRequest::default() };
    member.runs().await.abort_run(AbortRunRequest { request_id: "x1".into(), ..abort }).await.unwrap();
    until(&member, &run.id, |run| run.ended_at.is_some()).await;

    let seen = standfast(&[member.address], "site rejoin a --request-id q4 --reason empty").await;
    assert_eq!(seen.exit(), Exit::Done, "{seen:?}");
    assert!(!seen.out.contains("fenced"), "{seen:?}");
    assert!(store.range(Range::key(&key)).await.unwrap().kvs.is_empty());
    let again = sites.rejoin_site(rejoin("q4", "empty")).await.unwrap().into_inner();
    assert_eq!(again.lease, None, "the same request is answered as before, and does nothing more");
}
