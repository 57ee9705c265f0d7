//! The bits of a picture's data.

/// Zeros after the data, so that whole words can be read at its end.
pub(super) const PADDING: usize = 8;

/// Bits that there are at least after a refill; a number of whole bytes, so that it can be or'ed.
const FULL: u32 = 0b11_1000;

/// Reads bits from the highest of each byte on.
pub(super) struct Bits<'a> {
    data: &'a [u8],
    /// Bytes that were taken from the data.
    taken: usize,
    /// What is next, at the upper end.
    next: u64,
    /// How many bits of it count.
    count: u32,
}

impl<'a> Bits<'a> {
    /// From the beginning of data that end with their padding.
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self { data, taken: 0, next: 0, count: 0 }
    }

    /// What is next, from the highest bit on.
    #[inline]
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Passes over some bits, fewer than a refill has left.
    #[inline]
    pub(super) fn pass(&mut self, bits: u8) {
        self.next <<= bits;
        self.count -= u32::from(bits);
    }

    /// Sees to it that there are `FULL` bits, behind the end of the data zeros: enough for two code words
    /// and the coefficients behind them, of 27 bits at most. Without a branch on how many there are left,
    /// which nothing could predict.
    #[inline]
    pub(super) fn refill(&mut self) {
        let eight = self.data.get(self.taken..).and_then(<[u8]>::first_chunk::<8>);
        self.next |= u64::from_be_bytes(eight.copied().unwrap_or_default()) >> self.count;
        self.taken += (63 - self.count as usize) / 8;
        self.count |= FULL;
    }

    /// Whether all data were passed over and nothing behind them: what is left fills up a byte.
    pub(super) fn is_at_the_end(&self) -> bool {
        self.left().is_some_and(|left| left < 8)
    }

    /// Whether zeros behind the data were passed over too.
    #[inline]
    pub(super) fn is_past_the_end(&self) -> bool {
        self.left().is_none()
    }

    /// Bits of the data that were not passed over; `None` where more were than there are.
    #[inline]
    fn left(&self) -> Option<usize> {
        let passed = 8 * self.taken - self.count as usize;
        (8 * (self.data.len() - PADDING)).checked_sub(passed)
    }
}
