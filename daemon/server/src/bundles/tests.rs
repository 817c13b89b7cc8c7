use super::*;
use crate::store::EmbeddedStore;
use std::path::Path;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

fn files() -> Vec<SourceFile> {
    load_dir(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../playbooks/shop")).unwrap()
}

/// The example, and the same with another comment.
fn two() -> (Bundle, Bundle) {
    let one = Bundle::load(files()).0.unwrap();
    let mut changed = files();
    changed[0].text.push_str("\n# changed\n");
    (one, Bundle::load(changed).0.unwrap())
}

async fn store() -> Arc<dyn Store> {
    Arc::new(EmbeddedStore::in_memory().await.unwrap())
}

fn wish<'a>(request: &'a str, by: &'a Identity, expected: Option<Option<Digest>>) -> Wish<'a> {
    Wish { by, reason: "a test", request, expected, keep: Some(&[]), wall_ms: 7 }
}

#[tokio::test]
async fn a_bundle_is_current_as_a_whole_and_repetitions_get_the_first_answer() {
    let store = store().await;
    let (one, two) = two();
    let kim = Identity::new("kim");
    assert_eq!(current(&*store).await.unwrap(), None);
    assert_eq!(put(&*store, &one, wish("r1", &kim, Some(None))).await.unwrap(), None);
    assert_eq!(*current(&*store).await.unwrap().unwrap(), one);

    let stale = put(&*store, &two, wish("r2", &kim, Some(None))).await.unwrap_err();
    assert!(matches!(&stale, BundleError::Stale(Some(digest)) if *digest == one.digest), "{stale}");
    let seen = Some(Some(one.digest.clone()));
    assert_eq!(put(&*store, &two, wish("r2", &kim, seen)).await.unwrap(), Some(one.digest.clone()));

    // The first request again: its answer, and nothing is done.
    assert_eq!(put(&*store, &one, wish("r1", &kim, Some(None))).await.unwrap(), None);
    assert_eq!(current(&*store).await.unwrap().unwrap().digest, two.digest);
    let reused = put(&*store, &two, wish("r1", &kim, None)).await.unwrap_err();
    assert!(matches!(reused, BundleError::Reused(_)), "{reused}");

    let kept: Vec<Digest> = list(&*store).await.unwrap().into_iter().map(|a| a.digest).collect();
    assert_eq!(kept.len(), 2);
    assert!(kept.contains(&one.digest) && kept.contains(&two.digest));
    assert_eq!(applied(&*store).await.unwrap().unwrap().by, kim);
}

#[tokio::test]
async fn of_two_who_apply_at_once_both_are_told_the_truth() {
    let store = store().await;
    let (one, two) = two();
    let kim = Identity::new("kim");
    let (first, second) =
        tokio::join!(put(&*store, &one, wish("r1", &kim, None)), put(&*store, &two, wish("r2", &kim, None)));
    let mut replaced = [first.unwrap(), second.unwrap()];
    replaced.sort();
    let last = current(&*store).await.unwrap().unwrap();
    let other = if last.digest == one.digest { &two } else { &one };
    assert_eq!(replaced, [None, Some(other.digest.clone())]);
}

async fn becomes(seen: &mut watch::Receiver<Option<Arc<Bundle>>>, digest: &Digest) {
    let found = seen.wait_for(|bundle| bundle.as_ref().is_some_and(|bundle| bundle.digest == *digest));
    tokio::time::timeout(Duration::from_secs(10), found).await.expect("in time").unwrap();
}

#[tokio::test]
async fn followers_see_each_bundle_and_start_without_the_store_from_their_disk() {
    let embedded = Arc::new(EmbeddedStore::in_memory().await.unwrap());
    let store: Arc<dyn Store> = embedded.clone();
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    let (one, two) = two();
    let kim = Identity::new("kim");

    let (sender, mut seen) = watch::channel(None);
    let cancel = CancellationToken::new();
    let following = tokio::spawn(follow(store.clone(), cache.clone(), sender, cancel.clone()));
    put(&*store, &one, wish("r1", &kim, None)).await.unwrap();
    becomes(&mut seen, &one.digest).await;
    put(&*store, &two, wish("r2", &kim, None)).await.unwrap();
    becomes(&mut seen, &two.digest).await;
    // The copy on disk is written after the others were told.
    tokio::time::timeout(Duration::from_secs(10), async {
        while cache::read(&cache).unwrap().is_none_or(|kept| kept.digest != two.digest) {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("kept in time");
    cancel.cancel();
    following.await.unwrap();

    embedded.close().await;
    let (sender, mut seen) = watch::channel(None);
    let cancel = CancellationToken::new();
    let following = tokio::spawn(follow(store, cache.clone(), sender, cancel.clone()));
    becomes(&mut seen, &two.digest).await;
    cancel.cancel();
    following.await.unwrap();

    // Half a file is no bundle, and is not taken for one.
    std::fs::write(cache.join("bundle.json"), "{\"digest\":").unwrap();
    assert!(cache::read(&cache).is_err());
}
