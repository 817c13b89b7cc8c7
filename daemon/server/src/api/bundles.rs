//! Bundles: files on their way in, and out again.

use super::asks::{Wish, reason};
use super::{Api, refuse, wire};
use crate::bundles::{self, Applied, BundleError};
use crate::clock;
use crate::records::{self, MEMBERS, Member};
use standfast_core::bundle::Bundle;
use standfast_core::ids::Digest;
use standfast_core::source::SourceFile;
use standfast_proto::v1::bundles_server::Bundles;
use standfast_proto::v1::{self, *};
use tonic::{Request, Response, Status};

/// The most files of a bundle.
const MAX_FILES: usize = 1_000;
/// The longest name of a file, in bytes.
const MAX_NAME: usize = 255;

/// The files of a request, if they can be kept under their names.
fn files(files: Vec<BundleFile>) -> Result<Vec<SourceFile>, Status> {
    if files.is_empty() || files.len() > MAX_FILES {
        return Err(refuse::bad_field(
            "files",
            format!("give a fleet and its playbooks, at most {MAX_FILES} files"),
        ));
    }
    let mut names = std::collections::BTreeSet::new();
    for (at, file) in files.iter().enumerate() {
        let field = format!("files[{at}].name");
        let name = file.name.as_str();
        if name.is_empty() || name.len() > MAX_NAME || name.contains(char::is_control) {
            return Err(refuse::bad_field(&field, format!("a name of 1 to {MAX_NAME} printable bytes")));
        }
        if !names.insert(name) {
            return Err(refuse::bad_field(&field, format!("{name} is given twice")));
        }
    }
    Ok(files.into_iter().map(|file| SourceFile::new(file.name, file.text)).collect())
}

impl Api {
    /// The members that live in sites of the present fleet.
    async fn counting(&self) -> Result<Vec<Member>, Status> {
        let Some(current) = self.deps.bundle.borrow().clone() else { return Ok(Vec::new()) };
        let members = crate::store::range_all(self.store(), MEMBERS).await.map_err(refuse::store)?;
        let members = members.kvs.iter().filter_map(|kv| records::decode::<Member>(kv).ok());
        Ok(members.filter(|member| current.fleet.sites.contains_key(&member.site)).collect())
    }
}

/// A bundle in short.
pub(super) fn short(applied: &Applied, current: Option<&Digest>) -> v1::Bundle {
    v1::Bundle {
        digest: applied.digest.as_str().to_owned(),
        fleet: applied.fleet.clone(),
        playbooks: applied.playbooks.iter().map(ToString::to_string).collect(),
        files: Vec::new(),
        applied_at: wire::time(applied.wall_ms),
        applied_by: applied.by.to_string(),
        reason: applied.reason.clone(),
        current: current == Some(&applied.digest),
        automation: wire::automation(applied.automation).into(),
    }
}

#[tonic::async_trait]
impl Bundles for Api {
    async fn apply_bundle(
        &self,
        request: Request<ApplyBundleRequest>,
    ) -> Result<Response<ApplyBundleResponse>, Status> {
        let by = Self::caller(&request)?;
        let mut message = request.into_inner();
        let files = files(std::mem::take(&mut message.files))?;
        let reason = reason(&message.reason, message.replace_fleet)?;
        if !message.validate_only {
            // Only for the form of its id: what came before stands beside the current bundle.
            Wish::new(&message.request_id, by.clone(), &message)?;
        }
        let linted = tokio::task::spawn_blocking(move || Bundle::load_on(files, Some(clock::today()))).await;
        let (bundle, findings) = linted.map_err(refuse::internal)?;
        let listed = findings.iter().map(wire::finding).collect();
        let Some(bundle) = bundle else {
            return match message.validate_only {
                true => Ok(Response::new(ApplyBundleResponse { findings: listed, ..Default::default() })),
                false => Err(refuse::findings(&findings)),
            };
        };
        let expected =
            Some(message.etag.as_str()).filter(|etag| !etag.is_empty()).map(|etag| Some(etag.into()));
        let members = self.counting().await?;
        let keep = Some(members.as_slice()).filter(|_| !message.replace_fleet);
        let previous = if message.validate_only {
            let current = bundles::applied(self.store()).await.map_err(refuse::bundle)?;
            if let Some(members) = keep {
                bundles::takes_nothing(current.as_ref(), members, &bundle).map_err(refuse::bundle)?;
            }
            let current = current.map(|applied| applied.digest);
            if expected.is_some_and(|expected: Option<Digest>| expected != current) {
                return Err(refuse::bundle(BundleError::Stale(current)));
            }
            current
        } else {
            let wish = bundles::Wish {
                by: &by,
                reason: &reason,
                request: &message.request_id,
                expected,
                keep,
                wall_ms: clock::wall_ms(),
            };
            bundles::put(self.store(), &bundle, wish).await.map_err(refuse::bundle)?
        };
        Ok(Response::new(ApplyBundleResponse {
            digest: bundle.digest.as_str().to_owned(),
            changed: previous.as_ref() != Some(&bundle.digest),
            previous_digest: previous.map(|digest| digest.as_str().to_owned()).unwrap_or_default(),
            findings: listed,
        }))
    }

    async fn get_bundle(&self, request: Request<GetBundleRequest>) -> Result<Response<v1::Bundle>, Status> {
        let wanted = request.into_inner().digest;
        let missing = || refuse::not_found("bundle", &wanted, "see Bundles.ListBundles");
        let current = bundles::applied(self.store()).await.map_err(refuse::bundle)?;
        let applied = match (wanted.as_str(), &current) {
            ("", Some(current)) => current.clone(),
            (digest, Some(current)) if current.digest.as_str() == digest => current.clone(),
            _ => {
                let all = bundles::list(self.store()).await.map_err(refuse::bundle)?;
                all.into_iter().find(|applied| applied.digest.as_str() == wanted).ok_or_else(missing)?
            }
        };
        let bundle = bundles::load(self.store(), &applied.digest).await.map_err(refuse::bundle)?;
        let bundle = bundle.ok_or_else(missing)?;
        let files =
            bundle.files.iter().map(|file| BundleFile { name: file.name.clone(), text: file.text.clone() });
        let shown = short(&applied, current.as_ref().map(|current| &current.digest));
        Ok(Response::new(v1::Bundle { files: files.collect(), ..shown }))
    }

    async fn list_bundles(
        &self,
        request: Request<ListBundlesRequest>,
    ) -> Result<Response<ListBundlesResponse>, Status> {
        let current = bundles::applied(self.store()).await.map_err(refuse::bundle)?;
        let digest = current.as_ref().map(|current| &current.digest);
        let all = match request.get_ref().current_only {
            true => current.clone().into_iter().collect(),
            false => bundles::list(self.store()).await.map_err(refuse::bundle)?,
        };
        let bundles = all.iter().map(|applied| short(applied, digest)).collect();
        Ok(Response::new(ListBundlesResponse { bundles }))
    }
}
