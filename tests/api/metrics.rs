//! What is counted and measured, and that no client can make more of it.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use resnet_serve::readiness::State;

use crate::support::{Service, png, spawn, until};

const GREEN: [u8; 3] = [0, 200, 0];

/// Every series, without its value.
async fn series(service: &Service) -> BTreeSet<String> {
    let (_, text) = service.ask("/metrics").await;
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.rsplit_once(' ').unwrap().0.to_owned()).collect()
}

/// A crowd of requests, each with `word` wherever a client may put one.
async fn send_everywhere(service: &Service, word: &str) {
    let path = |path: String| Request::builder().uri(path);
    let requests = [
        path(format!("/{word}")).method("GET"),
        path("/classify".to_owned()).method(word),
        path(format!("/classify?model={word}")).method("POST"),
        path(format!("/classify?{word}=1")).method("POST"),
        path("/classify".to_owned()).method("POST").header("content-type", word),
        path("/classify".to_owned()).method("POST").header("x-request-id", word),
        path("/classify".to_owned()).method("POST").header("host", word),
        path("/classify".to_owned()).method("POST").header("user-agent", word),
    ];
    for request in requests {
        service.send(request.body(Body::from(word.to_owned())).unwrap()).await;
    }
    service.classify("", "image/png", png(GREEN)).await;
}

async fn probe(service: &Service, series: &str) -> f64 {
    service.ask("/metrics").await;
    service.metric(series)
}

fn is(value: f64, due: f64) -> bool {
    (value - due).abs() < 0.01
}

#[tokio::test]
async fn no_client_can_make_a_series() {
    let service = Service::start();
    send_everywhere(&service, "first").await;
    series(&service).await;
    let before = series(&service).await;
    for word in ["second", "THIRD", "x".repeat(200).as_str()] {
        send_everywhere(&service, word).await;
    }
    assert_eq!(series(&service).await, before);
}

#[tokio::test]
async fn probes_and_metrics_say_the_same() {
    let service = Service::start();
    assert!(is(probe(&service, "resnet_serve_ready").await, 0.0));
    service.readiness.advance(State::Ready);
    assert!(is(probe(&service, "resnet_serve_ready").await, 1.0));
    assert!(is(probe(&service, "resnet_serve_live").await, 1.0));
    service.readiness.advance(State::Draining);
    assert!(is(probe(&service, "resnet_serve_ready").await, 0.0));
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_does_not_end_is_seen_before_the_process_is_called_dead() {
    let service = Service::start();
    service.engine.hold();
    let stuck = spawn(&service, "", GREEN);
    until(|| service.engine.batches().len() == 1).await;
    tokio::time::advance(Duration::from_secs(30)).await;
    assert!(probe(&service, "resnet_serve_stalled_seconds").await >= 30.0);
    assert!(is(probe(&service, "resnet_serve_live").await, 1.0));
    tokio::time::advance(Duration::from_secs(31)).await;
    assert!(is(probe(&service, "resnet_serve_live").await, 0.0));
    service.engine.release();
    stuck.await.unwrap();
}

#[tokio::test]
async fn what_limits_there_are_is_told_beside_what_is_used_of_them() {
    let service = Service::start();
    for (metric, due) in [
        ("resnet_serve_queue_capacity_images", 64.0),
        ("resnet_serve_workers_configured", 1.0),
        ("resnet_serve_cores", 1.0),
        ("resnet_serve_memory_budget_bytes", f64::from(1 << 30)),
        ("resnet_serve_memory_used_bytes", 0.0),
    ] {
        assert!(is(probe(&service, metric).await, due), "{metric}");
    }
    service.engine.hold();
    let held = spawn(&service, "", GREEN);
    until(|| service.engine.batches().len() == 1).await;
    assert!(probe(&service, "resnet_serve_memory_used_bytes").await >= 48.0, "the pixels");
    service.engine.release();
    held.await.unwrap();
}
