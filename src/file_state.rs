//! By what a file is known to be another, without reading it.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::SystemTime;

/// What changes when a file is written, or when another is put in its place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FileState {
    /// A file that is moved into another's place has another.
    inode: u64,
    length: u64,
    modified: Option<SystemTime>,
}

impl FileState {
    /// Through links, as a mounted secret is swapped by; `None` where there is nothing.
    #[must_use]
    pub fn at(path: &Path) -> Option<Self> {
        fs::metadata(path).ok().as_ref().map(Self::from)
    }
}

impl From<&Metadata> for FileState {
    fn from(metadata: &Metadata) -> Self {
        Self { inode: metadata.ino(), length: metadata.len(), modified: metadata.modified().ok() }
    }
}

/// How something was when it was last read, and whether it is otherwise now.
pub struct Watched<T> {
    read: T,
    /// Otherwise than that, and perhaps still changing.
    changing: Option<T>,
}

impl<T: PartialEq> Watched<T> {
    /// As it is, about to be read.
    pub fn new(read: T) -> Self {
        Self { read, changing: None }
    }

    /// Whether it differs from what was read and no longer changes: what is half written is not
    /// found twice.
    pub fn has_changed(&mut self, now: T) -> bool {
        if now == self.read {
            self.changing = None;
            return false;
        }
        let rests = self.changing.as_ref() == Some(&now);
        self.changing = Some(now);
        rests
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_still_changes_is_waited_for_and_what_changes_back_is_no_change() {
        let mut watched = Watched::new(0);
        let looks = [1, 2, 0, 2, 2, 2].map(|now| watched.has_changed(now));
        assert_eq!(looks, [false, false, false, false, true, true]);
    }
}
