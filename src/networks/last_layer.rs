//! The layer that makes scores of pooled features, found in any ONNX file that ends in one.

use std::path::Path;

use half::f16;
use prost::Message;
use prost::bytes::Bytes;
use thiserror::Error;

use super::onnx::{DataType, GraphProto, ModelProto, NodeProto, TensorProto};

/// Operators that pass on what they get, in another shape.
const RESHAPING: [&str; 6] = ["Flatten", "Reshape", "Squeeze", "Identity", "Dropout", "Cast"];

/// What a class's score is made of: a sum over the channels of a map's means.
#[derive(Clone, Debug, PartialEq)]
pub struct LastLayer {
    channels: usize,
    /// `[classes, channels]`
    weights: Vec<f32>,
}

/// A graph that does not end in global average pooling and one fully connected layer.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum LastLayerError {
    /// The file is none that can be read.
    #[error("`{path}` cannot be read: {cause}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        cause: String,
    },
    /// The scores come from something else than a layer with weights.
    #[error("`{0}` does not come from a fully connected layer")]
    NoLayer(String),
    /// The layer's weights are not in the file, or in a form that is not read.
    #[error("the weights of the last layer cannot be read")]
    Weights,
    /// The layer reads something else than the means of the map.
    #[error("the last layer does not read the global average of `{0}`")]
    NoPooling(String),
}

impl LastLayer {
    /// Finds the layer between a map and the scores that are made of it.
    ///
    /// # Errors
    ///
    /// When the graph has another end.
    pub fn read(file: &Path, map: &str, scores: &str) -> Result<Self, LastLayerError> {
        let failed =
            |cause: String| LastLayerError::Read { path: file.display().to_string(), cause };
        let bytes = std::fs::read(file).map_err(|cause| failed(cause.to_string()))?;
        let model = ModelProto::decode(Bytes::from(bytes));
        let model = model.map_err(|cause| failed(cause.to_string()))?;
        Self::find(&model.graph.unwrap_or_default(), map, scores)
    }

    pub(super) fn find(
        graph: &GraphProto,
        map: &str,
        scores: &str,
    ) -> Result<Self, LastLayerError> {
        let layer =
            layer(graph, scores).ok_or_else(|| LastLayerError::NoLayer(scores.to_owned()))?;
        let weights = weights(graph, layer).ok_or(LastLayerError::Weights)?;
        let pooled = layer.input_at(0).is_some_and(|features| is_mean_of(graph, features, map));
        if pooled { Ok(weights) } else { Err(LastLayerError::NoPooling(map.to_owned())) }
    }

    /// Of a class for each `channels` weights.
    #[cfg(test)]
    pub(crate) fn of_rows(channels: usize, weights: Vec<f32>) -> Self {
        Self { channels, weights }
    }

    /// Values in the vector that it reads.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Classes that it scores.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.weights.len() / self.channels
    }

    /// A class's `[channels]` weights; none of a class that there is not.
    #[must_use]
    pub fn of_class(&self, class: usize) -> &[f32] {
        let start = class * self.channels;
        self.weights.get(start..start + self.channels).unwrap_or_default()
    }

    /// From rows or from columns.
    fn from_stored(
        (values, [rows, columns]): (Vec<f32>, [usize; 2]),
        transposed: bool,
    ) -> Option<Self> {
        if rows == 0 || columns == 0 || values.len() != rows * columns {
            return None;
        }
        if transposed {
            return Some(Self { channels: columns, weights: values });
        }
        let column = |class| values.iter().skip(class).step_by(columns).copied();
        Some(Self { channels: rows, weights: (0..columns).flat_map(column).collect() })
    }
}

/// The layer that makes the scores; what it adds may be a node of its own.
fn layer<'a>(graph: &'a GraphProto, scores: &str) -> Option<&'a NodeProto> {
    let node = graph.producer(scores)?;
    match node.op_type.as_str() {
        "Gemm" | "MatMul" => Some(node),
        "Add" => {
            let mut sums = node.input.iter().filter(|name| constant(graph, name).is_none());
            sums.next().and_then(|sum| layer(graph, sum))
        }
        "Identity" | "Cast" => layer(graph, node.input_at(0)?),
        _ => None,
    }
}

fn weights(graph: &GraphProto, layer: &NodeProto) -> Option<LastLayer> {
    let scale = layer.attribute("alpha").and_then(|alpha| alpha.f).unwrap_or(1.0);
    let stored = constant(graph, layer.input_at(1)?)?;
    let [rows, columns] = stored.dims.as_slice() else { return None };
    let dims = [usize::try_from(*rows).ok()?, usize::try_from(*columns).ok()?];
    let values = floats(stored)?.into_iter().map(|value| value * scale).collect();
    LastLayer::from_stored((values, dims), layer.int_or("transB", 0) == 1)
}

fn floats(tensor: &TensorProto) -> Option<Vec<f32>> {
    if tensor.data_type() != DataType::Float16 {
        return tensor.float32_values();
    }
    let (halves, _) = tensor.raw_data.as_chunks::<2>();
    Some(halves.iter().map(|bytes| f16::from_le_bytes(*bytes).to_f32()).collect())
}

/// Whether a value is the map's mean over its rows and columns.
fn is_mean_of(graph: &GraphProto, value: &str, map: &str) -> bool {
    let Some(node) = graph.producer(value) else { return false };
    let Some(input) = node.input_at(0) else { return false };
    match node.op_type.as_str() {
        "GlobalAveragePool" => is_map(graph, input, map),
        "ReduceMean" => is_map(graph, input, map) && axes(graph, node).is_some_and(spans_a_picture),
        operator if RESHAPING.contains(&operator) => is_mean_of(graph, input, map),
        _ => false,
    }
}

/// Whether a value is the map, or what the map is in another precision.
fn is_map(graph: &GraphProto, value: &str, map: &str) -> bool {
    let is_cast = |node: &&NodeProto| node.op_type == "Cast";
    value == map
        || graph.producer(map).filter(is_cast).and_then(|node| node.input_at(0)) == Some(value)
}

/// Over what a node reduces: an attribute, since operator set 18 an input.
fn axes(graph: &GraphProto, node: &NodeProto) -> Option<Vec<i64>> {
    let given = node.ints_of("axes").map(<[i64]>::to_vec);
    given.or_else(|| constant(graph, node.input_at(1)?)?.int64_values())
}

/// Whether they are the rows and columns of `[n, channels, rows, columns]`.
fn spans_a_picture(axes: Vec<i64>) -> bool {
    let mut axes: Vec<i64> =
        axes.into_iter().map(|axis| if axis < 0 { axis + 4 } else { axis }).collect();
    axes.sort_unstable();
    axes == [2, 3]
}

/// The constant of that name, also where it is stored in another precision.
fn constant<'a>(graph: &'a GraphProto, name: &str) -> Option<&'a TensorProto> {
    graph.stored(name).or_else(|| {
        let node = graph.producer(name).filter(|node| node.op_type == "Cast")?;
        constant(graph, node.input_at(0)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(nodes: Vec<NodeProto>) -> GraphProto {
        let weights = TensorProto::float32("w", &[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let bias = TensorProto::float32("b", &[2], &[0.0, 0.0]);
        GraphProto { node: nodes, initializer: vec![weights, bias], ..GraphProto::default() }
    }

    fn node(operator: &str, [from, to]: [&str; 2], further: &[&str]) -> NodeProto {
        let inputs = [from].into_iter().chain(further.iter().copied()).collect::<Vec<_>>();
        let mut node = NodeProto::new(operator, to, ["x"]);
        node.input = inputs.into_iter().map(str::to_owned).collect();
        node
    }

    fn pooled(last: Vec<NodeProto>) -> GraphProto {
        let pool =
            [node("GlobalAveragePool", ["map", "mean"], &[]), node("Flatten", ["mean", "v"], &[])];
        graph(pool.into_iter().chain(last).collect())
    }

    #[test]
    fn a_class_has_its_row_of_a_transposed_product_and_its_column_of_another() {
        let gemm = node("Gemm", ["v", "scores"], &["w", "b"]).int("transB", 1);
        let layer = LastLayer::find(&pooled(vec![gemm]), "map", "scores").unwrap();
        assert_eq!((layer.classes(), layer.channels()), (2, 3));
        assert_eq!(layer.of_class(1), [4.0, 5.0, 6.0]);
        let product = [node("MatMul", ["v", "p"], &["w"]), node("Add", ["p", "scores"], &["b"])];
        let layer = LastLayer::find(&pooled(product.to_vec()), "map", "scores").unwrap();
        assert_eq!((layer.classes(), layer.channels()), (3, 2));
        assert_eq!(layer.of_class(1), [2.0, 5.0]);
        assert!(layer.of_class(3).is_empty());
    }

    #[test]
    fn weights_that_are_stored_in_half_precision_are_read() {
        let mut graph = pooled(vec![
            node("Cast", ["h", "h.float32"], &[]),
            node("Gemm", ["v", "scores"], &["h.float32"]).int("transB", 1),
        ]);
        let halves = [0.5, -2.0].map(f16::from_f32);
        graph.initializer.push(TensorProto::float16("h", &[1, 2], &halves));
        let layer = LastLayer::find(&graph, "map", "scores").unwrap();
        assert_eq!(layer.of_class(0), [0.5, -2.0]);
    }

    #[test]
    fn a_mean_over_rows_and_columns_is_one_however_these_are_given() {
        let gemm = || node("Gemm", ["v", "scores"], &["w", "b"]).int("transB", 1);
        let find = |mean: NodeProto| {
            let mut graph = graph(vec![mean, gemm()]);
            graph.initializer.push(TensorProto::int64("rows and columns", &[-1, -2]));
            graph.initializer.push(TensorProto::int64("channels", &[1]));
            LastLayer::find(&graph, "map", "scores").is_ok()
        };
        let mean = |further: &[&str]| node("ReduceMean", ["map", "v"], further);
        assert!(find(mean(&["rows and columns"])));
        assert!(find(mean(&[]).ints("axes", &[2, 3])));
        assert!(find(mean(&[]).ints("axes", &[3, -2])));
        for other in [mean(&["channels"]), mean(&[]), mean(&[]).ints("axes", &[1, 2])] {
            assert!(!find(other));
        }
    }

    #[test]
    fn a_graph_with_another_end_is_refused_with_what_is_different() {
        let gemm = || node("Gemm", ["v", "scores"], &["w", "b"]).int("transB", 1);
        let error = |graph, map| LastLayer::find(&graph, map, "scores").unwrap_err();
        assert_eq!(error(pooled(vec![gemm()]), "x"), LastLayerError::NoPooling("x".to_owned()));
        let relu = node("Relu", ["v", "scores"], &[]);
        assert_eq!(error(pooled(vec![relu]), "map"), LastLayerError::NoLayer("scores".to_owned()));
        let unknown = node("Gemm", ["v", "scores"], &["elsewhere"]);
        assert_eq!(error(pooled(vec![unknown]), "map"), LastLayerError::Weights);
        let hidden = [node("Relu", ["v", "r"], &[]), node("Gemm", ["r", "scores"], &["w"])];
        assert_eq!(
            error(pooled(hidden.to_vec()), "map"),
            LastLayerError::NoPooling("map".to_owned())
        );
    }
}
