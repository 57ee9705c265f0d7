//! From the colours that files have to 8-bit RGB.

use image::ColorType;

/// `samples` in rows without gaps, as the decoders of the `image` crate give them; `None` for kinds
/// that no supported format needs.
///
/// Alpha is composed over white. Of 16 bits the upper 8 are kept, as Pillow and libpng do.
pub(super) fn into_rgb(color: ColorType, samples: Vec<u8>) -> Option<Vec<u8>> {
    match color {
        ColorType::Rgb8 => Some(samples),
        ColorType::L8 => Some(samples.into_iter().flat_map(|gray| [gray; 3]).collect()),
        ColorType::La8 => Some(map(&samples, |[gray, alpha]| [over_white(gray, alpha); 3])),
        ColorType::Rgba8 => Some(rgba_into_rgb(samples)),
        ColorType::L16 => into_rgb(ColorType::L8, upper_bytes(samples)),
        ColorType::La16 => into_rgb(ColorType::La8, upper_bytes(samples)),
        ColorType::Rgb16 => into_rgb(ColorType::Rgb8, upper_bytes(samples)),
        ColorType::Rgba16 => into_rgb(ColorType::Rgba8, upper_bytes(samples)),
        _ => None,
    }
}

/// CMYK as JPEG files have it: Adobe's programs store `255` for no ink, and Pillow takes every file so.
pub(super) fn inverted_cmyk_into_rgb(samples: Vec<u8>) -> Vec<u8> {
    shrink(samples, |[cyan, magenta, yellow, black]| {
        [cyan, magenta, yellow].map(|light| scaled(light, black))
    })
}

fn rgba_into_rgb(samples: Vec<u8>) -> Vec<u8> {
    shrink(samples, |[red, green, blue, alpha]| {
        [red, green, blue].map(|value| over_white(value, alpha))
    })
}

fn map<const N: usize>(samples: &[u8], pixel: impl Fn([u8; N]) -> [u8; 3]) -> Vec<u8> {
    samples.as_chunks().0.iter().flat_map(|&sample| pixel(sample)).collect()
}

/// Four bytes become three in the same allocation.
fn shrink(mut samples: Vec<u8>, pixel: impl Fn([u8; 4]) -> [u8; 3]) -> Vec<u8> {
    let pixels = samples.len() / 4;
    for index in 0..pixels {
        let from = index * 4;
        let sample = [samples[from], samples[from + 1], samples[from + 2], samples[from + 3]];
        samples[index * 3..index * 3 + 3].copy_from_slice(&pixel(sample));
    }
    samples.truncate(pixels * 3);
    samples
}

/// Native 16-bit samples to 8 bits, in the same allocation.
fn upper_bytes(mut samples: Vec<u8>) -> Vec<u8> {
    let values = samples.len() / 2;
    for index in 0..values {
        let [upper, _] =
            u16::from_ne_bytes([samples[index * 2], samples[index * 2 + 1]]).to_be_bytes();
        samples[index] = upper;
    }
    samples.truncate(values);
    samples
}

fn over_white(value: u8, alpha: u8) -> u8 {
    // At most 255 * 255 + 127, divided by 255.
    let weighted = u32::from(value) * u32::from(alpha) + 255 * u32::from(255 - alpha);
    u8::try_from((weighted + 127) / 255).unwrap_or(u8::MAX)
}

/// `value * factor / 255`, rounded.
fn scaled(value: u8, factor: u8) -> u8 {
    u8::try_from((u32::from(value) * u32::from(factor) + 127) / 255).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_transparent_is_white() {
        let rgb = into_rgb(ColorType::Rgba8, vec![0, 0, 0, 0, 200, 100, 0, 255, 0, 0, 0, 128]);

        assert_eq!(rgb.unwrap(), [255, 255, 255, 200, 100, 0, 127, 127, 127]);
        assert_eq!(
            into_rgb(ColorType::La8, vec![10, 255, 10, 0]).unwrap(),
            [10, 10, 10, 255, 255, 255]
        );
    }

    #[test]
    fn of_sixteen_bits_the_upper_eight_are_kept() {
        let samples = [0x12ff_u16, 0xff00].map(u16::to_ne_bytes).concat();

        assert_eq!(
            into_rgb(ColorType::L16, samples).unwrap(),
            [0x12, 0x12, 0x12, 0xff, 0xff, 0xff]
        );
    }

    #[test]
    fn inverted_cmyk_without_black_is_the_light_itself() {
        assert_eq!(
            inverted_cmyk_into_rgb(vec![10, 20, 30, 255, 255, 255, 255, 128]),
            [10, 20, 30, 128, 128, 128]
        );
    }

    #[test]
    fn floating_point_samples_are_not_supported() {
        assert_eq!(into_rgb(ColorType::Rgb32F, vec![0; 12]), None);
    }
}
