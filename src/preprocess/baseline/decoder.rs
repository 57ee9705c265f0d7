//! Decodes what is seen of a picture, and follows the code words of the rest.

use std::ops::Range;

use super::bits::Bits;
use super::codes::SkipTable;
use super::coefficients::{BlockReader, CoefficientTable, ZIGZAG};
use super::colors;
use super::entropy::{self, Reader};
use super::follower::BlockSkipper;
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
        let tables = self.tables(SkipTable::new)?;
        let mut blocks = Vec::new();
        for component in &self.components {
            let [dc, ac] = tables.of(component)?;
            blocks.extend(std::iter::repeat_n(BlockSkipper { dc, ac }, count(component)));
        }
        entropy::read(self.entropy, self.mcus(), self.restart_interval, &mut Follower { blocks })
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
        let colors = if divisor == 1 { self.mcu.map(|blocks| blocks as usize) } else { [1, 1] };
        let size = reduction.of(Size { width: self.width, height: self.height });
        let is_inside = rows.end <= size.height && columns.end <= size.width;
        if is_narrow || rows.is_empty() || columns.is_empty() || !is_inside {
            return None;
        }
        let [across, down] = self.mcu.map(|blocks| 8 * blocks / divisor);
        let [beside, above] = if colors == [1, 1] { [0, 0] } else { MARGINS };
        let mcus = self.mcus();
        let seen = Seen {
            across: mcus_of(&columns, beside, across, mcus[0]),
            down: mcus_of(&rows, above, down, mcus[1]),
            mcu: [across as usize, down as usize],
            colors,
            size,
        };
        let planes = self.planes(&seen, divisor as usize)?;
        colors::rgb(&planes, &seen, rows)
    }

    /// The planes of what is seen.
    fn planes(&self, seen: &Seen, divisor: usize) -> Option<Vec<Plane>> {
        let skip_tables = self.tables(SkipTable::new)?;
        let tables = self.tables(CoefficientTable::new)?;
        let mut components = Vec::new();
        for component in &self.components {
            let [dc, ac] = skip_tables.of(component)?;
            let skipper = BlockSkipper { dc, ac };
            let [dc, ac] = tables.of(component)?;
            let reader = BlockReader { dc, ac };
            let blocks = component.blocks.map(|blocks| blocks as usize);
            let reduction =
                [0, 1].map(|axis| (divisor * blocks[axis] / self.mcu[axis] as usize).max(1));
            let count = [seen.across.len() * blocks[0], seen.down.len() * blocks[1]];
            let plane = Plane::new(count, reduction, row_by_row(component.quantization));
            components.push(ComponentReader { skipper, reader, blocks, plane, dc: 0 });
        }
        let mut reader = Decoder { seen, components };
        entropy::read(self.entropy, self.mcus(), self.restart_interval, &mut reader)?;
        Some(reader.components.into_iter().map(|component| component.plane).collect())
    }
}

/// What is decoded.
pub(super) struct Seen {
    /// MCUs.
    pub(super) across: Range<u32>,
    pub(super) down: Range<u32>,
    /// Pixels in an MCU, across and down.
    pub(super) mcu: [usize; 2],
    /// Pixels for each sample of the colours, across and down.
    pub(super) colors: [usize; 2],
    /// Of the whole picture, reduced.
    pub(super) size: Size,
}

/// Passes over all blocks.
struct Follower<'a> {
    /// Each block of an MCU.
    blocks: Vec<BlockSkipper<'a>>,
}

impl Reader for Follower<'_> {
    fn restart(&mut self) {}

    #[inline]
    fn mcu(&mut self, bits: &mut Bits<'_>, _: (u32, u32)) -> Option<()> {
        self.blocks.iter().try_for_each(|block| block.pass(bits))
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
            component.dc = 0;
        }
    }

    #[inline]
    fn mcu(&mut self, bits: &mut Bits<'_>, place: (u32, u32)) -> Option<()> {
        self.components.iter_mut().try_for_each(|component| component.mcu(bits, self.seen, place))
    }
}

/// A component while it is read.
struct ComponentReader<'a> {
    skipper: BlockSkipper<'a>,
    reader: BlockReader<'a>,
    /// In an MCU, across and down.
    blocks: [usize; 2],
    plane: Plane,
    /// The DC coefficient of the last block.
    dc: i16,
}

impl ComponentReader<'_> {
    /// Reads its blocks of an MCU.
    #[inline]
    fn mcu(&mut self, bits: &mut Bits<'_>, seen: &Seen, (column, row): (u32, u32)) -> Option<()> {
        let [across, down] = self.blocks;
        if row >= seen.down.end {
            return (0..across * down).try_for_each(|_| self.skipper.pass(bits));
        }
        if row < seen.down.start || !seen.across.contains(&column) {
            return (0..across * down).try_for_each(|_| self.read_dc_alone(bits));
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
        if self.plane.takes_dc_alone() {
            self.read_dc_alone(bits)?;
            self.plane.put_dc(place, self.dc);
            return Some(());
        }
        let mut coefficients = [0; 64];
        self.reader.read_dc(bits, &mut self.dc)?;
        if self.reader.read_ac(bits, &mut coefficients)? {
            coefficients[0] = self.dc;
            self.plane.put(place, &coefficients);
        } else {
            self.plane.put_dc(place, self.dc);
        }
        Some(())
    }

    /// Reads a block's DC coefficient, and passes over the others.
    #[inline]
    fn read_dc_alone(&mut self, bits: &mut Bits<'_>) -> Option<()> {
        self.reader.read_dc(bits, &mut self.dc)?;
        self.skipper.pass_ac(bits, 1)
    }
}

/// Which of the MCUs of `size` pixels hold what is seen and its margin.
fn mcus_of(seen: &Range<u32>, margin: u32, size: u32, count: u32) -> Range<u32> {
    let end = (seen.end + margin).div_ceil(size);
    seen.start.saturating_sub(margin) / size..end.min(count)
}

/// Blocks of a component in an MCU.
fn count(component: &Component<'_>) -> usize {
    component.blocks.map(|blocks| blocks as usize).iter().product()
}

/// A quantization table in the order of the pixels.
fn row_by_row(zigzag: &[u8; 64]) -> [u16; 64] {
    let mut table = [0; 64];
    for (step, place) in zigzag.iter().zip(ZIGZAG) {
        table[usize::from(place)] = u16::from(*step);
    }
    table
}

#[cfg(test)]
mod tests;
