//! Seeded random weights that keep activations at a reasonable size at any depth.

use std::collections::HashSet;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_distr::{Distribution, StandardNormal};

use super::{Affine, Weights};
use crate::networks::description::{Convolution, Description, FullyConnected, Layer, Shortcut};

/// He initialisation (the paper's reference \[13\]): normal, mean 0, standard deviation
/// `sqrt(2 / fan_in)`; biases 0; batch normalisation the identity.
///
/// Without normalisation each of L residual blocks would double the energy of what passes, so the last
/// convolution of a residual branch is divided by `sqrt(L)`: the energy then grows at most by
/// `(1 + 2/L)^L < e²` over the whole network, whether L is 8 or 600. The last fully connected layer has
/// no ReLU after it and takes `sqrt(1 / fan_in)`.
pub(crate) struct Random {
    seed: u64,
    branch_scale: f64,
    branch_ends: HashSet<String>,
}

impl Random {
    /// Weights for `description`; each tensor depends on `seed` and its name only.
    pub(crate) fn new(description: &Description, seed: u64) -> Self {
        let branch_end = |layer: &Layer| match layer {
            Layer::Block(block) if block.shortcut != Shortcut::None => {
                block.body.last().map(|last| last.name.clone())
            }
            _ => None,
        };
        let branch_ends: HashSet<_> = description.layers.iter().filter_map(branch_end).collect();
        #[expect(clippy::cast_precision_loss, reason = "there are no 2^53 blocks")]
        let branch_scale = (branch_ends.len().max(1) as f64).sqrt().recip();
        Self { seed, branch_scale, branch_ends }
    }

    /// `count` draws from a normal distribution, in a stream of random numbers that is this tensor's own.
    #[expect(clippy::cast_possible_truncation, reason = "the rounding to float32 that is meant")]
    fn normal(&self, name: &str, count: usize, deviation: f64) -> Vec<f32> {
        let mut generator = ChaCha8Rng::seed_from_u64(self.seed);
        generator.set_stream(fnv1a(name));
        let mut draw = || -> f64 { StandardNormal.sample(&mut generator) };
        (0..count).map(|_| (draw() * deviation) as f32).collect()
    }
}

impl Weights for Random {
    fn convolution(&self, layer: &Convolution) -> Affine {
        let fan_in = layer.inputs * layer.kernel * layer.kernel;
        let scale = if self.branch_ends.contains(&layer.name) { self.branch_scale } else { 1.0 };
        let deviation = (2.0 / real(fan_in)).sqrt() * scale;
        Affine {
            weight: self.normal(&layer.name, layer.outputs * fan_in, deviation),
            bias: vec![0.0; layer.outputs],
        }
    }

    fn fully_connected(&self, layer: &FullyConnected) -> Affine {
        let gain = if layer.relu { 2.0 } else { 1.0 };
        let deviation = (gain / real(layer.inputs)).sqrt();
        Affine {
            weight: self.normal(&layer.name, layer.outputs * layer.inputs, deviation),
            bias: vec![0.0; layer.outputs],
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a fan-in is far below 2^53")]
fn real(count: usize) -> f64 {
    count as f64
}

/// The 64-bit FNV-1a hash of a name.
fn fnv1a(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::networks::description::describe;
    use crate::networks::options::BuildOptions;

    fn described(name: &str) -> Description {
        let network = name.parse().unwrap();
        describe(network, &BuildOptions::default().check(network).unwrap())
    }

    fn deviation(values: &[f32]) -> f64 {
        let energy: f64 = values.iter().map(|&value| f64::from(value).powi(2)).sum();
        (energy / real(values.len())).sqrt()
    }

    #[test]
    fn a_seed_decides_every_weight() {
        let description = described("cifar-resnet20");
        let weights = |seed| {
            let random = Random::new(&description, seed);
            let layers = description.convolutions();
            layers.map(|layer| random.convolution(layer)).collect::<Vec<_>>()
        };
        assert_eq!(weights(1), weights(1));
        assert_ne!(weights(1), weights(2));
        assert_ne!(weights(1)[1], weights(1)[2], "tensors of one shape differ");
    }

    #[test]
    fn deviations_are_those_of_he_and_smaller_at_the_end_of_a_branch() {
        let description = described("cifar-resnet20");
        let random = Random::new(&description, 7);
        let convolutions: Vec<_> = description.convolutions().collect();
        let inside = &random.convolution(convolutions[17]);
        let end = &random.convolution(convolutions[18]);
        let expected = (2.0 / (64.0 * 9.0_f64)).sqrt();
        assert!((deviation(&inside.weight) / expected - 1.0).abs() < 0.02);
        assert!((deviation(&end.weight) / expected * 3.0 - 1.0).abs() < 0.02);
        assert!(end.bias.iter().all(|&bias| bias == 0.0));
    }

    #[test]
    fn a_plain_network_has_no_branches_to_scale() {
        let description = described("cifar-plain20");
        let random = Random::new(&description, 7);
        let last = description.convolutions().last().unwrap();
        let expected = (2.0 / (64.0 * 9.0_f64)).sqrt();
        assert!((deviation(&random.convolution(last).weight) / expected - 1.0).abs() < 0.02);
    }
}
