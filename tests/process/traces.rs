//! Traces of the real binary, and collectors that are slow, silent or not there.

use std::io::Read as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;

use futures_util::future::join_all;
use reqwest::{Client, StatusCode};
use serde_json::Value;

use crate::support::{Service, SmallModel, command, png, run, stderr};

/// More spans than may wait for a collector: each request has seven, a batch's share counted.
const REQUESTS: usize = 900;

/// Accepts connections, never answers, keeps them open.
fn silent_collector() -> (SocketAddr, mpsc::Receiver<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (accepted, connections) = mpsc::channel();
    thread::spawn(move || {
        for connection in listener.incoming() {
            if accepted.send(connection.unwrap()).is_err() {
                return;
            }
        }
    });
    (address, connections)
}

/// An address at which nobody listens.
fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

async fn classify(service: &Service, client: &Client) -> StatusCode {
    let request = client.post(service.url("/classify")).body(png());
    request.send().await.unwrap().status()
}

async fn spans(service: &Service, outcome: &str) -> f64 {
    let metrics = Client::new().get(service.admin_url("/metrics")).send().await.unwrap();
    let text = metrics.text().await.unwrap();
    let series = format!("resnet_serve_trace_spans_total{{outcome=\"{outcome}\"}} ");
    text.lines().find_map(|line| line.strip_prefix(&series)).unwrap().parse().unwrap()
}

async fn a_collector_that_never_answers_is_waited_for_by_nobody(protocol: &str) {
    let (collector, connections) = silent_collector();
    let model = SmallModel::build();
    let endpoint = format!("--otlp-endpoint=http://{collector}");
    let protocol = format!("--otlp-protocol={protocol}");
    let service = Service::start(&model.path(), &[&endpoint, &protocol]);
    let client = Client::new();
    // Nobody reads the log meanwhile, and a pipe takes no more than so many lines.
    client.put(service.admin_url("/log-level")).body("warn").send().await.unwrap();
    for _ in 0..REQUESTS / 10 {
        let ten = (0..10).map(|_| classify(&service, &client));
        assert!(join_all(ten).await.iter().all(|status| *status == StatusCode::OK));
    }
    assert!(spans(&service, "dropped").await > 0.0, "the bound was met");
    assert!(connections.try_recv().is_ok(), "the collector was called");
    service.signal("-TERM");
    let (status, log) = service.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    assert_eq!(log.matches("may not have reached the collector").count(), 1, "{log}");
}

#[tokio::test]
async fn a_grpc_collector_that_never_answers_is_waited_for_by_nobody() {
    a_collector_that_never_answers_is_waited_for_by_nobody("grpc").await;
}

#[tokio::test]
async fn an_http_collector_that_never_answers_is_waited_for_by_nobody() {
    a_collector_that_never_answers_is_waited_for_by_nobody("http").await;
}

#[tokio::test]
async fn a_collector_that_is_not_there_is_told_about_once() {
    let model = SmallModel::build();
    let endpoint = format!("--otlp-endpoint=http://{}", nobody());
    let quickly = [("OTEL_BSP_SCHEDULE_DELAY", "1"), ("OTEL_EXPORTER_OTLP_TIMEOUT", "1")];
    let service = Service::start_in(&model.path(), &[&endpoint], &quickly);
    let client = Client::new();
    // Each failure is one of another batch of spans.
    let mut failed = 0.0;
    for _ in 0..3 {
        assert_eq!(classify(&service, &client).await, StatusCode::OK);
        let before = failed;
        while failed <= before {
            failed = spans(&service, "failed").await;
        }
    }
    service.signal("-TERM");
    let (status, log) = service.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    assert_eq!(log.matches("spans do not reach the collector").count(), 1, "{log}");
}

#[tokio::test]
async fn the_log_names_the_callers_trace_whether_or_not_spans_are_sent() {
    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    let model = SmallModel::build();
    let endpoint = format!("--otlp-endpoint=http://{}", nobody());
    for flags in [vec![], vec![endpoint.as_str()]] {
        let mut service = Service::start(&model.path(), &flags);
        let parent = format!("00-{TRACE}-b7ad6b7169203331-01");
        let request = Client::new().post(service.url("/classify")).body(png());
        request.header("traceparent", parent).send().await.unwrap();
        assert_eq!(service.wait_for("request")["trace_id"], TRACE);
        classify(&service, &Client::new()).await;
        let own = &service.wait_for("request")["trace_id"];
        assert_eq!(own.is_string(), !flags.is_empty(), "{own}");
        assert_ne!(own, TRACE);
    }
}

#[tokio::test]
async fn the_variables_that_opentelemetry_defines_are_read() {
    let (collector, connections) = silent_collector();
    let model = SmallModel::build();
    let endpoint = format!("http://{collector}");
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ("OTEL_BSP_SCHEDULE_DELAY", "1"),
    ];
    let mut service = Service::start_in(&model.path(), &[], &variables);
    classify(&service, &Client::new()).await;
    let line: Value = service.wait_for("request");
    assert!(line["trace_id"].is_string(), "{line}");
    let mut start = [0; 32];
    tokio::task::spawn_blocking(move || {
        connections.recv().unwrap().read_exact(&mut start).unwrap();
        assert!(start.starts_with(b"POST /v1/traces HTTP/1.1\r\n"));
    })
    .await
    .unwrap();
}

#[test]
fn a_collector_that_cannot_be_called_is_refused_with_the_reason() {
    for (flag, reason) in [
        ("--otlp-endpoint=collector:4317", "http://host:port"),
        ("--otlp-endpoint=https://collector", "unencrypted"),
        ("--trace-ratio=2", "from 0 to 1"),
        ("--otlp-protocol=json", "grpc"),
    ] {
        let output = run(&["serve", flag]);
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(stderr(&output).contains(reason), "{}", stderr(&output));
    }
    let variables =
        [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "json")];
    let output = command().args(["serve", "--check"]).envs(variables).output().unwrap();
    assert_eq!(output.status.code(), Some(78), "{}", stderr(&output));
    assert!(stderr(&output).contains("OTEL_EXPORTER_OTLP_PROTOCOL, `json`"), "{}", stderr(&output));
}
