//! The part of a file that is there so far.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Seek as _, Write as _};
use std::path::{Path, PathBuf};

use super::{FetchError, Wanted};
use crate::model::digest::{self, Hasher};

/// `NAME.part`, held by this process alone; removed when nothing is in it.
pub(super) struct Part {
    path: PathBuf,
    file: File,
    hasher: Hasher,
    length: u64,
    found: u64,
    /// The folder, where it was made for this file.
    made: Option<PathBuf>,
}

impl Part {
    /// Opens the part beside a file's place and reads what is there of it.
    pub(super) fn open(target: &Path) -> Result<Self, FetchError> {
        let mut name = target.file_name().unwrap_or_default().to_owned();
        name.push(".part");
        let path = target.with_file_name(name);
        let failed = |cause| FetchError::write(&path, cause);
        let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty());
        let made = folder.filter(|folder| !folder.exists()).map(Path::to_owned);
        fs::create_dir_all(folder.unwrap_or(Path::new("."))).map_err(failed)?;
        let options = OpenOptions::new().read(true).append(true).create(true).clone();
        let mut file = options.open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => (),
            Err(TryLockError::WouldBlock) => return Err(FetchError::Busy(path)),
            // Some file systems have no locks; then nobody else is noticed.
            Err(TryLockError::Error(cause)) => tracing::debug!(%cause, "no lock"),
        }
        let mut hasher = Hasher::default();
        let length = digest::read_into(&mut hasher, &mut file).map_err(failed)?;
        Ok(Self { path, file, hasher, length, found: length, made })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes that are there.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Whether more is there than was found.
    pub(super) fn has_grown(&self) -> bool {
        self.length > self.found
    }

    /// Whether nothing is left to be transferred, as far as that is known.
    pub(super) fn is_complete(&self, wanted: &Wanted) -> bool {
        wanted.bytes == Some(self.length)
    }

    /// Of what is there, in hexadecimal.
    pub(super) fn sha256(&self) -> String {
        self.hasher.digits()
    }

    /// Forgets what is there.
    pub(super) fn restart(&mut self) -> Result<(), FetchError> {
        let emptied = self.file.set_len(0).and_then(|()| self.file.rewind());
        emptied.map_err(|cause| FetchError::write(&self.path, cause))?;
        self.hasher = Hasher::default();
        (self.length, self.found) = (0, 0);
        Ok(())
    }

    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), FetchError> {
        if let Err(cause) = self.file.write_all(bytes) {
            // Some of it may be there; what is counted and hashed is all that may be relied on.
            let _ = self.file.set_len(self.length);
            return Err(FetchError::write(&self.path, cause));
        }
        self.hasher.update(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Moves the whole file to its place, after the disk has it.
    pub(super) fn finish(mut self, target: &Path) -> Result<(), FetchError> {
        let moved = self.file.sync_all().and_then(|()| fs::rename(&self.path, target));
        moved.map_err(|cause| FetchError::write(target, cause))?;
        self.made = None;
        Ok(())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // An empty part is of no use to anyone; what cannot be removed is not worth an error.
        if self.length == 0 {
            let _ = fs::remove_file(&self.path);
            if let Some(folder) = &self.made {
                let _ = fs::remove_dir(folder);
            }
        }
    }
}
