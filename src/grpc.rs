//! The Open Inference Protocol over gRPC: the only place that knows tonic.

use tokio_util::sync::CancellationToken;
use tonic::codec::CompressionEncoding::{Deflate, Gzip};
use tonic::service::Routes;
use tonic_health::pb::health_server::HealthServer;
use tonic_reflection::server::Builder as Reflection;
use tower::service_fn;

use crate::api::Router;
use crate::serving::App;

mod call;
mod convert;
mod door;
mod health;
mod intake;
mod message;
mod methods;
pub mod proto;
mod record;
mod service;
mod status;
mod stream;
mod trace;
mod weigh;

use door::Door;
use health::Health;
use proto::grpc_inference_service_server::GrpcInferenceServiceServer;
use service::Inference;

/// The service, its health and its description, for a listener that is told to stop by `stop`;
/// streams end then.
///
/// # Panics
///
/// Never: the description is what the build was made with.
pub fn router(app: App, stop: CancellationToken) -> Router {
    let inference = Inference { app: app.clone(), stop: stop.clone() };
    let inference = GrpcInferenceServiceServer::new(inference)
        .accept_compressed(Gzip)
        .accept_compressed(Deflate)
        .send_compressed(Gzip)
        .send_compressed(Deflate);
    let health = HealthServer::new(Health { app: app.clone(), stop: stop.clone() });
    let reflection = || {
        Reflection::configure()
            .register_encoded_file_descriptor_set(proto::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let described = "the descriptors are those of the build";
    let routes = Routes::new(inference)
        .add_service(health)
        .add_service(reflection().build_v1().expect(described))
        .add_service(reflection().build_v1alpha().expect(described));
    let door = Door { app, stop, routes: routes.prepare() };
    Router::new().fallback_service(service_fn(move |request| door.clone().enter(request)))
}
