//! The protocol's body: JSON, with the tensors in it or as binary data behind it.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;

use super::json;
use super::message::{
    InferRequest, InferResponse, InputTensor, OutputData, OutputTensor, RequestedOutput, TensorData,
};
use crate::serving::RequestError;

/// An answer's body.
#[derive(Debug)]
pub struct Written {
    /// JSON, and what stands behind it.
    pub bytes: Vec<u8>,
    /// Bytes of the JSON, where something stands behind it.
    pub head: Option<usize>,
}

/// Reads a request. `head` is the length of its JSON, where binary data follows; 0 where the whole
/// body is one picture.
///
/// # Errors
///
/// When it is not the JSON that is taken, or the binary data does not fit it.
pub fn parse(body: &Bytes, head: Option<usize>) -> Result<InferRequest, RequestError> {
    let head = head.unwrap_or(body.len());
    if head == 0 && !body.is_empty() {
        return Ok(one_picture(body.clone()));
    }
    if head > body.len() {
        let length = body.len();
        return Err(invalid(format!("{head} bytes of JSON are announced, the body has {length}")));
    }
    let (text, binary) = (body.slice(..head), body.slice(head..));
    // A derived reader would also take an array in the order of the fields.
    if text.trim_ascii_start().first() == Some(&b'[') {
        return Err(invalid("the body is an array; an object is taken".to_owned()));
    }
    let request = serde_json::from_slice(&text)
        .map_err(|cause| invalid(format!("the body is not the JSON that is taken: {cause}")))?;
    assemble(request, (&text, binary))
}

/// Bytes that [`parse`] and what follows it will take at their peak, the body left out: escaped
/// texts, and what they decode to; numbers, twice while their list grows, and as elements.
#[must_use]
pub fn peak_bytes(body: &[u8], head: Option<usize>) -> u64 {
    let text = &body[..head.unwrap_or(body.len()).min(body.len())];
    let commas: u64 = text.iter().map(|byte| u64::from(*byte == b',')).sum();
    2 * text.len() as u64 + 12 * (commas + 1)
}

/// Writes an answer; outputs that are wanted in binary form follow its JSON.
#[must_use]
pub fn write(response: &InferResponse) -> Written {
    let binary: Vec<Option<Bytes>> =
        response.outputs.iter().map(|output| output.binary.then(|| output.data.to_raw())).collect();
    let outputs = response.outputs.iter().zip(&binary);
    let head = json::Response {
        model_name: &response.model_name,
        model_version: &response.model_version,
        id: &response.id,
        parameters: json::ResponseParameters { trained: response.trained },
        outputs: outputs.map(|(output, binary)| described(output, binary.as_ref())).collect(),
    };
    // Writing texts and numbers to a vector cannot fail.
    let mut bytes = serde_json::to_vec(&head).unwrap_or_default();
    let length = bytes.len();
    let has_binary = binary.iter().any(Option::is_some);
    bytes.extend(binary.into_iter().flatten().flatten());
    Written { bytes, head: has_binary.then_some(length) }
}

fn described<'a>(output: &'a OutputTensor, binary: Option<&Bytes>) -> json::ResponseOutput<'a> {
    let data = match &output.data {
        OutputData::Float32(values) => json::ResponseData::Numbers(values),
        OutputData::Classes(texts) => json::ResponseData::Texts(texts),
    };
    json::ResponseOutput {
        name: &output.name,
        datatype: output.datatype().name(),
        shape: &output.shape,
        parameters: binary.map(|raw| json::BinarySize { binary_data_size: raw.len() }),
        data: binary.is_none().then_some(data),
    }
}

/// The request without JSON that Triton knows: an element of `BYTES`, for the input that has them.
fn one_picture(body: Bytes) -> InferRequest {
    let input = InputTensor {
        name: super::interface::IMAGE.to_owned(),
        datatype: super::interface::DataType::Bytes.name().to_owned(),
        shape: vec![1],
        data: TensorData::Elements(vec![body]),
    };
    InferRequest { inputs: vec![input], ..InferRequest::default() }
}

fn assemble(
    request: json::Request<'_>,
    (text, mut binary): (&Bytes, Bytes),
) -> Result<InferRequest, RequestError> {
    let parameters = request.parameters.unwrap_or_default();
    let input = |input| tensor(input, (text, &mut binary));
    let inputs = request.inputs.0.into_iter().map(input).collect::<Result<_, _>>()?;
    if !binary.is_empty() {
        return Err(invalid(format!("{} bytes of binary data are no input's", binary.len())));
    }
    let outputs = request.outputs.map(|outputs| outputs.0).unwrap_or_default();
    Ok(InferRequest {
        id: request.id.unwrap_or_default(),
        // 0 stands for no timeout.
        timeout: parameters.timeout.filter(|timeout| *timeout > 0).map(Duration::from_micros),
        inputs,
        outputs: outputs.into_iter().map(requested).collect::<Result<_, _>>()?,
        binary_output: parameters.binary_data_output.unwrap_or(false),
    })
}

fn tensor(
    input: json::Input<'_>,
    (text, binary): (&Bytes, &mut Bytes),
) -> Result<InputTensor, RequestError> {
    let name = input.name;
    let parameters = input.parameters.unwrap_or_default();
    if parameters.shared_memory_region.is_some() {
        return Err(invalid(format!("input `{name}`: shared memory is not taken")));
    }
    let data = match (input.data, parameters.binary_data_size) {
        (Some(data), None) => elements(data, text),
        (None, Some(size)) if size <= binary.len() => Ok(TensorData::Raw(binary.split_to(size))),
        (None, Some(size)) => {
            Err(format!("{size} bytes of binary data are announced, {} are there", binary.len()))
        }
        (None, None) => Err("neither `data` nor `binary_data_size` is there".to_owned()),
        (Some(_), Some(_)) => Err("`data` and `binary_data_size` exclude each other".to_owned()),
    };
    let data = data.map_err(|words| invalid(format!("input `{name}`: {words}")))?;
    Ok(InputTensor { name, datatype: input.datatype, shape: input.shape.0, data })
}

fn elements(data: json::Data<'_>, text: &Bytes) -> Result<TensorData, String> {
    match (data.numbers.is_empty(), data.texts.is_empty()) {
        (false, false) => Err("numbers and texts are mixed".to_owned()),
        (true, false) => {
            let shared = |element| match element {
                Cow::Borrowed(part) => text.slice_ref(str::as_bytes(part)),
                Cow::Owned(part) => Bytes::from(part),
            };
            Ok(TensorData::Base64(data.texts.into_iter().map(shared).collect()))
        }
        (_, true) => Ok(TensorData::Numbers(data.numbers)),
    }
}

fn requested(output: json::Output) -> Result<RequestedOutput, RequestError> {
    let parameters = output.parameters.as_ref();
    if parameters.is_some_and(|all| all.shared_memory_region.is_some()) {
        return Err(invalid(format!("output `{}`: shared memory is not taken", output.name)));
    }
    let classes = output.classes();
    let binary = parameters.and_then(|all| all.binary_data);
    Ok(RequestedOutput { name: output.name, classes, binary })
}

fn invalid(words: String) -> RequestError {
    RequestError::Invalid(words)
}

#[cfg(test)]
mod tests;
