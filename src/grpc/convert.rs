//! Between gRPC's messages and those of the protocol.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::time::Duration;

use bytes::Bytes;

use super::proto::infer_parameter::ParameterChoice;
use super::proto::model_infer_request::{InferInputTensor, InferRequestedOutputTensor};
use super::proto::model_infer_response::InferOutputTensor;
use super::proto::model_metadata_response::TensorMetadata;
use super::proto::{self, InferParameter, InferTensorContents, ModelInferRequest};
use crate::protocol::config::ModelConfig;
use crate::protocol::message::{
    InferRequest, InferResponse, InputTensor, RequestedOutput, TensorData,
};
use crate::protocol::metadata;
use crate::serving::RequestError;

type Parameters = BTreeMap<String, InferParameter>;

/// A request as the protocol has it.
///
/// # Errors
///
/// When its tensors do not fit each other, or a parameter is none.
pub(super) fn request(message: ModelInferRequest) -> Result<InferRequest, RequestError> {
    let ModelInferRequest { id, parameters, inputs, outputs, raw_input_contents, .. } = message;
    let timeout = whole(&parameters, "timeout")?.filter(|timeout| *timeout > 0);
    Ok(InferRequest {
        id,
        timeout: timeout.map(Duration::from_micros),
        inputs: tensors(inputs, raw_input_contents)?,
        outputs: outputs.into_iter().map(requested).collect::<Result<_, _>>()?,
        binary_output: true,
    })
}

/// Bytes that typed contents take on their way into a tensor, beside what they are decoded to.
pub(super) fn peak_bytes(message: &ModelInferRequest) -> u64 {
    let contents = message.inputs.iter().filter_map(|input| input.contents.as_ref());
    let numbers = contents.map(|of| of.uint_contents.len() + of.fp32_contents.len());
    (numbers.sum::<usize>() * size_of::<f32>()) as u64
}

fn tensors(
    inputs: Vec<InferInputTensor>,
    raw: Vec<Bytes>,
) -> Result<Vec<InputTensor>, RequestError> {
    if raw.is_empty() {
        return inputs.into_iter().map(|input| tensor(input, None)).collect();
    }
    if raw.len() != inputs.len() {
        let (found, due) = (raw.len(), inputs.len());
        return Err(invalid(format!("`raw_input_contents` has {found} entries, inputs are {due}")));
    }
    inputs.into_iter().zip(raw).map(|(input, raw)| tensor(input, Some(raw))).collect()
}

fn tensor(input: InferInputTensor, raw: Option<Bytes>) -> Result<InputTensor, RequestError> {
    let InferInputTensor { name, datatype, shape, parameters, contents } = input;
    refuse_shared_memory(&name, &parameters)?;
    let data = match (raw, contents) {
        (Some(raw), None) => TensorData::Raw(raw),
        (Some(_), Some(_)) => {
            let words = "`contents` and `raw_input_contents` exclude each other";
            return Err(invalid(format!("`{name}`: {words}")));
        }
        (None, contents) => {
            let contents = contents.unwrap_or_default();
            expect_list(&name, &datatype, &contents)?;
            elements(contents)
        }
    };
    Ok(InputTensor { name, datatype, shape, data })
}

/// Refuses every list but the datatype's own. A datatype that the protocol does not have is refused
/// by what expects another one.
fn expect_list(
    name: &str,
    datatype: &str,
    contents: &InferTensorContents,
) -> Result<(), RequestError> {
    let Some(due) = list_of(datatype) else { return Ok(()) };
    match filled(contents).find(|list| *list != due) {
        None => Ok(()),
        Some(found) => {
            let words = format!("has `{found}`, but elements of `{datatype}` stand in `{due}`");
            Err(invalid(format!("input `{name}` {words}")))
        }
    }
}

/// Where elements of a datatype stand, by the protocol.
fn list_of(datatype: &str) -> Option<&'static str> {
    Some(match datatype {
        "BOOL" => "bool_contents",
        "INT8" | "INT16" | "INT32" => "int_contents",
        "INT64" => "int64_contents",
        "UINT8" | "UINT16" | "UINT32" => "uint_contents",
        "UINT64" => "uint64_contents",
        "FP16" | "BF16" => "raw_input_contents",
        "FP32" => "fp32_contents",
        "FP64" => "fp64_contents",
        "BYTES" => "bytes_contents",
        _ => return None,
    })
}

/// The lists that have elements.
fn filled(contents: &InferTensorContents) -> impl Iterator<Item = &'static str> {
    let lists = [
        ("bool_contents", contents.bool_contents.is_empty()),
        ("int_contents", contents.int_contents.is_empty()),
        ("int64_contents", contents.int64_contents.is_empty()),
        ("uint_contents", contents.uint_contents.is_empty()),
        ("uint64_contents", contents.uint64_contents.is_empty()),
        ("fp32_contents", contents.fp32_contents.is_empty()),
        ("fp64_contents", contents.fp64_contents.is_empty()),
        ("bytes_contents", contents.bytes_contents.is_empty()),
    ];
    lists.into_iter().filter(|(_, is_empty)| !is_empty).map(|(list, _)| list)
}

/// The list that is filled; those that no input of the service can have are left out.
fn elements(contents: InferTensorContents) -> TensorData {
    #[expect(clippy::cast_precision_loss, reason = "no byte is that large")]
    let number = |number: u32| number as f32;
    if !contents.bytes_contents.is_empty() {
        TensorData::Elements(contents.bytes_contents)
    } else if contents.fp32_contents.is_empty() {
        TensorData::Numbers(contents.uint_contents.into_iter().map(number).collect())
    } else {
        TensorData::Numbers(contents.fp32_contents)
    }
}

fn requested(output: InferRequestedOutputTensor) -> Result<RequestedOutput, RequestError> {
    let InferRequestedOutputTensor { name, parameters } = output;
    refuse_shared_memory(&name, &parameters)?;
    let classes = whole(&parameters, "classification")?;
    let classes = classes.map(|classes| usize::try_from(classes).unwrap_or(usize::MAX));
    Ok(RequestedOutput { name, classes: classes.and_then(NonZeroUsize::new), binary: None })
}

fn refuse_shared_memory(name: &str, parameters: &Parameters) -> Result<(), RequestError> {
    if parameters.contains_key("shared_memory_region") {
        return Err(invalid(format!("`{name}`: shared memory is not taken")));
    }
    Ok(())
}

/// A parameter that is a whole number and not negative.
fn whole(parameters: &Parameters, name: &str) -> Result<Option<u64>, RequestError> {
    let Some(parameter) = parameters.get(name) else { return Ok(None) };
    let number = match parameter.parameter_choice {
        Some(ParameterChoice::Int64Param(number)) => u64::try_from(number).ok(),
        Some(ParameterChoice::Uint64Param(number)) => Some(number),
        _ => None,
    };
    number.map(Some).ok_or_else(|| invalid(format!("`{name}` is no whole number from 0 on")))
}

/// An answer as gRPC has it.
pub(super) fn response(response: InferResponse) -> proto::ModelInferResponse {
    // Held until it is in the message, which goes out piece by piece.
    let raw = response.outputs.iter().map(|output| response.charge.hold(output.data.to_raw()));
    let raw_output_contents = raw.collect();
    let outputs = response.outputs.into_iter().map(|output| InferOutputTensor {
        datatype: output.datatype().name().to_owned(),
        shape: output.shape.iter().map(|size| i64::try_from(*size).unwrap_or(i64::MAX)).collect(),
        name: output.name,
        ..InferOutputTensor::default()
    });
    let choice = Some(ParameterChoice::BoolParam(response.trained));
    let trained = InferParameter { parameter_choice: choice };
    proto::ModelInferResponse {
        model_name: response.model_name,
        model_version: response.model_version,
        id: response.id,
        parameters: BTreeMap::from([("trained".to_owned(), trained)]),
        outputs: outputs.collect(),
        raw_output_contents,
    }
}

/// What a model takes and gives, as gRPC has it.
pub(super) fn metadata(model: metadata::ModelMetadata) -> proto::ModelMetadataResponse {
    let tensor = |tensor: metadata::TensorMetadata| TensorMetadata {
        name: tensor.name,
        datatype: tensor.datatype.to_owned(),
        shape: tensor.shape,
    };
    proto::ModelMetadataResponse {
        name: model.name,
        versions: model.versions,
        platform: model.platform.to_owned(),
        inputs: model.inputs.into_iter().map(tensor).collect(),
        outputs: model.outputs.into_iter().map(tensor).collect(),
    }
}

/// A model's configuration, as gRPC has it; enumerations have Triton's numbers in both.
pub(super) fn config(config: ModelConfig) -> proto::ModelConfig {
    let input = config.input.into_iter().map(|input| proto::ModelInput {
        name: input.name,
        data_type: input.data_type as i32,
        format: input.format as i32,
        dims: input.dims,
        optional: input.optional,
    });
    let output = config.output.into_iter().map(|output| proto::ModelOutput {
        name: output.name,
        data_type: output.data_type as i32,
        dims: output.dims,
        label_filename: output.label_filename,
    });
    let group = config.instance_group.into_iter().map(|group| proto::ModelInstanceGroup {
        name: group.name,
        count: group.count,
        kind: group.kind as i32,
    });
    let parameters = config.parameters.into_iter().map(|(name, parameter)| {
        let string_value = parameter.string_value;
        (name.to_owned(), proto::ModelParameter { string_value })
    });
    proto::ModelConfig {
        name: config.name,
        platform: config.platform.to_owned(),
        max_batch_size: config.max_batch_size,
        input: input.collect(),
        output: output.collect(),
        instance_group: group.collect(),
        dynamic_batching: Some(proto::ModelDynamicBatching {}),
        parameters: parameters.collect(),
        backend: config.backend.to_owned(),
    }
}

fn invalid(words: String) -> RequestError {
    RequestError::Invalid(words)
}
