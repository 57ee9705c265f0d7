//! The batch sizes that a device is asked to run.

use std::num::NonZeroUsize;
use std::time::Duration;

use super::backlog::into_f64;

/// Up to a batch limit, the sizes that are run as they are; others are padded to the next.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum BatchSizes {
    /// Every size: where a new shape costs the device nothing.
    Any {
        /// Images in a batch, at most.
        limit: NonZeroUsize,
    },
    /// These, in ascending order: where each shape has to be prepared.
    Some(Vec<NonZeroUsize>),
}

impl BatchSizes {
    /// Sizes that double: few, because each has a session of its own on the device, and small
    /// batches take it hardly less time than those of twice the size.
    #[must_use]
    pub fn padded(limit: NonZeroUsize) -> Self {
        Self::Some(powers_below(limit).filter_map(NonZeroUsize::new).chain([limit]).collect())
    }

    /// Images in a batch, at most.
    #[must_use]
    pub fn limit(&self) -> NonZeroUsize {
        match self {
            Self::Any { limit } => *limit,
            Self::Some(sizes) => sizes.last().copied().unwrap_or(NonZeroUsize::MIN),
        }
    }

    /// Whether the first batch of a size costs the device more than the next.
    pub(super) fn are_prepared(&self) -> bool {
        matches!(self, Self::Some(_))
    }

    /// Slots to compute for a number of images.
    #[must_use]
    pub fn slots(&self, images: usize) -> usize {
        match self {
            Self::Any { .. } => images,
            Self::Some(sizes) => {
                sizes.iter().map(|size| size.get()).find(|size| *size >= images).unwrap_or(images)
            }
        }
    }

    /// What is run before the first request: each size where a shape has to be prepared; where
    /// not, powers of two and the limit, so that the start does not grow with its square.
    #[must_use]
    pub fn to_warm(&self) -> Vec<usize> {
        match self {
            Self::Any { limit } => powers_below(*limit).chain([limit.get()]).collect(),
            Self::Some(sizes) => sizes.iter().map(|size| size.get()).collect(),
        }
    }

    /// Those of them that batches of up to `limit` images need.
    pub(super) fn to_warm_up_to(&self, limit: usize) -> Vec<usize> {
        let largest = self.slots(limit);
        self.to_warm().into_iter().filter(|size| *size <= largest).collect()
    }

    /// How many of `images` to run at once: all with padding, or fewer without, whichever gives
    /// more images a second.
    pub(super) fn best(&self, images: usize, cost: impl Fn(usize) -> Duration) -> usize {
        let Self::Some(sizes) = self else { return images };
        let rate = |run: usize| into_f64(run) / cost(self.slots(run)).as_secs_f64();
        let below = sizes.iter().map(|size| size.get()).rfind(|size| *size <= images);
        match below {
            Some(size) if rate(size) > rate(images) => size,
            _ => images,
        }
    }
}

fn powers_below(limit: NonZeroUsize) -> impl Iterator<Item = usize> {
    (0..usize::BITS).map(|power| 1 << power).take_while(move |size| *size < limit.get())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn padded(limit: usize) -> BatchSizes {
        BatchSizes::padded(NonZeroUsize::new(limit).unwrap())
    }

    #[test]
    fn padded_sizes_double_and_end_at_the_limit() {
        assert_eq!(padded(32).to_warm(), [1, 2, 4, 8, 16, 32]);
        assert_eq!(padded(20).to_warm(), [1, 2, 4, 8, 16, 20]);
        assert_eq!(padded(1).to_warm(), [1]);
    }

    #[test]
    fn a_batch_is_padded_to_the_next_size() {
        let slots = |images| padded(32).slots(images);
        assert_eq!([slots(1), slots(5), slots(13), slots(32)], [1, 8, 16, 32]);
    }

    #[test]
    fn without_padding_a_start_warms_powers_of_two_and_the_limit() {
        let sizes = BatchSizes::Any { limit: NonZeroUsize::new(20).unwrap() };
        assert_eq!(sizes.to_warm(), [1, 2, 4, 8, 16, 20]);
        assert_eq!(sizes.slots(7), 7);
    }

    #[test]
    fn one_image_too_many_is_left_for_the_next_batch_where_padding_would_cost_more() {
        let proportional = |slots: usize| Duration::from_millis(slots as u64);
        assert_eq!(padded(32).best(17, proportional), 16, "15 of 32 slots would be empty");
        assert_eq!(padded(32).best(32, proportional), 32);
        let flat = |slots: usize| Duration::from_micros(10_000 + slots as u64);
        assert_eq!(padded(32).best(17, flat), 17, "a larger batch costs next to nothing");
    }
}
