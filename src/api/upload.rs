//! From a request's body to the images in it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::{Bytes, BytesMut};
use futures_util::{FutureExt as _, StreamExt as _, stream};
use multer::{Field, Multipart};
use serde::Deserialize;
use tokio::time::{Instant as Deadline, timeout, timeout_at};
use utoipa::ToSchema;

use super::AppState;
use super::error::ApiError;
use crate::memory::Charge;
use crate::pipeline::{ClassifyError, Encoded, Pipeline};
use crate::telemetry::metrics::Stage;

/// Bytes that are allocated on a client's announcement.
const FIRST_ALLOCATION: usize = 1 << 20;

/// The images of a request.
pub(super) struct Upload {
    pub(super) images: Vec<Encoded>,
    pub(super) top_k: Option<usize>,
    pub(super) read: Duration,
}

/// A body that is taken apart: the images in it, and `top_k` where it says one.
type Parts = (Vec<Bytes>, Option<usize>);

/// A request's images as JSON.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct JsonUpload {
    /// Several images, each in base64.
    images: Option<Vec<String>>,
    /// One image in base64.
    image: Option<String>,
    /// As the query parameter of that name, which goes before.
    #[schema(minimum = 1)]
    top_k: Option<usize>,
}

/// How a body holds its images.
enum Form {
    Raw,
    Json,
    Multipart { boundary: String },
}

/// Of a body that is refused unread, what is read all the same: a client that writes before it
/// reads would otherwise find a closed connection instead of the answer.
const DISCARDED: usize = 8 << 20;

/// How long that may take.
const DISCARD_TIME: Duration = Duration::from_secs(1);

/// Throws away what a client is sending, within bounds, so that it comes to read the answer.
async fn discard(body: Body) {
    let mut chunks = body.into_data_stream();
    let mut seen = 0;
    let reading = async {
        while let Some(Ok(chunk)) = chunks.next().await {
            seen += chunk.len();
            if seen > DISCARDED {
                break;
            }
        }
    };
    let _ = timeout(DISCARD_TIME, reading).await;
}

/// Reads a body within its limit and the memory budget, and finds the images in it.
///
/// # Errors
///
/// When no image would be admitted, and for a body that is too large, too slow, ends early, or holds no images in its content type's form.
pub(super) async fn read(
    app: &AppState,
    (pipeline, deadline): (&Pipeline, Deadline),
    headers: &HeaderMap,
    body: Body,
) -> Result<Upload, ApiError> {
    let form = match check_unread(app, (pipeline, deadline), headers) {
        Ok(form) => form,
        Err(error) => {
            discard(body).await;
            return Err(error);
        }
    };
    let started = Instant::now();
    let (body, charge) = timeout_at(deadline, collect(app, pipeline, (headers, body)))
        .await
        .map_err(|_| ApiError::BodyTimeout)??;
    let read = started.elapsed();
    app.metrics.observe_stage(Stage::Read, read);
    let parsing = take_apart((form, body), charge, pipeline);
    let ((images, top_k), charge) =
        timeout_at(deadline, parsing).await.map_err(|_| ClassifyError::Expired)??;
    if images.iter().all(Bytes::is_empty) {
        return Err(ApiError::InvalidRequest("there is no image in the request".to_owned()));
    }
    let charge = Arc::new(charge);
    let encoded = |bytes| Encoded { bytes, charge: Arc::clone(&charge) };
    Ok(Upload { images: images.into_iter().map(encoded).collect(), top_k, read })
}

/// Finds the images in a body. What is more than handing it on computes, on the pool; the copies
/// that it makes are charged before.
async fn take_apart(
    (form, body): (Form, Bytes),
    mut charge: Charge,
    pipeline: &Pipeline,
) -> Result<(Parts, Charge), ApiError> {
    let length = body.len() as u64;
    // JSON becomes strings, and those become bytes; the parts of a form share one copy.
    let copies = match form {
        Form::Raw => return Ok(((vec![body], None), charge)),
        Form::Json => 2 * length,
        Form::Multipart { .. } => length,
    };
    if !charge.grow(copies) {
        return Err(pipeline.out_of_memory().into());
    }
    let core = pipeline.pool().lane().core().await;
    let parse = move || match form {
        Form::Raw => Ok((vec![body], None)),
        Form::Json => from_json(&body),
        Form::Multipart { boundary } => from_multipart(body, boundary),
    };
    let parts = core.run(parse).await.unwrap_or(Err(ApiError::Internal))?;
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

/// What can be said before the body is read: whether there is room, and whether the headers fit.
fn check_unread(
    app: &AppState,
    (pipeline, deadline): (&Pipeline, Deadline),
    headers: &HeaderMap,
) -> Result<Form, ApiError> {
    pipeline.check(deadline)?;
    let form = Form::of(headers)?;
    within_limit(app, headers)?;
    // Only compared: what a client announces is not charged before it has come.
    if declared_length(headers).is_some_and(|length| length as u64 > app.memory.left()) {
        return Err(pipeline.out_of_memory().into());
    }
    Ok(form)
}

/// The whole body; each chunk is charged before it is kept.
async fn collect(
    app: &AppState,
    pipeline: &Pipeline,
    (headers, body): (&HeaderMap, Body),
) -> Result<(Bytes, Charge), ApiError> {
    let limit = app.limits.max_body;
    let full = || ApiError::from(pipeline.out_of_memory());
    // What a client only announces is not charged, or the announcement would be an attack.
    let mut charge = app.memory.charge(0).ok_or_else(full)?;
    let announced = declared_length(headers).unwrap_or(0);
    let mut collected = BytesMut::with_capacity(announced.min(FIRST_ALLOCATION));
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|cause| ApiError::BodyIncomplete(cause.to_string()))?;
        if collected.len() + chunk.len() > limit {
            return Err(ApiError::PayloadTooLarge(limit));
        }
        if !charge.grow(chunk.len() as u64) {
            return Err(full());
        }
        collected.extend_from_slice(&chunk);
    }
    Ok((collected.freeze(), charge))
}

/// Refuses by the headers alone what is announced as too large or comes compressed.
fn within_limit(app: &AppState, headers: &HeaderMap) -> Result<(), ApiError> {
    let limit = app.limits.max_body;
    if declared_length(headers).is_some_and(|length| length > limit) {
        return Err(ApiError::PayloadTooLarge(limit));
    }
    match headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes) {
        None | Some(b"identity") => Ok(()),
        Some(encoding) => {
            let encoding = String::from_utf8_lossy(encoding).into_owned();
            Err(ApiError::UnsupportedMediaType(format!("content-encoding: {encoding}")))
        }
    }
}

fn declared_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
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
        (None, Some(images)) => images,
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

fn from_multipart(body: Bytes, boundary: String) -> Result<Parts, ApiError> {
    // The whole body is there, so that nothing is waited for.
    let parts = all_parts(body, boundary).now_or_never();
    Ok((parts.unwrap_or(Err(ApiError::Internal))?, None))
}

async fn all_parts(body: Bytes, boundary: String) -> Result<Vec<Bytes>, ApiError> {
    let invalid = |cause: multer::Error| {
        ApiError::InvalidRequest(format!("the multipart body is broken: {cause}"))
    };
    let body = stream::once(async move { Ok::<_, std::convert::Infallible>(body) });
    let mut parts = Multipart::new(body, boundary);
    let mut images = Vec::new();
    while let Some(part) = parts.next_field().await.map_err(invalid)? {
        refuse_text(&part)?;
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
