//! A request for inference and its answer.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::interface::DataType;
use crate::memory::Charge;

/// Numbers of an answer that are written without a thought.
const FEW_NUMBERS: usize = 1 << 14;

/// What is to be inferred from what.
#[derive(Clone, Debug, Default)]
pub struct InferRequest {
    /// Comes back with the answer.
    pub id: String,
    /// Within which the answer is of use.
    pub timeout: Option<Duration>,
    /// The pictures, or the network's own input.
    pub inputs: Vec<InputTensor>,
    /// What is asked for; everything where this is empty.
    pub outputs: Vec<RequestedOutput>,
    /// Whether outputs that do not say otherwise are wanted as bytes behind the JSON.
    pub binary_output: bool,
}

/// A tensor as a client has sent it; nothing about it is checked yet.
#[derive(Clone, Debug)]
pub struct InputTensor {
    /// Its name.
    pub name: String,
    /// As in `FP32`.
    pub datatype: String,
    /// The first dimension counts images.
    pub shape: Vec<i64>,
    /// Its elements, in row-major order.
    pub data: TensorData,
}

/// The elements of a tensor.
#[derive(Clone, Debug, PartialEq)]
pub enum TensorData {
    /// Little-endian; those of `BYTES` each behind its length in four bytes.
    Raw(Bytes),
    /// As JSON and gRPC's typed contents have them.
    Numbers(Vec<f32>),
    /// Elements of `BYTES`, each by itself.
    Elements(Vec<Bytes>),
    /// Elements of `BYTES` as JSON has them, in base64.
    Base64(Vec<Bytes>),
}

/// An output that is asked for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RequestedOutput {
    /// Its name.
    pub name: String,
    /// The classification extension: so many classes, best first, in place of the numbers.
    pub classes: Option<NonZeroUsize>,
    /// Whether it is wanted as bytes behind the JSON, where the client says so.
    pub binary: Option<bool>,
}

/// What was inferred.
#[derive(Clone, Debug)]
pub struct InferResponse {
    /// The request's.
    pub id: String,
    /// What has answered.
    pub model_name: String,
    /// Its version.
    pub model_version: String,
    /// `false` for random weights, whose answers mean nothing.
    pub trained: bool,
    /// In the order in which they were asked for.
    pub outputs: Vec<OutputTensor>,
    /// What they hold of the memory budget, also as they are written.
    pub charge: Arc<Charge>,
}

/// An output of the network, for all images of the request.
#[derive(Clone, Debug)]
pub struct OutputTensor {
    /// Its name.
    pub name: String,
    /// `[images, classes]`, or what the features have.
    pub shape: Vec<usize>,
    /// Its elements, image after image.
    pub data: OutputData,
    /// Whether it is wanted as bytes behind the JSON.
    pub binary: bool,
}

/// The elements of an output.
#[derive(Clone, Debug, PartialEq)]
pub enum OutputData {
    /// Scores or probabilities.
    Float32(Vec<f32>),
    /// The classification extension's `value:index:label`.
    Classes(Vec<String>),
}

impl InferResponse {
    /// Whether writing it down takes longer than a request may hold up the others of its thread.
    #[must_use]
    pub fn is_large(&self) -> bool {
        let numbers = self.outputs.iter().map(|output| output.shape.iter().product::<usize>());
        numbers.sum::<usize>() > FEW_NUMBERS
    }
}

impl OutputTensor {
    /// The type of its elements.
    #[must_use]
    pub fn datatype(&self) -> DataType {
        match self.data {
            OutputData::Float32(_) => DataType::Fp32,
            OutputData::Classes(_) => DataType::Bytes,
        }
    }
}

impl OutputData {
    /// As [`TensorData::Raw`] has it.
    #[must_use]
    pub fn to_raw(&self) -> Bytes {
        match self {
            Self::Float32(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Self::Classes(texts) => texts.iter().flat_map(|text| with_length(text)).collect(),
        }
    }
}

fn with_length(text: &str) -> impl Iterator<Item = u8> {
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    length.to_le_bytes().into_iter().chain(text.bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(shapes: &[&[usize]]) -> InferResponse {
        let outputs = shapes.iter().map(|shape| OutputTensor {
            name: "features".to_owned(),
            shape: shape.to_vec(),
            data: OutputData::Float32(Vec::new()),
            binary: true,
        });
        InferResponse {
            id: String::new(),
            model_name: "colors".to_owned(),
            model_version: "7".to_owned(),
            trained: true,
            outputs: outputs.collect(),
            charge: Arc::new(Charge::nothing()),
        }
    }

    #[test]
    fn an_answer_is_large_by_the_numbers_of_all_its_outputs() {
        assert!(!response(&[]).is_large());
        assert!(!response(&[&[8, 1000], &[8, 1000]]).is_large());
        assert!(response(&[&[8, 1000], &[8, 1000], &[1, 1000]]).is_large());
        assert!(response(&[&[9, 2048]]).is_large());
    }

    #[test]
    fn numbers_are_little_endian_and_texts_stand_behind_their_lengths() {
        assert_eq!(OutputData::Float32(vec![1.0, -2.0]).to_raw(), &b"\0\0\x80\x3f\0\0\0\xc0"[..]);
        let classes = OutputData::Classes(vec!["0.5:1:é".to_owned(), String::new()]);
        assert_eq!(classes.to_raw(), "\x08\0\0\x000.5:1:é\0\0\0\0".as_bytes());
    }
}
