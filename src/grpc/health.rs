//! The standard health service.

use std::future::ready;
use std::pin::Pin;
use std::time::Duration;

use futures_util::{Stream, StreamExt as _, stream};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tonic::server::NamedService;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use super::proto::grpc_inference_service_server::GrpcInferenceServiceServer;
use super::service::Inference;
use crate::serving::{App, AppState};

/// Between two looks for workers that are lost.
const LOOK: Duration = Duration::from_secs(1);

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

    /// At once, and whenever it changes; until the listener stops. Of a service that is not there it is
    /// said that it is not, and the stream goes on, as the protocol has it.
    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let states: Self::WatchStream = if known(request.get_ref()).is_ok() {
            Box::pin(changes(self.app.clone()))
        } else {
            let unknown = HealthCheckResponse { status: ServingStatus::ServiceUnknown.into() };
            Box::pin(stream::once(ready(Ok(unknown))).chain(stream::pending()))
        };
        Ok(Response::new(Box::pin(states.take_until(self.stop.clone().cancelled_owned()))))
    }
}

/// What the health is, and from then on what it becomes. That a worker is lost nobody tells, so it
/// is looked at.
fn changes(app: App) -> impl Stream<Item = Result<HealthCheckResponse, Status>> {
    let states = app.readiness.watch();
    stream::unfold((app, states, None), |(app, mut states, told)| async move {
        loop {
            let is_ready = app.is_ready();
            if told != Some(is_ready) {
                let now = health(&app);
                return Some((Ok(now), (app, states, Some(is_ready))));
            }
            tokio::select! {
                changed = states.changed() => changed.ok()?,
                () = sleep(LOOK) => (),
            }
        }
    })
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
