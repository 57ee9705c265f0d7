//! From the planes of brightness and colours to RGB, as libjpeg-turbo interpolates.

use std::ops::Range;

use super::decoder::Seen;
use super::planes::{Plane, ROUTINES};
use crate::preprocess::pixels::Pixels;

/// Rows of the picture, gray where it has no colours, black where nothing is decoded.
pub(super) fn rgb(planes: &[Plane], seen: &Seen, rows: Range<u32>) -> Option<Pixels> {
    let (brightness, colors) = match planes {
        [gray] => (gray, None),
        [brightness, blue, red] => (brightness, Some([blue, red])),
        _ => return None,
    };
    let Seen { mcu: [mcu_across, mcu_down], colors: [across, down], size, .. } = *seen;
    let [width, height] = [size.width, size.height].map(|side| side as usize);
    let left = seen.across.start as usize * mcu_across;
    let right = (seen.across.end as usize * mcu_across).min(width);
    let top = seen.down.start as usize * mcu_down;
    let last = (height.div_ceil(down) - 1) - top / down;
    let mut enlarged = [Enlarged::new(right - left, across), Enlarged::new(right - left, across)];
    let mut pixels = Pixels::black(rows.end - rows.start, size.width);
    for (row, out) in rows.zip(pixels.bytes_mut().chunks_exact_mut(width * 3)) {
        let row = row as usize - top;
        let out = &mut out[left * 3..right * 3];
        let samples = brightness.row(row, 0..right - left);
        if let Some([blue, red]) = colors {
            let rows = Between::of(row, down, last);
            let [of_blue, of_red] = &mut enlarged;
            let (blue, red) = (of_blue.row(blue, rows), of_red.row(red, rows));
            ROUTINES.ycbcr_to_rgb_row(samples, blue, red, out, right - left);
        } else {
            for (pixel, sample) in out.as_chunks_mut().0.iter_mut().zip(samples) {
                *pixel = [*sample; 3];
            }
        }
    }
    Some(pixels)
}

/// The rows of colours that a row of pixels lies between.
#[derive(Clone, Copy)]
struct Between {
    near: usize,
    far: Option<usize>,
}

impl Between {
    fn of(row: usize, down: usize, last: usize) -> Self {
        if down == 1 {
            return Self { near: row, far: None };
        }
        let near = row / 2;
        let far = if row.is_multiple_of(2) { near.saturating_sub(1) } else { (near + 1).min(last) };
        Self { near, far: Some(far) }
    }
}

/// A row of one colour, in the picture's size.
struct Enlarged {
    /// Samples before it is enlarged.
    length: usize,
    across: usize,
    sums: Vec<u16>,
    samples: Vec<u8>,
}

impl Enlarged {
    fn new(width: usize, across: usize) -> Self {
        let length = width.div_ceil(across);
        Self { length, across, sums: vec![0; length], samples: vec![0; length * across] }
    }

    fn row<'a>(&'a mut self, plane: &'a Plane, rows: Between) -> &'a [u8] {
        let near = plane.row(rows.near, 0..self.length);
        match (self.across, rows.far) {
            (1, _) => return near,
            (_, None) => ROUTINES.fancy_upsample_h2v1(near, self.length, &mut self.samples),
            (_, Some(far)) => {
                let far = plane.row(far, 0..self.length);
                enlarge(near, far, &mut self.sums, &mut self.samples);
            }
        }
        &self.samples
    }
}

/// Three quarters of the near row and a quarter of the far one, and so with each sample's neighbours.
fn enlarge(near: &[u8], far: &[u8], sums: &mut [u16], enlarged: &mut [u8]) {
    for (sum, (&near, &far)) in sums.iter_mut().zip(near.iter().zip(far)) {
        *sum = 3 * u16::from(near) + u16::from(far);
    }
    let (Some(&first), Some(&last)) = (sums.first(), sums.last()) else { return };
    let Some((before, rest)) = enlarged.split_first_mut() else { return };
    let Some((after, between)) = rest.split_last_mut() else { return };
    *before = part(4 * first + 8);
    for (pair, sums) in between.as_chunks_mut::<2>().0.iter_mut().zip(sums.windows(2)) {
        *pair = [part(3 * sums[0] + sums[1] + 7), part(3 * sums[1] + sums[0] + 8)];
    }
    *after = part(4 * last + 7);
}

/// A sixteenth of a sum of sixteen samples.
#[expect(clippy::cast_possible_truncation, reason = "it is a mean of bytes")]
fn part(sum: u16) -> u8 {
    (sum >> 4) as u8
}
