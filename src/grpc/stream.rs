//! Requests that come one after another in one call.

use futures_util::{Stream, StreamExt as _, TryStreamExt as _, future, stream};
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};
use tracing::Instrument as _;

use super::call::Call;
use super::message::Received;
use super::proto::{ModelInferRequest, ModelInferResponse, ModelStreamInferResponse};
use super::record::Record;
use super::service::infer;
use crate::serving::{self, App, RequestError};

/// Requests of one stream that are under way; the next are not read before one of them is answered.
const IN_FLIGHT: usize = 32;

/// Answers in the order of the requests. When the listener stops, those that have come are still
/// answered, and the stream says that it ends because of that.
pub(super) fn answers(
    app: App,
    (call, stop): (Call, CancellationToken),
    requests: Streaming<ModelInferRequest>,
) -> impl Stream<Item = Result<ModelStreamInferResponse, Status>> {
    let answer = move |request: Result<ModelInferRequest, Status>| {
        // At once, so that each gets its own.
        let received = request.and_then(|_| call.take());
        let received = received.map(|received| (Message::of(&call, &received), received));
        let (app, call) = (app.clone(), call.clone());
        async move {
            let (message, received) = received?;
            let span = message.record.trace.span.clone();
            let answer = admitted(&app, &call, received).instrument(span).await;
            Ok((message, answer))
        }
    };
    let ended = stop.clone();
    let farewell = stream::once(async move { ended.is_cancelled() })
        .filter(|stopped| future::ready(*stopped))
        .map(|_| Err(Status::unavailable("the service is shutting down; try another instance")));
    let requests = requests.take_until(stop.cancelled_owned());
    let answers = requests.map(answer).buffered(IN_FLIGHT);
    answers.map_ok(|(message, answer)| message.answered(answer)).chain(farewell)
}

/// A request counts against its key's quota for as long as it is under way.
async fn admitted(
    app: &App,
    call: &Call,
    received: Received,
) -> Result<ModelInferResponse, RequestError> {
    let _place = call.take_place()?;
    infer(app, received).await
}

/// A request under way, written down when its turn comes to be answered.
struct Message {
    record: Record,
    model_name: String,
    id: String,
}

impl Message {
    fn of(call: &Call, received: &Received) -> Self {
        let (model_name, id) = (received.model_name.clone(), received.id.clone());
        let record = Record::message(call.caller.clone(), &id, received.arrival.at);
        Self { record, model_name, id }
    }

    /// A request that fails does not end its stream.
    fn answered(
        mut self,
        answer: Result<ModelInferResponse, RequestError>,
    ) -> ModelStreamInferResponse {
        self.record.answered(answer.as_ref().map(|_| ()));
        let Self { model_name, id, .. } = self;
        match answer {
            Ok(response) => ModelStreamInferResponse {
                error_message: String::new(),
                infer_response: Some(response),
            },
            Err(error) => ModelStreamInferResponse {
                error_message: serving::shown(&error),
                infer_response: Some(ModelInferResponse { model_name, id, ..Default::default() }),
            },
        }
    }
}
