//! Draws a plan as a Mermaid flowchart, for a page that can show one.

use std::fmt::Write as _;

/// What is known of a step, as a colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tone {
    /// Not looked at.
    Plain,
    /// Already so.
    Done,
    /// Would act.
    Would,
    /// Cannot tell.
    Unclear,
    /// Refuses.
    Refuses,
}

impl Tone {
    fn class(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Plain => None,
            Self::Done => Some(("done", "fill:#d8f5d8,stroke:#2f7d32")),
            Self::Would => Some(("would", "fill:#dbe9ff,stroke:#2456a6")),
            Self::Unclear => Some(("unclear", "fill:#eeeeee,stroke:#777777,stroke-dasharray:4")),
            Self::Refuses => Some(("refuses", "fill:#ffd9d6,stroke:#b3261e")),
        }
    }
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// What stands in it, line by line.
    pub lines: Vec<String>,
    /// The steps that it waits for, by their place.
    pub needs: Vec<usize>,
    /// What is known of it.
    pub tone: Tone,
    /// Once it has started there is no way back: it is drawn as a hexagon.
    pub no_way_back: bool,
}

/// The drawing of these steps, under a title. The same steps give the same text.
pub fn draw(title: &str, nodes: &[Node]) -> String {
    let mut text = format!("---\ntitle: \"{}\"\n---\nflowchart TD\n", title.replace(['"', '\\', '\n'], " "));
    let write = |text: &mut String, line: std::fmt::Arguments<'_>| {
        text.write_fmt(line).expect("writing to a String does not fail");
    };
    for (place, node) in nodes.iter().enumerate() {
        let label = node.lines.iter().map(|line| escaped(line)).collect::<Vec<_>>().join("<br/>");
        let (open, close) = if node.no_way_back { ("{{", "}}") } else { ("[", "]") };
        write(&mut text, format_args!("    s{place}{open}\"{label}\"{close}\n"));
    }
    for (place, node) in nodes.iter().enumerate() {
        for need in &node.needs {
            write(&mut text, format_args!("    s{need} --> s{place}\n"));
        }
    }
    let mut tones: Vec<Tone> = nodes.iter().map(|node| node.tone).collect();
    tones.sort_unstable();
    tones.dedup();
    for tone in tones {
        let Some((class, style)) = tone.class() else { continue };
        let places = nodes.iter().enumerate().filter(|(_, node)| node.tone == tone);
        let names: Vec<String> = places.map(|(place, _)| format!("s{place}")).collect();
        write(
            &mut text,
            format_args!("    classDef {class} {style}\n    class {} {class}\n", names.join(",")),
        );
    }
    text
}

/// A line that Mermaid takes for nothing but text.
fn escaped(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    for c in line.chars() {
        match c {
            '#' => text.push_str("#35;"),
            '"' => text.push_str("#quot;"),
            '<' => text.push_str("#lt;"),
            '>' => text.push_str("#gt;"),
            '&' => text.push_str("#amp;"),
            '`' => text.push_str("#96;"),
            c if c.is_control() => text.push(' '),
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_become_boxes_and_needs_arrows() {
        let node = |line: &str, needs: Vec<usize>, tone| Node {
            lines: vec![line.to_owned(), "orders in b".into()],
            needs,
            tone,
            no_way_back: line == "promote",
        };
        let nodes = [
            node("fence", vec![], Tone::Done),
            node("tools", vec![], Tone::Unclear),
            node("promote", vec![0, 1], Tone::Would),
        ];
        let drawn = draw("shop from \"a\" to b", &nodes);
        let expected = "---
title: \"shop from  a  to b\"
---
flowchart TD
    s0[\"fence<br/>orders in b\"]
    s1[\"tools<br/>orders in b\"]
    s2{{\"promote<br/>orders in b\"}}
    s0 --> s2
    s1 --> s2
    classDef done fill:#d8f5d8,stroke:#2f7d32
    class s0 done
    classDef would fill:#dbe9ff,stroke:#2456a6
    class s2 would
    classDef unclear fill:#eeeeee,stroke:#777777,stroke-dasharray:4
    class s1 unclear
";
        assert_eq!(drawn, expected);
    }

    #[test]
    fn what_a_fleet_says_is_text_and_nothing_else() {
        let lines = vec!["POST http://x/?a=\"1\"#end".into(), "]; click s0 <b>\n`x`".into()];
        let node = Node { lines, needs: vec![], tone: Tone::Plain, no_way_back: false };
        let drawn = draw("t", &[node]);
        assert!(
            drawn.contains("http://x/?a=#quot;1#quot;#35;end<br/>]; click s0 #lt;b#gt; #96;x#96;\"]"),
            "{drawn}"
        );
        assert_eq!(drawn.lines().count(), 5, "{drawn}");
    }
}
