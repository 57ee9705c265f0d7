//! One request for inference, from the bytes that were sent to what is known to make sense.

use std::sync::Arc;

use bytes::Bytes;
use prost::Message as _;
use tonic::Status;

use super::proto::ModelInferRequest;
use super::service::given;
use super::status::{grow, no_room};
use super::{convert, weigh};
use crate::api::inflate::{Coding, InflateError, inflate};
use crate::memory::Charge;
use crate::protocol::{Arrival, Prepared};
use crate::serving::{AppState, RequestError, ServedModel};

/// Times its own size that a message may take when it is decoded: a byte of a `UINT8` tensor is a
/// number of four bytes among typed contents.
const GREATEST_GROWTH: usize = 4;

/// Bytes that any message may take.
const SMALL: usize = 64 << 10;

/// A message as it was sent.
pub(super) struct Sent {
    pub(super) coding: Option<Coding>,
    pub(super) bytes: Bytes,
    /// What it holds of the memory budget.
    pub(super) charge: Charge,
}

/// A request that has come.
pub(super) struct Received {
    pub(super) arrival: Arrival,
    /// As the client calls them.
    pub(super) model_name: String,
    pub(super) id: String,
    /// What there is to do; a request that makes no sense fails by itself.
    pub(super) prepared: Result<(Arc<ServedModel>, Prepared), RequestError>,
}

impl Sent {
    /// The same as it was before it was compressed.
    ///
    /// # Errors
    ///
    /// When it becomes too large, finds no memory, or is broken.
    pub(super) fn inflated(self, app: &AppState, limit: usize) -> Result<Self, Status> {
        let Self { coding, bytes, mut charge } = self;
        let Some(coding) = coding else { return Ok(Self { coding, bytes, charge }) };
        let inflated = inflate(coding, &bytes, (limit, &mut charge));
        let bytes = inflated.map_err(|error| match error {
            InflateError::TooLarge => too_large(limit),
            InflateError::OutOfMemory { needed } => no_room(app, needed),
            InflateError::Broken(_) => Status::invalid_argument(error.to_string()),
        })?;
        charge.shrink_to(bytes.len() as u64);
        Ok(Self { coding: None, bytes, charge })
    }

    /// Takes it apart; what each step takes is charged before.
    ///
    /// # Errors
    ///
    /// When it is no message, or would be too large a one.
    pub(super) fn received(self, app: &AppState, arrival: Arrival) -> Result<Received, Status> {
        let Self { bytes, mut charge, .. } = self.inflated(app, app.limits.max_body)?;
        let length = bytes.len();
        // What is no message is refused by decoding it.
        let decoded = weigh::request(&bytes).unwrap_or_default();
        if decoded > SMALL + GREATEST_GROWTH * length {
            let words = format!("the message would take {decoded} bytes, {length} were sent");
            return Err(Status::invalid_argument(words));
        }
        grow(app, &mut charge, decoded as u64)?;
        let message = ModelInferRequest::decode(bytes)
            .map_err(|cause| Status::invalid_argument(cause.to_string()))?;
        let (model_name, id) = (message.model_name.clone(), message.id.clone());
        let prepared = prepare(app, message, (length, charge));
        Ok(Received { arrival, model_name, id, prepared })
    }
}

fn prepare(
    app: &AppState,
    message: ModelInferRequest,
    (length, mut charge): (usize, Charge),
) -> Result<(Arc<ServedModel>, Prepared), RequestError> {
    let model = app.version(&message.model_name, given(&message.model_version))?;
    model.pipeline.grow(&mut charge, convert::peak_bytes(&message))?;
    let prepared = Prepared::new(&model, convert::request(message)?, (length, charge))?;
    Ok((model, prepared))
}

/// The refusal of a message that is larger than `limit`, as it was sent or inflated.
pub(super) fn too_large(limit: usize) -> Status {
    Status::out_of_range(format!("the message is larger than the {limit} bytes that are taken"))
}
