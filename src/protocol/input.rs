//! From the tensors of a request to the images in them.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use half::f16;

use super::interface::{DataType, IMAGE};
use super::message::{InputTensor, TensorData};
use crate::serving::{RequestError, ServedModel};

/// The images of a request, in order.
#[derive(Debug)]
pub(super) enum Images {
    /// Encoded pictures.
    Pictures(Vec<Bytes>),
    /// Elements of the network's own input, little-endian.
    Tensors(Vec<Bytes>),
}

/// Finds the images of a request and checks that they are what they claim to be.
///
/// # Errors
///
/// For another input than the model has, or one of another type, shape or length.
pub(super) fn images(
    model: &ServedModel,
    mut inputs: Vec<InputTensor>,
) -> Result<Images, RequestError> {
    let tensor = &model.tensors.input;
    let (1, Some(input)) = (inputs.len(), inputs.pop()) else {
        let words = format!("one input is taken, `{tensor}` or `{IMAGE}`");
        return Err(RequestError::Invalid(words));
    };
    // A graph may call its own input `image`; then the type decides.
    if input.name == IMAGE && (tensor != IMAGE || input.datatype == DataType::Bytes.name()) {
        return pictures(model, input).map(Images::Pictures);
    }
    if input.name == *tensor {
        return tensors(model, input).map(Images::Tensors);
    }
    let words = format!("there is no input `{}`; there are `{tensor}` and `{IMAGE}`", input.name);
    Err(RequestError::Invalid(words))
}

fn pictures(model: &ServedModel, input: InputTensor) -> Result<Vec<Bytes>, RequestError> {
    input.expect_datatype(DataType::Bytes)?;
    // A batch of elements of one dimension, as those send it who go by Triton's configuration.
    let behind_count: &[i64] = if input.shape.len() == 2 { &[1] } else { &[] };
    let count = input.expect_shape(model, behind_count)?;
    let elements = match input.data {
        TensorData::Raw(raw) => split(raw, count),
        TensorData::Elements(elements) => Ok(elements),
        TensorData::Base64(texts) => texts.iter().enumerate().map(from_base64).collect(),
        TensorData::Numbers(none) if none.is_empty() => Ok(Vec::new()),
        TensorData::Numbers(_) => Err("has numbers where pictures are due".to_owned()),
    };
    match elements {
        Ok(elements) if elements.len() == count => Ok(elements),
        Ok(elements) => {
            let words = format!("has {} elements, its shape says {count}", elements.len());
            Err(invalid(&input.name, &words))
        }
        Err(words) => Err(invalid(&input.name, &words)),
    }
}

fn tensors(model: &ServedModel, input: InputTensor) -> Result<Vec<Bytes>, RequestError> {
    let element = model.element();
    input.expect_datatype(element)?;
    let count = input.expect_shape(model, &model.input_dimensions())?;
    let image_length: i64 = model.input_dimensions().iter().product();
    let image_bytes = usize::try_from(image_length).unwrap_or(usize::MAX) * element_bytes(element);
    let raw = match input.data {
        TensorData::Raw(raw) => raw,
        TensorData::Numbers(numbers) => {
            from_numbers(&numbers, element).ok_or_else(|| invalid(&input.name, beyond(element)))?
        }
        TensorData::Elements(_) | TensorData::Base64(_) => {
            return Err(invalid(&input.name, "has texts where numbers are due"));
        }
    };
    let expected = image_bytes * count;
    if raw.len() != expected {
        let words = format!("has {} bytes, its shape says {expected}", raw.len());
        return Err(invalid(&input.name, &words));
    }
    Ok((0..count).map(|index| raw.slice(index * image_bytes..(index + 1) * image_bytes)).collect())
}

impl InputTensor {
    fn expect_datatype(&self, expected: DataType) -> Result<(), RequestError> {
        let expected = expected.name();
        if self.datatype == expected {
            return Ok(());
        }
        let words = format!("has the datatype `{}`, not `{expected}`", self.datatype);
        Err(invalid(&self.name, &words))
    }

    /// How many images there are, where the other dimensions are as they must be. The count is
    /// bounded, so that nothing is taken apart that would not be admitted.
    fn expect_shape(&self, model: &ServedModel, behind: &[i64]) -> Result<usize, RequestError> {
        let limit = model.pipeline.max_images().get();
        let Some((count, _)) = self.shape.split_first().filter(|(_, rest)| *rest == behind) else {
            let mut expected = vec!["n".to_owned()];
            expected.extend(behind.iter().map(ToString::to_string));
            let expected = expected.join(", ");
            let words = format!("has the shape {:?}, not [{expected}]", self.shape);
            return Err(invalid(&self.name, &words));
        };
        usize::try_from(*count).ok().filter(|count| (1..=limit).contains(count)).ok_or_else(|| {
            let words = format!("has {count} images; 1 to {limit} are taken");
            invalid(&self.name, &words)
        })
    }
}

/// Takes `BYTES` apart, which stand each behind its length; no more of them than `count`, and one
/// that is too many.
fn split(mut raw: Bytes, count: usize) -> Result<Vec<Bytes>, String> {
    let mut elements = Vec::new();
    while !raw.is_empty() && elements.len() <= count {
        let length = raw.try_get_u32_le().map_err(|_| "ends in an element's length".to_owned())?;
        let length = length as usize;
        if length > raw.len() {
            let index = elements.len();
            let rest = raw.len();
            return Err(format!("ends in element {index}: {length} bytes announced, {rest} there"));
        }
        elements.push(raw.split_to(length));
    }
    Ok(elements)
}

fn from_base64((index, text): (usize, &Bytes)) -> Result<Bytes, String> {
    let decoded = BASE64_STANDARD.decode(text);
    decoded.map(Bytes::from).map_err(|cause| format!("has no base64 in element {index}: {cause}"))
}

/// Numbers as the elements of a tensor; `None` where one is beyond their range.
fn from_numbers(numbers: &[f32], element: DataType) -> Option<Bytes> {
    let mut raw = BytesMut::with_capacity(numbers.len() * element_bytes(element));
    for number in numbers {
        match element {
            DataType::Fp32 => raw.put_f32_le(*number),
            DataType::Fp16 => raw.put_slice(&to_half(*number)?.to_le_bytes()),
            DataType::Uint8 | DataType::Bytes => raw.put_u8(to_byte(*number)?),
        }
    }
    Some(raw.freeze())
}

fn element_bytes(element: DataType) -> usize {
    match element {
        DataType::Fp32 => 4,
        DataType::Fp16 => 2,
        DataType::Uint8 | DataType::Bytes => 1,
    }
}

fn beyond(element: DataType) -> &'static str {
    match element {
        DataType::Fp32 | DataType::Fp16 => "has numbers beyond the range of its datatype",
        DataType::Uint8 | DataType::Bytes => "has numbers that are no bytes",
    }
}

fn to_half(number: f32) -> Option<f16> {
    Some(f16::from_f32(number)).filter(|half| half.is_finite())
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "compared before")]
fn to_byte(number: f32) -> Option<u8> {
    let whole = (0.0..=255.0).contains(&number) && number.fract() == 0.0;
    whole.then_some(number as u8)
}

fn invalid(name: &str, words: &str) -> RequestError {
    RequestError::Invalid(format!("input `{name}` {words}"))
}
