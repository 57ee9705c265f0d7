//! What browsers are told about pages of other origins (CORS).

use std::time::Duration;

use axum::http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE,
};
use axum::http::{HeaderName, HeaderValue, Method};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::config::Origin;
use crate::serving::REQUEST_ID;

/// For how long a browser need not ask again whether it may ask.
const REMEMBERED: Duration = Duration::from_hours(1);

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");
const TRACE_PARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACE_STATE: HeaderName = HeaderName::from_static("tracestate");
const BINARY_DATA: HeaderName = HeaderName::from_static("inference-header-content-length");

/// For the pages of these origins; nothing for none. Cookies are not used, so none are let through.
pub(super) fn layer(origins: &[Origin]) -> Option<CorsLayer> {
    if origins.is_empty() {
        return None;
    }
    let layer = CorsLayer::new()
        .allow_origin(allowed(origins))
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([
            AUTHORIZATION,
            API_KEY,
            CONTENT_ENCODING,
            CONTENT_TYPE,
            BINARY_DATA,
            REQUEST_ID,
            TRACE_PARENT,
            TRACE_STATE,
        ])
        .expose_headers([REQUEST_ID, SERVER_TIMING, RETRY_AFTER, WWW_AUTHENTICATE, BINARY_DATA])
        .max_age(REMEMBERED);
    Some(layer)
}

fn allowed(origins: &[Origin]) -> AllowOrigin {
    let named: Option<Vec<HeaderValue>> = origins
        .iter()
        .map(|origin| match origin {
            Origin::Any => None,
            Origin::Of(origin) => Some(origin.clone()),
        })
        .collect();
    named.map_or_else(AllowOrigin::any, AllowOrigin::list)
}
