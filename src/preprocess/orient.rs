//! The eight ways in which a camera stores an upright picture.

use super::geometry::{Size, Window};
use super::pixels::Pixels;

/// EXIF's orientation, 1 to 8; 1 is upright.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Orientation(u8);

impl Orientation {
    /// Stored as it is looked at.
    pub const UPRIGHT: Self = Self(1);

    /// `None` outside 1 to 8, which readers are told to ignore.
    #[must_use]
    pub fn from_exif(value: u8) -> Option<Self> {
        (1..=8).contains(&value).then_some(Self(value))
    }

    /// The number as EXIF has it, 1 to 8.
    #[must_use]
    pub fn to_exif(self) -> u8 {
        self.0
    }

    /// Rows of the stored picture are columns of the upright one.
    fn swaps_sides(self) -> bool {
        self.0 >= 5
    }

    /// The upright picture is read from the right end of the stored rows.
    fn mirrors_columns(self) -> bool {
        matches!(self.0, 2 | 3 | 7 | 8)
    }

    /// The upright picture is read from the bottom of the stored picture.
    fn mirrors_rows(self) -> bool {
        matches!(self.0, 3 | 4 | 6 | 7)
    }

    /// The upright size of a picture that is stored as `size`, and the other way round.
    pub(super) fn turn(self, size: Size) -> Size {
        if self.swaps_sides() { Size { width: size.height, height: size.width } } else { size }
    }

    /// Where `window` of the upright picture lies in the picture of `stored` size.
    pub(super) fn to_stored(self, window: Window, stored: Size) -> Window {
        let mut window = if self.swaps_sides() { window.transposed() } else { window };
        if self.mirrors_columns() {
            window.left = i64::from(stored.width) - window.left - i64::from(window.size.width);
        }
        if self.mirrors_rows() {
            window.top = i64::from(stored.height) - window.top - i64::from(window.size.height);
        }
        window
    }

    /// The stored pixels, turned upright.
    pub(super) fn upright(self, stored: Pixels) -> Pixels {
        if self == Self::UPRIGHT {
            return stored;
        }
        let (rows, columns) = (stored.height() as usize, stored.width() as usize);
        let upright = self.turn(Size { width: stored.width(), height: stored.height() });
        let mut bytes = Vec::with_capacity(stored.bytes().len());
        for y in 0..upright.height as usize {
            for x in 0..upright.width as usize {
                let (column, row) = if self.swaps_sides() { (y, x) } else { (x, y) };
                let column = if self.mirrors_columns() { columns - 1 - column } else { column };
                let row = if self.mirrors_rows() { rows - 1 - row } else { row };
                let at = (row * columns + column) * 3;
                bytes.extend_from_slice(&stored.bytes()[at..at + 3]);
            }
        }
        Pixels::new(upright.height, upright.width, bytes).unwrap_or(stored)
    }
}

/// The picture as a mirror shows it, left and right exchanged.
pub(super) fn mirrored(pixels: &Pixels) -> Pixels {
    let mut mirrored = pixels.clone();
    let row_bytes = pixels.row_bytes().max(1);
    for row in mirrored.bytes_mut().chunks_exact_mut(row_bytes) {
        let (pixels, _) = row.as_chunks_mut::<3>();
        pixels.reverse();
    }
    mirrored
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two rows of three pixels, told apart by their red: `1 2 3` over `4 5 6`.
    fn stored() -> Pixels {
        Pixels::new(2, 3, (1..=6).flat_map(|red| [red, 0, 0]).collect()).unwrap()
    }

    fn reds(pixels: &Pixels) -> Vec<Vec<u8>> {
        let row = |row: &[u8]| row.chunks_exact(3).map(|pixel| pixel[0]).collect();
        pixels.bytes().chunks_exact(pixels.row_bytes()).map(row).collect()
    }

    #[test]
    fn each_orientation_turns_the_picture_upright() {
        let expected: [&[&[u8]]; 8] = [
            &[&[1, 2, 3], &[4, 5, 6]],
            &[&[3, 2, 1], &[6, 5, 4]],
            &[&[6, 5, 4], &[3, 2, 1]],
            &[&[4, 5, 6], &[1, 2, 3]],
            &[&[1, 4], &[2, 5], &[3, 6]],
            &[&[4, 1], &[5, 2], &[6, 3]],
            &[&[6, 3], &[5, 2], &[4, 1]],
            &[&[3, 6], &[2, 5], &[1, 4]],
        ];
        for (value, expected) in (1..).zip(expected) {
            let upright = Orientation(value).upright(stored());
            assert_eq!(reds(&upright), expected, "orientation `{value}`");
        }
    }

    #[test]
    fn a_window_cut_before_turning_is_the_window_cut_afterwards() {
        for value in 1..=8 {
            let orientation = Orientation(value);
            let size = Size { width: 3, height: 2 };
            let upright = orientation.upright(stored());
            let window = Window { left: 1, top: 0, size: Size { width: 1, height: 2 } };
            let place = orientation.to_stored(window, size);

            let turned = orientation.upright(cut(&stored(), place));

            assert_eq!(turned, cut(&upright, window), "orientation `{value}`");
        }
    }

    fn cut(pixels: &Pixels, window: Window) -> Pixels {
        let mut bytes = Vec::new();
        for row in window.top..window.top + i64::from(window.size.height) {
            let at = (row * i64::from(pixels.width()) + window.left) * 3;
            let at = usize::try_from(at).unwrap();
            bytes.extend_from_slice(&pixels.bytes()[at..at + window.size.width as usize * 3]);
        }
        Pixels::new(window.size.height, window.size.width, bytes).unwrap()
    }

    #[test]
    fn a_mirror_reverses_each_row() {
        assert_eq!(reds(&mirrored(&stored())), [[3, 2, 1], [6, 5, 4]]);
    }

    #[test]
    fn numbers_outside_one_to_eight_are_no_orientation() {
        assert_eq!(Orientation::from_exif(0), None);
        assert_eq!(Orientation::from_exif(9), None);
        assert_eq!(Orientation::from_exif(6), Some(Orientation(6)));
    }
}
