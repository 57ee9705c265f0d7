//! `model inspect`: what an ONNX file holds.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::Failure;
use crate::cli::output::say;
use crate::model;
use crate::networks::inspect;

/// What `model inspect` takes.
#[derive(Args)]
pub(in crate::cli) struct Arguments {
    /// An ONNX file, or a model folder
    #[arg(value_name = "DIR|FILE.onnx")]
    path: PathBuf,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(in crate::cli) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let path = &arguments.path;
    let file = match model::resolve(path) {
        Ok(folder) => graph(&folder)?,
        Err(_) => path.clone(),
    };
    let inspection = inspect::inspect(&file).map_err(Failure::config)?;
    if arguments.json {
        say!("{:#}", serde_json::to_value(&inspection).map_err(Failure::config)?)
    } else {
        say!("{inspection}")
    }
}

/// The graph of a folder: the one that its `model.toml` names, or `model.onnx` where there is none.
fn graph(folder: &Path) -> Result<PathBuf, Failure> {
    if !folder.join("model.toml").exists() {
        return Ok(folder.join("model.onnx"));
    }
    let folders = model::folders(folder).map_err(Failure::config)?;
    if let [_, members @ ..] = folders.as_slice()
        && !members.is_empty()
    {
        let members: Vec<String> =
            members.iter().map(|member| format!("`{}`", member.display())).collect();
        return Err(Failure::Config(format!(
            "`{}` is an ensemble and has no graph; inspect its members: {}",
            folder.display(),
            members.join(", ")
        )));
    }
    let weights = model::weights(folder).map_err(Failure::config)?;
    let graph = folder.join(&weights.file);
    if weights.build.is_some() && !graph.exists() {
        return Err(Failure::Config(format!(
            "`{}` is not built yet; the first start that serves it builds it",
            graph.display()
        )));
    }
    Ok(graph)
}
