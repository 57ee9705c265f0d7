//! Pixels as the pipeline passes them on.

/// A picture of 8-bit RGB: `height` rows of `width` pixels of 3 bytes, without gaps.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pixels {
    height: u32,
    width: u32,
    bytes: Vec<u8>,
}

impl Pixels {
    /// Takes `bytes` as `[height, width, 3]`; `None` where their count does not fit.
    #[must_use]
    pub fn new(height: u32, width: u32, bytes: Vec<u8>) -> Option<Self> {
        let expected = u128::from(height) * u128::from(width) * 3;
        (bytes.len() as u128 == expected).then_some(Self { height, width, bytes })
    }

    /// Black, as torchvision pads a picture that is smaller than the crop.
    #[must_use]
    pub fn black(height: u32, width: u32) -> Self {
        Self { height, width, bytes: vec![0; height as usize * width as usize * 3] }
    }

    /// Rows.
    #[must_use]
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Pixels in a row.
    #[must_use]
    pub fn width(&self) -> u32 {
        self.width
    }

    /// `[height, width, 3]`: red, green, blue.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// [`bytes`](Self::bytes), to keep.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    pub(super) fn row_bytes(&self) -> usize {
        self.width as usize * 3
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_do_not_fit_the_size_are_refused() {
        assert!(Pixels::new(2, 2, vec![0; 12]).is_some());
        assert!(Pixels::new(2, 2, vec![0; 11]).is_none());
        assert!(Pixels::new(u32::MAX, u32::MAX, Vec::new()).is_none());
    }
}
