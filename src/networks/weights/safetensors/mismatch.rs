//! Every way in which a file's tensors are not those of a network.

use std::collections::HashSet;
use std::fmt;

use safetensors::{Dtype, SafeTensors};

use crate::networks::description::Parameter;

/// A tensor that does not fit.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Mismatch {
    /// The network has it, the file does not.
    Missing {
        /// The tensor.
        name: String,
        /// The shape that it should have.
        expected: Vec<usize>,
    },
    /// Both have it, in different shapes.
    Shape {
        /// The tensor.
        name: String,
        /// The network's shape.
        expected: Vec<usize>,
        /// The file's shape.
        found: Vec<usize>,
    },
    /// Its elements are of a type that weights do not have.
    Type {
        /// The tensor.
        name: String,
        /// The file's type.
        found: Dtype,
    },
    /// The file has it, the network does not.
    Extra {
        /// The tensor.
        name: String,
        /// The file's shape.
        found: Vec<usize>,
    },
}

impl fmt::Display for Mismatch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { name, expected } => {
                write!(formatter, "missing `{name}`, shape {expected:?}")
            }
            Self::Shape { name, expected, found } => {
                write!(formatter, "`{name}` has shape {found:?}, expected {expected:?}")
            }
            Self::Type { name, found } => write!(
                formatter,
                "`{name}` has elements of type {found:?}, expected F32, F16 or BF16"
            ),
            Self::Extra { name, found } => {
                write!(formatter, "unexpected `{name}`, shape {found:?}")
            }
        }
    }
}

/// Compares names, shapes and types: first what the network has, in its order, then what it has not.
pub(crate) fn find(parameters: &[Parameter], file: &SafeTensors<'_>) -> Vec<Mismatch> {
    let mut mismatches: Vec<Mismatch> =
        parameters.iter().filter_map(|parameter| compare(parameter, file)).collect();
    let known: HashSet<&str> = parameters.iter().map(|tensor| tensor.name.as_str()).collect();
    let mut extra: Vec<_> = file
        .iter()
        .filter(|(name, _)| !known.contains(name) && !name.ends_with(".num_batches_tracked"))
        .map(|(name, view)| (name.to_owned(), view.shape().to_vec()))
        .collect();
    extra.sort();
    mismatches.extend(extra.into_iter().map(|(name, found)| Mismatch::Extra { name, found }));
    mismatches
}

fn compare(parameter: &Parameter, file: &SafeTensors<'_>) -> Option<Mismatch> {
    let name = parameter.name.clone();
    let expected = parameter.shape.clone();
    let Ok(view) = file.tensor(&name) else {
        return Some(Mismatch::Missing { name, expected });
    };
    if view.shape() != expected {
        let found = view.shape().to_vec();
        return Some(Mismatch::Shape { name, expected, found });
    }
    let found = view.dtype();
    let taken = matches!(found, Dtype::F32 | Dtype::F16 | Dtype::BF16);
    (!taken).then_some(Mismatch::Type { name, found })
}

/// One line each, indented.
pub(crate) fn lines(mismatches: &[Mismatch]) -> String {
    let lines: Vec<_> = mismatches.iter().map(|mismatch| format!("  {mismatch}")).collect();
    lines.join("\n")
}
