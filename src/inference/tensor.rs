//! Plain tensors, so that nobody but the engine knows the runtime's own.

use std::fmt;
use std::ops::{Deref, DerefMut};

use half::f16;

use crate::model::manifest::{ElementType, Input, Layout};

/// A batch in the shape and element type that the graph takes.
#[derive(Debug)]
pub struct BatchTensor {
    /// `[n, 3, h, w]` or `[n, h, w, 3]`
    pub shape: [usize; 4],
    /// The elements, image after image.
    pub elements: Elements,
}

/// The elements of a tensor.
#[derive(Debug)]
pub enum Elements {
    /// Normalised, single precision.
    Float32(Memory<f32>),
    /// Normalised, half precision.
    Float16(Memory<f16>),
    /// As they were decoded.
    Uint8(Memory<u8>),
}

/// A list of elements, in the kind of memory that suits the device.
pub enum Memory<T> {
    /// On the heap.
    Ordinary(Vec<T>),
    /// In memory of the engine's, of which a part is used.
    Device {
        /// All of it.
        room: Box<dyn DerefMut<Target = [T]> + Send + Sync>,
        /// So many elements are the list.
        length: usize,
    },
}

impl BatchTensor {
    /// A batch of zeros for `images` images.
    #[must_use]
    pub fn zeros(input: &Input, images: usize) -> Self {
        let (height, width) = (input.height.get() as usize, input.width.get() as usize);
        let shape = match input.layout {
            Layout::Nchw => [images, 3, height, width],
            Layout::Nhwc => [images, height, width, 3],
        };
        let length = shape.iter().product();
        let elements = match input.element_type {
            ElementType::Float32 => Elements::Float32(vec![0.0; length].into()),
            ElementType::Float16 => Elements::Float16(vec![f16::ZERO; length].into()),
            ElementType::Uint8 => Elements::Uint8(vec![0; length].into()),
        };
        Self { shape, elements }
    }

    /// Images in the batch.
    #[must_use]
    pub fn images(&self) -> usize {
        self.shape[0]
    }

    /// Makes room for another number of images, keeping the memory.
    pub fn resize(&mut self, images: usize) {
        self.shape[0] = images;
        let length = self.shape.iter().product();
        match &mut self.elements {
            Elements::Float32(values) => values.resize(length),
            Elements::Float16(values) => values.resize(length),
            Elements::Uint8(values) => values.resize(length),
        }
    }

    /// Elements of one image.
    #[must_use]
    pub fn image_length(&self) -> usize {
        self.shape[1..].iter().product()
    }
}

impl<T: Copy + Default> Memory<T> {
    /// Makes the list shorter, or longer by zeros. What the engine's memory does not hold goes on
    /// in ordinary memory.
    fn resize(&mut self, wanted: usize) {
        match self {
            Self::Ordinary(values) => values.resize(wanted, T::default()),
            Self::Device { room, length } if wanted <= room.len() => {
                if wanted > *length {
                    room[*length..wanted].fill(T::default());
                }
                *length = wanted;
            }
            Self::Device { .. } => {
                let mut values = self.to_vec();
                values.resize(wanted, T::default());
                *self = Self::Ordinary(values);
            }
        }
    }
}

impl<T> From<Vec<T>> for Memory<T> {
    fn from(values: Vec<T>) -> Self {
        Self::Ordinary(values)
    }
}

impl<T> Deref for Memory<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            Self::Ordinary(values) => values,
            Self::Device { room, length } => &room[..*length],
        }
    }
}

impl<T> DerefMut for Memory<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        match self {
            Self::Ordinary(values) => values,
            Self::Device { room, length } => &mut room[..*length],
        }
    }
}

impl<T> fmt::Debug for Memory<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if matches!(self, Self::Ordinary(_)) { "ordinary" } else { "the device's" };
        write!(formatter, "{} elements in {kind} memory", self.len())
    }
}

/// `[n, classes]` scores, one row an image.
#[derive(Clone, Debug, PartialEq)]
pub struct Logits {
    classes: usize,
    values: Vec<f32>,
}

impl Logits {
    /// Rows of `classes` values each.
    ///
    /// # Panics
    ///
    /// When the values do not fill whole rows, which the engine has checked.
    #[must_use]
    pub fn new(classes: usize, values: Vec<f32>) -> Self {
        assert!(classes > 0 && values.len().is_multiple_of(classes), "rows are whole");
        Self { classes, values }
    }

    /// The rows, in the order of the batch.
    pub fn rows(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact(self.classes)
    }
}

/// What a network says of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Outputs {
    /// `[n, classes]`
    pub logits: Logits,
    /// What they are made of, where that was wanted and is shown.
    pub features: Option<Features>,
}

/// `[n, …]` of what logits are made of; each list is empty where the network does not show it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Features {
    /// Images in the batch.
    pub images: usize,
    /// `[n, channels]`
    pub vectors: Vec<f32>,
    /// `[n, channels, rows, columns]`
    pub maps: Vec<f32>,
}

/// What a network says of one image.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ImageOutputs {
    /// `[classes]`
    pub logits: Vec<f32>,
    /// What they are made of, where that was wanted and is shown.
    pub features: Option<ImageFeatures>,
}

/// What one image's logits are made of.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ImageFeatures {
    /// `[channels]`
    pub vector: Vec<f32>,
    /// `[channels, rows, columns]`
    pub map: Vec<f32>,
}

impl From<Logits> for Outputs {
    fn from(logits: Logits) -> Self {
        Self { logits, features: None }
    }
}

impl Features {
    /// Those of one image, counted from 0.
    #[must_use]
    pub fn of_image(&self, index: usize) -> ImageFeatures {
        let row = |values: &[f32]| {
            let length = values.len() / self.images.max(1);
            values[index * length..(index + 1) * length].to_vec()
        };
        ImageFeatures { vector: row(&self.vectors), map: row(&self.maps) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_in_the_engines_memory_stays_there_until_it_is_too_long() {
        let mut memory = Memory::Device { room: Box::new(vec![1, 2, 3, 4]), length: 2 };
        assert_eq!(*memory, [1, 2]);
        memory.resize(4);
        assert_eq!(*memory, [1, 2, 0, 0]);
        memory.resize(0);
        memory.resize(2);
        assert_eq!(*memory, [0, 0]);
        assert!(matches!(memory, Memory::Device { .. }));
        memory.resize(5);
        assert_eq!(*memory, [0; 5]);
        assert!(matches!(memory, Memory::Ordinary(_)));
    }

    #[test]
    fn each_image_has_its_part_of_the_features_and_nothing_of_what_is_not_shown() {
        let features = Features { images: 2, vectors: vec![1.0, 2.0], maps: vec![] };
        let second = features.of_image(1);
        assert_eq!(second, ImageFeatures { vector: vec![2.0], map: vec![] });
    }
}
