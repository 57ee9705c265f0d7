//! The page for people, with everything that it is made of.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};

use super::error::ApiError;
use crate::model::digest::sha256_of;

/// Nothing but what this service sends itself, and thumbnails of what a person has chosen.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// What a browser is not to do with the page, whatever its defaults are.
const SECURITY: [(HeaderName, &str); 6] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
];

/// A file of a page.
pub(super) struct Asset {
    name: &'static str,
    kind: &'static str,
    content: &'static str,
    tag: HeaderValue,
}

/// A file of `src/web/` with its content type.
macro_rules! web_file {
    ($name:literal, $kind:literal) => {
        $crate::api::page::Asset::new($name, $kind, include_str!(concat!("../web/", $name)))
    };
}
pub(super) use web_file;

static ASSETS: LazyLock<[Asset; 13]> = LazyLock::new(|| {
    [
        web_file!("index.html", "text/html; charset=utf-8"),
        web_file!("base.css", "text/css; charset=utf-8"),
        web_file!("page.css", "text/css; charset=utf-8"),
        web_file!("page.js", "text/javascript; charset=utf-8"),
        web_file!("card.js", "text/javascript; charset=utf-8"),
        web_file!("service.js", "text/javascript; charset=utf-8"),
        web_file!("words.js", "text/javascript; charset=utf-8"),
        web_file!("dom.js", "text/javascript; charset=utf-8"),
        web_file!("docs.html", "text/html; charset=utf-8"),
        web_file!("docs.css", "text/css; charset=utf-8"),
        web_file!("docs.js", "text/javascript; charset=utf-8"),
        web_file!("schema.js", "text/javascript; charset=utf-8"),
        web_file!("icon.svg", "image/svg+xml"),
    ]
});

/// `GET /`
pub(super) async fn page(headers: HeaderMap) -> Result<Response, ApiError> {
    find(&*ASSETS, "index.html").map(|asset| asset.answer(&headers))
}

/// `GET /docs`
pub(super) async fn docs(headers: HeaderMap) -> Result<Response, ApiError> {
    find(&*ASSETS, "docs.html").map(|asset| asset.answer(&headers))
}

/// `GET /assets/{name}`
pub(super) async fn asset(
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    find(&*ASSETS, &name).map(|asset| asset.answer(&headers))
}

/// One of the files that a page is made of.
pub(super) fn find<'a>(assets: &'a [Asset], name: &str) -> Result<&'a Asset, ApiError> {
    let found = assets.iter().find(|asset| asset.name == name);
    found.ok_or_else(|| ApiError::NotFound(format!("/assets/{name}")))
}

impl Asset {
    pub(super) fn new(name: &'static str, kind: &'static str, content: &'static str) -> Self {
        Self { name, kind, content, tag: tag(content) }
    }

    /// A browser keeps the file and asks each time whether it has changed, so that a page and its
    /// scripts are never of two versions.
    pub(super) fn answer(&self, headers: &HeaderMap) -> Response {
        let mut response = if self.is_known_to(headers) {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            ([(CONTENT_TYPE, self.kind)], self.content).into_response()
        };
        let to = response.headers_mut();
        to.insert(ETAG, self.tag.clone());
        to.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        to.extend(SECURITY.map(|(name, value)| (name, HeaderValue::from_static(value))));
        response
    }

    fn is_known_to(&self, headers: &HeaderMap) -> bool {
        let known = headers.get_all(IF_NONE_MATCH).iter();
        let tags = known.filter_map(|value| value.to_str().ok()).flat_map(|tags| tags.split(','));
        tags.map(str::trim).any(|tag| tag == "*" || tag.as_bytes() == self.tag.as_bytes())
    }
}

/// Weak, because the same file may travel compressed.
fn tag(content: &str) -> HeaderValue {
    let digest = sha256_of(content.as_bytes());
    HeaderValue::try_from(format!("W/\"{}\"", &digest[..16]))
        .expect("hexadecimal digits in quotes are a header's value")
}
