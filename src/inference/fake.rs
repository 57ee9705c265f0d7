//! An engine without a network, for tests of everything around it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::{
    BatchTensor, Elements, Engine, EngineFactory, InferenceError, Logits, Outputs, Wanted,
};

/// The first pixel of an image that no device can run: the whole batch fails.
pub const POISON: [u8; 3] = [255, 0, 255];

/// The first pixel of an image after which the engine runs nothing any more.
pub const LETHAL: [u8; 3] = [255, 255, 0];

/// The first pixel of an image for which the network finds no finite scores.
pub const OVERFLOWING: [u8; 3] = [0, 255, 255];

/// Answers with logits that follow from the first three elements of an image.
///
/// A 32nd of each, of bytes the red, green and blue of the first pixel, is the logit of classes 0,
/// 1 and 2; further classes have 0. [`POISON`], [`LETHAL`] and
/// [`OVERFLOWING`] are the exceptions.
pub struct FakeEngine {
    classes: usize,
    control: FakeControl,
    alive: bool,
}

/// Makes [`FakeEngine`]s.
pub struct FakeFactory {
    classes: usize,
    control: FakeControl,
}

/// Holds back and watches the engines of a test.
#[derive(Clone, Default)]
pub struct FakeControl {
    state: Arc<(Mutex<State>, Condvar)>,
}

#[derive(Default)]
struct State {
    held: bool,
    batches: Vec<usize>,
    refused_engines: usize,
    room: Option<usize>,
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
        Self { classes, control, alive: true }
    }

    fn row(&self, pixel: [f32; 3]) -> Vec<f32> {
        if [pixel].contains(&OVERFLOWING.map(f32::from)) {
            return vec![f32::NAN; self.classes];
        }
        let mut row = vec![0.0; self.classes];
        for (logit, channel) in row.iter_mut().zip(pixel) {
            *logit = channel / 32.0;
        }
        row
    }
}

impl Engine for FakeEngine {
    fn run(&mut self, batch: &BatchTensor, _wanted: Wanted) -> Result<Outputs, InferenceError> {
        self.control.enter(batch.images())?;
        let failed = |cause: &str| Err(InferenceError::Failed(cause.to_owned()));
        let pixels = first_elements(batch);
        self.alive &= !pixels.contains(&LETHAL.map(f32::from));
        if !self.alive {
            return failed("the engine is dead");
        }
        if pixels.contains(&POISON.map(f32::from)) {
            return failed("an image is poisonous");
        }
        let values = pixels.into_iter().flat_map(|pixel| self.row(pixel)).collect();
        Ok(Logits::new(self.classes, values).into())
    }
}

/// The first three elements of each image: of bytes in `[n, h, w, 3]` the first pixel.
fn first_elements(batch: &BatchTensor) -> Vec<[f32; 3]> {
    fn of<T: Copy>(values: &[T], length: usize, number: impl Fn(T) -> f32) -> Vec<[f32; 3]> {
        let first = |image: &[T]| [image[0], image[1], image[2]].map(&number);
        values.chunks_exact(length).map(first).collect()
    }
    let length = batch.image_length();
    match &batch.elements {
        Elements::Float32(values) => of(values, length, f32::from),
        Elements::Float16(values) => of(values, length, f32::from),
        Elements::Uint8(values) => of(values, length, f32::from),
    }
}

impl FakeFactory {
    /// For engines of `classes` classes under one control.
    #[must_use]
    pub fn new(classes: usize, control: FakeControl) -> Self {
        Self { classes, control }
    }
}

impl EngineFactory for FakeFactory {
    fn create(&self) -> Result<Box<dyn Engine>, InferenceError> {
        let mut state = self.control.lock();
        if state.refused_engines > 0 {
            state.refused_engines -= 1;
            return Err(InferenceError::Failed("the device gives no engine".to_owned()));
        }
        drop(state);
        Ok(Box::new(FakeEngine::new(self.classes, self.control.clone())))
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

    /// Refuses the next `count` engines that are asked for.
    pub fn refuse_engines(&self, count: usize) {
        self.lock().refused_engines = count;
    }

    /// Gives the device room for batches of `images` images, and no larger ones.
    pub fn limit_room(&self, images: usize) {
        self.lock().room = Some(images);
    }

    /// The sizes of all batches that began, in order.
    #[must_use]
    pub fn batches(&self) -> Vec<usize> {
        self.lock().batches.clone()
    }

    fn enter(&self, images: usize) -> Result<(), InferenceError> {
        let mut state = self.lock();
        state.batches.push(images);
        let entered = self.state.1.wait_while(state, |state| state.held);
        let room = entered.unwrap_or_else(PoisonError::into_inner).room;
        match room.filter(|room| images > *room) {
            Some(room) => Err(InferenceError::OutOfMemory(format!("{images} images, {room} fit"))),
            None => Ok(()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
