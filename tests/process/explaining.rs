//! Answers that say what they come from: features, feature maps and heat maps.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use image::RgbaImage;
use reqwest::{Client, StatusCode};
use resnet_serve::networks::LastLayer;
use serde_json::{Value, json};

use crate::grpc::{self, picture};
use crate::support::{Service, SmallModel, png};

/// Channels, rows and columns of the small network's map.
const MAP: [usize; 3] = [64, 8, 8];

fn model() -> SmallModel {
    SmallModel::build_with(&["--features"])
}

async fn explained(service: &Service, picture: Vec<u8>) -> Value {
    let response = Client::new().post(service.url("/classify?explain=1")).body(picture).send();
    let response = response.await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    response.json().await.unwrap()
}

/// Outputs by their names, with their shapes.
async fn outputs(service: &Service, names: &[&str], picture: &[u8]) -> Value {
    outputs_of((service, 1), names, picture).await
}

/// The same for so many copies of a picture.
async fn outputs_of((service, count): (&Service, usize), names: &[&str], picture: &[u8]) -> Value {
    let image = json!({"name": "image", "datatype": "BYTES", "shape": [count],
        "data": vec![BASE64_STANDARD.encode(picture); count]});
    let outputs: Vec<Value> = names.iter().map(|name| json!({"name": name})).collect();
    let request = json!({"inputs": [image], "outputs": outputs});
    let url = service.url("/v2/models/cifar-resnet20/infer");
    let response = Client::new().post(url).json(&request).send().await.unwrap();
    response.json().await.unwrap()
}

fn numbers(answer: &Value, name: &str) -> Vec<f32> {
    let outputs = answer["outputs"].as_array().unwrap_or_else(|| panic!("{answer}"));
    let output = outputs.iter().find(|output| output["name"] == name).unwrap();
    serde_json::from_value(output["data"].clone()).unwrap()
}

fn heat_map(answer: &Value) -> RgbaImage {
    let text = answer["results"][0]["explanation"]["heat_map"].as_str().unwrap();
    image::load_from_memory(&BASE64_STANDARD.decode(text).unwrap()).unwrap().into_rgba8()
}

/// So large that it is not written on the threads that answer.
#[tokio::test]
async fn a_large_answer_is_written_like_a_small_one() {
    let model = model();
    let service = Service::start(&model.path(), &[]);
    let picture = png();
    let map = async |count| {
        numbers(&outputs_of((&service, count), &["feature_map"], &picture).await, "feature_map")
    };
    let (one, eight) = (map(1).await, map(8).await);
    assert_eq!((one.len(), eight.len()), (4096, 8 * 4096));
    for copy in eight.chunks(4096) {
        assert!(copy.iter().zip(&one).all(|(a, b)| (a - b).abs() < 1e-5));
    }
}

#[tokio::test]
async fn features_are_the_mean_of_the_map_and_scores_are_made_of_them() {
    let model = model();
    let service = Service::start(&model.path(), &[]);
    let layer = LastLayer::read(&model.path().join("model.onnx"), "feature_map", "logits").unwrap();
    let mut biases = Vec::new();
    for picture in [png(), include_bytes!("../fixtures/api/gradient.jpg").to_vec()] {
        let answer = outputs(&service, &["logits", "features", "feature_map"], &picture).await;
        assert_eq!(answer["outputs"][1]["shape"], json!([1, 64]));
        assert_eq!(answer["outputs"][2]["shape"], json!([1, 64, 8, 8]));
        let features = numbers(&answer, "features");
        for (mean, channel) in features.iter().zip(numbers(&answer, "feature_map").chunks(64)) {
            assert!((channel.iter().sum::<f32>() / 64.0 - mean).abs() < 1e-4);
        }
        let sum =
            |class| layer.of_class(class).iter().zip(&features).map(|(a, b)| a * b).sum::<f32>();
        let logits = numbers(&answer, "logits");
        biases.push(logits.iter().enumerate().map(|(class, logit)| logit - sum(class)).collect());
    }
    let [first, second]: [Vec<f32>; 2] = biases.try_into().unwrap();
    assert!(first.iter().zip(&second).all(|(a, b)| (a - b).abs() < 1e-3), "{first:?} {second:?}");
}

#[tokio::test]
async fn features_are_answered_only_where_they_are_asked_for() {
    let model = model();
    let service = Service::start(&model.path(), &[]);
    let answer = outputs(&service, &[], &png()).await;
    let names: Vec<&Value> =
        answer["outputs"].as_array().unwrap().iter().map(|output| &output["name"]).collect();
    assert_eq!(names, ["logits", "probabilities"]);
    let url = service.url("/v2/models/cifar-resnet20");
    let metadata: Value = Client::new().get(url).send().await.unwrap().json().await.unwrap();
    assert_eq!(metadata["outputs"][3]["name"], "feature_map");
    assert_eq!(metadata["outputs"][3]["shape"], json!([-1, 64, 8, 8]));
}

#[tokio::test]
async fn both_doors_answer_with_the_same_features() {
    let model = model();
    let service = Service::start(&model.path(), &[]);
    let answer = grpc::infer(&service, &grpc::asking(picture(), &["feature_map"])).await;
    assert_eq!(answer.outputs[0].shape, [1, 64, 8, 8]);
    let (floats, _) = answer.raw_output_contents[0].as_chunks::<4>();
    let floats: Vec<f32> = floats.iter().copied().map(f32::from_le_bytes).collect();
    assert_eq!(floats.len(), MAP.iter().product::<usize>());
    let other = numbers(&outputs(&service, &["feature_map"], &png()).await, "feature_map");
    assert!(floats.iter().zip(&other).all(|(a, b)| (a - b).abs() < 1e-4));
}

#[tokio::test]
async fn a_heat_map_has_the_pictures_proportions_and_covers_what_was_seen_of_it() {
    let model = model();
    let service = Service::start(&model.path(), &[]);
    let answer = explained(&service, png()).await;
    let result = &answer["results"][0];
    assert_eq!(result["explanation"]["class"], result["predictions"][0]["class"]);
    let heat = heat_map(&answer);
    assert_eq!(heat.dimensions(), (128, 96), "the picture has 40 × 30 pixels");
    // Resized to 42 × 32, of which the middle 32 × 32 is seen.
    let covered = |x: u32| (0..96).all(|y| heat.get_pixel(x, y)[3] == 255);
    let free = |x: u32| (0..96).all(|y| heat.get_pixel(x, y)[3] == 0);
    assert!((0..15).chain(113..128).all(free) && (16..112).all(covered));
    let colors = heat.pixels().collect::<std::collections::HashSet<_>>();
    assert!(colors.len() > 50, "{}", colors.len());
}

#[tokio::test]
async fn a_picture_that_lies_on_its_side_is_explained_upright() {
    let model = model();
    let service = Service::start(&model.path(), &[]);
    let answer = explained(&service, turned(&png())).await;
    assert_eq!(answer["results"][0]["image"]["orientation"], 6);
    assert_eq!(heat_map(&answer).dimensions(), (96, 128));
}

#[tokio::test]
async fn models_say_whether_they_explain_themselves() {
    let (plain, shows) = (SmallModel::build(), model());
    for (model, explains, status) in [(&plain, false, 400), (&shows, true, 200)] {
        let service = Service::start(&model.path(), &[]);
        let models = Client::new().get(service.url("/models")).send().await.unwrap();
        let models: Value = models.json().await.unwrap();
        assert_eq!(models["models"][0]["explains"], explains);
        let request = Client::new().post(service.url("/classify?explain=1")).body(png());
        let response = request.send().await.unwrap();
        assert_eq!(response.status().as_u16(), status);
        let without = Client::new().post(service.url("/classify?explain=0")).body(png());
        let without: Value = without.send().await.unwrap().json().await.unwrap();
        assert!(without["results"][0].get("explanation").is_none(), "{without}");
    }
}

/// The same picture with the EXIF data of a camera that was held upright.
fn turned(png: &[u8]) -> Vec<u8> {
    use image::ImageEncoder as _;
    let exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0".to_vec();
    let pixels = image::load_from_memory(png).unwrap().into_rgb8();
    let mut bytes = Vec::new();
    let mut encoder = image::codecs::png::PngEncoder::new(&mut bytes);
    encoder.set_exif_metadata(exif).unwrap();
    let (width, height) = pixels.dimensions();
    encoder.write_image(&pixels, width, height, image::ExtendedColorType::Rgb8).unwrap();
    bytes
}
