//! The fleets of the simulator: what each says beside what all have in common.

use super::Mutant;
use standfast_core::timing::Profile;

/// What is special about one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    pub(super) name: &'static str,
    pub(super) profile: Profile,
    pub(super) acts: bool,
    /// So often a site may go down; faults come so often that every site would soon be locked.
    pub(super) flaps: u32,
    pub(super) rules: Special,
    /// How many seconds a loss has to be confirmed, if not as the profile has it.
    pub(super) confirm: Option<u64>,
}

/// What its guards go by, beside the windows and the permission to act.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Special {
    /// Nothing.
    #[default]
    None,
    /// One other site has to be well, one site may be left a day, and what is waived takes two.
    Limits,
    /// One state is forbidden, and a switch has to be on.
    Forbids,
    /// Nothing begins by itself between 60 and 120 s, nor without a look that found all ready.
    Calendar,
}

impl Special {
    /// As the fleet says it.
    pub(super) fn said(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Limits => {
                "limits: {min_serving: 1, per_day: {sites: 1}}
overrides: {role: commander, second_person: true}
"
            }
            Self::Forbids => {
                "forbid: [{active: {service: mail, in: a}}]
overrides: {role: commander}
switches: {armed: {means: the night shift is there}}
"
            }
            Self::Calendar => {
                "freeze_windows: {closing: {from: \"08:20\", until: \"08:21\", zone: Europe/Berlin}}
readiness: {required: true, every: 20s, max_age: 45s}
"
            }
        }
    }
}

const MANY: u32 = 1_000;

/// All. Bundles of the first three follow each other in one seed; each of the others stays.
pub(super) const MANNERS: [Manner; 6] = [
    manner("default, act", Profile::Default, true, MANY, Special::None),
    manner("default, advise", Profile::Default, false, MANY, Special::None),
    manner("fast, act", Profile::Fast, true, MANY, Special::None),
    manner("fast, act, limits", Profile::Fast, true, 3, Special::Limits),
    manner("fast, act, forbids", Profile::Fast, true, MANY, Special::Forbids),
    manner("fast, act, calendar", Profile::Fast, true, MANY, Special::Calendar),
];
/// So many of them follow each other.
pub(super) const FOLLOWING: usize = 3;

const fn manner(name: &'static str, profile: Profile, acts: bool, flaps: u32, rules: Special) -> Manner {
    Manner { name, profile, acts, flaps, rules, confirm: None }
}

impl Manner {
    /// The fleet: what all have in common, `shared`, and what is special.
    pub(super) fn fleet(&self, shared: &str, mutant: Option<Mutant>) -> String {
        let Self { name, profile, acts, flaps, rules, confirm } = *self;
        let preset = if profile == Profile::Fast { "fast" } else { "default" };
        let hold_down = if mutant == Some(Mutant::NoHoldDown) { "1ms" } else { "45s" };
        let confirm = if mutant == Some(Mutant::NoConfirm) {
            Some("1ms".to_owned())
        } else {
            confirm.map(|secs| format!("{secs}s"))
        };
        let confirm = confirm.map_or_else(String::new, |confirm| format!(", confirm: {confirm}"));
        let automation = if acts || mutant == Some(Mutant::NoAdvice) { "act" } else { "advise" };
        let said = rules.said();
        format!(
            "# {name}\n{shared}\n{said}timing: {{profile: {preset}, hold_down: {hold_down}, flaps: {flaps}{confirm}}}\nautomation: {automation}\n"
        )
    }
}
