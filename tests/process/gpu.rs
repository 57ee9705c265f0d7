//! What is told of GPUs, where NVIDIA's library is there and where it is not.

use std::path::{Path, PathBuf};
use std::process::Command;

use reqwest::{Client, StatusCode};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Service, SmallModel, command, stderr};

/// A folder with a library of that name whose GPUs are known.
fn two_gpus() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/nvml/two_gpus.c");
    let library: PathBuf = folder.path().join("libnvidia-ml.so.1");
    let mut compiler = Command::new("cc");
    let built = compiler.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).status();
    assert!(built.unwrap().success());
    folder
}

/// The first scrape that has the metric: the GPUs are asked beside the start.
async fn scrape(service: &Service, metric: &str) -> String {
    loop {
        let metrics = Client::new().get(service.admin_url("/metrics")).send().await.unwrap();
        let text = metrics.text().await.unwrap();
        if text.contains(metric) {
            return text;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn every_gpu_is_told_as_far_as_it_tells() {
    let (model, library) = (SmallModel::build(), two_gpus());
    let path = library.path().to_str().unwrap();
    let service = Service::start_in(&model.path(), &[], &[("LD_LIBRARY_PATH", path)]);
    let text = scrape(&service, r#"resnet_serve_gpu_memory_total_bytes{gpu="1"}"#).await;
    let gib = |count: u64| (count << 30).to_string();
    for (series, due) in [
        (r#"utilization_ratio{gpu="0"}"#, "0.37".to_owned()),
        (r#"memory_used_bytes{gpu="0"}"#, gib(20)),
        (r#"memory_total_bytes{gpu="0"}"#, gib(80)),
        (r#"memory_used_bytes{gpu="1"}"#, gib(5)),
    ] {
        let line = format!("resnet_serve_gpu_{series} {due}\n");
        assert!(text.contains(&line), "no `{line}`:\n{text}");
    }
    assert!(!text.contains(r#"utilization_ratio{gpu="1"}"#), "what it does not tell is not there");
}

#[tokio::test]
async fn without_a_gpu_there_are_no_figures_and_no_complaint() {
    let model = SmallModel::build();
    // Hides the library of a machine that has one.
    let library = model.file("libnvidia-ml.so.1", b"no library");
    let path = Path::new(&library).parent().unwrap().to_str().unwrap();
    let variables = [("LD_LIBRARY_PATH", path)];
    let service = Service::start_in(&model.path(), &["--provider=cpu"], &variables);
    let text = scrape(&service, "resnet_serve_build_info").await;
    assert!(!text.contains("resnet_serve_gpu_"), "{text}");
    service.signal("-TERM");
    let (_, log) = service.wait();
    assert!(!log.contains("GPU") && !log.contains("nvidia"), "{log}");
}

/// A folder with NVIDIA's libraries for JPEG, as far as they are used.
fn jpeg_unit() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/nvjpeg/unit.c");
    for library in ["libnvjpeg.so.13", "libcudart.so.13", "libcuda.so.1"] {
        let mut compiler = Command::new("cc");
        let library = folder.path().join(library);
        let built = compiler.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).status();
        assert!(built.unwrap().success());
    }
    folder
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/fixtures/preprocess/{name}", env!("CARGO_MANIFEST_DIR")))
        .unwrap()
}

async fn classify(service: &Service, picture: Vec<u8>) -> (StatusCode, Value) {
    let request = Client::new().post(service.url("/classify?top_k=3")).body(picture);
    let answer = request.send().await.unwrap();
    (answer.status(), answer.json().await.unwrap())
}

#[tokio::test]
async fn the_gpu_s_jpeg_unit_decodes_what_is_whole() {
    for decoder in ["--jpeg-decoder=nvjpeg", "--jpeg-decoder=nvjpeg-fast"] {
        what_is_whole_is_decoded_by_the_unit(decoder).await;
    }
}

async fn what_is_whole_is_decoded_by_the_unit(decoder: &str) {
    let (model, library) = (SmallModel::build(), jpeg_unit());
    let variables = [("LD_LIBRARY_PATH", library.path().to_str().unwrap())];
    let service = Service::start_in(&model.path(), &[decoder], &variables);
    // The unit paints all of them in the same grey, so the network answers the same.
    let mut answers = Vec::new();
    for name in ["gray.jpg", "sampling-420.jpg", "sampling-422.jpg", "sampling-444.jpg"] {
        let (status, answer) = classify(&service, fixture(name)).await;
        assert_eq!(status, StatusCode::OK, "{name}: {answer}");
        answers.push(answer["results"][0]["predictions"].clone());
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    // A core that is free may come first.
    let without = Service::start(&model.path(), &[]);
    let (_, of_core) = classify(&without, fixture("sampling-420.jpg")).await;
    let expected = [&answers[0], &of_core["results"][0]["predictions"]];
    let many = (0..20).map(|_| classify(&service, fixture("sampling-420.jpg")));
    for (status, answer) in futures_util::future::join_all(many).await {
        assert_eq!(status, StatusCode::OK);
        assert!(expected.contains(&&answer["results"][0]["predictions"]), "{answer}");
    }
    let mut cut = fixture("sampling-444.jpg");
    cut.truncate(cut.len() / 2);
    assert_eq!(classify(&service, cut).await.0, StatusCode::UNPROCESSABLE_ENTITY);

    let metrics = scrape(&service, "jpeg_unit_images_total{result=\"broken\"} 1").await;
    assert!(metrics.contains("jpeg_unit_images_total{result=\"decoded\"}"), "{metrics}");
    service.signal("-TERM");
    let (status, log) = service.wait();
    assert!(status.success(), "{log}");
}

#[tokio::test]
async fn a_picture_that_the_jpeg_unit_leaves_out_is_decoded_by_the_cpu() {
    let (model, library) = (SmallModel::build(), jpeg_unit());
    let path = library.path().to_str().unwrap();
    let without = Service::start(&model.path(), &[]);
    let (_, expected) = classify(&without, fixture("sampling-444.jpg")).await;
    let variables = [("LD_LIBRARY_PATH", path), ("LEAVE_PICTURES_OUT", "1")];
    let service = Service::start_in(&model.path(), &["--jpeg-decoder=nvjpeg"], &variables);

    let (_, answer) = classify(&service, fixture("sampling-444.jpg")).await;

    assert_eq!(answer["results"][0]["predictions"], expected["results"][0]["predictions"]);
    scrape(&service, "jpeg_unit_images_total{result=\"failed\"} 1").await;
}

#[test]
fn a_jpeg_unit_that_is_not_there_is_said_at_the_start() {
    let (model, library) = (SmallModel::build(), jpeg_unit());
    let no_library = model.file("libnvjpeg.so.13", b"no library");
    let nowhere = Path::new(&no_library).parent().unwrap().to_str().unwrap();
    let there = library.path().to_str().unwrap();
    let missing = ("nvjpeg-fast", nowhere, "`libnvjpeg.so.13` is not found");
    for (decoder, path, said) in [missing, ("nvjpeg", there, "has no JPEG unit")] {
        let mut serve = command();
        serve.args(["serve", "--check", "--jpeg-decoder", decoder, "--model", &model.argument()]);
        let output = serve.env("LD_LIBRARY_PATH", path).env("NO_JPEG_UNIT", "1").output().unwrap();
        assert_eq!(output.status.code(), Some(78), "{}", stderr(&output));
        let told = stderr(&output);
        assert!(told.contains(said) && told.contains(&format!("{decoder} cannot")), "{told}");
    }
}
