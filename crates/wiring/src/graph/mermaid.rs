//! [Mermaid](https://mermaid.js.org/syntax/flowchart.html): what GitHub and GitLab draw in Markdown.

use std::fmt::Write as _;

use super::{EdgeKind, Graph, NodeKind};

impl Graph {
    /// As a Mermaid flowchart.
    #[must_use]
    pub fn mermaid(&self) -> String {
        let mut text = String::from("flowchart LR\n");
        for (number, node) in self.nodes.iter().enumerate() {
            let (open, close) = match node.kind {
                NodeKind::Type => ("[/", "/]"),
                NodeKind::Handler | NodeKind::Step => ("[", "]"),
                NodeKind::Route | NodeKind::Plugin => ("([", "])"),
                NodeKind::Pipeline => ("[[", "]]"),
                NodeKind::Schedule => ("((", "))"),
            };
            let name = node.name.replace('"', "#quot;");
            line(
                &mut text,
                format_args!("  n{number}{open}\"{name}\"{close}"),
            );
        }
        for edge in &self.edges {
            let (Some(from), Some(to)) = (self.number(&edge.from), self.number(&edge.to)) else {
                continue;
            };
            let arrow = match edge.kind {
                EdgeKind::MayPublish => "-.->",
                EdgeKind::Next => "==>",
                EdgeKind::Delivers | EdgeKind::Emits | EdgeKind::Publishes | EdgeKind::Runs => {
                    "-->"
                }
            };
            line(&mut text, format_args!("  n{from} {arrow} n{to}"));
        }
        text
    }
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("writing to a string cannot fail");
}
