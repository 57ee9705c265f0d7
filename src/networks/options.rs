//! What may be chosen about a network, checked before anything is built.

use std::ops::RangeInclusive;

use thiserror::Error;

use super::name::{Family, Network};

/// What may be chosen; the default is the paper's network as common implementations have it.
#[derive(Clone, Debug, Default)]
pub struct BuildOptions {
    /// The length of `logits`; the data set's classes where not given.
    pub classes: Option<usize>,
    /// The input's height in pixels; the paper's where not given.
    pub height: Option<usize>,
    /// The input's width in pixels; the paper's where not given.
    pub width: Option<usize>,
    /// How many times larger the network sees the picture: bilinear, half-pixel centres; 1 where not given.
    pub upscale: Option<usize>,
    /// Where bottleneck blocks have their stride; [`Variant::V15`] where not given.
    pub variant: Option<Variant>,
    /// The shortcuts; B for ImageNet networks and A for CIFAR networks where not given.
    pub shortcut: Option<ShortcutOption>,
    /// What the graph takes.
    pub input_type: InputType,
    /// How the weights of a network that computes in float32 are stored.
    pub weights_type: WeightsType,
    /// What the layers compute in.
    pub precision: Precision,
    /// Whether `feature_map` (before the global average pooling) and `features` (after it) are outputs.
    pub features: bool,
}

/// Where a bottleneck block that halves the resolution has its stride.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Variant {
    /// In the first 1×1 convolution, as in the paper.
    V1,
    /// In the 3×3 convolution, as in most implementations: more accurate, and 7 % more to compute.
    #[default]
    V15,
}

/// The paper's three options for shortcuts (Section 3.3 and Table 3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ShortcutOption {
    /// The input itself, with zero channels appended where the number of channels grows.
    A,
    /// A projection where the shape changes, the input itself elsewhere.
    B,
    /// Projections everywhere.
    C,
}

/// What the graph takes as `input`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum InputType {
    /// `[n, 3, height, width]`, normalised already.
    #[default]
    Float32,
    /// `[n, height, width, 3]` bytes, which the graph normalises by itself.
    Uint8(Normalization),
}

/// What is subtracted from each channel, then what it is divided by, on the 0–1 scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Normalization {
    /// The means of red, green and blue.
    pub mean: [f64; 3],
    /// The standard deviations of red, green and blue.
    pub std: [f64; 3],
}

/// How weights are stored in the file.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum WeightsType {
    /// As they are computed with.
    #[default]
    Float32,
    /// Half the bytes, each tensor followed by a Cast; biases stay float32.
    Float16,
}

/// What the layers compute in; what the graph takes and gives stays as it is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Precision {
    /// Single precision.
    #[default]
    Float32,
    /// Half precision from the first layer to the last, weights and biases included: what the matrix
    /// units of a GPU are made for. On a CPU it is slower.
    Float16,
}

/// An option that does not fit.
#[derive(Debug, Error, PartialEq)]
pub enum OptionError {
    /// A number outside its range.
    #[error("{option} is {value}; it must be from {} to {}", range.start(), range.end())]
    OutOfRange {
        /// The option.
        option: &'static str,
        /// What was asked.
        value: usize,
        /// What can be had.
        range: RangeInclusive<usize>,
    },
    /// `variant` where there is no bottleneck.
    #[error("`{0}` has no bottleneck blocks, so there is no variant to choose")]
    NoVariant(Network),
    /// `shortcut` where there is none.
    #[error("`{0}` has no shortcuts, so there is no shortcut option to choose")]
    NoShortcut(Network),
    /// VGG pools to 7×7, which other sizes do not divide into evenly.
    #[error(
        "`{network}` takes sides that are multiples of 224 after upscaling, not {height}×{width}"
    )]
    UnevenPooling {
        /// The network.
        network: Network,
        /// The height that it would see.
        height: usize,
        /// The width that it would see.
        width: usize,
    },
    /// A mean or deviation that is not finite, or a deviation that is not above zero.
    #[error("mean and std must be finite, and std above zero")]
    Normalization,
}

/// The most classes: ImageNet-21k has 21,843, and a file must stay under protobuf's 2 GiB.
pub(super) const CLASSES: RangeInclusive<usize> = 1..=100_000;
/// The sides of an input, in pixels.
pub(super) const SIDE: RangeInclusive<usize> = 1..=4096;
/// The factors of `upscale`.
pub(super) const UPSCALE: RangeInclusive<usize> = 1..=16;

/// Options with every default filled in and every value in its range.
#[derive(Clone, Debug)]
pub(crate) struct Checked {
    pub(crate) classes: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) upscale: usize,
    pub(crate) variant: Variant,
    pub(crate) shortcut: ShortcutOption,
    pub(crate) input_type: InputType,
    pub(crate) weights_type: WeightsType,
    pub(crate) precision: Precision,
    pub(crate) features: bool,
}

impl BuildOptions {
    /// Fills in what `network` has as defaults, and refuses what does not fit it.
    pub(crate) fn check(&self, network: Network) -> Result<Checked, OptionError> {
        if self.variant.is_some() && !network.has_bottlenecks() {
            return Err(OptionError::NoVariant(network));
        }
        if self.shortcut.is_some() && !network.has_shortcuts() {
            return Err(OptionError::NoShortcut(network));
        }
        let side = network.default_side();
        let checked = Checked {
            classes: within("classes", self.classes, network.default_classes(), CLASSES)?,
            height: within("height", self.height, side, SIDE)?,
            width: within("width", self.width, side, SIDE)?,
            upscale: within("upscale", self.upscale, 1, UPSCALE)?,
            variant: self.variant.unwrap_or_default(),
            shortcut: self.shortcut.unwrap_or(default_shortcut(network)),
            input_type: self.input_type,
            weights_type: self.weights_type,
            precision: self.precision,
            features: self.features,
        };
        checked.fits(network)?;
        Ok(checked)
    }
}

impl Checked {
    /// The height and width that the network sees, in pixels.
    pub(crate) fn seen(&self) -> [usize; 2] {
        [self.height * self.upscale, self.width * self.upscale]
    }

    fn fits(&self, network: Network) -> Result<(), OptionError> {
        let [height, width] = self.seen();
        if network.family() == Family::Vgg19 && (height % 224 != 0 || width % 224 != 0) {
            return Err(OptionError::UnevenPooling { network, height, width });
        }
        match self.input_type {
            InputType::Uint8(normalization) if !normalization.is_usable() => {
                Err(OptionError::Normalization)
            }
            _ => Ok(()),
        }
    }
}

impl Normalization {
    /// The figures that torchvision's ImageNet weights were trained with.
    pub const IMAGENET: Self = Self { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };

    fn is_usable(&self) -> bool {
        let positive = self.std.iter().all(|&deviation| deviation > 0.0);
        positive && self.mean.iter().chain(&self.std).all(|value| value.is_finite())
    }
}

fn default_shortcut(network: Network) -> ShortcutOption {
    match network.family() {
        Family::Cifar { .. } => ShortcutOption::A,
        Family::ImageNet { .. } | Family::Vgg19 => ShortcutOption::B,
    }
}

fn within(
    option: &'static str,
    asked: Option<usize>,
    default: usize,
    range: RangeInclusive<usize>,
) -> Result<usize, OptionError> {
    let value = asked.unwrap_or(default);
    if range.contains(&value) {
        Ok(value)
    } else {
        Err(OptionError::OutOfRange { option, value, range })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(name: &str, options: &BuildOptions) -> String {
        let network = name.parse().unwrap();
        options.check(network).unwrap_err().to_string()
    }

    #[test]
    fn defaults_are_the_networks_own() {
        let checked = BuildOptions::default().check("cifar-resnet56".parse().unwrap()).unwrap();
        assert_eq!((checked.classes, checked.height, checked.width), (10, 32, 32));
        assert_eq!(checked.shortcut, ShortcutOption::A);
        let checked = BuildOptions::default().check("resnet50".parse().unwrap()).unwrap();
        assert_eq!(checked.shortcut, ShortcutOption::B);
        assert_eq!(checked.variant, Variant::V15);
    }

    #[test]
    fn numbers_out_of_range_are_refused_with_the_range() {
        let options = BuildOptions { classes: Some(0), ..BuildOptions::default() };
        assert_eq!(refusal("resnet18", &options), "classes is 0; it must be from 1 to 100000");
        let options = BuildOptions { upscale: Some(0), ..BuildOptions::default() };
        assert_eq!(refusal("resnet18", &options), "upscale is 0; it must be from 1 to 16");
        let options = BuildOptions { height: Some(5000), ..BuildOptions::default() };
        assert_eq!(refusal("resnet18", &options), "height is 5000; it must be from 1 to 4096");
    }

    #[test]
    fn an_option_without_effect_is_refused() {
        let options = BuildOptions { variant: Some(Variant::V1), ..BuildOptions::default() };
        assert!(refusal("resnet34", &options).contains("no bottleneck blocks"));
        let options = BuildOptions { shortcut: Some(ShortcutOption::B), ..BuildOptions::default() };
        assert!(refusal("plain18", &options).contains("no shortcuts"));
        assert!(refusal("vgg19", &options).contains("no shortcuts"));
    }

    #[test]
    fn vgg_is_refused_sizes_that_its_pooling_does_not_divide() {
        let mut options =
            BuildOptions { height: Some(64), width: Some(64), ..BuildOptions::default() };
        assert!(refusal("vgg19", &options).contains("multiples of 224 after upscaling, not 64×64"));
        options.height = Some(448);
        options.width = Some(224);
        assert!(options.check("vgg19".parse().unwrap()).is_ok());
    }

    #[test]
    fn a_deviation_of_zero_is_refused() {
        let options = BuildOptions {
            input_type: InputType::Uint8(Normalization { mean: [0.0; 3], std: [1.0, 0.0, 1.0] }),
            ..BuildOptions::default()
        };
        assert!(refusal("resnet18", &options).contains("above zero"));
    }
}
