//! `model selftest`: writes down what a model answers, so that a start notices when it changes.

use std::path::PathBuf;

use clap::Args;

use crate::cli::Failure;
use crate::cli::output::say;
use crate::config::InferenceFlags;
use crate::inference::onnx::OnnxRuntime;
use crate::{loading, model};

/// What `model selftest` takes.
#[derive(Args)]
pub(in crate::cli) struct Arguments {
    /// Model folder, or a file that names a folder beside it
    #[arg(value_name = "DIR")]
    folder: PathBuf,

    #[command(flatten)]
    inference: InferenceFlags,
}

pub(in crate::cli) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let folder = model::resolve(&arguments.folder).map_err(Failure::config)?;
    let config = arguments.inference.clone().into();
    let runtime = OnnxRuntime::load(arguments.inference.device.onnxruntime.as_deref());
    let runtime = runtime.map_err(Failure::config)?;
    let test = loading::measure(&runtime, &folder, &config).map_err(Failure::config)?;
    let failed = |cause| Failure::Incomplete(format!("`{}`: {cause}", folder.display()));
    let path = test.write(&folder).map_err(failed)?;
    say!("Wrote {}; `serve` checks it at every start", path.display())?;
    Ok(())
}
