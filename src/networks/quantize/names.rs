//! Names that a graph does not have yet.

use std::collections::HashSet;

use crate::networks::onnx::GraphProto;

/// The names of a graph's values and nodes.
pub(super) struct Names(HashSet<String>);

impl Names {
    pub(super) fn of(graph: &GraphProto) -> Self {
        let of_nodes = graph.node.iter().flat_map(|node| {
            node.input.iter().chain(&node.output).chain(std::iter::once(&node.name))
        });
        let constants = graph.initializer.iter().map(|constant| &constant.name);
        let declared = graph.input.iter().chain(&graph.output).map(|value| &value.name);
        Self(of_nodes.chain(constants).chain(declared).cloned().collect())
    }

    /// The name, or where it is taken, the name with a number.
    pub(super) fn fresh(&mut self, name: &str) -> String {
        let numbered = (1_u64..).map(|number| format!("{name}.{number}"));
        let mut candidates = std::iter::once(name.to_owned()).chain(numbered);
        let free = candidates.find(|candidate| !self.0.contains(candidate)).unwrap_or_default();
        self.0.insert(free.clone());
        free
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::networks::onnx::NodeProto;

    #[test]
    fn a_name_that_is_taken_gets_a_number() {
        let node = NodeProto::new("Relu", "x.scale", ["x"]);
        let mut names = Names::of(&GraphProto { node: vec![node], ..GraphProto::default() });
        assert_eq!(
            ["x", "x.scale", "x.scale", "y", "y"].map(|name| names.fresh(name)),
            ["x.1", "x.scale.1", "x.scale.2", "y", "y.1"]
        );
    }
}
