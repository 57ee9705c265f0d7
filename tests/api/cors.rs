//! What a browser lets pages of other origins do.

use axum::body::Body;
use axum::http::Request;

use crate::support::{Answer, Service, Settings, png};

const FRIEND: &str = "https://friend.example";
const STRANGER: &str = "https://stranger.example";
const KEYS: &str = "alice:2bd806c97f0e00af1a1fc3328fa763a9269723c8db8fac4f93af71db186d6e90";

fn service(cors: &'static [&'static str]) -> Service {
    Service::with(Settings { keys: KEYS, cors, ..Settings::default() })
}

/// What a browser asks before a page may send a picture and a key.
async fn preflight(service: &Service, origin: &str) -> Answer {
    let request = Request::options("/classify?top_k=1")
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,content-type");
    service.send(request.body(Body::empty()).unwrap()).await
}

async fn classify(service: &Service, origin: &str, key: &str) -> Answer {
    let request = Request::post("/classify").header("origin", origin).header("x-api-key", key);
    service.send(request.body(png([0, 200, 0]).into()).unwrap()).await
}

#[tokio::test]
async fn a_page_of_an_origin_that_is_allowed_may_ask_with_a_key_and_read_the_answer() {
    let service = service(&["https://other.example", FRIEND]);
    let asked = preflight(&service, FRIEND).await;
    assert!(asked.status.is_success(), "a preflight has no key: {}", asked.status);
    assert_eq!(asked.header("access-control-allow-origin"), FRIEND);
    assert!(asked.header("access-control-allow-methods").contains("POST"));
    for header in ["authorization", "x-api-key", "content-type"] {
        assert!(asked.header("access-control-allow-headers").contains(header), "{header}");
    }
    assert_eq!(asked.header("access-control-allow-credentials"), "");
    let answer = classify(&service, FRIEND, "alice").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("access-control-allow-origin"), FRIEND);
    assert!(answer.header("access-control-expose-headers").contains("server-timing"));
    assert!(answer.header("vary").contains("origin"));
}

#[tokio::test]
async fn a_preflight_is_counted_and_timed_as_any_request_and_makes_no_series() {
    let service = service(&[FRIEND]);
    let asked = preflight(&service, FRIEND).await;
    assert_ne!(asked.header("x-request-id"), "");
    assert!(asked.header("server-timing").contains("total;dur="));
    let elsewhere = Request::options("/made-up").header("origin", FRIEND);
    let elsewhere = elsewhere.header("access-control-request-method", "POST");
    service.send(elsewhere.body(Body::empty()).unwrap()).await;
    let (_, metrics) = service.ask("/metrics").await;
    for route in ["/classify", "unmatched"] {
        let counted = format!(r#"resnet_serve_requests_total{{route="{route}",status="200"}} 1"#);
        assert!(metrics.contains(&counted), "{metrics}");
    }
    assert!(!metrics.contains("made-up"), "{metrics}");
}

#[tokio::test]
async fn such_a_page_can_read_errors_too() {
    let service = service(&[FRIEND]);
    let refused = classify(&service, FRIEND, "mallory").await;
    refused.problem(401, "unauthorized");
    assert_eq!(refused.header("access-control-allow-origin"), FRIEND);
    assert!(refused.header("access-control-expose-headers").contains("retry-after"));
}

#[tokio::test]
async fn other_pages_are_told_nothing() {
    let service = service(&[FRIEND]);
    for origin in [STRANGER, "https://friend.example.evil.example", "http://friend.example"] {
        let asked = preflight(&service, origin).await;
        assert_eq!(asked.header("access-control-allow-origin"), "", "{origin}");
        let answer = classify(&service, origin, "alice").await;
        assert_eq!(answer.header("access-control-allow-origin"), "", "{origin}");
    }
}

#[tokio::test]
async fn every_origin_may_be_allowed() {
    let service = service(&["*"]);
    assert_eq!(preflight(&service, STRANGER).await.header("access-control-allow-origin"), "*");
}

#[tokio::test]
async fn without_the_flag_there_is_none_of_that() {
    let service = service(&[]);
    let asked = preflight(&service, FRIEND).await;
    asked.problem(405, "method_not_allowed");
    assert_eq!(asked.header("access-control-allow-origin"), "");
    assert_eq!(asked.header("allow"), "POST");
    let answer = classify(&service, FRIEND, "alice").await;
    assert_eq!(answer.header("access-control-allow-origin"), "");
}
