//! Reports of runs that are not the only ones.

use pbjson_types::Timestamp;
use standfast::records::{REFUSALS, encode};
use standfast::store::{Op, Txn};
use standfast_core::controller::Refused;
use standfast_core::guard::Guard;
use standfast_core::time::Span;
use standfast_core::verdict::{Finding, Verdict};
use standfast_proto::v1::{GetReportRequest, RunState};

use super::fixture::*;

fn refused(guard: Guard, wall_ms: i64) -> (String, Refused) {
    let finding = Finding {
        site: "a".into(),
        verdict: Verdict::Partitioned,
        held_for: Span::ms(0),
        confirmed: Span::ms(0),
        needed: 2,
        votes: Vec::new(),
        inside: Vec::new(),
    };
    let (site, reason) = ("a".into(), "no".into());
    let refused = Refused { site, wall_ms, guard: Some(guard), reason, finding, wanted: None };
    (format!("{REFUSALS}a/{}", guard.id()), refused)
}

fn ms(at: &Timestamp) -> i64 {
    at.seconds * 1_000 + i64::from(at.nanos) / 1_000_000
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_before_an_earlier_run_is_not_of_this_one() {
    let (store, member, _tool) = led().await;
    let mut runs = Vec::new();
    for request in ["r1", "r2"] {
        let id = start(&member, drill("waits", request)).await.id;
        runs.push(until(&member, &id, |run| run.state() == RunState::Succeeded).await);
    }
    let [first, second] = &runs[..] else { panic!("two runs") };
    let before = ms(first.created_at.as_ref().unwrap()) - 1;
    let between = ms(second.created_at.as_ref().unwrap());
    for (key, refused) in [refused(Guard::Veto, before), refused(Guard::Automation, between)] {
        store.txn(Txn::new().then(Op::put(key, encode(&refused)))).await.unwrap();
    }
    for (run, guard) in [(first, "G04"), (second, "G08")] {
        let request = GetReportRequest { id: run.id.clone() };
        let report = member.runs().await.get_report(request).await.unwrap().into_inner();
        let ids: Vec<&str> =
            report.refusals.iter().map(|no| no.guard.as_ref().unwrap().id.as_str()).collect();
        assert_eq!(ids, [guard], "of {}", run.id);
    }
}
