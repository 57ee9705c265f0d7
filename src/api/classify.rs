//! `POST /classify`

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Extension, Query, State};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures_util::future::join_all;
use serde::Deserialize;
use tokio::time::Instant;
use tracing::{Instrument as _, info_span};
use utoipa::IntoParams;
use utoipa::openapi::{Object, ObjectBuilder, Type};

use super::body::{Purpose, unless_refused};
use super::document::bodies::{FormUpload, PIXEL, Picture};
use super::document::problems::ClassifyProblems;
use super::error::ApiError;
use super::observe::PartialFailure;
use super::response::{ClassifiedImage, ClassifyResponse, ImageResult, ModelSummary};
use super::upload::{self, JsonUpload, Upload};
use crate::inference::Wanted;
use crate::pipeline::{Classification, ClassifyError, Crops, Encoded, Request, image_span};
use crate::preprocess::ImageError;
use crate::serving::{App, AppState, RequestError, RequestId, ServedModel};
use crate::telemetry::metrics::Stage;
use crate::telemetry::stages::StageTimes;
use crate::telemetry::traces::request;

/// Classes in an answer that does not say how many.
const DEFAULT_TOP_K: usize = 5;

/// Predictions of an answer that are written without a thought; more take longer than a request may
/// hold up the others of its thread.
const FEW_PREDICTIONS: usize = 1 << 12;

/// What the query may say.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Parameters {
    /// Classes in the answer: 1 to the number of the model's classes. Without it 5.
    #[param(value_type = Option<usize>, minimum = 1, example = 5)]
    top_k: Option<String>,
    /// Milliseconds within which the answer is of use; the server's own limit holds as well.
    #[param(value_type = Option<usize>, minimum = 1, maximum = 4_294_967_295_u32, example = 1000)]
    timeout_ms: Option<String>,
    /// The model; without it the default one.
    model: Option<String>,
    /// Crops of each picture; its schema says more.
    #[param(schema_with = crops_schema, example = 1)]
    crops: Option<String>,
    /// 1 for a heat map of what speaks for the first prediction, from a model that explains itself.
    #[param(value_type = Option<u8>, minimum = 0, maximum = 1, example = 1)]
    explain: Option<String>,
}

/// Classifies the pictures in the body.
#[utoipa::path(
    post,
    path = "/classify",
    params(Parameters),
    request_body(
        description = "A picture (JPEG, PNG, WebP, GIF, BMP or TIFF; the bytes decide, not the \
            content type), a form with one or more files, or JSON with base64.",
        content(
            (Picture = "image/*"),
            (Picture = "application/octet-stream"),
            (FormUpload = "multipart/form-data"),
            (JsonUpload = "application/json", examples(
                ("one" = (summary = "One picture", value = json!({"image": PIXEL, "top_k": 3}))),
                ("several" = (summary = "Several", value = json!({"images": [PIXEL, PIXEL]}))),
            )),
        ),
    ),
    responses(
        (status = 200, description = "The labels, an entry an image", body = ClassifyResponse, example = json!({
            "request_id": "0b6f5a3e0a3a4bb0b4c1f5a0f6b8d1c2",
            "model": {"name": "resnet50", "version": "1", "trained": true},
            "results": [{
                "predictions": [
                    {"class": 281, "id": "n02123045", "label": "tabby, tabby cat", "probability": 0.62},
                    {"class": 285, "id": "n02124075", "label": "Egyptian cat", "probability": 0.21},
                ],
                "image": {"format": "jpeg", "width": 500, "height": 375, "orientation": 1},
            }],
        })),
        ClassifyProblems,
    ),
)]
pub(super) async fn classify(
    State(app): State<App>,
    (Extension(request_id), Extension(times)): (Extension<RequestId>, Extension<StageTimes>),
    parameters: Result<Query<Parameters>, QueryRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let asked = asked(&app, parameters);
    let (asked, body) = unless_refused(asked, (&headers, body)).await?;
    let Asked { model, deadline, top_k: of_query, crops, wanted } = asked;
    let purpose = Purpose { app: &app, pipeline: &model.pipeline, deadline, times: &times };
    let upload = upload::read(purpose, &headers, body).await?;
    let of_body = upload.top_k.map(|count| top_k(Some(count), count, &model)).transpose()?;
    let usual = DEFAULT_TOP_K.min(model.pipeline.model.labels.len());
    let top_k = of_query.or(of_body).unwrap_or(usual);
    request::describe(model.name(), upload.images.len());
    let request = model.pipeline.request(top_k, deadline).wanting(wanted).cropped(crops);
    let request = request.timed(times.clone());
    let may_be_stripped = may_be_stripped(&headers, &upload.images);
    let results = hinted(classify_all(&model, upload, request).await?, may_be_stripped);
    let responding = times.begin(Stage::Respond);
    let predictions = results.len() * top_k;
    let served = Arc::clone(&model);
    let write = move || respond((&served, crops), results, &request_id);
    let span = info_span!("respond");
    let response = if predictions <= FEW_PREDICTIONS {
        span.in_scope(write)
    } else {
        purpose.compute(write).instrument(span).await
    };
    app.metrics.observe_stage(Stage::Respond, responding.elapsed());
    response
}

/// What the query asks for.
struct Asked {
    model: Arc<ServedModel>,
    deadline: Instant,
    top_k: Option<usize>,
    crops: Crops,
    wanted: Wanted,
}

fn asked(
    app: &AppState,
    parameters: Result<Query<Parameters>, QueryRejection>,
) -> Result<Asked, ApiError> {
    let Query(parameters) = parameters?;
    let unknown = |cause: RequestError| ApiError::InvalidRequest(cause.to_string());
    let model = app.model(parameters.model.as_deref()).map_err(unknown)?;
    let deadline = app.deadline(timeout(parameters.timeout_ms.as_deref())?);
    let crops = crops(parameters.crops.as_deref())?;
    let wanted = wanted(parameters.explain.as_deref(), &model)?;
    if (crops, wanted) == (Crops::Ten, Wanted::Features) {
        let words =
            "`crops=10` and `explain=1` exclude each other: of ten crops none is the picture";
        return Err(ApiError::InvalidRequest(words.to_owned()));
    }
    let top_k = parameters.top_k.map(|text| top_k(text.parse().ok(), text, &model)).transpose()?;
    Ok(Asked { model, deadline, top_k, crops, wanted })
}

fn crops(asked: Option<&str>) -> Result<Crops, ApiError> {
    match asked {
        None | Some("1") => Ok(Crops::One),
        Some("10") => Ok(Crops::Ten),
        Some(other) => Err(wrong("crops", other, "1 or 10")),
    }
}

fn crops_schema() -> Object {
    let words = "10 for ten crops of each picture (its corners, its middle and the mirrors of these), \
        whose probabilities are averaged, which is a little more accurate and ten times the work. Without it 1.";
    let schema = ObjectBuilder::new().schema_type(Type::Integer).enum_values(Some([1, 10]));
    schema.description(Some(words)).build()
}

/// An explanation takes the features of a network that shows them.
fn wanted(explain: Option<&str>, model: &ServedModel) -> Result<Wanted, ApiError> {
    match explain {
        None | Some("0") => Ok(Wanted::Logits),
        Some("1") if model.pipeline.explains() => Ok(Wanted::Features),
        Some("1") => Err(ApiError::InvalidRequest(format!(
            "the model `{}` cannot explain its answers: its graph shows no `feature_map`, or does \
             not end in its global average and one layer (`model build --features` makes one that does)",
            model.name()
        ))),
        Some(other) => Err(wrong("explain", other, "0 or 1")),
    }
}

fn timeout(timeout_ms: Option<&str>) -> Result<Option<Duration>, ApiError> {
    let Some(text) = timeout_ms else { return Ok(None) };
    let milliseconds = text.parse().ok().filter(|milliseconds: &u32| *milliseconds > 0);
    let due = format_args!("a whole number from 1 to {}", u32::MAX);
    let milliseconds = milliseconds.ok_or_else(|| wrong("timeout_ms", text, due))?;
    Ok(Some(Duration::from_millis(milliseconds.into())))
}

/// The count where what was `sent` is one that the model can answer.
fn top_k(count: Option<usize>, sent: impl Display, model: &ServedModel) -> Result<usize, ApiError> {
    let classes = model.pipeline.model.labels.len();
    let known = count.filter(|count| (1..=classes).contains(count));
    let due = format_args!("a whole number from 1 to the model's {classes} classes");
    known.ok_or_else(|| wrong("top_k", sent, due))
}

fn wrong(name: &str, value: impl Display, due: impl Display) -> ApiError {
    ApiError::InvalidRequest(format!("`{name}` is `{value}`; it must be {due}"))
}

/// Every image by itself: one that fails leaves the others alone.
async fn classify_all(
    model: &ServedModel,
    upload: Upload,
    request: Request,
) -> Result<Vec<Result<Classification, ClassifyError>>, ApiError> {
    let count = upload.images.len();
    let places = model.admit_crops((count, request.crops), request.deadline)?;
    let images = upload.images.into_iter().zip(places).enumerate();
    let request = &request;
    let classify = |(index, (image, places))| {
        let span = image_span(index, count);
        model.pipeline.classify(image, places, request).instrument(span)
    };
    Ok(join_all(images.map(classify)).await)
}

/// Whether curl's `-d` may have sent them, which takes out line ends and zeros.
fn may_be_stripped(headers: &HeaderMap, images: &[Result<Encoded, ImageError>]) -> bool {
    const FORM: &[u8] = b"application/x-www-form-urlencoded";
    let has_none = |image: &Encoded| memchr::memchr3(b'\r', b'\n', 0, &image.bytes).is_none();
    headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes() == FORM)
        && images.iter().flatten().all(has_none)
}

/// curl's `-d` is mistaken for `--data-binary` more often than anything.
fn hinted(
    mut results: Vec<Result<Classification, ClassifyError>>,
    may_be_stripped: bool,
) -> Vec<Result<Classification, ClassifyError>> {
    if may_be_stripped {
        for result in &mut results {
            if let Err(ClassifyError::Image(ImageError::Undecodable { reason })) = result {
                reason.push_str(
                    "; with curl, `--data-binary` sends a file as it is, and `-d` does not",
                );
            }
        }
    }
    results
}

/// The only image's error is the request's; among several it stands in its place.
fn respond(
    (model, crops): (&ServedModel, Crops),
    mut results: Vec<Result<Classification, ClassifyError>>,
    request_id: &RequestId,
) -> Result<Response, ApiError> {
    let partial = partial_failure(&results);
    if results.len() == 1
        && let Some(Err(error)) = results.pop_if(|result| result.is_err())
    {
        return Err(error.into());
    }
    let entry = |result| match result {
        Ok(classification) => {
            let image = ClassifiedImage::new(&model.pipeline.model, &classification);
            ImageResult::Classified(image)
        }
        Err(error) => {
            ImageResult::Failed { error: ApiError::from(error).problem(request_id.as_str()) }
        }
    };
    let mut response = Json(ClassifyResponse {
        request_id: request_id.as_str().to_owned(),
        model: ModelSummary::from(model),
        crops: (crops == Crops::Ten).then(|| crops.count().get()),
        results: results.into_iter().map(entry).collect(),
    })
    .into_response();
    partial.map(|partial| response.extensions_mut().insert(partial));
    Ok(response)
}

/// What the log is to say of images that failed beside others.
fn partial_failure(results: &[Result<Classification, ClassifyError>]) -> Option<PartialFailure> {
    let errors = || results.iter().filter_map(|result| result.as_ref().err()).cloned();
    let ours = errors().map(ApiError::from).find(ApiError::is_our_fault);
    let error = ours.or_else(|| errors().next().map(ApiError::from))?;
    Some(PartialFailure { failed: errors().count(), error })
}
