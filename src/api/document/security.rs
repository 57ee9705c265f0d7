//! Which paths need an API key, and what they answer without one.

use std::time::Duration;

use utoipa::Modify;
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{OpenApi, PathItem};

use super::problems;
use crate::api::error::{ApiError, Form};
use crate::keys::{Exceeded, Refused};
use crate::serving::RequestError;

const BEARER: &str = "bearer";
const HEADER: &str = "header";

/// Paths below which a key is asked for.
const WORK: [&str; 3] = ["/classify", "/models", "/v2"];

/// Paths of these that probes ask, which have none.
const PROBES: &str = "/v2/health/";

/// Adds keys to the operations that need them, where the service was started with keys.
pub(super) struct Secured;

impl Modify for Secured {
    fn modify(&self, document: &mut OpenApi) {
        let words = "An API key, where the service was started with `--api-keys-file`.";
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(words));
        let header = ApiKey::Header(ApiKeyValue::with_description("X-API-Key", words));
        let components = document.components.get_or_insert_default();
        components.add_security_scheme(BEARER, SecurityScheme::Http(bearer.build()));
        components.add_security_scheme(HEADER, SecurityScheme::ApiKey(header));
        let is_work = |path: &str| WORK.iter().any(|work| path.starts_with(work));
        let needs_key = |path: &str| is_work(path) && !path.starts_with(PROBES);
        let secured = document.paths.paths.iter_mut().filter(|(path, _)| needs_key(path));
        secured.for_each(|(path, item)| secure(path, item));
    }
}

fn secure(path: &str, item: &mut PathItem) {
    let exceeded = Exceeded::rate(Duration::from_secs(2));
    let errors = [RequestError::from(Refused::Missing), exceeded.into()].map(ApiError::from);
    for operation in [item.get.as_mut(), item.post.as_mut()].into_iter().flatten() {
        let none: [&str; 0] = [];
        operation.security = Some(vec![
            SecurityRequirement::default(),
            SecurityRequirement::new(BEARER, none),
            SecurityRequirement::new(HEADER, none),
        ]);
        let responses = problems::responses(Form::of(path), &errors);
        operation.responses.responses.extend(responses);
    }
}
