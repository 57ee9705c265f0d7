//! Keys over gRPC: those of HTTP, in the call's metadata.

use futures_util::{StreamExt as _, stream};
use resnet_serve::grpc::proto::{
    ModelStreamInferResponse, ServerLiveRequest, ServerLiveResponse, ServerMetadataRequest,
    ServerMetadataResponse,
};
use tonic::{Code, Request, Response, Status};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_prost::ProstCodec;

use super::{GREEN, INFER, call, call_with, client, pictures};
use crate::support::{Service, Settings};

const KEYS: &str = "
    alice:2bd806c97f0e00af1a1fc3328fa763a9269723c8db8fac4f93af71db186d6e90
    bob:81b637d8fcd2c6da6359e6963113a1170de795e4b725b84d1e0b4cfd9ec58ce9:rate=2
";

fn service() -> Service {
    Service::with(Settings { keys: KEYS, ..Settings::default() })
}

async fn infer(service: &Service, header: &'static str, key: &str) -> Result<(), Status> {
    let mut request = Request::new(pictures(&[GREEN]));
    request.metadata_mut().insert(header, key.parse().unwrap());
    let answer: Result<Response<resnet_serve::grpc::proto::ModelInferResponse>, _> =
        call_with(&mut client(service), INFER, request).await;
    answer.map(|_| ())
}

async fn metadata(service: &Service, key: &str) -> Result<(), Status> {
    let mut request = Request::new(ServerMetadataRequest {});
    if !key.is_empty() {
        request.metadata_mut().insert("x-api-key", key.parse().unwrap());
    }
    let path = "/inference.GRPCInferenceService/ServerMetadata";
    let answer: Result<Response<ServerMetadataResponse>, _> =
        call_with(&mut client(service), path, request).await;
    answer.map(|_| ())
}

#[tokio::test]
async fn a_call_needs_a_key_that_is_known() {
    let service = service();
    assert!(infer(&service, "authorization", "Bearer alice").await.is_ok());
    assert!(infer(&service, "x-api-key", "alice").await.is_ok());
    let wrong = infer(&service, "x-api-key", "mallory").await.unwrap_err();
    assert_eq!(wrong.code(), Code::Unauthenticated);
    let missing = metadata(&service, "").await.unwrap_err();
    assert_eq!(missing.code(), Code::Unauthenticated);
    let text = service.metrics.render();
    let counted = r#"resnet_serve_key_requests_total{key="alice",status="200"} 2"#;
    assert!(text.contains(counted) && !text.contains("mallory"), "{text}");
}

#[tokio::test]
async fn probes_need_no_key() {
    let service = service();
    let request = HealthCheckRequest { service: String::new() };
    let health: Result<Response<HealthCheckResponse>, _> =
        call(&service, "/grpc.health.v1.Health/Check", request).await;
    assert!(health.is_ok(), "{health:?}");
    let live: Result<Response<ServerLiveResponse>, _> =
        call(&service, "/inference.GRPCInferenceService/ServerLive", ServerLiveRequest {}).await;
    assert!(live.is_ok(), "{live:?}");
}

#[tokio::test(start_paused = true)]
async fn a_key_that_asks_too_fast_is_told_when_to_come_back() {
    let service = service();
    assert!(metadata(&service, "bob").await.is_ok());
    assert!(metadata(&service, "bob").await.is_ok());
    let refused = metadata(&service, "bob").await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert!(refused.metadata().contains_key("grpc-retry-pushback-ms"));
    let counted = r#"resnet_serve_key_requests_total{key="bob",status="429"} 1"#;
    assert!(service.metrics.render().contains(counted), "as over HTTP, and no overload");
}

#[tokio::test(start_paused = true)]
async fn every_message_of_a_stream_counts() {
    let service = service();
    let mut request = Request::new(stream::iter((0..4).map(|_| pictures(&[GREEN]))));
    request.metadata_mut().insert("x-api-key", "bob".parse().unwrap());
    let path = "/inference.GRPCInferenceService/ModelStreamInfer".parse().unwrap();
    let mut client = client(&service);
    client.ready().await.unwrap();
    let answers = client.streaming(request, path, ProstCodec::default()).await.unwrap();
    let answers: Vec<ModelStreamInferResponse> =
        answers.into_inner().map(Result::unwrap).collect().await;
    let refused: Vec<bool> =
        answers.iter().map(|answer| answer.error_message.contains("too fast")).collect();
    assert_eq!(refused, [false, false, true, true]);
}
