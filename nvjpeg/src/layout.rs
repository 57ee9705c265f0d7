//! Where the pictures of a batch lie on the GPU, and how its kernels are told.

use std::ops::Range;

use crate::job::{Job, Weights};
use crate::{Capacity, Error};

/// Where each picture begins is a multiple of so many bytes.
pub const ALIGNMENT: usize = 256;

/// Bytes of `struct picture` in resize.cu.
const PICTURE_BYTES: usize = 96;

/// The places of a batch in a block of memory: the decoded pictures, the results, a number for each that
/// says whether the unit wrote it, and what is between the two passes.
pub(crate) struct Layout {
    pub(crate) places: Vec<Place>,
    /// What the host needs: the results, and the numbers behind them.
    pub(crate) results: Range<usize>,
    /// The first of the numbers.
    pub(crate) written: usize,
}

/// Of one picture.
pub(crate) struct Place {
    pub(crate) decoded: usize,
    pub(crate) resized: usize,
    narrowed: usize,
}

/// A block of memory of which more and more is taken.
struct Room {
    end: usize,
}

impl Room {
    /// Where so many rows of so many pixels begin.
    fn take(&mut self, [rows, columns]: [u32; 2]) -> usize {
        let start = self.end.checked_next_multiple_of(ALIGNMENT).unwrap_or(usize::MAX);
        let bytes = (u64::from(rows) * u64::from(columns)).saturating_mul(3);
        self.end = start.saturating_add(usize::try_from(bytes).unwrap_or(usize::MAX));
        start
    }
}

impl Layout {
    /// # Errors
    ///
    /// Where they do not fit.
    pub(crate) fn of(jobs: &[Job<'_>], capacity: Capacity) -> Result<Self, Error> {
        let mut room = Room { end: 0 };
        let decoded: Vec<usize> = jobs.iter().map(|job| room.take(job.size)).collect();
        let resized: Vec<usize> = jobs.iter().map(|job| room.take(job.result_size())).collect();
        let written = room.take([0, 0]);
        room.end = written.saturating_add(jobs.len() * size_of::<u32>());
        let results = resized.first().copied().unwrap_or(written)..room.end;
        let between = |job: &Job<'_>| [job.rows_seen[1], job.result_size()[1]];
        let narrowed: Vec<usize> = jobs.iter().map(|job| room.take(between(job))).collect();
        for (needed, capacity) in
            [(room.end, capacity.on_device), (results.len(), capacity.in_memory)]
        {
            if needed > capacity {
                return Err(Error::TooLarge { needed, capacity });
            }
        }
        let places = decoded.into_iter().zip(resized).zip(narrowed);
        let place = |((decoded, resized), narrowed)| Place { decoded, resized, narrowed };
        Ok(Self { places: places.map(place).collect(), results, written })
    }

    /// What the kernels are told: a `struct picture` for each, and the weights behind them.
    pub(crate) fn told(&self, jobs: &[Job<'_>]) -> Vec<u8> {
        let mut weights = Vec::new();
        let first_weights = jobs.len() * PICTURE_BYTES;
        let mut pictures = Vec::with_capacity(first_weights);
        for (number, (job, place)) in jobs.iter().zip(&self.places).enumerate() {
            let written = self.written + number * size_of::<u32>();
            for place in [place.decoded, place.narrowed, place.resized, written] {
                pictures.extend_from_slice(&(place as u64).to_ne_bytes());
            }
            let ([height, width], [result_height, result_width]) = (job.size, job.result_size());
            let [first_row, rows_seen] = job.rows_seen;
            for number in [width, height, first_row, rows_seen, result_width, result_height] {
                pictures.extend_from_slice(&number.to_ne_bytes());
            }
            for of in [&job.columns, &job.rows] {
                for number in tell(of, &mut weights, first_weights) {
                    pictures.extend_from_slice(&number.to_ne_bytes());
                }
            }
        }
        pictures.extend_from_slice(&weights);
        pictures
    }
}

/// Appends the weights, and gives the numbers of a `struct weights`.
fn tell(weights: &Weights<'_>, told: &mut Vec<u8>, first: usize) -> [u32; 5] {
    let place = |told: &[u8]| number(first + told.len());
    let starts = place(told);
    weights.starts.iter().for_each(|start| told.extend_from_slice(&start.to_ne_bytes()));
    let counts = place(told);
    weights.counts.iter().for_each(|count| told.extend_from_slice(&count.to_ne_bytes()));
    let values = place(told);
    weights.values.iter().for_each(|value| told.extend_from_slice(&value.to_ne_bytes()));
    told.resize(told.len().next_multiple_of(size_of::<u32>()), 0);
    [starts, counts, values, number(weights.window), weights.precision]
}

/// What is told is smaller than 4 GiB, or refused.
fn number(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEIGHTS: Weights<'static> =
        Weights { starts: &[0, 1], counts: &[1, 1], values: &[16, 16], window: 1, precision: 4 };

    const LARGE: Capacity = Capacity { on_device: 1 << 20, in_memory: 1 << 20 };

    fn jobs() -> [Job<'static>; 2] {
        let job =
            |size| Job { file: b"", size, rows_seen: [1, 2], columns: WEIGHTS, rows: WEIGHTS };
        [job([4, 100]), job([3, 10])]
    }

    #[test]
    fn no_picture_lies_on_another() {
        let layout = Layout::of(&jobs(), LARGE).unwrap();

        let places: Vec<[usize; 3]> = layout
            .places
            .iter()
            .map(|place| [place.decoded, place.resized, place.narrowed])
            .collect();
        // 1200 bytes, 90 bytes, twice 12, two numbers, twice 12.
        assert_eq!(places, [[0, 1536, 2304], [1280, 1792, 2560]]);
        assert_eq!((layout.results, layout.written), (1536..2056, 2048));
    }

    #[test]
    fn pictures_that_do_not_fit_are_refused() {
        let of = |on_device, in_memory| {
            Layout::of(&jobs(), Capacity { on_device, in_memory }).map(|_| ())
        };
        assert_eq!(of(2572, 520), Ok(()));
        assert_eq!(of(2571, 520), Err(Error::TooLarge { needed: 2572, capacity: 2571 }));
        assert_eq!(of(2572, 519), Err(Error::TooLarge { needed: 520, capacity: 519 }));
        let mut endless = jobs();
        endless[0].size = [u32::MAX, u32::MAX];
        endless[1].size = [u32::MAX, u32::MAX];
        assert!(Layout::of(&endless, Capacity { on_device: usize::MAX - 1, ..LARGE }).is_err());
    }

    #[test]
    fn the_kernels_are_told_where_the_weights_are() {
        let jobs = jobs();
        let told = Layout::of(&jobs, LARGE).unwrap().told(&jobs);

        let number = |at: usize| u32::from_ne_bytes(told[at..at + 4].try_into().unwrap());
        assert_eq!(told.len(), 2 * PICTURE_BYTES + 4 * 20);
        // The second picture's rows: the last of the weights.
        let rows: Vec<u32> = (172..192).step_by(4).map(number).collect();
        assert_eq!(rows, [252, 260, 268, 1, 4]);
        assert_eq!([number(252), number(256)], [0, 1]);
    }
}
