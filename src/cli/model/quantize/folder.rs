//! The new model's folder, which is written beside its place and moved there when all went well.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::Arguments;
use crate::cli::Failure;
use crate::model::derived::{self, GRAPH, LABELS};
use crate::model::{self, Model, digest};
use crate::networks::BuiltNetwork;
use crate::selftest::FILE as SELF_TEST;

const MANIFEST: &str = "model.toml";

/// What a folder gets or loses, in the order in which it does: `model.toml` says what the others are.
const FILES: [&str; 4] = [GRAPH, LABELS, SELF_TEST, MANIFEST];

/// Where the new model goes.
pub(super) struct Target<'a> {
    folder: &'a Path,
    /// Gone when this is, with all that is in it.
    staging: TempDir,
    name: String,
    /// The original's `model.toml`.
    manifest: String,
}

impl<'a> Target<'a> {
    /// Checks what can be checked before pictures are looked at.
    pub(super) fn prepare(arguments: &'a Arguments, source: &Path) -> Result<Self, Failure> {
        let folder = arguments.output.as_path();
        if model::folders(source).map_err(Failure::config)?.len() > 1 {
            let source = source.display();
            return Err(Failure::Config(format!(
                "`{source}` is an ensemble; quantize its members one by one"
            )));
        }
        let there = FILES.map(|file| folder.join(file)).into_iter().find(|file| file.exists());
        if let Some(there) = there.filter(|_| !arguments.force) {
            let there = there.display();
            return Err(Failure::Config(format!(
                "`{there}` is there already; --force replaces it"
            )));
        }
        if is_same(folder, source) {
            return Err(is_model_itself(folder));
        }
        let manifest = fs::read_to_string(source.join(MANIFEST)).map_err(Failure::config)?;
        let name = match &arguments.name {
            Some(name) => name.clone(),
            None => format!("{}-int8", model::name(source).map_err(Failure::config)?),
        };
        // With any hash: whether the name is one shows now.
        derived(&manifest, &name, &"0".repeat(64))?;
        let staging = staging(folder).map_err(|cause| cannot_write(folder, &cause))?;
        Ok(Self { folder, staging, name, manifest })
    }

    /// Makes sure that the graph that is read is not the one that will be written.
    pub(super) fn spares(&self, graph: &Path) -> Result<(), Failure> {
        if is_same(&self.folder.join(GRAPH), graph) {
            return Err(is_model_itself(&self.folder.join(GRAPH)));
        }
        Ok(())
    }

    /// Where everything is until all is well.
    pub(super) fn staging(&self) -> &Path {
        self.staging.path()
    }

    /// A file for what is needed for a moment.
    pub(super) fn scratch(&self) -> PathBuf {
        self.staging().join("simplified.onnx")
    }

    pub(super) fn write(&self, network: &BuiltNetwork, original: &Model) -> Result<(), Failure> {
        let manifest = derived(&self.manifest, &self.name, &digest::sha256_of(network.bytes()))?;
        let lines = original.labels.iter().map(|label| format!("{}\t{}\n", label.id, label.text));
        let labels: String = lines.collect();
        let files: [(&str, &[u8]); 3] = [
            (GRAPH, network.bytes()),
            (MANIFEST, manifest.as_bytes()),
            (LABELS, labels.as_bytes()),
        ];
        for (file, bytes) in files {
            let written = fs::write(self.staging().join(file), bytes);
            written.map_err(|cause| self.failed(file, &cause))?;
        }
        Ok(())
    }

    /// Moves the files to their place; a self-test of what was there before goes.
    pub(super) fn put_in_place(self) -> Result<(), Failure> {
        let failed = |cause| cannot_write(self.folder, &cause);
        fs::create_dir_all(self.folder).map_err(failed)?;
        for file in FILES {
            let (from, to) = (self.staging().join(file), self.folder.join(file));
            if from.exists() {
                fs::rename(from, to).map_err(failed)?;
            } else if to.exists() {
                fs::remove_file(to).map_err(failed)?;
            }
        }
        Ok(())
    }

    pub(super) fn failed(&self, file: &str, cause: &io::Error) -> Failure {
        cannot_write(&self.folder.join(file), cause)
    }
}

/// Of a file, in bytes.
pub(super) fn size(file: &Path) -> Result<u64, Failure> {
    Ok(fs::metadata(file).map_err(Failure::config)?.len())
}

/// A folder on the same file system.
fn staging(folder: &Path) -> io::Result<TempDir> {
    let beside = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
    let beside = beside.unwrap_or(Path::new("."));
    fs::create_dir_all(beside)?;
    tempfile::Builder::new().prefix(".quantizing-").tempdir_in(beside)
}

fn derived(manifest: &str, name: &str, sha256: &str) -> Result<String, Failure> {
    let text = derived::manifest(manifest, name, sha256);
    text.map_err(|mistakes| Failure::Config(mistakes.join("\n")))
}

fn is_same(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

fn is_model_itself(path: &Path) -> Failure {
    let path = path.display();
    Failure::Config(format!("`{path}` is the model itself; write to another folder"))
}

fn cannot_write(path: &Path, cause: &io::Error) -> Failure {
    Failure::Config(format!("cannot write `{}`: {cause}", path.display()))
}
