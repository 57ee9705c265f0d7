//! A request's spans: from its first byte through the queue into a batch, and out again.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use opentelemetry::trace::{SpanId, SpanKind, Status};
use opentelemetry::{Key, Value};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use resnet_serve::inference::fake::POISON;
use resnet_serve::telemetry::traces::{layer, sampler};
use serde_json::json;
use tower::ServiceExt as _;
use tracing::subscriber::{DefaultGuard, set_default};
use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::support::{Answer, Service, png, post, spawn, until};

const GREEN: [u8; 3] = [0, 200, 0];
pub(crate) const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
pub(crate) const PARENT: &str = "b7ad6b7169203331";

/// The spans of this test's thread and of its service's workers.
pub(crate) struct Collector {
    spans: InMemorySpanExporter,
    _traced: DefaultGuard,
}

impl Collector {
    pub(crate) fn start(ratio: &str) -> Self {
        let spans = InMemorySpanExporter::default();
        let provider = SdkTracerProvider::builder()
            .with_simple_exporter(spans.clone())
            .with_sampler(sampler(ratio.parse().unwrap()))
            .build();
        let subscriber = Registry::default().with(layer(&provider));
        Self { spans, _traced: set_default(subscriber) }
    }

    pub(crate) fn all(&self) -> Vec<SpanData> {
        self.spans.get_finished_spans().unwrap()
    }

    pub(crate) fn named(&self, name: &str) -> Vec<SpanData> {
        self.all().into_iter().filter(|span| span.name == name).collect()
    }

    /// Waits for the spans of that name: a worker's end a moment after the answer.
    pub(crate) async fn wait(&self, count: usize, name: &str) -> Vec<SpanData> {
        until(|| self.named(name).len() >= count).await;
        let spans = self.named(name);
        assert_eq!(spans.len(), count, "{name}");
        spans
    }

    pub(crate) async fn one(&self, name: &str) -> SpanData {
        self.wait(1, name).await.remove(0)
    }
}

async fn called(service: &Service, headers: &[(&str, &str)]) -> Answer {
    let request = Request::post("/classify");
    let with = |request: axum::http::request::Builder, header: &(&str, &str)| {
        request.header(header.0, header.1)
    };
    let request = headers.iter().fold(request, with);
    service.send(request.body(Body::from(png(GREEN))).unwrap()).await
}

pub(crate) fn traceparent(flags: &str) -> String {
    format!("00-{TRACE}-{PARENT}-{flags}")
}

pub(crate) fn attribute(span: &SpanData, key: &'static str) -> Option<Value> {
    let found = span.attributes.iter().find(|attribute| attribute.key == Key::new(key));
    found.map(|attribute| attribute.value.clone())
}

pub(crate) fn assert_linked(from: &SpanData, to: &SpanData) {
    let links = from.links.iter().map(|link| link.span_context.span_id());
    assert!(links.collect::<Vec<_>>().contains(&to.span_context.span_id()), "{}", from.name);
}

#[tokio::test]
async fn every_stage_is_a_part_of_its_request() {
    let collector = Collector::start("1");
    let service = Service::start();
    service.classify("", "image/png", png(GREEN)).await;
    let request = collector.one("POST /classify").await;
    assert_eq!(request.span_kind, SpanKind::Server);
    assert_eq!(request.parent_span_id, SpanId::INVALID);
    for stage in ["read", "decode", "queue", "inference", "respond"] {
        let span = collector.one(stage).await;
        assert_eq!(span.parent_span_id, request.span_context.span_id(), "{stage}");
        assert_eq!(span.span_context.trace_id(), request.span_context.trace_id(), "{stage}");
        assert!(span.start_time >= request.start_time && span.end_time >= span.start_time);
    }
    assert_eq!(attribute(&request, "http.route"), Some("/classify".into()));
    assert_eq!(attribute(&request, "http.response.status_code"), Some(200.into()));
    assert_eq!(attribute(&request, "model"), Some("colors".into()));
    let decode = collector.one("decode").await;
    assert_eq!(attribute(&decode, "image.format"), Some("png".into()));
}

#[tokio::test]
async fn a_request_by_the_inference_protocol_has_the_same_stages() {
    let collector = Collector::start("1");
    let service = Service::start();
    let picture = json!([BASE64_STANDARD.encode(png(GREEN))]);
    let image = json!({"name": "image", "datatype": "BYTES", "shape": [1], "data": picture});
    let body = json!({"inputs": [image]}).to_string();
    let answer = service.send(post("/v2/models/colors/infer", "application/json", body)).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert!(!answer.header("server-timing").contains("inference;dur=0,"));
    let request = collector.one("POST /v2/models/{name}/infer").await;
    assert_eq!(attribute(&request, "model"), Some("colors".into()));
    for stage in ["read", "decode", "queue", "inference", "respond"] {
        let span = collector.one(stage).await;
        assert_eq!(span.parent_span_id, request.span_context.span_id(), "{stage}");
    }
}

#[tokio::test]
async fn a_batch_has_a_trace_of_its_own_and_links_to_and_from_its_requests() {
    let collector = Collector::start("1");
    let service = Service::start();
    service.engine.hold();
    let first = spawn(&service, "", GREEN);
    until(|| service.engine.batches().len() == 1).await;
    let others = [spawn(&service, "", GREEN), spawn(&service, "", GREEN)];
    until(|| service.metrics.queue_images.get() == 2).await;
    service.engine.release();
    for request in others.into_iter().chain([first]) {
        assert_eq!(request.await.unwrap(), StatusCode::OK);
    }
    let batches = collector.wait(2, "batch").await;
    let pair = batches.iter().find(|batch| batch.links.len() == 2).unwrap();
    assert_eq!(attribute(pair, "batch.images"), Some(2.into()));
    assert_eq!(pair.parent_span_id, SpanId::INVALID);
    let linked = |request: &&SpanData| {
        pair.links.iter().any(|link| link.span_context.span_id() == request.span_context.span_id())
    };
    let requests = collector.wait(3, "POST /classify").await;
    let requests: Vec<_> = requests.iter().filter(linked).collect();
    assert_eq!(requests.len(), 2);
    let inferences = collector.wait(3, "inference").await;
    for request in requests {
        assert_ne!(pair.span_context.trace_id(), request.span_context.trace_id());
        let part = |span: &&SpanData| span.parent_span_id == request.span_context.span_id();
        assert_linked(inferences.iter().find(part).unwrap(), pair);
    }
}

#[tokio::test]
async fn the_images_of_a_request_are_told_apart_and_so_are_the_tries_at_them() {
    let collector = Collector::start("1");
    let service = Service::start();
    service.engine.hold();
    let first = spawn(&service, "", GREEN);
    until(|| service.engine.batches().len() == 1).await;
    let images = [GREEN, POISON].map(|color| BASE64_STANDARD.encode(png(color)));
    let pair = json!({"images": images});
    let pair = post("/classify", "application/json", pair.to_string());
    let pair = tokio::spawn(service.router.clone().oneshot(pair));
    until(|| service.metrics.queue_images.get() == 2).await;
    service.engine.release();
    assert_eq!(first.await.unwrap(), StatusCode::OK);
    assert_eq!(pair.await.unwrap().unwrap().status(), StatusCode::OK);
    let inferences = collector.wait(5, "inference").await;
    let queues = collector.wait(3, "queue").await;
    for image in collector.wait(2, "image").await {
        let own = |part: &&SpanData| part.parent_span_id == image.span_context.span_id();
        assert_eq!(queues.iter().filter(own).count(), 1);
        assert_eq!(inferences.iter().filter(own).count(), 2, "together, then alone");
    }
    let failed = |span: &&SpanData| matches!(span.status, Status::Error { .. });
    assert_eq!(inferences.iter().filter(failed).count(), 1, "the poisonous one, alone");
}

#[tokio::test]
async fn a_callers_trace_is_gone_on_with() {
    let collector = Collector::start("0");
    let service = Service::start();
    let parent = traceparent("01");
    let headers = [("traceparent", &*parent), ("tracestate", "a=1"), ("tracestate", "b=2")];
    let answer = called(&service, &headers).await;
    let request = collector.one("POST /classify").await;
    assert_eq!(request.span_context.trace_id().to_string(), TRACE);
    assert_eq!(request.parent_span_id.to_string(), PARENT);
    assert_eq!(request.span_context.trace_state().header(), "a=1,b=2");
    let own = format!("00-{TRACE}-{}-01", request.span_context.span_id());
    let timing = answer.header("server-timing");
    assert!(timing.ends_with(&format!("traceparent;desc=\"{own}\"")), "{timing}");
    assert_linked(&collector.one("batch").await, &request);
}

#[tokio::test]
async fn what_the_caller_does_not_trace_is_not_traced() {
    let collector = Collector::start("1");
    let service = Service::start();
    let answer = called(&service, &[("traceparent", &traceparent("00"))]).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(!answer.header("server-timing").contains("traceparent"));
    called(&service, &[]).await;
    collector.one("batch").await;
    collector.one("POST /classify").await;
}

#[tokio::test]
async fn a_traceparent_that_is_none_begins_a_new_trace() {
    let collector = Collector::start("1");
    let service = Service::start();
    for nonsense in ["", "00-0-0-01", &"x".repeat(5000)] {
        assert_eq!(called(&service, &[("traceparent", nonsense)]).await.status, StatusCode::OK);
    }
    let requests = collector.wait(3, "POST /classify").await;
    assert!(requests.iter().all(|request| request.parent_span_id == SpanId::INVALID));
}

#[tokio::test]
async fn with_a_ratio_of_0_only_callers_decide() {
    let collector = Collector::start("0");
    let service = Service::start();
    called(&service, &[]).await;
    called(&service, &[("traceparent", &traceparent("01"))]).await;
    collector.one("batch").await;
    collector.one("POST /classify").await;
}

#[tokio::test]
async fn a_failure_of_ours_is_an_error_and_a_clients_mistake_is_not() {
    let collector = Collector::start("1");
    let service = Service::start();
    service.classify("", "", "no picture").await;
    service.classify("", "", png(POISON)).await;
    let requests = collector.wait(2, "POST /classify").await;
    assert_eq!(requests[0].status, Status::Unset);
    assert_eq!(attribute(&requests[0], "error.type"), Some("undecodable_image".into()));
    assert!(matches!(requests[1].status, Status::Error { .. }));
    assert_eq!(attribute(&requests[1], "error.type"), Some("inference_failed".into()));
    let batch = collector.one("batch").await;
    assert!(matches!(batch.status, Status::Error { .. }));
}

#[tokio::test]
async fn a_client_that_goes_away_ends_its_span() {
    let collector = Collector::start("1");
    let service = Service::start();
    service.engine.hold();
    let first = spawn(&service, "", GREEN);
    until(|| service.engine.batches().len() == 1).await;
    let gone = spawn(&service, "", GREEN);
    until(|| service.metrics.queue_images.get() == 1).await;
    gone.abort();
    assert!(gone.await.is_err());
    service.engine.release();
    assert_eq!(first.await.unwrap(), StatusCode::OK);
    let requests = collector.wait(2, "POST /classify").await;
    let status = |span: &SpanData| attribute(span, "http.response.status_code");
    assert_eq!(requests.iter().filter(|span| status(span) == Some(499.into())).count(), 1);
    collector.wait(2, "queue").await;
    collector.one("inference").await;
}
