//! What is noticed, and what is said of it.

use super::*;
use crate::model::manifest::Interpolation;

const TRANSFORM: Transform = Transform {
    resize_shorter_side: 40,
    crop_height: 32,
    crop_width: 32,
    interpolation: Interpolation::Bilinear,
};

/// The answer of a network that looks at the first pixel.
fn run(pixels: &Pixels) -> Vec<f32> {
    pixels.bytes()[..3].iter().map(|value| f32::from(*value) / 10.0).collect()
}

fn measured() -> SelfTest {
    let picture = KnownPicture::new(TRANSFORM).unwrap();
    let logits = run(&picture.pixels);
    SelfTest::new(picture, logits)
}

#[test]
fn what_has_not_changed_passes() {
    let test = measured();
    let pixels = test.pixels(TRANSFORM).unwrap();
    test.check_logits(&run(&pixels)).unwrap();
}

#[test]
fn the_file_says_the_same_as_what_was_measured() {
    let folder = tempfile::tempdir().unwrap();
    assert!(SelfTest::read(folder.path()).unwrap().is_none());
    let test = measured();
    test.write(folder.path()).unwrap();
    assert_eq!(SelfTest::read(folder.path()).unwrap(), Some(test));
}

#[test]
fn another_resize_is_noticed_with_how_far_the_pixels_are_off() {
    let other = Transform { interpolation: Interpolation::Bicubic, ..TRANSFORM };
    let error = measured().pixels(other).unwrap_err();
    assert!(matches!(error, SelfTestError::Pixels { levels: 1.., places: 64, .. }), "{error}");
    let said = error.to_string();
    assert!(said.contains("the pixels differ") && said.contains("is due"), "{said}");
}

#[test]
fn logits_may_differ_a_little_and_no_more() {
    let test = measured();
    let mut logits = test.logits.clone();
    logits[1] += test.tolerance * 0.9;
    test.check_logits(&logits).unwrap();
    logits[1] += test.tolerance * 0.2;
    let error = test.check_logits(&logits).unwrap_err();
    assert!(matches!(error, SelfTestError::Logits { class: 1, .. }), "{error}");
    assert!(error.to_string().contains("the pixels are as they were"), "{error}");
}

#[test]
fn what_is_no_number_is_not_taken_for_a_small_difference() {
    let test = measured();
    let logits = vec![f32::NAN; test.logits.len()];
    assert!(matches!(test.check_logits(&logits), Err(SelfTestError::Logits { .. })));
}

#[test]
fn another_number_of_classes_is_noticed() {
    let error = measured().check_logits(&[0.0; 4]).unwrap_err().to_string();
    assert!(error.contains("4 logits, 3 are due"), "{error}");
}

#[test]
fn a_file_that_cannot_be_used_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    measured().write(folder.path()).unwrap();
    let path = folder.path().join(FILE);
    let text = std::fs::read_to_string(&path).unwrap();
    for (from, to, hint) in [
        ("sha256 = \"", "sha256 = \"x", "no SHA-256"),
        ("tolerance = ", "tolerance = -", "no difference"),
        ("picture = \"\"\"\n", "picture = \"\"\"\n*", "no base64"),
        ("[logits]", "[scores]", "unknown field `scores`"),
    ] {
        std::fs::write(&path, text.replace(from, to)).unwrap();
        let error = SelfTest::read(folder.path()).unwrap_err().to_string();
        assert!(error.contains("selftest.toml`: ") && error.contains(hint), "{error}");
    }
}
