//! Calls of several messages, and how they end.

use std::pin::Pin;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use http::uri::PathAndQuery;
use prost::Message;
use resnet_serve::grpc::proto::{ModelInferRequest, ModelStreamInferResponse};
use resnet_serve::inference::fake::LETHAL;
use resnet_serve::readiness::State;
use tonic::{Code, Request, Streaming};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_prost::ProstCodec;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};

use super::{GREEN, RED, client, logits, numbers, request, tensor};
use crate::support::{Service, Settings, spawn, until};

type Messages<Q> = Pin<Box<dyn Stream<Item = Q> + Send>>;

/// Opens a stream; the messages may go on after it is open.
async fn open<Q, R>(service: &Service, path: &'static str, messages: Messages<Q>) -> Streaming<R>
where
    Q: Message + 'static,
    R: Message + Default + 'static,
{
    let mut client = client(service);
    client.ready().await.unwrap();
    let path = PathAndQuery::from_static(path);
    let answer = client.streaming(Request::new(messages), path, ProstCodec::default()).await;
    answer.unwrap().into_inner()
}

const INFER: &str = "/inference.GRPCInferenceService/ModelStreamInfer";

async fn infer(
    service: &Service,
    messages: Vec<ModelInferRequest>,
    open_end: bool,
) -> Streaming<ModelStreamInferResponse> {
    let end: Messages<ModelInferRequest> =
        if open_end { Box::pin(stream::pending()) } else { Box::pin(stream::empty()) };
    open(service, INFER, Box::pin(stream::iter(messages).chain(end))).await
}

fn named(id: &str, mut message: ModelInferRequest) -> ModelInferRequest {
    id.clone_into(&mut message.id);
    message
}

#[tokio::test]
async fn requests_of_a_stream_are_answered_in_order_and_fail_alone() {
    let service = Service::start();
    let broken = request("image", "BYTES", &[1], b"\x01\0\0\0x".to_vec());
    let messages =
        vec![named("a", tensor(&[RED])), named("b", broken), named("c", tensor(&[GREEN]))];
    let mut answers = infer(&service, messages, false).await;
    let mut found = Vec::new();
    while let Some(answer) = answers.message().await.unwrap() {
        found.push(answer);
    }
    let ids: Vec<_> = found.iter().map(|one| one.infer_response.clone().unwrap().id).collect();
    assert_eq!(ids, ["a", "b", "c"]);
    assert!(!found[1].error_message.is_empty());
    for (answer, color) in [(&found[0], RED), (&found[2], GREEN)] {
        assert_eq!(answer.error_message, "");
        assert_eq!(numbers(answer.infer_response.as_ref().unwrap(), "logits"), logits(color));
    }
    drop(answers);
    until(|| service.memory.left() == Settings::default().memory).await;
}

#[tokio::test]
async fn a_stream_ends_with_its_listener_after_what_has_come_is_answered() {
    let service = Service::start();
    service.engine.hold();
    let mut answers = infer(&service, vec![tensor(&[GREEN])], true).await;
    let waiting = tokio::spawn(async move { (answers.message().await, answers.message().await) });
    until(|| service.engine.batches().len() == 1).await;
    service.stop.cancel();
    service.engine.release();
    let (first, second) = waiting.await.unwrap();
    assert_eq!(first.unwrap().unwrap().error_message, "");
    assert_eq!(second.unwrap_err().code(), Code::Unavailable);
}

async fn watch(service: &Service, asked: HealthCheckRequest) -> Streaming<HealthCheckResponse> {
    open(service, "/grpc.health.v1.Health/Watch", Box::pin(stream::iter([asked]))).await
}

#[tokio::test]
async fn health_is_told_when_it_changes_until_the_listener_stops() {
    let service = Service::start();
    let mut health = watch(&service, HealthCheckRequest::default()).await;
    assert_eq!(health.message().await.unwrap().unwrap().status, 2);
    service.readiness.advance(State::Ready);
    assert_eq!(health.message().await.unwrap().unwrap().status, 1);
    service.readiness.advance(State::Draining);
    assert_eq!(health.message().await.unwrap().unwrap().status, 2);
    service.stop.cancel();
    assert!(health.message().await.unwrap().is_none());
}

#[tokio::test]
async fn health_tells_that_no_worker_is_left() {
    let service = Service::start();
    service.readiness.advance(State::Ready);
    let mut health = watch(&service, HealthCheckRequest::default()).await;
    assert_eq!(health.message().await.unwrap().unwrap().status, 1);
    service.engine.refuse_engines(usize::MAX);
    let _lethal = spawn(&service, "", LETHAL);
    assert_eq!(health.message().await.unwrap().unwrap().status, 2);
}

#[tokio::test]
async fn an_unknown_service_has_no_health() {
    let service = Service::start();
    let unknown = HealthCheckRequest { service: "inference.Other".to_owned() };
    let mut watched = watch(&service, unknown.clone()).await;
    assert_eq!(watched.message().await.unwrap().unwrap().status, 3);
    let answer =
        super::call::<_, HealthCheckResponse>(&service, "/grpc.health.v1.Health/Check", unknown);
    assert_eq!(answer.await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn the_services_describe_themselves_and_stop_with_the_listener() {
    let service = Service::start();
    let ask =
        |message| ServerReflectionRequest { host: String::new(), message_request: Some(message) };
    let symbol = MessageRequest::FileContainingSymbol("inference.ModelInferRequest".to_owned());
    let asked = [ask(MessageRequest::ListServices(String::new())), ask(symbol)];
    let asked: Messages<ServerReflectionRequest> =
        Box::pin(stream::iter(asked).chain(stream::pending()));
    let path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    let mut answers: Streaming<ServerReflectionResponse> = open(&service, path, asked).await;
    let services = answers.message().await.unwrap().unwrap().message_response.unwrap();
    let MessageResponse::ListServicesResponse(services) = services else { panic!("no list") };
    let names: Vec<_> = services.service.iter().map(|one| one.name.as_str()).collect();
    for name in ["inference.GRPCInferenceService", "grpc.health.v1.Health"] {
        assert!(names.contains(&name), "{names:?}");
    }
    let file = answers.message().await.unwrap().unwrap().message_response.unwrap();
    let MessageResponse::FileDescriptorResponse(file) = file else { panic!("no file") };
    let file = &file.file_descriptor_proto[0];
    let text = b"GRPCInferenceService";
    assert!(Bytes::from(file.clone()).windows(text.len()).any(|part| part == text));
    service.stop.cancel();
    assert!(answers.message().await.unwrap().is_none());
}
