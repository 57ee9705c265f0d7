//! Passes over blocks without decoding them.

use super::bits::Bits;
use super::codes::{END_OF_BLOCK, Skip, SkipTable};

/// Coefficients of a block.
pub(super) const BLOCK: u8 = 64;

/// The tables of a block's DC coefficient and of its AC coefficients.
#[derive(Clone, Copy)]
pub(super) struct BlockSkipper<'a> {
    pub(super) dc: &'a SkipTable<'a>,
    pub(super) ac: &'a SkipTable<'a>,
}

impl BlockSkipper<'_> {
    /// Passes over a block; `None` where there is none.
    #[inline]
    pub(super) fn pass(self, bits: &mut Bits<'_>) -> Option<()> {
        bits.refill();
        let dc = pass_words(bits, 0, self.dc)?;
        self.pass_ac(bits, dc)
    }

    /// Passes over the AC coefficients; for the first word there are bits.
    #[inline]
    pub(super) fn pass_ac(self, bits: &mut Bits<'_>, dc: u8) -> Option<()> {
        let mut places = dc;
        // A refill lasts for two words.
        loop {
            places += pass_words(bits, places, self.ac)?;
            if places >= BLOCK {
                break;
            }
            bits.refill();
            places += pass_words(bits, places, self.ac)?;
            if places >= BLOCK {
                break;
            }
        }
        (places == BLOCK || places > END_OF_BLOCK).then_some(())
    }
}

/// Passes over the words that the window shows, if they leave the block open, or else over one, and says
/// how many places they take.
#[inline]
fn pass_words(bits: &mut Bits<'_>, places: u8, codes: &SkipTable<'_>) -> Option<u8> {
    let entry = codes.entry(bits.next());
    if places + entry.all.places % END_OF_BLOCK < BLOCK {
        Some(pass(bits, entry.all))
    } else {
        pass_word(bits, places, (entry.first, codes))
    }
}

#[cold]
#[inline(never)]
fn pass_word(
    bits: &mut Bits<'_>,
    places: u8,
    (first, codes): (Skip, &SkipTable<'_>),
) -> Option<u8> {
    let word = if first.bits > 0 { first } else { codes.long_word(bits.next())? };
    let ends_with_zeros = word.is_zero_run() && places + word.places == BLOCK;
    (!ends_with_zeros).then(|| pass(bits, word.plain()))
}

#[inline]
fn pass(bits: &mut Bits<'_>, skip: Skip) -> u8 {
    bits.pass(skip.bits);
    skip.places
}
