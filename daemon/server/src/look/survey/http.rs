//! The certificates that a run would meet: of the servers that the plan asks over TLS, and of this
//! member itself.

use super::late;
use crate::client::tls::{Shown, certificate};
use crate::condition::Env;
use futures::StreamExt as _;
use reqwest::Url;
use standfast_core::action::Action;
use standfast_core::check::Check;
use standfast_core::look::{Kind, Trouble};
use standfast_core::plan::{Plan, Step};
use standfast_core::time::Span;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::Instant;

/// A certificate that ends sooner is worth a word.
const SOON_S: i64 = 14 * 86_400;
/// For one handshake.
const SHAKE: Duration = Duration::from_secs(5);

/// Where a URL leads.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Address {
    /// Without the brackets of IPv6 in [`Address::bare`], with them here.
    pub(super) host: String,
    pub(super) port: u16,
}

impl Address {
    fn bare(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }
}

/// Host and port of a URL.
pub(super) fn address(url: &str) -> Option<Address> {
    let url = Url::parse(url).ok()?;
    Some(Address { host: url.host_str()?.to_owned(), port: url.port_or_known_default()? })
}

/// The servers that the plan asks over TLS.
fn servers(plan: &Plan) -> BTreeSet<Address> {
    fn of_check(check: &Check) -> Option<&str> {
        match check {
            Check::HttpGet { url, .. } => Some(url),
            _ => None,
        }
    }
    let of_action = |step: &Step| -> Vec<String> {
        match &step.action {
            Action::HttpRequest { url, .. } => vec![url.clone()],
            Action::WaitUntil { all } => all.iter().filter_map(of_check).map(str::to_owned).collect(),
            _ => Vec::new(),
        }
    };
    let verified = plan.steps.iter().flat_map(|step| step.verify.iter().flat_map(|verify| &verify.all));
    let required = plan.require.iter().map(|require| &require.check);
    let checked = required.chain(verified).filter_map(of_check).map(str::to_owned);
    let urls = checked.chain(plan.steps.iter().flat_map(of_action));
    urls.filter(|url| url.starts_with("https://")).filter_map(|url| address(&url)).collect()
}

/// What is wrong with the certificates of the servers that the plan asks.
pub(super) async fn theirs(plan: &Plan, env: &Env, at_once: usize, deadline: Instant) -> Vec<Trouble> {
    let asking = servers(plan).into_iter().map(|server| async move {
        if late(env, deadline).await.is_some() {
            return Vec::new();
        }
        let until = deadline.min(Instant::now() + SHAKE);
        let shown = certificate(server.bare(), server.port, env.source, until).await;
        // Who does not answer is the business of the step that needs it.
        let Ok(Shown { expires_s, distrust }) = shown else { return Vec::new() };
        let name = format!("{}:{}", server.host, server.port);
        let distrusted = distrust.map(|why| {
            let words =
                format!("the certificate of {name} is not trusted here, so nothing is sent there: {why}");
            Trouble::error(Kind::Certificate, format!("trust in {name}"), words)
        });
        let dated = dated(&format!("the certificate of {name}"), &name, expires_s, env);
        dated.into_iter().chain(distrusted).collect()
    });
    let asking: Vec<_> = asking.collect();
    let found: Vec<Vec<Trouble>> = futures::stream::iter(asking).buffered(at_once).collect().await;
    found.into_iter().flatten().collect()
}

/// What is wrong with the certificates of this member.
pub(super) fn ours(env: &Env, member: &str) -> Vec<Trouble> {
    let own = env.certificates.iter();
    own.filter_map(|(file, expires_s)| {
        dated(&format!("{file} of {member}"), &format!("{file} of {member}"), *expires_s, env)
    })
    .collect()
}

fn dated(what: &str, about: &str, expires_s: i64, env: &Env) -> Option<Trouble> {
    let left_s = expires_s - (env.wall_ms)().div_euclid(1_000);
    let span = Span::secs(left_s.unsigned_abs());
    if left_s <= 0 {
        let words = format!("{what} ended {span} ago: renew it");
        return Some(Trouble::error(Kind::Certificate, about, words));
    }
    let words = format!("{what} ends in {span}: renew it");
    (left_s < SOON_S).then(|| Trouble::warning(Kind::Certificate, about, words))
}
