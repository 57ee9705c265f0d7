//! The live view of the admin listener.

use axum::http::StatusCode;
use resnet_serve::readiness::State;
use serde_json::Value;

use crate::support::{Service, png};

async fn history(service: &Service, since: &str) -> Value {
    let (status, text) = service.ask(&format!("/history{since}")).await;
    assert_eq!(status, StatusCode::OK, "{text}");
    serde_json::from_str(&text).unwrap()
}

/// What stands in quotes after `before`.
fn quoted<'a>(text: &'a str, before: &str) -> Vec<&'a str> {
    text.split(before).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

#[tokio::test]
async fn the_page_and_all_that_it_names_is_on_the_admin_listener() {
    let service = Service::start();
    let (status, page) = service.ask("/").await;
    assert_eq!(status, StatusCode::OK);
    let named = [quoted(&page, "href=\""), quoted(&page, "src=\"")].concat();
    let mut assets: Vec<String> = named
        .iter()
        .filter(|path| path.starts_with("assets/"))
        .map(|path| format!("/{path}"))
        .collect();
    assert!(assets.len() >= 4, "{assets:?}");
    while let Some(path) = assets.pop() {
        let (status, text) = service.ask(&path).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        let foreign = text.replace("http://www.w3.org/2000/svg", "");
        assert!(!foreign.contains("http://") && !foreign.contains("https://"), "{path}");
        assets.extend(quoted(&text, "from \"./").iter().map(|name| format!("/assets/{name}")));
    }
}

#[tokio::test]
async fn the_public_listener_has_neither_the_live_view_nor_its_figures() {
    let service = Service::start();
    for path in ["/history", "/assets/live.js", "/assets/live.html"] {
        let request = axum::http::Request::get(path).body(axum::body::Body::empty()).unwrap();
        assert_eq!(service.send(request).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(service.ask("/assets/page.js").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_figures_are_those_of_the_requests_that_were_answered() {
    let service = Service::start();
    service.history.record(&service.metrics);
    for body in [png([0, 200, 0]), png([0, 200, 0]), b"no picture".to_vec()] {
        service.classify("", "", body).await;
    }
    service.history.record(&service.metrics);
    let told = history(&service, "?since=1").await;
    let sample = &told["samples"][0];
    assert_eq!(told["samples"].as_array().unwrap().len(), 1);
    let (requests, classified) =
        (sample["requests"].as_f64().unwrap(), sample["classified"].as_f64().unwrap());
    assert!((requests / classified - 1.5).abs() < 0.01, "three requests, two pictures: {sample}");
    assert_eq!(sample["batches"][0], 2);
    assert!(sample["latency"][1].as_f64().unwrap() > 0.0);
}

#[tokio::test]
async fn the_state_is_that_of_the_probes() {
    let service = Service::start();
    assert_eq!(history(&service, "").await["state"], "starting");
    service.readiness.advance(State::Ready);
    assert_eq!(history(&service, "").await["state"], "ready");
}

#[tokio::test]
async fn a_number_that_is_none_is_refused() {
    let service = Service::start();
    for query in ["?since=x", "?since=-1", "?until=3"] {
        assert_eq!(service.ask(&format!("/history{query}")).await.0, StatusCode::BAD_REQUEST);
    }
}
