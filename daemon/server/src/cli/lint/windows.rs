//! What `lint` shows of what can come late: one line, or all of it.

use standfast_core::residual::Window;
use standfast_core::timing::tenths;

use crate::cli::exit::Failure;
use crate::cli::output::{Rows, Stream, plain};

/// A line on every run is read once; the table is for whoever asks.
pub(super) fn show(windows: &[Window], all: bool, out: &mut Stream) -> Result<(), Failure> {
    if !all {
        return match summary(windows) {
            Some(line) => out.line(line),
            None => Ok(()),
        };
    }
    let mut rows = Rows::new(out, &["TARGET", "BY", "WINDOW", "WHY"]);
    for Window { target, by, longest, why } in windows {
        let longest = longest.map_or_else(|| "no end".to_owned(), tenths);
        rows.row([plain(target.as_str()), plain(by.as_str()), plain(longest), plain(*why)]);
    }
    out.line("")?;
    rows.write(out)
}

fn summary(windows: &[Window]) -> Option<String> {
    let longest = windows.iter().filter_map(|window| window.longest).max();
    let endless = windows.iter().filter(|window| window.longest.is_none()).count();
    let many = windows.len();
    let bound = match (endless, longest) {
        (0, Some(longest)) => format!("for at most {}", tenths(longest)),
        (_, Some(longest)) => {
            format!("of which {endless} without end, the others for at most {}", tenths(longest))
        }
        (0, None) => return None,
        (_, None) => "without end".to_owned(),
    };
    Some(format!(
        "late: {many} things can still happen when a leader or a site is over, {bound}: `--windows` lists them"
    ))
}
