//! The sentry of a site: `standfast sentry`, beside the database that it stops.

use std::path::Path;

use super::member::{Member, Pki};
use crate::parts::part::{Part, Spec};
use crate::parts::{Result, sibling};

/// Its name in the fleet, and in its certificate.
pub const NAME: &str = "db-a";

/// A running sentry. Dropping it kills it.
#[derive(Debug)]
pub struct Sentry {
    part: Part,
}

impl Sentry {
    /// Starts it in the folder of its site, with the files of the bundle on its own disk.
    pub async fn start(site: &Path, bundle: &Path, member: &Member, pki: Option<&Pki>) -> Result<Sentry> {
        let scheme = if pki.is_some() { "https" } else { "http" };
        let mut spec = Spec::new(site, NAME, sibling("standfast")?)?
            .args(["sentry", NAME, "--bundle"])
            .args([bundle])
            .args(["--server", &format!("{scheme}://{}", member.grpc), "--data-dir"])
            .args([site.join("sentry")])
            .env("NO_COLOR", "1");
        if let Some(pki) = pki {
            for (flag, file) in
                [("ca", "ca.pem".to_owned()), ("cert", format!("{NAME}.pem")), ("key", format!("{NAME}.key"))]
            {
                spec = spec.args([format!("--tls-{flag}")]).args([pki.file(&file)]);
            }
        }
        Ok(Sentry { part: spec.start().await? })
    }

    /// Its process: alive, killed, paused.
    pub fn part(&mut self) -> &mut Part {
        &mut self.part
    }

    /// Its process, only to be looked at.
    pub fn part_ref(&self) -> &Part {
        &self.part
    }
}
