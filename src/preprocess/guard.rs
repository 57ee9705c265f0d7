//! A wall around the decoders, which other people wrote for other people's files.

use std::panic::{UnwindSafe, catch_unwind};

use super::error::ImageError;

/// What `decode` gives; its panic is the picture's fault, as no sound one brings a decoder to that.
///
/// The decoders are pure functions of the bytes, so nothing half done outlives the panic.
pub(super) fn guarded<T>(
    decode: impl FnOnce() -> Result<T, ImageError> + UnwindSafe,
) -> Result<T, ImageError> {
    catch_unwind(decode).unwrap_or_else(|_| {
        Err(ImageError::undecodable("the picture is damaged in a way that its decoder cannot name"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decoder_that_panics_has_met_an_undecodable_picture() {
        let result: Result<(), ImageError> = guarded(|| panic!("index out of bounds"));

        assert!(matches!(result, Err(ImageError::Undecodable { .. })));
        assert_eq!(guarded(|| Ok(1)), Ok(1));
    }
}
