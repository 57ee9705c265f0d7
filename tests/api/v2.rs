//! The Open Inference Protocol over HTTP.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::support::{Answer, Service, png, post};

mod errors;
mod forms;
mod outputs;
mod state;

const GREEN: [u8; 3] = [0, 200, 0];
const RED: [u8; 3] = [200, 0, 0];

/// Where the fake network answers.
const INFER: &str = "/v2/models/colors/infer";

async fn get(service: &Service, path: &str) -> Answer {
    service.send(Request::get(path).body(Body::empty()).unwrap()).await
}

async fn infer(service: &Service, request: &Value) -> Answer {
    service.send(post(INFER, "application/json", request.to_string())).await
}

/// JSON and what stands behind it.
async fn infer_binary(service: &Service, request: &Value, binary: &[u8]) -> Answer {
    let text = request.to_string();
    let head = text.len().to_string();
    let body = [text.as_bytes(), binary].concat();
    let request = Request::post(INFER).header("inference-header-content-length", head);
    service.send(request.body(body.into()).unwrap()).await
}

/// Pictures of one colour each, in base64.
fn pictures(colors: &[[u8; 3]]) -> Value {
    let data: Vec<String> =
        colors.iter().map(|color| BASE64_STANDARD.encode(png(*color))).collect();
    json!({"inputs": [{"name": "image", "datatype": "BYTES", "shape": [colors.len()], "data": data}]})
}

/// The network's own input: pictures of 4×4 pixels of one colour each.
fn tensor(colors: &[[u8; 3]]) -> Value {
    let data: Vec<u8> = colors.iter().flat_map(|color| color.repeat(16)).collect();
    let shape = [colors.len(), 4, 4, 3];
    json!({"inputs": [{"name": "input", "datatype": "UINT8", "shape": shape, "data": data}]})
}

/// The numbers of an output.
fn numbers(answer: &Answer, output: &str) -> Vec<f64> {
    let data = find(answer, output)["data"].as_array().unwrap().clone();
    data.iter().map(|number| number.as_f64().unwrap()).collect()
}

fn find(answer: &Answer, output: &str) -> Value {
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    let outputs = answer.json()["outputs"].as_array().unwrap().clone();
    outputs.into_iter().find(|found| found["name"] == output).unwrap()
}

/// The network's answer to a picture of one colour.
fn logits(color: [u8; 3]) -> Vec<f64> {
    let [red, green, blue] = color.map(|channel| f64::from(channel) / 32.0);
    vec![red, green, blue, 0.0, 0.0, 0.0]
}
