//! Lets in who has an API key, before anything of a body is read.

use std::sync::{Arc, OnceLock};

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;

use super::body::unless_refused;
use super::error::ApiError;
use crate::keys::{Name, Place};
use crate::serving::{App, AppState, RequestError};

/// Whose key a request came with, once that is known. Clones are the same request's.
#[derive(Clone, Default)]
pub(super) struct Caller(Arc<OnceLock<Name>>);

impl Caller {
    /// The name of the key.
    pub(super) fn name(&self) -> Option<&str> {
        self.0.get().map(Name::as_str)
    }
}

/// Stands before every handler that does work or tells about models.
pub(super) async fn admit(
    State(app): State<App>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let taken = take(&app, &request);
    let (parts, body) = request.into_parts();
    let (_place, body) = unless_refused(taken, (&parts.headers, body)).await?;
    Ok(next.run(Request::from_parts(parts, body)).await)
}

fn take(app: &AppState, request: &Request) -> Result<Option<Place>, ApiError> {
    let Some(key) = app.key(request.headers())? else { return Ok(None) };
    // Log and metrics name whoever is refused for asking too much as well.
    if let Some(Caller(name)) = request.extensions().get() {
        let _ = name.set(key.name().clone());
    }
    Ok(Some(key.take().map_err(RequestError::from)?))
}
