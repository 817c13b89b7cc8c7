//! What `standfast local` refuses before it does anything.

use std::path::Path;

use standfast::cli::exit::Exit;

use super::console::{standfast, standfast_words};

#[tokio::test]
async fn nothing_is_begun_that_is_not_meant() {
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("journal").display().to_string();
    let shop = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../playbooks/shop").display().to_string();
    let local_run = async |bundle: &str, site: &str, confirm: &str| {
        let words = ["local", "run", "shop", "--from", "a", "--mode", "emergency", "--reason", "fire"];
        let more = ["--bundle", bundle, "--site", site, "--journal", &journal, "--confirm", confirm];
        let seen =
            standfast_words(&["127.0.0.1:1".parse().unwrap()], &[&words[..], &more[..]].concat()).await;
        assert_eq!(seen.exit(), Exit::Usage, "{seen:?}");
        seen.failure().to_string()
    };
    let said = local_run(&shop, "a", "run shop from a without quorum").await;
    assert!(said.contains("this machine stands in a, which is to be left"), "{said}");
    let said = local_run("/nonexistent", "b", "run shop from a without quorum").await;
    assert!(said.contains("/nonexistent"), "{said}");
    let said = local_run(&shop, "b", "run shop from b without quorum").await;
    assert!(said.contains("nothing was done") && said.contains("run shop from a without quorum"), "{said}");
    let seen = standfast(
        &["127.0.0.1:1".parse().unwrap()],
        &format!("local merge --journal {}/none --reason fire", folder.path().display()),
    )
    .await;
    assert_eq!(seen.exit(), Exit::Usage, "{seen:?}");
    assert!(seen.failure().to_string().contains("is no journal of a local run"), "{seen:?}");
}
