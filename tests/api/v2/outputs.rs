//! What is given, and in which form.

use serde_json::{Value, json};

use super::{GREEN, RED, find, infer, logits, numbers, pictures, tensor};
use crate::support::{Answer, CLASSES, Service};

fn with(outputs: &Value) -> Value {
    let mut request = tensor(&[GREEN, RED]);
    request["outputs"] = outputs.clone();
    request
}

fn names(answer: &Answer) -> Vec<Value> {
    let outputs = answer.json()["outputs"].as_array().unwrap().clone();
    outputs.iter().map(|output| output["name"].clone()).collect()
}

/// The JSON in front of binary data, and that data.
fn split(answer: &Answer) -> (Value, &[u8]) {
    assert_eq!(answer.header("content-type"), "application/octet-stream", "{}", answer.text);
    let head: usize = answer.header("inference-header-content-length").parse().unwrap();
    let (text, binary) = answer.bytes.split_at(head);
    (serde_json::from_slice(text).unwrap(), binary)
}

fn floats(bytes: &[u8]) -> Vec<f64> {
    let (floats, rest) = bytes.as_chunks::<4>();
    assert!(rest.is_empty());
    floats.iter().map(|bytes| f64::from(f32::from_le_bytes(*bytes))).collect()
}

#[tokio::test]
async fn an_answer_says_whose_it_is_and_whether_the_model_is_trained() {
    let service = Service::start();
    let mut request = pictures(&[GREEN]);
    let unnamed = infer(&service, &request).await.json();
    assert_eq!(unnamed["id"], Value::Null);
    request["id"] = json!("mine");
    let answer = infer(&service, &request).await;
    assert_eq!(answer.header("content-type"), "application/json");
    assert!(answer.header("server-timing").contains("inference;dur="));
    let answer = answer.json();
    assert_eq!(answer["id"], "mine");
    assert_eq!(answer["model_name"], "colors");
    assert_eq!(answer["model_version"], "7");
    assert_eq!(answer["parameters"], json!({"trained": true}));
}

#[tokio::test]
async fn everything_is_given_to_those_who_do_not_ask() {
    let service = Service::start();
    let answer = infer(&service, &tensor(&[GREEN])).await;
    assert_eq!(names(&answer), ["logits", "probabilities"]);
    let sum: f64 = numbers(&answer, "probabilities").iter().sum();
    assert!((sum - 1.0).abs() < 1e-5);
    let answer = infer(&service, &with(&json!([]))).await;
    assert_eq!(names(&answer), ["logits", "probabilities"]);
}

#[tokio::test]
async fn outputs_are_given_in_the_order_in_which_they_are_asked_for() {
    let service = Service::start();
    let answer =
        infer(&service, &with(&json!([{"name": "probabilities"}, {"name": "logits"}]))).await;
    assert_eq!(names(&answer), ["probabilities", "logits"]);
    assert_eq!(find(&answer, "logits")["datatype"], "FP32");
    let answer = infer(&service, &with(&json!([{"name": "logits"}]))).await;
    assert_eq!(names(&answer), ["logits"]);
}

#[tokio::test]
async fn classes_are_given_best_first_by_value_index_and_label() {
    let service = Service::start();
    let wanted = json!([{"name": "logits", "parameters": {"classification": 2}}]);
    let answer = infer(&service, &with(&wanted)).await;
    let output = find(&answer, "logits");
    assert_eq!(output["datatype"], "BYTES");
    assert_eq!(output["shape"], json!([2, 2]));
    assert_eq!(output["data"], json!(["6.25:1:green", "0:0:red", "6.25:0:red", "0:1:green"]));
}

#[tokio::test]
async fn more_classes_than_there_are_are_all_of_them() {
    let service = Service::start();
    let wanted = json!([{"name": "probabilities", "parameters": {"classification": 1000}}]);
    let output = find(&infer(&service, &with(&wanted)).await, "probabilities");
    assert_eq!(output["shape"], json!([2, CLASSES.len()]));
    let none = json!([{"name": "probabilities", "parameters": {"classification": 0}}]);
    let output = find(&infer(&service, &with(&none)).await, "probabilities");
    assert_eq!(output["datatype"], "FP32");
}

#[tokio::test]
async fn outputs_stand_behind_the_json_for_those_who_ask() {
    let service = Service::start();
    let wanted = json!([
        {"name": "probabilities", "parameters": {"classification": 1, "binary_data": true}},
        {"name": "logits", "parameters": {"binary_data": true}},
    ]);
    let answer = infer(&service, &with(&wanted)).await;
    let (head, binary) = split(&answer);
    let sizes = [0, 1].map(|index| {
        assert_eq!(head["outputs"][index]["data"], Value::Null);
        let size = &head["outputs"][index]["parameters"]["binary_data_size"];
        usize::try_from(size.as_u64().unwrap()).unwrap()
    });
    assert_eq!(sizes[0] + sizes[1], binary.len());
    let length = u32::from_le_bytes(*binary.first_chunk().unwrap()) as usize;
    let text = std::str::from_utf8(&binary[4..4 + length]).unwrap();
    assert!(text.ends_with(":1:green"), "{text}");
    assert_eq!(floats(&binary[sizes[0]..]), [logits(GREEN), logits(RED)].concat());
}

#[tokio::test]
async fn a_request_may_ask_for_all_in_binary_and_for_one_output_otherwise() {
    let service = Service::start();
    let mut request = tensor(&[GREEN]);
    request["parameters"] = json!({"binary_data_output": true});
    let answer = infer(&service, &request).await;
    let (head, binary) = split(&answer);
    assert_eq!(binary.len(), 2 * CLASSES.len() * 4, "{head}");
    request["outputs"] = json!([
        {"name": "logits", "parameters": {"binary_data": false}},
        {"name": "probabilities"},
    ]);
    let answer = infer(&service, &request).await;
    let (head, binary) = split(&answer);
    assert_eq!(head["outputs"][0]["data"].as_array().unwrap().len(), CLASSES.len());
    assert_eq!(binary.len(), CLASSES.len() * 4);
}
