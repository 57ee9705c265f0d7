//! Who may ask a service that has keys, and how much.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use bytes::Bytes;
use futures_util::stream::pending;
use resnet_serve::readiness::State;
use tower::ServiceExt as _;

use crate::support::{Answer, Service, Settings, png, until};

const GREEN: [u8; 3] = [0, 200, 0];

/// The key of `alice` is `alice`; `bob` may send two requests a second, `carol` one at a time.
const KEYS: &str = "
    alice:2bd806c97f0e00af1a1fc3328fa763a9269723c8db8fac4f93af71db186d6e90
    bob:81b637d8fcd2c6da6359e6963113a1170de795e4b725b84d1e0b4cfd9ec58ce9:rate=2
    carol:4c26d9074c27d89ede59270c0ac14b71e071b15239519f75474b2f3ba63481f5:inflight=1
";

fn service() -> Service {
    Service::with(Settings { keys: KEYS, ..Settings::default() })
}

fn classify(header: &str, value: &str) -> Request<Body> {
    Request::post("/classify").header(header, value).body(png(GREEN).into()).unwrap()
}

fn with_key(key: &str) -> Request<Body> {
    classify("x-api-key", key)
}

async fn get(service: &Service, path: &str) -> Answer {
    service.send(Request::get(path).body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn a_key_that_is_known_lets_in_however_it_is_sent() {
    let service = service();
    for (header, value) in [
        ("authorization", "Bearer alice"),
        ("authorization", "bearer alice"),
        ("authorization", "Bearer  alice "),
        ("x-api-key", "alice"),
    ] {
        let answer = service.send(classify(header, value)).await;
        assert_eq!(answer.status, StatusCode::OK, "{header}: {value}");
    }
}

#[tokio::test]
async fn no_key_and_a_wrong_key_are_told_apart_and_neither_is_let_in() {
    let service = service();
    let missing = service.classify("", "", png(GREEN)).await;
    missing.problem(401, "unauthorized");
    assert_eq!(missing.header("www-authenticate"), r#"Bearer realm="resnet-serve""#);
    for (header, value) in [
        ("x-api-key", "mallory"),
        ("x-api-key", ""),
        ("authorization", "Bearer mallory"),
        ("authorization", "Bearer alicealice"),
    ] {
        let wrong = service.send(classify(header, value)).await;
        let detail = wrong.problem(401, "unauthorized");
        assert!(!detail.contains("mallory"), "{detail}");
        assert!(wrong.header("www-authenticate").contains("invalid_token"), "{header}: {value}");
    }
    let other = service.send(classify("authorization", "Basic alice")).await;
    assert!(!other.header("www-authenticate").contains("invalid_token"), "no key was sent");
    assert!(service.engine.batches().is_empty());
}

#[tokio::test(start_paused = true)]
async fn who_has_no_key_is_refused_though_the_body_never_ends() {
    let service = service();
    let endless = Body::from_stream(pending::<Result<Bytes, std::io::Error>>());
    service.classify("", "", endless).await.problem(401, "unauthorized");
}

#[tokio::test]
async fn page_document_and_probes_are_for_everybody_and_the_rest_is_not() {
    let service = service();
    service.readiness.advance(State::Ready);
    let page = ["/", "/docs", "/assets/page.js", "/openapi.yaml", "/openapi.json"];
    for path in page.into_iter().chain(["/v2/health/live", "/v2/health/ready"]) {
        assert_eq!(get(&service, path).await.status, StatusCode::OK, "{path}");
    }
    get(&service, "/models").await.problem(401, "unauthorized");
    for path in ["/v2", "/v2/models/colors/ready", "/v2/models/colors/versions/7"] {
        let answer = get(&service, path).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
        assert!(answer.json()["error"].as_str().unwrap().contains("API key"), "{path}");
    }
    let infer = Request::post("/v2/models/colors/infer").body(Body::empty()).unwrap();
    assert_eq!(service.send(infer).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_asks_too_fast_is_told_when_to_come_back_and_harms_nobody_else() {
    let service = service();
    let ask = |key| Request::get("/models").header("x-api-key", key).body(Body::empty()).unwrap();
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(service.send(ask("bob")).await.status.as_u16());
    }
    assert_eq!(statuses, [200, 200, 429, 429]);
    let refused = service.send(ask("bob")).await;
    assert!(refused.problem(429, "rate_limited").contains("too fast"));
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(service.send(ask("alice")).await.status, StatusCode::OK);
    tokio::time::advance(std::time::Duration::from_secs(1)).await;
    assert_eq!(service.send(ask("bob")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_key_with_a_request_under_way_waits_for_its_end_or_for_its_client_to_go() {
    let service = service();
    service.engine.hold();
    let first = tokio::spawn(service.router.clone().oneshot(with_key("carol")));
    until(|| service.engine.batches().len() == 1).await;
    let refused = service.send(with_key("carol")).await;
    assert!(refused.problem(429, "rate_limited").contains("under way"));
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    service.engine.release();
    assert_eq!(service.send(with_key("carol")).await.status, StatusCode::OK);
    assert_eq!(service.send(with_key("carol")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn requests_are_counted_by_the_name_of_their_key_and_only_by_names_of_the_file() {
    let service = service();
    service.send(with_key("alice")).await;
    service.send(with_key("mallory")).await;
    service.classify("", "", png(GREEN)).await;
    let count = |key: &str, status| {
        format!("resnet_serve_key_requests_total{{key=\"{key}\",status=\"{status}\"}} 1")
    };
    let text = service.metrics.render();
    assert!(text.contains(&count("alice", 200)), "{text}");
    assert!(!text.contains("mallory") && !text.contains("2bd806c9"), "{text}");
    assert_eq!(text.matches("resnet_serve_key_requests_total{").count(), 1, "{text}");
    assert!(text.contains(r#"resnet_serve_requests_total{route="/classify",status="401"} 2"#));
}

#[tokio::test]
async fn a_wrong_method_is_no_matter_of_keys() {
    let service = service();
    get(&service, "/classify").await.problem(405, "method_not_allowed");
    get(&service, "/nothing").await.problem(404, "not_found");
}
