//! What becomes of one image, counted once.

use tokio::time::error::Elapsed;

use super::{ClassifyError, Request};
use crate::telemetry::metrics::{Abandonment, Metrics, Outcome};

/// Counts an image when its way ends, also where that is a client's going away.
pub(super) struct Fate<'a> {
    metrics: &'a Metrics,
    request: &'a Request,
    outcome: Outcome,
    /// How far it has come; from the queue on, the workers count for themselves.
    pub(super) at: Option<Abandonment>,
}

impl<'a> Fate<'a> {
    pub(super) fn of_one_image(metrics: &'a Metrics, request: &'a Request) -> Self {
        Self { metrics, request, outcome: Outcome::Abandoned, at: Some(Abandonment::Admitted) }
    }

    /// The image's way has ended by itself, or at its deadline.
    pub(super) fn settle<T>(
        mut self,
        result: Result<Result<T, ClassifyError>, Elapsed>,
    ) -> Result<T, ClassifyError> {
        let result = result.unwrap_or(Err(ClassifyError::Expired));
        self.outcome = result.as_ref().map_or_else(outcome, |_| Outcome::Classified);
        result
    }
}

impl Drop for Fate<'_> {
    fn drop(&mut self) {
        if let (Outcome::Abandoned, Some(&of_another)) = (self.outcome, self.request.failed.get()) {
            // Withdrawn because of that image; whoever asked waits for the answer.
            self.outcome = of_another;
        }
        self.metrics.count_image(self.outcome);
        if let (Outcome::Abandoned, Some(at)) = (self.outcome, self.at) {
            self.metrics.count_abandoned(at);
        }
    }
}

/// What an image counts as that has no classes for this reason.
pub(super) fn outcome(cause: &ClassifyError) -> Outcome {
    match cause {
        ClassifyError::Image(_) | ClassifyError::TooLarge { .. } => Outcome::Undecodable,
        ClassifyError::Rejected(_) => Outcome::Rejected,
        ClassifyError::Expired => Outcome::Expired,
        ClassifyError::Failed(_) => Outcome::Failed,
    }
}
