//! A plan for people.

use standfast_proto::v1::{
    ConditionOutcome, CriticalPath, DataSet, GuardOutcome, OnFailure, Plan, PlanStep, Prediction, Preview,
    Severity, Trouble, VantagePart,
};

use super::super::exit::Failure;
use super::super::human;
use super::super::output::{Rows, Stream, Tone, one_line, plain};
use super::super::site::guard_row;

/// A plan for people.
pub(super) fn show(plan: &Plan, out: &mut Stream) -> Result<(), Failure> {
    out.line(format!(
        "{} from {} to {} ({}){}",
        plan.playbook,
        plan.from,
        plan.to,
        human::lower(plan.mode().as_str_name(), "MODE_"),
        if plan.title.is_empty() { String::new() } else { format!(": {}", one_line(&plan.title)) },
    ))?;
    out.line(format!("plan {}  bundle {}", plan.digest, human::digest(&plan.bundle_digest)))?;
    vantage_points(plan, out)?;
    requires(plan, out)?;
    steps(plan, out)?;
    if let Some(path) = &plan.critical_path {
        out.line(format!("\n{}: {}", longest(path), path.steps.join(" -> ")))?;
    }
    if let Some(prediction) = &plan.prediction {
        out.line(predicted(prediction))?;
    }
    plan.data.iter().try_for_each(|set| out.line(data(set)))?;
    if !plan.guards.is_empty() {
        out.line("")?;
        let mut rows = Rows::new(out, &["GUARD", "NAME", "SAYS", "REASON"]);
        for guard in &plan.guards {
            rows.row(guard_row(guard));
        }
        rows.write(out)?;
    }
    if !plan.troubles.is_empty() {
        out.line("")?;
        troubles(&plan.troubles, out)?;
    }
    for finding in &plan.findings {
        super::super::bundle::show_finding(finding, out)?;
    }
    refusals(plan, out)
}

/// `longest path, at most 1h 3m (28m when nothing is attempted twice)`.
fn longest(path: &CriticalPath) -> String {
    let time = |span| human::wire_duration(span);
    let (bound, once) = (time(path.duration.as_ref()), time(path.once.as_ref()));
    if path.duration == path.once || path.once.is_none() {
        return format!("longest path, at most {bound}");
    }
    format!("longest path, at most {bound} with every attempt ({once} when nothing is attempted twice)")
}

/// Who looked, who would act, and who did not look.
fn vantage_points(plan: &Plan, out: &mut Stream) -> Result<(), Failure> {
    if plan.inspected_at.is_none() {
        return Ok(());
    }
    let looked = plan.vantage_points.iter().filter(|point| point.silent.is_empty());
    let names: Vec<String> = looked
        .map(|point| {
            let part = match point.part() {
                VantagePart::Acts => " (would act)",
                VantagePart::Leaves => " (in the site that is left)",
                VantagePart::Might | VantagePart::Unspecified => "",
            };
            format!("{} in {}{part}", point.member, point.site)
        })
        .collect();
    out.line(format!("seen from {} at {}", names.join(", "), human::date(plan.inspected_at.as_ref())))
}

/// `predicted time: half within 40s, 95 of 100 within 1m; at most 10m was promised (kept by 100 %)`.
fn predicted(prediction: &Prediction) -> String {
    let time = |span| human::wire_duration(span);
    let seen = time(prediction.detection.as_ref());
    let promised = match &prediction.objective {
        Some(objective) => format!("; at most {} was promised", time(Some(objective))),
        None => String::new(),
    };
    let bound = format!("at most {}, {seen} of it to see the loss", time(prediction.bound.as_ref()));
    if prediction.p50.is_none() {
        return format!("predicted time: {bound}{promised}; no run shows how long it takes");
    }
    let kept = match prediction.probability {
        Some(share) => format!(" (kept by {:.1} %)", share * 100.0),
        None => String::new(),
    };
    let unseen = match prediction.unseen.as_slice() {
        [] => String::new(),
        steps => format!("; with their timeouts: {}", steps.join(", ")),
    };
    format!(
        "predicted time: half within {}, 95 of 100 within {} (of {} runs{unseen}); {bound}{promised}{kept}",
        time(prediction.p50.as_ref()),
        time(prediction.p95.as_ref()),
        prediction.runs
    )
}

/// `orders in b is 1.2s behind: that much would be lost`.
fn data(set: &DataSet) -> String {
    let name = format!("{} in {}", set.cluster, set.site);
    let promised = match &set.objective {
        Some(objective) => format!(", at most {} was promised", human::wire_duration(Some(objective))),
        None => String::new(),
    };
    if set.lag.is_none() {
        return format!("predicted loss of {name}: not known, {}{promised}", set.unknown_because);
    }
    let least = if set.at_least { "at least " } else { "" };
    format!(
        "predicted loss of {name}: {least}{} ({} bytes, primary seen {} ago){promised}",
        human::wire_duration(set.lag.as_ref()),
        set.bytes,
        human::wire_duration(set.seen_ago.as_ref()),
    )
}

/// What stands in the way, and who sees it.
pub fn troubles(troubles: &[Trouble], out: &mut Stream) -> Result<(), Failure> {
    let mut rows = Rows::new(out, &["TROUBLE", "KIND", "STEP", "SEEN FROM", "WHAT"]);
    for trouble in troubles {
        let (tone, severity) = match trouble.severity() {
            Severity::Error => (Tone::Bad, "error"),
            Severity::Warning => (Tone::Busy, "warning"),
            Severity::Note | Severity::Unspecified => (Tone::Plain, "note"),
        };
        let everywhere = trouble.members.is_empty();
        rows.row([
            (tone, severity.to_owned()),
            plain(trouble.kind.clone()),
            plain(human::or_dash(&trouble.step)),
            plain(if everywhere { "everywhere".to_owned() } else { trouble.members.join(",") }),
            plain(trouble.message.clone()),
        ]);
    }
    rows.write(out)
}

/// Who saw it otherwise than it is shown, as in `b1 no`.
fn otherwise<'a, T: PartialEq + 'a>(
    says: T,
    seen: impl Iterator<Item = (&'a String, T)>,
    word: impl Fn(T) -> &'static str,
) -> String {
    let differs = seen.filter(|(_, other)| *other != says);
    let words: Vec<String> = differs.map(|(member, other)| format!("{member}: {}", word(other))).collect();
    if words.is_empty() { String::new() } else { format!(" [{}]", words.join(", ")) }
}

fn outcome_word(outcome: ConditionOutcome) -> &'static str {
    match outcome {
        ConditionOutcome::Unspecified => "not asked",
        ConditionOutcome::Holds => "yes",
        ConditionOutcome::DoesNotHold => "no",
        ConditionOutcome::CannotTell => "cannot tell",
    }
}

fn preview_word(preview: Preview) -> &'static str {
    match preview {
        Preview::Unspecified => "-",
        Preview::AlreadySo => "already so",
        Preview::WouldDo => "would do",
        Preview::CannotTell => "cannot tell",
        Preview::Refuses => "refuses",
    }
}

fn requires(plan: &Plan, out: &mut Stream) -> Result<(), Failure> {
    if plan.requires.is_empty() {
        return Ok(());
    }
    out.line("")?;
    let mut rows = Rows::new(out, &["MUST HOLD", "IT DOES", "ANSWER", "WAIVED BY"]);
    for require in &plan.requires {
        let tone = match require.outcome() {
            ConditionOutcome::Unspecified => Tone::Plain,
            ConditionOutcome::Holds => Tone::Good,
            ConditionOutcome::DoesNotHold | ConditionOutcome::CannotTell => Tone::Bad,
        };
        let seen = require.seen.iter().map(|sight| (&sight.member, sight.outcome()));
        let others = otherwise(require.outcome(), seen, outcome_word);
        rows.row([
            plain(require.condition.clone()),
            (tone, format!("{}{others}", outcome_word(require.outcome()))),
            plain(human::or_dash(&require.answer)),
            plain(human::or_dash(&require.override_role)),
        ]);
    }
    rows.write(out)
}

fn steps(plan: &Plan, out: &mut Stream) -> Result<(), Failure> {
    out.line("")?;
    let headings = ["#", "STEP", "PREVIEW", "ACTION", "TARGET", "NEEDS", "TIMEOUT", "DETAIL"];
    let mut rows = Rows::new(out, &headings);
    for step in &plan.steps {
        let tone = match step.preview() {
            Preview::Unspecified => Tone::Plain,
            Preview::AlreadySo => Tone::Good,
            Preview::WouldDo => Tone::Busy,
            Preview::CannotTell | Preview::Refuses => Tone::Bad,
        };
        let seen = step.seen.iter().map(|sight| (&sight.member, sight.preview()));
        let others = otherwise(step.preview(), seen, preview_word);
        let timeout = human::wire_duration(step.timeout.as_ref());
        rows.row([
            plain(step.order.to_string()),
            plain(step.id.clone()),
            (tone, format!("{}{others}", preview_word(step.preview()))),
            plain(step.action.clone()),
            plain(step.target.clone()),
            plain(human::or_dash(&step.needs.join(","))),
            plain(if step.attempts > 1 { format!("{timeout} x{}", step.attempts) } else { timeout }),
            plain(detail(step)),
        ]);
    }
    rows.write(out)
}

/// What inspection saw, after what is special about the step.
fn detail(step: &PlanStep) -> String {
    let flags = [
        (step.point_of_no_return, "no way back"),
        (step.needs_approval, "asks a person"),
        (step.skip_unreachable, "skipped if unreachable"),
        (step.on_failure() == OnFailure::Continue, "may fail"),
        (step.on_failure() == OnFailure::Pause, "pauses on failure"),
        (step.on_failure() == OnFailure::Rollback, "rolls back on failure"),
    ];
    let mut parts: Vec<&str> = flags.iter().filter(|(on, _)| *on).map(|(_, said)| *said).collect();
    let undo = format!("taken back by {}", step.undo);
    if !matches!(step.undo.as_str(), "" | "none") {
        parts.push(&undo);
    }
    if !step.detail.is_empty() {
        parts.push(&step.detail);
    }
    parts.join("; ")
}

/// One line on what stands in the way, last, where eyes are.
fn refusals(plan: &Plan, out: &mut Stream) -> Result<(), Failure> {
    if plan.inspected_at.is_none() {
        return Ok(());
    }
    if !plan.would_be_refused {
        return out.line("\na run of this plan would begin now");
    }
    let guards = plan.guards.iter().filter(|guard| guard.outcome() == GuardOutcome::Refused);
    let requires = plan.requires.iter().filter(|require| {
        matches!(require.outcome(), ConditionOutcome::DoesNotHold | ConditionOutcome::CannotTell)
    });
    let steps = plan.steps.iter().filter(|step| step.preview() == Preview::Refuses);
    let mut names: Vec<&str> = guards
        .map(|guard| guard.id.as_str())
        .chain(requires.map(|require| require.name.as_str()))
        .chain(steps.map(|step| step.id.as_str()))
        .collect();
    if names.is_empty() {
        let errors = plan.troubles.iter().filter(|trouble| trouble.severity() == Severity::Error);
        names.extend(errors.map(|trouble| trouble.kind.as_str()));
        names.dedup();
        return out.line(format!("\na run of this plan would fail now: {}", names.join(", ")));
    }
    out.line(format!("\na run of this plan would be refused now: {}", names.join(", ")))
}
