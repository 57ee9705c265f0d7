//! From pixels to the numbers of the input tensor.

use half::f16;

use super::pixels::Pixels;
use crate::model::manifest::{ColorOrder, Layout};

/// How pixels become numbers: `(value / 255 - mean) / std` in the layout and channel order of the tensor.
///
/// Each channel has only 256 values, so all are computed once; packing looks them up.
#[derive(Clone, Debug)]
pub struct Packing {
    layout: Layout,
    /// For each channel of the tensor, the one of the picture.
    channels: [usize; 3],
    /// For each channel of the tensor, the number of each value.
    floats: [[f32; 256]; 3],
    halves: [[f16; 256]; 3],
}

/// A mistake of the program, not of a client.
const OTHER_SIZE: &str = "the slot is for pictures of another size";

/// Room for one picture in a batch: `3 * height * width` elements of the tensor's type.
#[derive(Debug)]
pub enum Slot<'a> {
    /// Normalised.
    Float32(&'a mut [f32]),
    /// Normalised in 32 bits, then rounded.
    Float16(&'a mut [f16]),
    /// As the picture has them; the graph normalises.
    Uint8(&'a mut [u8]),
}

impl Packing {
    /// `mean` and `std` on the 0 to 1 scale, in the channel order of the tensor.
    #[must_use]
    pub fn new(layout: Layout, color: ColorOrder, mean: [f32; 3], std: [f32; 3]) -> Self {
        let channels = match color {
            ColorOrder::Rgb => [0, 1, 2],
            ColorOrder::Bgr => [2, 1, 0],
        };
        let floats = [0, 1, 2].map(|channel| normalized(mean[channel], std[channel]));
        let halves = floats.map(|table| table.map(f16::from_f32));
        Self { layout, channels, floats, halves }
    }

    /// Writes `pixels` as `[3, height, width]` or `[height, width, 3]`.
    ///
    /// # Panics
    ///
    /// Where `slot` has not three elements for each pixel: the batch was made for another size.
    pub fn pack(&self, pixels: &Pixels, slot: Slot<'_>) {
        let bytes = pixels.bytes();
        match slot {
            Slot::Float32(slot) => {
                self.write(bytes, slot, |channel, value| self.floats[channel][usize::from(value)]);
            }
            Slot::Float16(slot) => {
                self.write(bytes, slot, |channel, value| self.halves[channel][usize::from(value)]);
            }
            Slot::Uint8(slot) if self.copies() => slot.copy_from_slice(bytes),
            Slot::Uint8(slot) => self.write(bytes, slot, |_, value| value),
        }
    }

    fn copies(&self) -> bool {
        self.layout == Layout::Nhwc && self.channels == [0, 1, 2]
    }

    fn write<T>(&self, bytes: &[u8], slot: &mut [T], number: impl Fn(usize, u8) -> T) {
        assert_eq!(bytes.len(), slot.len(), "{OTHER_SIZE}");
        let [first, second, third] = self.channels;
        let (pixels, _) = bytes.as_chunks::<3>();
        let numbers = |pixel: &[u8; 3]| {
            [number(0, pixel[first]), number(1, pixel[second]), number(2, pixel[third])]
        };
        match self.layout {
            Layout::Nhwc => {
                for (pixel, place) in pixels.iter().zip(slot.as_chunks_mut::<3>().0) {
                    *place = numbers(pixel);
                }
            }
            Layout::Nchw => {
                let (plane, rest) = slot.split_at_mut(pixels.len());
                let (second, third) = rest.split_at_mut(pixels.len());
                for (((pixel, a), b), c) in pixels.iter().zip(plane).zip(second).zip(third) {
                    [*a, *b, *c] = numbers(pixel);
                }
            }
        }
    }
}

impl Slot<'_> {
    /// Copies elements that are ready, little-endian.
    ///
    /// # Panics
    ///
    /// Where `bytes` do not fill the slot: the batch was made for another size.
    pub fn copy_from_bytes(self, bytes: &[u8]) {
        match self {
            Self::Float32(slot) => copy(slot, bytes.as_chunks::<4>(), f32::from_le_bytes),
            Self::Float16(slot) => copy(slot, bytes.as_chunks::<2>(), f16::from_le_bytes),
            Self::Uint8(slot) => copy(slot, bytes.as_chunks::<1>(), u8::from_le_bytes),
        }
    }
}

fn copy<T, const SIZE: usize>(
    slot: &mut [T],
    (elements, rest): (&[[u8; SIZE]], &[u8]),
    number: impl Fn([u8; SIZE]) -> T,
) {
    assert!(slot.len() == elements.len() && rest.is_empty(), "{OTHER_SIZE}");
    for (place, element) in slot.iter_mut().zip(elements) {
        *place = number(*element);
    }
}

fn normalized(mean: f32, std: f32) -> [f32; 256] {
    std::array::from_fn(|value| {
        let value = u8::try_from(value).unwrap_or(u8::MAX);
        (f32::from(value) / 255.0 - mean) / std
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
    const STD: [f32; 3] = [0.229, 0.224, 0.225];

    /// One row of two pixels.
    fn pixels() -> Pixels {
        Pixels::new(1, 2, vec![0, 128, 255, 10, 20, 30]).unwrap()
    }

    fn packed(layout: Layout, color: ColorOrder) -> [u8; 6] {
        let mut slot = [0; 6];
        Packing::new(layout, color, MEAN, STD).pack(&pixels(), Slot::Uint8(&mut slot));
        slot
    }

    #[test]
    fn each_layout_and_order_puts_the_channels_in_their_places() {
        assert_eq!(packed(Layout::Nhwc, ColorOrder::Rgb), [0, 128, 255, 10, 20, 30]);
        assert_eq!(packed(Layout::Nhwc, ColorOrder::Bgr), [255, 128, 0, 30, 20, 10]);
        assert_eq!(packed(Layout::Nchw, ColorOrder::Rgb), [0, 10, 128, 20, 255, 30]);
        assert_eq!(packed(Layout::Nchw, ColorOrder::Bgr), [255, 30, 128, 20, 0, 10]);
    }

    #[test]
    fn floats_are_the_reference_in_double_precision_to_a_millionth() {
        let mut slot = [0.0; 6];
        Packing::new(Layout::Nhwc, ColorOrder::Rgb, MEAN, STD)
            .pack(&pixels(), Slot::Float32(&mut slot));

        for (index, (number, value)) in slot.iter().zip(pixels().bytes()).enumerate() {
            let (mean, std) = (f64::from(MEAN[index % 3]), f64::from(STD[index % 3]));
            let reference = (f64::from(*value) / 255.0 - mean) / std;
            assert!((f64::from(*number) - reference).abs() < 1e-6, "`{number}` for `{reference}`");
        }
    }

    #[test]
    fn halves_are_the_floats_rounded() {
        let packing = Packing::new(Layout::Nchw, ColorOrder::Bgr, MEAN, STD);
        let (mut floats, mut halves) = ([0.0; 6], [f16::ZERO; 6]);

        packing.pack(&pixels(), Slot::Float32(&mut floats));
        packing.pack(&pixels(), Slot::Float16(&mut halves));

        assert_eq!(halves, floats.map(f16::from_f32));
    }

    #[test]
    fn ready_elements_are_copied_as_they_are() {
        let numbers = [0.25, -1.5, 65504.0];
        let (mut floats, mut halves, mut bytes) = ([0.0; 3], [f16::ZERO; 3], [0; 3]);

        Slot::Float32(&mut floats).copy_from_bytes(&numbers.map(f32::to_le_bytes).concat());
        let half_bytes = numbers.map(|number| f16::from_f32(number).to_le_bytes()).concat();
        Slot::Float16(&mut halves).copy_from_bytes(&half_bytes);
        Slot::Uint8(&mut bytes).copy_from_bytes(&[7, 0, 255]);

        assert_eq!(floats.map(f32::to_bits), numbers.map(f32::to_bits));
        assert_eq!(halves, numbers.map(f16::from_f32));
        assert_eq!(bytes, [7, 0, 255]);
    }

    #[test]
    #[should_panic(expected = "another size")]
    fn elements_that_do_not_fill_the_slot_are_a_mistake_of_the_program() {
        Slot::Float32(&mut [0.0; 2]).copy_from_bytes(&[0; 9]);
    }

    #[test]
    #[should_panic(expected = "another size")]
    fn a_slot_of_another_size_is_a_mistake_of_the_program() {
        Packing::new(Layout::Nchw, ColorOrder::Rgb, MEAN, STD)
            .pack(&pixels(), Slot::Uint8(&mut [0; 3]));
    }
}
