//! The admin listener.

use std::num::NonZeroUsize;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use resnet_serve::api::{AdminState, admin};
use resnet_serve::cpu_pool::CpuPool;
use resnet_serve::history::History;
use resnet_serve::memory::MemoryBudget;
use resnet_serve::readiness::{Readiness, State};
use resnet_serve::reloading;
use resnet_serve::telemetry::metrics::Metrics;
use resnet_serve::vitals::Vitals;
use tower::ServiceExt as _;

use crate::support::log_level;

fn listener() -> (Router, Readiness) {
    let readiness = Readiness::starting();
    let pool = CpuPool::new(NonZeroUsize::MIN);
    let state = AdminState {
        vitals: Vitals::new(readiness.clone(), pool, MemoryBudget::new(1 << 20)),
        metrics: Arc::new(Metrics::new()),
        history: History::default(),
        log_level: log_level(),
        reloads: reloading::pair().0,
    };
    (admin::router(state), readiness)
}

async fn get(router: &Router, path: &str) -> (StatusCode, String) {
    send(router, Request::get(path).body(Body::empty()).unwrap()).await
}

async fn send(router: &Router, request: Request<Body>) -> (StatusCode, String) {
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn readiness_follows_start_and_drain_with_a_reason() {
    let (router, readiness) = listener();
    let unready = async |status: &str, reason: &str| {
        let answer = get(&router, "/ready").await;
        let due = format!(r#"{{"reason":"{reason}","status":"{status}"}}"#);
        assert_eq!(answer, (StatusCode::SERVICE_UNAVAILABLE, due));
    };
    unready("starting", "the models are being loaded and warmed up").await;
    readiness.advance(State::Ready);
    assert_eq!(get(&router, "/ready").await.0, StatusCode::OK);
    readiness.advance(State::Draining);
    unready("draining", "the process was told to stop; what was accepted is finished").await;
}

#[tokio::test]
async fn the_process_is_live_while_it_starts() {
    assert_eq!(get(&listener().0, "/live").await.0, StatusCode::OK);
}

#[tokio::test]
async fn metrics_are_in_prometheus_text() {
    let (status, text) = get(&listener().0, "/metrics").await;
    assert_eq!(status, StatusCode::OK);
    assert!(text.contains("# TYPE resnet_serve_queue_images gauge"), "{text}");
    #[cfg(target_os = "linux")]
    assert!(text.contains("process_resident_memory_bytes"), "{text}");
}

#[tokio::test]
async fn a_log_level_that_is_none_is_refused() {
    let (router, _) = listener();
    let put = |body: &'static str| Request::put("/log-level").body(Body::from(body)).unwrap();
    assert_eq!(send(&router, put("debug")).await.0, StatusCode::OK);
    for wrong in ["resnet_serve=loud", "debg", "very bad", "", "resnet_serve=debug,wran"] {
        let (status, text) = send(&router, put(wrong)).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{text}");
        assert!(text.contains(wrong), "{text}");
    }
    assert_eq!(get(&router, "/log-level").await.1, r#"{"log_level":"debug"}"#);
    assert_eq!(send(&router, put("info, resnet_serve=debug ")).await.0, StatusCode::OK);
    let (_, level) = get(&router, "/log-level").await;
    assert_eq!(level, r#"{"log_level":"info,resnet_serve=debug"}"#);
}

#[tokio::test]
async fn the_admin_listener_does_not_classify() {
    let request = Request::post("/classify").body(Body::empty()).unwrap();
    assert_eq!(send(&listener().0, request).await.0, StatusCode::NOT_FOUND);
}
