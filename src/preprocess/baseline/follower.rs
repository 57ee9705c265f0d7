//! Passes over blocks without decoding them.

use super::bits::Bits;
use super::codes::{Codes, END_OF_BLOCK, Step};

/// Numbers in a block, its mean included.
pub(super) const BLOCK: u8 = 64;

/// The codes of a block's mean and of the rest of it.
#[derive(Clone, Copy)]
pub(super) struct BlockCodes<'a> {
    pub(super) mean: &'a Codes<'a>,
    pub(super) rest: &'a Codes<'a>,
}

impl BlockCodes<'_> {
    /// Passes over a block; `None` where there is none.
    #[inline]
    pub(super) fn pass(self, bits: &mut Bits<'_>) -> Option<()> {
        bits.refill();
        let mean = pass_words(bits, 0, self.mean)?;
        self.pass_rest(bits, mean)
    }

    /// Passes over what follows the mean, for which there are bits.
    #[inline]
    pub(super) fn pass_rest(self, bits: &mut Bits<'_>, mean: u8) -> Option<()> {
        let mut places = mean;
        // A refill lasts for two words.
        loop {
            places += pass_words(bits, places, self.rest)?;
            if places >= BLOCK {
                break;
            }
            bits.refill();
            places += pass_words(bits, places, self.rest)?;
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
fn pass_words(bits: &mut Bits<'_>, places: u8, codes: &Codes<'_>) -> Option<u8> {
    let entry = codes.entry(bits.next());
    if places + entry.all.places % END_OF_BLOCK < BLOCK {
        Some(pass(bits, entry.all))
    } else {
        pass_word(bits, places, (entry.first, codes))
    }
}

#[cold]
#[inline(never)]
fn pass_word(bits: &mut Bits<'_>, places: u8, (first, codes): (Step, &Codes<'_>)) -> Option<u8> {
    let word = if first.bits > 0 { first } else { codes.long_word(bits.next())? };
    let ends_with_zeros = word.is_zero_run() && places + word.places == BLOCK;
    (!ends_with_zeros).then(|| pass(bits, word.plain()))
}

#[inline]
fn pass(bits: &mut Bits<'_>, step: Step) -> u8 {
    bits.pass(step.bits);
    step.places
}
