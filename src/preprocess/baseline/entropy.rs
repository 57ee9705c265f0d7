//! The picture's data: code words, between which markers may stand.

use super::bits::{Bits, PADDING};
use super::segments::END_OF_IMAGE;

const RESTART: u8 = 0xd0;
const RESTARTS: u32 = 8;

/// What reads the blocks of a picture.
pub(super) trait Reader {
    /// Begins anew: the DC coefficients that follow are no differences to any before.
    fn restart(&mut self);

    /// Reads the MCU in that column and row; `None` where there is none such.
    fn mcu(&mut self, bits: &mut Bits<'_>, place: (u32, u32)) -> Option<()>;
}

/// Reads all MCUs, those across and those down, restarts included, to the end of the picture.
/// `None` where the data do not lead there, as soon as they show it: little is spent on a few bytes that
/// claim to be a large picture.
pub(super) fn read(
    mut data: &[u8],
    [across, down]: [u32; 2],
    restart_interval: Option<u32>,
    reader: &mut impl Reader,
) -> Option<()> {
    let (mcus, mut done, mut restarts) = (across * down, 0, 0..);
    let (mut column, mut row) = (0, 0);
    let mut unstuffed = Vec::with_capacity(data.len() + PADDING);
    while done < mcus {
        let left = mcus - done;
        let end = done + restart_interval.map_or(left, |interval| left.min(interval));
        let (marker, after) = unstuff(data, &mut unstuffed)?;
        data = after;
        let restart = u8::try_from(restarts.next()? % RESTARTS).ok()?;
        let expected = if end < mcus { RESTART + restart } else { END_OF_IMAGE };
        (marker == expected).then_some(())?;
        let mut bits = Bits::new(&unstuffed);
        reader.restart();
        for _ in done..end {
            reader.mcu(&mut bits, (column, row))?;
            (!bits.is_past_the_end()).then_some(())?;
            column += 1;
            if column == across {
                (column, row) = (0, row + 1);
            }
        }
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
