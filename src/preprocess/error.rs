//! What can be wrong with a picture that somebody sent.

use std::fmt::Display;

/// Why there are no pixels; each is the sender's to correct.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ImageError {
    /// The header declares more pixels than are accepted; nothing was decoded.
    #[error("the picture has {width}x{height} = `{}` pixels, more than the limit of `{max_pixels}`", u64::from(*.width) * u64::from(*.height))]
    TooLarge {
        /// Pixels in a row.
        width: u32,
        /// Pixels in a column.
        height: u32,
        /// The limit that was passed to [`ImageHeader::parse`](super::ImageHeader::parse).
        max_pixels: u64,
    },
    /// Its pixels would take more memory than there is for all requests together; nothing was decoded.
    #[error(
        "decoding the picture of {width}x{height} pixels takes `{needed}` bytes, and the memory budget is `{budget}`"
    )]
    TooLargeForMemory {
        /// Pixels in a row.
        width: u32,
        /// Pixels in a column.
        height: u32,
        /// Bytes that it takes at its peak.
        needed: u64,
        /// Bytes of the whole budget.
        budget: u64,
    },
    /// Not a picture, one that is broken, or one of a kind that is not supported.
    #[error("{reason}")]
    Undecodable {
        /// A sentence for the person who sent the picture.
        reason: String,
    },
}

impl ImageError {
    pub(super) fn undecodable(reason: impl Display) -> Self {
        let reason = reason.to_string();
        Self::Undecodable { reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_that_is_too_large_is_told_both_numbers() {
        let error = ImageError::TooLarge { width: 60_000, height: 60_000, max_pixels: 100_000_000 };

        assert_eq!(
            error.to_string(),
            "the picture has 60000x60000 = `3600000000` pixels, more than the limit of `100000000`"
        );
    }
}
