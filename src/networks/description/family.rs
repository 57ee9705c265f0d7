//! The paper's families of networks, written out layer by layer.

use super::{Block, Convolution, Description, FullyConnected, Layer, Shortcut};
use crate::networks::name::{BlockKind, Family, Network};
use crate::networks::options::{Checked, ShortcutOption, Variant};

/// Each bottleneck block ends in four times as many channels as its 3×3 convolution has.
const EXPANSION: usize = 4;

/// VGG-19's stages: channels, and convolutions before the maximum over 2×2 windows.
const VGG_STAGES: [(usize, usize); 5] = [(64, 2), (128, 2), (256, 4), (512, 4), (512, 4)];

/// Writes out `network` with `options`.
pub(crate) fn describe(network: Network, options: &Checked) -> Description {
    let layers = match network.family() {
        Family::Vgg19 => vgg19(options.classes),
        Family::ImageNet { blocks, kind } => {
            let stem = vec![
                Layer::Convolution(normalized("conv1", "bn1", [3, 64, 7, 2])),
                Layer::MaxPool { window: 3, stride: 2 },
            ];
            let residual = kind != BlockKind::Plain;
            let body = match kind {
                BlockKind::Bottleneck => Body::Bottleneck(options.variant),
                BlockKind::Plain | BlockKind::Basic => Body::Basic,
            };
            stages(stem, &blocks, &Style::new(64, body, residual, options))
        }
        Family::Cifar { blocks_per_stage, residual } => {
            let stem = vec![Layer::Convolution(normalized("conv1", "bn1", [3, 16, 3, 1]))];
            let style = Style::new(16, Body::Basic, residual, options);
            stages(stem, &[blocks_per_stage; 3], &style)
        }
    };
    Description { layers }
}

/// What the stages of one network have in common.
struct Style {
    /// Channels of the first stage's 3×3 convolutions; each later stage has twice as many.
    width: usize,
    body: Body,
    /// `None` for a plain network.
    shortcut: Option<ShortcutOption>,
    classes: usize,
}

#[derive(Clone, Copy)]
enum Body {
    Basic,
    Bottleneck(Variant),
}

/// Where a block stands and what it does to the shape.
struct Place {
    name: String,
    inputs: usize,
    width: usize,
    stride: usize,
}

impl Style {
    fn new(width: usize, body: Body, residual: bool, options: &Checked) -> Self {
        Self {
            width,
            body,
            shortcut: residual.then_some(options.shortcut),
            classes: options.classes,
        }
    }
}

fn stages(stem: Vec<Layer>, blocks: &[usize], style: &Style) -> Vec<Layer> {
    let mut layers = stem;
    let mut inputs = style.width;
    for (stage, &count) in blocks.iter().enumerate() {
        for index in 0..count {
            let place = Place {
                name: format!("layer{}.{index}", stage + 1),
                inputs,
                width: style.width << stage,
                stride: if stage > 0 && index == 0 { 2 } else { 1 },
            };
            let block = style.block(&place);
            inputs = block.body.last().map_or(inputs, |last| last.outputs);
            layers.push(Layer::Block(block));
        }
    }
    layers.push(Layer::GlobalAveragePool);
    layers.push(fully_connected("fc", [inputs, style.classes], false));
    layers
}

impl Style {
    fn block(&self, place: &Place) -> Block {
        let body = self.body(place);
        let outputs = body.last().map_or(place.inputs, |last| last.outputs);
        Block { name: place.name.clone(), body, shortcut: self.shortcut(place, outputs) }
    }

    fn body(&self, place: &Place) -> Vec<Convolution> {
        let Place { inputs, width, stride, .. } = *place;
        let shapes = match self.body {
            Body::Basic => vec![[inputs, width, 3, stride], [width, width, 3, 1]],
            Body::Bottleneck(variant) => {
                let (first, second) = match variant {
                    Variant::V1 => (stride, 1),
                    Variant::V15 => (1, stride),
                };
                vec![
                    [inputs, width, 1, first],
                    [width, width, 3, second],
                    [width, width * EXPANSION, 1, 1],
                ]
            }
        };
        let named = |(index, shape): (usize, [usize; 4])| {
            let number = index + 1;
            let name = &place.name;
            normalized(&format!("{name}.conv{number}"), &format!("{name}.bn{number}"), shape)
        };
        shapes.into_iter().enumerate().map(named).collect()
    }

    fn shortcut(&self, place: &Place, outputs: usize) -> Shortcut {
        let changes = place.stride != 1 || place.inputs != outputs;
        match self.shortcut {
            None => Shortcut::None,
            Some(ShortcutOption::A) if changes => {
                Shortcut::Padded { stride: place.stride, added: outputs - place.inputs }
            }
            Some(ShortcutOption::B) if changes => projection(place, outputs),
            Some(ShortcutOption::C) => projection(place, outputs),
            Some(ShortcutOption::A | ShortcutOption::B) => Shortcut::Identity,
        }
    }
}

fn projection(place: &Place, outputs: usize) -> Shortcut {
    Shortcut::Projection(normalized(
        &format!("{}.downsample.0", place.name),
        &format!("{}.downsample.1", place.name),
        [place.inputs, outputs, 1, place.stride],
    ))
}

/// Numbers stand for torchvision's: a ReLU after each convolution and each but the last fully connected
/// layer, and a dropout after that ReLU, have a number too.
fn vgg19(classes: usize) -> Vec<Layer> {
    let mut layers = Vec::new();
    let mut inputs = 3;
    let mut number = 0;
    for (outputs, convolutions) in VGG_STAGES {
        for _ in 0..convolutions {
            layers.push(Layer::Convolution(Convolution {
                name: format!("features.{number}"),
                normalization: None,
                inputs,
                outputs,
                kernel: 3,
                stride: 1,
            }));
            inputs = outputs;
            number += 2;
        }
        layers.push(Layer::MaxPool { window: 2, stride: 2 });
        number += 1;
    }
    layers.push(Layer::AveragePool7x7);
    layers.push(fully_connected("classifier.0", [inputs * 49, 4096], true));
    layers.push(fully_connected("classifier.3", [4096, 4096], true));
    layers.push(fully_connected("classifier.6", [4096, classes], false));
    layers
}

/// A convolution of `[inputs, outputs, kernel, stride]` and the normalisation after it.
fn normalized(name: &str, normalization: &str, shape: [usize; 4]) -> Convolution {
    let [inputs, outputs, kernel, stride] = shape;
    Convolution {
        name: name.to_owned(),
        normalization: Some(normalization.to_owned()),
        inputs,
        outputs,
        kernel,
        stride,
    }
}

fn fully_connected(name: &str, [inputs, outputs]: [usize; 2], relu: bool) -> Layer {
    Layer::FullyConnected(FullyConnected { name: name.to_owned(), inputs, outputs, relu })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::networks::options::BuildOptions;

    fn description(name: &str, options: &BuildOptions) -> Description {
        let network = name.parse().unwrap();
        describe(network, &options.check(network).unwrap())
    }

    fn shortcuts(description: &Description) -> Vec<Shortcut> {
        let layers = description.layers.iter();
        let shortcut = |layer: &Layer| match layer {
            Layer::Block(block) => Some(block.shortcut.clone()),
            _ => None,
        };
        layers.filter_map(shortcut).collect()
    }

    fn parameter_names(description: &Description) -> Vec<String> {
        let parameters = description.parameters();
        parameters.into_iter().map(|tensor| tensor.name).collect()
    }

    #[test]
    fn tensors_have_the_names_of_torchvision() {
        let names = parameter_names(&description("resnet50", &BuildOptions::default()));
        assert_eq!(names.len(), 267, "torchvision's 320 less 53 counters");
        for name in [
            "conv1.weight",
            "bn1.running_var",
            "layer1.0.conv3.weight",
            "layer1.0.downsample.0.weight",
            "layer4.2.bn3.bias",
            "fc.bias",
        ] {
            assert!(names.iter().any(|other| other == name), "{name}");
        }
        let names = parameter_names(&description("vgg19", &BuildOptions::default()));
        assert_eq!(names.len(), 38);
        assert_eq!(names[0], "features.0.weight");
        assert_eq!(names[30..32], ["features.34.weight", "features.34.bias"]);
        assert_eq!(names[37], "classifier.6.bias");
    }

    #[test]
    fn the_variant_moves_the_stride() {
        for (variant, strides) in [(Variant::V1, [2, 1]), (Variant::V15, [1, 2])] {
            let options = BuildOptions { variant: Some(variant), ..BuildOptions::default() };
            let description = description("resnet50", &options);
            let stride = |name: &str| {
                let mut convolutions = description.convolutions();
                convolutions.find(|layer| layer.name == name).unwrap().stride
            };
            assert_eq!([stride("layer2.0.conv1"), stride("layer2.0.conv2")], strides);
        }
    }

    #[test]
    fn shortcut_options_project_never_where_needed_and_everywhere() {
        for (shortcut, projections) in
            [(ShortcutOption::A, 0), (ShortcutOption::B, 3), (ShortcutOption::C, 8)]
        {
            let options = BuildOptions { shortcut: Some(shortcut), ..BuildOptions::default() };
            let description = description("resnet18", &options);
            let blocks = shortcuts(&description);
            let projected = |shortcut: &&Shortcut| matches!(shortcut, Shortcut::Projection(_));
            assert_eq!(blocks.iter().filter(projected).count(), projections);
            assert!(blocks.iter().all(|shortcut| *shortcut != Shortcut::None));
        }
    }

    #[test]
    fn a_plain_network_is_the_residual_one_without_its_shortcuts() {
        let plain = description("plain34", &BuildOptions::default());
        assert_eq!(shortcuts(&plain), [const { Shortcut::None }; 16]);
        assert_eq!(plain.convolutions().count(), 33);
    }

    #[test]
    fn parameters_are_as_many_as_common_implementations_count() {
        for (name, expected) in [
            ("resnet18", 11_689_512),
            ("resnet34", 21_797_672),
            ("resnet50", 25_557_032),
            ("resnet101", 44_549_160),
            ("resnet152", 60_192_808),
            ("vgg19", 143_667_240),
        ] {
            let parameters = description(name, &BuildOptions::default()).parameters();
            let learned = parameters.iter().filter(|parameter| parameter.learned);
            let count: usize = learned.map(|tensor| tensor.shape.iter().product::<usize>()).sum();
            assert_eq!(count, expected, "{name}");
        }
    }
}
