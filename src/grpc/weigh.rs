//! What a request will take in memory when it is decoded, found without decoding it.

use prost::DecodeError;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

/// Bytes of a decoded list's entry, one that holds lists of its own.
const ENTRY: usize = 1024;

/// Bytes of a decoded list's entry that is one string of bytes.
const STRING: usize = 32;

/// Bytes that the decoded fields of a `ModelInferRequest` will take, those of `bytes` left out,
/// which stay where they are.
///
/// # Errors
///
/// When it is no message.
pub(super) fn request(message: &[u8]) -> Result<usize, DecodeError> {
    fields(message, |field, part| match field {
        INPUTS => Ok(ENTRY + input(part)?),
        PARAMETERS | OUTPUTS => Ok(ENTRY),
        RAW_INPUT_CONTENTS => Ok(STRING),
        _ => Ok(part.len()),
    })
}

const PARAMETERS: u32 = 4;
const INPUTS: u32 = 5;
const OUTPUTS: u32 = 6;
const RAW_INPUT_CONTENTS: u32 = 7;

fn input(message: &[u8]) -> Result<usize, DecodeError> {
    const SHAPE: u32 = 3;
    const CONTENTS: u32 = 5;
    fields(message, |field, part| match field {
        SHAPE => Ok(part.len() * size_of::<i64>()),
        PARAMETERS => Ok(ENTRY),
        CONTENTS => contents(part),
        _ => Ok(part.len()),
    })
}

/// Packed numbers take a byte each at the least, where they are small.
fn contents(message: &[u8]) -> Result<usize, DecodeError> {
    const INT: u32 = 2;
    const INT64: u32 = 3;
    const UINT: u32 = 4;
    const UINT64: u32 = 5;
    const BYTES: u32 = 8;
    fields(message, |field, part| match field {
        INT | UINT => Ok(part.len() * size_of::<u32>()),
        INT64 | UINT64 => Ok(part.len() * size_of::<u64>()),
        BYTES => Ok(STRING),
        _ => Ok(part.len()),
    })
}

/// Adds up what the fields of a message weigh; those that are no strings of bytes, eight each.
fn fields(
    mut message: &[u8],
    weigh: impl Fn(u32, &[u8]) -> Result<usize, DecodeError>,
) -> Result<usize, DecodeError> {
    let mut total = 0_usize;
    while !message.is_empty() {
        let (field, wire) = decode_key(&mut message)?;
        if wire != WireType::LengthDelimited {
            skip_field(wire, field, &mut message, DecodeContext::default())?;
            total = total.saturating_add(size_of::<u64>());
            continue;
        }
        let length = usize::try_from(decode_varint(&mut message)?).unwrap_or(usize::MAX);
        let Some((part, rest)) = message.split_at_checked(length) else {
            // Decoding says the same in better words.
            return Ok(total);
        };
        message = rest;
        total = total.saturating_add(weigh(field, part)?);
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bytes::Bytes;
    use proptest::prelude::*;
    use prost::Message as _;

    use super::super::proto::model_infer_request::{InferInputTensor, InferRequestedOutputTensor};
    use super::super::proto::{InferParameter, InferTensorContents, ModelInferRequest};
    use super::*;

    fn weight(message: &ModelInferRequest) -> (usize, usize) {
        let bytes = Bytes::from(message.encode_to_vec());
        (request(&bytes).unwrap(), bytes.len())
    }

    fn with_contents(contents: InferTensorContents) -> ModelInferRequest {
        let inputs = vec![InferInputTensor { contents: Some(contents), ..Default::default() }];
        ModelInferRequest { inputs, ..Default::default() }
    }

    #[test]
    fn a_tensor_and_pictures_weigh_next_to_nothing_beside_their_bytes() {
        let raw = vec![Bytes::from(vec![1; 600_000])];
        let request = ModelInferRequest { raw_input_contents: raw.clone(), ..Default::default() };
        assert!(weight(&request).0 < 10_000);
        let pictures = InferTensorContents { bytes_contents: raw, ..Default::default() };
        assert!(weight(&with_contents(pictures)).0 < 10_000);
    }

    #[test]
    fn numbers_weigh_what_they_are_decoded_to() {
        let floats = InferTensorContents { fp32_contents: vec![0.0; 1000], ..Default::default() };
        let (found, sent) = weight(&with_contents(floats));
        assert!((4000..sent + 2 * ENTRY).contains(&found), "{found}");
        let bytes = InferTensorContents { uint_contents: vec![7; 1000], ..Default::default() };
        assert!(weight(&with_contents(bytes)).0 >= 4000);
        let longs = InferTensorContents { int64_contents: vec![7; 1000], ..Default::default() };
        assert!(weight(&with_contents(longs)).0 >= 8000);
    }

    #[test]
    fn entries_of_two_bytes_weigh_what_they_become() {
        let outputs = vec![InferRequestedOutputTensor::default(); 1000];
        let (found, sent) = weight(&ModelInferRequest { outputs, ..Default::default() });
        let decoded = size_of::<InferRequestedOutputTensor>() * 1000;
        assert!(sent == 2000 && found >= decoded, "{found} for {decoded}");
        let inputs = vec![InferInputTensor::default(); 1000];
        let (found, _) = weight(&ModelInferRequest { inputs, ..Default::default() });
        assert!(found >= size_of::<InferInputTensor>() * 1000);
        let parameters = (0..100).map(|index| (index.to_string(), InferParameter::default()));
        let parameters: BTreeMap<_, _> = parameters.collect();
        assert!(weight(&ModelInferRequest { parameters, ..Default::default() }).0 >= 100 * 64);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = request(&bytes);
        }
    }
}
