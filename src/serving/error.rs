//! Why a request has no answer, whichever door it came through.

use std::fmt::Display;
use std::time::Duration;

use thiserror::Error;

use crate::batching::Rejection;
use crate::keys::{Exceeded, Refused};
use crate::pipeline::ClassifyError;

/// The share of a predicted time that a client's return is spread over, and at least a second.
const JITTER: f64 = 0.25;

/// Characters; a client's own text may stand in a detail, but not a picture.
const LONGEST_DETAIL: usize = 300;

/// What a request can be refused or fail with behind the doors.
#[derive(Clone, Debug, Error)]
pub enum RequestError {
    /// It asks for what cannot be.
    #[error("{0}")]
    Invalid(String),
    /// No such model.
    #[error("no model `{asked}` is served; there is {}", listed(served))]
    UnknownModel {
        /// What the request says.
        asked: String,
        /// The models that there are.
        served: Vec<String>,
    },
    /// No such version of a model.
    #[error("version `{served}` of the model `{model}` is served, not `{asked}`")]
    UnknownVersion {
        /// The model.
        model: String,
        /// Its version.
        served: String,
        /// What the request says.
        asked: String,
    },
    /// It has no API key, or none that is known.
    #[error(transparent)]
    Unauthorized(#[from] Refused),
    /// Its API key has used up what it may ask for.
    #[error(transparent)]
    RateLimited(#[from] Exceeded),
    /// Its only image has failed, or all of its images were refused.
    #[error(transparent)]
    Image(#[from] ClassifyError),
    /// One of its images has failed.
    #[error("image {index}: {cause}")]
    OneOfSeveral {
        /// Counted from 0.
        index: usize,
        /// What happened to it.
        cause: ClassifyError,
    },
}

fn listed(names: &[String]) -> String {
    format!("`{}`", names.join("`, `"))
}

impl From<Rejection> for RequestError {
    fn from(rejection: Rejection) -> Self {
        Self::Image(rejection.into())
    }
}

impl RequestError {
    /// When to come back, where that will help. Where load is the cause it is spread, so that
    /// those who were refused together do not come back together.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Image(ClassifyError::Rejected(rejection))
            | Self::OneOfSeveral { cause: ClassifyError::Rejected(rejection), .. } => {
                Some(spread(rejection.retry_after, fastrand::f64()))
            }
            Self::RateLimited(exceeded) => Some(exceeded.retry_after),
            _ => None,
        }
    }
}

/// A time and what `luck`, from 0 to 1, adds to it.
fn spread(wait: Duration, luck: f64) -> Duration {
    wait + wait.mul_f64(JITTER).max(Duration::from_secs(1)).mul_f64(luck)
}

/// What happened, fit for an answer and a line of the log whatever a client has sent.
#[must_use]
pub fn shown(error: &impl Display) -> String {
    let text = error.to_string();
    let visible = |character: char| if character.is_control() { ' ' } else { character };
    let mut shown: String = text.chars().take(LONGEST_DETAIL).map(visible).collect();
    if text.chars().nth(LONGEST_DETAIL).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_return_is_spread_over_a_quarter_of_the_wait_and_at_least_a_second() {
        let wait = Duration::from_secs(40);
        assert_eq!(spread(wait, 0.0), wait);
        assert_eq!(spread(wait, 1.0), Duration::from_secs(50));
        assert_eq!(spread(Duration::ZERO, 0.5), Duration::from_millis(500));
    }

    #[test]
    fn a_long_text_is_cut_and_control_characters_are_blanks() {
        assert_eq!(shown(&"a\n\u{1b}b"), "a  b");
        let long = shown(&"é".repeat(1000));
        assert_eq!(long.chars().count(), LONGEST_DETAIL + 1);
        assert!(long.ends_with("é…"));
    }
}
