//! A service from start to exit.

use std::io::Write as _;
use std::net::TcpStream;
use std::path::Path;

use reqwest::{Client, Method, StatusCode};
use serde_json::Value;

use crate::support::{Service, SmallModel, end_while_loading, png, run, stderr, stdout};

async fn classify(service: &Service) -> Value {
    let request = Client::new().post(service.url("/classify?top_k=10")).body(png());
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    response.json().await.unwrap()
}

#[tokio::test]
async fn a_picture_gets_the_same_answer_from_the_service_and_the_command_line() {
    let model = SmallModel::build();
    let service = Service::start(&model.path(), &[]);
    let answer = classify(&service).await;
    assert_eq!(answer["model"]["trained"], false);
    let picture = model.picture("picture.png");
    let output = run(&["classify", "--json", "--top-k=10", "--model", &model.argument(), &picture]);
    assert!(output.status.success(), "{}", stderr(&output));
    let printed: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(printed["model"], answer["model"]);
    assert_eq!(printed["results"][0]["image"], answer["results"][0]["image"]);
    let of = |answer: &Value| -> Vec<(Value, f64)> {
        let predictions = answer["results"][0]["predictions"].as_array().unwrap().clone();
        let pair = |entry: &Value| (entry["class"].clone(), entry["probability"].as_f64().unwrap());
        predictions.iter().map(pair).collect()
    };
    for (printed, served) in of(&printed).iter().zip(of(&answer)) {
        assert_eq!(printed.0, served.0);
        assert!((printed.1 - served.1).abs() < 1e-5, "{printed:?} {served:?}");
    }
}

#[tokio::test]
async fn a_preflight_has_its_line_in_the_log() {
    let model = SmallModel::build();
    let mut service = Service::start(&model.path(), &["--cors-allow-origin=https://app.example"]);
    let preflight = Client::new().request(Method::OPTIONS, service.url("/classify"));
    let preflight = preflight.header("origin", "https://app.example");
    let answer = preflight.header("access-control-request-method", "POST").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let line = service.wait_for("request");
    assert_eq!(line["method"], "OPTIONS");
    assert_eq!(line["route"], "/classify");
    assert_eq!(line["status"], 200);
    assert_eq!(line["request_id"], answer.headers()["x-request-id"].to_str().unwrap());
}

#[tokio::test]
async fn the_provider_that_runs_is_the_one_that_is_claimed() {
    let model = SmallModel::build();
    let service = Service::start(&model.path(), &["--provider=cpu"]);
    let models: Value =
        Client::new().get(service.url("/models")).send().await.unwrap().json().await.unwrap();
    assert_eq!(models["models"][0]["provider"], "cpu");
    assert_eq!(models["models"][0]["onnxruntime"], "1.31.1");
    let metrics = Client::new().get(service.admin_url("/metrics")).send().await.unwrap();
    let text = metrics.text().await.unwrap();
    let info = text.lines().find(|line| line.starts_with("resnet_serve_model_info")).unwrap();
    assert!(info.contains(r#"provider="cpu""#), "{info}");
    let asked = r#"resnet_serve_provider_info{asked="cpu",model="cifar-resnet20",used="cpu"} 1"#;
    assert!(text.contains(asked), "{text}");
    let random = r#"resnet_serve_model_trained{model="cifar-resnet20"} 0"#;
    assert!(text.contains(random), "{text}");
    let build = text.lines().find(|line| line.starts_with("resnet_serve_build_info")).unwrap();
    assert!(build.contains(env!("CARGO_PKG_VERSION")), "{build}");
}

#[tokio::test]
async fn the_start_says_what_is_served_by_what_within_which_limits_and_where() {
    let model = SmallModel::build();
    let service = Service::start(&model.path(), &["--drain-delay=2s", "--queue-capacity=77"]);
    let log = &service.start_log;
    let find = |message| log.iter().find(|line| line["message"] == message).unwrap();
    let starting = find("starting");
    for (key, due) in [("drain_delay", "2s"), ("request_timeout", "30s")] {
        assert_eq!(starting[key], due, "{starting}");
    }
    assert_eq!(starting["queue_capacity"], 77);
    for key in
        ["version", "commit", "cores", "memory_limit", "memory_budget", "max_body", "max_pixels"]
    {
        assert!(!starting[key].is_null(), "{key}: {starting}");
    }
    let loaded = find("model loaded and warmed up");
    assert_eq!(loaded["provider"], "cpu");
    assert_eq!(loaded["sha256"].as_str().unwrap().len(), 64);
    for key in
        ["model", "version", "trained", "onnxruntime", "sessions", "intra_threads", "max_batch"]
    {
        assert!(!loaded[key].is_null(), "{key}: {loaded}");
    }
    let listening = log.iter().filter(|line| line["message"] == "listening");
    let addresses: Vec<_> = listening.map(|line| line["address"].clone()).collect();
    let bound = [service.admin, service.public, service.grpc];
    assert_eq!(addresses, bound.map(|address| address.to_string()));
}

#[tokio::test]
async fn a_request_has_one_line_and_a_probe_none_unless_it_fails() {
    let model = SmallModel::build();
    let service = Service::start(&model.path(), &["--drain-delay=1s"]);
    for path in ["/ready", "/live", "/metrics", "/nowhere"] {
        Client::new().get(service.admin_url(path)).send().await.unwrap();
    }
    classify(&service).await;
    Client::new().post(service.url("/classify")).body("no picture").send().await.unwrap();
    service.signal("-TERM");
    let (_, log) = service.wait();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let requests: Vec<Value> = lines.filter(|line| line["message"] == "request").collect();
    let told =
        |line: &Value| (line["route"].clone(), line["status"].clone(), line["level"].clone());
    let due = [("unmatched", 404), ("/classify", 200), ("/classify", 422)];
    let due = due.map(|(route, status)| (route.into(), status.into(), "INFO".into()));
    assert_eq!(requests.iter().map(told).collect::<Vec<_>>(), due);
    assert!(requests[2]["error"].is_string(), "{}", requests[2]);
}

#[tokio::test]
async fn the_public_listener_has_no_metrics_and_the_admin_listener_no_pictures() {
    let model = SmallModel::build();
    let service = Service::start(&model.path(), &[]);
    for path in ["/metrics", "/ready", "/live", "/log-level"] {
        let response = Client::new().get(service.url(path)).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
    }
    let ready = Client::new().get(service.admin_url("/ready")).send().await.unwrap();
    assert_eq!(ready.status(), StatusCode::OK);
    let posted =
        Client::new().post(service.admin_url("/classify")).body(png()).send().await.unwrap();
    assert_eq!(posted.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_client_that_sends_half_a_body_and_goes_away_leaves_nothing_behind() {
    let model = SmallModel::build();
    let mut service = Service::start(&model.path(), &[]);
    let mut client = TcpStream::connect(service.public).unwrap();
    let head = b"POST /classify HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n";
    client.write_all(head).unwrap();
    client.write_all(&png()[..50]).unwrap();
    drop(client);
    let line = service.wait_for("request");
    assert!(line["status"] == 400 || line["status"] == 499, "{line}");
    classify(&service).await;
    let metrics = Client::new().get(service.admin_url("/metrics")).send().await.unwrap();
    assert!(metrics.text().await.unwrap().contains("resnet_serve_inflight_images 0"));
}

#[tokio::test]
async fn sigterm_lets_the_accepted_finish_and_exits_0() {
    let model = SmallModel::build();
    let mut service = Service::start(&model.path(), &["--drain-delay=300ms"]);
    service.signal("-TERM");
    service.wait_for("draining");
    let ready = Client::new().get(service.admin_url("/ready")).send().await.unwrap();
    assert_eq!(ready.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(ready.json::<Value>().await.unwrap()["status"], "draining");
    classify(&service).await;
    let (status, log) = service.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("drained"), "{log}");
}

#[test]
fn a_client_that_holds_an_admin_connection_does_not_hold_the_process() {
    let model = SmallModel::build();
    let mut service = Service::start(&model.path(), &[]);
    let mut client = TcpStream::connect(service.admin).unwrap();
    client
        .write_all(b"PUT /log-level HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nde")
        .unwrap();
    service.signal("-TERM");
    service.wait_for("drained");
    let (status, _) = service.wait();
    assert_eq!(status.code(), Some(0));
    drop(client);
}

#[test]
fn sigterm_during_the_start_exits_0() {
    // A network that takes a while to load: threads are at it when the process ends.
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/everyday-200");
    for _ in 0..5 {
        let (status, rest) = end_while_loading(&model);
        assert_eq!(status.code(), Some(0), "{rest}");
        assert!(!rest.contains("ERROR"), "{rest}");
    }
}

#[test]
fn a_second_signal_ends_at_once() {
    let model = SmallModel::build();
    let mut service = Service::start(&model.path(), &["--drain-delay=1h"]);
    service.signal("-TERM");
    service.wait_for("draining");
    service.signal("-TERM");
    let (status, log) = service.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("second signal"), "{log}");
}

#[tokio::test]
async fn two_models_are_served_side_by_side() {
    let (first, second) = (SmallModel::build(), SmallModel::build());
    let manifest = second.path().join("model.toml");
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, text.replacen("name = \"", "name = \"second-", 1)).unwrap();
    let service = Service::start(&first.path(), &["--model", &second.argument()]);
    let url = service.url("/classify?model=second-cifar-resnet20");
    let response = Client::new().post(url).body(png()).send().await.unwrap();
    let answer: Value = response.json().await.unwrap();
    assert_eq!(answer["model"]["name"], "second-cifar-resnet20");
    assert_eq!(classify(&service).await["model"]["name"], "cifar-resnet20");
}

#[tokio::test]
async fn several_models_divide_the_cores() {
    let (first, second) = (SmallModel::build(), SmallModel::build());
    let manifest = second.path().join("model.toml");
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, text.replacen("name = \"", "name = \"second-", 1)).unwrap();
    let number = |line: &Value, name: &str| line[name].as_u64().unwrap();
    let loaded = |service: &Service| {
        let lines = service.start_log.clone().into_iter();
        lines.filter(|line| line["message"] == "model loaded and warmed up").collect::<Vec<_>>()
    };
    let threads = |line: &Value| number(line, "sessions") * number(line, "intra_threads");
    let service = Service::start(&first.path(), &["--model", &second.argument()]);
    let cores = number(&service.start_log[0], "cores");
    let [one, two] = loaded(&service).try_into().unwrap();
    assert_eq!(threads(&one), threads(&two));
    assert!(threads(&one) + threads(&two) <= cores.max(2), "{one} {two}");
    let asked = ["--sessions=3", "--model", &second.argument()];
    let asked = loaded(&Service::start(&first.path(), &asked));
    assert!(asked.iter().all(|line| number(line, "sessions") == 3), "{asked:?}");
}
