//! What the files prove no longer: drills and waivers grow old while nobody edits anything.

use standfast_core::bundle::Bundle;
use standfast_core::date::Date;
use standfast_core::look::{Found, Kind, Trouble};
use std::sync::Arc;

/// What lint calls an error of this bundle on that day, although it was accepted.
pub async fn aged(bundle: Arc<Bundle>, today: Date) -> Vec<Found> {
    let linting = move || {
        let (_, findings) = Bundle::load_on(bundle.files.clone(), Some(today));
        let errors = findings.iter().filter(|finding| finding.is_error());
        let found = errors.map(|finding| {
            let words = format!(
                "{}:{}: {}; this was no error when the bundle was applied",
                finding.file, finding.line, finding.message
            );
            Found { trouble: Trouble::warning(Kind::Proof, finding.code.id, words), by: Vec::new() }
        });
        found.collect()
    };
    // A large bundle takes a second.
    tokio::task::spawn_blocking(linting).await.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use standfast_core::source::SourceFile;

    #[tokio::test]
    async fn a_waiver_that_ends_is_found_on_the_day_after() {
        let fleet = include_str!("../../../../playbooks/shop/fleet.yaml");
        let canaries = fleet.find("\ncanaries:").expect("the example has canaries");
        let probes = fleet.find("\nprobes:").expect("and probes");
        let allow = "\nallow: [{id: SF042, reason: a test, until: 2026-11-22}]\n";
        let files = vec![
            SourceFile::new("fleet.yaml", format!("{}{allow}{}", &fleet[..canaries], &fleet[probes..])),
            SourceFile::new("shop.yaml", include_str!("../../../../playbooks/shop/shop.yaml")),
        ];
        let (bundle, findings) = Bundle::load(files.clone());
        let bundle = Arc::new(bundle.unwrap_or_else(|| panic!("{}", findings.to_text(&files, false))));
        let on = async |day: &str| {
            let found = aged(bundle.clone(), Date::parse(day).expect("a day")).await;
            found.into_iter().map(|found| found.trouble.about).collect::<Vec<_>>()
        };
        assert_eq!(on("2026-11-22").await, [""; 0]);
        assert!(on("2026-11-23").await.contains(&"SF070".to_owned()), "{:?}", on("2026-11-23").await);
    }
}
