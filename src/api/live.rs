//! The live view of the admin listener: a page, and the figures that it draws.

use std::sync::LazyLock;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use super::AdminState;
use super::error::ApiError;
use super::page::{Asset, find, web_file};
use crate::telemetry::totals::labels;
use crate::vitals::Unready;

/// What the page is made of; some of it is the public page's too.
static ASSETS: LazyLock<[Asset; 7]> = LazyLock::new(|| {
    [
        web_file!("live.html", "text/html; charset=utf-8"),
        web_file!("live.css", "text/css; charset=utf-8"),
        web_file!("live.js", "text/javascript; charset=utf-8"),
        web_file!("chart.js", "text/javascript; charset=utf-8"),
        web_file!("base.css", "text/css; charset=utf-8"),
        web_file!("dom.js", "text/javascript; charset=utf-8"),
        web_file!("icon.svg", "image/svg+xml"),
    ]
});

/// What the page asks for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Since {
    /// The number of the last sample that it has.
    #[serde(default)]
    since: u64,
}

/// `GET /`
pub(super) async fn page(headers: HeaderMap) -> Result<Response, ApiError> {
    find(&*ASSETS, "live.html").map(|asset| asset.answer(&headers))
}

/// `GET /assets/{name}`
pub(super) async fn assets(
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    find(&*ASSETS, &name).map(|asset| asset.answer(&headers))
}

/// `GET /history`
pub(super) async fn history(
    State(admin): State<AdminState>,
    since: Result<Query<Since>, QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    let Query(Since { since }) = since?;
    let (state, reason) = match admin.vitals.unready() {
        None => ("ready", None),
        Some(Unready::State(state)) => (state.as_str(), None),
        Some(Unready::NoWorker { model }) => {
            ("failing", Some(format!("no worker of the model `{model}` runs")))
        }
    };
    Ok(Json(json!({
        "started": admin.history.started(),
        "state": state,
        "reason": reason,
        "models": labels(&admin.metrics.model_info),
        "samples": admin.history.since(since),
    })))
}
