//! Images in a batch, at most: fewer than asked for where the device's memory was too small.

use std::time::Duration;

use tokio::time::Instant;

/// Memory that another took, a model that was loaded beside this one for example, may be free
/// again by then.
const RECOVERY: Duration = Duration::from_mins(10);

/// The limit, as it is at present.
pub(super) struct BatchLimit {
    present: usize,
    most: usize,
    /// When a batch found too little memory, or the limit was last raised since.
    lowered: Option<Instant>,
}

impl BatchLimit {
    pub(super) fn new(most: usize) -> Self {
        Self { present: most, most, lowered: None }
    }

    pub(super) fn get(&self) -> usize {
        self.present
    }

    /// For larger batches than these there never is memory.
    pub(super) fn cap(&mut self, images: usize) -> bool {
        self.most = self.most.min(images);
        self.reduce(images)
    }

    /// For larger batches than these there is no memory now.
    pub(super) fn lower(&mut self, images: usize, now: Instant) -> bool {
        let lower = self.reduce(images);
        if lower {
            self.lowered = Some(now);
        }
        lower
    }

    /// Doubles it where that is worth another try; what it is then.
    pub(super) fn recover(&mut self, now: Instant) -> Option<usize> {
        let lowered = self.lowered?;
        if now.saturating_duration_since(lowered) < RECOVERY {
            return None;
        }
        self.present = (2 * self.present).min(self.most);
        self.lowered = (self.present < self.most).then_some(now);
        Some(self.present)
    }

    fn reduce(&mut self, images: usize) -> bool {
        let lower = images < self.present;
        self.present = self.present.min(images);
        lower
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_was_lowered_comes_back_step_by_step() {
        let begin = Instant::now();
        let mut limit = BatchLimit::new(32);
        assert!(limit.lower(8, begin));
        assert!(!limit.lower(16, begin), "it is no higher");
        assert_eq!(limit.recover(begin + RECOVERY / 2), None);
        assert_eq!(limit.recover(begin + RECOVERY), Some(16));
        assert_eq!(limit.recover(begin + RECOVERY), None, "one step at a time");
        assert_eq!(limit.recover(begin + 2 * RECOVERY), Some(32));
        assert_eq!(limit.recover(begin + 9 * RECOVERY), None);
        assert_eq!(limit.get(), 32);
    }

    #[test]
    fn what_never_fits_is_not_tried_again() {
        let begin = Instant::now();
        let mut limit = BatchLimit::new(32);
        assert!(limit.cap(12));
        assert_eq!(limit.recover(begin + RECOVERY), None);
        assert!(limit.lower(8, begin));
        assert_eq!(limit.recover(begin + RECOVERY), Some(12));
        assert_eq!(limit.recover(begin + 9 * RECOVERY), None);
    }
}
