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
        self.outcome = outcome(&result);
        result
    }
}

impl Drop for Fate<'_> {
    fn drop(&mut self) {
        if self.outcome == Outcome::Abandoned && self.request.has_failed() {
            // Withdrawn because of another image; whoever asked waits for the answer.
            self.outcome = Outcome::Failed;
        }
        self.metrics.count_image(self.outcome);
        if let (Outcome::Abandoned, Some(at)) = (self.outcome, self.at) {
            self.metrics.count_abandoned(at);
        }
    }
}

fn outcome<T>(result: &Result<T, ClassifyError>) -> Outcome {
    match result {
        Ok(_) => Outcome::Classified,
        Err(ClassifyError::Image(_) | ClassifyError::TooLarge { .. }) => Outcome::Undecodable,
        Err(ClassifyError::Rejected(_)) => Outcome::Rejected,
        Err(ClassifyError::Expired) => Outcome::Expired,
        Err(ClassifyError::Failed(_)) => Outcome::Failed,
    }
}
