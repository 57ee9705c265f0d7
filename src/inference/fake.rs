//! An engine without a network, for tests of everything around it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::{BatchTensor, Elements, Engine, InferenceError, Logits};

/// Answers with logits that follow from the first three bytes of an image.
///
/// The red, green and blue of the first pixel are the logits of classes 0, 1 and 2; further
/// classes have 0. A first pixel of [`POISON`] fails the whole batch.
pub struct FakeEngine {
    classes: usize,
    control: FakeControl,
}

/// The first pixel of an image that no device can run.
pub const POISON: [u8; 3] = [255, 0, 255];

/// Holds back and watches the engines of a test.
#[derive(Clone, Default)]
pub struct FakeControl {
    state: Arc<(Mutex<State>, Condvar)>,
}

#[derive(Default)]
struct State {
    held: bool,
    batches: Vec<usize>,
}

impl FakeEngine {
    /// An engine for `classes` classes.
    ///
    /// # Panics
    ///
    /// For fewer than 3 classes.
    #[must_use]
    pub fn new(classes: usize, control: FakeControl) -> Self {
        assert!(classes >= 3, "red, green and blue are classes");
        Self { classes, control }
    }

    fn row(&self, pixel: [u8; 3]) -> Vec<f32> {
        let mut row = vec![0.0; self.classes];
        for (logit, channel) in row.iter_mut().zip(pixel) {
            *logit = f32::from(channel) / 32.0;
        }
        row
    }
}

impl Engine for FakeEngine {
    fn run(&mut self, batch: &BatchTensor) -> Result<Logits, InferenceError> {
        self.control.enter(batch.images());
        let Elements::Uint8(bytes) = &batch.elements else {
            return Err(InferenceError::Failed("the fake engine takes bytes".to_owned()));
        };
        let pixels: Vec<[u8; 3]> = bytes
            .chunks_exact(batch.image_length())
            .map(|image| [image[0], image[1], image[2]])
            .collect();
        if pixels.contains(&POISON) {
            return Err(InferenceError::Failed("an image is poisonous".to_owned()));
        }
        let values = pixels.into_iter().flat_map(|pixel| self.row(pixel)).collect();
        Ok(Logits::new(self.classes, values))
    }
}

impl FakeControl {
    /// Lets no batch finish until [`FakeControl::release`].
    pub fn hold(&self) {
        self.lock().held = true;
    }

    /// Lets batches finish.
    pub fn release(&self) {
        self.lock().held = false;
        self.state.1.notify_all();
    }

    /// The sizes of all batches that began, in order.
    #[must_use]
    pub fn batches(&self) -> Vec<usize> {
        self.lock().batches.clone()
    }

    /// Waits until `count` batches have begun.
    pub fn wait_for_batches(&self, count: usize) {
        let guard = self.lock();
        let waited = self.state.1.wait_while(guard, |state| state.batches.len() < count);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    fn enter(&self, images: usize) {
        let mut state = self.lock();
        state.batches.push(images);
        self.state.1.notify_all();
        let waited = self.state.1.wait_while(state, |state| state.held);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
