//! What a network computes in, told by its first layer; found without reading its weights.

use std::fs::File;
use std::io::{self, BufReader, Read as _};
use std::path::Path;

use prost::Message;

use super::onnx::{DataType, GraphProto, NodeProto, TensorProto};

/// Layers, and which of their inputs has the weights.
const LAYERS: [(&str, usize); 7] = [
    ("Conv", 1),
    ("Gemm", 1),
    ("MatMul", 1),
    ("QLinearConv", 3),
    ("QLinearMatMul", 3),
    ("ConvInteger", 1),
    ("MatMulInteger", 1),
];

/// Bytes of a node, which has no weights in it; larger ones are skipped.
const LONGEST_NODE: u64 = 64 << 10;

/// The type of numbers that the first layer of an ONNX file multiplies: `float32` also where its
/// weights are stored in half precision and cast, `int8` where they are quantised. `None` where
/// the graph does not tell.
///
/// # Errors
///
/// When the file cannot be read to its end.
pub fn arithmetic(file: &Path) -> io::Result<Option<String>> {
    Ok(of_graph(&Skimmed::open(file)?.graph()?))
}

fn of_graph(graph: &GraphProto) -> Option<String> {
    let weights = |node: &NodeProto| {
        let (_, index) = LAYERS.iter().find(|(operator, _)| *operator == node.op_type)?;
        type_of(graph, node.input_at(*index)?)
    };
    let found = graph.node.iter().find_map(weights)?;
    Some(format!("{found:?}").to_lowercase()).map(|name| match name.as_str() {
        "float" => "float32".to_owned(),
        "double" => "float64".to_owned(),
        _ => name,
    })
}

/// The type of a constant, also where it is cast or was quantised.
fn type_of(graph: &GraphProto, value: &str) -> Option<DataType> {
    if let Some(stored) = graph.stored(value) {
        return Some(stored.data_type());
    }
    let node = graph.producer(value)?;
    match node.op_type.as_str() {
        "Cast" => DataType::try_from(i32::try_from(node.int_or("to", 0)).ok()?).ok(),
        "Constant" => node.attribute("value")?.t.as_ref().map(TensorProto::data_type),
        "DequantizeLinear" | "Identity" | "Transpose" => type_of(graph, node.input_at(0)?),
        _ => None,
    }
}

/// A file of which the values of constants are skipped over.
struct Skimmed {
    file: BufReader<File>,
    position: u64,
    end: u64,
}

impl Skimmed {
    fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let end = file.metadata()?.len();
        Ok(Self { file: BufReader::new(file), position: 0, end })
    }

    fn graph(mut self) -> io::Result<GraphProto> {
        const GRAPH: u64 = 7;
        let mut graph = GraphProto::default();
        while self.position < self.end {
            match self.field()? {
                (GRAPH, Some(length)) => self.graph_of(length, &mut graph)?,
                (_, length) => self.skip(length.unwrap_or(0))?,
            }
        }
        Ok(graph)
    }

    fn graph_of(&mut self, length: u64, graph: &mut GraphProto) -> io::Result<()> {
        const NODE: u64 = 1;
        const INITIALIZER: u64 = 5;
        let end = self.position.saturating_add(length);
        while self.position < end {
            match self.field()? {
                (NODE, Some(length)) if length <= LONGEST_NODE => {
                    let node = NodeProto::decode(self.bytes(length)?.as_slice());
                    graph.node.push(node.map_err(io::Error::other)?);
                }
                (INITIALIZER, Some(length)) => graph.initializer.push(self.constant(length)?),
                (_, length) => self.skip(length.unwrap_or(0))?,
            }
        }
        Ok(())
    }

    /// A constant's name and type.
    fn constant(&mut self, length: u64) -> io::Result<TensorProto> {
        const DATA_TYPE: u64 = 2;
        const NAME: u64 = 8;
        let end = self.position.saturating_add(length);
        let mut constant = TensorProto::default();
        while self.position < end {
            match self.key()? {
                (DATA_TYPE, 0) => {
                    constant.data_type = i32::try_from(self.varint()?).map_err(io::Error::other)?;
                }
                (NAME, 2) => {
                    let length = self.varint()?.min(LONGEST_NODE);
                    let name = String::from_utf8(self.bytes(length)?);
                    constant.name = name.map_err(io::Error::other)?;
                }
                (_, wire) => {
                    let length = self.rest(wire)?.unwrap_or(0);
                    self.skip(length)?;
                }
            }
        }
        Ok(constant)
    }

    /// A field's number, and its length where it is of bytes that follow; others are read over.
    fn field(&mut self) -> io::Result<(u64, Option<u64>)> {
        let (number, wire) = self.key()?;
        Ok((number, self.rest(wire)?))
    }

    fn key(&mut self) -> io::Result<(u64, u64)> {
        let key = self.varint()?;
        Ok((key >> 3, key & 7))
    }

    fn rest(&mut self, wire: u64) -> io::Result<Option<u64>> {
        match wire {
            0 => self.varint().map(|_| None),
            1 => self.skip(8).map(|()| None),
            2 => self.varint().map(Some),
            5 => self.skip(4).map(|()| None),
            _ => Err(io::Error::other("it is no ONNX file")),
        }
    }

    fn varint(&mut self) -> io::Result<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.bytes(1)?[0];
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(io::Error::other("it is no ONNX file"))
    }

    fn bytes(&mut self, length: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.file.by_ref().take(length).read_to_end(&mut bytes)?;
        self.position += length;
        if bytes.len() as u64 == length {
            Ok(bytes)
        } else {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }

    fn skip(&mut self, length: u64) -> io::Result<()> {
        if length > self.end.saturating_sub(self.position) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.position += length;
        self.file.seek_relative(i64::try_from(length).map_err(io::Error::other)?)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::onnx::ModelProto;
    use super::super::{
        BuildOptions, BuildRequest, InputType, Normalization, Precision, WeightSource, WeightsType,
        build,
    };
    use super::*;

    fn of_built(options: BuildOptions) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("model.onnx");
        let network = "cifar-resnet20".parse().unwrap();
        let request = BuildRequest { network, options, weights: WeightSource::Random { seed: 1 } };
        build(&request).unwrap().write(&file).unwrap();
        arithmetic(&file).unwrap()
    }

    fn of_nodes(nodes: Vec<NodeProto>, stored: TensorProto) -> Option<String> {
        of_graph(&GraphProto { node: nodes, initializer: vec![stored], ..GraphProto::default() })
    }

    fn node(operator: &str, inputs: &[&str], output: &str) -> NodeProto {
        let mut node = NodeProto::new(operator, output, ["x"]);
        node.input = inputs.iter().map(|&name| name.to_owned()).collect();
        node
    }

    #[test]
    fn a_network_computes_in_what_its_layers_multiply_not_in_what_it_takes_or_stores() {
        let bytes = InputType::Uint8(Normalization { mean: [0.5; 3], std: [0.5; 3] });
        let default = BuildOptions::default;
        let stored = BuildOptions { weights_type: WeightsType::Float16, ..default() };
        for options in [default(), stored, BuildOptions { input_type: bytes, ..default() }] {
            assert_eq!(of_built(options).as_deref(), Some("float32"));
        }
        let half = BuildOptions { precision: Precision::Float16, ..default() };
        assert_eq!(of_built(half).as_deref(), Some("float16"));
    }

    #[test]
    fn quantised_weights_are_told_in_each_form() {
        let weights = || TensorProto {
            name: "w".to_owned(),
            data_type: DataType::Int8.into(),
            ..TensorProto::default()
        };
        let restored = [
            node("DequantizeLinear", &["w", "scale", "zero"], "restored"),
            node("Conv", &["x", "restored"], "y"),
        ];
        assert_eq!(of_nodes(restored.to_vec(), weights()).as_deref(), Some("int8"));
        let quantised = node("QLinearConv", &["x", "xs", "xz", "w", "ws"], "y");
        assert_eq!(of_nodes(vec![quantised], weights()).as_deref(), Some("int8"));
        assert_eq!(of_nodes(vec![node("Relu", &["x"], "y")], weights()), None);
    }

    #[test]
    fn a_file_that_is_cut_off_or_none_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("model.onnx");
        let weights = TensorProto::float32("w", &[100], &[0.5; 100]);
        let graph = GraphProto { initializer: vec![weights], ..GraphProto::default() };
        let model = ModelProto { graph: Some(graph), ..ModelProto::default() };
        let whole = model.encode_to_vec();
        for bytes in [&whole[..whole.len() - 1], &whole[..7], b"no ONNX at all"] {
            fs::write(&file, bytes).unwrap();
            assert!(arithmetic(&file).is_err());
        }
        fs::write(&file, whole).unwrap();
        assert_eq!(arithmetic(&file).unwrap(), None, "there is no layer");
        assert!(arithmetic(&folder.path().join("nothing")).is_err());
    }
}
