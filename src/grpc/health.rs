//! The standard health service.

use std::pin::Pin;

use futures_util::{Stream, StreamExt as _, stream};
use tokio_util::sync::CancellationToken;
use tonic::server::NamedService;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use super::proto::grpc_inference_service_server::GrpcInferenceServiceServer;
use super::service::Inference;
use crate::serving::{App, AppState};

/// Says whether the server takes requests.
pub(super) struct Health {
    pub(super) app: App,
    pub(super) stop: CancellationToken,
}

#[tonic::async_trait]
impl health_server::Health for Health {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        known(request.get_ref())?;
        Ok(Response::new(health(&self.app)))
    }

    /// At once, and whenever it changes; until the listener stops.
    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        known(request.get_ref())?;
        let mut states = self.app.readiness.watch();
        states.mark_changed();
        let app = self.app.clone();
        let changes = stream::unfold(states, move |mut states| {
            let app = app.clone();
            async move {
                states.changed().await.ok()?;
                Some((Ok(health(&app)), states))
            }
        });
        Ok(Response::new(Box::pin(changes.take_until(self.stop.clone().cancelled_owned()))))
    }
}

/// The server as a whole, or its one service.
fn known(request: &HealthCheckRequest) -> Result<(), Status> {
    let service = request.service.as_str();
    if service.is_empty() || service == <GrpcInferenceServiceServer<Inference>>::NAME {
        return Ok(());
    }
    Err(Status::not_found("there is no such service"))
}

fn health(app: &AppState) -> HealthCheckResponse {
    let status = if app.is_ready() { ServingStatus::Serving } else { ServingStatus::NotServing };
    HealthCheckResponse { status: status.into() }
}
