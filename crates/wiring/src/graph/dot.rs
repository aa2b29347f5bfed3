//! [DOT](https://graphviz.org/doc/info/lang.html): what Graphviz draws.

use std::fmt::Write as _;

use super::{EdgeKind, Graph, NodeKind};

impl Graph {
    /// As a DOT digraph.
    #[must_use]
    pub fn dot(&self) -> String {
        let mut text = String::from("digraph wiring {\n  rankdir=LR;\n");
        for (number, node) in self.nodes.iter().enumerate() {
            let shape = match node.kind {
                NodeKind::Type => "parallelogram",
                NodeKind::Handler | NodeKind::Step => "box",
                NodeKind::Route | NodeKind::Plugin => "ellipse",
                NodeKind::Pipeline => "box3d",
                NodeKind::Schedule => "circle",
            };
            let (name, doc) = (quoted(&node.name), quoted(&node.doc));
            line(
                &mut text,
                format_args!("  n{number} [label={name}, shape={shape}, tooltip={doc}];"),
            );
        }
        for edge in &self.edges {
            let (Some(from), Some(to)) = (self.number(&edge.from), self.number(&edge.to)) else {
                continue;
            };
            let style = match edge.kind {
                EdgeKind::MayPublish => " [style=dashed]",
                EdgeKind::Next => " [style=bold]",
                EdgeKind::Delivers | EdgeKind::Emits | EdgeKind::Publishes | EdgeKind::Runs => "",
            };
            line(&mut text, format_args!("  n{from} -> n{to}{style};"));
        }
        text.push_str("}\n");
        text
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("writing to a string cannot fail");
}
