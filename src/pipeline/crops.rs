//! How much of a picture the network is shown.

use std::num::NonZeroUsize;

use crate::preprocess::{ImageError, ImageHeader, Picture, Pixels, Region, Transform};

/// What the network sees of each picture.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Crops {
    /// Its middle.
    #[default]
    One,
    /// Its corners, its middle, and the mirrors of these; their probabilities are averaged. As the
    /// paper tests, and ten times the work.
    Ten,
}

impl Crops {
    /// Images that the network runs on for one picture.
    #[must_use]
    pub fn count(self) -> NonZeroUsize {
        match self {
            Self::One => NonZeroUsize::MIN,
            Self::Ten => NonZeroUsize::MIN.saturating_add(9),
        }
    }

    pub(super) fn of(self, picture: &Picture<'_>) -> Result<Vec<Pixels>, ImageError> {
        match self {
            Self::One => Ok(vec![picture.center()?]),
            Self::Ten => picture.ten_crops(),
        }
    }

    /// What must be decoded and resized for [`of`](Self::of).
    pub(super) fn region(self, transform: Transform, header: &ImageHeader) -> Option<Region> {
        match self {
            Self::One => transform.region_of_center(header),
            Self::Ten => transform.region_of_ten_crops(header),
        }
    }

    /// Bytes that cropping takes at its peak, decoding included.
    pub(super) fn peak_bytes(
        self,
        transform: Transform,
        (encoded, header): (usize, &ImageHeader),
    ) -> u64 {
        match self {
            Self::One => transform.peak_bytes(encoded, header),
            Self::Ten => transform.peak_bytes_of_ten_crops(encoded, header),
        }
    }
}
