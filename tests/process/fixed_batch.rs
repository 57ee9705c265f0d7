//! A graph that takes batches of one size only, as many exporters write them.

use std::fs;

use reqwest::multipart::{Form, Part};
use reqwest::{Client, StatusCode};
use serde_json::Value;

use crate::support::{Service, SmallModel, png};

/// How a graph's file has a size that is called `batch`.
const ANY: &[u8] = b"\x0a\x07\x12\x05batch";

/// The sizes 1 and 3 in as many bytes.
const ONE: &[u8] = b"\x0a\x07\x08\x81\x80\x80\x80\x80\x00";
const THREE: &[u8] = b"\x0a\x07\x08\x83\x80\x80\x80\x80\x00";

fn with_batches_of(size: &[u8]) -> SmallModel {
    let model = SmallModel::build();
    let path = model.path().join("model.onnx");
    let mut graph = fs::read(&path).unwrap();
    let found: Vec<usize> =
        graph.windows(ANY.len()).enumerate().filter(|(_, w)| *w == ANY).map(|(at, _)| at).collect();
    assert!(found.len() >= 2, "input and output: {found:?}");
    for at in found {
        graph[at..at + size.len()].copy_from_slice(size);
    }
    fs::write(path, graph).unwrap();
    let manifest = model.path().join("model.toml");
    let lines = fs::read_to_string(&manifest).unwrap();
    let other: Vec<&str> = lines.lines().filter(|line| !line.starts_with("sha256")).collect();
    fs::write(manifest, other.join("\n")).unwrap();
    model
}

/// What is said of batches at the start.
fn said(service: &Service) -> &Value {
    let about = |line: &&Value| line["message"] == "the graph takes batches of one size only";
    service.start_log.iter().find(about).unwrap()
}

async fn classify(service: &Service, pictures: usize) -> Value {
    let form = (0..pictures).fold(Form::new(), |form, index| {
        form.part(format!("p{index}"), Part::bytes(png()).file_name("p.png"))
    });
    let request = Client::new().post(service.url("/classify")).multipart(form);
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    response.json().await.unwrap()
}

async fn every_picture_has_the_same_answer(service: &Service) {
    let answer = classify(service, 5).await;
    let results = answer["results"].as_array().unwrap();
    assert_eq!(results.len(), 5);
    let best = |result: &Value| result["predictions"][0]["probability"].as_f64().unwrap();
    assert!(results.iter().all(|result| (best(result) - best(&results[0])).abs() < 1e-6));
}

#[tokio::test]
async fn a_graph_for_one_picture_is_served_without_batching() {
    let service = Service::start(&with_batches_of(ONE).path(), &["--max-batch=4"]);
    assert_eq!(said(&service)["batching"], "served without batching");
    every_picture_has_the_same_answer(&service).await;
}

#[tokio::test]
async fn a_graph_for_three_pictures_gets_three_of_which_some_may_be_empty() {
    let service = Service::start(&with_batches_of(THREE).path(), &[]);
    assert_eq!(said(&service)["images"], 3);
    every_picture_has_the_same_answer(&service).await;
}
