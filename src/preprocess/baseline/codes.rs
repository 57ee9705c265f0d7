//! Huffman's code words, looked up for the room that they take rather than for what they say.

use super::words::{Word, Words};

/// Bits that are looked at together.
const WINDOW: u32 = 12;

/// The places of a word that ends its block: more than a block has, and not what runs add up to.
pub(super) const END_OF_BLOCK: u8 = 128;

/// Marks the word for sixteen zeros among the bits of a skip: no block ends with it.
const ZERO_RUN: u8 = 0x80;

/// The most bits of a coefficient behind a word, in baseline files.
const LARGEST_DC: u8 = 11;
const LARGEST_AC: u8 = 10;

/// What the words of a table stand for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// The size of a difference between the DC coefficients of two blocks.
    Dc,
    /// A run of zeros in a block, and the size of the AC coefficient behind it.
    Ac,
}

/// What a word stands for.
#[derive(Clone, Copy)]
pub(super) struct Meaning {
    /// Of the block's 64, the coefficient behind the word included, and [`END_OF_BLOCK`] at its end.
    pub(super) places: u8,
    /// Bits of the coefficient behind it.
    pub(super) size: u8,
}

impl Meaning {
    /// `None` for what a baseline file cannot have.
    pub(super) fn of(symbol: u8, kind: Kind) -> Option<Self> {
        let (run, size) = (symbol >> 4, symbol & 0xf);
        let (places, largest) = match (kind, run, size) {
            (Kind::Dc, 0, _) => (1, LARGEST_DC),
            (Kind::Ac, 0, 0) => (END_OF_BLOCK, 0),
            (Kind::Ac, 15, 0) => (16, 0),
            (Kind::Ac, _, 1..) => (run + 1, LARGEST_AC),
            _ => return None,
        };
        (size <= largest).then_some(Self { places, size })
    }
}

/// What words take up, in the file and in the block.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Skip {
    /// Of the words and of the coefficients behind them.
    pub(super) bits: u8,
    /// Of the block's 64, and [`END_OF_BLOCK`] where they end it.
    pub(super) places: u8,
}

impl Skip {
    /// Whether it is the word for sixteen zeros and nothing else.
    pub(super) fn is_zero_run(self) -> bool {
        self.bits & ZERO_RUN != 0
    }

    /// Without that mark.
    pub(super) fn plain(self) -> Self {
        Self { bits: self.bits & !ZERO_RUN, ..self }
    }
}

/// What begins in a window.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    /// The first word; no bits where the window does not show which it is.
    pub(super) first: Skip,
    /// All words that are in the window whole, or else the first.
    pub(super) all: Skip,
}

impl Entry {
    /// More places than every block has left, so that nobody passes over it unseen.
    const UNKNOWN: Self = Self {
        first: Skip { bits: 0, places: 0 },
        all: Skip { bits: 0, places: END_OF_BLOCK - 1 },
    };
}

/// The code words of one table, to be passed over.
pub(super) struct SkipTable<'a> {
    entries: Box<[Entry; 1 << WINDOW]>,
    words: Words<'a>,
    kind: Kind,
}

impl<'a> SkipTable<'a> {
    /// Of a table as the file has it; `None` where no such words can be, or stand for what a
    /// baseline file cannot have.
    pub(super) fn new(counts: &[u8; 16], symbols: &'a [u8], kind: Kind) -> Option<Self> {
        let words = Words::new(counts, symbols)?;
        let mut entries = Box::new([Entry::UNKNOWN; 1 << WINDOW]);
        for word in words.iter() {
            let skip = skip(word, kind)?;
            if let Some(windows) = word.windows(WINDOW) {
                entries[windows].fill(Entry { first: skip, all: skip.plain() });
            }
        }
        let mut codes = Self { entries, words, kind };
        if kind == Kind::Ac {
            codes.join();
        }
        Some(codes)
    }

    /// Puts the words together that follow each other within a window.
    fn join(&mut self) {
        let mask = (1 << WINDOW) - 1;
        for window in 0..=mask {
            let mut all = self.entries[window].first.plain();
            while all.bits > 0 && u32::from(all.bits) < WINDOW && all.places < END_OF_BLOCK {
                let next = self.entries[(window << all.bits) & mask].first.plain();
                let joined = Skip { bits: all.bits + next.bits, places: all.places + next.places };
                let within = joined.places % END_OF_BLOCK;
                if next.bits == 0 || u32::from(joined.bits) > WINDOW || within > 63 {
                    break;
                }
                all = joined;
            }
            if all.bits > 0 {
                self.entries[window].all = all;
            }
        }
    }

    /// What the upper bits begin with.
    #[inline]
    pub(super) fn entry(&self, bits: u64) -> Entry {
        let window = (bits >> (u64::BITS - WINDOW)) as usize;
        self.entries[window]
    }

    /// What a word takes up that is longer than the window; `None` where there is no such word.
    #[cold]
    pub(super) fn long_word(&self, bits: u64) -> Option<Skip> {
        skip(self.words.longer_than(WINDOW, bits)?, self.kind)
    }
}

fn skip(word: Word, kind: Kind) -> Option<Skip> {
    let Meaning { places, size } = Meaning::of(word.symbol, kind)?;
    let mark = if (places, size) == (16, 0) { ZERO_RUN } else { 0 };
    Some(Skip { bits: (word.length + size) | mark, places })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `0` ends the block, `10` is one coefficient of 1 bit, `110` a run of two zeros and one of 2 bits.
    fn codes() -> SkipTable<'static> {
        let mut counts = [0; 16];
        counts[..3].copy_from_slice(&[1, 1, 1]);
        SkipTable::new(&counts, &[0x00, 0x01, 0x22], Kind::Ac).unwrap()
    }

    fn entry(bits: &str) -> Entry {
        let window = u64::from_str_radix(bits, 2).unwrap() << (64 - bits.len());
        codes().entry(window)
    }

    #[test]
    fn words_in_one_window_are_taken_together() {
        let entry = entry("101110111101");

        assert_eq!(entry.first, Skip { bits: 3, places: 1 });
        // A word and its bit, another and its two; of the third the last bit is out of sight.
        assert_eq!(entry.all, Skip { bits: 8, places: 4 });
    }

    #[test]
    fn nothing_is_taken_from_the_next_block() {
        assert_eq!(entry("10101010101").all, Skip { bits: 4, places: 1 + END_OF_BLOCK });
    }

    #[test]
    fn bits_that_are_no_word_show() {
        let none = entry("11111111111");

        assert_eq!(none.first.bits, 0);
        assert_eq!(codes().long_word(u64::MAX), None);
    }

    #[test]
    fn words_longer_than_the_window_are_found() {
        let mut counts = [0; 16];
        counts[0] = 1;
        counts[15] = 1;
        let codes = SkipTable::new(&counts, &[0x00, 0x15], Kind::Ac).unwrap();

        let bits = 0b1000_0000_0000_0000_u64 << 48;
        assert_eq!(codes.entry(bits).first.bits, 0);
        assert_eq!(codes.long_word(bits), Some(Skip { bits: 21, places: 2 }));
    }
}
