//! From a request's body to the images in it.

use std::fmt;
use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures_util::{FutureExt as _, stream};
use multer::{Field, Multipart};
use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

use super::body::{Purpose, Received};
use super::error::ApiError;
use crate::memory::Charge;
use crate::pipeline::Encoded;
use crate::preprocess::ImageError;
use crate::protocol::json::AtMost;

/// Texts in `images`, whatever the queue takes: a body of empty ones would become a list of many
/// times its size.
const TEXTS: usize = 1 << 16;

/// The images of a request.
pub(super) struct Upload {
    /// Each, or why it is none.
    pub(super) images: Vec<Result<Encoded, ImageError>>,
    pub(super) top_k: Option<usize>,
}

/// A body that is taken apart: the images in it, and `top_k` where it says one.
type Parts = (Vec<Result<Bytes, ImageError>>, Option<usize>);

/// A request's images as JSON, each in base64; the document has its schema.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with `image` or `images`")]
pub(super) struct JsonUpload {
    images: Option<AtMost<String, TEXTS>>,
    image: Option<String>,
    #[serde(default, deserialize_with = "count")]
    top_k: Option<usize>,
}

/// `top_k`, or null, with words for what else stands there.
fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<usize>, D::Error> {
    struct Count;
    impl Visitor<'_> for Count {
        type Value = Option<usize>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a whole number from 1 on for `top_k`")
        }

        fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
            let count = usize::try_from(number);
            count.map(Some).map_err(|_| E::invalid_value(Unexpected::Unsigned(number), &self))
        }

        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }
    }
    deserializer.deserialize_any(Count)
}

/// How a body holds its images.
enum Form {
    Raw,
    Json,
    Multipart { boundary: String },
}

/// Reads a body and finds the images in it.
///
/// # Errors
///
/// As [`Purpose::read`], and for a body that holds no images in its content type's form.
pub(super) async fn read(
    purpose: Purpose<'_>,
    headers: &HeaderMap,
    body: Body,
) -> Result<Upload, ApiError> {
    let (received, form) = purpose.read((headers, body), Form::of).await?;
    let ((images, top_k), charge) = take_apart(form, received, purpose).await?;
    if images.iter().all(|image| image.as_ref().is_ok_and(Bytes::is_empty)) {
        return Err(ApiError::InvalidRequest("there is no image in the request".to_owned()));
    }
    let charge = Arc::new(charge);
    let encoded = |bytes| Encoded { bytes, charge: Arc::clone(&charge) };
    let images = images.into_iter().map(|image| image.map(encoded)).collect();
    Ok(Upload { images, top_k })
}

/// Finds the images in a body. What is more than handing it on computes, on the pool; the copies
/// that it makes are charged before.
async fn take_apart(
    form: Form,
    received: Received,
    purpose: Purpose<'_>,
) -> Result<(Parts, Charge), ApiError> {
    let Received { bytes: body, mut charge } = received;
    let length = body.len() as u64;
    // JSON becomes strings, and those become bytes; the parts of a form share one copy.
    let copies = match form {
        Form::Raw => return Ok(((vec![Ok(body)], None), charge)),
        Form::Json => 2 * length,
        Form::Multipart { .. } => length,
    };
    purpose.pipeline.grow(&mut charge, copies)?;
    let most = purpose.pipeline.max_images().get();
    // The charge goes along: the work is done to its end even if its client leaves.
    let parse = move || {
        let parts = match form {
            Form::Raw => (vec![Ok(body)], None),
            Form::Json => from_json(&body)?,
            Form::Multipart { boundary } => from_multipart(body, boundary, most)?,
        };
        charge.shrink_to(length);
        Ok((parts, charge))
    };
    purpose.compute(parse).await
}

impl Form {
    fn of(headers: &HeaderMap) -> Result<Self, ApiError> {
        let Some(value) = headers.get(CONTENT_TYPE) else { return Ok(Self::Raw) };
        let value = value.to_str().unwrap_or_default();
        let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.as_str() {
            // What curl sends with `--data-binary` unless told otherwise.
            "application/x-www-form-urlencoded" | "application/octet-stream" | "" => Ok(Self::Raw),
            "application/json" => Ok(Self::Json),
            "multipart/form-data" => multer::parse_boundary(value)
                .map(|boundary| Self::Multipart { boundary })
                .map_err(|cause| ApiError::InvalidRequest(cause.to_string())),
            _ if essence.starts_with("image/") => Ok(Self::Raw),
            _ => Err(ApiError::UnsupportedMediaType(essence)),
        }
    }
}

fn from_json(body: &[u8]) -> Result<Parts, ApiError> {
    let invalid = |detail: String| ApiError::InvalidRequest(detail);
    // A derived reader would also take an array in the order of the fields.
    if body.trim_ascii_start().first() == Some(&b'[') {
        return Err(invalid("the body is an array; an object is taken".to_owned()));
    }
    let upload: JsonUpload = serde_json::from_slice(body)
        .map_err(|cause| invalid(format!("the body is not the JSON that is taken: {cause}")))?;
    let images = match (upload.image, upload.images) {
        (Some(image), None) => vec![decoded(image)],
        (None, Some(images)) => images.0.into_iter().map(decoded).collect(),
        (Some(_), Some(_)) => {
            return Err(invalid("`image` and `images` exclude each other".to_owned()));
        }
        (None, None) => return Err(invalid("neither `image` nor `images` is there".to_owned())),
    };
    Ok((images, upload.top_k))
}

/// A text that is no base64 is a bad image as others are.
fn decoded(text: String) -> Result<Bytes, ImageError> {
    from_base64(text).map_err(|reason| ImageError::Undecodable { reason })
}

/// The bytes of a text as tools write it: also in lines, also as the URL that a browser makes of a
/// file, `data:image/jpeg;base64,…`.
fn from_base64(mut text: String) -> Result<Bytes, String> {
    text.retain(|letter| !letter.is_ascii_whitespace());
    let text = match text.split_once(";base64,") {
        Some((head, text)) if head.starts_with("data:") => text,
        _ => &text,
    };
    let decoded = BASE64_STANDARD.decode(text);
    decoded.map(Bytes::from).map_err(|cause| format!("the image is not base64: {cause}"))
}

fn from_multipart(body: Bytes, boundary: String, most: usize) -> Result<Parts, ApiError> {
    // The whole body is there, so that nothing is waited for.
    all_parts(body, boundary, most).now_or_never().unwrap_or(Err(ApiError::Internal))
}

/// The files of a form, of which there may be no more than the queue takes images, and its `top_k`.
async fn all_parts(body: Bytes, boundary: String, most: usize) -> Result<Parts, ApiError> {
    let invalid = |cause: multer::Error| {
        ApiError::InvalidRequest(format!("the multipart body is broken: {cause}"))
    };
    let body = stream::once(async move { Ok::<_, std::convert::Infallible>(body) });
    let mut parts = Multipart::new(body, boundary);
    let (mut images, mut top_k) = (Vec::new(), None);
    while let Some(part) = parts.next_field().await.map_err(invalid)? {
        if !is_file(&part) {
            let name = part.name().unwrap_or_default().to_owned();
            top_k = Some(from_text(&name, &part.text().await.map_err(invalid)?)?);
            continue;
        }
        if images.len() == most {
            let words = format!("more than {most} images in a request; 1 to {most} are taken");
            return Err(ApiError::InvalidRequest(words));
        }
        let unfilled = part.file_name() == Some("");
        let file = part.bytes().await.map_err(invalid)?;
        // What a browser sends for a field in which no file was chosen.
        if !(unfilled && file.is_empty()) {
            images.push(Ok(file));
        }
    }
    Ok((images, top_k))
}

/// A part without a file name, in whatever form, and a content type is a form's text field.
fn is_file(part: &Field<'_>) -> bool {
    let disposition = part.headers().get(CONTENT_DISPOSITION).map(HeaderValue::as_bytes);
    let named = disposition.is_some_and(|value| {
        value.windows(9).any(|part| part == b"filename=" || part == b"filename*")
    });
    named || part.content_type().is_some()
}

/// `top_k`, which is the only text that is taken, as in JSON.
fn from_text(name: &str, text: &str) -> Result<usize, ApiError> {
    let invalid = |detail: String| Err(ApiError::InvalidRequest(detail));
    match (name, text.trim().parse()) {
        ("top_k", Ok(count)) => Ok(count),
        ("top_k", Err(_)) => {
            invalid(format!("`top_k` is `{text}`; it must be a whole number from 1 on"))
        }
        _ => invalid(format!(
            "the part `{name}` is no file, and of texts only `top_k` is taken; other parameters go into the query"
        )),
    }
}
