//! Weights from a `.safetensors` file with torchvision's names.

mod mismatch;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use safetensors::{Dtype, SafeTensorError, SafeTensors};
use thiserror::Error;

pub use mismatch::Mismatch;

use super::fold::{Normalization, fold};
use super::{Affine, Weights};
use crate::networks::description::{Convolution, Description, FullyConnected, NORMALIZATION};

/// A file of weights that cannot be used.
#[derive(Debug, Error)]
pub enum ImportError {
    /// The file cannot be read.
    #[error("cannot read the weights `{path}`: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is cut off, or is something else.
    #[error("`{path}` is no complete .safetensors file: {source}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: SafeTensorError,
    },
    /// Tensors are missing, unknown, or of another shape or type: all of them, a line each.
    #[error("the tensors in `{path}` are not those of the network:\n{}", mismatch::lines(.mismatches))]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// Every tensor that does not fit, by name.
        mismatches: Vec<Mismatch>,
    },
}

/// Every tensor of one description, as float32.
pub(crate) struct Imported {
    tensors: HashMap<String, Vec<f32>>,
}

impl Imported {
    /// Reads the tensors of `description`; float32, float16 and bfloat16 are taken.
    pub(crate) fn read(path: &Path, description: &Description) -> Result<Self, ImportError> {
        let bytes = std::fs::read(path)
            .map_err(|source| ImportError::Read { path: path.to_owned(), source })?;
        let file = SafeTensors::deserialize(&bytes)
            .map_err(|source| ImportError::Format { path: path.to_owned(), source })?;
        let parameters = description.parameters();
        let mismatches = mismatch::find(&parameters, &file);
        if !mismatches.is_empty() {
            return Err(ImportError::Mismatch { path: path.to_owned(), mismatches });
        }
        let tensors = file
            .iter()
            .filter_map(|(name, view)| Some((name.to_owned(), values(view.dtype(), view.data())?)))
            .collect();
        Ok(Self { tensors })
    }

    /// The tensor of a layer; it is there because `read` compared all names.
    fn tensor(&self, layer: &str, tensor: &str) -> Vec<f32> {
        let name = format!("{layer}.{tensor}");
        self.tensors.get(&name).cloned().unwrap_or_default()
    }
}

impl Weights for Imported {
    fn convolution(&self, layer: &Convolution) -> Affine {
        let weight = self.tensor(&layer.name, "weight");
        match &layer.normalization {
            None => Affine { weight, bias: self.tensor(&layer.name, "bias") },
            Some(name) => {
                let [scale, bias, running_mean, running_var] =
                    NORMALIZATION.map(|tensor| self.tensor(name, tensor));
                let normalization =
                    Normalization { weight: scale, bias, running_mean, running_var };
                fold(weight, &normalization)
            }
        }
    }

    fn fully_connected(&self, layer: &FullyConnected) -> Affine {
        Affine {
            weight: self.tensor(&layer.name, "weight"),
            bias: self.tensor(&layer.name, "bias"),
        }
    }
}

/// Little-endian bytes as float32; `None` for a type that weights do not have.
fn values(data_type: Dtype, bytes: &[u8]) -> Option<Vec<f32>> {
    match data_type {
        Dtype::F32 => Some(converted(bytes, f32::from_le_bytes)),
        Dtype::F16 => Some(converted(bytes, |pair| f16::from_le_bytes(pair).to_f32())),
        Dtype::BF16 => Some(converted(bytes, |pair| bf16::from_le_bytes(pair).to_f32())),
        _ => None,
    }
}

fn converted<const N: usize>(bytes: &[u8], convert: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    let (chunks, _) = bytes.as_chunks::<N>();
    chunks.iter().copied().map(convert).collect()
}

#[cfg(test)]
mod tests;
