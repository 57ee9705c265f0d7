//! The name of a request, in the log, in the answer and in the client's own log.

use std::sync::Arc;

use http::{HeaderMap, HeaderName};
use uuid::Uuid;

/// The header in which a client names its request, and an answer says the name.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Bytes of a name that a client gives.
const LONGEST: usize = 128;

/// The name of one request. Clones are the same.
#[derive(Clone, Debug)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// The client's own name where it is fit for a log, else a new one.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok());
        let fit = |id: &&str| {
            (1..=LONGEST).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
        };
        let made = || Uuid::new_v4().simple().to_string();
        Self(given.filter(fit).map_or_else(made, str::to_owned).into())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(given: &str) -> String {
        let headers = [(REQUEST_ID, given.parse().unwrap())];
        RequestId::of(&HeaderMap::from_iter(headers)).as_str().to_owned()
    }

    #[test]
    fn a_name_that_is_fit_for_a_log_is_kept_and_another_replaced() {
        assert_eq!(of("mine-1"), "mine-1");
        assert_eq!(of(&"a".repeat(128)).len(), 128);
        for unfit in ["", "a b", "a\u{e4}", &"a".repeat(129)] {
            assert_eq!(of(unfit).len(), 32, "{unfit:?}");
        }
        assert_ne!(of(""), of(""));
    }
}
