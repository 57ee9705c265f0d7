//! What the tables of a lossless picture may take, which says by itself how many prefix codes it has.
//!
//! The format is VP8L's, RFC 9649, section 3.

mod prefix_code;

use super::super::super::geometry::Size;
use prefix_code::{Bits, PrefixCode};

/// Of a decoder's tables, for each byte of codes, at most: a symbol of a long code is two nodes of a tree and
/// can be written in half a bit.
const TABLE_BYTES_PER_BYTE: u64 = 600;

/// Of one code's table.
const TABLE_BYTES: u64 = 4 << 10;

/// Of a symbol in its tree.
const SYMBOL_BYTES: u64 = 32;

/// Of a group of five codes, beside their tables, while the list of groups grows.
const GROUP_BYTES: u64 = 1 << 10;

/// Symbols that are read of a file to find out; where these are not enough, the length decides.
const PATIENCE: usize = 1 << 18;

/// Of the codes in a group: green with the lengths of copies, red, blue and alpha, distances.
const GREENS: u32 = 256 + 24;
const COLORS: u32 = 256;
const DISTANCES: u32 = 40;

/// What is left of the work that one file is worth: symbols of a code may be written in no bit at all, so
/// that its length does not bound it.
pub(super) struct Patience(usize);

/// What comes before the pixels, as far as it has been read.
struct Tables<'a> {
    bits: Bits<'a>,
    patience: &'a mut Patience,
}

/// At most how many bytes the tables take of a picture that begins with its own header.
pub(super) fn table_bytes(data: &[u8], size: Size, patience: &mut Patience) -> u64 {
    let mut tables = Tables { bits: Bits::new(data), patience };
    let after_header = tables.bits.read(20).and_then(|_| tables.bits.read(20));
    let groups = after_header.and_then(|_| tables.group_bytes(size));
    bounded(data, groups)
}

/// The same of an alpha channel, whose first byte says whether it is written as a picture without a header.
pub(super) fn table_bytes_of_alpha(data: &[u8], size: Size, patience: &mut Patience) -> u64 {
    match data.split_first() {
        Some((kind, data)) if kind & 3 == 1 => {
            let mut tables = Tables { bits: Bits::new(data), patience };
            bounded(data, tables.group_bytes(size))
        }
        _ => 0,
    }
}

/// Tables need codes, so that the length bounds them, too.
fn bounded(data: &[u8], groups: Option<u64>) -> u64 {
    let by_length = data.len() as u64 * TABLE_BYTES_PER_BYTE;
    groups.map_or(by_length, |groups| groups.min(by_length))
}

impl Patience {
    pub(super) fn of_a_file() -> Self {
        Self(PATIENCE)
    }

    /// `None` where there is not so much left; then there is nothing left.
    fn spend(&mut self, symbols: usize) -> Option<()> {
        let left = self.0.checked_sub(symbols);
        self.0 = left.unwrap_or(0);
        left.map(|_| ())
    }
}

impl Tables<'_> {
    /// Of all groups; `None` where that cannot be read.
    fn group_bytes(&mut self, size: Size) -> Option<u64> {
        let size = self.skip_transforms(size)?;
        let cached = self.cached_colors()?;
        let groups = if self.bits.is_set()? {
            let block = self.block()?;
            u64::from(self.read_small_picture(in_blocks(size, block))?) + 1
        } else {
            1
        };
        let symbols = u64::from(GREENS + cached + 3 * COLORS + DISTANCES);
        Some(groups * (GROUP_BYTES + 5 * TABLE_BYTES + symbols * SYMBOL_BYTES))
    }

    /// The size of what is left to be decoded: a picture of few colours has several in a pixel.
    fn skip_transforms(&mut self, mut size: Size) -> Option<Size> {
        while self.bits.is_set()? {
            match self.bits.read(2)? {
                0 | 1 => {
                    let block = self.block()?;
                    self.read_small_picture(in_blocks(size, block))?;
                }
                2 => (),
                _ => {
                    let width = self.bits.read(8)? + 1;
                    self.read_small_picture(Size { width, height: 1 })?;
                    let packed = [2, 4, 16].iter().filter(|colors| width <= **colors).count();
                    size.width = size.width.div_ceil(1 << packed);
                }
            }
        }
        Some(size)
    }

    /// The binary logarithm of a block's side.
    fn block(&mut self) -> Option<u32> {
        self.bits.read(3).map(|bits| bits + 2)
    }

    fn cached_colors(&mut self) -> Option<u32> {
        if self.bits.is_set()? { self.bits.read(4).map(|bits| 1 << bits) } else { Some(0) }
    }

    /// Reads a picture with one group of codes; the greatest number that red and green make in it. A copy or a
    /// colour from the cache is of an earlier pixel, so that only new ones count.
    fn read_small_picture(&mut self, size: Size) -> Option<u32> {
        let cached = self.cached_colors()?;
        let mut code = |symbols| {
            self.patience.spend(symbols as usize)?;
            PrefixCode::read(&mut self.bits, symbols)
        };
        let green = code(GREENS + cached)?;
        let [red, blue, alpha] = [code(COLORS)?, code(COLORS)?, code(COLORS)?];
        let distance = code(DISTANCES)?;
        let (mut greatest, mut left) = (0, size.pixels());
        while left > 0 {
            self.patience.spend(1)?;
            let symbol = green.symbol(&mut self.bits)?;
            let pixels = match symbol {
                0..256 => {
                    let red = u32::from(red.symbol(&mut self.bits)?);
                    blue.symbol(&mut self.bits).and_then(|_| alpha.symbol(&mut self.bits))?;
                    greatest = greatest.max(red << 8 | u32::from(symbol));
                    1
                }
                256..280 => {
                    let length = self.copied(symbol - 256)?;
                    let distance = distance.symbol(&mut self.bits)?;
                    self.copied(distance)?;
                    length
                }
                _ => 1,
            };
            left = left.saturating_sub(pixels);
        }
        Some(greatest)
    }

    /// A length or a distance, of which the symbol has the magnitude.
    fn copied(&mut self, symbol: u16) -> Option<u64> {
        let symbol = u64::from(symbol);
        if symbol < 4 {
            return Some(symbol + 1);
        }
        let further = (symbol - 2) / 2;
        let rest = self.bits.read(usize::try_from(further).ok()?)?;
        Some(((2 + symbol % 2) << further) + u64::from(rest) + 1)
    }
}

fn in_blocks(size: Size, block: u32) -> Size {
    let blocks = |pixels: u32| pixels.div_ceil(1 << block);
    Size { width: blocks(size.width), height: blocks(size.height) }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const SIZE: Size = Size { width: 64, height: 64 };
    /// A code of one symbol, by name.
    const NOTHING: [(u32, usize); 4] = [(1, 1), (0, 1), (0, 1), (0, 1)];

    fn table_bytes(data: &[u8], size: Size) -> u64 {
        super::table_bytes(data, size, &mut Patience::of_a_file())
    }

    fn table_bytes_of_alpha(data: &[u8], size: Size) -> u64 {
        super::table_bytes_of_alpha(data, size, &mut Patience::of_a_file())
    }

    /// Numbers of so many bits each, and room for codes behind them.
    fn stream(numbers: &[(u32, usize)]) -> Vec<u8> {
        let bits =
            numbers.iter().flat_map(|(number, size)| (0..*size).map(move |bit| number >> bit & 1));
        let bits: Vec<u8> = bits.map(|bit| u8::from(bit == 1)).collect();
        let byte = |bits: &[u8]| bits.iter().rev().fold(0, |byte, bit| byte << 1 | bit);
        let mut bytes: Vec<u8> = bits.chunks(8).map(byte).collect();
        bytes.resize(bytes.len() + (1 << 20), 0);
        bytes
    }

    fn symbol(symbol: u32) -> [(u32, usize); 4] {
        [(1, 1), (0, 1), (1, 1), (symbol, 8)]
    }

    /// A small picture of one colour: no cache, and five codes.
    fn of_one_color(red: u32, green: u32) -> Vec<(u32, usize)> {
        [vec![(0, 1)], symbol(green).to_vec(), symbol(red).to_vec(), NOTHING.repeat(3)].concat()
    }

    /// Whose pixels are in the group of that number, as all its pixels are.
    fn last_group(group: u32) -> Vec<(u32, usize)> {
        // No transform, no cache, groups in blocks of 4 pixels.
        let head = vec![(0, 1), (0, 1), (1, 1), (0, 3)];
        [head, of_one_color(group >> 8, group & 255)].concat()
    }

    fn groups_of(numbers: &[(u32, usize)]) -> u64 {
        let each = GROUP_BYTES
            + 5 * TABLE_BYTES
            + u64::from(GREENS + 3 * COLORS + DISTANCES) * SYMBOL_BYTES;
        let header = [(0x2f, 8), (63, 14), (63, 14), (0, 4)];
        let bytes = table_bytes(&stream(&[&header, numbers].concat()), SIZE);
        let alpha = [&[1], &stream(numbers)[..]].concat();
        assert_eq!(table_bytes_of_alpha(&alpha, SIZE), bytes, "the same without a header");
        assert!(bytes.is_multiple_of(each), "{bytes}");
        bytes / each
    }

    #[test]
    fn a_picture_has_as_many_groups_as_its_greatest_number_says() {
        assert_eq!(groups_of(&[(0, 1), (0, 1), (0, 1)]), 1, "it does not have several");
        assert_eq!(groups_of(&last_group(0)), 1);
        assert_eq!(groups_of(&last_group(2)), 3);
        assert_eq!(groups_of(&last_group(0x1234)), 0x1235);
    }

    #[test]
    fn transforms_before_the_picture_are_read_over() {
        let [predictor, colors, green] = [0, 1, 2].map(|kind| vec![(1, 1), (kind, 2)]);
        let palette = [vec![(1, 1), (3, 2), (1, 8)], of_one_color(9, 9)].concat();
        let in_blocks = [vec![(2, 3)], of_one_color(200, 200)].concat();
        let transforms = [predictor, in_blocks.clone(), colors, in_blocks, green, palette];
        assert_eq!(groups_of(&[transforms.concat(), last_group(6)].concat()), 7);
    }

    #[test]
    fn codes_that_are_given_by_their_lengths_and_copies_are_read_over() {
        let runs =
            |zeros: &[u32]| zeros.iter().flat_map(|&zeros| [(1, 1), (zeros - 11, 7)]).collect();
        let one: Vec<(u32, usize)> = vec![(0, 1)];
        // Two lengths are used, 1 and runs of 0, each with a code of one bit.
        let head = vec![(0, 1), (0, 4), (0, 3), (1, 3), (0, 3), (1, 3), (0, 1)];
        // Of 280 symbols the green 11 and the copy of two pixels.
        let green: [Vec<_>; 6] =
            [head, runs(&[11]), one.clone(), runs(&[138, 107]), one, runs(&[22])];
        let codes = [green.concat(), symbol(1).to_vec(), NOTHING.repeat(3)].concat();
        // One new pixel, 127 copies of two, and another new one: 16 times 16.
        let pixels = [vec![(0, 1)], vec![(1, 1); 127], vec![(0, 1)]].concat();
        let picture = [vec![(0, 1)], codes, pixels].concat();
        let predictor = [vec![(1, 1), (0, 2), (0, 3)], picture.clone(), last_group(6)].concat();
        assert_eq!(groups_of(&predictor), 7);
        let groups = [vec![(0, 1), (0, 1), (1, 1), (0, 3)], picture].concat();
        assert_eq!(groups_of(&groups), 256 + 11 + 1);
    }

    proptest! {
        /// What cannot be read is no panic, and never more than the length allows.
        #[test]
        fn any_bytes_are_bounded_by_their_length(data in vec(any::<u8>(), 0..400)) {
            let groups = [&stream(&last_group(0))[..8], &data].concat();
            for data in [&data, &groups] {
                let bound = data.len() as u64 * TABLE_BYTES_PER_BYTE;
                prop_assert!(table_bytes(data, SIZE) <= bound);
                prop_assert!(table_bytes_of_alpha(data, SIZE) <= bound);
            }
        }
    }

    #[test]
    fn what_one_picture_has_spent_is_not_there_for_the_next() {
        let wide = Size { width: 2048, height: 2048 };
        let alpha = [&[1], &stream(&last_group(0))[..]].concat();
        let by_length = (alpha.len() as u64 - 1) * TABLE_BYTES_PER_BYTE;
        let mut patience = Patience(PATIENCE);
        assert!(super::table_bytes_of_alpha(&alpha, SIZE, &mut patience) < by_length);
        assert_eq!(super::table_bytes_of_alpha(&alpha, wide, &mut patience), by_length);
        assert_eq!(super::table_bytes_of_alpha(&alpha, SIZE, &mut patience), by_length);
    }

    #[test]
    fn where_the_codes_cannot_be_read_the_length_decides() {
        let whole = stream(&last_group(0xffff));
        let alpha = |length: usize| table_bytes_of_alpha(&[&[1], &whole[..length]].concat(), SIZE);
        assert_eq!(alpha(5), 5 * TABLE_BYTES_PER_BYTE, "it is cut off");
        assert_eq!(alpha(1000), 1000 * TABLE_BYTES_PER_BYTE, "too short for so many groups");
        assert_eq!(table_bytes_of_alpha(&[0, 1, 2, 3], SIZE), 0, "it is not compressed");
        assert_eq!(table_bytes_of_alpha(&[], SIZE), 0);
    }
}
