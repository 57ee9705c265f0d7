//! One engine and the batch that it is given.

use std::panic::{self, AssertUnwindSafe};
use std::time::Duration;

use tokio::time::Instant;

use super::job::{Content, Job};
use super::sizes::BatchSizes;
use crate::inference::{BatchTensor, Elements, Engine, InferenceError, Input, Outputs, Wanted};
use crate::preprocess::{self, Packing, Pixels};

/// Packs images into a batch and runs it.
pub struct Executor {
    /// The engine's memory, and let go of before the engine.
    buffer: BatchTensor,
    engine: Box<dyn Engine>,
    packing: Packing,
    input: Input,
    /// In a batch, at most.
    images: usize,
    /// Whether the engine has run before; its first run takes longer than others.
    ran: bool,
}

/// So many sizes say what any other takes, though one of them be disturbed.
const POINTS_OF_A_LINE: usize = 3;

/// What stands in an engine's place after it failed for good.
struct NoEngine;

impl Executor {
    /// An engine with a batch that has room for `images` images.
    #[must_use]
    pub fn new(engine: Box<dyn Engine>, packing: Packing, input: &Input, images: usize) -> Self {
        let buffer = engine.batch(input, images);
        Self { buffer, engine, packing, input: input.clone(), images, ran: false }
    }

    /// The same for an engine that has run the smallest batch before.
    #[must_use]
    pub fn that_has_run(self) -> Self {
        Self { ran: true, ..self }
    }

    /// Runs a batch of zeros of each size that will be used, up to what `limit` images need, and
    /// observes what it takes. The first run of all is not observed, nor is a shape's where that has
    /// to be prepared; it is repeated where what a size takes does not follow from the others.
    /// Returns the largest size that the device has room for, where it is not the last.
    ///
    /// # Errors
    ///
    /// When the engine fails, has no room for the smallest size, or answers with another number of
    /// classes than there are labels.
    pub(super) fn warm_up(
        &mut self,
        sizes: &BatchSizes,
        limit: usize,
        observe: impl Fn(usize, Duration),
    ) -> Result<Option<usize>, InferenceError> {
        let sizes_to_warm = sizes.to_warm_up_to(limit);
        let follows = sizes_to_warm.len() > POINTS_OF_A_LINE && !sizes.are_prepared();
        let mut largest = None;
        for size in sizes_to_warm {
            let is_first = largest.is_none();
            if (is_first && !self.ran) || sizes.are_prepared() {
                match self.probe(size) {
                    Err(InferenceError::OutOfMemory(_)) if !is_first => return Ok(largest),
                    probed => probed?,
                }
            }
            largest = Some(size);
            if is_first && follows {
                continue;
            }
            let started = Instant::now();
            self.probe(size)?;
            observe(size, started.elapsed());
        }
        Ok(None)
    }

    /// Runs zeros, which every engine that works can do.
    pub(super) fn probe(&mut self, slots: usize) -> Result<(), InferenceError> {
        self.buffer.resize(0);
        self.run(slots, &[]).map(drop)
    }

    /// Packs the images into a batch of `slots` and runs it; a panic inside the engine is a
    /// failure like any other.
    pub(super) fn run(&mut self, slots: usize, jobs: &[Job]) -> Result<Outputs, InferenceError> {
        let features = jobs.iter().any(|job| job.image.wanted == Wanted::Features);
        let wanted = if features { Wanted::Features } else { Wanted::Logits };
        self.pack_and_run((slots, wanted), |packing, batch| {
            for (index, job) in jobs.iter().enumerate() {
                let place = place(batch, index);
                match &job.image.content {
                    Content::Pixels(pixels) => packing.pack(pixels, place),
                    Content::Tensor(elements) => place.copy_from_bytes(elements),
                }
            }
        })
    }

    /// Runs one picture that nobody sent; its `[classes]` logits.
    ///
    /// # Errors
    ///
    /// When the engine fails.
    pub fn run_one(&mut self, slots: usize, pixels: &Pixels) -> Result<Vec<f32>, InferenceError> {
        // What is left of an earlier batch in further slots is of no interest.
        let pack = |packing: &Packing, batch: &mut _| packing.pack(pixels, place(batch, 0));
        let outputs = self.pack_and_run((slots, Wanted::Logits), pack)?;
        Ok(outputs.logits.rows().next().unwrap_or_default().to_vec())
    }

    fn pack_and_run(
        &mut self,
        (slots, wanted): (usize, Wanted),
        pack: impl FnOnce(&Packing, &mut BatchTensor),
    ) -> Result<Outputs, InferenceError> {
        self.buffer.resize(slots);
        let pack_and_run = || {
            pack(&self.packing, &mut self.buffer);
            self.engine.run(&self.buffer, wanted)
        };
        panic::catch_unwind(AssertUnwindSafe(pack_and_run))
            .unwrap_or_else(|_| Err(InferenceError::Failed("the engine panicked".to_owned())))
    }

    /// Lets go of the engine, so that the device's memory is free for the next.
    pub(super) fn give_up_engine(&mut self) {
        self.set_engine(Box::new(NoEngine));
    }

    /// Goes on with another engine.
    pub(super) fn set_engine(&mut self, engine: Box<dyn Engine>) {
        self.buffer = engine.batch(&self.input, self.images);
        self.engine = engine;
        self.ran = false;
    }
}

impl Engine for NoEngine {
    fn run(&mut self, _batch: &BatchTensor, _: Wanted) -> Result<Outputs, InferenceError> {
        Err(InferenceError::Failed("the engine is being rebuilt".to_owned()))
    }
}

/// The room of one image in a batch.
pub fn place(batch: &mut BatchTensor, index: usize) -> preprocess::Slot<'_> {
    let length = batch.image_length();
    let range = index * length..(index + 1) * length;
    match &mut batch.elements {
        Elements::Float32(values) => preprocess::Slot::Float32(&mut values[range]),
        Elements::Float16(values) => preprocess::Slot::Float16(&mut values[range]),
        Elements::Uint8(values) => preprocess::Slot::Uint8(&mut values[range]),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::num::{NonZeroU32, NonZeroUsize};

    use super::*;
    use crate::inference::fake::{FakeControl, FakeEngine};
    use crate::model::manifest::{ColorOrder, ElementType, Layout};

    /// Of one pixel.
    fn input() -> Input {
        let one = NonZeroU32::MIN;
        let (layout, element_type) = (Layout::Nhwc, ElementType::Uint8);
        Input { name: None, layout, element_type, height: one, width: one }
    }

    /// The batches that are run before the first request, and those of which the time is noted.
    fn warmed(sizes: &BatchSizes) -> (Vec<usize>, Vec<usize>) {
        warmed_as(sizes, |executor| executor)
    }

    fn warmed_as(
        sizes: &BatchSizes,
        is: impl FnOnce(Executor) -> Executor,
    ) -> (Vec<usize>, Vec<usize>) {
        let control = FakeControl::default();
        let engine = Box::new(FakeEngine::new(3, control.clone()));
        let packing = Packing::new(Layout::Nhwc, ColorOrder::Rgb, [0.0; 3], [1.0; 3]);
        let observed = RefCell::new(Vec::new());
        let largest = is(Executor::new(engine, packing, &input(), 8))
            .warm_up(sizes, 8, |size, _| observed.borrow_mut().push(size))
            .unwrap();
        assert_eq!(largest, None);
        (control.batches(), observed.into_inner())
    }

    #[test]
    fn what_a_first_run_costs_once_is_not_taken_for_what_a_batch_costs() {
        let five = NonZeroUsize::new(5).unwrap();
        let any = warmed(&BatchSizes::Any { limit: five });
        assert_eq!(any, (vec![1, 2, 4, 5], vec![2, 4, 5]));
        let four = warmed(&BatchSizes::Any { limit: NonZeroUsize::new(4).unwrap() });
        assert_eq!(four, (vec![1, 1, 2, 4], vec![1, 2, 4]), "two points are few");
        let three = NonZeroUsize::new(3).unwrap();
        let padded = warmed(&BatchSizes::padded(three));
        assert_eq!(padded, (vec![1, 1, 2, 2, 3, 3], vec![1, 2, 3]), "each shape is prepared");
    }

    #[test]
    fn an_engine_that_has_run_needs_no_first_run() {
        let most = |number| NonZeroUsize::new(number).unwrap();
        let any = warmed_as(&BatchSizes::Any { limit: most(5) }, Executor::that_has_run);
        assert_eq!(any, (vec![2, 4, 5], vec![2, 4, 5]));
        let four = warmed_as(&BatchSizes::Any { limit: most(4) }, Executor::that_has_run);
        assert_eq!(four, (vec![1, 2, 4], vec![1, 2, 4]));
        let padded = warmed_as(&BatchSizes::padded(most(2)), Executor::that_has_run);
        assert_eq!(padded, (vec![1, 1, 2, 2], vec![1, 2]), "each shape is prepared");
    }

    #[test]
    fn sizes_that_the_device_has_no_room_for_are_given_up_but_for_the_smallest() {
        let control = FakeControl::default();
        let engine = Box::new(FakeEngine::new(3, control.clone()));
        let packing = Packing::new(Layout::Nhwc, ColorOrder::Rgb, [0.0; 3], [1.0; 3]);
        let mut executor = Executor::new(engine, packing, &input(), 8);
        let sizes = BatchSizes::padded(NonZeroUsize::new(8).unwrap());
        control.limit_room(3);
        assert_eq!(executor.warm_up(&sizes, 8, |_, _| ()).unwrap(), Some(2));
        control.limit_room(0);
        let error = executor.warm_up(&sizes, 8, |_, _| ()).unwrap_err();
        assert!(matches!(error, InferenceError::OutOfMemory(_)), "{error}");
    }
}
