//! What cannot be answered: a status of the contract, and the protocol's own form.

use std::io::Error;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures_util::stream::pending;
use resnet_serve::inference::fake::{OVERFLOWING, POISON};
use serde_json::{Value, json};

use super::{GREEN, INFER, RED, get, infer, infer_binary, pictures, tensor};
use crate::compression::gzip;
use crate::support::{Answer, Service, Settings, png, post, spawn, until};

/// Asserts on the status and the form, and returns the words.
fn error(answer: &Answer, status: u16) -> String {
    assert_eq!(answer.status.as_u16(), status, "{}", answer.text);
    assert_eq!(answer.header("content-type"), "application/json");
    assert!(!answer.header("x-request-id").is_empty());
    let body = answer.json();
    assert_eq!(body.as_object().unwrap().len(), 1, "{body}");
    body["error"].as_str().unwrap().to_owned()
}

/// A request with one thing about its input changed.
fn changed(mut request: Value, key: &str, value: Value) -> Value {
    request["inputs"][0][key] = value;
    request
}

#[tokio::test]
async fn images_that_are_withdrawn_for_another_count_as_that_one_and_no_client_has_left() {
    let service = Service::start();
    for bad in [b"no picture".to_vec(), png(RED)[..60].to_vec()] {
        let mut request = pictures(&[RED, GREEN, RED, GREEN]);
        request["inputs"][0]["data"][0] = BASE64_STANDARD.encode(bad).into();
        let answer = infer(&service, &request).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", answer.text);
    }
    let images =
        |outcome| service.metric(&format!("resnet_serve_images_total{{outcome=\"{outcome}\"}}"));
    let counts = ["undecodable", "failed", "abandoned"].map(images);
    assert!(counts.iter().zip([8.0, 0.0, 0.0]).all(|(a, b)| (a - b).abs() < 0.1), "{counts:?}");
}

#[tokio::test]
async fn an_input_that_does_not_fit_the_model_is_refused_in_words() {
    let service = Service::start();
    let (tensor, pictures) = (tensor(&[GREEN]), pictures(&[GREEN]));
    let mut two = tensor.clone();
    two["inputs"].as_array_mut().unwrap().push(pictures["inputs"][0].clone());
    let tensor = |key, value| changed(tensor.clone(), key, value);
    let pictures = |key, value| changed(pictures.clone(), key, value);
    for (request, hint) in [
        (json!({"inputs": []}), "one input is taken, `input` or `image`"),
        (two, "one input is taken"),
        (tensor("name", json!("pixels")), "no input `pixels`; there are `input` and `image`"),
        (tensor("datatype", json!("FP32")), "the datatype `FP32`, not `UINT8`"),
        (tensor("datatype", json!("")), "the datatype ``"),
        (tensor("shape", json!([1, 3, 4, 4])), "the shape [1, 3, 4, 4], not [n, 4, 4, 3]"),
        (tensor("shape", json!([4, 4, 3])), "not [n, 4, 4, 3]"),
        (tensor("shape", json!([])), "not [n, 4, 4, 3]"),
        (tensor("shape", json!([0, 4, 4, 3])), "0 images; 1 to 64 are taken"),
        (tensor("shape", json!([-1, 4, 4, 3])), "-1 images"),
        (tensor("shape", json!([65, 4, 4, 3])), "65 images"),
        (tensor("shape", json!([i64::MAX, 4, 4, 3])), "images; 1 to 64"),
        (tensor("shape", json!([2, 4, 4, 3])), "48 bytes, its shape says 96"),
        (tensor("data", json!([1, 2, 3])), "3 bytes, its shape says 48"),
        (tensor("data", json!(vec![256; 48])), "numbers that are no bytes"),
        (tensor("data", json!(vec![0.5; 48])), "numbers that are no bytes"),
        (tensor("data", json!(["AAAA"])), "texts where numbers are due"),
        (pictures("datatype", json!("UINT8")), "the datatype `UINT8`, not `BYTES`"),
        (pictures("shape", json!([2])), "1 elements, its shape says 2"),
        (pictures("shape", json!([1, 2])), "the shape [1, 2], not [n, 1]"),
        (pictures("shape", json!([])), "not [n]"),
        (pictures("data", json!([1])), "numbers where pictures are due"),
        (pictures("data", json!(["***"])), "no base64 in element 0"),
        (pictures("data", json!([])), "0 elements, its shape says 1"),
    ] {
        let words = error(&infer(&service, &request).await, 400);
        assert!(words.contains(hint), "{hint}: {words}");
    }
    assert!(service.engine.batches().is_empty());
    service.assert_still_answers().await;
}

#[tokio::test]
async fn numbers_from_which_no_scores_follow_are_their_senders_error() {
    let service = Service::start();
    let words = error(&infer(&service, &tensor(&[GREEN, OVERFLOWING])).await, 422);
    assert!(words.contains("scores that are no finite numbers"), "{words}");
    let body = tensor(&[GREEN]).to_string().replacen("[0,", "[1e39,", 1);
    let words = error(&service.send(post(INFER, "application/json", body)).await, 400);
    assert!(words.contains("1e39 is beyond the range of FP32"), "{words}");
    service.assert_still_answers().await;
}

#[tokio::test]
async fn binary_data_that_does_not_fit_is_refused_in_words() {
    let service = Service::start();
    let input = |size: usize, count: usize| {
        json!({"inputs": [{"name": "image", "datatype": "BYTES", "shape": [count],
            "parameters": {"binary_data_size": size}}]})
    };
    for (binary, count, hint) in [
        (&b"\x05\0\0\0abc"[..], 1, "ends in element 0: 5 bytes announced, 3 there"),
        (b"\x01\0", 1, "ends in an element's length"),
        (b"\x01\0\0\0a\x01\0\0\0b", 1, "2 elements, its shape says 1"),
        (b"\x01\0\0\0a", 2, "1 elements, its shape says 2"),
        (b"", 1, "0 elements, its shape says 1"),
    ] {
        let answer = infer_binary(&service, &input(binary.len(), count), binary).await;
        let words = error(&answer, 400);
        assert!(words.contains(hint), "{hint}: {words}");
    }
    let many = vec![0; 4 << 20];
    let answer = infer_binary(&service, &input(many.len() / 2, 64), &many[..many.len() / 2]).await;
    assert!(error(&answer, 400).contains("65 elements, its shape says 64"));
}

#[tokio::test]
async fn a_body_that_is_no_request_is_refused_in_words() {
    let service = Service::start();
    for body in ["", "{", "[]", "{}", "null", "picture"] {
        error(&service.send(post(INFER, "application/json", body)).await, 400);
    }
    for (length, hint) in [("-1", "no length"), ("ten", "no length"), ("9", "9 bytes of JSON")] {
        let request = Request::post(INFER).header("inference-header-content-length", length);
        let words = error(&service.send(request.body("{}".into()).unwrap()).await, 400);
        assert!(words.contains(hint), "{words}");
    }
    service.assert_still_answers().await;
}

#[tokio::test]
async fn an_output_that_there_is_not_is_named_with_those_that_there_are() {
    let service = Service::start();
    let mut request = tensor(&[GREEN]);
    request["outputs"] = json!([{"name": "logits"}, {"name": "features"}]);
    let words = error(&infer(&service, &request).await, 400);
    assert_eq!(words, "there is no output `features`; there are `logits`, `probabilities`");
    request["outputs"] = json!([{"name": "logits"}, {"name": "logits"}]);
    let words = error(&infer(&service, &request).await, 400);
    assert_eq!(words, "the output `logits` is asked for twice");
    assert!(service.engine.batches().is_empty());
}

#[tokio::test]
async fn a_model_or_version_that_is_not_served_is_not_found() {
    let service = Service::start();
    for rest in ["", "/ready", "/config"] {
        let words = error(&get(&service, &format!("/v2/models/shapes{rest}")).await, 404);
        assert_eq!(words, "no model `shapes` is served; there is `colors`");
        let words =
            error(&get(&service, &format!("/v2/models/colors/versions/8{rest}")).await, 404);
        assert_eq!(words, "version `7` of the model `colors` is served, not `8`");
    }
    for path in ["/v2/models/shapes/infer", "/v2/models/colors/versions/8/infer"] {
        error(&service.send(post(path, "", pictures(&[GREEN]).to_string())).await, 404);
    }
    assert_eq!(get(&service, "/v2/models/%FF").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn what_the_protocol_has_and_this_server_has_not_is_said_in_its_form() {
    let service = Service::start();
    let unload = "/v2/repository/models/colors/unload";
    for path in ["/v2/nothing", "/v2/models/colors/stats", unload] {
        assert!(error(&get(&service, path).await, 404).contains(path));
    }
    let answer = get(&service, INFER).await;
    assert!(error(&answer, 405).contains("GET"));
    assert_eq!(answer.header("allow"), "POST");
    get(&service, "/v20").await.problem(404, "not_found");
}

#[tokio::test]
async fn a_picture_that_cannot_be_read_fails_the_request_and_is_named() {
    let service = Service::start();
    let request = changed(pictures(&[GREEN]), "data", json!(["bm8gcGljdHVyZQ=="]));
    let words = error(&infer(&service, &request).await, 422);
    assert!(!words.contains("image 0"), "{words}");
    let mut three = pictures(&[GREEN, RED, GREEN]);
    three["inputs"][0]["data"][1] = json!("bm8gcGljdHVyZQ==");
    let words = error(&infer(&service, &three).await, 422);
    assert!(words.starts_with("image 1: "), "{words}");
    until(|| service.metrics.inflight_images.get() == 0).await;
    // A picture that is being decoded when it is withdrawn is held until then.
    until(|| service.memory.left() == Settings::default().memory).await;
    service.assert_still_answers().await;
}

#[tokio::test]
async fn an_image_that_fails_in_the_network_fails_its_request() {
    let service = Service::start();
    error(&infer(&service, &tensor(&[POISON])).await, 500);
    let words = error(&infer(&service, &tensor(&[GREEN, POISON])).await, 500);
    assert!(words.starts_with("image 1: "), "{words}");
    service.assert_still_answers().await;
}

#[tokio::test]
async fn overload_says_when_to_come_back() {
    let service = Service::with(Settings { queue_capacity: 2, ..Settings::default() });
    service.engine.hold();
    let first = [spawn(&service, "", GREEN), spawn(&service, "", GREEN)];
    until(|| service.metrics.inflight_images.get() == 2).await;
    for request in [tensor(&[GREEN]), pictures(&[GREEN])] {
        let answer = infer(&service, &request).await;
        error(&answer, 503);
        assert!(answer.header("retry-after").parse::<u64>().unwrap() >= 1);
    }
    service.engine.release();
    for request in first {
        assert_eq!(request.await.unwrap(), StatusCode::OK);
    }
}

#[tokio::test]
async fn a_drained_service_says_so() {
    let service = Service::start();
    service.queue.close();
    let words = error(&infer(&service, &tensor(&[GREEN])).await, 503);
    assert!(words.contains("shutting down"), "{words}");
}

#[tokio::test]
async fn a_timeout_of_the_request_is_in_microseconds_and_holds_from_its_arrival() {
    let service = Service::start();
    service.engine.hold();
    let mut request = tensor(&[GREEN]);
    request["parameters"] = json!({"timeout": 20_000});
    error(&infer(&service, &request).await, 504);
    request["parameters"] = json!({"timeout": u64::MAX, "priority": 1});
    service.engine.release();
    assert_eq!(infer(&service, &request).await.status, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_given_up() {
    let service = Service::start();
    let never = Body::from_stream(pending::<Result<Bytes, Error>>());
    error(&service.send(post(INFER, "", never)).await, 408);
}

#[tokio::test]
async fn the_limits_of_a_body_are_those_of_classify() {
    let service = Service::with(Settings { max_body: 1000, ..Settings::default() });
    let long = " ".repeat(1001);
    assert!(error(&service.send(post(INFER, "", long.clone())).await, 413).contains("1000 bytes"));
    let coded = |coding: &str, body: Vec<u8>| {
        Request::post(INFER).header("content-encoding", coding).body(body.into()).unwrap()
    };
    error(&service.send(coded("gzip", gzip(long.as_bytes()))).await, 413);
    error(&service.send(coded("gzip", png(GREEN))).await, 400);
    error(&service.send(coded("br", png(GREEN))).await, 415);
    let service = Service::with(Settings { memory: 1000, ..Settings::default() });
    error(&infer(&service, &tensor(&[GREEN; 4])).await, 413);
    assert_eq!(service.memory.left(), 1000);
    let service = Service::with(Settings { memory: 50_000, ..Settings::default() });
    let held = service.memory.charge(49_000);
    error(&infer(&service, &tensor(&[GREEN; 4])).await, 503);
    drop(held);
    assert_eq!(infer(&service, &tensor(&[GREEN; 4])).await.status, 200);
}
