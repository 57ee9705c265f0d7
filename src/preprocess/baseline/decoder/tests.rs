//! The pixels beside those of libjpeg-turbo.

use libjpeg_turbo_rs::{Encoder, PixelFormat, Subsampling, decompress_to};
use proptest::prelude::*;

use super::*;

/// What libjpeg-turbo makes of a file.
fn expected(file: &[u8]) -> Pixels {
    let image = decompress_to(file, PixelFormat::Rgb).unwrap();
    let side = |side: usize| u32::try_from(side).unwrap();
    Pixels::new(side(image.height), side(image.width), image.data).unwrap()
}

/// The pixels of a row that count.
fn part<'a>(pixels: &'a Pixels, row: u32, columns: &Range<u32>) -> &'a [u8] {
    let row = &pixels.bytes()[row as usize * pixels.row_bytes()..];
    &row[columns.start as usize * 3..columns.end as usize * 3]
}

fn assert_same(file: &[u8], (rows, columns): (Range<u32>, Range<u32>)) {
    let whole = expected(file);
    let seen = Baseline::read(file)
        .unwrap()
        .decode(Reduction::NONE, (rows.clone(), columns.clone()))
        .unwrap();
    assert_eq!((seen.height(), seen.width()), (rows.end - rows.start, whole.width()));
    for (place, row) in (0..).zip(rows) {
        assert_eq!(part(&seen, place, &columns), part(&whole, row, &columns), "row {row}");
    }
}

#[test]
fn what_encoders_write_has_libjpeg_turbo_s_pixels() {
    for name in
        ["gray", "restarts", "sampling-420", "sampling-422", "sampling-444", "unscaled-500x375"]
    {
        let file = std::fs::read(format!("tests/fixtures/preprocess/{name}.jpg")).unwrap();
        let whole = expected(&file);
        assert_same(&file, (0..whole.height(), 0..whole.width()));
        assert_same(&file, (7..whole.height() - 9, 5..whole.width() - 7));
    }
}

/// The reduction by a `divisor`.
fn by(size: Size, divisor: u32) -> Reduction {
    Reduction::keeping(size, u64::from(size.shorter_side() / divisor))
}

/// The mean of `divisor` by `divisor` pixels, in each channel.
fn mean(pixels: &Pixels, (row, column): (usize, usize), divisor: usize) -> [usize; 3] {
    let mut sums = [0; 3];
    for y in row * divisor..(row + 1) * divisor {
        let row = &pixels.bytes()[y * pixels.row_bytes()..];
        for pixel in row[column * divisor * 3..(column + 1) * divisor * 3].as_chunks::<3>().0 {
            sums = [0, 1, 2].map(|channel| sums[channel] + usize::from(pixel[channel]));
        }
    }
    let count = divisor * divisor;
    sums.map(|sum| (sum + count / 2) / count)
}

#[test]
fn a_reduced_picture_has_the_means_of_its_pixels() {
    // What is rounded in between, and colours that are interpolated only in the whole one.
    for (name, tolerance) in
        [("gray", 1), ("sampling-444", 3), ("sampling-422", 16), ("sampling-420", 16)]
    {
        let file = std::fs::read(format!("tests/fixtures/preprocess/{name}.jpg")).unwrap();
        let whole = expected(&file);
        let size = Size { width: whole.width(), height: whole.height() };
        for divisor in [2, 4, 8] {
            let reduction = by(size, divisor);
            assert_eq!(reduction.divisor(), divisor);
            let reduced = reduction.of(size);
            let all = (0..reduced.height, 0..reduced.width);
            let decoded = Baseline::read(&file).unwrap().decode(reduction, all).unwrap();
            let divisor = divisor as usize;
            for row in 0..whole.height() as usize / divisor {
                let pixels = &decoded.bytes()[row * decoded.row_bytes()..];
                let columns = whole.width() as usize / divisor;
                for (column, pixel) in pixels.as_chunks::<3>().0.iter().take(columns).enumerate() {
                    let expected = mean(&whole, (row, column), divisor);
                    let apart = [0, 1, 2]
                        .map(|channel| expected[channel].abs_diff(usize::from(pixel[channel])));
                    let is_near = apart.iter().all(|apart| *apart <= tolerance);
                    assert!(is_near, "{name} / {divisor}, {row} {column}: {apart:?}");
                }
            }
        }
    }
}

/// Noise of some contrast over slopes.
fn picture([width, height]: [usize; 2], (contrast, seed): (usize, u32)) -> Vec<u8> {
    let mut state = seed | 1;
    let pixel = |place: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let (x, y) = (place / 3 % width, place / 3 / width);
        let slope = x * 3 + y * (place % 3 + 1);
        let noise = usize::from(state.to_be_bytes()[0]) * contrast / 256;
        u8::try_from((slope + noise) % 256).unwrap()
    };
    (0..width * height * 3).map(pixel).collect()
}

/// A range of at least one within so many.
fn range((begin, length): (prop::sample::Index, prop::sample::Index), side: usize) -> Range<u32> {
    let begin = begin.index(side);
    let end = begin + 1 + length.index(side - begin);
    u32::try_from(begin).unwrap()..u32::try_from(end).unwrap()
}

type Seed = (prop::sample::Index, prop::sample::Index);

/// A file of a picture like that, of one component or three.
fn encoded(
    [width, height]: [usize; 2],
    (is_gray, sampling): (bool, Subsampling),
    (quality, contrast, seed): (u8, usize, u32),
    (restarts, is_optimized): (u16, bool),
) -> Vec<u8> {
    let pixels = picture([width, height], (contrast, seed));
    Encoder::new(&pixels, width, height, PixelFormat::Rgb)
        .quality(quality)
        .force_baseline(true)
        .subsampling(if is_gray { Subsampling::S444 } else { sampling })
        .grayscale_from_color(is_gray)
        .restart_blocks(restarts)
        .optimize_huffman(is_optimized)
        .encode()
        .unwrap()
}

const SAMPLINGS: &[Subsampling] = &[Subsampling::S444, Subsampling::S422, Subsampling::S420];

proptest! {
    #[test]
    fn any_part_of_any_picture_has_libjpeg_turbo_s_pixels(
        (width, height) in (16_usize..90, 1_usize..90),
        colors in (any::<bool>(), prop::sample::select(SAMPLINGS)),
        content in (1_u8..=100, 0_usize..=255, any::<u32>()),
        coding in (0_u16..5, any::<bool>()),
        (rows, columns) in (any::<Seed>(), any::<Seed>()),
    ) {
        let file = encoded([width, height], colors, content, coding);
        assert_same(&file, (range(rows, height), range(columns, width)));
    }

    #[test]
    fn any_part_of_a_reduced_picture_has_the_pixels_of_all_of_it(
        (width, height) in (16_usize..200, 8_usize..200),
        divisor in prop::sample::select(&[2_u32, 4, 8][..]),
        colors in (any::<bool>(), prop::sample::select(SAMPLINGS)),
        content in (1_u8..=100, 0_usize..=255, any::<u32>()),
        coding in (0_u16..5, any::<bool>()),
        (rows, columns) in (any::<Seed>(), any::<Seed>()),
    ) {
        let file = encoded([width, height], colors, content, coding);
        let size = Size { width: u32::try_from(width).unwrap(), height: u32::try_from(height).unwrap() };
        let reduction = by(size, divisor);
        let reduced = reduction.of(size);
        let [rows, columns] = [(rows, reduced.height), (columns, reduced.width)]
            .map(|(seed, side)| range(seed, side as usize));

        let file = Baseline::read(&file).unwrap();
        let whole = file.decode(reduction, (0..reduced.height, 0..reduced.width)).unwrap();
        let seen = file.decode(reduction, (rows.clone(), columns.clone())).unwrap();

        for (place, row) in (0..).zip(rows) {
            prop_assert_eq!(part(&seen, place, &columns), part(&whole, row, &columns), "row {}", row);
        }
    }
}

/// Counts the MCUs that it is asked for, of four bits each.
struct Counter(u32);

impl Reader for Counter {
    fn restart(&mut self) {}

    fn mcu(&mut self, bits: &mut Bits<'_>, _: (u32, u32)) -> Option<()> {
        self.0 += 1;
        bits.refill();
        bits.pass(4);
        Some(())
    }
}

#[test]
fn a_few_bytes_that_claim_to_be_a_large_picture_are_given_up_at_their_end() {
    let mut counter = Counter(0);

    let read = entropy::read(&[0x55, 0x55, 0xff, 0xd9], [1000, 1000], None, &mut counter);

    assert_eq!((read, counter.0), (None, 5));
}
