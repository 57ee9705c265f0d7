//! `model inspect`: what an ONNX file holds.
#![expect(clippy::print_stdout, reason = "printing is what the command is for")]

use std::path::PathBuf;

use clap::Args;

use crate::cli::Failure;
use crate::model;
use crate::networks::inspect;

/// What `model inspect` takes.
#[derive(Args)]
pub(in crate::cli) struct Arguments {
    /// An ONNX file, or a folder with a `model.onnx`
    #[arg(value_name = "DIR|FILE.onnx")]
    path: PathBuf,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(in crate::cli) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let path = &arguments.path;
    let file = match model::resolve(path) {
        Ok(folder) => folder.join("model.onnx"),
        Err(_) => path.clone(),
    };
    let inspection = inspect::inspect(&file).map_err(Failure::config)?;
    if arguments.json {
        println!("{:#}", serde_json::to_value(&inspection).map_err(Failure::config)?);
    } else {
        println!("{inspection}");
    }
    Ok(())
}
