//! `standfast apply`: files become the bundle that the cluster works by.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use standfast_proto::v1::bundles_client::BundlesClient;
use standfast_proto::v1::{ApplyBundleRequest, ApplyBundleResponse, BundleFile, Finding, Severity};

use super::client::Client;
use super::exit::{Exit, Failure};
use super::human;
use super::output::{Output, Stream};
use super::{request_id, uncertain};

/// `standfast apply ...`
#[derive(Debug, Args)]
pub struct ApplyArgs {
    /// Files, or folders of which all *.yaml and *.yml count: one fleet, and its playbooks
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Lint and compare, change nothing; exit 3 on an error
    #[arg(long)]
    dry_run: bool,
    /// Exit 4 when the bundle would change
    #[arg(long, requires = "dry_run")]
    exit_code: bool,
    /// Digest that is current now, as far as you know: if it is another one, nothing is done
    #[arg(long, value_name = "DIGEST")]
    etag: Option<String>,
    /// Why
    #[arg(long)]
    reason: Option<String>,
    /// Repeat a request whose outcome is not known: the id that the error printed
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
}

/// Applies files.
pub async fn run(args: ApplyArgs, client: &mut Client, output: &mut Output) -> Result<Exit, Failure> {
    let request_id = args.request_id.unwrap_or_else(request_id);
    let request = ApplyBundleRequest {
        files: read(&args.paths)?,
        request_id: request_id.clone(),
        validate_only: args.dry_run,
        etag: args.etag.unwrap_or_default(),
        reason: args.reason.unwrap_or_default(),
    };
    let applied = client
        .call(
            request,
            |channel, request| async move { BundlesClient::new(channel).apply_bundle(request).await },
        )
        .await
        .map_err(|failure| if args.dry_run { failure } else { uncertain(failure, &request_id) })?;
    output.data(&applied, |applied, out| show(applied, args.dry_run, out))?;
    let wrong = applied.findings.iter().any(|finding| finding.severity() == Severity::Error);
    Ok(match (wrong, args.exit_code && applied.changed) {
        (true, _) => Exit::Found,
        (false, true) => Exit::Pending,
        (false, false) => Exit::Done,
    })
}

fn show(applied: &ApplyBundleResponse, dry_run: bool, out: &mut Stream) -> Result<(), Failure> {
    for finding in &applied.findings {
        show_finding(finding, out)?;
    }
    let new = human::digest(&applied.digest);
    let old = human::digest(&applied.previous_digest);
    out.line(match (applied.digest.as_str(), applied.changed, dry_run) {
        ("", ..) => "the files do not lint: nothing would be applied".to_owned(),
        (_, false, _) => format!("bundle {new} is current already"),
        (_, true, true) => format!("bundle {new} would replace {old}"),
        (_, true, false) => format!("bundle {new} has replaced {old}"),
    })
}

/// A finding for people, in rustc's form without the source, which only `lint` has.
pub fn show_finding(finding: &Finding, out: &mut Stream) -> Result<(), Failure> {
    let severity = human::lower(finding.severity().as_str_name(), "SEVERITY_");
    out.line(format!("{severity}[{}]: {}", finding.id, finding.message))?;
    if !finding.file.is_empty() {
        out.line(match finding.line {
            0 => format!("  --> {}", finding.file),
            line => format!("  --> {}:{line}:{}", finding.file, finding.column),
        })?;
    }
    if !finding.help.is_empty() {
        out.line(format!("  = help: {}", finding.help))?;
    }
    Ok(())
}

/// The files, by name: sorted, so that the same folder is the same bundle on every machine.
fn read(paths: &[PathBuf]) -> Result<Vec<BundleFile>, Failure> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let mut inside = folder(path)?;
            if inside.is_empty() {
                let message = format!("there is no *.yaml or *.yml in {}", path.display());
                return Err(Failure::usage(message));
            }
            inside.sort();
            for file in inside {
                files.push(file_of(&file)?);
            }
        } else {
            files.push(file_of(path)?);
        }
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    if let Some(pair) = files.windows(2).find(|pair| pair[0].name == pair[1].name) {
        return Err(Failure::usage(format!("{} is given twice", pair[0].name)));
    }
    Ok(files)
}

fn folder(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    let yaml = |file: &PathBuf| file.extension().is_some_and(|e| e == "yaml" || e == "yml");
    fs::read_dir(path)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, _>>())
        .map(|files| files.into_iter().filter(yaml).collect())
        .map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))
}

fn file_of(path: &Path) -> Result<BundleFile, Failure> {
    let text = fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))?;
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    Ok(BundleFile { name, text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_read_sorted_and_without_other_files() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["shop.yml", "fleet.yaml", "README.md"] {
            fs::write(folder.path().join(name), name).expect("a file");
        }
        let files = read(&[folder.path().to_owned()]).expect("files");
        let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(names, ["fleet.yaml", "shop.yml"]);
        assert_eq!(files[0].text, "fleet.yaml");
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let empty = read(&[folder.path().to_owned()]).expect_err("nothing in it");
        assert!(empty.message.contains("no *.yaml"), "{empty}");
        let missing = folder.path().join("fleet.yaml");
        let failure = read(std::slice::from_ref(&missing)).expect_err("no such file");
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.message.contains(&missing.display().to_string()), "{failure}");
        fs::write(&missing, "").expect("a file");
        let twice = read(&[missing.clone(), missing]).expect_err("the same name");
        assert!(twice.message.contains("given twice"), "{twice}");
    }
}
