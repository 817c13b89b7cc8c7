//! The sentry of a site: `standfast sentry`, beside the database that it stops.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::member::{Member, Pki};
use crate::parts::part::{Part, Spec};
use crate::parts::{Result, sibling};

/// Its name in the fleet, and in its certificate.
pub const NAME: &str = "db-a";

/// A running sentry. Dropping it kills it.
#[derive(Debug)]
pub struct Sentry {
    site: PathBuf,
    args: Vec<OsString>,
    part: Part,
}

impl Sentry {
    /// Starts it in the folder of its site, with the files of the bundle on its own disk.
    pub async fn start(site: &Path, bundle: &Path, member: &Member, pki: Option<&Pki>) -> Result<Sentry> {
        let scheme = if pki.is_some() { "https" } else { "http" };
        let mut args: Vec<OsString> = ["sentry", NAME, "--bundle"].map(OsString::from).to_vec();
        args.push(bundle.into());
        args.extend(["--server".into(), format!("{scheme}://{}", member.grpc).into()]);
        args.extend(["--data-dir".into(), site.join("sentry").into()]);
        if let Some(pki) = pki {
            for (flag, file) in
                [("ca", "ca.pem".to_owned()), ("cert", format!("{NAME}.pem")), ("key", format!("{NAME}.key"))]
            {
                args.extend([format!("--tls-{flag}").into(), pki.file(&file).into()]);
            }
        }
        let part = spawn(site, &args).await?;
        Ok(Sentry { site: site.to_path_buf(), args, part })
    }

    /// Starts it again on its own data; kills it first if it runs.
    pub async fn revive(&mut self) -> Result<()> {
        self.part.kill();
        self.part = spawn(&self.site, &self.args).await?;
        Ok(())
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

async fn spawn(site: &Path, args: &[OsString]) -> Result<Part> {
    Spec::new(site, NAME, sibling("standfast")?)?.args(args).env("NO_COLOR", "1").start().await
}
