//! What `lint --self` shows: would we survive the loss of each site?

use standfast_core::proof::survival::{Part, Survival};

use crate::cli::exit::Failure;
use crate::cli::output::{Rows, Stream, Tone, plain};

/// A line for each site, and under them why something would not be left.
pub(super) fn table(sites: &[Survival], out: &mut Stream) -> Result<(), Failure> {
    let headings = ["SITE", "SURVIVED", "MAJORITY", "MEMBER", "BUNDLE", "CREDENTIALS", "ALERTING", "PEOPLE"];
    let mut rows = Rows::new(out, &headings);
    for site in sites {
        let survives =
            if site.survives() { (Tone::Good, "yes".to_owned()) } else { (Tone::Bad, "NO".to_owned()) };
        let part = |place: usize| site.parts.get(place).map_or_else(|| plain(""), cell);
        rows.row([plain(site.site.as_str()), survives, part(0), part(1), part(2), part(3), part(4), part(5)]);
    }
    out.line("")?;
    rows.write(out)?;
    for site in sites {
        for part in site.parts.iter().filter(|part| part.left != Some(true)) {
            let path =
                if part.path.is_empty() { String::new() } else { format!(" ({})", part.path.join(" -> ")) };
            out.line(format!("{}: {}: {}{path}", site.site, part.what.name(), part.why))?;
        }
    }
    Ok(())
}

fn cell(part: &Part) -> (Tone, String) {
    match part.left {
        Some(true) => (Tone::Good, "yes".into()),
        Some(false) => (Tone::Bad, "NO".into()),
        None => (Tone::Busy, "unknown".into()),
    }
}

/// `[{site, survives, parts: [{what, left, why, path}]}]`.
pub(super) fn json(sites: &[Survival]) -> serde_json::Value {
    let site = |site: &Survival| serde_json::json!({ "site": site.site, "survives": site.survives(), "parts": site.parts });
    sites.iter().map(site).collect()
}
