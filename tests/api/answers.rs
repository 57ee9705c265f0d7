//! What good requests get.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use insta::assert_json_snapshot;
use resnet_serve::inference::fake::{OVERFLOWING, POISON};
use serde_json::{Value, json};

use crate::support::{Answer, Service, Settings, png, post, spawn, until};

const GREEN: [u8; 3] = [0, 200, 0];
const RED: [u8; 3] = [200, 0, 0];

fn labels(answer: &Answer) -> Vec<Value> {
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    let results = answer.json()["results"].as_array().unwrap().clone();
    results.iter().map(|result| result["predictions"][0]["label"].clone()).collect()
}

/// Milliseconds of a stage, as `Server-Timing` tells.
fn stage(answer: &Answer, stage: &str) -> f64 {
    let mut entries = answer.header("server-timing").split(", ");
    let entry = entries.find_map(|entry| entry.strip_prefix(stage)?.strip_prefix(";dur="));
    entry.unwrap().parse().unwrap()
}

/// `parts`: name, file name, body.
fn multipart(parts: &[(&str, &str, Vec<u8>)]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, file, bytes) in parts {
        let head = format!(
            "--line\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"{file}\"\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--line--\r\n");
    body
}

#[tokio::test]
async fn a_picture_gets_its_labels() {
    let service = Service::start();
    let request = Request::post("/classify?top_k=2").header("x-request-id", "mine");
    let answer = service.send(request.body(png(GREEN).into()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("x-request-id"), "mine");
    assert_json_snapshot!(answer.json());
}

#[tokio::test]
async fn the_bytes_decide_not_the_content_type() {
    let service = Service::start();
    for kind in [
        "",
        "image/jpeg",
        "image/x-anything",
        "application/octet-stream",
        "application/x-www-form-urlencoded",
    ] {
        let answer = service.classify("", kind, png(GREEN)).await;
        assert_eq!(labels(&answer), ["green"], "{kind}");
    }
}

#[tokio::test]
async fn a_long_answer_has_every_picture_too() {
    let settings = Settings { queue_capacity: 1000, memory: 1 << 30, ..Settings::default() };
    let service = Service::with(settings);
    let images = vec![BASE64_STANDARD.encode(png(GREEN)); 800];
    let body = json!({"images": images, "top_k": 6}).to_string();
    let answer = service.classify("", "application/json", body).await;
    assert_eq!(labels(&answer), vec!["green"; 800]);
}

#[tokio::test]
async fn five_labels_are_given_unless_another_number_is_asked_for() {
    let service = Service::start();
    for (query, count) in [("", 5), ("?top_k=1", 1), ("?top_k=6", 6)] {
        let answer = service.classify(query, "image/png", png(GREEN)).await.json();
        assert_eq!(answer["results"][0]["predictions"].as_array().unwrap().len(), count);
    }
}

#[tokio::test]
async fn the_files_of_a_form_are_answered_in_order_whatever_their_names() {
    let service = Service::start();
    let body =
        multipart(&[("a", "1.png", png(RED)), ("a", "2.png", png(GREEN)), ("", "3", png(RED))]);
    let answer = service.classify("", "multipart/form-data; boundary=line", body).await;
    assert_eq!(labels(&answer), ["red", "green", "red"]);
}

#[tokio::test]
async fn json_holds_one_picture_or_several_in_base64() {
    let service = Service::start();
    let (red, green) = (BASE64_STANDARD.encode(png(RED)), BASE64_STANDARD.encode(png(GREEN)));
    let one = json!({"image": red, "top_k": 3}).to_string();
    let answer = service.classify("", "application/json", one).await;
    assert_eq!(labels(&answer), ["red"]);
    assert_eq!(answer.json()["results"][0]["predictions"].as_array().unwrap().len(), 3);
    let two = json!({"images": [green, red]}).to_string();
    let answer = service.classify("", "application/json; charset=utf-8", two).await;
    assert_eq!(labels(&answer), ["green", "red"]);
}

#[tokio::test]
async fn a_bad_picture_among_good_ones_harms_only_itself() {
    let service = Service::start();
    let body =
        multipart(&[("a", "1", png(RED)), ("b", "2", b"text".to_vec()), ("c", "3", png(GREEN))]);
    let answer = service.classify("", "multipart/form-data; boundary=line", body).await;
    assert_eq!(labels(&answer), [json!("red"), Value::Null, json!("green")]);
    let error = &answer.json()["results"][1]["error"];
    assert_eq!(error["code"], "undecodable_image");
    assert_eq!(error["status"], 422);
}

#[tokio::test]
async fn base64_comes_as_tools_write_it_and_a_text_that_is_none_harms_only_itself() {
    let service = Service::start();
    let text = BASE64_STANDARD.encode(png(GREEN));
    let lines = text.as_bytes().chunks(20).map(|line| format!("{}\r\n", line.escape_ascii()));
    let images =
        [lines.collect(), "***".to_owned(), format!("data:image/png;base64,{text}"), text.clone()];
    let body = json!({"images": images, "top_k": 1}).to_string();
    let answer = service.classify("", "application/json", body).await;
    assert_eq!(labels(&answer), [json!("green"), Value::Null, json!("green"), json!("green")]);
    let error = &answer.json()["results"][1]["error"];
    assert_eq!(error["code"], "undecodable_image");
    assert!(error["detail"].as_str().unwrap().contains("not base64"), "{error}");
    let undecodable = service.metric("resnet_serve_images_total{outcome=\"undecodable\"}");
    assert!((undecodable - 1.0).abs() < 0.1, "it is counted");
}

#[tokio::test]
async fn a_form_may_say_top_k_and_its_files_may_have_names_of_any_form() {
    let service = Service::start();
    let file = |disposition: &str| {
        let head = format!("--line\r\nContent-Disposition: form-data; {disposition}\r\n\r\n");
        [head.as_bytes(), &png(GREEN), b"\r\n"].concat()
    };
    let body = [
        file("name=\"a\"; filename*=UTF-8''%C3%A4.png"),
        b"--line\r\nContent-Disposition: form-data; name=\"b\"; filename=\"\"\r\n\r\n\r\n".to_vec(),
        b"--line\r\nContent-Disposition: form-data; name=\"top_k\"\r\n\r\n2\r\n".to_vec(),
        file("name=\"c\"; filename=\"c\""),
        b"--line--\r\n".to_vec(),
    ];
    let answer = service.classify("", "multipart/form-data; boundary=line", body.concat()).await;
    assert_eq!(labels(&answer), [json!("green"), json!("green")]);
    assert_eq!(answer.json()["results"][0]["predictions"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_picture_that_fails_the_device_does_not_fail_its_neighbours() {
    let service = Service::start();
    for bad in [POISON, OVERFLOWING] {
        let body = multipart(&[("a", "1", png(RED)), ("b", "2", png(bad)), ("c", "3", png(GREEN))]);
        let answer = service.classify("", "multipart/form-data; boundary=line", body).await;
        assert_eq!(labels(&answer), [json!("red"), Value::Null, json!("green")]);
        assert_eq!(answer.json()["results"][1]["error"]["code"], "inference_failed");
    }
}

#[tokio::test]
async fn scores_that_are_to_be_probabilities_and_are_none_are_no_answer() {
    let service = Service::with(Settings { activation: "none", ..Settings::default() });
    let (one, more) = ([32, 0, 0], [255, 0, 0]);
    let body = multipart(&[("a", "1", png(more)), ("b", "2", png(one))]);
    let answer = service.classify("", "multipart/form-data; boundary=line", body).await;
    assert_eq!(labels(&answer), [Value::Null, json!("red")]);
    assert_eq!(answer.json()["results"][0]["error"]["code"], "inference_failed");
    assert_eq!(answer.json()["results"][1]["predictions"][0]["probability"], 1.0);
    service.classify("", "", png(more)).await.problem(500, "inference_failed");
}

#[tokio::test]
async fn every_answer_says_what_its_stages_took() {
    let service = Service::start();
    for body in [png(GREEN), b"text".to_vec()] {
        let answer = service.classify("", "", body).await;
        for stage in ["read", "decode", "queue", "inference", "total"] {
            let timing = answer.header("server-timing");
            assert!(timing.contains(&format!("{stage};dur=")), "{timing}");
        }
        assert!(!answer.header("x-request-id").is_empty());
    }
}

#[tokio::test]
async fn an_answer_without_labels_says_how_long_it_was_where_too() {
    let service = Service::start();
    service.engine.hold();
    let held = spawn(&service, "", RED);
    until(|| service.engine.batches().len() == 1).await;
    let late = service.classify("?timeout_ms=30", "", png(GREEN)).await;
    late.problem(504, "deadline_exceeded");
    assert!(stage(&late, "queue") > 1.0, "it waited for the worker");
    assert!(stage(&late, "inference") < f64::EPSILON, "and never ran");
    let stuck = service.classify("?timeout_ms=1", "", png(GREEN)).await;
    assert!(stuck.status.is_server_error());
    service.engine.release();
    held.await.unwrap();
    let broken = &png(GREEN)[..60];
    let broken = service.classify("", "", broken.to_vec()).await;
    broken.problem(422, "undecodable_image");
    assert!(stage(&broken, "decode") > 0.0, "{}", broken.header("server-timing"));
    let failed = service.classify("", "", png(POISON)).await;
    failed.problem(500, "inference_failed");
    assert!(stage(&failed, "inference") > 0.0, "{}", failed.header("server-timing"));
}

#[tokio::test]
async fn an_image_that_is_late_in_its_batch_says_that_it_was_there() {
    let service = Service::start();
    service.engine.hold();
    let late = service.classify("?timeout_ms=30", "", png(GREEN)).await;
    late.problem(504, "deadline_exceeded");
    assert!(stage(&late, "inference") > 1.0, "{}", late.header("server-timing"));
    service.engine.release();
}

#[tokio::test]
async fn what_is_not_found_or_not_allowed_has_an_id_and_a_timing_too() {
    let service = Service::start();
    for (method, path) in [("GET", "/nowhere"), ("DELETE", "/classify"), ("TRACE", "/models")] {
        let request = Request::builder().method(method).uri(path).header("x-request-id", "mine");
        let answer = service.send(request.body(Body::empty()).unwrap()).await;
        assert!(answer.status.is_client_error());
        assert_eq!(answer.header("x-request-id"), "mine");
        assert!(answer.header("server-timing").contains("total;dur="), "{path}");
    }
}

#[tokio::test]
async fn a_request_id_that_is_not_fit_for_a_log_is_replaced() {
    let service = Service::start();
    let request = Request::post("/classify").header("x-request-id", "a b");
    let answer = service.send(request.body(png(GREEN).into()).unwrap()).await;
    assert_eq!(answer.header("x-request-id").len(), 32);
}

#[tokio::test]
async fn a_model_is_chosen_by_name() {
    let service = Service::start();
    let answer = service.classify("?model=colors", "", png(GREEN)).await;
    assert_eq!(labels(&answer), ["green"]);
    let answer = service.classify("?model=shapes", "", png(GREEN)).await;
    assert!(answer.problem(400, "invalid_request").contains("`shapes`"));
}

#[tokio::test]
async fn the_models_are_listed() {
    let service = Service::start();
    let request = Request::get("/models").body(Body::empty()).unwrap();
    assert_json_snapshot!(service.send(request).await.json());
}

#[tokio::test]
async fn images_are_counted_by_what_became_of_them() {
    let service = Service::start();
    service.classify("", "", png(GREEN)).await;
    service.classify("", "", "text").await;
    let text = service.metrics.render();
    assert!(text.contains(r#"resnet_serve_images_total{outcome="classified"} 1"#), "{text}");
    assert!(text.contains(r#"resnet_serve_images_total{outcome="undecodable"} 1"#), "{text}");
    assert!(text.contains(r#"resnet_serve_requests_total{route="/classify",status="422"} 1"#));
    assert!(text.contains("resnet_serve_inflight_images 0"));
}

#[tokio::test]
async fn the_document_that_is_served_is_the_one_in_the_repository() {
    let service = Service::start();
    let request = Request::get("/openapi.yaml").body(Body::empty()).unwrap();
    let served = service.send(request).await;
    assert_eq!(served.header("content-type"), "application/yaml");
    let kept = include_str!("../../openapi.yaml");
    assert!(served.text == kept, "run `resnet-serve openapi > openapi.yaml`");
}

#[tokio::test]
async fn the_document_is_there_as_json_too_and_names_every_error_by_its_code() {
    let service = Service::start();
    let request = Request::get("/openapi.json").body(Body::empty()).unwrap();
    let document = service.send(request).await.json();
    let responses = &document["paths"]["/classify"]["post"]["responses"];
    for (status, code) in [
        ("400", "invalid_request"),
        ("413", "payload_too_large"),
        ("415", "unsupported_media_type"),
        ("422", "undecodable_image"),
        ("422", "image_too_large"),
        ("500", "inference_failed"),
        ("503", "overloaded"),
        ("503", "draining"),
        ("504", "deadline_exceeded"),
    ] {
        let examples = &responses[status]["content"]["application/problem+json"]["examples"];
        assert_eq!(examples[code]["value"]["code"], code, "{status}: {examples}");
    }
    assert!(responses["503"]["headers"]["Retry-After"].is_object());
}

#[tokio::test]
async fn a_second_request_is_answered_after_any_first() {
    let service = Service::start();
    service.send(post("/classify", "", png(RED))).await;
    service.assert_still_answers().await;
}
