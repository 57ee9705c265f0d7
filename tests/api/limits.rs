//! Bodies that are small and would become large: each ends at a limit, with an error that says which.

use axum::http::StatusCode;
use serde_json::json;

use crate::support::{Answer, Service, Settings, png, post};

const GREEN: [u8; 3] = [0, 200, 0];
const INFER: &str = "/v2/models/colors/infer";

async fn json(service: &Service, path: &str, body: String) -> Answer {
    service.send(post(path, "application/json", body)).await
}

/// A form with that many parts, each a picture, and each with these headers besides its own.
fn form(parts: usize, headers: &str) -> Vec<u8> {
    let head = "--x\r\ncontent-disposition: form-data; name=\"a\"; filename=\"a.png\"\r\n";
    let part = [head.as_bytes(), headers.as_bytes(), b"\r\n", &png(GREEN), b"\r\n"].concat();
    [part.repeat(parts), b"--x--\r\n".to_vec()].concat()
}

#[tokio::test]
async fn a_form_has_no_more_parts_than_the_queue_has_places() {
    let service = Service::with(Settings { queue_capacity: 8, ..Settings::default() });
    let send = |parts| service.classify("", "multipart/form-data; boundary=x", form(parts, ""));
    assert_eq!(send(2).await.status, StatusCode::OK);
    let detail = send(9).await.problem(400, "invalid_request");
    assert!(detail.contains("more than 8 images"), "{detail}");
}

#[tokio::test]
async fn a_part_has_at_most_32_headers() {
    let service = Service::with(Settings::default());
    let send = |headers: usize| {
        let headers = "x: y\r\n".repeat(headers);
        service.classify("", "multipart/form-data; boundary=x", form(1, &headers))
    };
    assert_eq!(send(31).await.status, StatusCode::OK);
    send(32).await.problem(400, "invalid_request");
}

#[tokio::test]
async fn a_list_of_images_ends_before_it_outgrows_its_body() {
    let service = Service::with(Settings::default());
    let texts = vec![r#""""#; (1 << 16) + 1].join(",");
    let answer = json(&service, "/classify", format!(r#"{{"images": [{texts}]}}"#)).await;
    let detail = answer.problem(400, "invalid_request");
    assert!(detail.contains("at most 65536"), "{detail}");
}

#[tokio::test]
async fn json_may_be_nested_so_far_and_no_further() {
    let service = Service::with(Settings::default());
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    for depth in [1_000, 1_000_000] {
        let upload = format!(r#"{{"images": {}}}"#, nested(depth));
        json(&service, "/classify", upload).await.problem(400, "invalid_request");
        let data = nested(depth);
        let tensor = format!(
            r#"{{"inputs": [{{"name": "input", "datatype": "UINT8", "shape": [1], "data": {data}}}]}}"#
        );
        let answer = json(&service, INFER, tensor).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        let error = answer.json()["error"].to_string();
        assert!(error.contains("recursion limit"), "{error}");
        let unknown = format!(r#"{{"inputs": [], "parameters": {{"x": {}}}}}"#, nested(depth));
        assert_eq!(json(&service, INFER, unknown).await.status, StatusCode::BAD_REQUEST);
    }
    let answer = service.classify("", "image/png", png(GREEN)).await;
    assert_eq!(answer.status, StatusCode::OK, "it has survived that");
}

#[tokio::test]
async fn a_request_names_no_more_tensors_and_dimensions_than_any_model_has() {
    let service = Service::with(Settings::default());
    let tensor = json!({"name": "x", "datatype": "FP32", "shape": [1], "data": [1]});
    let long = json!({"name": "x", "datatype": "FP32", "shape": vec![1; 9], "data": [1]});
    for body in [json!({"inputs": vec![tensor; 17]}), json!({"inputs": [long]})] {
        let answer = json(&service, INFER, body.to_string()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert!(answer.json()["error"].to_string().contains("at most"), "{}", answer.text);
    }
}
