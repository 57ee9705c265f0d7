//! Weights and pictures that follow from names alone.

use std::path::Path;

use resnet_serve::networks::Normalization;
use safetensors::tensor::{Dtype, TensorView};

/// Tensor names and shapes.
pub(crate) type Shapes = Vec<(String, Vec<usize>)>;

/// 32-bit hashes: FNV-1a of the name, stepped by the golden ratio, mixed as `MurmurHash3` does.
fn hashes(name: &str) -> impl Iterator<Item = u32> {
    let start = name
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    (0_u32..).map(move |index| {
        let stepped = start ^ index.wrapping_mul(0x9e37_79b1);
        let mixed = (stepped ^ (stepped >> 16)).wrapping_mul(0x85eb_ca6b);
        let mixed = (mixed ^ (mixed >> 13)).wrapping_mul(0xc2b2_ae35);
        mixed ^ (mixed >> 16)
    })
}

/// Values of a reasonable size for what the tensor is.
fn tensor(name: &str, shape: &[usize]) -> Vec<f32> {
    let fan_in: usize = shape.iter().skip(1).product();
    let bound = (6.0 / f64::from(u32::try_from(fan_in).unwrap())).sqrt();
    let centred = ["running_mean", "bias"].iter().any(|end| name.ends_with(end));
    let value = |hash: u32| {
        let uniform = f64::from(hash) / 4_294_967_296.0;
        match shape.len() {
            1 if centred => (uniform - 0.5) * 0.4,
            1 => uniform + 0.5,
            _ => (uniform * 2.0 - 1.0) * bound,
        }
    };
    hashes(name).take(shape.iter().product()).map(|hash| rounded(value(hash))).collect()
}

/// Writes every tensor of `shapes` as a `.safetensors` file.
pub(crate) fn write_weights(path: &Path, shapes: &Shapes) {
    let tensors = shapes.iter().map(|(name, shape)| {
        let bytes: Vec<u8> = bytemuck::cast_slice(&tensor(name, shape)).to_vec();
        (name, shape, bytes)
    });
    let tensors: Vec<_> = tensors.collect();
    let views = tensors.iter().map(|(name, shape, bytes)| {
        (name, TensorView::new(Dtype::F32, (*shape).clone(), bytes).unwrap())
    });
    std::fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

/// The bytes of pictures.
pub(crate) fn pictures(count: usize) -> Vec<u8> {
    hashes("pictures").take(count).map(|hash| hash.to_be_bytes()[0]).collect()
}

/// `[n, height, width, 3]` bytes as normalised `[n, 3, height, width]`.
pub(crate) fn normalized_planes(bytes: &[u8], pixels: usize) -> Vec<f32> {
    let Normalization { mean, std } = Normalization::IMAGENET;
    let mut planes = Vec::with_capacity(bytes.len());
    for picture in bytes.chunks_exact(pixels * 3) {
        for channel in 0..3 {
            let values = picture.iter().skip(channel).step_by(3);
            planes
                .extend(values.map(|&byte| {
                    rounded((f64::from(byte) / 255.0 - mean[channel]) / std[channel])
                }));
        }
    }
    planes
}

#[expect(clippy::cast_possible_truncation, reason = "the rounding to float32 that is meant")]
fn rounded(value: f64) -> f32 {
    value as f32
}
