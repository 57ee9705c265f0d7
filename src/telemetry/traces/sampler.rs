//! Which requests are traced: those whose caller says so, and a share of the others.

use std::str::FromStr;

use opentelemetry::trace::{Link, SpanKind, TraceId, TraceState};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{Sampler, SamplingDecision, SamplingResult, ShouldSample};
use thiserror::Error;

/// A share from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio(f64);

/// A share that is none.
#[derive(Clone, Debug, Error, Eq, PartialEq)]
#[error("it is not a number from 0 to 1")]
pub struct RatioError;

/// Follows the caller, else the ratio; a batch is traced where one of its requests is.
#[derive(Clone, Debug)]
struct Linked {
    requests: Sampler,
}

/// Samples this share of the requests whose caller does not say.
#[must_use]
pub fn sampler(ratio: Ratio) -> impl ShouldSample + 'static {
    Linked { requests: Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(ratio.0))) }
}

impl ShouldSample for Linked {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        if links.iter().any(|link| link.span_context.is_sampled()) {
            return SamplingResult {
                decision: SamplingDecision::RecordAndSample,
                attributes: Vec::new(),
                trace_state: TraceState::default(),
            };
        }
        self.requests.should_sample(parent, trace, name, kind, attributes, links)
    }
}

impl FromStr for Ratio {
    type Err = RatioError;

    fn from_str(text: &str) -> Result<Self, RatioError> {
        let ratio = text.parse().map_err(|_| RatioError)?;
        if (0.0..=1.0).contains(&ratio) { Ok(Self(ratio)) } else { Err(RatioError) }
    }
}

impl std::fmt::Display for Ratio {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_lies_between_0_and_1() {
        for text in ["0", "1", "0.25"] {
            assert!(text.parse::<Ratio>().is_ok(), "{text}");
        }
        for text in ["-0.1", "1.1", "NaN", "half", ""] {
            assert_eq!(text.parse::<Ratio>(), Err(RatioError), "{text}");
        }
    }
}
