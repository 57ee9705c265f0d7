//! The methods of the protocol's service.

use std::pin::Pin;

use futures_util::Stream;
use prost::Message as _;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use super::call::Call;
use super::proto::grpc_inference_service_server::GrpcInferenceService;
use super::proto::{
    ModelConfigRequest, ModelConfigResponse, ModelInferRequest, ModelInferResponse,
    ModelMetadataRequest, ModelMetadataResponse, ModelReadyRequest, ModelReadyResponse,
    ModelStreamInferResponse, ServerLiveRequest, ServerLiveResponse, ServerMetadataRequest,
    ServerMetadataResponse, ServerReadyRequest, ServerReadyResponse,
};
use super::status::status;
use super::{convert, stream};
use crate::protocol::config::ModelConfig;
use crate::protocol::metadata::{ModelMetadata, ServerMetadata};
use crate::protocol::{self, Arrival, Prepared};
use crate::serving::{App, AppState, RequestError};
use crate::telemetry::metrics::Stage;

/// Answers calls.
pub(super) struct Inference {
    pub(super) app: App,
    pub(super) stop: CancellationToken,
}

#[tonic::async_trait]
impl GrpcInferenceService for Inference {
    type ModelStreamInferStream =
        Pin<Box<dyn Stream<Item = Result<ModelStreamInferResponse, Status>> + Send>>;

    async fn server_live(
        &self,
        _request: Request<ServerLiveRequest>,
    ) -> Result<Response<ServerLiveResponse>, Status> {
        Ok(Response::new(ServerLiveResponse { live: true }))
    }

    async fn server_ready(
        &self,
        _request: Request<ServerReadyRequest>,
    ) -> Result<Response<ServerReadyResponse>, Status> {
        Ok(Response::new(ServerReadyResponse { ready: self.app.is_ready() }))
    }

    async fn model_ready(
        &self,
        request: Request<ModelReadyRequest>,
    ) -> Result<Response<ModelReadyResponse>, Status> {
        let ModelReadyRequest { name, version } = request.into_inner();
        let model = self.app.version(&name, given(&version)).map_err(|error| status(&error))?;
        Ok(Response::new(ModelReadyResponse { ready: self.app.serves(&model) }))
    }

    async fn server_metadata(
        &self,
        _request: Request<ServerMetadataRequest>,
    ) -> Result<Response<ServerMetadataResponse>, Status> {
        let ServerMetadata { name, version, extensions } = ServerMetadata::new();
        let extensions = extensions.into_iter().map(str::to_owned).collect();
        let (name, version) = (name.to_owned(), version.to_owned());
        Ok(Response::new(ServerMetadataResponse { name, version, extensions }))
    }

    async fn model_metadata(
        &self,
        request: Request<ModelMetadataRequest>,
    ) -> Result<Response<ModelMetadataResponse>, Status> {
        let ModelMetadataRequest { name, version } = request.into_inner();
        let model = self.app.version(&name, given(&version)).map_err(|error| status(&error))?;
        Ok(Response::new(convert::metadata(ModelMetadata::new(&model))))
    }

    async fn model_config(
        &self,
        request: Request<ModelConfigRequest>,
    ) -> Result<Response<ModelConfigResponse>, Status> {
        let ModelConfigRequest { name, version } = request.into_inner();
        let model = self.app.version(&name, given(&version)).map_err(|error| status(&error))?;
        let config = convert::config(ModelConfig::new(&model));
        Ok(Response::new(ModelConfigResponse { config: Some(config) }))
    }

    async fn model_infer(
        &self,
        request: Request<ModelInferRequest>,
    ) -> Result<Response<ModelInferResponse>, Status> {
        let call = Call::of(request.extensions())?;
        let message = (call.arrival, request.into_inner());
        let answer = infer(&self.app, &call, message).await;
        answer.map(Response::new).map_err(|error| status(&error))
    }

    async fn model_stream_infer(
        &self,
        request: Request<Streaming<ModelInferRequest>>,
    ) -> Result<Response<Self::ModelStreamInferStream>, Status> {
        let call = Call::of(request.extensions())?;
        let answers =
            stream::answers(self.app.clone(), (call, self.stop.clone()), request.into_inner());
        Ok(Response::new(Box::pin(answers)))
    }
}

/// Answers one message. What it holds of the memory budget is what has come of the call so far.
pub(super) async fn infer(
    app: &AppState,
    call: &Call,
    (arrival, message): (Arrival, ModelInferRequest),
) -> Result<ModelInferResponse, RequestError> {
    let model = app.version(&message.model_name, given(&message.model_version))?;
    let length = message.encoded_len();
    let mut charge = call.take_charge();
    // A compressed message is larger than what was charged for it on its way.
    let missing = (length as u64).saturating_sub(charge.bytes());
    if !charge.grow(missing + convert::peak_bytes(&message)) {
        return Err(model.pipeline.out_of_memory().into());
    }
    let prepared = Prepared::new(&model, convert::request(message)?, (length, charge))?;
    let response = protocol::run(&model, prepared, arrival).await?;
    let started = tokio::time::Instant::now();
    let response = convert::response(response);
    app.metrics.observe_stage(Stage::Respond, started.elapsed());
    Ok(response)
}

/// A text that is there; proto3 has no other way to leave one out.
fn given(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}
