//! torchvision's rules for the size after a resize and the place of a crop.

/// A size in pixels.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Size {
    pub(super) width: u32,
    pub(super) height: u32,
}

impl Size {
    pub(super) fn pixels(self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }

    pub(super) fn shorter_side(self) -> u32 {
        self.width.min(self.height)
    }

    /// `Resize(target)`: the shorter side becomes `target`, the longer one `int(target * long / short)`.
    ///
    /// Sides beyond `u32` are cut there; no picture within a limit of pixels reaches it.
    pub(super) fn resized(self, target: u32) -> Self {
        let short = u64::from(self.shorter_side().max(1));
        let scaled = |side: u32| {
            let side = u64::from(target) * u64::from(side) / short;
            u32::try_from(side).unwrap_or(u32::MAX)
        };
        Self { width: scaled(self.width), height: scaled(self.height) }
    }
}

/// A rectangle to cut out; it may reach outside the picture, where it is black.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Window {
    pub(super) left: i64,
    pub(super) top: i64,
    pub(super) size: Size,
}

impl Window {
    /// `CenterCrop(size)` of a picture of `picture` size.
    pub(super) fn centered(picture: Size, size: Size) -> Self {
        Self {
            left: centered_start(picture.width, size.width),
            top: centered_start(picture.height, size.height),
            size,
        }
    }

    /// `FiveCrop(size)`: top left, top right, bottom left, bottom right, centre.
    ///
    /// A side that is smaller than the crop is centred in it, which torchvision refuses.
    pub(super) fn corners_and_center(picture: Size, size: Size) -> [Self; 5] {
        let center = Self::centered(picture, size);
        let first = |start: i64, room: i64| if room < 0 { start } else { 0 };
        let last = |start: i64, room: i64| if room < 0 { start } else { room };
        let room_x = i64::from(picture.width) - i64::from(size.width);
        let room_y = i64::from(picture.height) - i64::from(size.height);
        let (left, right) = (first(center.left, room_x), last(center.left, room_x));
        let (top, bottom) = (first(center.top, room_y), last(center.top, room_y));
        let at = |left, top| Self { left, top, size };
        [at(left, top), at(right, top), at(left, bottom), at(right, bottom), center]
    }

    /// The part of it that is inside a picture of `picture` size; without pixels where there is none.
    pub(super) fn inside(self, picture: Size) -> Self {
        let clip = |start: i64, length: u32, side: u32| {
            let first = start.clamp(0, side.into());
            let last = (start + i64::from(length)).clamp(first, side.into());
            (first, u32::try_from(last - first).unwrap_or(0))
        };
        let (left, width) = clip(self.left, self.size.width, picture.width);
        let (top, height) = clip(self.top, self.size.height, picture.height);
        Self { left, top, size: Size { width, height } }
    }

    /// The least that contains both.
    pub(super) fn around(self, other: Self) -> Self {
        let (left, top) = (self.left.min(other.left), self.top.min(other.top));
        let end = |start: i64, side: u32| start + i64::from(side);
        let right = end(self.left, self.size.width).max(end(other.left, other.size.width));
        let bottom = end(self.top, self.size.height).max(end(other.top, other.size.height));
        let side = |length: i64| u32::try_from(length).unwrap_or(u32::MAX);
        Self { left, top, size: Size { width: side(right - left), height: side(bottom - top) } }
    }

    /// Rows and columns exchanged.
    pub(super) fn transposed(self) -> Self {
        let size = Size { width: self.size.height, height: self.size.width };
        Self { left: self.top, top: self.left, size }
    }
}

/// `int(round((side - crop) / 2.0))` with Python's rounding of halves to even; where the picture is
/// smaller, the negative of `(crop - side) // 2`, which is how much torchvision pads before it.
fn centered_start(side: u32, crop: u32) -> i64 {
    let room = i64::from(side) - i64::from(crop);
    let half = room / 2;
    let is_odd_half = room > 0 && room % 2 == 1;
    if is_odd_half && half % 2 == 1 { half + 1 } else { half }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(width: u32, height: u32) -> Size {
        Size { width, height }
    }

    #[test]
    fn the_longer_side_is_cut_down_to_a_whole_number() {
        assert_eq!(size(500, 375).resized(256), size(341, 256));
        assert_eq!(size(375, 500).resized(256), size(256, 341));
        assert_eq!(size(300, 300).resized(256), size(256, 256));
        assert_eq!(size(1, 20_000).resized(256), size(256, 5_120_000));
    }

    #[test]
    fn a_centre_crop_starts_at_the_half_that_python_rounds_to_even() {
        let starts = [0, 1, 2, 3, 4, 5, 6, 7].map(|room| centered_start(224 + room, 224));

        assert_eq!(starts, [0, 0, 1, 2, 2, 2, 3, 4]);
    }

    #[test]
    fn a_picture_smaller_than_the_crop_is_padded_with_the_smaller_half_first() {
        assert_eq!(centered_start(10, 13), -1);
        assert_eq!(centered_start(10, 14), -2);
    }

    #[test]
    fn five_crops_touch_the_corners() {
        let windows = Window::corners_and_center(size(341, 256), size(224, 224));

        let places = windows.map(|window| (window.left, window.top));
        assert_eq!(places, [(0, 0), (117, 0), (0, 32), (117, 32), (58, 16)]);
    }
}
