//! The bits of a lossless WebP, and the prefix codes in which its symbols are written.

/// The order in which the lengths of the code for code lengths are stored.
const STORED_ORDER: [usize; 19] =
    [17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

const LONGEST: usize = 15;

/// Bits, the lowest of each byte first.
pub(super) struct Bits<'a> {
    data: &'a [u8],
    position: usize,
}

/// A canonical prefix code.
pub(super) enum PrefixCode {
    /// Is written with no bit at all.
    Single(u16),
    Many {
        /// Symbols with a code of each length.
        counts: [u16; LONGEST + 1],
        /// In the order of their codes.
        symbols: Vec<u16>,
    },
}

impl<'a> Bits<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self { data, position: 0 }
    }

    /// A number of up to 24 bits; `None` at the end.
    pub(super) fn read(&mut self, count: usize) -> Option<u32> {
        let first = self.position / 8;
        let end = (self.position + count).div_ceil(8);
        let bytes = self.data.get(first..end)?;
        let all = bytes.iter().rev().fold(0_u64, |all, byte| all << 8 | u64::from(*byte));
        let shifted = all >> (self.position % 8);
        self.position += count;
        u32::try_from(shifted & ((1 << count) - 1)).ok()
    }

    pub(super) fn is_set(&mut self) -> Option<bool> {
        self.read(1).map(|bit| bit == 1)
    }

    fn number(&mut self, count: usize) -> Option<usize> {
        self.read(count).map(|number| number as usize)
    }
}

impl PrefixCode {
    /// Reads the code for an alphabet of so many symbols.
    pub(super) fn read(bits: &mut Bits, alphabet: u32) -> Option<Self> {
        let (is_simple, alphabet) = (bits.is_set()?, alphabet as usize);
        if is_simple {
            Self::read_simple(bits, alphabet)
        } else {
            Self::read_lengths(bits, alphabet)
        }
    }

    /// One or two symbols by name.
    fn read_simple(bits: &mut Bits, alphabet: usize) -> Option<Self> {
        let has_two = bits.is_set()?;
        let size = if bits.is_set()? { 8 } else { 1 };
        let mut symbol = |size| {
            let symbol = bits.number(size).filter(|symbol| *symbol < alphabet)?;
            u16::try_from(symbol).ok()
        };
        let first = symbol(size)?;
        if !has_two {
            return Some(Self::Single(first));
        }
        let second = symbol(8)?;
        let mut counts = [0; LONGEST + 1];
        counts[1] = 2;
        Some(Self::Many { counts, symbols: vec![first, second] })
    }

    /// The length of each symbol's code, themselves in a prefix code.
    fn read_lengths(bits: &mut Bits, alphabet: usize) -> Option<Self> {
        let mut lengths_of_lengths = [0; STORED_ORDER.len()];
        let stored = 4 + bits.number(4)?;
        for place in STORED_ORDER.get(..stored)? {
            lengths_of_lengths[*place] = u8::try_from(bits.read(3)?).ok()?;
        }
        let code = Self::of_lengths(&lengths_of_lengths)?;
        let mut left = alphabet;
        if bits.is_set()? {
            let size = 2 + 2 * bits.number(3)?;
            left = 2 + bits.number(size)?;
        }
        let mut lengths = Vec::with_capacity(alphabet);
        let mut previous = 8;
        while lengths.len() < alphabet && left > 0 {
            left -= 1;
            let (length, times) = match code.symbol(bits)? {
                16 => (previous, 3 + bits.number(2)?),
                17 => (0, 3 + bits.number(3)?),
                18 => (0, 11 + bits.number(7)?),
                length => (u8::try_from(length).ok()?, 1),
            };
            if length > 0 {
                previous = length;
            }
            lengths.resize(lengths.len() + times, length);
        }
        lengths.truncate(alphabet);
        Self::of_lengths(&lengths)
    }

    fn of_lengths(lengths: &[u8]) -> Option<Self> {
        let mut counts = [0; LONGEST + 1];
        let mut symbols = Vec::new();
        for (length, count) in counts.iter_mut().enumerate().skip(1) {
            let before = symbols.len();
            let of_this = (0_u16..).zip(lengths).filter(|(_, it)| usize::from(**it) == length);
            symbols.extend(of_this.map(|(symbol, _)| symbol));
            *count = u16::try_from(symbols.len() - before).ok()?;
        }
        match symbols.as_slice() {
            [] => None,
            [single] => Some(Self::Single(*single)),
            _ => Some(Self::Many { counts, symbols }),
        }
    }

    /// The next symbol; `None` at the end, or where no symbol has that code.
    pub(super) fn symbol(&self, bits: &mut Bits) -> Option<u16> {
        let (counts, symbols) = match self {
            Self::Single(symbol) => return Some(*symbol),
            Self::Many { counts, symbols } => (counts, symbols),
        };
        let (mut code, mut first, mut index) = (0, 0, 0);
        for count in counts[1..].iter().map(|count| usize::from(*count)) {
            code = code * 2 + bits.number(1)?;
            first *= 2;
            if code < first + count {
                return symbols.get(index + code.checked_sub(first)?).copied();
            }
            index += count;
            first += count;
        }
        None
    }
}
