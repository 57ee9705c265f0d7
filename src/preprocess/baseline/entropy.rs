//! The picture's data: code words, between which markers may stand.

use std::ops::Range;

use super::bits::{Bits, PADDING};

const RESTART: u8 = 0xd0;
const RESTARTS: u32 = 8;
const END_OF_IMAGE: u8 = 0xd9;

/// Reads `steps` steps of blocks, restarts included, to the end of the picture: those between two restarts
/// at a time. `None` where the data do not lead there.
pub(super) fn read(
    mut data: &[u8],
    steps: u32,
    restart_interval: Option<u32>,
    mut read: impl FnMut(&mut Bits<'_>, Range<u32>) -> Option<()>,
) -> Option<()> {
    let (mut done, mut restarts) = (0, 0..);
    let mut unstuffed = Vec::with_capacity(data.len() + PADDING);
    while done < steps {
        let left = steps - done;
        let end = done + restart_interval.map_or(left, |interval| left.min(interval));
        let (marker, after) = unstuff(data, &mut unstuffed)?;
        data = after;
        let restart = u8::try_from(restarts.next()? % RESTARTS).ok()?;
        let expected = if end < steps { RESTART + restart } else { END_OF_IMAGE };
        (marker == expected).then_some(())?;
        let mut bits = Bits::new(&unstuffed);
        read(&mut bits, done..end)?;
        bits.is_at_the_end().then_some(())?;
        done = end;
    }
    Some(())
}

/// Puts the data up to the next marker into `bits`, and says which it is and what follows it.
fn unstuff<'a>(mut data: &'a [u8], bits: &mut Vec<u8>) -> Option<(u8, &'a [u8])> {
    bits.clear();
    loop {
        let place = memchr::memchr(0xff, data)?;
        let (&next, after) = data.get(place + 1..)?.split_first()?;
        if next == 0 {
            bits.extend_from_slice(&data[..=place]);
            data = after;
        } else {
            bits.extend_from_slice(&data[..place]);
            bits.extend_from_slice(&[0; PADDING]);
            return Some((next, after));
        }
    }
}
