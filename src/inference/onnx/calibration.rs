//! The ranges of a graph's activations, found by running it.

use std::path::Path;

use ort::session::builder::GraphOptimizationLevel;
use ort::session::{Session, SessionOutputs};

use super::network::{borrow, failed};
use super::{LoadError, OnnxRuntime, with_remedy};
use crate::inference::provider::Provider;
use crate::inference::{BatchTensor, InferenceError};
use crate::networks::quantize::{MAXIMA, MINIMA, Range};

/// A session of a graph that gives the ranges of its activations.
pub struct Observer {
    session: Session,
    input: String,
}

impl OnnxRuntime {
    /// Writes a graph as it is after constants, casts of weights and normalisation have been folded, in
    /// ONNX's own operators.
    ///
    /// # Errors
    ///
    /// When the runtime refuses the graph or cannot write.
    pub fn simplify(&self, graph: &Path, to: &Path) -> Result<(), LoadError> {
        let simplified = || -> Result<Session, ort::Error> {
            Session::builder(&self.environment)?
                .with_optimization_level(GraphOptimizationLevel::Level1)?
                .with_optimized_model_path(to)?
                .commit_from_file(graph)
        };
        simplified().map(drop).map_err(|cause| refused(graph, &cause))
    }

    /// A session of the graph in `bytes`, made of `graph`, whose input is called `input`, or is its first.
    ///
    /// # Errors
    ///
    /// When the runtime refuses it.
    pub fn observer(
        &self,
        (graph, bytes): (&Path, &[u8]),
        input: Option<&str>,
        threads: usize,
    ) -> Result<Observer, LoadError> {
        let session = || -> Result<Session, ort::Error> {
            Session::builder(&self.environment)?
                .with_intra_threads(threads)?
                .with_intra_op_spinning(false)?
                .commit_from_memory(bytes)
        };
        let session = session().map_err(|cause| refused(graph, &cause))?;
        let first = || session.inputs().first().map(|input| input.name().to_owned());
        let input = input.map(str::to_owned).or_else(first).unwrap_or_default();
        Ok(Observer { session, input })
    }
}

impl Observer {
    /// Runs a batch; the range of each activation over all its images.
    ///
    /// # Errors
    ///
    /// When the runtime refuses the batch.
    pub fn observe(&mut self, batch: &BatchTensor) -> Result<Vec<Range>, InferenceError> {
        let value = borrow(batch).map_err(|cause| failed(&cause))?;
        let outputs = self.session.run(vec![(self.input.as_str(), value)]);
        let outputs = outputs.map_err(|cause| failed(&cause))?;
        let (minima, maxima) = (numbers(&outputs, MINIMA)?, numbers(&outputs, MAXIMA)?);
        let pairs = minima.into_iter().zip(maxima);
        Ok(pairs.map(|(minimum, maximum)| Range { minimum, maximum }).collect())
    }
}

fn numbers(outputs: &SessionOutputs<'_>, name: &str) -> Result<Vec<f32>, InferenceError> {
    let none = || InferenceError::Failed(format!("no output `{name}`"));
    let values = outputs.get(name).ok_or_else(none)?.try_extract_tensor::<f32>();
    values.map(|(_, values)| values.to_vec()).map_err(|cause| failed(&cause))
}

fn refused(graph: &Path, cause: &ort::Error) -> LoadError {
    let (graph, provider) = (graph.to_owned(), Provider::Cpu);
    LoadError::Session { graph, provider, cause: with_remedy(cause.to_string()) }
}
