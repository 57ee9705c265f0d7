//! From cold to hot.

/// Red, green and blue at equal distances: blue, cyan, green, yellow, red.
const STOPS: [[f32; 3]; 5] = [
    [20.0, 20.0, 140.0],
    [0.0, 130.0, 220.0],
    [60.0, 200.0, 110.0],
    [250.0, 200.0, 30.0],
    [210.0, 15.0, 15.0],
];

/// The colour of a share from 0 to 1.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "from 0 to 4, and from 0 to 255"
)]
pub(super) fn of(share: f32) -> [u8; 3] {
    let at = share.clamp(0.0, 1.0) * 4.0;
    let first = (at as usize).min(STOPS.len() - 2);
    let way = at - at.trunc().min(3.0);
    let (from, to) = (STOPS[first], STOPS[first + 1]);
    [0, 1, 2].map(|channel| (from[channel] + (to[channel] - from[channel]) * way).round() as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_blue_half_is_green_and_all_is_red() {
        assert_eq!([0.0, 0.5, 1.0].map(of), [[20, 20, 140], [60, 200, 110], [210, 15, 15]]);
        assert_eq!(of(0.125), [10, 75, 180]);
        assert_eq!(of(7.0), of(1.0));
    }
}
