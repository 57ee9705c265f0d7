//! Several networks that are served as one.

use std::fs;
use std::path::PathBuf;

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use crate::support::{Service, SmallModel, png, run, stderr};

/// A network, another one beside it, and an ensemble of the two.
struct Ensemble {
    model: SmallModel,
    folder: PathBuf,
    other: PathBuf,
}

impl Ensemble {
    fn build() -> Self {
        let model = SmallModel::build();
        let other = model.path().with_file_name("other");
        let place = other.to_str().unwrap();
        let built = run(&["model", "build", "cifar-resnet32", "--seed=7", "-o", place]);
        assert!(built.status.success(), "{}", stderr(&built));
        let folder = model.path().with_file_name("both");
        fs::create_dir(&folder).unwrap();
        let manifest = "name = \"both\"\nversion = \"1\"\ntrained = false\n\n\
            [ensemble]\nmembers = [\"small\", \"other\"]\n";
        fs::write(folder.join("model.toml"), manifest).unwrap();
        Self { model, folder, other }
    }
}

/// The probability of each class by its number, and what answered.
async fn probabilities(service: &Service, query: &str) -> (Vec<f64>, Value) {
    let url = service.url(&format!("/classify?top_k=10{query}"));
    let response = Client::new().post(url).body(png()).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let answer: Value = response.json().await.unwrap();
    let mut of_class = vec![0.0; 10];
    for prediction in answer["results"][0]["predictions"].as_array().unwrap() {
        let class = usize::try_from(prediction["class"].as_u64().unwrap()).unwrap();
        of_class[class] = prediction["probability"].as_f64().unwrap();
    }
    (of_class, answer["model"].clone())
}

#[tokio::test]
async fn an_ensemble_answers_with_the_mean_of_its_members_and_names_them() {
    let ensemble = Ensemble::build();
    let (first, second) = (ensemble.model.argument(), ensemble.other.display().to_string());
    let flags = ["--model", &first, "--model", &second, "--sessions=1"];
    let service = Service::start(&ensemble.folder, &flags);
    let (both, model) = probabilities(&service, "").await;
    assert_eq!(model["name"], "both");
    assert_eq!(model["members"], json!(["cifar-resnet20", "cifar-resnet32"]));
    let (one, alone) = probabilities(&service, "&model=cifar-resnet20").await;
    assert!(alone.get("members").is_none(), "{alone}");
    let (two, _) = probabilities(&service, "&model=cifar-resnet32").await;
    for ((mean, one), two) in both.iter().zip(&one).zip(&two) {
        assert!((mean - f64::midpoint(*one, *two)).abs() < 1e-5, "{both:?}");
    }
    let metrics = Client::new().get(service.admin_url("/metrics")).send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    for member in ["cifar-resnet20", "cifar-resnet32"] {
        let start = format!("resnet_serve_ensemble_info{{member=\"{member}\",model=\"both\"");
        assert!(metrics.contains(&start), "{metrics}");
    }
}

#[tokio::test]
async fn an_ensemble_is_asked_over_the_protocol_as_any_model() {
    let ensemble = Ensemble::build();
    let service = Service::start(&ensemble.folder, &[]);
    let url = service.url("/v2/models/both");
    let metadata: Value = Client::new().get(url).send().await.unwrap().json().await.unwrap();
    assert_eq!(metadata["outputs"].as_array().unwrap().len(), 1);
    assert_eq!(metadata["outputs"][0]["name"], "probabilities");
    let tensor = json!({"name": "input", "datatype": "FP32", "shape": [1, 3, 32, 32],
        "data": vec![0.5; 3 * 32 * 32]});
    let url = service.url("/v2/models/both/infer");
    let request = Client::new().post(url).json(&json!({"inputs": [tensor]}));
    let answer: Value = request.send().await.unwrap().json().await.unwrap();
    let sum: f64 =
        answer["outputs"][0]["data"].as_array().unwrap().iter().filter_map(Value::as_f64).sum();
    assert!((sum - 1.0).abs() < 1e-5, "{answer}");
}

#[tokio::test]
async fn a_member_that_changes_is_noticed_in_a_watched_ensemble() {
    let ensemble = Ensemble::build();
    let mut service = Service::start(&ensemble.folder, &["--watch=50ms"]);
    let before = probabilities(&service, "").await.0;
    let fresh = ensemble.model.path().with_file_name("fresh");
    let place = fresh.to_str().unwrap();
    let output = run(&["model", "build", "cifar-resnet20", "--seed=9", "-o", place]);
    assert!(output.status.success(), "{}", stderr(&output));
    for file in ["model.toml", "model.onnx"] {
        fs::rename(fresh.join(file), ensemble.model.path().join(file)).unwrap();
    }
    assert_eq!(service.wait_for("model reloaded")["model"], "both");
    assert_ne!(probabilities(&service, "").await.0, before);
}

#[test]
fn an_ensemble_classifies_without_a_server_and_tests_itself() {
    let ensemble = Ensemble::build();
    let folder = ensemble.folder.to_str().unwrap();
    assert!(run(&["model", "selftest", folder]).status.success());
    let picture = ensemble.model.picture("picture.png");
    let output = run(&["classify", "--json", "--model", folder, &picture]);
    assert!(output.status.success(), "{}", stderr(&output));
    let other = ensemble.other.to_str().unwrap();
    fs::remove_dir_all(other).unwrap();
    let refused = run(&["serve", "--check", "--model", folder]);
    assert_eq!(refused.status.code(), Some(78));
    let words = format!("ensemble.members: there is no folder `{other}`");
    assert!(stderr(&refused).contains(&words), "{}", stderr(&refused));
}
