//! What `standfast explain` says of a guard: its section of the page on safety.

use standfast_core::guard::Guard;

const SAFETY: &str = include_str!("../../../../docs/safety.md");

/// The rule and its reason, as the page has them; none if there is no such guard.
pub fn page(id: &str) -> Option<(Guard, String)> {
    let wanted = id.trim().to_ascii_uppercase();
    let guard = Guard::ALL.into_iter().find(|guard| guard.id() == wanted)?;
    let section = SAFETY.split("\n### ").find(|section| section.starts_with(&format!("{guard}\n")))?;
    let section = section.split("\n## ").next().unwrap_or(section);
    let for_people =
        |line: &&str| !["- Function: ", "- Test: ", "- Mutant: "].iter().any(|kind| line.starts_with(kind));
    let mut text = String::new();
    for line in section.lines().filter(for_people) {
        // Where functions and tests stood nothing is left but empty lines.
        if !(line.is_empty() && text.ends_with("\n\n")) {
            text.push_str(line);
            text.push('\n');
        }
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    Some((guard, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_guard_has_its_rule_and_its_reason() {
        for guard in Guard::ALL {
            let (found, text) = page(&guard.id().to_lowercase()).unwrap_or_else(|| panic!("{guard}"));
            assert_eq!(found, guard);
            assert!(text.starts_with(&format!("{guard}\n\n")) && text.contains("\nWhy: "), "{text}");
            assert!(
                !text.contains("- Test")
                    && !text.contains("- Mutant")
                    && !text.contains("\n\n\n")
                    && !text.contains("## "),
                "{text}"
            );
        }
        assert_eq!(page("G99"), None);
    }
}
