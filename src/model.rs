//! A model as a folder: `model.toml` and the files that it names.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::slice::from_ref;
use std::sync::Arc;

use thiserror::Error;

pub mod catalogue;
pub mod derived;
pub mod digest;
mod ensemble;
pub mod fetch;
mod fingerprint;
pub mod labels;
pub mod manifest;
mod names;
mod recipe;
mod section;
pub mod template;
mod words;

use ensemble::Ensemble;
use fingerprint::Fingerprint;
pub use labels::Label;
pub use manifest::Manifest;

pub(crate) use crate::networks::write_atomically;

/// Bytes of a file that names a folder.
const LONGEST_NAME: u64 = 200;

/// A model whose files are there and agree with its `model.toml`.
#[derive(Clone, Debug)]
pub struct Model {
    /// What `model.toml` says.
    pub manifest: Manifest,
    /// A label per class, in the order of the logits.
    pub labels: Vec<Label>,
    /// The graph and its weights.
    pub graph: PathBuf,
    /// Of an ensemble its models, two or more; of others none.
    pub members: Vec<Arc<Self>>,
    folder: PathBuf,
    fingerprint: Fingerprint,
}

/// A folder that cannot be served, with everything that is wrong with it.
#[derive(Debug, Error)]
pub struct ModelError {
    /// The folder, or the file that should name one.
    pub path: PathBuf,
    /// One mistake or more, each a line that names its key or file.
    pub mistakes: Vec<String>,
}

impl fmt::Display for ModelError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the model `{}` cannot be served:", self.path.display())?;
        self.mistakes.iter().try_for_each(|mistake| write!(formatter, "\n  {mistake}"))
    }
}

impl Model {
    /// A network whose graph has the hash `sha256`.
    #[must_use]
    pub fn new(manifest: Manifest, labels: Vec<Label>, (graph, sha256): (PathBuf, String)) -> Self {
        let folder = graph.parent().map(Path::to_owned).unwrap_or_default();
        let fingerprint = Fingerprint::known(sha256);
        Self { manifest, labels, graph, members: Vec::new(), folder, fingerprint }
    }

    /// Loads a folder and checks everything that can be checked without running the graph.
    ///
    /// # Errors
    ///
    /// All mistakes at once: in `model.toml`, in the labels, a missing graph, a wrong hash.
    ///
    /// A graph that is missing and has a recipe, `[weights.build]`, is built first.
    pub fn load(path: &Path) -> Result<Self, ModelError> {
        let model = Self::open(path)?;
        model.verify()?;
        Ok(model)
    }

    /// The same without waiting for the graph's hash: [`verify`](Self::verify) does, and has to come
    /// before the graph is run.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load), but for a wrong hash.
    pub(crate) fn open(path: &Path) -> Result<Self, ModelError> {
        let folder = resolve(path)?;
        match Ensemble::in_folder(&folder) {
            Some(Ok(ensemble)) => ensemble.load(&folder),
            Some(Err(mistakes)) => Err(ModelError { path: folder, mistakes }),
            None => Self::open_network(&folder),
        }
    }

    /// Waits until the graph's hash is found, and compares it.
    ///
    /// # Errors
    ///
    /// When the graph cannot be read, or is another than `model.toml` says.
    pub(crate) fn verify(&self) -> Result<(), ModelError> {
        // An ensemble's members were, when they were loaded.
        if !self.members.is_empty() {
            return Ok(());
        }
        check_graph(&self.manifest, &self.graph, &self.fingerprint)
            .map_err(|mistake| ModelError { path: self.folder.clone(), mistakes: vec![mistake] })
    }

    /// SHA-256 of the graph's file, in hexadecimal; of an ensemble, of its members' in lines. Known
    /// of every model that is loaded.
    #[must_use]
    pub fn sha256(&self) -> &str {
        self.fingerprint.wait().unwrap_or_default()
    }

    /// Those of an ensemble, or the model itself.
    pub(crate) fn networks(self: &Arc<Self>) -> &[Arc<Self>] {
        if self.members.is_empty() { from_ref(self) } else { &self.members }
    }

    fn load_network(folder: &Path) -> Result<Self, ModelError> {
        let model = Self::open_network(folder)?;
        model.verify()?;
        Ok(model)
    }

    fn open_network(folder: &Path) -> Result<Self, ModelError> {
        let error = |mistakes| ModelError { path: folder.to_owned(), mistakes };
        let manifest = manifest(folder)?;
        let graph = folder.join(&manifest.weights.file);
        let mut mistakes = Vec::new();
        let built = keep(recipe::build_if_missing(&manifest.weights, &graph), &mut mistakes);
        let labels = keep(labels::read(&folder.join(&manifest.output.labels)), &mut mistakes);
        let unread = |cause: io::Error| unreadable(&manifest, &graph, &cause.to_string());
        let begun = built.map(|()| Fingerprint::begin(&graph).map_err(unread));
        match (labels, begun.and_then(|begun| keep(begun, &mut mistakes))) {
            (Some(labels), Some(fingerprint)) => {
                let (members, folder) = (Vec::new(), folder.to_owned());
                Ok(Self { manifest, labels, graph, members, folder, fingerprint })
            }
            (_, fingerprint) => {
                let wrong = fingerprint.map(|found| check_graph(&manifest, &graph, &found));
                mistakes.extend(wrong.and_then(Result::err));
                Err(error(mistakes))
            }
        }
    }
}

/// The name of the model in a folder, without a look at the files that it names.
///
/// # Errors
///
/// All mistakes in its `model.toml` at once.
pub fn name(path: &Path) -> Result<String, ModelError> {
    let folder = resolve(path)?;
    match Ensemble::in_folder(&folder) {
        Some(Ok(ensemble)) => Ok(ensemble.name().to_owned()),
        Some(Err(mistakes)) => Err(ModelError { path: folder, mistakes }),
        None => Ok(manifest(&folder)?.name.as_str().to_owned()),
    }
}

/// What the `model.toml` of a folder says of its graph.
///
/// # Errors
///
/// All mistakes in it at once.
pub fn weights(folder: &Path) -> Result<manifest::Weights, ModelError> {
    Ok(manifest(folder)?.weights)
}

/// Builds the graphs that are missing and have a recipe, of the model in a folder and of its members.
/// What goes wrong is said when the model is loaded.
pub fn build_missing(path: &Path) {
    for folder in folders(path).unwrap_or_default() {
        if let Ok(Manifest { weights, .. }) = manifest(&folder) {
            let _ = recipe::build_if_missing(&weights, &folder.join(&weights.file));
        }
    }
}

/// Every folder that a model is loaded from: its own, and its members'.
///
/// # Errors
///
/// When there is none.
pub fn folders(path: &Path) -> Result<Vec<PathBuf>, ModelError> {
    let folder = resolve(path)?;
    let members = match Ensemble::in_folder(&folder) {
        Some(Ok(ensemble)) => ensemble.folders(&folder),
        _ => Vec::new(),
    };
    Ok([folder].into_iter().chain(members).collect())
}

fn manifest(folder: &Path) -> Result<Manifest, ModelError> {
    let text = fs::read_to_string(folder.join("model.toml"));
    let text = text.map_err(|cause| vec![format!("`model.toml`: {cause}")]);
    let manifest = text.and_then(|text| Manifest::parse(&text));
    manifest.map_err(|mistakes| ModelError { path: folder.to_owned(), mistakes })
}

/// The folder itself, or the one beside a file that holds its name, as `models/default` does.
///
/// # Errors
///
/// When there is neither.
pub fn resolve(path: &Path) -> Result<PathBuf, ModelError> {
    let error = |mistake: String| ModelError { path: path.to_owned(), mistakes: vec![mistake] };
    if path.is_dir() {
        return Ok(path.to_owned());
    }
    let size = fs::metadata(path).map_err(|cause| error(missing(&cause)))?.len();
    if size > LONGEST_NAME {
        return Err(error("it is neither a folder nor a file that names one".to_owned()));
    }
    let name = fs::read_to_string(path).map_err(|cause| error(cause.to_string()))?;
    let folder = path.with_file_name(name.trim());
    if folder.is_dir() {
        return Ok(folder);
    }
    Err(error(format!("it names `{}`, and there is no such folder beside it", name.trim())))
}

/// Why there is no such folder, and what to do then.
fn missing(cause: &io::Error) -> String {
    match cause.kind() {
        io::ErrorKind::NotFound => {
            "there is no such folder; `resnet-serve model list` shows which there are, and which \
             `model fetch` brings"
                .to_owned()
        }
        _ => cause.to_string(),
    }
}

fn check_graph(manifest: &Manifest, graph: &Path, fingerprint: &Fingerprint) -> Result<(), String> {
    let found = fingerprint.wait().map_err(|cause| unreadable(manifest, graph, cause))?;
    match &manifest.weights.sha256 {
        Some(expected) if expected.as_str() != found => Err(format!(
            "weights.sha256: expected `{}`, but `{}` has `{found}`",
            expected.as_str(),
            graph.display()
        )),
        _ => Ok(()),
    }
}

fn unreadable(manifest: &Manifest, graph: &Path, cause: &str) -> String {
    format!("weights.file: cannot read `{}`: {cause}{}", graph.display(), origin(manifest))
}

/// Where a missing graph can be had, as an end of the sentence that says it is missing.
fn origin(manifest: &Manifest) -> String {
    match &manifest.weights.source {
        Some(_) => format!("; `resnet-serve model fetch {}` brings it", manifest.name.as_str()),
        None => String::new(),
    }
}

fn keep<T>(result: Result<T, String>, mistakes: &mut Vec<String>) -> Option<T> {
    result.map_err(|mistake| mistakes.push(mistake)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the model `two`.
    pub(super) const MANIFEST: &str = r#"
        name = "two"
        version = "1"
        trained = false
        [weights]
        file = "model.onnx"
        [input]
        height = 4
        width = 4
        [preprocess]
        resize_shorter_side = 4
        mean = [0.5, 0.5, 0.5]
        std = [0.5, 0.5, 0.5]
        [output]
        labels = "labels.tsv"
    "#;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    #[test]
    fn a_complete_folder_is_loaded() {
        let files = [("model.toml", MANIFEST), ("model.onnx", "x"), ("labels.tsv", "a\tA\nb\tB\n")];
        let model = Model::load(folder(&files).path()).unwrap();
        assert_eq!(model.labels.len(), 2);
        assert!(model.sha256().starts_with("2d711642b726b044"), "{}", model.sha256());
    }

    #[test]
    fn a_missing_graph_and_missing_labels_are_reported_together() {
        let error = Model::load(folder(&[("model.toml", MANIFEST)]).path()).unwrap_err();
        assert_eq!(error.mistakes.len(), 2, "{error}");
        assert!(error.to_string().contains("labels.tsv"), "{error}");
        assert!(error.to_string().contains("model.onnx"), "{error}");
    }

    #[test]
    fn a_graph_that_cannot_be_written_is_one_mistake() {
        let recipe = "[weights.build]\nnetwork = \"cifar-resnet20\"\n[input]";
        let manifest = MANIFEST.replace("[input]", recipe);
        let files = [("model.toml", manifest.as_str()), ("labels.tsv", "a\tA\nb\tB\n")];
        let folder = folder(&files);
        let part = format!("model.onnx.{}.part", std::process::id());
        fs::create_dir(folder.path().join(part)).unwrap();
        let error = Model::load(folder.path()).unwrap_err();
        assert_eq!(error.mistakes.len(), 1, "{error}");
        assert!(error.mistakes[0].starts_with("weights.build: cannot write"), "{error}");
    }

    #[test]
    fn a_wrong_hash_is_refused_with_both_hashes() {
        let hash = "0".repeat(64);
        let manifest = MANIFEST.replace("[input]", &format!("sha256 = \"{hash}\"\n[input]"));
        let files =
            [("model.toml", manifest.as_str()), ("model.onnx", "x"), ("labels.tsv", "a\tA\n")];
        let error = Model::load(folder(&files).path()).unwrap_err().to_string();
        assert!(error.contains("weights.sha256"), "{error}");
        assert!(error.contains(&hash) && error.contains("2d711642b726b044"), "{error}");
    }

    #[test]
    fn wrong_labels_and_a_wrong_hash_are_reported_together() {
        let hash = format!("sha256 = \"{}\"\n[input]", "0".repeat(64));
        let manifest = MANIFEST.replace("[input]", &hash);
        let files = [("model.toml", manifest.as_str()), ("model.onnx", "x")];
        let error = Model::load(folder(&files).path()).unwrap_err();
        assert_eq!(error.mistakes.len(), 2, "{error}");
        assert!(error.to_string().contains("labels.tsv"), "{error}");
        assert!(error.to_string().contains("weights.sha256"), "{error}");
    }

    #[test]
    fn a_graph_that_is_a_folder_cannot_be_read() {
        let place = folder(&[("model.toml", MANIFEST), ("labels.tsv", "a\tA\n")]);
        fs::create_dir(place.path().join("model.onnx")).unwrap();
        let error = Model::load(place.path()).unwrap_err().to_string();
        assert!(error.contains("weights.file: cannot read"), "{error}");
    }

    #[test]
    fn a_hash_that_is_found_later_is_found_once_for_all() {
        let files = [("model.toml", MANIFEST), ("model.onnx", "x"), ("labels.tsv", "a\tA\n")];
        let place = folder(&files);
        let model = Model::open(place.path()).unwrap();
        let other = model.clone();
        model.verify().unwrap();
        assert_eq!(model.sha256(), other.sha256());
        assert_eq!(model.sha256().len(), 64);
    }

    #[test]
    fn a_file_names_the_folder_beside_it() {
        let parent = folder(&[("default", "two\n")]);
        fs::create_dir(parent.path().join("two")).unwrap();
        assert_eq!(resolve(&parent.path().join("default")).unwrap(), parent.path().join("two"));
    }

    #[test]
    fn a_file_that_is_no_name_is_not_read() {
        let parent = folder(&[("README.md", &"long ".repeat(100))]);
        let error = resolve(&parent.path().join("README.md")).unwrap_err().to_string();
        assert!(error.contains("neither a folder nor"), "{error}");
    }

    #[test]
    fn a_file_that_names_no_folder_is_an_error() {
        let parent = folder(&[("default", "three\n")]);
        let error = resolve(&parent.path().join("default")).unwrap_err().to_string();
        assert!(error.contains("`three`"), "{error}");
    }
}
