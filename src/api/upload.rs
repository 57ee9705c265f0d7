//! From a request's body to the images in it.

use std::sync::Arc;

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures_util::{FutureExt as _, stream};
use multer::{Field, Multipart};
use serde::Deserialize;

use super::body::{Purpose, Received};
use super::error::ApiError;
use crate::memory::Charge;
use crate::pipeline::Encoded;
use crate::protocol::json::AtMost;

/// Texts in `images`, whatever the queue takes: a body of empty ones would become a list of many
/// times its size.
const TEXTS: usize = 1 << 16;

/// The images of a request.
pub(super) struct Upload {
    pub(super) images: Vec<Encoded>,
    pub(super) top_k: Option<usize>,
}

/// A body that is taken apart: the images in it, and `top_k` where it says one.
type Parts = (Vec<Bytes>, Option<usize>);

/// A request's images as JSON, each in base64; the document has its schema.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct JsonUpload {
    images: Option<AtMost<String, TEXTS>>,
    image: Option<String>,
    top_k: Option<usize>,
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
    if images.iter().all(Bytes::is_empty) {
        return Err(ApiError::InvalidRequest("there is no image in the request".to_owned()));
    }
    let charge = Arc::new(charge);
    let encoded = |bytes| Encoded { bytes, charge: Arc::clone(&charge) };
    Ok(Upload { images: images.into_iter().map(encoded).collect(), top_k })
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
        Form::Raw => return Ok(((vec![body], None), charge)),
        Form::Json => 2 * length,
        Form::Multipart { .. } => length,
    };
    purpose.pipeline.grow(&mut charge, copies)?;
    let most = purpose.pipeline.max_images().get();
    let parse = move || match form {
        Form::Raw => Ok((vec![body], None)),
        Form::Json => from_json(&body),
        Form::Multipart { boundary } => from_multipart(body, boundary, most),
    };
    let parts = purpose.compute(parse).await?;
    charge.shrink_to(length);
    Ok((parts, charge))
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
    let texts = match (upload.image, upload.images) {
        (Some(image), None) => vec![image],
        (None, Some(images)) => images.0,
        (Some(_), Some(_)) => {
            return Err(invalid("`image` and `images` exclude each other".to_owned()));
        }
        (None, None) => return Err(invalid("neither `image` nor `images` is there".to_owned())),
    };
    let decode = |(index, text): (usize, &String)| {
        BASE64_STANDARD
            .decode(text)
            .map(Bytes::from)
            .map_err(|cause| invalid(format!("image {index} is not base64: {cause}")))
    };
    Ok((texts.iter().enumerate().map(decode).collect::<Result<_, _>>()?, upload.top_k))
}

fn from_multipart(body: Bytes, boundary: String, most: usize) -> Result<Parts, ApiError> {
    // The whole body is there, so that nothing is waited for.
    let parts = all_parts(body, boundary, most).now_or_never();
    Ok((parts.unwrap_or(Err(ApiError::Internal))?, None))
}

/// The parts of a form, of which there may be no more than the queue takes images.
async fn all_parts(body: Bytes, boundary: String, most: usize) -> Result<Vec<Bytes>, ApiError> {
    let invalid = |cause: multer::Error| {
        ApiError::InvalidRequest(format!("the multipart body is broken: {cause}"))
    };
    let body = stream::once(async move { Ok::<_, std::convert::Infallible>(body) });
    let mut parts = Multipart::new(body, boundary);
    let mut images = Vec::new();
    while let Some(part) = parts.next_field().await.map_err(invalid)? {
        refuse_text(&part)?;
        if images.len() == most {
            let words = format!("more than {most} images in a request; 1 to {most} are taken");
            return Err(ApiError::InvalidRequest(words));
        }
        images.push(part.bytes().await.map_err(invalid)?);
    }
    Ok(images)
}

/// A part without a file name and a content type is a form's text field.
fn refuse_text(part: &Field<'_>) -> Result<(), ApiError> {
    if part.file_name().is_some() || part.content_type().is_some() {
        return Ok(());
    }
    let name = part.name().unwrap_or_default();
    Err(ApiError::InvalidRequest(format!("the part `{name}` is no file")))
}
