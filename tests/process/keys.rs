//! Keys from the command that makes them to the file that takes them back.

use std::fs;

use reqwest::{Client, StatusCode};

use crate::support::{Service, SmallModel, png, run, stderr, stdout};

const NOT_READ: &str = "not read anew; what was there holds";

/// A key and its line in the file, as the command prints them.
fn new_key(name: &str) -> (String, String) {
    let output = run(&["key", "new", name]);
    assert!(output.status.success(), "{}", stderr(&output));
    let key = stderr(&output).lines().last().unwrap().to_owned();
    (key, stdout(&output))
}

/// Whether the keys in use are older than their file.
async fn stale(service: &Service) -> bool {
    let answer = Client::new().get(service.admin_url("/metrics")).send().await.unwrap();
    answer.text().await.unwrap().contains(r#"resnet_serve_file_stale{file="api_keys"} 1"#)
}

async fn classify(service: &Service, key: &str) -> StatusCode {
    let request = Client::new().post(service.url("/classify")).bearer_auth(key).body(png());
    request.send().await.unwrap().status()
}

#[tokio::test]
async fn a_key_that_was_made_is_let_in_until_it_is_taken_back() {
    let model = SmallModel::build();
    let ((alice, alices), (bob, bobs)) = (new_key("alice"), new_key("bob"));
    let file = model.file("keys", format!("{alices}{bobs}").as_bytes());
    let mut service = Service::start(&model.path(), &["--api-keys-file", &file]);
    assert_eq!(classify(&service, &alice).await, StatusCode::OK);
    assert_eq!(classify(&service, &bob).await, StatusCode::OK);
    assert_eq!(classify(&service, "rsk_other").await, StatusCode::UNAUTHORIZED);

    fs::write(&file, &bobs).unwrap();
    service.wait_for("read anew");
    assert_eq!(classify(&service, &alice).await, StatusCode::UNAUTHORIZED);
    assert_eq!(classify(&service, &bob).await, StatusCode::OK);
}

#[tokio::test]
async fn a_file_that_is_no_file_of_keys_changes_nothing_and_is_told_once() {
    let model = SmallModel::build();
    let (alice, alices) = new_key("alice");
    let file = model.file("keys", alices.as_bytes());
    let mut service = Service::start(&model.path(), &["--api-keys-file", &file]);
    fs::write(&file, "no key").unwrap();
    let line = service.wait_for(NOT_READ);
    assert!(line["cause"].as_str().unwrap().contains("line 1"), "{line}");
    assert_eq!(classify(&service, &alice).await, StatusCode::OK);
    assert!(stale(&service).await);

    fs::write(&file, alices.repeat(2)).unwrap();
    let line = service.wait_for(NOT_READ);
    assert!(line["cause"].as_str().unwrap().contains("an earlier line"), "{line}");
    fs::write(&file, &alices).unwrap();
    service.wait_for("read anew");
    assert!(!stale(&service).await);
    service.signal("-TERM");
    assert!(!service.wait().1.contains(NOT_READ));
}

#[tokio::test]
async fn a_hangup_reads_the_keys_though_nothing_has_changed() {
    let model = SmallModel::build();
    let file = model.file("keys", new_key("alice").1.as_bytes());
    let mut service = Service::start(&model.path(), &["--api-keys-file", &file]);
    for _ in 0..2 {
        service.signal("-HUP");
        assert_eq!(service.wait_for("read anew")["what"], "API keys");
    }
}

#[tokio::test]
async fn the_log_has_the_name_and_never_the_key() {
    let model = SmallModel::build();
    let (alice, line) = new_key("alice");
    let file = model.file("keys", line.as_bytes());
    let mut service = Service::start(&model.path(), &["--api-keys-file", &file]);
    classify(&service, &alice).await;
    let line = service.wait_for("request");
    assert_eq!(line["key"], "alice");
    assert!(!line.to_string().contains("rsk_"), "{line}");
    classify(&service, "rsk_guessed").await;
    let line = service.wait_for("request");
    assert_eq!(line["status"], 401);
    service.signal("-TERM");
    let (_, rest) = service.wait();
    assert!(!line.to_string().contains("rsk_") && !rest.contains("rsk_"), "{line}\n{rest}");
}

#[test]
fn a_file_of_keys_that_is_not_in_order_keeps_the_service_from_starting() {
    let model = SmallModel::build();
    for (text, said) in [("alice", "line 1"), ("", "key new"), ("# nobody", "key new")] {
        let file = model.file("keys", text.as_bytes());
        let arguments = ["--model", &model.argument(), "--api-keys-file", &file];
        let output = run(&[&["serve", "--check"][..], &arguments].concat());
        assert_eq!(output.status.code(), Some(78));
        assert!(stderr(&output).contains(said), "{}", stderr(&output));
    }
    let missing = ["serve", "--check", "--api-keys-file=/nowhere/keys"];
    let output = run(&[&missing[..], &["--model", &model.argument()]].concat());
    assert_eq!(output.status.code(), Some(78));
    assert!(stderr(&output).contains("/nowhere/keys"), "{}", stderr(&output));
}

#[test]
fn a_name_that_is_not_fit_for_a_file_gets_no_key() {
    for name in ["a:b", "a b", "", "é"] {
        assert_eq!(run(&["key", "new", name]).status.code(), Some(2), "{name}");
    }
}

#[test]
fn who_lets_everybody_in_is_told_so() {
    let model = SmallModel::build();
    let output = run(&["serve", "--check", "--listen=0.0.0.0:0", "--model", &model.argument()]);
    assert!(output.status.success());
    assert!(stderr(&output).contains("there are no API keys"), "{}", stderr(&output));
    let output = run(&["serve", "--check", "--model", &model.argument()]);
    assert!(!stderr(&output).contains("there are no API keys"), "{}", stderr(&output));
}
