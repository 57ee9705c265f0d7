//! An image behind the queue's entrance, and what it spends there however that ends.

use tokio::time::Instant;

use super::Request;
use crate::batching::{Progress, Slot, Spent};
use crate::telemetry::metrics::Stage;
use crate::telemetry::stages::StageTimes;

/// Writes down what an image has spent when its answer is there, or nobody waits for one any more.
pub(super) struct Waiting<'a> {
    times: &'a StageTimes,
    progress: Progress,
    submitted: Instant,
}

impl<'a> Waiting<'a> {
    pub(super) fn begin(slot: &Slot, request: &'a Request) -> Self {
        Self { times: &request.times, progress: slot.progress(), submitted: Instant::now() }
    }

    pub(super) fn spent(&self) -> Spent {
        self.progress.spent(self.submitted)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let Spent { queue, inference } = self.spent();
        self.times.record(Stage::Queue, queue);
        self.times.record(Stage::Inference, inference);
    }
}
