//! Bodies and answers that are compressed.

use std::io::{Read as _, Write as _};

use axum::body::Body;
use axum::http::{HeaderValue, Request, StatusCode};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use flate2::Compression;
use flate2::read::{GzDecoder, ZlibDecoder};
use flate2::write::{GzEncoder, ZlibEncoder};

use crate::support::{Answer, Service, Settings, png};

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

async fn classify(service: &Service, coding: &str, kind: &str, body: Vec<u8>) -> Answer {
    let request = Request::post("/classify").header("content-encoding", coding);
    let request = request.header("content-type", kind).body(body.into());
    service.send(request.unwrap()).await
}

async fn document(service: &Service, accept: &str) -> Answer {
    let request = Request::get("/openapi.yaml").header("accept-encoding", accept);
    service.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn a_compressed_body_is_taken_in_every_form() {
    let service = Service::start();
    let picture = png([0, 200, 0]);
    let json = format!(r#"{{"image": "{}"}}"#, BASE64_STANDARD.encode(&picture)).into_bytes();
    for (coding, kind, body) in [
        ("gzip", "image/png", gzip(&picture)),
        ("x-gzip", "image/png", gzip(&picture)),
        ("deflate", "image/png", deflate(&picture)),
        ("gzip", "application/json", gzip(&json)),
        ("identity", "application/json", json),
    ] {
        let answer = classify(&service, coding, kind, body).await;
        assert_eq!(answer.status, StatusCode::OK, "{coding} {kind}: {}", answer.text);
        assert_eq!(answer.json()["results"][0]["predictions"][0]["label"], "green");
    }
}

#[tokio::test]
async fn a_coding_that_is_not_known_is_not_taken() {
    let service = Service::start();
    for coding in ["br", "zstd", "gzip, gzip"] {
        let answer = classify(&service, coding, "image/png", png([0, 0, 9])).await;
        let words = answer.problem(415, "unsupported_media_type");
        assert!(words.contains(coding) && words.contains("`gzip`"), "{words}");
        assert_eq!(answer.header("accept-encoding"), "gzip, deflate");
    }
    let twice = Request::post("/classify").header("content-encoding", "gzip");
    let twice = twice.header("content-encoding", "identity").body(Body::empty()).unwrap();
    let words = service.send(twice).await.problem(415, "unsupported_media_type");
    assert!(words.contains("gzip, identity"), "{words}");
}

#[tokio::test]
async fn a_body_that_is_not_what_its_coding_says_is_an_invalid_request() {
    let service = Service::start();
    let half = gzip(&png([0, 0, 9]))[..30].to_vec();
    for body in [png([0, 0, 9]), half] {
        let answer = classify(&service, "gzip", "image/png", body).await;
        assert!(answer.problem(400, "invalid_request").contains("inflated"));
    }
    service.assert_still_answers().await;
}

#[tokio::test]
async fn the_limits_hold_for_what_a_body_becomes() {
    let memory = 300_000;
    let service = Service::with(Settings { max_body: 1_000_000, memory, ..Settings::default() });
    let bomb = |size| gzip(&vec![0; size]);
    assert!(bomb(2_000_000).len() < 10_000);
    let answer = classify(&service, "gzip", "image/png", bomb(400_000)).await;
    assert!(answer.problem(413, "payload_too_large").contains("the memory budget is `300000`"));
    let service = Service::with(Settings { max_body: 100_000, ..Settings::default() });
    let answer = classify(&service, "gzip", "image/png", bomb(2_000_000)).await;
    assert!(answer.problem(413, "payload_too_large").contains("100000 bytes"));
    service.assert_still_answers().await;
}

#[tokio::test]
async fn a_large_answer_is_compressed_for_those_who_ask() {
    let service = Service::start();
    let plain = document(&service, "identity").await;
    assert_eq!(plain.header("content-encoding"), "");
    let zipped = document(&service, "gzip").await;
    assert_eq!(zipped.header("content-encoding"), "gzip");
    assert!(zipped.bytes.len() < plain.bytes.len() / 3);
    let mut text = String::new();
    GzDecoder::new(zipped.bytes.as_ref()).read_to_string(&mut text).unwrap();
    assert!(text == plain.text);
    let deflated = document(&service, "deflate").await;
    assert_eq!(deflated.header("content-encoding"), "deflate");
    text.clear();
    ZlibDecoder::new(deflated.bytes.as_ref()).read_to_string(&mut text).unwrap();
    assert!(text == plain.text);
}

#[tokio::test]
async fn small_answers_and_errors_stay_as_they_are() {
    let service = Service::start();
    let models = Request::get("/models").body(Body::empty()).unwrap();
    let long = "%F0%9F%90%88".repeat(300);
    let unknown = Request::post(format!("/classify?model={long}"));
    let unknown = unknown.body(png([0, 0, 9]).into()).unwrap();
    for (mut request, status) in [(models, 200), (unknown, 400)] {
        request.headers_mut().insert("accept-encoding", HeaderValue::from_static("gzip"));
        let answer = service.send(request).await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("content-encoding"), "", "{}", answer.text);
        assert_eq!(answer.bytes.len() > 1024, status == 400, "{}", answer.text);
    }
}
