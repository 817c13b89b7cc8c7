//! The command line as a page.

use clap::{Arg, Command, CommandFactory as _};
use std::fmt::Write as _;

const HEAD: &str = "# Command line

<!-- Made from the program by a test (daemon/server/tests/docs.rs). Edit the help texts instead. -->

`standfast help COMMAND` shows the same on a terminal. Data is written to stdout, everything else to
stderr. Colours only on a terminal, and not if `NO_COLOR` is set.

## Exit codes

| code | meaning |
|---|---|
| 0 | done |
| 1 | a run or a remote operation failed |
| 2 | the command line, a file, or the settings cannot be used as such, or name what is not there |
| 3 | something was found that refuses it: an error in a file, a guard, a condition, a run that is there |
| 4 | changes are pending (`--exit-code`) |
| 5 | no member answers, or the store takes no writes |
| 6 | not allowed |
| 7 | the plan or the etag is stale |
| 8 | it waits for people |
";

pub(crate) fn markdown() -> String {
    let mut root = standfast::cli::Cli::command().term_width(100);
    root.build();
    let mut page = HEAD.to_owned();
    page.push_str("\n## Every command\n\n");
    options(&root, &mut page, &|arg| arg.is_global_set());
    for command in root.get_subcommands() {
        section(command, "standfast", &mut page);
    }
    page
}

fn section(command: &Command, path: &str, page: &mut String) {
    if command.is_hide_set() || command.get_name() == "help" {
        return;
    }
    let path = format!("{path} {}", command.get_name());
    let nested = command.get_subcommands().any(|sub| sub.get_name() != "help");
    if !nested {
        let usage = command.clone().render_usage().to_string();
        let usage = usage.trim_start_matches("Usage: ");
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        let _ = write!(page, "\n## {path}\n\n{about}.\n\n```\n{usage}\n```\n\n");
        options(command, page, &|arg| !arg.is_global_set());
        if let Some(after) = command.get_after_help() {
            let _ = write!(page, "\n```\n{after}\n```\n");
        }
    }
    for sub in command.get_subcommands() {
        section(sub, &path, page);
    }
}

fn options(command: &Command, page: &mut String, wanted: &dyn Fn(&Arg) -> bool) {
    let shown = |arg: &&Arg| {
        wanted(arg) && !arg.is_hide_set() && !["help", "version"].contains(&arg.get_id().as_str())
    };
    let rows: Vec<String> = command.get_arguments().filter(shown).map(row).collect();
    if !rows.is_empty() {
        let _ = write!(page, "| argument | meaning |\n|---|---|\n{}", rows.concat());
    }
}

fn row(arg: &Arg) -> String {
    let short = arg.get_short().map(|short| format!("-{short}, ")).unwrap_or_default();
    let name = arg.get_long().map(|long| format!("{short}--{long}")).unwrap_or_default();
    let values: Vec<String> = arg
        .get_value_names()
        .unwrap_or_default()
        .iter()
        .map(|value| format!("<{value}>"))
        .filter(|_| arg.get_action().takes_values())
        .collect();
    let form = [vec![name], values].concat().join(" ");
    let mut notes = vec![arg.get_help().map(ToString::to_string).unwrap_or_default()];
    let choices: Vec<String> = arg
        .get_possible_values()
        .iter()
        .filter(|value| arg.get_action().takes_values() && !value.is_hide_set())
        .map(|value| format!("`{}`", value.get_name()))
        .collect();
    if !choices.is_empty() {
        notes.push(format!("One of {}", choices.join(", ")));
    }
    let defaults: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    if !defaults.is_empty() && arg.get_action().takes_values() {
        notes.push(format!("Default: `{}`", defaults.join(",")));
    }
    if let Some(env) = arg.get_env() {
        notes.push(format!("Environment: `{}`", env.to_string_lossy()));
    }
    if arg.is_required_set() {
        notes.push("Required".into());
    }
    format!("| `{}` | {} |\n", form.trim(), notes.join(". ").replace('|', "\\|"))
}
