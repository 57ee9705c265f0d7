//! What a device does that fails: neighbours are spared, engines replaced, and probes tell.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use resnet_serve::inference::fake::{LETHAL, POISON};
use resnet_serve::readiness::State;

use crate::support::{Service, Settings, spawn, until};

const GREEN: [u8; 3] = [0, 200, 0];

/// Counters are numbers with a point.
fn is(value: f64, due: f64) -> bool {
    (value - due).abs() < 0.5
}

fn assert_count(value: f64, due: f64) {
    assert!(is(value, due), "{value} where {due} was due");
}

/// A batch that runs, and behind it the images that will be in the next.
async fn next_batch(service: &Service, colors: &[[u8; 3]]) -> Vec<u16> {
    service.engine.hold();
    let begun = service.engine.batches().len();
    let first = spawn(service, "", GREEN);
    until(|| service.engine.batches().len() > begun).await;
    let mut others = Vec::new();
    for (index, color) in (1..).zip(colors) {
        others.push(spawn(service, "", *color));
        until(|| service.metrics.queue_images.get() == index).await;
    }
    service.engine.release();
    assert_eq!(first.await.unwrap(), StatusCode::OK);
    let mut statuses = Vec::new();
    for other in others {
        statuses.push(other.await.unwrap().as_u16());
    }
    statuses
}

#[tokio::test]
async fn an_image_that_fails_fails_alone_and_the_engine_is_kept() {
    let service = Service::start();
    let statuses = next_batch(&service, &[GREEN, GREEN, POISON, GREEN]).await;
    assert_eq!(statuses, [200, 200, 500, 200]);
    assert_count(service.metric("resnet_serve_engine_rebuilds_total"), 0.0);
    service.assert_still_answers().await;
}

#[tokio::test]
async fn an_engine_that_dies_is_rebuilt_and_only_what_kills_engines_goes_unanswered() {
    let service = Service::start();
    let statuses = next_batch(&service, &[GREEN, LETHAL, GREEN, GREEN]).await;
    assert_eq!(statuses, [200, 500, 200, 200]);
    assert!(service.metric("resnet_serve_engine_rebuilds_total") >= 2.0);
    service.assert_still_answers().await;
    assert_count(service.metric("resnet_serve_workers"), 1.0);
}

#[tokio::test]
async fn readiness_tells_while_no_engine_can_be_had_and_when_there_is_one_again() {
    let service = Service::start();
    service.readiness.advance(State::Ready);
    let ready = service.ask("/ready").await;
    let models =
        r#"{"models":[{"name":"colors","of":1,"provider":"cpu","workers":1}],"status":"ready"}"#;
    assert_eq!(ready, (StatusCode::OK, models.to_owned()));
    service.engine.refuse_engines(3);
    let lethal = spawn(&service, "", LETHAL);
    until(|| is(service.metric("resnet_serve_workers"), 0.0)).await;
    let (status, text) = service.ask("/ready").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(text.contains("no worker of the model `colors` runs"), "{text}");
    let refused = service.classify("", "", crate::support::png(GREEN)).await;
    refused.problem(503, "overloaded");
    assert_eq!(lethal.await.unwrap(), StatusCode::INTERNAL_SERVER_ERROR);
    until(|| is(service.metric("resnet_serve_workers"), 1.0)).await;
    assert_eq!(service.ask("/ready").await.0, StatusCode::OK);
    service.assert_still_answers().await;
}

#[tokio::test]
async fn a_device_that_runs_out_of_memory_gets_smaller_batches_from_then_on() {
    let service = Service::with(Settings { max_batch: 8, ..Settings::default() });
    service.engine.limit_room(3);
    let statuses = next_batch(&service, &[GREEN; 8]).await;
    assert_eq!(statuses, [200; 8]);
    // Between them the probes that tell a device that is full from one that is lost.
    assert_eq!(service.engine.batches(), [1, 8, 1, 4, 1, 2, 2, 4, 1, 2, 2]);
    assert_count(service.metric("resnet_serve_batch_limit_lowered_total"), 2.0);
    next_batch(&service, &[GREEN; 4]).await;
    assert_eq!(service.engine.batches()[11..], [1, 2, 2]);
}

#[tokio::test]
async fn an_engine_built_anew_is_not_asked_for_what_the_memory_was_too_small_for() {
    let service = Service::with(Settings { max_batch: 8, ..Settings::default() });
    service.engine.limit_room(3);
    assert_eq!(next_batch(&service, &[GREEN; 8]).await, [200; 8]);
    assert_eq!(next_batch(&service, &[LETHAL]).await, [500]);
    until(|| service.metric("resnet_serve_engine_rebuilds_total") >= 2.0).await;
    until(|| is(service.metric("resnet_serve_workers"), 1.0)).await;
    service.assert_still_answers().await;
}

#[tokio::test(start_paused = true)]
async fn the_process_is_not_live_while_a_batch_does_not_end() {
    let service = Service::start();
    service.engine.hold();
    let stuck = spawn(&service, "", GREEN);
    until(|| service.engine.batches().len() == 1).await;
    assert_eq!(service.ask("/live").await.0, StatusCode::OK);
    tokio::time::advance(Duration::from_secs(61)).await;
    let (status, text) = service.ask("/live").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(text.contains("no batch of `colors` has run for"), "{text}");
    let public = Request::get("/v2/health/live").body(Body::empty()).unwrap();
    assert_eq!(service.send(public).await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(stuck.await.unwrap(), StatusCode::GATEWAY_TIMEOUT);
    service.engine.release();
    until(|| service.metrics.inflight_images.get() == 0).await;
    assert_eq!(service.ask("/live").await.0, StatusCode::OK);
}
