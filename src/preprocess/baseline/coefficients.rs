//! The coefficients of a block, looked up with their code words.

use super::bits::Bits;
use super::codes::{END_OF_BLOCK, Kind, Meaning};
use super::follower::BLOCK;
use super::words::Words;

/// Bits that are looked at together: most words, and most coefficients behind them.
const WINDOW: u32 = 11;

/// Marks a word among the bits of an [`Entry`] of which the window does not show everything.
const CUT_OFF: u8 = 0x80;

/// Where a block's coefficients lie in it, row by row, in the order of the file.
pub(super) const ZIGZAG: [u8; BLOCK as usize] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20,
    13, 6, 7, 14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59,
    52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// What a window begins with.
#[derive(Clone, Copy)]
struct Entry {
    /// The coefficient, or how many bits it has where it is cut off.
    value: i16,
    /// As in [`Meaning`].
    places: u8,
    /// Of the word and the coefficient; of the word alone where that is cut off, and none where the word is.
    bits: u8,
}

/// The code words of one table with what they stand for.
pub(super) struct CoefficientTable<'a> {
    entries: Box<[Entry; 1 << WINDOW]>,
    words: Words<'a>,
    kind: Kind,
}

/// Those of a block's DC coefficient and of its AC coefficients.
#[derive(Clone, Copy)]
pub(super) struct BlockReader<'a> {
    pub(super) dc: &'a CoefficientTable<'a>,
    pub(super) ac: &'a CoefficientTable<'a>,
}

impl<'a> CoefficientTable<'a> {
    /// Of a table as the file has it; `None` where no such words can be, or stand for what a
    /// baseline file cannot have.
    pub(super) fn new(counts: &[u8; 16], symbols: &'a [u8], kind: Kind) -> Option<Self> {
        let words = Words::new(counts, symbols)?;
        let unknown = Entry { value: 0, places: 0, bits: CUT_OFF };
        let mut entries = Box::new([unknown; 1 << WINDOW]);
        for word in words.iter() {
            let Meaning { places, size } = Meaning::of(word.symbol, kind)?;
            let cut_off = Entry { value: size.into(), places, bits: word.length | CUT_OFF };
            for window in word.windows(WINDOW).into_iter().flatten() {
                let bits = word.length + size;
                let behind = ((window as u64) << (u64::BITS - WINDOW)) << word.length;
                let whole = || Entry { value: extended(behind, size), places, bits };
                entries[window] = if u32::from(bits) <= WINDOW { whole() } else { cut_off };
            }
        }
        Some(Self { entries, words, kind })
    }

    /// The next coefficient and the places that it takes; `None` where there is none.
    #[inline]
    fn take(&self, bits: &mut Bits<'_>) -> Option<(i16, u8)> {
        let found = self.entries[(bits.next() >> (u64::BITS - WINDOW)) as usize];
        if found.bits & CUT_OFF != 0 {
            return self.take_cut_off(bits, found);
        }
        bits.pass(found.bits);
        Some((found.value, found.places))
    }

    #[inline(never)]
    fn take_cut_off(&self, bits: &mut Bits<'_>, found: Entry) -> Option<(i16, u8)> {
        let (length, Meaning { places, size }) = if found.bits == CUT_OFF {
            let word = self.words.longer_than(WINDOW, bits.next())?;
            (word.length, Meaning::of(word.symbol, self.kind)?)
        } else {
            let size = u8::try_from(found.value).ok()?;
            (found.bits & !CUT_OFF, Meaning { places: found.places, size })
        };
        bits.pass(length);
        let value = extended(bits.next(), size);
        bits.pass(size);
        Some((value, places))
    }
}

impl BlockReader<'_> {
    /// Reads the DC coefficient, which stands as its difference to the one before.
    #[inline]
    pub(super) fn read_dc(self, bits: &mut Bits<'_>, dc: &mut i16) -> Option<()> {
        bits.refill();
        let (difference, _) = self.dc.take(bits)?;
        *dc = dc.wrapping_add(difference);
        Some(())
    }

    /// Reads the AC coefficients into a block of zeros, and says whether there are any; `None` where there
    /// is no such block.
    #[inline]
    pub(super) fn read_ac(self, bits: &mut Bits<'_>, block: &mut [i16; 64]) -> Option<bool> {
        // The DC coefficient has left bits for one word.
        let mut place = 1;
        loop {
            let (value, places) = self.ac.take(bits)?;
            place += places;
            if place >= BLOCK {
                return end(place, value, block);
            }
            put(block, place, value);
            bits.refill();
            let (value, places) = self.ac.take(bits)?;
            place += places;
            if place >= BLOCK {
                return end(place, value, block);
            }
            put(block, place, value);
        }
    }
}

/// Puts a coefficient where `place` comes next.
#[inline]
fn put(block: &mut [i16; 64], place: u8, value: i16) {
    let place = ZIGZAG[usize::from((place - 1) % BLOCK)];
    block[usize::from(place % BLOCK)] = value;
}

/// A block ends with its last coefficient, if that is not zero, or with the word for its end.
#[inline]
fn end(place: u8, value: i16, block: &mut [i16; 64]) -> Option<bool> {
    match place {
        BLOCK if value != 0 => {
            put(block, place, value);
            Some(true)
        }
        _ => (place > END_OF_BLOCK).then_some(place > END_OF_BLOCK + 1),
    }
}

/// The coefficient of `size` bits that the upper ones say: below zero where the first is not set.
fn extended(bits: u64, size: u8) -> i16 {
    let said = i16::try_from(bits.unbounded_shr(u64::BITS - u32::from(size))).unwrap_or_default();
    let is_negative = bits >> 63 == 0;
    if is_negative { said - ((1 << size) - 1) } else { said }
}
