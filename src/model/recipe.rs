//! Builds a graph that `model.toml` describes and that is not there yet.

use std::path::Path;

use super::manifest::Weights;
use crate::networks::{self, BuildOptions, BuildRequest, WeightSource};

/// Does nothing where the graph is there or no recipe is given.
///
/// # Errors
///
/// A sentence that names the key, when the network cannot be built or written.
pub(super) fn build_if_missing(weights: &Weights, graph: &Path) -> Result<(), String> {
    let Some(recipe) = weights.build.as_ref().filter(|_| !graph.exists()) else { return Ok(()) };
    tracing::info!(network = %recipe.network, seed = recipe.seed, "building the network once");
    let request = BuildRequest {
        network: recipe.network,
        options: BuildOptions::default(),
        weights: WeightSource::Random { seed: recipe.seed },
    };
    let built = networks::build(&request).map_err(|cause| format!("weights.build: {cause}"))?;
    built
        .write(graph)
        .map_err(|cause| format!("weights.build: cannot write `{}`: {cause}", graph.display()))
}
