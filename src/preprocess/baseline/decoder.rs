//! Decodes what is seen of a picture, and follows the code words of the rest.

use std::ops::Range;

use super::bits::Bits;
use super::codes::Codes;
use super::colors;
use super::entropy::{self, Reader};
use super::follower::BlockCodes;
use super::numbers::{BlockNumbers, Numbers, ZIGZAG};
use super::planes::Plane;
use super::segments::{Baseline, Component};
use crate::preprocess::geometry::Size;
use crate::preprocess::header::Reduction;
use crate::preprocess::pixels::Pixels;

/// The colours of narrow pictures are repeated by other decoders, not interpolated; they decode all of these.
const NARROWEST: u32 = 16;

/// Pixels around what is seen that are decoded with it where colours are interpolated, across and down: two
/// of them are interpolated into it, and of three samples or more a row is enlarged as others are.
const MARGINS: [u32; 2] = [6, 2];

impl Baseline<'_> {
    /// Whether the file has a code word for everything in the picture, and its end.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.follow().is_some()
    }

    /// To the end of the picture; `None` where the file does not lead there.
    fn follow(&self) -> Option<()> {
        let codes = self.tables(Codes::new)?;
        let mut blocks = Vec::new();
        for component in &self.components {
            let [mean, rest] = codes.of(component)?;
            blocks.extend(std::iter::repeat_n(BlockCodes { mean, rest }, count(component)));
        }
        entropy::read(self.entropy, self.steps(), self.restart_interval, &mut Follower { blocks })
    }

    /// These rows of the reduced picture as it is stored, in which only these columns count. The pixels are
    /// libjpeg-turbo's, and of a reduced picture the means of them, before its colours are interpolated.
    /// `None` where the file does not lead to the picture's end, or the picture is too narrow.
    #[must_use]
    pub(in super::super) fn decode(
        &self,
        reduction: Reduction,
        (rows, columns): (Range<u32>, Range<u32>),
    ) -> Option<Pixels> {
        let (divisor, is_narrow) = (reduction.divisor(), self.width < NARROWEST);
        let colors = if divisor == 1 { self.unit.map(|blocks| blocks as usize) } else { [1, 1] };
        let size = reduction.of(Size { width: self.width, height: self.height });
        let is_inside = rows.end <= size.height && columns.end <= size.width;
        if is_narrow || rows.is_empty() || columns.is_empty() || !is_inside {
            return None;
        }
        let [across, down] = self.unit.map(|blocks| 8 * blocks / divisor);
        let [beside, above] = if colors == [1, 1] { [0, 0] } else { MARGINS };
        let steps = self.steps();
        let seen = Seen {
            across: steps_of(&columns, beside, across, steps[0]),
            down: steps_of(&rows, above, down, steps[1]),
            step: [across as usize, down as usize],
            colors,
            size,
        };
        let planes = self.planes(&seen, divisor as usize)?;
        colors::rgb(&planes, &seen, rows)
    }

    /// The planes of what is seen.
    fn planes(&self, seen: &Seen, divisor: usize) -> Option<Vec<Plane>> {
        let (codes, numbers) = (self.tables(Codes::new)?, self.tables(Numbers::new)?);
        let mut components = Vec::new();
        for component in &self.components {
            let [mean, rest] = codes.of(component)?;
            let codes = BlockCodes { mean, rest };
            let [mean, rest] = numbers.of(component)?;
            let numbers = BlockNumbers { mean, rest };
            let blocks = component.blocks.map(|blocks| blocks as usize);
            let reduction =
                [0, 1].map(|axis| (divisor * blocks[axis] / self.unit[axis] as usize).max(1));
            let count = [seen.across.len() * blocks[0], seen.down.len() * blocks[1]];
            let plane = Plane::new(count, reduction, factors(component.factors));
            components.push(ComponentReader { codes, numbers, blocks, plane, mean: 0 });
        }
        let mut reader = Decoder { seen, components };
        entropy::read(self.entropy, self.steps(), self.restart_interval, &mut reader)?;
        Some(reader.components.into_iter().map(|component| component.plane).collect())
    }
}

/// What is decoded.
pub(super) struct Seen {
    /// The steps of the scan.
    pub(super) across: Range<u32>,
    pub(super) down: Range<u32>,
    /// Pixels in a step, across and down.
    pub(super) step: [usize; 2],
    /// Pixels for each sample of the colours, across and down.
    pub(super) colors: [usize; 2],
    /// Of the whole picture, reduced.
    pub(super) size: Size,
}

/// Passes over all blocks.
struct Follower<'a> {
    /// The codes of each block of a step.
    blocks: Vec<BlockCodes<'a>>,
}

impl Reader for Follower<'_> {
    fn restart(&mut self) {}

    #[inline]
    fn step(&mut self, bits: &mut Bits<'_>, _: (u32, u32)) -> Option<()> {
        self.blocks.iter().try_for_each(|codes| codes.pass(bits))
    }
}

/// Decodes the blocks that are seen, and passes over the others.
struct Decoder<'a> {
    seen: &'a Seen,
    components: Vec<ComponentReader<'a>>,
}

impl Reader for Decoder<'_> {
    fn restart(&mut self) {
        for component in &mut self.components {
            component.mean = 0;
        }
    }

    #[inline]
    fn step(&mut self, bits: &mut Bits<'_>, place: (u32, u32)) -> Option<()> {
        self.components.iter_mut().try_for_each(|component| component.step(bits, self.seen, place))
    }
}

/// A component while it is read.
struct ComponentReader<'a> {
    codes: BlockCodes<'a>,
    numbers: BlockNumbers<'a>,
    /// In a step, across and down.
    blocks: [usize; 2],
    plane: Plane,
    /// Of the last block.
    mean: i16,
}

impl ComponentReader<'_> {
    /// Reads its blocks of a step.
    #[inline]
    fn step(&mut self, bits: &mut Bits<'_>, seen: &Seen, (column, row): (u32, u32)) -> Option<()> {
        let [across, down] = self.blocks;
        if row >= seen.down.end {
            return (0..across * down).try_for_each(|_| self.codes.pass(bits));
        }
        if row < seen.down.start || !seen.across.contains(&column) {
            return (0..across * down).try_for_each(|_| self.pass_rest(bits));
        }
        let column = (column - seen.across.start) as usize * across;
        let row = (row - seen.down.start) as usize * down;
        for row in row..row + down {
            for column in column..column + across {
                self.block(bits, (column, row))?;
            }
        }
        Some(())
    }

    /// Reads a block that is seen, the one of the plane at that place.
    #[inline]
    fn block(&mut self, bits: &mut Bits<'_>, place: (usize, usize)) -> Option<()> {
        if self.plane.has_means_alone() {
            self.pass_rest(bits)?;
            self.plane.put_flat(place, self.mean);
            return Some(());
        }
        let mut numbers = [0; 64];
        self.numbers.read_mean(bits, &mut self.mean)?;
        if self.numbers.read_rest(bits, &mut numbers)? {
            numbers[0] = self.mean;
            self.plane.put(place, &numbers);
        } else {
            self.plane.put_flat(place, self.mean);
        }
        Some(())
    }

    /// Reads a block's mean, and passes over its rest.
    #[inline]
    fn pass_rest(&mut self, bits: &mut Bits<'_>) -> Option<()> {
        self.numbers.read_mean(bits, &mut self.mean)?;
        self.codes.pass_rest(bits, 1)
    }
}

/// Which of the steps of `size` pixels hold what is seen and its margin.
fn steps_of(seen: &Range<u32>, margin: u32, size: u32, count: u32) -> Range<u32> {
    let end = (seen.end + margin).div_ceil(size);
    seen.start.saturating_sub(margin) / size..end.min(count)
}

/// Blocks of a component in a step.
fn count(component: &Component<'_>) -> usize {
    component.blocks.map(|blocks| blocks as usize).iter().product()
}

/// What numbers are multiplied by, row by row.
fn factors(of_file: &[u8; 64]) -> [u16; 64] {
    let mut factors = [0; 64];
    for (factor, place) in of_file.iter().zip(ZIGZAG) {
        factors[usize::from(place)] = u16::from(*factor);
    }
    factors
}

#[cfg(test)]
mod tests;
