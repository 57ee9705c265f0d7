//! A network as data: the one place that graphs, parameter names, shapes, weights and figures come from.

mod family;
mod parameter;

pub(crate) use family::describe;
pub(crate) use parameter::{NORMALIZATION, Parameter};

/// The layers in the order in which they are computed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Description {
    pub(crate) layers: Vec<Layer>,
}

/// A step from one value to the next.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Layer {
    /// A convolution and its ReLU.
    Convolution(Convolution),
    /// A maximum over windows; padded as a convolution is.
    MaxPool { window: usize, stride: usize },
    /// Convolutions with or without a shortcut around them.
    Block(Block),
    /// The mean of each channel: `[n, c, h, w]` to `[n, c]`.
    GlobalAveragePool,
    /// The means of a grid of 7×7 equal windows, flattened: `[n, c, h, w]` to `[n, 49 c]`.
    AveragePool7x7,
    /// A matrix and a bias.
    FullyConnected(FullyConnected),
}

/// A square convolution, padded by `(kernel - 1) / 2` on each side, without a bias where a normalisation follows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Convolution {
    pub(crate) name: String,
    /// The name of the batch normalisation that follows.
    pub(crate) normalization: Option<String>,
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
}

/// Convolutions with a ReLU after each; after the last one it follows the addition of the shortcut.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Block {
    pub(crate) name: String,
    pub(crate) body: Vec<Convolution>,
    pub(crate) shortcut: Shortcut,
}

/// What is added to the result of a block's body.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Shortcut {
    /// Nothing: a plain network.
    None,
    /// The block's input.
    Identity,
    /// The block's input, every `stride`-th pixel of it, followed by zero channels.
    Padded { stride: usize, added: usize },
    /// A 1×1 convolution of the block's input.
    Projection(Convolution),
}

/// `[n, inputs]` to `[n, outputs]`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FullyConnected {
    pub(crate) name: String,
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    pub(crate) relu: bool,
}

impl Description {
    /// Every tensor that a trained network has, in the order of its layers.
    pub(crate) fn parameters(&self) -> Vec<Parameter> {
        self.layers.iter().flat_map(Layer::parameters).collect()
    }

    /// Every convolution, in order; a block's projection comes after its body.
    pub(crate) fn convolutions(&self) -> impl Iterator<Item = &Convolution> {
        self.layers.iter().flat_map(Layer::convolutions)
    }
}

impl Layer {
    fn convolutions(&self) -> Vec<&Convolution> {
        match self {
            Self::Convolution(convolution) => vec![convolution],
            Self::Block(block) => block.convolutions().collect(),
            _ => Vec::new(),
        }
    }

    fn parameters(&self) -> Vec<Parameter> {
        if let Self::FullyConnected(layer) = self {
            return layer.parameters().to_vec();
        }
        let convolutions = self.convolutions();
        convolutions.into_iter().flat_map(Convolution::parameters).collect()
    }
}

impl Layer {
    /// The channels, height and width that leave, where `shape` enters; a vector has a height and width of 1.
    pub(crate) fn output_shape(&self, shape: [usize; 3]) -> [usize; 3] {
        let [channels, height, width] = shape;
        let windows = |window, stride| [height, width].map(|side| positions(side, window, stride));
        match self {
            Self::Convolution(layer) => {
                let [height, width] = windows(layer.kernel, layer.stride);
                [layer.outputs, height, width]
            }
            Self::MaxPool { window, stride } => {
                let [height, width] = windows(*window, *stride);
                [channels, height, width]
            }
            Self::Block(block) => block
                .body
                .iter()
                .fold(shape, |shape, layer| Self::Convolution(layer.clone()).output_shape(shape)),
            Self::GlobalAveragePool => [channels, 1, 1],
            Self::AveragePool7x7 => [channels * 49, 1, 1],
            Self::FullyConnected(layer) => [layer.outputs, 1, 1],
        }
    }
}

/// How often a padded window fits into a side.
fn positions(side: usize, window: usize, stride: usize) -> usize {
    (side + padding(window) * 2).saturating_sub(window) / stride + 1
}

/// The pixels of padding on each side of an input.
pub(crate) fn padding(window: usize) -> usize {
    (window - 1) / 2
}

impl Block {
    fn convolutions(&self) -> impl Iterator<Item = &Convolution> {
        let projection = match &self.shortcut {
            Shortcut::Projection(convolution) => Some(convolution),
            _ => None,
        };
        self.body.iter().chain(projection)
    }
}
