//! Bundles: linted, applied once, read back.

use standfast_proto::reason;
use standfast_proto::v1::bundles_client::BundlesClient;
use standfast_proto::v1::sites_client::SitesClient;
use standfast_proto::v1::*;
use tonic::Code;
use tonic_types::StatusExt;

use super::fixture::*;
use crate::console::standfast;
use standfast::cli::exit::Exit;
use standfast::records::MEMBERS;
use standfast::store::Range;

fn request(files: &[(&str, String)], id: &str) -> ApplyBundleRequest {
    ApplyBundleRequest { files: bundle_files(files), request_id: id.into(), ..ApplyBundleRequest::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_become_the_bundle_once_and_are_read_back() {
    let store = store().await;
    let mut member = Daemon::answers("w1", "w", &store).await;
    let mut client = BundlesClient::new(member.channel().await);
    let mut sites = SitesClient::new(member.channel().await);
    let none = why(sites.list_sites(ListSitesRequest {}).await);
    assert_eq!(none, (Code::FailedPrecondition, reason::WRONG_STATE.into()));

    let mut one = files(1);
    let applied = client.apply_bundle(request(&one, "r1")).await.unwrap().into_inner();
    assert!(applied.changed && applied.previous_digest.is_empty());
    member.knows(&applied.digest).await;
    let listed = sites.list_sites(ListSitesRequest {}).await.unwrap().into_inner();
    let names: Vec<&str> = listed.sites.iter().map(|site| site.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "w"]);

    one[0].1.push_str("# another\n");
    let dry = ApplyBundleRequest { validate_only: true, ..request(&one, "") };
    let dry = client.apply_bundle(dry).await.unwrap().into_inner();
    assert!(dry.changed && dry.previous_digest == applied.digest);
    let stale = ApplyBundleRequest { etag: "0".repeat(64), ..request(&one, "r2") };
    let stale = why(client.apply_bundle(stale).await);
    assert_eq!(stale, (Code::Aborted, reason::STALE_ETAG.into()));
    let reused = why(client.apply_bundle(request(&one, "r1")).await);
    assert_eq!(reused, (Code::InvalidArgument, reason::REQUEST_ID_REUSED.into()));
    let current = ApplyBundleRequest { etag: applied.digest.clone(), ..request(&one, "r2") };
    let second = client.apply_bundle(current).await.unwrap().into_inner();
    assert_eq!((second.previous_digest.as_str(), second.digest), (applied.digest.as_str(), dry.digest));
    // The first request again, its answer again, and nothing is done.
    let again = client.apply_bundle(request(&files(1), "r1")).await.unwrap().into_inner();
    assert_eq!(again, applied);

    let got = client.get_bundle(GetBundleRequest::default()).await.unwrap().into_inner();
    assert!(got.current && got.fleet == "test" && got.applied_by == "local");
    assert_eq!(got.playbooks, ["shop", "waits"]);
    assert_eq!(got.files, bundle_files(&one));
    let first = GetBundleRequest { digest: applied.digest };
    assert!(!client.get_bundle(first).await.unwrap().into_inner().current);
    let list = client.list_bundles(ListBundlesRequest::default()).await.unwrap().into_inner();
    assert_eq!(list.bundles.len(), 2);
    let missing = why(client.get_bundle(GetBundleRequest { digest: "../../etc".into() }).await);
    assert_eq!(missing, (Code::NotFound, reason::NO_SUCH_THING.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_lint_is_not_applied_and_says_where() {
    let store = store().await;
    let member = Daemon::answers("w1", "w", &store).await;
    let mut client = BundlesClient::new(member.channel().await);
    let mut wrong = files(1);
    wrong[1].1 = wrong[1].1.replace("timeout: 1m", "tmeout: 1m");
    let dry = ApplyBundleRequest { validate_only: true, ..request(&wrong, "") };
    let dry = client.apply_bundle(dry).await.unwrap().into_inner();
    let errors = dry.findings.iter().filter(|finding| finding.severity() == Severity::Error);
    let errors: Vec<&str> = errors.map(|finding| finding.id.as_str()).collect();
    assert_eq!((dry.digest.as_str(), errors), ("", vec!["SF005"]));
    let status = client.apply_bundle(request(&wrong, "r1")).await.expect_err("an error");
    let details = status.get_error_details();
    assert_eq!(details.error_info().unwrap().metadata["findings"], "SF005");
    let violation = &details.bad_request().unwrap().field_violations[0];
    assert_eq!((violation.field.as_str(), violation.reason.as_str()), ("shop.yaml:9:5", "SF005"));
    assert_eq!(why::<()>(Err(status)), (Code::InvalidArgument, reason::FINDINGS.into()));

    // As many errors as a file can have still make a status that fits a client's headers.
    let many: String = (0..2_000).map(|at| format!("unknown_key_number_{at}: 1\n")).collect();
    wrong[1].1.push_str(&many);
    let status = client.apply_bundle(request(&wrong, "r2")).await.expect_err("an error");
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("more"), "{}", status.message());
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_make_no_sense_name_the_field() {
    let store = store().await;
    let member = Daemon::answers("w1", "w", &store).await;
    let mut client = BundlesClient::new(member.channel().await);
    let twice = [("a.yaml", String::new()), ("a.yaml", String::new())];
    let nameless = [("", String::new())];
    let control = [("a\u{1b}[2J", String::new())];
    for (request, field) in [
        (request(&[], "r1"), "files"),
        (request(&twice, "r1"), "files[1].name"),
        (request(&nameless, "r1"), "files[0].name"),
        (request(&control, "r1"), "files[0].name"),
        (request(&files(1), ""), "request_id"),
        (request(&files(1), "a/../b"), "request_id"),
        (request(&files(1), &"x".repeat(200)), "request_id"),
        (ApplyBundleRequest { reason: "x".repeat(5_000), ..request(&files(1), "r1") }, "reason"),
    ] {
        let status = client.apply_bundle(request).await.expect_err(field);
        assert_eq!(status.get_error_details().bad_request().unwrap().field_violations[0].field, field);
        assert_eq!(why::<()>(Err(status)), (Code::InvalidArgument, reason::BAD_FIELD.into()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_takes_nothing_away_unless_that_is_meant() {
    // Situation: somebody applies the files of another cluster, or a fleet in which a site is
    // missing. Danger: the members go on under a stranger's rules, or one of them counts no more,
    // and nobody notices. Expectation: it is refused with what would be lost, dry run or not, and
    // done by who says that it is meant, and why.
    let (store, member, _tool) = led().await;
    let mut client = BundlesClient::new(member.channel().await);
    let renamed = |text: &str| text.replace("fleet: test", "fleet: other");
    let other: Vec<_> = files(1).into_iter().map(|(name, text)| (name, renamed(&text))).collect();
    let without = |text: &str| {
        let lines = text.lines().filter(|line| !line.starts_with("  w: "));
        lines.map(|line| format!("{line}\n")).collect::<String>()
    };
    let smaller: Vec<_> = files(1).into_iter().map(|(name, text)| (name, without(&text))).collect();
    soon("the leader has registered", async || {
        let members = store.range(Range::prefix(MEMBERS)).await.unwrap();
        !members.kvs.is_empty()
    })
    .await;
    let consent = (Code::FailedPrecondition, reason::CONSENT_NEEDED.to_owned());
    for (files, said) in [(&other, "works by the fleet test"), (&smaller, "w1 in w")] {
        for dry in [true, false] {
            let request = ApplyBundleRequest { validate_only: dry, ..request(files, "r1") };
            let status = client.apply_bundle(request).await.expect_err("it is refused");
            assert!(status.message().contains(said), "{}", status.message());
            assert_eq!(why::<()>(Err(status)), consent);
        }
    }
    let meant = ApplyBundleRequest { replace_fleet: true, ..request(&other, "r2") };
    assert_eq!(why(client.apply_bundle(meant.clone()).await).1, reason::BAD_FIELD, "it takes a reason");
    let meant = ApplyBundleRequest { reason: "a new name".into(), ..meant };
    assert!(client.apply_bundle(meant).await.unwrap().into_inner().changed);

    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files(1) {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let seen = standfast(&[member.address], &format!("apply {}", folder.path().display())).await;
    assert_eq!(seen.exit(), Exit::Found, "{seen:?}");
    assert!(seen.failure().to_string().contains("--replace-fleet --reason 'why'"), "{}", seen.failure());
}
