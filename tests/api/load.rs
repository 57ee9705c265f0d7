//! What load does: refusals that say when to come back, and nothing done for nobody.

use std::time::Duration;

use axum::http::StatusCode;
use tokio::task::JoinHandle;

use crate::support::{Answer, Service, Settings, png, post};

/// Waits for what another task is about to do, without guessing how long it takes.
async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::task::yield_now().await;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn spawn(service: &Service, query: &str) -> JoinHandle<StatusCode> {
    let request = post(&format!("/classify{query}"), "", png([0, 200, 0]));
    let router = service.router.clone();
    tokio::spawn(async move { tower::ServiceExt::oneshot(router, request).await.unwrap().status() })
}

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
    let first = [spawn(&service, ""), spawn(&service, "")];
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
    let first = spawn(&service, "");
    until(|| service.engine.batches().len() == 1).await;
    let others: Vec<_> = (0..5).map(|_| spawn(&service, "")).collect();
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
    let first = spawn(&service, "");
    until(|| service.engine.batches().len() == 1).await;
    let late = spawn(&service, "?timeout_ms=20");
    waiting(&service, 1).await;
    tokio::time::sleep(Duration::from_millis(25)).await;
    service.engine.release();
    assert_eq!(late.await.unwrap(), StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(first.await.unwrap(), StatusCode::OK);
    assert_eq!(service.engine.batches(), [1]);
    assert_eq!(outcome(&service, "expired"), "1");
}

#[tokio::test]
async fn a_client_that_goes_away_is_not_worked_for() {
    let service = Service::start();
    service.engine.hold();
    let first = spawn(&service, "");
    until(|| service.engine.batches().len() == 1).await;
    let gone = spawn(&service, "");
    waiting(&service, 1).await;
    gone.abort();
    until(|| outcome(&service, "abandoned") == "1").await;
    service.engine.release();
    assert_eq!(first.await.unwrap(), StatusCode::OK);
    service.assert_still_answers().await;
    assert_eq!(service.engine.batches(), [1, 1], "the abandoned image never ran");
    assert_eq!(service.metrics.inflight_images.get(), 0);
}

#[tokio::test]
async fn a_spent_memory_budget_answers_503_before_anything_is_decoded() {
    let service = Service::with(Settings { memory: 200, ..Settings::default() });
    let answer = service.classify("", "", png([1, 2, 3])).await;
    assert_refused(&answer, "overloaded");
    assert!(service.engine.batches().is_empty());
    assert!(service.metrics.render().contains(r#"rejections_total{reason="memory"} 1"#));
}

#[tokio::test]
async fn a_closed_queue_says_that_the_service_is_shutting_down() {
    let service = Service::start();
    service.engine.hold();
    let accepted = spawn(&service, "");
    until(|| service.engine.batches().len() == 1).await;
    service.queue.close();
    assert_refused(&service.classify("", "", png([1, 2, 3])).await, "draining");
    service.engine.release();
    assert_eq!(accepted.await.unwrap(), StatusCode::OK, "what was accepted is answered");
}
