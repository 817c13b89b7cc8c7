//! `standfast audit`: what was decided and done, and the proof that nothing of that was changed.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::json;
use standfast_core::audit::chain::{Chain, Verdict};
use standfast_core::audit::{Entry, Fact, Head};
use standfast_core::ids::RunId;
use standfast_proto::v1::audit_client::AuditClient;
use standfast_proto::v1::{ListEntriesRequest, ListEntriesResponse};

use super::client::Client;
use super::exit::{Exit, Failure};
use super::output::{Output, one_line};

/// `standfast audit`
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// The newest entries
    List(ListArgs),
    /// All entries as JSON lines, as they are stored
    #[command(after_help = "\
Examples:
  standfast audit export > audit.jsonl
  standfast audit export --after 1234 >> audit.jsonl

Each line names the SHA-256 of the line before it: sha256sum of a line, without its end, is what the next
one has as `previous`.")]
    Export(ExportArgs),
    /// Whether anything was changed, left out, reordered or put in
    #[command(after_help = "\
Examples:
  standfast audit verify                             the chain and the journals in the store
  standfast audit verify audit.jsonl                 what was exported; needs no member
  standfast audit verify --known 1234:5891b5b5...    it must still have the entry that was printed then

Whoever can write to the store can write the end of the chain anew. So keep what this prints, or the
export, elsewhere: no entry up to there can be changed without being found.
Exit: 0, 2 when a file cannot be read, 3 when something is not as it was written.")]
    Verify(VerifyArgs),
}

/// `standfast audit list`
#[derive(Debug, Args)]
pub struct ListArgs {
    /// At most this many entries, the newest
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    limit: u64,
    /// Only what is about this run
    #[arg(long, value_name = "ID")]
    run: Option<String>,
}

/// `standfast audit export`
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Only entries after this one
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    after: u64,
}

/// `standfast audit verify`
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// What was exported; - for standard input. Without it: what is in the store
    file: Option<PathBuf>,
    /// An entry that was there before, as it was printed then
    #[arg(long, value_name = "NUMBER:SHA-256")]
    known: Option<Head>,
}

impl AuditCommand {
    /// Whether it needs no member.
    pub fn is_offline(&self) -> bool {
        matches!(self, Self::Verify(VerifyArgs { file: Some(_), .. }))
    }
}

/// Runs `standfast audit`.
pub async fn run(command: AuditCommand, client: &mut Client, output: &mut Output) -> Result<Exit, Failure> {
    match command {
        AuditCommand::List(args) => list(args, client, output).await,
        AuditCommand::Export(args) => {
            let mut pages = Pages { after: args.after, ..Pages::default() };
            while let Some(page) = pages.next(client).await? {
                for entry in page.entries {
                    output.out.write(&format!("{}\n", String::from_utf8_lossy(&entry.line)))?;
                }
            }
            Ok(Exit::Done)
        }
        AuditCommand::Verify(args) => verify_store(args.known, client, output).await,
    }
}

/// `standfast audit verify FILE`
pub fn offline(command: AuditCommand, output: &mut Output) -> Result<Exit, Failure> {
    let AuditCommand::Verify(VerifyArgs { file: Some(file), known }) = command else {
        return Err(Failure::usage("only verify needs no member"));
    };
    let text =
        read(&file).map_err(|error| Failure::usage(format!("cannot read {}: {error}", file.display())))?;
    let mut chain = Chain::knowing(known);
    for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        chain.take(line);
    }
    say(&chain.end(&BTreeMap::new()), output)
}

fn read(file: &Path) -> std::io::Result<Vec<u8>> {
    if file != Path::new("-") {
        return std::fs::read(file);
    }
    let mut bytes = Vec::new();
    std::io::stdin().lock().read_to_end(&mut bytes)?;
    Ok(bytes)
}

async fn verify_store(
    known: Option<Head>,
    client: &mut Client,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let mut pages = Pages { records: true, ..Pages::default() };
    let (mut chain, mut journals) = (None, BTreeMap::new());
    while let Some(page) = pages.next(client).await? {
        // The end as the store has it is known, too: an entry after it, or none there, is found.
        let head =
            page.head.iter().filter_map(|head| format!("{}:{}", head.sequence, head.digest).parse().ok());
        let chain = chain.get_or_insert_with(|| Chain::knowing(known.iter().cloned().chain(head)));
        for entry in page.entries {
            let Some(read) = chain.take(&entry.line) else { continue };
            let told = read.facts.iter().filter(|fact| matches!(fact, Fact::Run { .. }));
            for (fact, record) in told.zip(&entry.records) {
                chain.compare(fact, record.found.then_some(record.record.as_slice()));
            }
        }
        journals.extend(page.journals.into_iter().map(|(run, last)| (RunId::new(run), last)));
    }
    say(&chain.unwrap_or_default().end(&journals), output)
}

fn say(verdict: &Verdict, output: &mut Output) -> Result<Exit, Failure> {
    let broken: Vec<String> = verdict.broken.iter().map(ToString::to_string).collect();
    let head = verdict.head.to_string();
    let data = json!({"first": verdict.first, "head": head, "broken": broken});
    output.data(&data, |_, out| {
        for line in &broken {
            out.line(line)?;
        }
        match (verdict.first, broken.len()) {
            (None, 0) => out.line("no entry yet"),
            (None, _) => Ok(()),
            (Some(first), 0) => {
                out.line(format!("entries {first} to {} are as they were written", verdict.head.sequence))?;
                out.line(format!("to prove it later, keep: --known {head}"))
            }
            (Some(first), count) => {
                let last = verdict.head.sequence;
                out.line(format!(
                    "{count} findings in entries {first} to {last}: this is not what was written"
                ))
            }
        }
    })?;
    Ok(if broken.is_empty() { Exit::Done } else { Exit::Found })
}

async fn list(args: ListArgs, client: &mut Client, output: &mut Output) -> Result<Exit, Failure> {
    // Nothing is after that: only where the chain ends is answered.
    let asked = Pages { after: u64::MAX / 2, ..Pages::default() }.next(client).await?;
    let last = asked.and_then(|page| page.head).map_or(0, |head| head.sequence);
    let mut pages = Pages { after: last.saturating_sub(args.limit), ..Pages::default() };
    let mut entries: Vec<Entry> = Vec::new();
    while let Some(page) = pages.next(client).await? {
        for kept in page.entries {
            let entry = serde_json::from_slice(&kept.line).map_err(|error| {
                Failure::new(Exit::Found, format!("entry {} cannot be read: {error}", kept.sequence))
                    .hint("standfast audit verify")
            })?;
            entries.push(entry);
        }
    }
    if let Some(run) = &args.run {
        for entry in &mut entries {
            entry.facts.retain(|fact| fact.run().is_some_and(|about| about.as_str() == run));
        }
        entries.retain(|entry| !entry.facts.is_empty());
    }
    output.data(&entries, |entries, out| {
        for entry in entries {
            let at = Timestamp::from_millisecond(entry.wall_ms);
            let at = at.map_or_else(|_| entry.wall_ms.to_string(), |at| at.strftime("%F %TZ").to_string());
            let member = entry.member.as_ref().map(ToString::to_string);
            let writer = match (&entry.epoch, member) {
                (Some(epoch), Some(member)) => format!("{member}, epoch {epoch}"),
                (_, member) => member.unwrap_or_else(|| "-".to_owned()),
            };
            for fact in &entry.facts {
                out.line(format!("{:>6}  {at}  {writer}  {}", entry.sequence, one_line(&fact.to_string())))?;
            }
        }
        Ok(())
    })?;
    Ok(Exit::Done)
}

/// Asks for one page after the other, all of one revision.
#[derive(Default)]
struct Pages {
    after: u64,
    revision: u64,
    records: bool,
    over: bool,
}

impl Pages {
    /// The next page; none after the last.
    async fn next(&mut self, client: &mut Client) -> Result<Option<ListEntriesResponse>, Failure> {
        if self.over {
            return Ok(None);
        }
        let Self { after, revision, records, .. } = *self;
        let request = ListEntriesRequest { after, revision, records, page_size: 0 };
        let page = client
            .call(
                request,
                |channel, request| async move { AuditClient::new(channel).list_entries(request).await },
            )
            .await?;
        self.revision = page.revision;
        self.after = page.entries.last().map_or(after, |entry| entry.sequence);
        self.over = !page.more;
        Ok(Some(page))
    }
}
