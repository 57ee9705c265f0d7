//! The picture's data: code words, between which markers may stand.

use super::follower::{BlockCodes, Follower, PADDING};

const RESTART: u8 = 0xd0;
const RESTARTS: u32 = 8;
const END_OF_IMAGE: u8 = 0xd9;

/// Follows `steps` steps of blocks, restarts included, to the end of the picture; `None` where the
/// data do not lead there.
pub(super) fn follow(
    mut data: &[u8],
    step: &[BlockCodes<'_>],
    steps: u32,
    restart_interval: Option<u32>,
) -> Option<()> {
    let (mut left, mut restarts) = (steps, 0..);
    let mut bits = Vec::with_capacity(data.len() + PADDING);
    while left > 0 {
        let steps = restart_interval.map_or(left, |interval| left.min(interval));
        left -= steps;
        let (marker, after) = unstuff(data, &mut bits)?;
        data = after;
        let restart = u8::try_from(restarts.next()? % RESTARTS).ok()?;
        let expected = if left > 0 { RESTART + restart } else { END_OF_IMAGE };
        let blocks = usize::try_from(steps).ok()?.checked_mul(step.len())?;
        (marker == expected && has_blocks(&bits, step, blocks)?).then_some(())?;
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

/// Whether the data, which end with their padding, have so many blocks.
fn has_blocks(data: &[u8], step: &[BlockCodes<'_>], blocks: usize) -> Option<bool> {
    let mut follower = Follower::new(data);
    for codes in step.iter().cycle().take(blocks) {
        follower.pass_block(*codes)?;
    }
    Some(follower.is_at_the_end())
}
