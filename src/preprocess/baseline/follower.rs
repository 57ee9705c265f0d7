//! Follows code words through a picture's data, block by block, without decoding them.

use super::codes::{Codes, END_OF_BLOCK, Step};

/// Numbers in a block, its mean included.
const BLOCK: u8 = 64;

/// Zeros after the data, so that whole words can be read at its end.
pub(super) const PADDING: usize = 8;

/// Bits that there are at least after a refill; a number of whole bytes, so that it can be or'ed.
const FULL: u32 = 0b11_1000;

/// The codes of a block's mean and of the rest of it.
#[derive(Clone, Copy)]
pub(super) struct BlockCodes<'a> {
    pub(super) mean: &'a Codes,
    pub(super) rest: &'a Codes,
}

/// Reads bits from the highest of each byte on.
pub(super) struct Follower<'a> {
    data: &'a [u8],
    /// Bytes that were taken from the data.
    taken: usize,
    /// What is next, at the upper end.
    next: u64,
    /// How many bits of it count.
    count: u32,
}

impl<'a> Follower<'a> {
    /// One at the beginning of data that end with their padding.
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self { data, taken: 0, next: 0, count: 0 }
    }

    /// Whether all data were passed over and nothing behind them: what is left fills up a byte.
    pub(super) fn is_at_the_end(&self) -> bool {
        let passed = 8 * self.taken - self.count as usize;
        (8 * (self.data.len() - PADDING)).checked_sub(passed).is_some_and(|left| left < 8)
    }

    /// Passes over a block; `None` where there is none.
    #[inline]
    pub(super) fn pass_block(&mut self, BlockCodes { mean, rest }: BlockCodes<'_>) -> Option<()> {
        self.refill();
        let mut places = self.pass_words(0, mean)?;
        // A refill lasts for two words.
        loop {
            places += self.pass_words(places, rest)?;
            if places >= BLOCK {
                break;
            }
            self.refill();
            places += self.pass_words(places, rest)?;
            if places >= BLOCK {
                break;
            }
        }
        (places == BLOCK || places > END_OF_BLOCK).then_some(())
    }

    /// Passes over the words that the window shows, if they leave the block open, or else over one,
    /// and says how many places they take.
    #[inline]
    fn pass_words(&mut self, places: u8, codes: &Codes) -> Option<u8> {
        let entry = codes.entry(self.next);
        if places + entry.all.places % END_OF_BLOCK < BLOCK {
            Some(self.pass(entry.all))
        } else {
            self.pass_word(places, entry.first, codes)
        }
    }

    #[cold]
    #[inline(never)]
    fn pass_word(&mut self, places: u8, first: Step, codes: &Codes) -> Option<u8> {
        let word = if first.bits > 0 { first } else { codes.long_word(self.next)? };
        let ends_with_zeros = word.is_zero_run() && places + word.places == BLOCK;
        (!ends_with_zeros).then(|| self.pass(word.plain()))
    }

    #[inline]
    fn pass(&mut self, step: Step) -> u8 {
        self.next <<= step.bits;
        self.count -= u32::from(step.bits);
        step.places
    }

    /// Sees to it that there are `FULL` bits, behind the end of the data zeros; the longest word has 27.
    /// Without a branch, which nothing could predict.
    #[inline]
    fn refill(&mut self) {
        let eight = self.data.get(self.taken..).and_then(<[u8]>::first_chunk::<8>);
        self.next |= u64::from_be_bytes(eight.copied().unwrap_or_default()) >> self.count;
        self.taken += (63 - self.count as usize) / 8;
        self.count |= FULL;
    }
}
