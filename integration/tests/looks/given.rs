//! The shop with its bundle, and one member that looks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use standfast::lead::Me;
use standfast::look::Looker;
use standfast::store::EmbeddedStore;
use standfast_core::bind::bind;
use standfast_core::ids::StepId;
use standfast_core::look::{Found, Kind, Seen, Severity, join};
use standfast_core::plan::{Mode, Request};
use standfast_core::source::SourceFile;
use standfast_integration::given::Given;
use standfast_integration::lab::bundle::{Bundle, Places};
use standfast_integration::parts::scratch::Scratch;
use standfast_integration::parts::shop::Shop;
use tokio::sync::watch;

use super::Outcome;

/// The shop serves from a, and b could take over.
pub(crate) struct Standing {
    pub(crate) shop: Shop,
    pub(crate) given: Given,
    pub(crate) bundle: Bundle,
    _scratch: Scratch,
}

impl Standing {
    pub(crate) async fn start() -> Outcome<Standing> {
        let scratch = Scratch::new()?;
        let shop = Shop::start(&scratch, Duration::from_secs(30)).await?;
        let given = Given::new()?;
        for secret in ["orders_a", "orders_b"] {
            given.secret(secret, &shop.a.postgres.passwords.standfast)?;
        }
        given.secret("tsig", &format!("{}:{}", shop.bind.key_name, shop.bind.key))?;
        let bundle = Bundle::shop(&Places::of(&shop)?, true)?;
        Ok(Standing { shop, given, bundle, _scratch: scratch })
    }

    /// What a member sees of leaving a, under a bundle that differs from the right one by `edit`.
    pub(crate) async fn look(&self, edit: &[(&str, &str)]) -> Outcome<Seen> {
        let mut bundle = self.bundle.clone();
        edit.iter().try_for_each(|(old, new)| bundle.edit_fleet(old, new))?;
        look(&self.given, &bundle).await
    }
}

pub(crate) async fn look(given: &Given, bundle: &Bundle) -> Outcome<Seen> {
    let file = |name: &str, text: &str| SourceFile { name: name.into(), text: text.into() };
    let files = vec![file("fleet.yaml", &bundle.fleet), file("shop.yaml", &bundle.playbook)];
    let (loaded, findings) = standfast_core::bundle::Bundle::load(files);
    let loaded = Arc::new(loaded.ok_or_else(|| format!("{findings:?}"))?);
    let request = Request {
        playbook: "shop".into(),
        from: "a".into(),
        to: "b".into(),
        mode: Mode::Emergency,
        inputs: BTreeMap::new(),
    };
    let plan = bind(&loaded, &request).map_err(|findings| format!("{findings:?}"))?;
    let servers = loaded.fleet.databases().into_values().flat_map(BTreeMap::into_values);
    given.env.clusters.set_servers(servers);
    let me = Me { id: "w1".into(), site: "w".into(), boot_id: "w1".into(), address: String::new() };
    let looker = Looker {
        me,
        store: Arc::new(EmbeddedStore::in_memory().await?),
        env: given.env.clone(),
        bundle: watch::channel(Some(loaded.clone())).1,
    };
    Ok(join(&plan, &looker.look(&loaded, &plan).await))
}

/// The trouble of this kind, which must be there, of this step, with these words.
#[track_caller]
pub(crate) fn finds<'a>(seen: &'a Seen, kind: Kind, step: &str, words: &[&str]) -> &'a Found {
    let step = (!step.is_empty()).then(|| StepId::new(step));
    let found = seen.troubles.iter().find(|found| found.trouble.kind == kind && found.trouble.step == step);
    let found = found.unwrap_or_else(|| panic!("no {kind} of {step:?} in {:#?}", seen.troubles));
    let said = &found.trouble.words;
    words.iter().for_each(|word| assert!(said.contains(word), "no `{word}`: {said}"));
    found
}

/// What a run would fail at.
pub(crate) fn errors(seen: &Seen) -> Vec<(Kind, String)> {
    let errors = seen.troubles.iter().filter(|found| found.trouble.severity == Severity::Error);
    errors.map(|found| (found.trouble.kind, found.trouble.words.clone())).collect()
}
