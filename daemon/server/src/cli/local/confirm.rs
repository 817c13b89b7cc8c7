//! What a person must type before a run begins that nobody else knows of.

use std::io::{BufRead, IsTerminal};

use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;
use crate::cli::plan::Binding;

/// Asks for the words, unless they were given.
///
/// # Errors
/// When they are not those.
pub(super) fn typed(binding: &Binding, given: Option<&str>, output: &mut Output) -> Result<(), Failure> {
    let words = words(binding);
    let typed = match given {
        Some(given) => given.to_owned(),
        None if std::io::stdin().is_terminal() => {
            output.err.line(format!(
                "Nobody checks that {} is gone, that nobody else does the same now, or that the data is there.\n\
                 Type: {words}",
                binding.from
            ))?;
            let mut line = String::new();
            let read = std::io::stdin().lock().read_line(&mut line);
            read.map_err(|error| Failure::new(Exit::Failed, format!("cannot read what you type: {error}")))?;
            line
        }
        None => return Err(Failure::usage("nobody has confirmed it").hint(format!("--confirm '{words}'"))),
    };
    if typed.trim() == words {
        return Ok(());
    }
    Err(Failure::usage("that is not what was to be typed; nothing was done").hint(format!("type: {words}")))
}

fn words(binding: &Binding) -> String {
    format!("run {} from {} without quorum", binding.playbook, binding.from)
}
