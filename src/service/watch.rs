//! Notices when a model's folder changes, by looking.
//!
//! Kubernetes swaps a symbolic link under a mounted folder, and network file systems tell nobody
//! of a change: what both have in common is that a look finds other files.

use std::fs;
use std::path::{Path, PathBuf};

use tokio::task;

use crate::file_state::{self, FileState};
use crate::model;

/// What was last seen of a folder.
pub(super) struct Watched(file_state::Watched<Look>);

/// What a look finds: where the folder really is, of an ensemble its members' too, and the files.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Look {
    folders: Vec<PathBuf>,
    files: Vec<(PathBuf, FileState)>,
}

impl Watched {
    /// The folder as it looks, about to be loaded.
    pub(super) fn new(look: Look) -> Self {
        Self(file_state::Watched::new(look))
    }

    /// Whether the folder differs from what was loaded, and no longer changes.
    pub(super) fn has_changed(&mut self, now: Look) -> bool {
        self.0.has_changed(now)
    }
}

impl Look {
    /// Looks from a thread that may wait: files may be slow.
    pub(super) async fn aside(path: &Path, look: fn(&Path) -> Self) -> Self {
        let path = path.to_owned();
        task::spawn_blocking(move || look(&path)).await.unwrap_or_default()
    }

    /// What changes from then on has changed; a graph that loading would build is no change.
    pub(super) fn before_loading(path: &Path) -> Self {
        model::build_missing(path);
        Self::at(path)
    }

    /// What cannot be read is not there.
    pub(super) fn at(path: &Path) -> Self {
        let Ok(folders) = model::folders(path) else { return Self::default() };
        let entries = folders.iter().filter_map(|folder| fs::read_dir(folder).ok());
        let entries = entries.flatten().filter_map(Result::ok);
        let file = |entry: fs::DirEntry| {
            // Through links, to what they lead to.
            let metadata = fs::metadata(entry.path()).ok().filter(fs::Metadata::is_file)?;
            Some((entry.path(), FileState::from(&metadata)))
        };
        let mut files: Vec<(PathBuf, FileState)> = entries.filter_map(file).collect();
        files.sort_by(|(a, _), (b, _)| a.cmp(b));
        let real = |folder: &PathBuf| folder.canonicalize().ok();
        Self { folders: folders.iter().filter_map(real).collect(), files }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const RECIPE: &str = r#"
        name = "small"
        version = "1"
        trained = false
        [weights]
        file = "model.onnx"
        [weights.build]
        network = "cifar-resnet20"
        seed = 0
        [input]
        name = "input"
        layout = "nchw"
        type = "float32"
        height = 32
        width = 32
        [preprocess]
        resize_shorter_side = 32
        interpolation = "bilinear"
        mean = [0.5, 0.5, 0.5]
        std = [0.5, 0.5, 0.5]
        color = "rgb"
        [output]
        name = "logits"
        activation = "softmax"
        labels = "labels.tsv"
    "#;

    /// A folder as Kubernetes mounts it: files that lead through one link.
    fn mounted() -> (tempfile::TempDir, PathBuf) {
        let root = tempfile::tempdir().unwrap();
        for version in ["1", "2"] {
            fs::create_dir(root.path().join(version)).unwrap();
            fs::write(root.path().join(version).join("model.toml"), "same size").unwrap();
        }
        symlink("1", root.path().join("data")).unwrap();
        let folder = root.path().join("model");
        fs::create_dir(&folder).unwrap();
        symlink("../data/model.toml", folder.join("model.toml")).unwrap();
        (root, folder)
    }

    #[test]
    fn a_graph_that_loading_would_build_is_no_change() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("model.toml"), RECIPE).unwrap();
        let before = Look::before_loading(folder.path());
        assert!(folder.path().join("model.onnx").exists());
        let mut watched = Watched::new(before);
        assert_eq!([(); 2].map(|()| watched.has_changed(Look::at(folder.path()))), [false; 2]);
    }

    /// What two looks in a row say.
    fn looks(watched: &mut Watched, folder: &Path) -> [bool; 2] {
        [watched.has_changed(Look::at(folder)), watched.has_changed(Look::at(folder))]
    }

    #[test]
    fn a_link_that_is_swapped_is_a_change_when_it_rests() {
        let (root, folder) = mounted();
        let mut watched = Watched::new(Look::at(&folder));
        assert_eq!(looks(&mut watched, &folder), [false, false]);
        symlink("2", root.path().join("new")).unwrap();
        fs::rename(root.path().join("new"), root.path().join("data")).unwrap();
        assert_eq!(looks(&mut watched, &folder), [false, true]);
        watched = Watched::new(Look::at(&folder));
        assert_eq!(looks(&mut watched, &folder), [false, false]);
    }

    #[test]
    fn what_still_changes_is_waited_for_and_what_changes_back_is_no_change() {
        let (_root, folder) = mounted();
        let mut watched = Watched::new(Look::at(&folder));
        for length in 1..4 {
            fs::write(folder.join("model.onnx"), vec![0; length]).unwrap();
            assert!(!watched.has_changed(Look::at(&folder)));
        }
        fs::remove_file(folder.join("model.onnx")).unwrap();
        assert_eq!(looks(&mut watched, &folder), [false, false]);
    }

    #[test]
    fn a_file_that_names_another_folder_is_a_change() {
        let (root, _) = mounted();
        let default = root.path().join("default");
        fs::write(&default, "1").unwrap();
        let mut watched = Watched::new(Look::at(&default));
        fs::write(&default, "2").unwrap();
        assert_eq!(looks(&mut watched, &default), [false, true]);
    }

    #[test]
    fn a_folder_that_goes_is_a_change_too() {
        let (root, folder) = mounted();
        let mut watched = Watched::new(Look::at(&folder));
        fs::rename(&folder, root.path().join("elsewhere")).unwrap();
        assert_eq!(looks(&mut watched, &folder), [false, true]);
    }
}
