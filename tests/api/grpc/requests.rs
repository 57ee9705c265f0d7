//! What is a request: a call, and each message of a stream; counted, timed, and a line in the log.

use std::io::{self, Write};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use axum::body::Body;
use futures_util::{StreamExt as _, stream};
use resnet_serve::grpc::proto::{ModelInferRequest, ModelStreamInferResponse};
use resnet_serve::inference::fake::POISON;
use resnet_serve::readiness::State;
use serde_json::Value;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tonic::{Request, Streaming};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_prost::ProstCodec;
use tower::ServiceExt as _;
use tracing::Dispatch;
use tracing::callsite::rebuild_interest_cache;
use tracing::subscriber::{DefaultGuard, set_default};
use tracing_subscriber::Registry;

use super::{GREEN, INFER, RED, client, infer, request, tensor};
use crate::support::{Service, Settings, until};

const STREAM: &str = "/inference.GRPCInferenceService/ModelStreamInfer";
const WATCH: &str = "/grpc.health.v1.Health/Watch";

/// Where there are two, a line that another test's thread has written first, without a log, is
/// not taken for one that nobody wants.
static ANOTHER_LOG: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(Registry::default()));

/// The lines of the log of this test's thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn start() -> (Self, DefaultGuard) {
        LazyLock::force(&ANOTHER_LOG);
        let log = Self::default();
        let writer = log.clone();
        let lines = tracing_subscriber::fmt().json().flatten_event(true);
        let guard = set_default(lines.with_writer(move || writer.clone()).finish());
        (log, guard)
    }

    /// The levels and statuses of requests, since the last look.
    fn requests(&self) -> Vec<(String, u64)> {
        let bytes = std::mem::take(&mut *self.0.lock().unwrap());
        let text = String::from_utf8(bytes).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let requests = lines.filter(|line| line["message"] == "request");
        requests
            .map(|line| {
                let level = line["level"].as_str().unwrap().to_owned();
                (level, line["status"].as_u64().unwrap())
            })
            .collect()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A stream whose client sends when it likes.
struct Open {
    messages: UnboundedSender<ModelInferRequest>,
    answers: Streaming<ModelStreamInferResponse>,
}

impl Open {
    async fn start(service: &Service, headers: &[(&'static str, &str)]) -> Self {
        let (messages, sent) = unbounded_channel();
        let mut request = Request::new(stream::unfold(sent, |mut sent| async {
            Some((sent.recv().await?, sent))
        }));
        for (name, value) in headers {
            request.metadata_mut().insert(*name, value.parse().unwrap());
        }
        let mut client = client(service);
        client.ready().await.unwrap();
        let path = STREAM.parse().unwrap();
        let answers = client.streaming(request, path, ProstCodec::default()).await.unwrap();
        Self { messages, answers: answers.into_inner() }
    }

    fn send(&self, id: &str, message: ModelInferRequest) {
        let message = ModelInferRequest { id: id.to_owned(), ..message };
        self.messages.send(message).unwrap();
    }

    async fn answer(&mut self) -> ModelStreamInferResponse {
        self.answers.message().await.unwrap().unwrap()
    }

    /// Ends it as a client does that has no more to ask.
    async fn end(mut self) {
        drop(self.messages);
        assert!(self.answers.message().await.unwrap().is_none());
    }
}

/// What is counted of a route, by status.
fn counted(service: &Service, route: &str) -> Vec<(String, u64)> {
    let text = service.metrics.render();
    let start = format!(r#"resnet_serve_requests_total{{route="{route}",status=""#);
    let counts = text.lines().filter_map(|line| line.strip_prefix(&start)?.split_once("\"} "));
    counts.map(|(status, count)| (status.to_owned(), count.parse().unwrap())).collect()
}

fn due(counts: &[(&str, u64)]) -> Vec<(String, u64)> {
    counts.iter().map(|(status, count)| ((*status).to_owned(), *count)).collect()
}

/// The requests of a route that were timed, and what they took together.
fn timed(service: &Service, route: &str) -> (u64, f64) {
    let duration = service.metrics.request_duration.with_label_values(&[route]);
    (duration.get_sample_count(), duration.get_sample_sum())
}

fn broken() -> ModelInferRequest {
    request("image", "BYTES", &[1], b"\x01\0\0\0x".to_vec())
}

fn unknown() -> ModelInferRequest {
    ModelInferRequest { model_name: "shapes".to_owned(), ..tensor(&[GREEN]) }
}

#[tokio::test]
async fn each_message_of_a_stream_is_counted_and_timed_and_the_stream_is_not() {
    let service = Service::start();
    let mut stream = Open::start(&service, &[]).await;
    for message in [tensor(&[RED]), tensor(&[GREEN]), broken(), unknown(), tensor(&[RED])] {
        stream.send("", message);
        stream.answer().await;
    }
    let answers = due(&[("200", 3), ("400", 1), ("404", 1)]);
    assert_eq!(counted(&service, STREAM), answers, "while the stream is still open");
    assert_eq!(timed(&service, STREAM).0, 5);
    stream.end().await;
    assert_eq!(counted(&service, STREAM), answers);
    assert_eq!(timed(&service, STREAM).0, 5);
}

#[tokio::test(start_paused = true)]
async fn a_message_is_timed_from_its_receipt_whenever_it_comes() {
    let service = Service::start();
    let mut stream = Open::start(&service, &[]).await;
    for _ in 0..3 {
        tokio::time::advance(Duration::from_mins(1)).await;
        stream.send("", unknown());
        stream.answer().await;
    }
    stream.end().await;
    let (requests, seconds) = timed(&service, STREAM);
    assert_eq!(requests, 3);
    assert!(seconds < 60.0, "{seconds} s on the test's clock");
}

#[tokio::test]
async fn a_call_of_one_message_is_one_request() {
    let service = Service::start();
    infer(&service, tensor(&[GREEN])).await.unwrap();
    assert_eq!(counted(&service, INFER), due(&[("200", 1)]));
    assert_eq!(timed(&service, INFER).0, 1);
}

#[tokio::test]
async fn what_the_service_has_done_wrong_is_an_error_in_the_log() {
    let (log, _guard) = Log::start();
    let service = Service::start();
    infer(&service, tensor(&[GREEN])).await.unwrap();
    infer(&service, tensor(&[POISON])).await.unwrap_err();
    rebuild_interest_cache();
    log.requests();
    infer(&service, tensor(&[GREEN])).await.unwrap();
    infer(&service, broken()).await.unwrap_err();
    infer(&service, tensor(&[POISON])).await.unwrap_err();
    let mut stream = Open::start(&service, &[]).await;
    stream.send("", tensor(&[POISON]));
    stream.answer().await;
    stream.end().await;
    let due = [("INFO", 200), ("INFO", 400), ("ERROR", 500), ("ERROR", 500)];
    assert_eq!(log.requests(), due.map(|(level, status)| (level.to_owned(), status)));
}

#[tokio::test(start_paused = true)]
async fn messages_over_quota_are_429_and_their_keys() {
    const BOB: &str = "bob:81b637d8fcd2c6da6359e6963113a1170de795e4b725b84d1e0b4cfd9ec58ce9:rate=2";
    let service = Service::with(Settings { keys: BOB, ..Settings::default() });
    let mut stream = Open::start(&service, &[("x-api-key", "bob")]).await;
    for _ in 0..4 {
        stream.send("", unknown());
        stream.answer().await;
    }
    stream.end().await;
    assert_eq!(counted(&service, STREAM), due(&[("404", 2), ("429", 2)]));
    let of_bob = r#"resnet_serve_key_requests_total{key="bob",status="429"}"#;
    assert!((service.metric(of_bob) - 2.0).abs() < 0.1);
}

#[tokio::test]
async fn a_stream_that_is_refused_is_counted_and_not_timed() {
    const BOB: &str = "bob:81b637d8fcd2c6da6359e6963113a1170de795e4b725b84d1e0b4cfd9ec58ce9";
    let service = Service::with(Settings { keys: BOB, ..Settings::default() });
    let request = http::Request::post(STREAM).header("content-type", "application/grpc");
    let request = request.body(Body::empty()).unwrap();
    drop(service.grpc.clone().oneshot(request).await.unwrap());
    assert_eq!(counted(&service, STREAM), due(&[("401", 1)]));
    assert_eq!(timed(&service, STREAM).0, 0);
}

#[tokio::test]
async fn a_stream_that_breaks_the_protocol_is_counted_beside_its_good_messages() {
    let service = Service::with(Settings { max_body: 10_000, ..Settings::default() });
    let mut stream = Open::start(&service, &[]).await;
    stream.send("", tensor(&[RED]));
    stream.send("", request("image", "BYTES", &[1], vec![0; 20_000]));
    stream.answer().await;
    assert!(stream.answers.message().await.is_err());
    drop(stream);
    assert_eq!(counted(&service, STREAM), due(&[("200", 1), ("413", 1)]));
    assert_eq!(timed(&service, STREAM).0, 1);
}

#[tokio::test]
async fn a_message_whose_client_leaves_before_its_answer_is_499() {
    let service = Service::start();
    service.engine.hold();
    let mut stream = Open::start(&service, &[]).await;
    stream.send("", tensor(&[GREEN]));
    let waiting = tokio::spawn(async move { stream.answer().await });
    until(|| service.engine.batches().len() == 1).await;
    waiting.abort();
    until(|| timed(&service, STREAM).0 == 1).await;
    service.engine.release();
    assert_eq!(counted(&service, STREAM), due(&[("499", 2)]), "the message, and its stream");
}

#[tokio::test]
async fn streams_that_end_with_their_listener_are_no_failed_requests() {
    let service = Service::start();
    let mut stream = Open::start(&service, &[]).await;
    stream.send("", tensor(&[GREEN]));
    stream.answer().await;
    service.stop.cancel();
    assert!(stream.answers.message().await.is_err());
    drop(stream);
    assert_eq!(counted(&service, STREAM), due(&[("200", 1)]));
}

#[tokio::test]
async fn the_life_of_a_health_watch_is_no_duration() {
    let service = Service::start();
    service.readiness.advance(State::Ready);
    let mut client = client(&service);
    client.ready().await.unwrap();
    let asked = Request::new(HealthCheckRequest::default());
    let health = client.server_streaming(asked, WATCH.parse().unwrap(), ProstCodec::default());
    let mut health: Streaming<HealthCheckResponse> = health.await.unwrap().into_inner();
    assert_eq!(health.message().await.unwrap().unwrap().status, 1);
    service.stop.cancel();
    assert!(health.next().await.is_none());
    drop(health);
    assert_eq!(counted(&service, WATCH), due(&[]));
    assert_eq!(timed(&service, WATCH).0, 0);
}
