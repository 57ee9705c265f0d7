//! Who is let in: places, deadlines, and the promises that others were given.

use std::time::Duration;

use tokio::time::Instant;

use super::{Backlog, Promise};
use crate::batching::forecast::Outlook;
use crate::batching::line::Line;
use crate::batching::queue::{Late, Rejection};
use crate::telemetry::metrics::Reason;

/// This share of the places is kept for requests that need fewer of them.
const HEADROOM: usize = 8;

/// When forecasts turn into promises.
struct Promises {
    outlook: Outlook,
    factor: f64,
    now: Instant,
}

impl Backlog {
    /// Takes `images` places, all or none.
    ///
    /// # Errors
    ///
    /// As [`Backlog::check`].
    pub(in super::super) fn reserve(
        &mut self,
        images: usize,
        deadline: Instant,
        now: Instant,
    ) -> Result<Vec<Promise>, Rejection> {
        self.arrivals.add(images, now);
        let rank = self.rank_for(images, deadline, now)?;
        let outlook = self.outlook(self.line.len() + images, now);
        let turns = self.line.join(rank, images, deadline);
        let positions = self.line.positions(&turns);
        let line = self.line.len();
        let promise = |(turn, position)| {
            let forecast = outlook.finish(position);
            Promise { turn, made: now, forecast, line }
        };
        Ok(turns.into_iter().zip(positions).map(promise).collect())
    }

    /// Says whether a request of one image would be admitted now; one that would not has arrived
    /// all the same.
    ///
    /// # Errors
    ///
    /// When the places are not there, the deadline is out of reach, no worker works, or the queue
    /// is closed.
    pub(in super::super) fn check(
        &mut self,
        deadline: Instant,
        now: Instant,
    ) -> Result<(), Rejection> {
        let checked = self.rank_for(1, deadline, now);
        checked.map(drop).inspect_err(|_| self.arrivals.add(1, now))
    }

    /// A refusal that says when what was admitted will be through.
    #[must_use]
    pub fn rejection(&self, reason: Reason, now: Instant) -> Rejection {
        let images = self.line.len();
        Rejection { reason, retry_after: self.outlook(images, now).drain(), late: None }
    }

    /// The rank of a request's first image: between the others, or, where that would break what
    /// they were promised, after them.
    fn rank_for(&self, images: usize, deadline: Instant, now: Instant) -> Result<u64, Rejection> {
        let refuse = |reason| Err(self.rejection(reason, now));
        if self.closed {
            return refuse(Reason::Draining);
        }
        if self.workers.working() == 0 {
            return refuse(Reason::NoWorker);
        }
        if !self.has_places(images) {
            return refuse(Reason::QueueFull);
        }
        let total = self.line.len() + images;
        let promises =
            Promises { outlook: self.outlook(total, now), factor: self.calibration.factor(), now };
        let ranks = [self.line.fair_rank(), self.line.last_rank()];
        let feasible = |first: &u64| self.is_feasible(*first, (images, deadline), &promises);
        ranks.into_iter().find(feasible).ok_or_else(|| {
            let late = self.late(promises.finish(total), deadline, now);
            Rejection { late, ..self.rejection(Reason::Deadline, now) }
        })
    }

    /// By how much the last in line would be late; not where only others would be.
    fn late(&self, predicted: Duration, deadline: Instant, now: Instant) -> Option<Late> {
        let due = deadline.saturating_duration_since(now);
        (predicted > due).then(|| Late { predicted, due, is_alone: self.admitted() == 0 })
    }

    /// Whether there is room, and some to spare for smaller requests: so that a herd of large
    /// ones leaves the door open. A request that finds nothing in line may take every place.
    fn has_places(&self, images: usize) -> bool {
        let capacity = self.gathering.queue_capacity.get();
        let spare = if self.admitted() == 0 { 0 } else { (images - 1).min(capacity / HEADROOM) };
        self.admitted() + images + spare <= capacity
    }

    /// Whether every image of a request that begins at a rank is through by its deadline, and so
    /// is everyone behind it.
    fn is_feasible(
        &self,
        first: u64,
        (images, deadline): (usize, Instant),
        promises: &Promises,
    ) -> bool {
        let total = self.line.len() + images;
        let mut joining = Line::ranks(first, images).peekable();
        let mut position = 0;
        for (rank, place) in self.line.places() {
            while joining.next_if(|own| *own < rank).is_some() {
                position += 1;
                if joining.peek().is_none() && !promises.keeps(position, deadline) {
                    return false;
                }
            }
            position += 1;
            let is_behind = joining.len() < images;
            if is_behind && !promises.keeps(position, place.deadline) {
                return false;
            }
        }
        joining.len() == 0 || promises.keeps(total, deadline)
    }
}

impl Promises {
    /// Whether the image at a position is through by a deadline, by experience.
    fn keeps(&self, position: usize, deadline: Instant) -> bool {
        self.now + self.finish(position) <= deadline
    }

    /// When the image at a position is through, by experience.
    fn finish(&self, position: usize) -> Duration {
        Duration::from_secs_f64(self.outlook.finish(position).as_secs_f64() * self.factor)
    }
}
