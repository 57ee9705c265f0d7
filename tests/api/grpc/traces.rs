//! A call's spans, which are those of the same request over HTTP.

use futures_util::stream;
use http::uri::PathAndQuery;
use opentelemetry::trace::{SpanId, SpanKind, Status};
use resnet_serve::grpc::proto::{ModelInferRequest, ModelInferResponse, ModelStreamInferResponse};
use resnet_serve::inference::fake::POISON;
use tonic::Request;
use tonic_prost::ProstCodec;

use super::{GREEN, INFER, RED, call_with, client, pictures, request, tensor};
use crate::support::Service;
use crate::traces::{Collector, PARENT, TRACE, assert_linked, attribute, traceparent};

const NAME: &str = "inference.GRPCInferenceService/ModelInfer";
const STREAM: &str = "/inference.GRPCInferenceService/ModelStreamInfer";
const STREAM_NAME: &str = "inference.GRPCInferenceService/ModelStreamInfer";

async fn call(service: &Service, message: ModelInferRequest, parent: Option<&str>) {
    let mut request = Request::new(message);
    if let Some(parent) = parent {
        request.metadata_mut().insert("traceparent", parent.parse().unwrap());
    }
    let _: Result<tonic::Response<ModelInferResponse>, _> =
        call_with(&mut client(service), INFER, request).await;
}

#[tokio::test]
async fn every_stage_is_a_part_of_its_call() {
    let collector = Collector::start("1");
    let service = Service::start();
    call(&service, pictures(&[GREEN]), None).await;
    let request = collector.one(NAME).await;
    assert_eq!(request.span_kind, SpanKind::Server);
    assert_eq!(request.parent_span_id, SpanId::INVALID);
    for stage in ["read", "decode", "queue", "inference", "respond"] {
        let span = collector.one(stage).await;
        assert_eq!(span.parent_span_id, request.span_context.span_id(), "{stage}");
    }
    assert_eq!(attribute(&request, "rpc.system"), Some("grpc".into()));
    assert_eq!(attribute(&request, "rpc.service"), Some("inference.GRPCInferenceService".into()));
    assert_eq!(attribute(&request, "rpc.method"), Some("ModelInfer".into()));
    assert_eq!(attribute(&request, "rpc.grpc.status_code"), Some(0.into()));
    assert_eq!(attribute(&request, "model"), Some("colors".into()));
    assert_eq!(attribute(&request, "images"), Some(1.into()));
    assert_linked(&collector.one("batch").await, &request);
}

#[tokio::test]
async fn a_callers_trace_is_gone_on_with() {
    let collector = Collector::start("0");
    let service = Service::start();
    call(&service, pictures(&[GREEN]), None).await;
    call(&service, pictures(&[GREEN, RED]), Some(&traceparent("01"))).await;
    let request = collector.one(NAME).await;
    assert_eq!(request.span_context.trace_id().to_string(), TRACE);
    assert_eq!(request.parent_span_id.to_string(), PARENT);
    let spans = collector.wait(2, "decode").await;
    assert!(spans.iter().all(|span| span.span_context.trace_id().to_string() == TRACE));
}

#[tokio::test]
async fn what_the_caller_does_not_trace_leaves_nothing() {
    let collector = Collector::start("1");
    let service = Service::start();
    call(&service, pictures(&[GREEN]), Some(&traceparent("00"))).await;
    call(&service, tensor(&[GREEN]), None).await;
    collector.one(NAME).await;
    collector.one("queue").await;
    assert!(collector.named("decode").is_empty());
}

#[tokio::test]
async fn a_failure_of_ours_is_an_error_and_a_clients_mistake_is_not() {
    let collector = Collector::start("1");
    let service = Service::start();
    call(&service, request("image", "BYTES", &[1], b"\x01\0\0\0x".to_vec()), None).await;
    call(&service, tensor(&[POISON]), None).await;
    let requests = collector.wait(2, NAME).await;
    assert_eq!(requests[0].status, Status::Unset);
    assert_eq!(attribute(&requests[0], "error.type"), Some("InvalidArgument".into()));
    assert!(matches!(requests[1].status, Status::Error { .. }));
}

#[tokio::test]
async fn each_message_of_a_stream_is_a_request() {
    let collector = Collector::start("0");
    let service = Service::start();
    let mut request = Request::new(stream::iter([tensor(&[GREEN]), tensor(&[RED])]));
    request.metadata_mut().insert("traceparent", traceparent("01").parse().unwrap());
    let mut client = client(&service);
    client.ready().await.unwrap();
    let codec = ProstCodec::<ModelInferRequest, ModelStreamInferResponse>::default();
    let path = PathAndQuery::from_static(STREAM);
    let mut answers = client.streaming(request, path, codec).await.unwrap().into_inner();
    while answers.message().await.unwrap().is_some() {}
    let requests = collector.wait(2, STREAM_NAME).await;
    assert!(requests.iter().all(|request| request.parent_span_id.to_string() == PARENT));
    let queues = collector.wait(2, "queue").await;
    for (queue, request) in queues.iter().zip(&requests) {
        assert_eq!(queue.parent_span_id, request.span_context.span_id());
    }
    assert!(
        collector
            .all()
            .iter()
            .all(|span| span.span_context.trace_id().to_string() == TRACE || span.name == "batch")
    );
}

#[tokio::test]
async fn reading_a_message_is_timed() {
    let service = Service::start();
    call(&service, pictures(&[GREEN]), None).await;
    let read = service.metric("resnet_serve_stage_duration_seconds_count{stage=\"read\"}");
    assert!(read >= 1.0, "{read}");
}
