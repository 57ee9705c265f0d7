//! The methods of the protocol's service.

use std::pin::Pin;

use futures_util::Stream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};
use tracing::{Instrument as _, info_span};

use super::call::Call;
use super::message::Received;
use super::proto::grpc_inference_service_server::GrpcInferenceService;
use super::proto::{
    ModelConfigRequest, ModelConfigResponse, ModelInferRequest, ModelInferResponse,
    ModelMetadataRequest, ModelMetadataResponse, ModelReadyRequest, ModelReadyResponse,
    ModelStreamInferResponse, ServerLiveRequest, ServerLiveResponse, ServerMetadataRequest,
    ServerMetadataResponse, ServerReadyRequest, ServerReadyResponse,
};
use super::status::status;
use super::{convert, stream};
use crate::pipeline::ClassifyError;
use crate::protocol;
use crate::protocol::config::ModelConfig;
use crate::protocol::message::InferResponse;
use crate::protocol::metadata::{ModelMetadata, ServerMetadata};
use crate::serving::{App, AppState, RequestError, ServedModel};
use crate::telemetry::metrics::Stage;
use crate::telemetry::traces::request;

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
        Ok(Response::new(ServerLiveResponse { live: self.app.vitals.hangs().is_none() }))
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
        // As Triton: whoever waits for a model asks for it before it is there.
        let model = self.app.version(&name, given(&version));
        let ready = model.is_ok_and(|model| self.app.serves(&model));
        Ok(Response::new(ModelReadyResponse { ready }))
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
        let received = Call::of(request.extensions())?.take()?;
        let answer = infer(&self.app, received).await;
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

/// Answers one request.
pub(super) async fn infer(
    app: &AppState,
    received: Received,
) -> Result<ModelInferResponse, RequestError> {
    let (model, prepared) = received.prepared?;
    request::describe(model.name(), prepared.images());
    let response = protocol::run(&model, prepared, received.arrival).await?;
    let started = tokio::time::Instant::now();
    let response = respond(&model, response).instrument(info_span!("respond")).await?;
    app.metrics.observe_stage(Stage::Respond, started.elapsed());
    Ok(response)
}

/// A large answer is written on the pool.
async fn respond(
    model: &ServedModel,
    response: InferResponse,
) -> Result<ModelInferResponse, RequestError> {
    if !response.is_large() {
        return Ok(convert::response(response));
    }
    let core = model.pipeline.pool().lane().core().await;
    let written = core.run(|| convert::response(response)).await;
    written.map_err(|panicked| ClassifyError::Failed(panicked.to_string()).into())
}

/// A text that is there; proto3 has no other way to leave one out.
pub(super) fn given(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}
