//! The part of a picture that a network sees of it.

use super::geometry::{Size, Window};

/// A rectangle in the upright picture, in shares of its sides.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seen {
    /// Width and height of the upright picture in pixels.
    pub picture: [u32; 2],
    /// Where the rectangle begins: from the left, from the top.
    pub start: [f64; 2],
    /// How much of the sides it takes: of the width, of the height.
    pub share: [f64; 2],
}

impl Seen {
    pub(super) fn new(picture: Size, (resized, window): (Size, Window)) -> Self {
        let of = |pixels: u32, side: u32| f64::from(pixels) / f64::from(side.max(1));
        // A crop begins inside the picture, which is not smaller.
        let start = |start: i64| u32::try_from(start).unwrap_or(0);
        Self {
            picture: [picture.width, picture.height],
            start: [of(start(window.left), resized.width), of(start(window.top), resized.height)],
            share: [of(window.size.width, resized.width), of(window.size.height, resized.height)],
        }
    }

    /// Where in the rectangle a place of the picture is, both from 0 to 1; `None` outside.
    #[must_use]
    pub fn place(&self, [x, y]: [f64; 2]) -> Option<[f64; 2]> {
        let inside = |at: f64, index: usize| {
            let at = (at - self.start[index]) / self.share[index];
            (0.0..1.0).contains(&at).then_some(at)
        };
        Some([inside(x, 0)?, inside(y, 1)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_picture_twice_as_wide_the_middle_is_seen() {
        let size = |width, height| Size { width, height };
        let resized = size(512, 256);
        let window = Window::centered(resized, size(256, 256));
        let seen = Seen::new(size(1000, 500), (resized, window));
        assert_eq!(seen, Seen { picture: [1000, 500], start: [0.25, 0.0], share: [0.5, 1.0] });
        assert_eq!(seen.place([0.5, 0.25]), Some([0.5, 0.25]));
        assert_eq!((seen.place([0.2, 0.5]), seen.place([0.75, 0.5])), (None, None));
    }
}
