//! The answer to one image, for as long as somebody waits for it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Shared;
use super::job::{JobError, Row};
use super::line::Turn;

/// What a worker will say. Dropped before, it takes the image out of the line, and others get its
/// place at once; a batch that runs goes on.
pub struct Answer {
    pub(super) receiver: oneshot::Receiver<Result<Row, JobError>>,
    turn: Turn,
    shared: Arc<Shared>,
}

impl Answer {
    pub(super) fn to(
        turn: Turn,
        receiver: oneshot::Receiver<Result<Row, JobError>>,
        shared: Arc<Shared>,
    ) -> Self {
        Self { receiver, turn, shared }
    }
}

impl Future for Answer {
    type Output = Result<Row, JobError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = Pin::new(&mut self.receiver).poll(context);
        let died = |_| Err(JobError::Failed("a worker died".to_owned()));
        answer.map(|answer| answer.unwrap_or_else(died))
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if self.receiver.is_terminated() {
            return;
        }
        let now = Instant::now();
        let withdrawn = self.shared.lock().withdraw(self.turn, now);
        if let Some(job) = withdrawn {
            self.shared.dismiss(job, now);
        }
    }
}
