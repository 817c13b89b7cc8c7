//! `standfast schema`: the language of fleets and playbooks, for editors.

use clap::{Args, ValueEnum};
use serde_json::json;
use standfast_core::schema::json as schema;

use super::exit::{Exit, Failure};
use super::output::{Format, Output};

/// `standfast schema ...`
#[derive(Debug, Args)]
pub struct SchemaArgs {
    /// Of which kind of file; without it, both, each under its name
    kind: Option<Kind>,
}

/// The kinds of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Sites, services, resources, probes, numbers.
    Fleet,
    /// How a service leaves a site.
    Playbook,
}

/// Writes a JSON schema, draft 07; as YAML when that is asked for.
pub fn schema(args: &SchemaArgs, output: &mut Output) -> Result<Exit, Failure> {
    let value = match args.kind {
        Some(Kind::Fleet) => schema::fleet(),
        Some(Kind::Playbook) => schema::playbook(),
        None => json!({ "fleet": schema::fleet(), "playbook": schema::playbook() }),
    };
    if output.format == Format::Table {
        output.format = Format::Json;
    }
    output.data(&value, |_, _| Ok(()))?;
    Ok(Exit::Done)
}
