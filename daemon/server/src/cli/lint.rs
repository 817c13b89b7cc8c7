//! `standfast lint` and `standfast explain`: proof from files alone. No member is asked.

mod self_proof;
mod windows;

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;
use standfast_core::bundle::Bundle;
use standfast_core::explain;
use standfast_core::finding::{Finding, code};
use standfast_core::proof::survival;
use standfast_core::residual;
use standfast_core::source::{MAX_BYTES, SourceFile};

use crate::clock;

use super::exit::{Exit, Failure};
use super::guards;
use super::output::{Format, Output};

/// `standfast lint ...`
#[derive(Debug, Args)]
pub struct LintArgs {
    /// Files, or folders of which all *.yaml and *.yml count: one fleet, and its playbooks
    #[arg(default_value = ".")]
    paths: Vec<PathBuf>,
    /// Also: would Standfast itself survive the loss of each site, with a way to reach people?
    #[arg(long = "self")]
    itself: bool,
    /// Also: what may still happen when a leader's time is over, because nothing refuses it, and for how long
    #[arg(long)]
    windows: bool,
}

/// `standfast explain ...`
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The id of a finding, as in SF005, of a guard, as in G07, or an action, as in dns.set; without it, all
    /// findings are listed
    id: Option<String>,
}

/// Reads the files and says everything that is wrong with them.
pub fn lint(args: &LintArgs, output: &mut Output) -> Result<Exit, Failure> {
    let (files, unread) = read(&args.paths)?;
    let (bundle, mut findings) = Bundle::load_on(files.clone(), Some(clock::today()));
    let survival = if args.itself { survival::of_files(files.clone()) } else { None };
    let mut sorted = files;
    sorted.sort_by(|a, b| a.name.cmp(&b.name));
    if !unread.is_empty() {
        // What the unread files hold is not known, so nothing is called missing.
        let unsure = [code::UNKNOWN_PLAYBOOK, code::WAIVER_UNUSED];
        findings.retain(|finding| finding.at.is_some() && !unsure.contains(&finding.code));
        findings.extend(unread);
        findings = findings.finish(&sorted);
    }
    match output.format {
        Format::Table => {
            let color = output.out.color();
            output.out.write(&findings.to_text(&sorted, color))?;
            if let Some(bundle) = &bundle {
                summary(bundle, output)?;
                windows::show(&residual::windows(bundle), args.windows, &mut output.out)?;
            }
            if let Some(sites) = &survival {
                self_proof::table(sites, &mut output.out)?;
            }
        }
        Format::Sarif => output.data(&findings.to_sarif(&sorted), |_, _| Ok(()))?,
        Format::Json | Format::Yaml | Format::Mermaid => {
            let mut value = findings.to_json();
            if let Some(bundle) = &bundle {
                value["bundle"] = json!(bundle.digest);
                value["bounds_ms"] = json!(bundle.fleet.timing.bounds());
                value["windows"] = json!(residual::windows(bundle));
            }
            if let Some(sites) = &survival {
                value["survival"] = self_proof::json(sites);
            }
            output.data(&value, |_, _| Ok(()))?;
        }
    }
    let lost = survival.iter().flatten().any(|site| !site.survives());
    Ok(if findings.has_errors() || lost { Exit::Found } else { Exit::Done })
}

fn summary(bundle: &Bundle, output: &mut Output) -> Result<(), Failure> {
    let steps: usize = bundle.playbooks.values().map(|playbook| playbook.flat().count()).sum();
    let fleet = &bundle.fleet;
    let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    output.out.line(format!(
        "fleet {}: {}, {}, {}; {}, {}; bundle {}",
        fleet.name.value,
        count(fleet.sites.len(), "site"),
        count(fleet.services.len(), "service"),
        count(fleet.resources.len(), "resource"),
        count(bundle.playbooks.len(), "playbook"),
        count(steps, "step"),
        bundle.digest.short(),
    ))?;
    output.out.line(format!("timing: {}", bundle.fleet.timing.bounds()))
}

/// Shows the page of a finding, or the list of all.
pub fn explain(args: &ExplainArgs, output: &mut Output) -> Result<Exit, Failure> {
    if let Some(page) = args.id.as_deref().and_then(explain::action) {
        let explain::ActionPage { spec, contract } = page;
        let value = json!({
            "action": spec.name, "doc": spec.doc, "timeout": spec.timeout.to_string(),
            "attempts": spec.attempts, "again": contract.again, "linger": contract.linger.to_string(),
            "undo": contract.inverse,
        });
        output.data(&value, |_, out| out.write(&page.to_string()))?;
        return Ok(Exit::Done);
    }
    if let Some((guard, text)) = args.id.as_deref().and_then(guards::page) {
        let value = json!({"id": guard.id(), "title": guard.name(), "why": text});
        output.data(&value, |_, out| out.write(&text))?;
        return Ok(Exit::Done);
    }
    let pages: Vec<&explain::Page> = match &args.id {
        Some(id) => vec![explain::page(id).map_err(|unknown| {
            let failure = Failure::usage(unknown.message.clone());
            unknown.help.iter().fold(failure, |failure, help| failure.hint(help))
        })?],
        None => explain::all().collect(),
    };
    let value: Vec<_> = pages
        .iter()
        .map(|page| {
            json!({
                "id": page.code.id, "severity": page.code.severity.name(),
                "group": page.code.group.name(), "title": page.code.title,
                "why": page.why, "wrong": page.wrong.text(), "right": page.right.text(),
            })
        })
        .collect();
    output.data(&value, |_, out| {
        pages.iter().try_for_each(|page| match &args.id {
            Some(_) => out.write(&page.to_string()),
            None => {
                let code::Code { id, group, severity, title } = page.code;
                out.line(format!("{id}  {:<7}  {:<13}  {title}", severity.name(), group.name()))
            }
        })
    })?;
    Ok(Exit::Done)
}

/// The files by the names that were given, and findings about those that are no text.
pub(super) fn read(paths: &[PathBuf]) -> Result<(Vec<SourceFile>, Vec<Finding>), Failure> {
    let mut names = Vec::new();
    for path in paths {
        if path.is_dir() {
            let mut inside = folder(path)?;
            if inside.is_empty() {
                return Err(Failure::usage(format!("there is no *.yaml or *.yml in {}", path.display())));
            }
            names.append(&mut inside);
        } else {
            names.push(path.clone());
        }
    }
    names.sort();
    names.dedup();
    let (mut files, mut unread) = (Vec::new(), Vec::new());
    for path in names {
        let name = path.strip_prefix("./").unwrap_or(&path).display().to_string();
        // A file too large is not read at all, whatever its size is.
        let size = fs::metadata(&path).map(|data| data.len()).map_err(|error| unreadable(&path, &error))?;
        if size > MAX_BYTES as u64 {
            unread.push(Finding::too_large(name, usize::try_from(size).unwrap_or(usize::MAX / 10)));
            continue;
        }
        let bytes = fs::read(&path).map_err(|error| unreadable(&path, &error))?;
        match SourceFile::from_bytes(name, bytes) {
            Ok(file) => files.push(file),
            Err(finding) => unread.push(*finding),
        }
    }
    Ok((files, unread))
}

fn folder(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    let yaml = |file: &PathBuf| file.extension().is_some_and(|e| e == "yaml" || e == "yml");
    fs::read_dir(path)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, _>>())
        .map(|files| files.into_iter().filter(yaml).collect())
        .map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::usage(format!("cannot read {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::paper::Paper;

    /// A copy of the example, with `change` made to its playbook.
    fn example(change: impl Fn(&str) -> Vec<u8>) -> tempfile::TempDir {
        let shop = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../playbooks/shop");
        let folder = tempfile::tempdir().unwrap();
        fs::copy(shop.join("fleet.yaml"), folder.path().join("fleet.yaml")).unwrap();
        let playbook = fs::read_to_string(shop.join("shop.yaml")).unwrap();
        fs::write(folder.path().join("shop.yaml"), change(&playbook)).unwrap();
        folder
    }

    fn run(folder: &Path, format: Format) -> (Result<Exit, Failure>, String) {
        let paper = Paper::default();
        let mut output = paper.output(format);
        let exit =
            lint(&LintArgs { paths: vec![folder.to_owned()], itself: false, windows: false }, &mut output);
        (exit, paper.text())
    }

    #[test]
    fn a_clean_folder_is_summed_up_with_its_bounds() {
        let folder = example(|text| text.as_bytes().to_vec());
        let (exit, shown) = run(folder.path(), Format::Table);
        assert_eq!(exit, Ok(Exit::Done));
        assert!(
            shown.starts_with("fleet shop: 3 sites, 3 services, 5 resources; 1 playbook, 6 steps;"),
            "{shown}"
        );
        assert!(shown.contains("a lost site is seen within 23.5 s"), "{shown}");
    }

    /// One line on every run, all of it when asked for.
    #[test]
    fn what_may_come_late_is_counted_and_listed_on_demand() {
        let folder = example(|text| text.as_bytes().to_vec());
        let (_, shown) = run(folder.path(), Format::Table);
        let line = "late: 7 things can still happen when a leader or a site is over, of which 1 without end, the \
                    others for at most 91.5 s: `--windows` lists them\n";
        assert!(shown.ends_with(line), "{shown}");
        let paper = Paper::default();
        let args = LintArgs { paths: vec![folder.path().to_owned()], itself: false, windows: true };
        assert_eq!(lint(&args, &mut paper.output(Format::Table)), Ok(Exit::Done));
        let shown = paper.text();
        assert!(shown.contains("WINDOW") && shown.contains("`pg_promote` compares no epoch"), "{shown}");
        let (_, shown) = run(folder.path(), Format::Json);
        let value: serde_json::Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(value["windows"][1]["window_ms"], json!(6_500));
        assert_eq!(value["windows"][6]["window_ms"], json!(null));
    }

    /// The fleet of the example, which says nothing about itself, and then says everything.
    #[test]
    fn the_self_proof_gives_its_reasons() {
        let folder = example(|text| text.as_bytes().to_vec());
        let proof = |format| {
            let paper = Paper::default();
            let mut output = paper.output(format);
            let exit = lint(
                &LintArgs { paths: vec![folder.path().to_owned()], itself: true, windows: false },
                &mut output,
            );
            (exit, paper.text())
        };
        let (exit, shown) = proof(Format::Table);
        assert_eq!(exit, Ok(Exit::Found), "what nobody says is not proven");
        assert!(shown.contains("SITE  SURVIVED  MAJORITY"), "{shown}");
        assert!(
            shown.contains("a: people: nobody says on what it stands (control: {channels: …})"),
            "{shown}"
        );

        let fleet = folder.path().join("fleet.yaml");
        let control = "control:\n  voters: {x: a, y: b, z: w}\n  members: {x: {site: a}, y: {site: b}}\n  \
                       channels: {outside: phones}\n  alerting: {site: a}\n";
        fs::write(&fleet, fs::read_to_string(&fleet).unwrap() + control).unwrap();
        let (exit, shown) = proof(Format::Table);
        assert_eq!(exit, Ok(Exit::Found));
        assert!(shown.contains("a: alerting: nothing of `alerting` is left (alerting -> a)"), "{shown}");
        let (_, shown) = proof(Format::Json);
        let value: serde_json::Value = serde_json::from_str(&shown).unwrap();
        let survives: Vec<_> =
            value["survival"].as_array().unwrap().iter().map(|s| s["survives"].clone()).collect();
        assert_eq!(survives, [json!(false), json!(true), json!(true)]);
        assert_eq!(value["survival"][0]["parts"][4]["path"], json!(["alerting", "a"]));

        fs::write(&fleet, fs::read_to_string(&fleet).unwrap().replace("{site: a}\n", "{site: [a, w]}\n"))
            .unwrap();
        assert_eq!(proof(Format::Table).0, Ok(Exit::Done));
    }

    #[test]
    fn errors_are_shown_and_counted() {
        let folder = example(|text| text.replace("at: $to}", "at: b}").into_bytes());
        let (exit, shown) = run(folder.path(), Format::Table);
        assert_eq!(exit, Ok(Exit::Found));
        assert!(shown.contains("error[SF030]: the literal site `b` in a playbook"), "{shown}");
        let (exit, shown) = run(folder.path(), Format::Json);
        assert_eq!(exit, Ok(Exit::Found));
        let value: serde_json::Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(value["findings"][0]["id"], "SF030");
        assert!(value.get("bundle").is_none());
    }

    #[test]
    fn what_is_no_text_or_too_large_is_one_finding() {
        for (bytes, id) in [(b"title: \xff\n".to_vec(), "SF001"), (vec![b'#'; 10 << 20], "SF003")] {
            let folder = example(|_| bytes.clone());
            let (exit, shown) = run(folder.path(), Format::Json);
            assert_eq!(exit, Ok(Exit::Found));
            let value: serde_json::Value = serde_json::from_str(&shown).unwrap();
            let ids: Vec<_> = value["findings"].as_array().unwrap().iter().map(|f| f["id"].clone()).collect();
            assert!(ids.contains(&json!(id)), "{shown}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_a_usage_error() {
        let empty = tempfile::tempdir().unwrap();
        assert_eq!(run(empty.path(), Format::Table).0.unwrap_err().exit, Exit::Usage);
        assert_eq!(run(&empty.path().join("x.yaml"), Format::Table).0.unwrap_err().exit, Exit::Usage);
    }

    #[test]
    fn findings_are_explained() {
        let paper = Paper::default();
        let mut output = paper.output(Format::Table);
        explain(&ExplainArgs { id: Some("sf032".into()) }, &mut output).unwrap();
        assert!(paper.text().starts_with("SF032 (error, safety): a promotion without a fence before it"));
        explain(&ExplainArgs { id: None }, &mut output).unwrap();
        assert!(
            paper.text().contains("SF050  error    structure      the request does not fit the playbook")
        );
        explain(&ExplainArgs { id: Some("DNS.set".into()) }, &mut output).unwrap();
        assert!(paper.text().contains("linger    5s: so long a new leader waits before it acts again"));
        let failure = explain(&ExplainArgs { id: Some("SF999".into()) }, &mut output).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
    }

    #[test]
    fn guards_are_explained() {
        let paper = Paper::default();
        explain(&ExplainArgs { id: Some("g07".into()) }, &mut paper.output(Format::Table)).unwrap();
        assert!(paper.text().starts_with("G07 hold-down\n"), "{}", paper.text());
    }
}
