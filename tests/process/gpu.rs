//! What is told of GPUs, where NVIDIA's library is there and where it is not.

use std::path::{Path, PathBuf};
use std::process::Command;

use reqwest::Client;
use tempfile::TempDir;

use crate::support::{Service, SmallModel};

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
