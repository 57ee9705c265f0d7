//! Ten crops of each picture: averaged, and counted as what they cost.

use std::io::Cursor;

use image::{ImageFormat, Rgb, RgbImage};

use crate::support::{Service, Settings, png, post, spawn, until};

const BLUE: Rgb<u8> = Rgb([0, 0, 200]);
const RED: Rgb<u8> = Rgb([200, 0, 0]);

fn is(value: f64, expected: f64) -> bool {
    (value - expected).abs() < 1e-6
}

/// Twice as wide as what the network sees: red on the left, blue on the right.
fn red_and_blue() -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let pixel = |x, _| if x < 4 { RED } else { BLUE };
    RgbImage::from_fn(8, 4, pixel).write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

#[tokio::test]
async fn an_answer_is_the_mean_over_ten_crops_and_says_so() {
    let service = Service::start();
    let one = service.classify("?top_k=2", "", red_and_blue()).await.json();
    assert_eq!(one["results"][0]["predictions"][0]["label"], "red", "the middle begins red");
    assert!(one.get("crops").is_none());
    let ten = service.classify("?top_k=2&crops=10", "", red_and_blue()).await.json();
    assert_eq!(ten["crops"], 10);
    // The network looks at the first pixel, which is red in half of the crops.
    let predictions = &ten["results"][0]["predictions"];
    let [first, second] = [0, 1].map(|index| predictions[index]["probability"].as_f64().unwrap());
    assert!((first - second).abs() < 1e-6, "{predictions}");
    let alone = one["results"][0]["predictions"][0]["probability"].as_f64().unwrap();
    let other = one["results"][0]["predictions"][1]["probability"].as_f64().unwrap();
    assert!((first - f64::midpoint(alone, other)).abs() < 1e-6);
}

#[tokio::test]
async fn ten_crops_are_one_image_and_ten_runs_of_the_network() {
    let service = Service::start();
    service.classify("?crops=10", "", red_and_blue()).await;
    assert_eq!(service.engine.batches().iter().sum::<usize>(), 10);
    assert!(is(service.metric("resnet_serve_images_total{outcome=\"classified\"}"), 1.0));
    assert!(is(service.metric("resnet_serve_ten_crop_images_total"), 1.0));
    assert!(is(service.metric("resnet_serve_batch_images_sum"), 10.0));
}

#[tokio::test]
async fn each_crop_has_a_place_in_the_queue() {
    let service = Service::with(Settings { queue_capacity: 14, ..Settings::default() });
    service.engine.hold();
    let first = spawn(&service, "?crops=10", [0, 0, 200]);
    until(|| is(service.metric("resnet_serve_inflight_images"), 10.0)).await;
    let second = service.classify("?crops=10", "", png([0, 0, 200])).await;
    second.problem(503, "overloaded");
    assert!(is(service.metric("resnet_serve_images_total{outcome=\"rejected\"}"), 1.0));
    service.engine.release();
    assert!(first.await.unwrap().is_success());
    assert!(is(service.metric("resnet_serve_inflight_images"), 0.0));
}

#[tokio::test]
async fn a_client_that_leaves_withdraws_all_ten() {
    let service = Service::start();
    service.engine.hold();
    let request = spawn(&service, "?crops=10", [0, 0, 200]);
    until(|| is(service.metric("resnet_serve_inflight_images"), 10.0)).await;
    until(|| !service.engine.batches().is_empty()).await;
    request.abort();
    let _ = request.await;
    service.engine.release();
    until(|| is(service.metric("resnet_serve_inflight_images"), 0.0)).await;
    assert!(is(service.metric("resnet_serve_images_total{outcome=\"abandoned\"}"), 1.0));
    service.assert_still_answers().await;
}

#[tokio::test]
async fn more_images_than_ever_fit_and_other_numbers_of_crops_are_refused() {
    let service = Service::start();
    let text = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, red_and_blue());
    let body = serde_json::json!({"images": vec![text; 7]}).to_string();
    let request = post("/classify?crops=10", "application/json", body);
    let detail = service.send(request).await.problem(400, "invalid_request");
    assert!(detail.contains("1 to 6 are taken where each is seen ten times"), "{detail}");
    for (query, hint) in [("?crops=5", "must be 1 or 10"), ("?crops=ten", "crops")] {
        let answer = service.classify(query, "", red_and_blue()).await;
        let detail = answer.problem(400, "invalid_request");
        assert!(detail.contains(hint), "{detail}");
    }
    service.assert_still_answers().await;
}
