//! The SHA-256 of a graph, found on a thread of its own: the runtime reads the same file meanwhile.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};

use super::digest;

/// A hash that is known, or will be. Clones are the same.
#[derive(Clone, Debug)]
pub(super) struct Fingerprint(Arc<Finding>);

#[derive(Debug)]
struct Finding {
    found: OnceLock<Result<String, String>>,
    thread: Mutex<Option<JoinHandle<io::Result<String>>>>,
}

impl Fingerprint {
    /// Begins to read the file; reads all of it where the system gives no thread.
    ///
    /// # Errors
    ///
    /// When it cannot be opened.
    pub(super) fn begin(file: &Path) -> io::Result<Self> {
        let mut opened = File::open(file)?;
        let work = move || digest::sha256_of_opened(&mut opened);
        match thread::Builder::new().name("fingerprint".to_owned()).spawn(work) {
            Ok(thread) => {
                let (found, thread) = (OnceLock::new(), Mutex::new(Some(thread)));
                Ok(Self(Arc::new(Finding { found, thread })))
            }
            Err(_) => digest::sha256_of_file(file).map(Self::known),
        }
    }

    pub(super) fn known(digits: String) -> Self {
        let (found, thread) = (OnceLock::from(Ok(digits)), Mutex::new(None));
        Self(Arc::new(Finding { found, thread }))
    }

    /// The hash, in hexadecimal, or why the file could not be read; waits until it is found.
    pub(super) fn wait(&self) -> Result<&str, &str> {
        let find = || {
            let thread = self.0.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
            let found = thread.and_then(|thread| thread.join().ok());
            let lost = || Err(io::Error::other("its reader has panicked"));
            found.unwrap_or_else(lost).map_err(|cause| cause.to_string())
        };
        self.0.found.get_or_init(find).as_deref().map_err(String::as_str)
    }
}
