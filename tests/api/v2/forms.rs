//! The forms in which images come.

use axum::http::{Request, StatusCode};
use half::f16;
use serde_json::{Value, json};

use super::{GREEN, INFER, RED, infer, infer_binary, logits, numbers, pictures, tensor};
use crate::compression::{deflate, gzip};
use crate::support::{Service, Settings, png, post};

/// `BYTES` as binary data has them.
fn with_lengths(elements: &[Vec<u8>]) -> Vec<u8> {
    let length = |bytes: &Vec<u8>| u32::try_from(bytes.len()).unwrap().to_le_bytes().to_vec();
    elements.iter().flat_map(|bytes| [length(bytes), bytes.clone()].concat()).collect()
}

fn binary_input(name: &str, datatype: &str, shape: &Value, size: usize) -> Value {
    let parameters = json!({"binary_data_size": size});
    json!({"inputs": [{"name": name, "datatype": datatype, "shape": shape, "parameters": parameters}]})
}

#[tokio::test]
async fn every_form_of_a_picture_gets_the_answer_of_classify() {
    let service = Service::start();
    let classified = service.classify("?top_k=6", "", png(GREEN)).await.json();
    let mut expected = [0.0; 6];
    for prediction in classified["results"][0]["predictions"].as_array().unwrap() {
        let class = usize::try_from(prediction["class"].as_u64().unwrap()).unwrap();
        expected[class] = prediction["probability"].as_f64().unwrap();
    }
    let binary = with_lengths(&[png(GREEN)]);
    let head = binary_input("image", "BYTES", &json!([1]), binary.len());
    let one_dimension_more = binary_input("image", "BYTES", &json!([1, 1]), binary.len());
    let mut object = pictures(&[GREEN]);
    object["inputs"][0]["data"] = json!([[{"b64": object["inputs"][0]["data"][0]}]]);
    let bare = Request::post(INFER).header("inference-header-content-length", "0");
    let answers = [
        infer(&service, &pictures(&[GREEN])).await,
        infer(&service, &object).await,
        infer_binary(&service, &head, &binary).await,
        infer_binary(&service, &one_dimension_more, &binary).await,
        infer(&service, &tensor(&[GREEN])).await,
        service.send(bare.body(png(GREEN).into()).unwrap()).await,
    ];
    for answer in answers {
        assert_eq!(numbers(&answer, "probabilities"), expected);
        assert_eq!(numbers(&answer, "logits"), logits(GREEN));
    }
}

#[tokio::test]
async fn several_images_are_answered_in_order() {
    let service = Service::start();
    let colors = [RED, GREEN, [9, 8, 7]];
    let expected: Vec<f64> = colors.into_iter().flat_map(logits).collect();
    let binary = with_lengths(&colors.map(png));
    let head = binary_input("image", "BYTES", &json!([3]), binary.len());
    for answer in [
        infer(&service, &pictures(&colors)).await,
        infer(&service, &tensor(&colors)).await,
        infer_binary(&service, &head, &binary).await,
    ] {
        assert_eq!(answer.json()["outputs"][0]["shape"], json!([3, 6]));
        assert_eq!(numbers(&answer, "logits"), expected);
    }
}

#[tokio::test]
async fn the_networks_own_input_is_taken_in_its_own_type_in_json_and_binary() {
    let values: Vec<f32> = (0..48).map(|index: u8| f32::from(index) * 0.5 - 1.0).collect();
    let expected = [-1.0, -0.5, 0.0].map(|value| value / 32.0);
    let floats: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let halves: Vec<u8> =
        values.iter().flat_map(|value| f16::from_f32(*value).to_le_bytes()).collect();
    for (input, datatype, binary) in [("float32", "FP32", floats), ("float16", "FP16", halves)] {
        let service = Service::with(Settings { input, ..Settings::default() });
        let shape = json!([1, 3, 4, 4]);
        let tensor = json!({"name": "input", "datatype": datatype, "shape": shape, "data": values});
        let head = binary_input("input", datatype, &shape, binary.len());
        for answer in [
            infer(&service, &json!({"inputs": [tensor]})).await,
            infer_binary(&service, &head, &binary).await,
        ] {
            assert_eq!(numbers(&answer, "logits")[..3], expected, "{input}");
        }
    }
}

#[tokio::test]
async fn a_compressed_body_has_its_jsons_length_before_compression() {
    let service = Service::start();
    let binary = with_lengths(&[png(RED)]);
    let text = binary_input("image", "BYTES", &json!([1]), binary.len()).to_string();
    let body = [text.as_bytes(), &binary].concat();
    for (coding, body) in [("gzip", gzip(&body)), ("deflate", deflate(&body))] {
        let request = Request::post(INFER)
            .header("content-encoding", coding)
            .header("inference-header-content-length", text.len());
        let answer = service.send(request.body(body.into()).unwrap()).await;
        assert_eq!(numbers(&answer, "logits"), logits(RED), "{coding}");
    }
}

#[tokio::test]
async fn the_version_may_stand_in_the_path_and_the_content_type_is_of_no_matter() {
    let service = Service::start();
    let body = pictures(&[RED]).to_string();
    for (path, kind) in [
        ("/v2/models/colors/versions/7/infer", "application/json"),
        (INFER, ""),
        (INFER, "application/octet-stream"),
        (INFER, "text/plain"),
    ] {
        let answer = service.send(post(path, kind, body.clone())).await;
        assert_eq!(answer.status, StatusCode::OK, "{kind}: {}", answer.text);
    }
}

#[tokio::test]
async fn tensors_take_the_places_the_batches_and_the_counters_of_pictures() {
    let service = Service::start();
    infer(&service, &tensor(&[RED, GREEN, RED])).await;
    infer(&service, &pictures(&[RED])).await;
    assert_eq!(service.engine.batches().iter().sum::<usize>(), 4);
    for (metric, due) in [
        (r#"resnet_serve_images_total{outcome="classified"}"#, 4.0),
        (r#"resnet_serve_stage_duration_seconds_count{stage="decode"}"#, 1.0),
        (r#"resnet_serve_stage_duration_seconds_count{stage="inference"}"#, 4.0),
        (r#"resnet_serve_requests_total{route="/v2/models/{name}/infer",status="200"}"#, 2.0),
        ("resnet_serve_inflight_images", 0.0),
    ] {
        assert!((service.metric(metric) - due).abs() < 0.1, "{metric}");
    }
    assert_eq!(service.memory.left(), Settings::default().memory);
}
