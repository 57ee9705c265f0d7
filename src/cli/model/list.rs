//! `model list`: the model folders in a folder.
#![expect(clippy::print_stdout, reason = "printing is what the command is for")]

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::Failure;
use crate::model::{self, Model};

/// What `model list` takes.
#[derive(Args)]
pub(in crate::cli) struct Arguments {
    /// The folder that holds the model folders
    #[arg(default_value = "models")]
    folder: PathBuf,
}

pub(in crate::cli) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let folders = model_folders(&arguments.folder).map_err(|cause| {
        Failure::Config(format!("cannot read `{}`: {cause}", arguments.folder.display()))
    })?;
    let default = model::resolve(&arguments.folder.join("default")).ok();
    println!("{:<22} {:<8} {:>7} {:>9}  STATE", "NAME", "VERSION", "CLASSES", "INPUT");
    for folder in folders {
        println!("{}", line(&folder, default.as_deref() == Some(folder.as_path())));
    }
    Ok(())
}

/// The folders with a `model.toml`, by name.
fn model_folders(parent: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(parent)?.collect::<Result<Vec<_>, _>>()?;
    let mut folders: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
    folders.retain(|folder| folder.join("model.toml").is_file());
    folders.sort();
    Ok(folders)
}

fn line(folder: &Path, is_default: bool) -> String {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let mark = if is_default { ", default" } else { "" };
    match Model::load(folder) {
        Ok(model) => {
            let manifest = &model.manifest;
            let size = format!("{}x{}", manifest.input.height, manifest.input.width);
            let (version, classes) = (&manifest.version, model.labels.len());
            let state = if manifest.trained { "trained" } else { "untrained" };
            format!("{name:<22} {version:<8} {classes:>7} {size:>9}  {state}{mark}")
        }
        Err(error) => {
            let mistakes = error.mistakes.join("; ");
            format!("{name:<22} {:<8} {:>7} {:>9}  not ready: {mistakes}{mark}", "-", "-", "-")
        }
    }
}
