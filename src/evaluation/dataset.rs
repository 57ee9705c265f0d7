//! Pictures and what they show: a folder for each class, or a table.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::Classes;

/// Complaints of one kind that are printed.
const SHOWN: usize = 10;

/// Labelled pictures, in the order of their names or of the table.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// At least one.
    pub samples: Vec<Sample>,
}

/// A picture and what it shows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sample {
    /// The file.
    pub file: PathBuf,
    /// The index of its class.
    pub class: usize,
}

/// Data that cannot be evaluated on.
#[derive(Debug, Error)]
pub enum DatasetError {
    /// Something cannot be read.
    #[error("cannot read `{}`: {cause}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// Folders or lines name no class of the model; left out silently they would better the score.
    #[error("`{}` does not fit the model:\n  {}", path.display(), first(mistakes))]
    Classes {
        /// The data.
        path: PathBuf,
        /// One or more.
        mistakes: Vec<String>,
    },
    /// There is no picture.
    #[error("`{}` has no pictures; a folder for each class with pictures in it is expected, or a table of `file,class`", .0.display())]
    Empty(PathBuf),
}

impl Dataset {
    /// Reads a folder with a folder for each class, or a table: a file with `file,class` in each
    /// line, separated by commas or, where its name ends in `.tsv`, by tabs.
    ///
    /// # Errors
    ///
    /// When something cannot be read, names no class, or there is nothing.
    pub fn read(path: &Path, classes: &Classes) -> Result<Self, DatasetError> {
        let is_folder = path.metadata().map_err(|cause| failed(path, cause))?.is_dir();
        let (samples, mistakes) =
            if is_folder { from_folders(path, classes)? } else { from_table(path, classes)? };
        if !mistakes.is_empty() {
            return Err(DatasetError::Classes { path: path.to_owned(), mistakes });
        }
        if samples.is_empty() {
            return Err(DatasetError::Empty(path.to_owned()));
        }
        Ok(Self { samples })
    }
}

type Found = (Vec<Sample>, Vec<String>);

fn from_folders(path: &Path, classes: &Classes) -> Result<Found, DatasetError> {
    let (mut samples, mut mistakes) = (Vec::new(), Vec::new());
    for folder in visible(path)? {
        if !folder.is_dir() {
            continue;
        }
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        match classes.find(&name) {
            Ok(class) => {
                let files = files_below(&folder)?;
                samples.extend(files.into_iter().map(|file| Sample { file, class }));
            }
            Err(mistake) => mistakes.push(format!("folder {mistake}")),
        }
    }
    Ok((samples, mistakes))
}

/// Files at any depth, by name: some data sets have another folder between.
pub fn files_below(folder: &Path) -> Result<Vec<PathBuf>, DatasetError> {
    let (mut folders, mut files) = (vec![folder.to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        let (inner, here): (Vec<_>, Vec<_>) =
            visible(&folder)?.into_iter().partition(|e| e.is_dir());
        folders.extend(inner);
        files.extend(here);
    }
    files.sort();
    Ok(files)
}

/// What is in a folder and does not begin with a point, by name.
fn visible(folder: &Path) -> Result<Vec<PathBuf>, DatasetError> {
    let entries = fs::read_dir(folder).map_err(|cause| failed(folder, cause))?;
    let mut paths = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|cause| failed(folder, cause))?;
        if !entry.file_name().to_string_lossy().starts_with('.') {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

fn from_table(path: &Path, classes: &Classes) -> Result<Found, DatasetError> {
    let is_tsv = path.extension().is_some_and(|extension| extension == "tsv");
    let reader = csv::ReaderBuilder::new()
        .delimiter(if is_tsv { b'\t' } else { b',' })
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_path(path);
    let broken = |cause: csv::Error| failed(path, io::Error::other(cause));
    let folder = path.parent().unwrap_or(Path::new(""));
    let (mut samples, mut mistakes) = (Vec::new(), Vec::new());
    for (index, record) in reader.map_err(broken)?.into_records().enumerate() {
        let record = record.map_err(broken)?;
        let fields: Vec<&str> = record.iter().collect();
        let [file, word] = fields[..] else {
            mistakes.push(format!("line {}: {} fields, not `file,class`", index + 1, fields.len()));
            continue;
        };
        match classes.find(word) {
            Ok(class) => samples.push(Sample { file: folder.join(file), class }),
            // The first line may say what the others hold.
            Err(_) if index == 0 && !folder.join(file).exists() => (),
            Err(mistake) => mistakes.push(format!("line {}: {mistake}", index + 1)),
        }
    }
    Ok((samples, mistakes))
}

fn failed(path: &Path, cause: io::Error) -> DatasetError {
    DatasetError::Read { path: path.to_owned(), cause }
}

fn first(mistakes: &[String]) -> String {
    let mut shown = mistakes[..mistakes.len().min(SHOWN)].to_vec();
    if mistakes.len() > SHOWN {
        shown.push(format!("and {} more", mistakes.len() - SHOWN));
    }
    shown.join("\n  ")
}

#[cfg(test)]
mod tests {
    use super::super::classes::tests::birds;
    use super::*;

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        folder
    }

    fn read(path: &Path) -> Result<Vec<(String, usize)>, String> {
        let dataset = Dataset::read(path, &birds()).map_err(|error| error.to_string())?;
        let name = |sample: &Sample| sample.file.file_name().unwrap().to_str().unwrap().to_owned();
        Ok(dataset.samples.iter().map(|sample| (name(sample), sample.class)).collect())
    }

    fn pairs(expected: &[(&str, usize)]) -> Vec<(String, usize)> {
        expected.iter().map(|(name, class)| ((*name).to_owned(), *class)).collect()
    }

    #[test]
    fn folders_are_named_by_id_or_label_and_may_hold_others() {
        let files =
            ["n3/images/c.jpg", "n3/b.jpg", "tench, Tinca/a.jpg", "README", ".x/y", "n3/.z"];
        let found = read(folder(&files).path()).unwrap();
        assert_eq!(found, pairs(&[("b.jpg", 2), ("c.jpg", 2), ("a.jpg", 1)]));
    }

    #[test]
    fn every_folder_that_names_no_class_is_named() {
        let error = read(folder(&["n1/a", "dog/b", "crane/c"]).path()).unwrap_err();
        assert!(error.contains("folder `dog` is no id"), "{error}");
        assert!(error.contains("folder `crane` is the label of several"), "{error}");
    }

    #[test]
    fn a_table_names_files_beside_it_with_or_without_a_head() {
        for (name, text) in [
            ("a.csv", "file,class\nx.png,n1\n\"y,z.png\",\"tench, Tinca\"\n"),
            ("b.csv", "x.png , n1\n\"y,z.png\",1\n"),
            ("c.tsv", "x.png\tn1\ny,z.png\ttench, Tinca\n"),
        ] {
            let folder = folder(&["x.png", "y,z.png"]);
            fs::write(folder.path().join(name), text).unwrap();
            let found = read(&folder.path().join(name)).unwrap();
            assert_eq!(found, pairs(&[("x.png", 0), ("y,z.png", 1)]), "{name}");
        }
    }

    #[test]
    fn every_line_that_is_wrong_is_named() {
        let folder = folder(&["x.png"]);
        let table = folder.path().join("a.csv");
        fs::write(&table, "x.png,n9\nx.png\nx.png,n1\nx.png,tench, Tinca\n").unwrap();
        let error = read(&table).unwrap_err();
        for line in ["line 1: `n9`", "line 2: 1 fields", "line 4: 3 fields"] {
            assert!(error.contains(line), "{error}");
        }
    }

    #[test]
    fn data_that_are_not_there_or_hold_nothing_are_an_error() {
        assert!(read(Path::new("/nowhere")).unwrap_err().contains("/nowhere"));
        let error = read(folder(&["n1/.hidden", "a.jpg"]).path()).unwrap_err();
        assert!(error.contains("has no pictures"), "{error}");
    }
}
