//! What load does: refusals that say when to come back, and nothing done for nobody.

use std::io::Error;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures_util::stream::pending;
use resnet_serve::inference::fake::POISON;
use resnet_serve::readiness::State;

use crate::support::{Answer, Service, Settings, png, post, spawn, until};

const GREEN: [u8; 3] = [0, 200, 0];

/// Enough for one picture of some pixels at a time.
const MEMORY: u64 = 4_000_000;

async fn waiting(service: &Service, images: i64) {
    until(|| service.metrics.queue_images.get() == images).await;
}

fn outcome(service: &Service, outcome: &str) -> String {
    let text = service.metrics.render();
    let start = format!("resnet_serve_images_total{{outcome=\"{outcome}\"}} ");
    text.lines().find_map(|line| line.strip_prefix(&start)).unwrap().to_owned()
}

fn assert_refused(answer: &Answer, code: &str) {
    answer.problem(503, code);
    let seconds: u64 = answer.header("retry-after").parse().unwrap();
    assert!(seconds >= 1);
}

#[tokio::test]
async fn a_full_queue_answers_503_with_retry_after() {
    let service = Service::with(Settings { queue_capacity: 2, ..Settings::default() });
    service.engine.hold();
    let first = [spawn(&service, "", GREEN), spawn(&service, "", GREEN)];
    until(|| service.metrics.inflight_images.get() == 2).await;
    assert_refused(&service.classify("", "", png([1, 2, 3])).await, "overloaded");
    service.engine.release();
    for request in first {
        assert_eq!(request.await.unwrap(), StatusCode::OK);
    }
    assert_eq!(outcome(&service, "rejected"), "1");
    service.assert_still_answers().await;
}

#[tokio::test]
async fn what_waits_while_a_batch_runs_becomes_the_next_batch() {
    let service = Service::start();
    service.engine.hold();
    let first = spawn(&service, "", GREEN);
    until(|| service.engine.batches().len() == 1).await;
    let others: Vec<_> = (0..5).map(|_| spawn(&service, "", GREEN)).collect();
    waiting(&service, 5).await;
    service.engine.release();
    for request in others.into_iter().chain([first]) {
        assert_eq!(request.await.unwrap(), StatusCode::OK);
    }
    assert_eq!(service.engine.batches(), [1, 4, 1]);
}

#[tokio::test]
async fn a_deadline_that_passes_in_the_queue_answers_504_and_never_runs() {
    let service = Service::start();
    service.engine.hold();
    let first = spawn(&service, "", GREEN);
    until(|| service.engine.batches().len() == 1).await;
    let late = spawn(&service, "?timeout_ms=100", GREEN);
    assert_eq!(late.await.unwrap(), StatusCode::GATEWAY_TIMEOUT, "while the worker is busy");
    service.engine.release();
    assert_eq!(first.await.unwrap(), StatusCode::OK);
    assert_eq!(service.engine.batches(), [1]);
    assert_eq!(outcome(&service, "expired"), "1");
}

#[tokio::test]
async fn a_client_that_goes_away_is_not_worked_for() {
    let service = Service::start();
    service.engine.hold();
    let first = spawn(&service, "", GREEN);
    until(|| service.engine.batches().len() == 1).await;
    let gone = spawn(&service, "", GREEN);
    waiting(&service, 1).await;
    gone.abort();
    until(|| outcome(&service, "abandoned") == "1").await;
    service.engine.release();
    assert_eq!(first.await.unwrap(), StatusCode::OK);
    service.assert_still_answers().await;
    assert_eq!(service.engine.batches(), [1, 1], "the abandoned image never ran");
    assert_eq!(service.metrics.inflight_images.get(), 0);
    let at = |at| service.metric(&format!("resnet_serve_abandoned_images_total{{at=\"{at}\"}}"));
    let counts = ["admitted", "decode", "queue", "batch"].map(|stage| at(stage).to_string());
    assert_eq!(counts, ["0", "0", "1", "0"]);
}

#[tokio::test]
async fn a_client_that_goes_away_during_its_batch_is_counted_there() {
    let service = Service::start();
    service.engine.hold();
    let gone = spawn(&service, "", GREEN);
    until(|| service.engine.batches().len() == 1).await;
    gone.abort();
    until(|| outcome(&service, "abandoned") == "1").await;
    service.engine.release();
    service.assert_still_answers().await;
    assert!(service.metric(r#"resnet_serve_abandoned_images_total{at="batch"}"#) > 0.5);
}

#[tokio::test]
async fn an_image_that_waits_for_a_core_when_its_client_goes_is_never_decoded() {
    let service = Service::start();
    let core = service.pool.lane().core().await;
    let gone = spawn(&service, "", GREEN);
    until(|| service.metrics.inflight_images.get() == 1).await;
    gone.abort();
    until(|| outcome(&service, "abandoned") == "1").await;
    drop(core);
    service.assert_still_answers().await;
    assert!(service.metric(r#"resnet_serve_abandoned_images_total{at="admitted"}"#) > 0.5);
}

#[tokio::test]
async fn an_answer_that_does_not_come_by_its_deadline_is_504_though_the_batch_goes_on() {
    let service = Service::start();
    service.engine.hold();
    let late = spawn(&service, "?timeout_ms=20", GREEN);
    assert_eq!(late.await.unwrap(), StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(service.engine.batches(), [1]);
    assert_eq!(outcome(&service, "expired"), "1");
    service.engine.release();
    service.assert_still_answers().await;
}

#[tokio::test]
async fn a_body_that_is_announced_as_larger_than_what_memory_is_left_is_refused_unread() {
    let service = Service::with(Settings { memory: 1000, ..Settings::default() });
    let announced = |length| {
        let mut request =
            post("/classify", "", Body::from_stream(pending::<Result<Bytes, Error>>()));
        request.headers_mut().insert("content-length", HeaderValue::from_static(length));
        service.send(request)
    };
    let held = service.memory.charge(500);
    assert_refused(&announced("501").await, "overloaded");
    drop(held);
    announced("1001").await.problem(413, "payload_too_large");
}

#[tokio::test]
async fn a_body_that_no_waiting_would_make_room_for_is_called_too_large() {
    let service = Service::with(Settings { memory: 3000, ..Settings::default() });
    let json = |length| format!(r#"{{"image": "{}"}}"#, "A".repeat(length)).into_bytes();
    // As it comes, as text and as bytes.
    let answer = service.classify("", "application/json", json(1200)).await;
    assert!(answer.problem(413, "payload_too_large").contains("the memory budget is `3000`"));
    assert!(answer.headers.get("retry-after").is_none());
    let held = service.memory.charge(1000);
    assert_refused(&service.classify("", "application/json", json(800)).await, "overloaded");
    drop(held);
    let answer = service.classify("", "application/json", json(800)).await;
    answer.problem(422, "undecodable_image");
    assert_eq!(service.memory.left(), 3000);
}

#[tokio::test]
async fn memory_is_given_back_whatever_becomes_of_an_image() {
    let service = Service::with(Settings { memory: MEMORY, ..Settings::default() });
    for body in [png(GREEN), png(POISON), b"no picture".to_vec()] {
        service.classify("", "", body).await;
    }
    let json = format!(r#"{{"image": "{}"}}"#, BASE64_STANDARD.encode(png(GREEN)));
    assert_eq!(service.classify("", "application/json", json).await.status, StatusCode::OK);
    service.engine.hold();
    let gone = spawn(&service, "", GREEN);
    until(|| service.engine.batches().len() == 5).await;
    assert!(service.memory.left() < MEMORY, "pixels are charged while they wait");
    gone.abort();
    service.engine.release();
    until(|| service.memory.left() == MEMORY).await;
}

#[tokio::test]
async fn while_the_process_drains_clients_are_told_to_connect_elsewhere() {
    let service = Service::start();
    assert_eq!(service.classify("", "", png(GREEN)).await.header("connection"), "");
    service.readiness.advance(State::Draining);
    let answer = service.classify("", "", png(GREEN)).await;
    assert_eq!(answer.status, StatusCode::OK, "still served");
    assert_eq!(answer.header("connection"), "close");
}

#[tokio::test]
async fn saturation_counts_what_was_refused() {
    let service = Service::with(Settings { queue_capacity: 1, ..Settings::default() });
    service.assert_still_answers().await;
    service.ask("/metrics").await;
    let before = service.metric("resnet_serve_saturation_ratio");
    assert!(service.metric("resnet_serve_capacity_images_per_second") > 0.0);
    service.engine.hold();
    let first = spawn(&service, "", GREEN);
    until(|| service.engine.batches().len() == 2).await;
    for _ in 0..20 {
        assert_refused(&service.classify("", "", png(GREEN)).await, "overloaded");
    }
    service.ask("/metrics").await;
    assert!(service.metric("resnet_serve_saturation_ratio") > 5.0 * before);
    service.engine.release();
    assert_eq!(first.await.unwrap(), StatusCode::OK);
}

#[tokio::test]
async fn a_spent_memory_budget_answers_503_before_anything_is_decoded() {
    let service = Service::start();
    let held = service.memory.charge(service.memory.left() - 200);
    let answer = service.classify("", "", png([1, 2, 3])).await;
    assert_refused(&answer, "overloaded");
    assert!(service.engine.batches().is_empty());
    assert!(service.metrics.render().contains(r#"rejections_total{reason="memory"} 1"#));
    drop(held);
    assert_eq!(service.classify("", "", png(GREEN)).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_picture_that_no_waiting_would_make_room_for_is_called_too_large() {
    let service = Service::with(Settings { memory: 200, ..Settings::default() });
    let answer = service.classify("", "", png([1, 2, 3])).await;
    assert!(answer.problem(422, "image_too_large").contains("the memory budget is `200`"));
    assert!(answer.headers.get("retry-after").is_none());
    assert!(service.engine.batches().is_empty());
}

#[tokio::test]
async fn a_closed_queue_says_that_the_service_is_shutting_down() {
    let service = Service::start();
    service.engine.hold();
    let accepted = spawn(&service, "", GREEN);
    until(|| service.engine.batches().len() == 1).await;
    service.queue.close();
    assert_refused(&service.classify("", "", png([1, 2, 3])).await, "draining");
    service.engine.release();
    assert_eq!(accepted.await.unwrap(), StatusCode::OK, "what was accepted is answered");
}
