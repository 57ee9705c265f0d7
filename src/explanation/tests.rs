//! Heat maps of a network with two channels and three classes.

use super::*;

/// Class 0 looks at the first channel, class 1 against it, class 2 at the second.
fn explainer(rows: usize, columns: usize) -> Explainer {
    let layer = LastLayer::of_rows(2, vec![1.0, 0.0, -1.0, 0.0, 0.0, 2.0]);
    Explainer::new(layer, [2, rows, columns], 3).unwrap()
}

/// All of a square picture of `side` pixels.
fn all(side: u32) -> Seen {
    Seen { picture: [side, side], start: [0.0, 0.0], share: [1.0, 1.0] }
}

fn decoded(png: &[u8]) -> image::RgbaImage {
    image::load_from_memory(png).unwrap().into_rgba8()
}

/// Redness against blueness.
fn heat(pixel: image::Rgba<u8>) -> i32 {
    i32::from(pixel[0]) - i32::from(pixel[2])
}

#[test]
fn the_mean_of_the_activation_is_the_score() {
    let map = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
    let explainer = explainer(2, 2);
    let mean = |class| explainer.activation(class, &map).values.iter().sum::<f32>() / 4.0;
    for (class, score) in [(0, 2.5), (1, -2.5), (2, 13.0)] {
        assert!((mean(class) - score).abs() < 1e-6, "{class}");
    }
}

#[test]
fn what_speaks_for_the_class_is_hot_and_the_rest_cold() {
    let map = [0.0, 0.0, 0.0, 9.0, 5.0, 0.0, 0.0, 0.0];
    let first = decoded(&explainer(2, 2).heat_map(0, &map, &all(640)));
    assert_eq!(first.dimensions(), (128, 128));
    assert!(heat(*first.get_pixel(120, 120)) > 150, "lower right");
    assert!(heat(*first.get_pixel(8, 8)) < -50, "upper left");
    let third = decoded(&explainer(2, 2).heat_map(2, &map, &all(640)));
    assert!(heat(*third.get_pixel(8, 8)) > 150, "upper left");
    let against = decoded(&explainer(2, 2).heat_map(1, &map, &all(640)));
    assert!(against.pixels().all(|pixel| heat(*pixel) < -50), "nothing speaks for it");
}

#[test]
fn only_what_the_network_has_seen_is_coloured() {
    let seen = Seen { picture: [500, 250], start: [0.25, 0.0], share: [0.5, 1.0] };
    let map = [1.0, 1.0];
    let found = decoded(&explainer(1, 1).heat_map(0, &map, &seen));
    assert_eq!(found.dimensions(), (128, 64));
    let colored = |x: u32| found.get_pixel(x, 30)[3] == 255;
    assert_eq!([31, 32, 95, 96].map(colored), [false, true, true, false]);
}

#[test]
fn a_picture_of_one_row_has_a_heat_map_too() {
    let seen = Seen { picture: [20_000, 1], start: [0.5, 0.0], share: [0.001, 1.0] };
    assert_eq!(decoded(&explainer(1, 1).heat_map(0, &[1.0, 1.0], &seen)).dimensions(), (128, 1));
}

#[test]
fn a_layer_that_reads_another_map_is_refused() {
    let layer = || LastLayer::of_rows(2, vec![0.0; 6]);
    for (map, classes) in [([3, 7, 7], 3), ([2, 7, 7], 4), ([2, 0, 7], 3)] {
        assert!(Explainer::new(layer(), map, classes).is_err(), "{map:?} {classes}");
    }
}
