//! By what a file is known to be another, without reading it.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::time::SystemTime;

/// What changes when a file is written, or when another is put in its place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FileState {
    /// A file that is moved into another's place has another.
    inode: u64,
    length: u64,
    modified: Option<SystemTime>,
}

impl From<&Metadata> for FileState {
    fn from(metadata: &Metadata) -> Self {
        Self { inode: metadata.ino(), length: metadata.len(), modified: metadata.modified().ok() }
    }
}
