//! Models that are replaced while they are served.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde_json::Value;

use crate::support::{Service, SmallModel, png, run, stderr, stdout};

/// Reloads in the test under load.
const RELOADS: usize = 12;

async fn post(url: String) -> (StatusCode, Value) {
    let response = Client::new().post(url).send().await.unwrap();
    (response.status(), response.json().await.unwrap())
}

async fn reload(service: &Service) -> (StatusCode, Value) {
    post(service.admin_url("/models/reload")).await
}

/// The model that answers.
async fn answering(service: &Service) -> Value {
    let response = Client::new().post(service.url("/classify")).body(png()).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let answer: Value = response.json().await.unwrap();
    answer["model"].clone()
}

/// What many requests have to say would fill the pipe, which nobody empties, and hold the service.
async fn hush(service: &Service) {
    let url = service.admin_url("/log-level");
    let response = Client::new().put(url).body("warn").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
}

async fn metrics(service: &Service) -> String {
    let response = Client::new().get(service.admin_url("/metrics")).send().await.unwrap();
    response.text().await.unwrap()
}

fn edit(folder: &Path, (from, to): (&str, &str)) {
    let path = folder.join("model.toml");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{text}");
    // As deployments do it: the new file takes the old one's place.
    fs::write(path.with_extension("new"), text.replacen(from, to, 1)).unwrap();
    fs::rename(path.with_extension("new"), path).unwrap();
}

const NEXT: (&str, &str) = ("version = \"1\"", "version = \"2\"");

#[tokio::test]
async fn a_new_version_takes_the_place_of_the_old_one() {
    let model = SmallModel::build();
    let service = Service::start(&model.path(), &[]);
    edit(&model.path(), NEXT);
    assert_eq!(answering(&service).await["version"], "1", "nobody has asked for the new one");
    let (status, answer) = reload(&service).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!(answer["models"][0]["version"], "2");
    assert_eq!(answer["models"][0]["replaced_version"], "1");
    assert_eq!(answering(&service).await["version"], "2");
    let text = metrics(&service).await;
    let info: Vec<&str> =
        text.lines().filter(|line| line.starts_with("resnet_serve_model_info{")).collect();
    assert!(matches!(info[..], [one] if one.contains("version=\"2\"")), "{info:?}");
    assert!(text.contains(r#"resnet_serve_model_reloads_total{result="succeeded"} 1"#), "{text}");
    let ready = Client::new().get(service.admin_url("/ready")).send().await.unwrap();
    assert_eq!(ready.status(), StatusCode::OK);
}

#[tokio::test]
async fn what_cannot_be_served_leaves_the_old_one_and_says_why() {
    let model = SmallModel::build();
    assert!(run(&["model", "selftest", &model.argument()]).status.success());
    let service = Service::start(&model.path(), &[]);
    for (from, to, reason) in [
        ("[input]", "[inputs]", "input.height"),
        ("[inputs]", "[input]", ""),
        ("\"bilinear\"", "\"bicubic\"", "the pixels differ by up to"),
    ] {
        edit(&model.path(), (from, to));
        let (status, problem) = reload(&service).await;
        if reason.is_empty() {
            assert_eq!(status, StatusCode::OK, "{problem}");
            continue;
        }
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(problem["code"], "reload_failed");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("serves as before") && detail.contains(reason), "{detail}");
        assert_eq!(answering(&service).await["version"], "1");
    }
    let text = metrics(&service).await;
    assert!(text.contains(r#"resnet_serve_model_reloads_total{result="failed"} 2"#), "{text}");
    let workers = text.lines().find(|line| line.starts_with("resnet_serve_workers ")).unwrap();
    let configured =
        text.lines().find(|line| line.starts_with("resnet_serve_workers_configured ")).unwrap();
    assert_eq!(workers.split(' ').next_back(), configured.split(' ').next_back(), "none leaks");
}

#[tokio::test]
async fn sighup_loads_every_model_anew_and_ends_nothing() {
    let model = SmallModel::build();
    let mut service = Service::start(&model.path(), &[]);
    edit(&model.path(), NEXT);
    service.signal("-HUP");
    let line = service.wait_for("model reloaded");
    assert_eq!((&line["version"], &line["replaced_version"]), (&"2".into(), &"1".into()));
    assert_eq!(answering(&service).await["version"], "2");
}

#[tokio::test]
async fn a_watched_folder_is_loaded_when_it_has_changed() {
    let model = SmallModel::build();
    let mut service = Service::start(&model.path(), &["--watch=50ms"]);
    edit(&model.path(), NEXT);
    assert_eq!(service.wait_for("model reloaded")["version"], "2");
    edit(&model.path(), ("[output]", "[outputs]"));
    let failure = service.wait_for("the model serves as before");
    assert!(failure["cause"].as_str().unwrap().contains("output.labels"), "{failure}");
    assert_eq!(answering(&service).await["version"], "2");
}

#[tokio::test]
async fn one_of_several_models_can_be_chosen_and_no_name_is_taken_twice() {
    let (first, second) = (SmallModel::build(), SmallModel::build());
    edit(&second.path(), ("name = \"", "name = \"second-"));
    let service = Service::start(&first.path(), &["--model", &second.argument()]);
    edit(&first.path(), NEXT);
    let (status, answer) =
        post(service.admin_url("/models/reload?model=second-cifar-resnet20")).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!(answer["models"].as_array().unwrap().len(), 1);
    assert_eq!(answering(&service).await["version"], "1");
    edit(&second.path(), ("name = \"second-", "name = \""));
    let (status, problem) = reload(&service).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("another model is named `cifar-resnet20` already"), "{detail}");
    assert!(detail.ends_with("; loaded anew: `cifar-resnet20`"), "{detail}");
    assert_eq!(answering(&service).await["version"], "2", "the other was reloaded");
}

#[tokio::test]
async fn what_cannot_be_asked_for_is_refused() {
    let model = SmallModel::build();
    let service = Service::start(&model.path(), &[]);
    let (status, problem) = post(service.admin_url("/models/reload?model=other")).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(problem["detail"].as_str().unwrap().contains("`cifar-resnet20`"), "{problem}");
    let (status, _) = post(service.admin_url("/models/reload?modle=x")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let public = post(service.url("/models/reload")).await;
    assert_eq!(public.0, StatusCode::NOT_FOUND);
}

#[test]
fn two_models_of_one_name_are_refused_before_either_is_loaded() {
    let (first, second) = (SmallModel::build(), SmallModel::build());
    let arguments =
        ["serve", "--check", "--model", &first.argument(), "--model", &second.argument()];
    let output = run(&arguments);
    assert_eq!(output.status.code(), Some(78));
    let said = stderr(&output);
    let [one, other] = [first.argument(), second.argument()];
    let words = format!("two models are named `cifar-resnet20`: `{one}` and `{other}`");
    assert!(said.contains(&words), "{said}");
    assert!(!said.contains("warmed up"), "{said}");
}

#[test]
fn one_model_that_is_given_twice_is_refused() {
    let model = SmallModel::build();
    let named = model.file("named", b"small");
    let output = run(&["serve", "--check", "--model", &model.argument(), "--model", &named]);
    assert_eq!(output.status.code(), Some(78));
    let words = format!("the model `{}` is given twice", model.argument());
    assert!(stderr(&output).contains(&words), "{}", stderr(&output));
}

/// Two models of one name, and a file that says which of them is meant.
struct Two {
    model: SmallModel,
    current: PathBuf,
    /// What each version answers: classes and probabilities.
    answers: Vec<Vec<(Value, f64)>>,
}

impl Two {
    fn new() -> Self {
        let model = SmallModel::build();
        let (first, second) = (model.path(), model.path().with_file_name("other"));
        let other = second.to_str().unwrap();
        assert!(
            run(&["model", "build", "cifar-resnet20", "--seed=7", "-o", other]).status.success()
        );
        edit(&second, NEXT);
        let picture = model.picture("picture.png");
        let answer = |folder: &Path| {
            let folder = folder.to_str().unwrap();
            let output = run(&["classify", "--json", "--model", folder, &picture]);
            predictions(&serde_json::from_str(&stdout(&output)).unwrap())
        };
        let answers = vec![answer(&first), answer(&second)];
        assert_ne!(answers[0], answers[1], "they can be told apart");
        let current = first.with_file_name("current");
        fs::write(&current, "small").unwrap();
        Self { model, current, answers }
    }

    fn choose(&self, name: &str) {
        let new = self.model.path().with_file_name("new");
        fs::write(&new, name).unwrap();
        fs::rename(new, &self.current).unwrap();
    }
}

fn predictions(answer: &Value) -> Vec<(Value, f64)> {
    let one = |one: &Value| (one["class"].clone(), one["probability"].as_f64().unwrap());
    answer["results"][0]["predictions"].as_array().unwrap().iter().map(one).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn under_load_nothing_fails_and_no_answer_is_of_two_models() {
    let two = Two::new();
    let service = Service::start(&two.current, &[]);
    hush(&service).await;
    let done = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (url, done, due) =
                (service.url("/classify"), Arc::clone(&done), two.answers.clone());
            tokio::spawn(async move { ask_until(url, &done, &due).await })
        })
        .collect();
    for index in 0..RELOADS {
        two.choose(["other", "small"][index % 2]);
        let (status, answer) = reload(&service).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }
    done.store(true, Ordering::Relaxed);
    let mut seen = [0, 0];
    for client in clients {
        let of_each = client.await.unwrap();
        seen = [seen[0] + of_each[0], seen[1] + of_each[1]];
    }
    assert!(seen.iter().all(|answers| *answers > 0), "{seen:?}");
    let text = metrics(&service).await;
    assert!(text.contains("resnet_serve_inflight_images 0"), "{text}");
}

/// Asks without a pause; how many answers were of each version, none of them a mix.
async fn ask_until(url: String, done: &AtomicBool, due: &[Vec<(Value, f64)>]) -> [usize; 2] {
    let client = Client::builder().timeout(Duration::from_mins(1)).build().unwrap();
    let mut seen = [0, 0];
    while !done.load(Ordering::Relaxed) {
        let response = client.post(&url).body(png()).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let answer: Value = response.json().await.unwrap();
        let version = usize::from(answer["model"]["version"] == "2");
        for (found, due) in predictions(&answer).iter().zip(&due[version]) {
            assert_eq!(found.0, due.0);
            assert!((found.1 - due.1).abs() < 1e-4, "{found:?} {due:?}");
        }
        seen[version] += 1;
    }
    seen
}
