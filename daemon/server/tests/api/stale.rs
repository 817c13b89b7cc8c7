//! A plan that was looked at, and another one that would be run.

use standfast_proto::v1::bundles_client::BundlesClient;
use standfast_proto::v1::*;

use super::fixture::*;
use crate::console::standfast;
use standfast::cli::exit::Exit;

/// Situation: a plan is looked at, and agreed upon by its digest; then somebody edits a step.
/// Danger: what runs is not what was agreed upon. Expectation: it is refused, and nothing begins,
/// until the plan is looked at anew.
#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_stale_when_the_bundle_was_edited_since() {
    let (_store, mut member, tool) = led().await;
    let servers = [member.address];
    let words = "--from a --to b --mode drill";
    let digest = async || {
        let seen = standfast(&servers, &format!("plan waits {words} -o json")).await;
        let plan: serde_json::Value = serde_json::from_str(&seen.out).expect("it is JSON");
        plan["digest"].as_str().expect("a plan has a digest").to_owned()
    };
    let agreed = digest().await;
    assert_eq!(digest().await, agreed, "looking again changes nothing");

    let mut edited = files(tool.local_addr().unwrap().port());
    edited[2].1 = edited[2].1.replace("20s", "21s");
    let request = ApplyBundleRequest {
        files: bundle_files(&edited),
        request_id: "edit".into(),
        ..ApplyBundleRequest::default()
    };
    let mut bundles = BundlesClient::new(member.channel().await);
    let bundle = bundles.apply_bundle(request).await.unwrap().into_inner().digest;
    member.knows(&bundle).await;

    let start = |request: &str, plan: &str| {
        let words = format!("run start waits {words} --reason test --request-id {request} --plan {plan}");
        async move { standfast(&servers, &words).await }
    };
    let refused = start("s1", &agreed).await;
    assert_eq!(refused.exit(), Exit::Stale, "{refused:?}");
    assert!(refused.failure().to_string().contains("make the plan again"), "{}", refused.failure());
    let runs = member.runs().await.list_runs(ListRunsRequest::default()).await.unwrap().into_inner().runs;
    assert!(runs.is_empty(), "{runs:?}");
    let anew = digest().await;
    assert_ne!(anew, agreed);
    let begun = start("s2", &anew).await;
    assert_eq!(begun.exit(), Exit::Done, "{begun:?}");
}
