//! A window of a resized picture, computed without the rest of it.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeError, ResizeOptions, Resizer};

use super::error::ImageError;
use super::geometry::{Size, Window};
use super::header::Reduction;
use super::pixels::Pixels;
use super::region::Region;
use super::weights::{Stretch, support};
use crate::model::manifest::Interpolation;

/// A resize from which windows are cut; all in the orientation of the stored pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resize {
    /// Of the stored picture, before any reduction by the decoder.
    pub(super) from: Size,
    pub(super) reduction: Reduction,
    pub(super) to: Size,
    pub(super) interpolation: Interpolation,
}

/// The two passes of a resize.
#[derive(Clone, Copy, Debug)]
pub(super) struct Passes {
    /// Of each row.
    pub(super) columns: Stretch,
    /// The decoded columns that are seen.
    pub(super) first_column: u32,
    pub(super) column_count: u32,
    /// The decoded rows that are seen.
    pub(super) first_row: u32,
    pub(super) row_count: u32,
    /// Of each column, among these rows.
    pub(super) rows: Stretch,
}

impl Resize {
    /// The `window` of the resized picture, of which the pixels begin with decoded row `top`; black where
    /// it reaches outside.
    ///
    /// The pixels are those that resizing the whole and cutting would give: the filter sees the
    /// neighbours of the window too. What is allocated is in proportion to the window.
    pub(super) fn window(
        &self,
        (picture, top): (&Pixels, u32),
        window: Window,
    ) -> Result<Pixels, ImageError> {
        let inside = window.inside(self.to);
        if inside.size.pixels() == 0 {
            return Ok(Pixels::black(window.size.height, window.size.width));
        }
        let part = if self.to == self.from && self.reduction == Reduction::NONE {
            cut(picture, Window { top: inside.top - i64::from(top), ..inside })
        } else {
            self.resized((picture, top), inside)?
        };
        Ok(pasted(part, inside, window))
    }

    fn resized(
        &self,
        (picture, top): (&Pixels, u32),
        inside: Window,
    ) -> Result<Pixels, ImageError> {
        let Size { width, height } = inside.size;
        let mut resized = Pixels::black(height, width);
        self.convolve((picture, top), inside, &mut resized).map_err(|error| {
            ImageError::undecodable(format!("the picture cannot be resized: {error}"))
        })?;
        Ok(resized)
    }

    /// Pillow's order, with 8 bits between the passes: each row first, then each column.
    fn convolve(
        &self,
        (picture, top): (&Pixels, u32),
        inside: Window,
        resized: &mut Pixels,
    ) -> Result<(), ResizeError> {
        let width = inside.size.width;
        let Passes { columns, first_row, row_count, rows, .. } = self.passes(inside);
        let mut narrowed = Pixels::black(row_count, width);
        let (first, count) = (f64::from(first_row) - f64::from(top), f64::from(row_count));
        let needed = ResizeOptions::new().crop(columns.start, first, columns.length, count);
        self.pass(picture, &mut narrowed, needed)?;
        let needed = ResizeOptions::new().crop(0.0, rows.start, width.into(), rows.length);
        self.pass(&narrowed, resized, needed)
    }

    /// What makes the `inside` of the resized picture.
    fn passes(&self, inside: Window) -> Passes {
        let decoded = self.reduction.of(self.from);
        let Size { width, height } = inside.size;
        let (left, columns) = self.columns(decoded.width).source(inside.left, width);
        let (top, rows) = self.rows(decoded.height).source(inside.top, height);
        let (first_column, column_count) =
            self.seen(left, columns / f64::from(width), width, decoded.width);
        let (first_row, row_count) =
            self.seen(top, rows / f64::from(height), height, decoded.height);
        let top = top - f64::from(first_row);
        // As in `source`: the last bit of rounding must not reach past the end.
        let rows = rows.min(f64::from(row_count) - top);
        Passes {
            columns: Stretch { start: left, length: columns, side: decoded.width, to: width },
            first_column,
            column_count,
            first_row,
            row_count,
            rows: Stretch { start: top, length: rows, side: row_count, to: height },
        }
    }

    /// What is needed for all of the `windows`; `None` where none shows anything of the picture.
    pub(super) fn region(&self, windows: impl Iterator<Item = Window>) -> Option<Region> {
        let inside = windows.map(|window| window.inside(self.to));
        let place = inside.reduce(Window::around).filter(|place| place.size.pixels() > 0)?;
        let (decoded, passes) = (self.reduction.of(self.from), self.passes(place));
        Some(Region { decoded, place, passes, interpolation: self.interpolation })
    }

    /// First and number of the pixels that the filter sees for `length` pixels from `start` on.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to the side of the picture"
    )]
    fn seen(&self, start: f64, scale: f64, length: u32, side: u32) -> (u32, u32) {
        let margin = support(self.interpolation) * scale.max(1.0) + 1.0;
        let end = start + scale * f64::from(length);
        let first = (start - margin).floor().clamp(0.0, f64::from(side - 1)) as u32;
        let last = (end + margin).ceil().clamp(1.0, f64::from(side)) as u32;
        (first, last - first)
    }

    fn pass(
        &self,
        from: &Pixels,
        to: &mut Pixels,
        options: ResizeOptions,
    ) -> Result<(), ResizeError> {
        let source = ImageRef::new(from.width(), from.height(), from.bytes(), PixelType::U8x3)
            .map_err(|_| ResizeError::PixelTypesAreDifferent)?;
        let (width, height) = (to.width(), to.height());
        let mut target = Image::from_slice_u8(width, height, to.bytes_mut(), PixelType::U8x3)
            .map_err(|_| ResizeError::PixelTypesAreDifferent)?;
        let filter = match self.interpolation {
            Interpolation::Bilinear => FilterType::Bilinear,
            Interpolation::Bicubic => FilterType::CatmullRom,
        };
        let options = options.resize_alg(ResizeAlg::Convolution(filter)).use_alpha(false);
        Resizer::new().resize(&source, &mut target, &options)
    }

    fn columns(&self, decoded: u32) -> Axis {
        let (from, to) = (self.from.width, self.to.width);
        Axis { from, reduction: self.reduction, to, decoded }
    }

    fn rows(&self, decoded: u32) -> Axis {
        let (from, to) = (self.from.height, self.to.height);
        Axis { from, reduction: self.reduction, to, decoded }
    }
}

/// One direction of a resize.
struct Axis {
    from: u32,
    reduction: Reduction,
    to: u32,
    decoded: u32,
}

impl Axis {
    /// Start and length, in decoded pixels, of what `length` pixels from `start` on are made of.
    fn source(&self, start: i64, length: u32) -> (f64, f64) {
        // A reduced side of `from / divisor` pixels was rounded up to whole ones; the last is part filler.
        let covered = f64::from(self.from) / f64::from(self.reduction.divisor());
        let scale = covered / f64::from(self.to);
        #[expect(
            clippy::cast_precision_loss,
            reason = "a place within a picture is far below 2^52"
        )]
        let start = start as f64 * scale;
        // The last bit of rounding must not reach past the end, which is an error to the resizer.
        let length = (f64::from(length) * scale).min(f64::from(self.decoded) - start);
        (start, length)
    }
}

/// The `window` of a resized picture of which only a `part` is there, which lies at `place`; black where
/// it reaches outside of that.
pub(super) fn cut_from_part(part: &Pixels, place: Window, window: Window) -> Pixels {
    let (left, top) = (window.left - place.left, window.top - place.top);
    let window = Window { left, top, ..window };
    let inside = window.inside(place.size);
    pasted(cut(part, inside), inside, window)
}

fn cut(picture: &Pixels, window: Window) -> Pixels {
    let mut part = Pixels::black(window.size.height, window.size.width);
    copy(picture, window, &mut part, Window { left: 0, top: 0, size: window.size });
    part
}

/// `part`, which is the `inside` of `window`, on a black picture of the window's size where it is not all.
fn pasted(part: Pixels, inside: Window, window: Window) -> Pixels {
    if inside == window {
        return part;
    }
    let mut whole = Pixels::black(window.size.height, window.size.width);
    let from = Window { left: 0, top: 0, size: inside.size };
    let to =
        Window { left: inside.left - window.left, top: inside.top - window.top, size: inside.size };
    copy(&part, from, &mut whole, to);
    whole
}

/// Copies between two windows of the same size, both inside their pictures.
fn copy(source: &Pixels, from: Window, target: &mut Pixels, to: Window) {
    let row_bytes = from.size.width as usize * 3;
    let target_row_bytes = target.row_bytes();
    let sources = source.bytes().chunks_exact(source.row_bytes()).skip(offset(from.top));
    let targets = target.bytes_mut().chunks_exact_mut(target_row_bytes).skip(offset(to.top));
    for (source, target) in sources.zip(targets).take(from.size.height as usize) {
        let (from, to) = (offset(from.left) * 3, offset(to.left) * 3);
        target[to..to + row_bytes].copy_from_slice(&source[from..from + row_bytes]);
    }
}

/// A place in a window that is inside its picture, and thus not negative.
fn offset(place: i64) -> usize {
    usize::try_from(place).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gradient(width: u32, height: u32) -> Pixels {
        let pixel = |x: u32, y: u32| [x * 255 / width, y * 255 / height, (x * 7 + y * 13) % 256];
        let bytes = (0..height).flat_map(|y| (0..width).flat_map(move |x| pixel(x, y)));
        Pixels::new(height, width, bytes.map(|value| u8::try_from(value).unwrap()).collect())
            .unwrap()
    }

    fn resize(picture: &Pixels, to: Size, interpolation: Interpolation) -> Resize {
        let from = Size { width: picture.width(), height: picture.height() };
        Resize { from, reduction: Reduction::NONE, to, interpolation }
    }

    fn window(left: i64, top: i64, width: u32, height: u32) -> Window {
        Window { left, top, size: Size { width, height } }
    }

    #[test]
    fn a_window_has_the_pixels_of_the_whole() {
        let picture = gradient(101, 67);
        for interpolation in [Interpolation::Bilinear, Interpolation::Bicubic] {
            for to in [Size { width: 48, height: 32 }, Size { width: 151, height: 100 }] {
                let resize = resize(&picture, to, interpolation);
                let whole =
                    resize.window((&picture, 0), Window { left: 0, top: 0, size: to }).unwrap();
                let place = window(11, 5, 20, 24);

                let part = resize.window((&picture, 0), place).unwrap();

                let farthest = part
                    .bytes()
                    .iter()
                    .zip(cut(&whole, place).bytes())
                    .map(|(a, b)| a.abs_diff(*b))
                    .max();
                assert!(farthest <= Some(1), "{farthest:?} of {to:?}");
            }
        }
    }

    #[test]
    fn a_picture_of_the_right_size_is_copied() {
        let picture = gradient(9, 7);
        let resize = resize(&picture, Size { width: 9, height: 7 }, Interpolation::Bilinear);

        assert_eq!(
            resize.window((&picture, 0), window(2, 1, 5, 5)).unwrap(),
            cut(&picture, window(2, 1, 5, 5))
        );
    }

    #[test]
    fn outside_the_picture_is_black() {
        let picture = Pixels::new(1, 1, vec![9; 3]).unwrap();
        let resize = resize(&picture, Size { width: 2, height: 2 }, Interpolation::Bilinear);

        let padded = resize.window((&picture, 0), window(-1, -1, 4, 4)).unwrap();

        let reds: Vec<u8> = padded.bytes().chunks_exact(3).map(|pixel| pixel[0]).collect();
        assert_eq!(reds, [0, 0, 0, 0, 0, 9, 9, 0, 0, 9, 9, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn a_thin_picture_of_millions_of_resized_rows_costs_no_more_than_its_window() {
        let picture = gradient(1, 20_000);
        let to = Size { width: 256, height: 5_120_000 };
        let place = window(16, 2_559_888, 224, 224);

        let part =
            resize(&picture, to, Interpolation::Bilinear).window((&picture, 0), place).unwrap();

        assert_eq!((part.height(), part.width()), (224, 224));
        assert!(part.bytes().chunks_exact(3).all(|pixel| pixel[1].abs_diff(127) <= 1));
    }
}
