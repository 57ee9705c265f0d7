//! Where ONNX Runtime's shared library is looked for.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// The folder that `make runtime` fills, seen from the repository's root.
const FETCHED: &str = ".runtime";

/// No library that can be used.
#[derive(Debug, Error)]
pub enum RuntimeError {
    /// Nothing at any of the usual places.
    #[error(
        "ONNX Runtime was not found (looked {0}); `make runtime` fetches it, and `--onnxruntime` or \
         `ORT_DYLIB_PATH` says where it is"
    )]
    NotFound(String),
    /// A place was named, and nothing is there.
    #[error("ONNX Runtime was not found: {named_by} says `{}`, and there is no such file; `make runtime` fetches it", path.display())]
    NotThere {
        /// The flag or variable.
        named_by: &'static str,
        /// What it says.
        path: PathBuf,
    },
    /// A file that is no ONNX Runtime, or one that is too old.
    #[error("`{}` cannot be used as ONNX Runtime 1.31: {cause}; `make runtime` fetches the right one", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What the loader said.
        cause: String,
    },
}

/// Finds the library: `--onnxruntime`, `ORT_DYLIB_PATH`, beside the executable, `.runtime/`.
///
/// # Errors
///
/// When a named file is missing, or nothing is at the usual places.
pub fn locate(flag: Option<&Path>) -> Result<PathBuf, RuntimeError> {
    if let Some(path) = flag {
        return named("--onnxruntime", path);
    }
    if let Some(path) = env::var_os("ORT_DYLIB_PATH").filter(|path| !path.is_empty()) {
        return named("ORT_DYLIB_PATH", Path::new(&path));
    }
    search(&usual_folders())
}

fn named(named_by: &'static str, path: &Path) -> Result<PathBuf, RuntimeError> {
    if path.is_file() {
        return Ok(path.to_owned());
    }
    library_in(path).ok_or_else(|| RuntimeError::NotThere { named_by, path: path.to_owned() })
}

fn usual_folders() -> Vec<PathBuf> {
    let executable = env::current_exe().ok();
    let beside = executable.and_then(|path| path.parent().map(Path::to_owned));
    beside.into_iter().chain([PathBuf::from(FETCHED)]).collect()
}

fn search(folders: &[PathBuf]) -> Result<PathBuf, RuntimeError> {
    folders.iter().find_map(|folder| library_in(folder)).ok_or_else(|| {
        let shown = |folder: &PathBuf| {
            let of = if folder.is_absolute() { "" } else { " of the current folder" };
            format!("in `{}`{of}", folder.display())
        };
        let looked: Vec<String> = folders.iter().map(shown).collect();
        RuntimeError::NotFound(looked.join(" and "))
    })
}

/// The library in a folder, whatever version its name carries.
fn library_in(folder: &Path) -> Option<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(folder)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(is_library))
        .collect();
    found.sort();
    found.pop()
}

fn is_library(name: &str) -> bool {
    let unix = name.starts_with("libonnxruntime.so") || name.starts_with("libonnxruntime.1");
    (unix && !name.ends_with(".partial"))
        || name == "libonnxruntime.dylib"
        || name == "onnxruntime.dll"
}

/// The version in a library's file name, as in `libonnxruntime.so.1.31.1`.
pub(super) fn version(library: &Path) -> String {
    let path = library.canonicalize().unwrap_or_else(|_| library.to_owned());
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let digits = name
        .trim_start_matches(|character: char| !character.is_ascii_digit())
        .trim_end_matches(|character: char| !character.is_ascii_digit());
    if digits.is_empty() { "1.31 or newer".to_owned() } else { digits.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_is_found_whatever_version_its_name_carries() {
        let folder = tempfile::tempdir().unwrap();
        let library = folder.path().join("libonnxruntime.so.1.31.1");
        fs::write(&library, "").unwrap();
        fs::write(folder.path().join("libonnxruntime_providers_shared.so"), "").unwrap();
        assert_eq!(search(&[folder.path().to_owned()]).unwrap(), library);
        assert_eq!(version(&library), "1.31.1");
    }

    #[test]
    fn what_is_not_found_names_the_folders_and_the_remedy() {
        let error = search(&["/nowhere".into(), ".nothing".into()]).unwrap_err().to_string();
        assert!(error.contains("`/nowhere` and in `.nothing` of the current folder"), "{error}");
        assert!(error.contains("make runtime"), "{error}");
    }

    #[test]
    fn a_named_file_that_is_missing_is_not_replaced_by_another() {
        let error = locate(Some(Path::new("/nowhere/lib.so"))).unwrap_err().to_string();
        assert!(error.contains("--onnxruntime says `/nowhere/lib.so`"), "{error}");
    }
}
