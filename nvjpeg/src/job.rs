//! What is to be done with a file, and what comes of it.

/// A file, and the part of the resized picture that is wanted of it.
#[derive(Clone, Copy, Debug)]
pub struct Job<'a> {
    /// A baseline JPEG.
    pub file: &'a [u8],
    /// Rows and columns of the decoded picture.
    pub size: [u32; 2],
    /// The first decoded row that is needed, and how many are.
    pub rows_seen: [u32; 2],
    /// Of which pixels of a decoded row each pixel of the result's rows is made.
    pub columns: Weights<'a>,
    /// Of which of the rows seen each row of the result is made.
    pub rows: Weights<'a>,
}

/// Of what each pixel of a row or of a column is made, and how much of it.
#[derive(Clone, Copy, Debug)]
pub struct Weights<'a> {
    /// For each pixel the first that it is made of.
    pub starts: &'a [u32],
    /// For each pixel how many it is made of.
    pub counts: &'a [u32],
    /// For each pixel `window` weights in units of 2^-`precision`, that many of which count.
    pub values: &'a [i16],
    /// The most pixels that one is made of.
    pub window: usize,
    /// Bits of a weight's fraction, 1 to 22.
    pub precision: u32,
}

/// The part of the resized picture: `height` rows of `width` pixels of red, green and blue, without gaps.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Picture<'a> {
    /// Rows.
    pub height: u32,
    /// Pixels in a row.
    pub width: u32,
    /// `[height, width, 3]`
    pub rgb: &'a [u8],
}

impl Job<'_> {
    /// Whether nothing outside of the picture would be read.
    pub(crate) fn is_sound(&self) -> bool {
        let ([height, width], [first, seen]) = (self.size, self.rows_seen);
        height > 0
            && width > 0
            && first.checked_add(seen).is_some_and(|end| end <= height)
            && self.columns.are_within(width)
            && self.rows.are_within(seen)
    }

    /// Rows and columns of the result.
    pub(crate) fn result_size(&self) -> [u32; 2] {
        [self.rows.count(), self.columns.count()]
    }
}

impl Weights<'_> {
    fn are_within(&self, side: u32) -> bool {
        let Self { starts, counts, values, window, precision } = self;
        let stays = |(start, count): (&u32, &u32)| {
            *count as usize <= *window && start.checked_add(*count).is_some_and(|end| end <= side)
        };
        starts.len() == counts.len()
            && u32::try_from(starts.len()).is_ok()
            && starts.len().checked_mul(*window) == Some(values.len())
            && (1..=22).contains(precision)
            && starts.iter().zip(*counts).all(stays)
    }

    fn count(&self) -> u32 {
        u32::try_from(self.starts.len()).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: Weights<'static> = Weights {
        starts: &[0, 1],
        counts: &[2, 1],
        values: &[8, 8, 16, 0],
        window: 2,
        precision: 4,
    };

    #[test]
    fn nothing_outside_of_the_picture_is_read() {
        let job =
            |size, rows_seen, columns, rows| Job { file: b"", size, rows_seen, columns, rows };

        assert!(job([2, 2], [0, 2], WHOLE, WHOLE).is_sound());
        assert!(job([9, 2], [7, 2], WHOLE, WHOLE).is_sound());
        assert!(!job([8, 2], [7, 2], WHOLE, WHOLE).is_sound(), "rows below the last");
        assert!(!job([2, 1], [0, 2], WHOLE, WHOLE).is_sound(), "columns right of the last");
        assert!(!job([2, 2], [0, 1], WHOLE, WHOLE).is_sound(), "rows that are not there");
        assert!(!job([2, 2], [u32::MAX, 2], WHOLE, WHOLE).is_sound());
        let nothing = Weights { starts: &[], counts: &[], values: &[], ..WHOLE };
        assert!(!job([0, 2], [0, 0], nothing, nothing).is_sound(), "no last row");
        for broken in [
            Weights { values: &[8, 8, 16], ..WHOLE },
            Weights { counts: &[2], ..WHOLE },
            Weights { counts: &[3, 1], ..WHOLE },
            Weights { starts: &[u32::MAX, 1], ..WHOLE },
            Weights { precision: 0, ..WHOLE },
        ] {
            assert!(!job([2, 2], [0, 2], broken, WHOLE).is_sound(), "{broken:?}");
        }
    }
}
