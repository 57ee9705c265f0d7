//! Makes a network compute in 8 bits, by pictures like those that it will see.

use std::path::Path;
use std::sync::Arc;

use thiserror::Error;

use super::batch_of;
use crate::inference::InferenceError;
use crate::inference::onnx::{LoadError, Observer, OnnxRuntime};
use crate::model::Model;
use crate::networks::BuiltNetwork;
use crate::networks::quantize::{Quantizable, QuantizeError, Range};
use crate::preprocess::Pixels;

/// A network, and the ranges of its activations over the pictures so far.
pub struct Calibration {
    model: Arc<Model>,
    network: Quantizable,
    observer: Observer,
    slots: usize,
    ranges: Option<Vec<Range>>,
}

/// A network that stays in float32.
#[derive(Debug, Error)]
pub enum CalibrationError {
    /// The runtime does not take the graph.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// There is nothing in it to be done in 8 bits, or an activation has no range.
    #[error("`{}`: {cause}", graph.display())]
    Quantize {
        /// The graph.
        graph: std::path::PathBuf,
        /// Why.
        cause: QuantizeError,
    },
    /// A picture could not be run.
    #[error(transparent)]
    Run(#[from] InferenceError),
}

impl Calibration {
    /// Begins with no picture run. The graph takes `slots` images at once; `scratch` is a file to be
    /// written and removed.
    ///
    /// # Errors
    ///
    /// When the runtime refuses the graph, or no layer can be made to compute in 8 bits.
    pub fn begin(
        runtime: &OnnxRuntime,
        model: &Arc<Model>,
        (slots, threads): (usize, usize),
        scratch: &Path,
    ) -> Result<Self, CalibrationError> {
        Quantizable::check(&model.graph).map_err(|cause| failed(model, cause))?;
        let folder = model.graph.parent().unwrap_or(Path::new(""));
        let scores = model.manifest.output.name.as_deref();
        let simplified = runtime.simplify(&model.graph, scratch);
        let network = simplified.map(|()| Quantizable::read(scratch, folder, scores));
        // What was wrong is known already; that nothing is left to remove is no second error.
        let _ = std::fs::remove_file(scratch);
        let network = network?.map_err(|cause| failed(model, cause))?;
        let input = model.manifest.input.name.as_deref();
        let observer = runtime.observer((&model.graph, &network.observed()), input, threads)?;
        Ok(Self { model: Arc::clone(model), network, observer, slots, ranges: None })
    }

    /// Runs one picture.
    ///
    /// # Errors
    ///
    /// When the network does not run.
    pub fn observe(&mut self, pixels: &Pixels) -> Result<(), CalibrationError> {
        let batch = batch_of(&self.model.manifest, self.slots, pixels);
        let ranges = self.observer.observe(&batch)?;
        let known = self.ranges.get_or_insert_with(|| ranges.clone());
        known.iter_mut().zip(ranges).for_each(|(known, range)| *known = known.with(range));
        Ok(())
    }

    /// The network in 8 bits.
    ///
    /// # Errors
    ///
    /// When no picture was run, or an activation was no finite number.
    pub fn finish(&self) -> Result<BuiltNetwork, CalibrationError> {
        let ranges = self.ranges.as_deref().unwrap_or_default();
        self.network.quantize(ranges).map_err(|cause| failed(&self.model, cause))
    }

    /// How many layers compute in 8 bits, of how many.
    #[must_use]
    pub fn layers(&self) -> (usize, usize) {
        self.network.layers()
    }
}

fn failed(model: &Model, cause: QuantizeError) -> CalibrationError {
    CalibrationError::Quantize { graph: model.graph.clone(), cause }
}
