//! A request's body, read within its limit, its deadline and the memory budget.

use std::time::Duration;

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_LENGTH, EXPECT};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use tokio::time::{Instant as Deadline, timeout, timeout_at};
use tracing::{Instrument as _, info_span};

use super::error::ApiError;
use super::inflate::{Coding, InflateError, inflate};
use crate::memory::Charge;
use crate::pipeline::{ClassifyError, Pipeline};
use crate::serving::AppState;
use crate::telemetry::metrics::Stage;
use crate::telemetry::stages::StageTimes;

/// Bytes that are allocated on a client's announcement.
const FIRST_ALLOCATION: usize = 1 << 20;

/// Of a body that is refused unread, what is read all the same: a client that writes before it
/// reads would otherwise find a closed connection instead of the answer.
const DISCARDED: usize = 8 << 20;

/// How long that may take.
const DISCARD_TIME: Duration = Duration::from_secs(1);

/// What a body is read for.
#[derive(Clone, Copy)]
pub(super) struct Purpose<'a> {
    pub(super) app: &'a AppState,
    /// Where its images will go.
    pub(super) pipeline: &'a Pipeline,
    /// When the answer is of no use any more.
    pub(super) deadline: Deadline,
    /// Where it is written down how long that took.
    pub(super) times: &'a StageTimes,
}

/// A body that has come.
pub(super) struct Received {
    pub(super) bytes: Bytes,
    /// What it holds of the memory budget.
    pub(super) charge: Charge,
}

impl Purpose<'_> {
    /// Reads and inflates a body, unless the headers already say that it is of no use. `form` finds
    /// in them what the body will be.
    ///
    /// # Errors
    ///
    /// When no image would be admitted, and for a body that is too large, too slow or broken.
    pub(super) async fn read<T>(
        self,
        (headers, body): (&HeaderMap, Body),
        form: impl FnOnce(&HeaderMap) -> Result<T, ApiError>,
    ) -> Result<(Received, T), ApiError> {
        let checked = self.check(headers).and_then(|coding| Ok((coding, form(headers)?)));
        let ((coding, form), body) = unless_refused(checked, (headers, body)).await?;
        let reading = self.times.begin(Stage::Read);
        let collecting = self.collect(headers, body).instrument(info_span!("read"));
        let (bytes, charge) =
            timeout_at(self.deadline, collecting).await.map_err(|_| ApiError::BodyTimeout)??;
        self.app.metrics.observe_stage(Stage::Read, reading.elapsed());
        drop(reading);
        let (bytes, charge) = match coding {
            None => (bytes, charge),
            Some(coding) => self.in_time(self.inflate(coding, bytes, charge)).await?,
        };
        Ok((Received { bytes, charge }, form))
    }

    /// Runs what takes a body apart: on the pool, in time.
    pub(super) async fn compute<T: Send + 'static>(
        self,
        work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let computing = async {
            let core = self.pipeline.pool().lane().core().await;
            core.run(work).await.unwrap_or(Err(ApiError::Internal))
        };
        self.in_time(computing).await
    }

    async fn in_time<T>(
        self,
        work: impl Future<Output = Result<T, ApiError>>,
    ) -> Result<T, ApiError> {
        timeout_at(self.deadline, work).await.map_err(|_| ClassifyError::Expired)?
    }

    /// What can be said before the body is read: whether there is room, and whether the headers
    /// fit.
    fn check(self, headers: &HeaderMap) -> Result<Option<Coding>, ApiError> {
        self.pipeline.check(self.deadline)?;
        let limit = self.app.limits.max_body;
        let announced = declared_length(headers);
        if announced.is_some_and(|length| length > limit) {
            return Err(ApiError::PayloadTooLarge(limit));
        }
        // Only compared: what a client announces is not charged before it has come.
        if let Some(length) = announced.filter(|length| *length as u64 > self.app.memory.left()) {
            return Err(self.pipeline.no_room(length as u64).into());
        }
        Coding::of(headers).map_err(ApiError::UnsupportedEncoding)
    }

    /// The whole body; each chunk is charged before it is kept.
    async fn collect(self, headers: &HeaderMap, body: Body) -> Result<(Bytes, Charge), ApiError> {
        let limit = self.app.limits.max_body;
        // What a client only announces is not charged, or the announcement would be an attack.
        let mut charge = self.pipeline.charge(0)?;
        let announced = declared_length(headers).unwrap_or(0);
        let mut collected = BytesMut::with_capacity(announced.min(FIRST_ALLOCATION));
        let mut chunks = body.into_data_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|cause| ApiError::BodyIncomplete(cause.to_string()))?;
            if collected.len() + chunk.len() > limit {
                return Err(ApiError::PayloadTooLarge(limit));
            }
            self.pipeline.grow(&mut charge, chunk.len() as u64)?;
            collected.extend_from_slice(&chunk);
        }
        Ok((collected.freeze(), charge))
    }

    async fn inflate(
        self,
        coding: Coding,
        compressed: Bytes,
        mut charge: Charge,
    ) -> Result<(Bytes, Charge), ApiError> {
        let limit = self.app.limits.max_body;
        let core = self.pipeline.pool().lane().core().await;
        let inflating = core.run(move || {
            let inflated = inflate(coding, &compressed, (limit, &mut charge))?;
            charge.shrink_to(inflated.len() as u64);
            Ok((inflated, charge))
        });
        inflating.await.map_err(|_| ApiError::Internal)?.map_err(|error| match error {
            InflateError::TooLarge => ApiError::PayloadTooLarge(limit),
            InflateError::OutOfMemory { needed } => self.pipeline.no_room(needed).into(),
            InflateError::Broken(_) => ApiError::InvalidRequest(error.to_string()),
        })
    }
}

/// What was found before the body is read, or an error, for which the body is thrown away: unless the
/// client waits to be told that it may send it.
pub(super) async fn unless_refused<T>(
    checked: Result<T, ApiError>,
    (headers, body): (&HeaderMap, Body),
) -> Result<(T, Body), ApiError> {
    match checked {
        Ok(checked) => Ok((checked, body)),
        Err(error) => {
            if !headers.contains_key(EXPECT) {
                discard(body).await;
            }
            Err(error)
        }
    }
}

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

fn declared_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
