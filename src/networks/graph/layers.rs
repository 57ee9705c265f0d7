//! Each layer of a description as operations of ONNX.

use super::{Graph, WeightError};
use crate::networks::description::{Block, Convolution, FullyConnected, Layer, Shortcut, padding};
use crate::networks::onnx::NodeProto;
use crate::networks::onnx::make::to_i64;

impl Graph<'_> {
    /// Adds `layer` to what reads `value`, which is of `shape` (channels, height, width); its result's name.
    pub(super) fn layer(
        &mut self,
        layer: &Layer,
        value: &str,
        shape: [usize; 3],
    ) -> Result<String, WeightError> {
        match layer {
            Layer::Convolution(layer) => {
                let sums = self.convolution(layer, value)?;
                Ok(self.relu(&layer.name, &sums))
            }
            Layer::MaxPool { window, stride } => Ok(self.max_pool(value, [*window, *stride])),
            Layer::Block(block) => self.block(block, value),
            Layer::GlobalAveragePool => {
                let pooled = self.push(NodeProto::new("GlobalAveragePool", "pool", [value]));
                Ok(self.flatten(&pooled))
            }
            Layer::AveragePool7x7 => {
                let pooled = self.average_pool(value, [shape[1] / 7, shape[2] / 7]);
                Ok(self.flatten(&pooled))
            }
            Layer::FullyConnected(layer) => self.fully_connected(layer, value),
        }
    }

    fn convolution(&mut self, layer: &Convolution, value: &str) -> Result<String, WeightError> {
        let affine = self.weights.convolution(layer);
        let [weight, bias] = self.affine(&layer.name, &layer.weight_shape(), &affine)?;
        let kernel = [to_i64(layer.kernel); 2];
        let node = NodeProto::new("Conv", &layer.name, [value, &weight, &bias])
            .ints("kernel_shape", &kernel)
            .ints("strides", &[to_i64(layer.stride); 2])
            .ints("pads", &[to_i64(padding(layer.kernel)); 4]);
        Ok(self.push(node))
    }

    fn block(&mut self, block: &Block, value: &str) -> Result<String, WeightError> {
        let mut result = value.to_owned();
        for (index, layer) in block.body.iter().enumerate() {
            result = self.convolution(layer, &result)?;
            if index + 1 < block.body.len() {
                result = self.relu(&layer.name, &result);
            }
        }
        if let Some(shortcut) = self.shortcut(block, value)? {
            let name = format!("{}.add", block.name);
            result = self.push(NodeProto::new("Add", &name, [&result, &shortcut]));
        }
        Ok(self.relu(&block.name, &result))
    }

    fn shortcut(&mut self, block: &Block, value: &str) -> Result<Option<String>, WeightError> {
        match &block.shortcut {
            Shortcut::None => Ok(None),
            Shortcut::Identity => Ok(Some(value.to_owned())),
            Shortcut::Projection(layer) => self.convolution(layer, value).map(Some),
            Shortcut::Padded { stride, added } => {
                Ok(Some(self.padded(block, value, [*stride, *added])))
            }
        }
    }

    /// Every `stride`-th pixel, followed by `added` channels of zeros.
    fn padded(&mut self, block: &Block, value: &str, [stride, added]: [usize; 2]) -> String {
        let mut value = value.to_owned();
        if stride > 1 {
            let name = format!("{}.subsample", block.name);
            let [starts, ends, axes, steps] = self.subsampling(&name, stride);
            let inputs = [&value, &starts, &ends, &axes, &steps].map(String::as_str);
            value = self.push(NodeProto::new("Slice", &name, inputs));
        }
        let name = format!("{}.pad", block.name);
        let pads = [0, 0, 0, 0, 0, to_i64(added), 0, 0];
        let pads = self.integers(&format!("{name}.pads"), &pads);
        self.push(NodeProto::new("Pad", &name, [&value, &pads]))
    }

    fn fully_connected(
        &mut self,
        layer: &FullyConnected,
        value: &str,
    ) -> Result<String, WeightError> {
        let affine = self.weights.fully_connected(layer);
        let [weight, bias] = self.affine(&layer.name, &layer.weight_shape(), &affine)?;
        let node = NodeProto::new("Gemm", &layer.name, [value, &weight, &bias]).int("transB", 1);
        let sums = self.push(node);
        Ok(if layer.relu { self.relu(&layer.name, &sums) } else { sums })
    }

    fn max_pool(&mut self, value: &str, [window, stride]: [usize; 2]) -> String {
        let name = format!("maxpool.{}", self.nodes.len());
        let node = NodeProto::new("MaxPool", &name, [value])
            .ints("kernel_shape", &[to_i64(window); 2])
            .ints("strides", &[to_i64(stride); 2])
            .ints("pads", &[to_i64(padding(window)); 4]);
        self.push(node)
    }

    fn average_pool(&mut self, value: &str, window: [usize; 2]) -> String {
        if window == [1, 1] {
            return value.to_owned();
        }
        let window = window.map(to_i64);
        let node = NodeProto::new("AveragePool", "pool", [value])
            .ints("kernel_shape", &window)
            .ints("strides", &window);
        self.push(node)
    }

    fn flatten(&mut self, value: &str) -> String {
        self.push(NodeProto::new("Flatten", "flatten", [value]).int("axis", 1))
    }

    fn relu(&mut self, name: &str, value: &str) -> String {
        self.push(NodeProto::new("Relu", &format!("{name}.relu"), [value]))
    }
}
