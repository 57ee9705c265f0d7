//! Numbers at fixed places of a file.

use super::super::error::ImageError;

/// `N` bytes at `offset`; `None` past the end.
pub(super) fn array<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..)?.first_chunk().copied()
}

/// Little endian.
pub(super) fn u16_le(bytes: &[u8], offset: usize) -> Option<u32> {
    array(bytes, offset).map(|field| u32::from(u16::from_le_bytes(field)))
}

/// Little endian.
pub(super) fn u24_le(bytes: &[u8], offset: usize) -> Option<u32> {
    array(bytes, offset).map(|[low, middle, high]| u32::from_le_bytes([low, middle, high, 0]))
}

/// Little endian.
pub(super) fn u32_le(bytes: &[u8], offset: usize) -> Option<u32> {
    array(bytes, offset).map(u32::from_le_bytes)
}

/// Big endian.
pub(super) fn u32_be(bytes: &[u8], offset: usize) -> Option<u32> {
    array(bytes, offset).map(u32::from_be_bytes)
}

/// The file ends before what its header promises.
pub(super) fn truncated(format: &str) -> ImageError {
    ImageError::undecodable(format!("the {format} is cut off: it ends before its pixels do"))
}
