//! What a lossy frame says of its size and of the lengths of its parts.
//!
//! The format is VP8's, RFC 6386: section 9 has the header, section 7 its coding.

use super::super::super::error::ImageError;
use super::super::super::geometry::Size;
use super::super::field::{array, truncated, u16_le, u24_le};

const START_CODE: [u8; 3] = [0x9d, 1, 0x2a];
/// Tag, start code, width, height.
const HEAD_BYTES: usize = 10;
const SEGMENTS: usize = 4;
const FILTER_DELTAS: usize = 8;

/// The size of a frame, whose parts lie within it: the decoder allocates what each is said to have
/// before it looks for it.
pub(super) fn size(frame: &[u8]) -> Result<Size, ImageError> {
    let tag = u24_le(frame, 0).ok_or_else(|| truncated("webp"))?;
    if tag & 1 != 0 || array(frame, 3) != Some(START_CODE) {
        return Err(ImageError::undecodable("the webp has a lossy frame that is no key frame"));
    }
    if !parts_fit(frame, (tag >> 5) as usize) {
        let words = "the webp has a lossy frame whose parts are longer than the frame";
        return Err(ImageError::undecodable(words));
    }
    let sides = u16_le(frame, 6).zip(u16_le(frame, 8)).ok_or_else(|| truncated("webp"))?;
    Ok(Size { width: sides.0 & 0x3fff, height: sides.1 & 0x3fff })
}

/// Whether the first part lies within the frame, and the others behind it, of which all but the last
/// say how long they are.
fn parts_fit(frame: &[u8], first_bytes: usize) -> bool {
    let Some((first, rest)) =
        frame.get(HEAD_BYTES..).and_then(|all| all.split_at_checked(first_bytes))
    else {
        return false;
    };
    let said = other_parts(first) - 1;
    let lengths = (0..said).map(|part| u24_le(rest, 3 * part).map(|length| length as usize));
    let needed = lengths.sum::<Option<usize>>().map(|bytes| bytes + 3 * said);
    needed.is_some_and(|needed| needed <= rest.len())
}

/// The number of parts behind the first, which stands behind much else.
fn other_parts(first: &[u8]) -> usize {
    let mut bits = Bits::new(first);
    bits.skip(2); // colour space, clamping
    if bits.flag() {
        skip_segmentation(&mut bits);
    }
    bits.skip(1 + 6 + 3); // kind of the loop filter, its level, its sharpness
    if bits.flag() && bits.flag() {
        bits.skip_optional(FILTER_DELTAS, 6 + 1);
    }
    1 << bits.literal(2)
}

fn skip_segmentation(bits: &mut Bits) {
    let (has_map, has_data) = (bits.flag(), bits.flag());
    if has_data {
        bits.skip(1); // absolute values, or differences
        bits.skip_optional(SEGMENTS, 7 + 1); // quantizers
        bits.skip_optional(SEGMENTS, 6 + 1); // levels of the loop filter
    }
    if has_map {
        bits.skip_optional(SEGMENTS - 1, 8); // probabilities
    }
}

/// Reads bits that are as often 0 as 1; behind the end there are zeros.
struct Bits<'a> {
    bytes: std::slice::Iter<'a, u8>,
    /// Two bytes, as far as they are read.
    value: u32,
    range: u32,
    shifted: u32,
}

impl<'a> Bits<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        let mut bits = Self { bytes: bytes.iter(), value: 0, range: 255, shifted: 0 };
        bits.value = bits.byte() << 8;
        bits.value |= bits.byte();
        bits
    }

    fn byte(&mut self) -> u32 {
        self.bytes.next().copied().unwrap_or_default().into()
    }

    fn flag(&mut self) -> bool {
        let split = 1 + (self.range - 1) / 2;
        let is_set = self.value >= split << 8;
        if is_set {
            self.range -= split;
            self.value -= split << 8;
        } else {
            self.range = split;
        }
        while self.range < 128 {
            self.shift();
        }
        is_set
    }

    fn shift(&mut self) {
        self.range <<= 1;
        self.value <<= 1;
        self.shifted += 1;
        if self.shifted.is_multiple_of(8) {
            self.value |= self.byte();
        }
    }

    fn literal(&mut self, bits: usize) -> usize {
        (0..bits).fold(0, |value, _| value << 1 | usize::from(self.flag()))
    }

    fn skip(&mut self, bits: usize) {
        for _ in 0..bits {
            self.flag();
        }
    }

    /// So many values, each of which is there where a flag before it says so.
    fn skip_optional(&mut self, values: usize, bits: usize) {
        for _ in 0..values {
            if self.flag() {
                self.skip(bits);
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Writes bits as [`Bits`] reads them: the value is a number in binary, kept whole.
    fn coded(bits: &str) -> Vec<u8> {
        // The low end of the interval as a number of bits after the point, and the interval's width.
        let (mut low, mut range, mut length) = (0_u128, 255_u128, 8);
        for bit in bits.bytes() {
            let split = 1 + (range - 1) / 2;
            (low, range) = if bit == b'1' { (low + split, range - split) } else { (low, split) };
            while range < 128 {
                (low, range, length) = (low << 1, range << 1, length + 1);
            }
        }
        (low << (128 - length)).to_be_bytes().to_vec()
    }

    /// The bits of a header up to the number of parts, with or without what may be left out.
    fn header(is_full: bool, log_of_parts: &str) -> String {
        let segmentation = ["1", "11", "0", "1", "11111111", "000", "1", "1111111", "000", "000"];
        let adjustments = ["1", "1", "1", "1010101", "0000000"];
        let skipped = |parts: &[&str]| if is_full { parts.concat() } else { "0".to_owned() };
        ["00", &skipped(&segmentation), "1", "111111", "101", &skipped(&adjustments), log_of_parts]
            .concat()
    }

    /// A frame of 16x16 pixels with these lengths for its parts, none of which is there.
    pub(crate) fn frame(first: &[u8], lengths: &[u32]) -> Vec<u8> {
        let tag = u32::try_from(first.len()).unwrap() << 5 | 1 << 4;
        let mut frame = [&tag.to_le_bytes()[..3], &START_CODE, &[16, 0, 16, 0], first].concat();
        for length in lengths {
            frame.extend(&length.to_le_bytes()[..3]);
        }
        frame
    }

    #[test]
    fn parts_that_are_there_are_taken_whatever_the_header_has_before_their_number() {
        for (log, parts) in [("00", 1_usize), ("01", 2), ("10", 4), ("11", 8)] {
            for is_full in [false, true] {
                let first = coded(&header(is_full, log));
                assert_eq!(other_parts(&first), parts);
                let whole = [frame(&first, &vec![3; parts - 1]), vec![0; 3 * (parts - 1)]].concat();
                assert_eq!(size(&whole).unwrap(), Size { width: 16, height: 16 });
                assert!(size(&whole[..whole.len() - 1]).is_err());
            }
        }
    }

    #[test]
    fn parts_that_reach_beyond_the_frame_are_refused() {
        let first = coded(&header(true, "01"));
        let long_first = [&[0xf0, 0xff, 0xff][..], &frame(&[], &[])[3..]].concat();
        for frame in
            [frame(&first, &[0xff_ffff]), frame(&first, &[1]), frame(&first, &[]), long_first]
        {
            let said = size(&frame).unwrap_err().to_string();
            assert!(said.contains("parts are longer than the frame"), "{said}");
        }
    }

    #[test]
    fn a_frame_that_is_no_key_frame_or_has_no_head_is_refused() {
        let good = frame(&coded(&header(false, "00")), &[]);
        let moving = [&[good[0] | 1], &good[1..]].concat();
        let other = [&good[..3], &[0], &good[4..]].concat();
        for frame in [&moving, &other, &good[..5].to_vec()] {
            assert!(size(frame).unwrap_err().to_string().contains("no key frame"));
        }
        assert_eq!(size(&good[..2]).unwrap_err(), truncated("webp"));
    }
}
