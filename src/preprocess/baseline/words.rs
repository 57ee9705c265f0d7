//! Huffman's code words, as a table lists them.

/// The longest code word of a JPEG, in bits.
const LONGEST: usize = 16;

/// A code word and what it stands for.
#[derive(Clone, Copy)]
pub(super) struct Word {
    /// The word itself, in its lowest bits.
    pub(super) bits: u32,
    pub(super) length: u8,
    pub(super) symbol: u8,
}

impl Word {
    /// The windows of so many bits that begin with it; `None` where it is longer.
    pub(super) fn windows(self, window: u32) -> Option<std::ops::Range<usize>> {
        let free = window.checked_sub(self.length.into())?;
        let begin = (self.bits << free) as usize;
        Some(begin..begin + (1 << free))
    }
}

/// The words of a table, shorter ones before longer ones.
pub(super) struct Words<'a> {
    /// The first word of each length, how many there are, and where their symbols begin.
    lengths: [(u32, u32, usize); LONGEST + 1],
    symbols: &'a [u8],
}

impl<'a> Words<'a> {
    /// Of a table as the file has it; `None` where no such words can be.
    pub(super) fn new(counts: &[u8; LONGEST], symbols: &'a [u8]) -> Option<Self> {
        let mut lengths = [(0, 0, 0); LONGEST + 1];
        let (mut word, mut begin) = (0_u32, 0);
        for (length, &count) in (1..).zip(counts) {
            lengths[length] = (word, u32::from(count), begin);
            word += u32::from(count);
            begin += usize::from(count);
            // A word of ones alone is none, so that what fills up a byte cannot be one.
            if word >= 1 << length {
                return None;
            }
            word <<= 1;
        }
        (begin == symbols.len()).then_some(Self { lengths, symbols })
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = Word> {
        let of_length =
            |(length, &(first, count, begin)): (u8, &(u32, u32, usize))| {
                (first..first + count)
                    .zip(&self.symbols[begin..])
                    .map(move |(bits, &symbol)| Word { bits, length, symbol })
            };
        (0..).zip(&self.lengths).flat_map(of_length)
    }

    /// The one that the upper bits begin with, among those longer than a window.
    pub(super) fn longer_than(&self, window: u32, bits: u64) -> Option<Word> {
        (window as usize + 1..=LONGEST).find_map(|length| {
            let (first, count, begin) = self.lengths[length];
            let bits = u32::try_from(bits >> (64 - length)).ok()?;
            let place = bits.checked_sub(first).filter(|place| *place < count)?;
            let symbol = *self.symbols.get(begin + usize::try_from(place).ok()?)?;
            Some(Word { bits, length: u8::try_from(length).ok()?, symbol })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_more_words_than_there_can_be_is_refused() {
        let mut counts = [0; 16];
        counts[0] = 3;
        assert!(Words::new(&counts, &[0x01, 0x02, 0x03]).is_none());
    }

    #[test]
    fn words_longer_than_the_window_are_found() {
        let mut counts = [0; 16];
        counts[0] = 1;
        counts[15] = 1;
        let words = Words::new(&counts, &[0x00, 0x15]).unwrap();

        let found = words.longer_than(12, 0b1000_0000_0000_0000_u64 << 48).unwrap();

        assert_eq!((found.length, found.symbol), (16, 0x15));
        assert!(words.longer_than(12, u64::MAX).is_none());
    }
}
