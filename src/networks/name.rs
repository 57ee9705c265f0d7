//! The networks of the paper by their names.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// A network: a name, and the family and depth that it stands for.
///
/// Those of the paper are parsed from their names; [`Network::new`] makes others of the same families.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Network {
    name: &'static str,
    family: Family,
}

/// The shapes of network that the paper describes, with what varies inside each.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Family {
    /// Table 1: a 7×7 convolution, four stages of 64 to 512 channels with so many blocks, for 224×224 pixels.
    ImageNet {
        /// Blocks in each of the four stages.
        blocks: [usize; 4],
        /// What a block is made of.
        kind: BlockKind,
    },
    /// Section 4.2: a 3×3 convolution, three stages of 16, 32 and 64 channels, for 32×32 pixels.
    Cifar {
        /// The paper's n; the network has 6n + 2 weighted layers.
        blocks_per_stage: usize,
        /// Whether the blocks have shortcuts.
        residual: bool,
    },
    /// VGG-19 without batch normalisation, the baseline of Table 1.
    Vgg19,
}

/// What a block of an ImageNet network is made of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BlockKind {
    /// Two 3×3 convolutions.
    Plain,
    /// Two 3×3 convolutions and a shortcut around them.
    Basic,
    /// A 1×1, a 3×3 and a four times wider 1×1 convolution, and a shortcut around them.
    Bottleneck,
}

/// A name that is none of [`Network::ALL`]'s.
#[derive(Debug, Eq, Error, PartialEq)]
#[error("there is no network `{name}`; the networks are {}", all_names())]
pub struct UnknownNetwork {
    name: String,
}

impl Network {
    /// Every network of the paper, in its order.
    pub const ALL: [Self; 19] = [
        Self::imagenet("plain18", BlockKind::Plain, [2, 2, 2, 2]),
        Self::imagenet("plain34", BlockKind::Plain, [3, 4, 6, 3]),
        Self::imagenet("resnet18", BlockKind::Basic, [2, 2, 2, 2]),
        Self::imagenet("resnet34", BlockKind::Basic, [3, 4, 6, 3]),
        Self::imagenet("resnet50", BlockKind::Bottleneck, [3, 4, 6, 3]),
        Self::imagenet("resnet101", BlockKind::Bottleneck, [3, 4, 23, 3]),
        Self::imagenet("resnet152", BlockKind::Bottleneck, [3, 8, 36, 3]),
        Self::new("vgg19", Family::Vgg19),
        Self::cifar("cifar-plain20", 3, false),
        Self::cifar("cifar-plain32", 5, false),
        Self::cifar("cifar-plain44", 7, false),
        Self::cifar("cifar-plain56", 9, false),
        Self::cifar("cifar-plain110", 18, false),
        Self::cifar("cifar-resnet20", 3, true),
        Self::cifar("cifar-resnet32", 5, true),
        Self::cifar("cifar-resnet44", 7, true),
        Self::cifar("cifar-resnet56", 9, true),
        Self::cifar("cifar-resnet110", 18, true),
        Self::cifar("cifar-resnet1202", 200, true),
    ];

    /// A network beside the paper's list.
    #[must_use]
    pub const fn new(name: &'static str, family: Family) -> Self {
        Self { name, family }
    }

    const fn imagenet(name: &'static str, kind: BlockKind, blocks: [usize; 4]) -> Self {
        Self::new(name, Family::ImageNet { blocks, kind })
    }

    const fn cifar(name: &'static str, blocks_per_stage: usize, residual: bool) -> Self {
        Self::new(name, Family::Cifar { blocks_per_stage, residual })
    }

    /// The name, as it is parsed.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.name
    }

    /// The family, and what varies inside it.
    #[must_use]
    pub const fn family(self) -> Family {
        self.family
    }

    /// The side of the square input that the paper uses, in pixels.
    #[must_use]
    pub const fn default_side(self) -> usize {
        match self.family {
            Family::ImageNet { .. } | Family::Vgg19 => 224,
            Family::Cifar { .. } => 32,
        }
    }

    /// The classes of the data set that the paper trains it on: ImageNet's or CIFAR-10's.
    #[must_use]
    pub const fn default_classes(self) -> usize {
        match self.family {
            Family::ImageNet { .. } | Family::Vgg19 => 1000,
            Family::Cifar { .. } => 10,
        }
    }

    /// Whether there are shortcuts to choose an option for.
    #[must_use]
    pub const fn has_shortcuts(self) -> bool {
        match self.family {
            Family::ImageNet { kind, .. } => !matches!(kind, BlockKind::Plain),
            Family::Cifar { residual, .. } => residual,
            Family::Vgg19 => false,
        }
    }

    /// Whether there are bottleneck blocks, whose stride has two places to be.
    #[must_use]
    pub const fn has_bottlenecks(self) -> bool {
        matches!(self.family, Family::ImageNet { kind: BlockKind::Bottleneck, .. })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name)
    }
}

impl FromStr for Network {
    type Err = UnknownNetwork;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|network| network.name == name)
            .ok_or_else(|| UnknownNetwork { name: name.to_owned() })
    }
}

fn all_names() -> String {
    Network::ALL.map(Network::name).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_parses_to_its_network_and_prints_as_itself() {
        for network in Network::ALL {
            assert_eq!(network.to_string().parse(), Ok(network));
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_list() {
        for name in ["resnet51", "", "ResNet50", "cifar-plain1202"] {
            let message = name.parse::<Network>().unwrap_err().to_string();
            assert!(message.starts_with(&format!("there is no network `{name}`")));
            assert!(message.contains("plain18, plain34, resnet18"), "{message}");
            assert!(message.ends_with("cifar-resnet1202"), "{message}");
        }
    }

    #[test]
    fn cifar_networks_take_32_pixels_and_ten_classes() {
        let network: Network = "cifar-resnet20".parse().unwrap();
        assert_eq!((network.default_side(), network.default_classes()), (32, 10));
        let network: Network = "vgg19".parse().unwrap();
        assert_eq!((network.default_side(), network.default_classes()), (224, 1000));
    }

    #[test]
    fn only_residual_networks_have_shortcuts_and_only_deep_ones_bottlenecks() {
        let named = |holds: fn(Network) -> bool| {
            Network::ALL
                .into_iter()
                .filter(|&network| holds(network))
                .map(Network::name)
                .collect::<Vec<_>>()
        };
        assert!(named(Network::has_shortcuts).iter().all(|name| name.contains("resnet")));
        assert_eq!(named(Network::has_shortcuts).len(), 11);
        assert_eq!(named(Network::has_bottlenecks), ["resnet50", "resnet101", "resnet152"]);
    }
}
