//! JPEGs of the plain kind that most encoders write: decoded where they are seen, followed to their end elsewhere.
//!
//! A crop of the centre shows little more than half of a photo, but the code words of the rest must be read to find
//! its own, and to know that the file is whole. They are followed, in a third of the time that decoding them takes.
//! Transforms and most of the colours are the vectorised ones of `libjpeg-turbo-rs`, which decodes every file that is
//! not taken here.
//!
//! A GPU's unit decodes such files too, and says nothing of a picture that is cut off: it shows the rest of another
//! one. So its pixels count only where every code word of the file has been followed.

mod bits;
mod codes;
mod coefficients;
mod colors;
mod decoder;
mod entropy;
mod follower;
mod means;
mod planes;
mod segments;
mod words;

pub use segments::Baseline;

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::super::geometry::Size;
    use super::super::header::Reduction;
    use super::*;

    const PLAIN: [&str; 7] = [
        "gray.jpg",
        "orientation-5.jpg",
        "restarts.jpg",
        "sampling-420.jpg",
        "sampling-422.jpg",
        "sampling-444.jpg",
        "unscaled-500x375.jpg",
    ];

    fn fixture(name: &str) -> Vec<u8> {
        fs::read(format!("tests/fixtures/preprocess/{name}")).unwrap()
    }

    fn is_whole(file: &[u8]) -> bool {
        Baseline::read(file).is_some_and(|baseline| baseline.is_whole())
    }

    /// The file with its last bytes lost, and an end that says nothing of it.
    fn cut(file: &[u8], length: usize) -> Vec<u8> {
        let kept = &file[..length];
        [kept.strip_suffix(&[0xff]).unwrap_or(kept), &[0xff, 0xd9]].concat()
    }

    #[test]
    fn what_encoders_write_is_whole() {
        for name in PLAIN {
            assert!(is_whole(&fixture(name)), "{name}");
        }
    }

    #[test]
    fn a_file_of_another_kind_is_not_taken() {
        for name in [
            "progressive.jpg",
            "cmyk.jpg",
            "ycck.jpg",
            "sampling-411.jpg",
            "sampling-440.jpg",
            "gray.png",
        ] {
            assert!(Baseline::read(&fixture(name)).is_none(), "{name}");
        }
    }

    #[test]
    fn colors_that_are_not_said_to_be_ycbcr_are_not_taken() {
        let mut file = fixture("sampling-444.jpg");
        assert!(file[6..].starts_with(b"JFIF\0"));
        file[6] = b'j';
        assert!(is_whole(&file), "the components have the ids of JFIF's");

        let frame = file.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
        let scan = file.windows(2).position(|pair| pair == [0xff, 0xda]).unwrap();
        (file[frame + 10], file[scan + 5]) = (b'R', b'R');
        assert!(Baseline::read(&file).is_none());
    }

    #[test]
    fn a_picture_that_is_cut_off_shows_wherever_it_was_cut() {
        for name in PLAIN {
            let file = fixture(name);
            let scan = file.windows(2).position(|pair| pair == [0xff, 0xda]).unwrap();
            for length in (scan + 20..file.len() - 4).step_by(7) {
                assert!(!is_whole(&cut(&file, length)), "{name} of {length} bytes");
            }
            assert!(!is_whole(&file[..file.len() - 2]), "{name} without an end");
        }
    }

    /// The file with something in the place of the first segment of that kind.
    fn replaced(file: &[u8], marker: u8, with: &[u8]) -> Vec<u8> {
        let begin = file.windows(2).position(|pair| pair == [0xff, marker]).unwrap();
        let length = usize::from(u16::from_be_bytes([file[begin + 2], file[begin + 3]]));
        [&file[..begin], with, &file[begin + 2 + length..]].concat()
    }

    #[test]
    fn segments_that_decoders_may_read_in_different_ways_are_not_taken() {
        let file = fixture("sampling-444.jpg");
        // Two markers that have no length, and a frame of frames.
        for segment in [&b"\xff\x01\x00\x04ab"[..], b"\xff\xde\x00\x04ab", b"\xff\xd0\x00\x04ab"] {
            let changed = [&file[..2], segment, &file[2..]].concat();
            assert!(Baseline::read(&changed).is_none(), "{segment:?}");
        }
        let comment = [&file[..2], b"\xff\xfe\x00\x04ab", &file[2..]].concat();
        assert!(is_whole(&comment));
    }

    #[test]
    fn tables_to_multiply_by_must_be_there() {
        let file = fixture("sampling-444.jpg");
        assert!(Baseline::read(&replaced(&file, 0xdb, &[])).is_none());

        let mut zero = file;
        let table = zero.windows(2).position(|pair| pair == [0xff, 0xdb]).unwrap();
        zero[table + 5] = 0;
        assert!(Baseline::read(&zero).is_none());
    }

    #[test]
    fn tables_that_come_twice_or_have_too_many_words_are_not_taken() {
        let file = fixture("sampling-444.jpg");
        for marker in [0xdb, 0xc4] {
            let begin = file.windows(2).position(|pair| pair == [0xff, marker]).unwrap();
            let length = usize::from(u16::from_be_bytes([file[begin + 2], file[begin + 3]]));
            let table = &file[begin..begin + 2 + length];
            let twice = [&file[..begin], table, &file[begin..]].concat();
            assert!(Baseline::read(&twice).is_none(), "{marker:x}");
        }
        // 13 words of 4 bits, for as many sizes.
        let many = [&[0xff, 0xc4, 0, 32, 0, 0, 0, 0, 13][..], &[0; 12], &[1; 13]].concat();
        assert!(Baseline::read(&replaced(&file, 0xc4, &many)).is_none());
    }

    #[test]
    fn data_that_nothing_needs_show() {
        let file = fixture("gray.jpg");
        let end = file.len() - 2;
        assert!(!is_whole(&[&file[..end], &[0, 0], &file[end..]].concat()));

        let restarts = fixture("restarts.jpg");
        let scan = restarts.windows(2).rposition(|pair| pair == [0xff, 0xda]).unwrap();
        let of_scan = restarts[scan..].windows(2).position(|pair| pair == [0xff, 0xd0]).unwrap();
        let restart = scan + of_scan;
        assert!(!is_whole(&[&restarts[..restart], &[0, 0], &restarts[restart..]].concat()));
    }

    #[test]
    fn components_of_one_name_are_not_taken() {
        let mut file = fixture("sampling-444.jpg");
        let frame = file.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
        let scan = file.windows(2).position(|pair| pair == [0xff, 0xda]).unwrap();
        (file[frame + 13], file[scan + 7]) = (file[frame + 10], file[scan + 5]);
        assert!(Baseline::read(&file).is_none());
    }

    #[test]
    fn a_marker_in_the_middle_shows() {
        for name in PLAIN {
            let mut file = fixture(name);
            let middle = file.len() / 2;
            file[middle..middle + 2].copy_from_slice(&[0xff, 0xc4]);
            assert!(!is_whole(&file), "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_much(
            name in proptest::sample::select(&PLAIN[..]),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
            divisor in proptest::sample::select(&[1, 2, 4, 8][..]),
        ) {
            let mut file = fixture(name);
            for (place, byte) in changes {
                *place.get_mut(&mut file) = byte;
            }
            if let Some(baseline) = Baseline::read(&file) {
                let size = Size { width: baseline.width, height: baseline.height };
                let reduction = Reduction::keeping(size, u64::from(size.shorter_side() / divisor));
                let reduced = reduction.of(size);
                let decoded = baseline.decode(reduction, (0..reduced.height, 0..reduced.width));
                prop_assert_eq!(decoded.is_some(), baseline.is_whole());
            }
        }
    }
}
