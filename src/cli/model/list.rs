//! `model list`: the model folders in a folder, and what could be fetched into it.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use bytesize::ByteSize;
use clap::Args;

use super::fetch;
use crate::cli::Failure;
use crate::cli::output::say;
use crate::model::catalogue::Entry;
use crate::model::{self, Model};

/// Where models are unless it is said otherwise.
const MODELS: &str = "models";

/// What `model list` takes.
#[derive(Args)]
pub(in crate::cli) struct Arguments {
    /// The folder that holds the model folders [default: models]
    folder: Option<PathBuf>,

    /// Another catalogue [default: models/catalogue.toml, or the one built in]
    #[arg(long, value_name = "FILE")]
    catalogue: Option<PathBuf>,
}

pub(in crate::cli) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let parent = arguments.folder.as_deref().unwrap_or(Path::new(MODELS));
    let folders = match model_folders(parent) {
        // Where nobody has built or fetched any.
        Err(cause) if cause.kind() == ErrorKind::NotFound && arguments.folder.is_none() => vec![],
        found => found.map_err(|cause| {
            Failure::Config(format!("cannot read `{}`: {cause}", parent.display()))
        })?,
    };
    let default = model::resolve(&parent.join("default")).ok();
    say!(
        "{:<22} {:<22} {:<8} {:>7} {:>9}  STATE",
        "FOLDER",
        "NAME",
        "VERSION",
        "CLASSES",
        "INPUT"
    )?;
    for folder in &folders {
        say!("{}", line(folder, default.as_deref() == Some(folder.as_path())))?;
    }
    let catalogue = fetch::catalogue(arguments.catalogue.as_deref())?;
    let is_there =
        |entry: &Entry| folders.iter().any(|folder| folder.ends_with(entry.name.as_str()));
    let others: Vec<&Entry> = catalogue.entries.iter().filter(|entry| !is_there(entry)).collect();
    print_fetchable(&others)
}

fn print_fetchable(entries: &[&Entry]) -> Result<(), Failure> {
    if entries.is_empty() {
        return Ok(());
    }
    say!("\nCould be fetched, with `model fetch NAME`; accuracies as published:")?;
    say!("{:<22} {:>10} {:>8} {:>8}", "NAME", "SIZE", "TOP-1", "TOP-5")?;
    for entry in entries {
        let percent =
            |value: Option<f32>| value.map_or("-".to_owned(), |value| format!("{value:.2} %"));
        let (name, size) = (entry.name.as_str(), ByteSize(entry.bytes).to_string());
        say!("{name:<22} {size:>10} {:>8} {:>8}", percent(entry.top1), percent(entry.top5))?;
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
    let place = folder.file_name().unwrap_or_default().to_string_lossy();
    let mark = if is_default { ", default" } else { "" };
    match Model::load(folder) {
        Ok(model) => {
            let manifest = &model.manifest;
            let size = format!("{}x{}", manifest.input.height, manifest.input.width);
            let (name, version) = (manifest.name.as_str(), &manifest.version);
            let classes = model.labels.len();
            let state = if manifest.trained { "trained" } else { "untrained" };
            format!("{place:<22} {name:<22} {version:<8} {classes:>7} {size:>9}  {state}{mark}")
        }
        Err(error) => {
            let mistakes = error.mistakes.join("; ").replace('\n', "");
            let none = "-";
            format!(
                "{place:<22} {none:<22} {none:<8} {none:>7} {none:>9}  not ready: {mistakes}{mark}"
            )
        }
    }
}
