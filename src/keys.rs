//! Who may ask: API keys by name, and how much each may ask for.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use http::HeaderMap;
use http::header::AUTHORIZATION;
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};
use thiserror::Error;

mod file;
mod quota;
mod secret;

pub use file::{Name, NameError};
pub use quota::{Exceeded, Place};
pub use secret::{NewKey, SecretError};

use self::file::{Entry, Mistake};
use self::quota::Quota;
use crate::file_state::{FileState, Watched};

const API_KEY: &str = "x-api-key";
const BEARER: &[u8] = b"Bearer ";

/// The keys of a file, as it was last read. Clones are the same.
#[derive(Clone)]
pub struct Keys {
    path: PathBuf,
    ring: Arc<RwLock<Arc<[Key]>>>,
    seen: Arc<Mutex<Watched<Option<FileState>>>>,
}

/// A key that may ask.
#[derive(Clone)]
pub struct Key {
    entry: Entry,
    quota: Arc<Quota>,
}

/// What a client has sent is no key that may ask.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum Refused {
    /// It has sent none.
    #[error("an API key is needed: `Authorization: Bearer …` or `X-API-Key: …`")]
    Missing,
    /// It is in no line of the file.
    #[error("this API key is not known, or not any more")]
    Unknown,
}

/// A file of keys that cannot be used.
#[derive(Debug, Error)]
pub enum KeysError {
    /// It cannot be read.
    #[error("the API keys in `{}` cannot be read: {cause}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// Lines of it are no keys; all of them.
    #[error("{}", mistakes.iter().map(|mistake| format!("`{}`, {mistake}", path.display())).collect::<Vec<_>>().join("\n"))]
    Mistakes {
        /// The file.
        path: PathBuf,
        /// What is wrong, line by line.
        mistakes: Vec<Mistake>,
    },
}

impl Keys {
    /// Reads a file of keys.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, with every line that is no key, and for a file without keys.
    pub fn load(path: &Path) -> Result<Self, KeysError> {
        // Before the file is read: what changes meanwhile is read again.
        let seen = Arc::new(Mutex::new(Watched::new(FileState::at(path))));
        let entries = read(path)?;
        let ring: Arc<[Key]> = entries.into_iter().map(Key::new).collect();
        Ok(Self { path: path.to_owned(), ring: Arc::new(RwLock::new(ring)), seen })
    }

    /// Whether the file is another than when it was last read, well or not, and no longer changes:
    /// half of it would take back the keys of the other half.
    #[must_use]
    pub fn has_changed(&self) -> bool {
        self.seen().has_changed(FileState::at(&self.path))
    }

    /// Reads the file anew. A key that has not changed keeps what it has used of its quota.
    ///
    /// # Errors
    ///
    /// As [`Keys::load`]; then the keys stay as they were.
    pub fn reload(&self) -> Result<(), KeysError> {
        *self.seen() = Watched::new(FileState::at(&self.path));
        let entries = read(&self.path)?;
        let old = self.ring();
        let kept = |entry: Entry| {
            let same = old.iter().find(|key| key.entry == entry).cloned();
            same.unwrap_or_else(|| Key::new(entry))
        };
        let ring: Arc<[Key]> = entries.into_iter().map(kept).collect();
        *self.ring.write().unwrap_or_else(PoisonError::into_inner) = ring;
        Ok(())
    }

    /// Finds the key that a client has sent.
    ///
    /// # Errors
    ///
    /// When it has sent none, or one that is not in the file.
    pub fn find(&self, sent: Option<&[u8]>) -> Result<Key, Refused> {
        let digest: [u8; 32] = Sha256::digest(sent.ok_or(Refused::Missing)?).into();
        // Every key is compared, each to its end, so that the time tells nothing about any.
        let ring = self.ring();
        let found = ring.iter().fold(None, |found, key| {
            let same: Choice = key.entry.digest.ct_eq(&digest);
            if bool::from(same) { Some(key) } else { found }
        });
        found.cloned().ok_or(Refused::Unknown)
    }

    /// Finds the key in the headers of a request; the names of schemes are the same in any case
    /// (RFC 9110).
    ///
    /// # Errors
    ///
    /// As [`Keys::find`].
    pub fn find_in(&self, headers: &HeaderMap) -> Result<Key, Refused> {
        let bearer = headers.get(AUTHORIZATION).and_then(|value| {
            let (scheme, key) = value.as_bytes().split_at_checked(BEARER.len())?;
            scheme.eq_ignore_ascii_case(BEARER).then(|| key.trim_ascii())
        });
        let header = || headers.get(API_KEY).map(|value| value.as_bytes().trim_ascii());
        self.find(bearer.or_else(header))
    }

    fn seen(&self) -> MutexGuard<'_, Watched<Option<FileState>>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ring(&self) -> Arc<[Key]> {
        Arc::clone(&self.ring.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Key {
    fn new(entry: Entry) -> Self {
        let quota = Arc::new(Quota::new(entry.limits));
        Self { entry, quota }
    }

    /// Whose it is.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.entry.name
    }

    /// Counts a request that begins; it ends with the place.
    ///
    /// # Errors
    ///
    /// When the key has used up its quota.
    pub fn take(&self) -> Result<Place, Exceeded> {
        self.quota.take()
    }
}

fn read(path: &Path) -> Result<Vec<Entry>, KeysError> {
    let path = path.to_owned();
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(cause) => return Err(KeysError::Unreadable { path, cause }),
    };
    file::parse(&text).map_err(|mistakes| KeysError::Mistakes { path, mistakes })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// Alice's key is `alice`, Bob's is `bob`.
    const ALICE: &str = "alice:2bd806c97f0e00af1a1fc3328fa763a9269723c8db8fac4f93af71db186d6e90";
    const BOB: &str = "bob:81b637d8fcd2c6da6359e6963113a1170de795e4b725b84d1e0b4cfd9ec58ce9";

    fn keys(text: &str) -> (tempfile::NamedTempFile, Keys) {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(&file, text).unwrap();
        let keys = Keys::load(file.path()).unwrap();
        (file, keys)
    }

    fn name(keys: &Keys, sent: &str) -> Result<String, Refused> {
        keys.find(Some(sent.as_bytes())).map(|key| key.name().to_string())
    }

    #[test]
    fn a_key_is_found_by_its_digest_alone() {
        let (_file, keys) = keys(&format!("{ALICE}\n{BOB}\n"));
        assert_eq!(name(&keys, "alice"), Ok("alice".to_owned()));
        assert_eq!(name(&keys, "bob"), Ok("bob".to_owned()));
        for wrong in ["", "Alice", "alice ", &ALICE["alice:".len()..], ALICE] {
            assert_eq!(name(&keys, wrong), Err(Refused::Unknown), "{wrong}");
        }
        assert_eq!(keys.find(None).map(|_| ()), Err(Refused::Missing));
    }

    #[test]
    fn a_key_that_is_gone_from_the_file_is_gone_when_it_is_read_anew() {
        let (file, keys) = keys(&format!("{ALICE}\n{BOB}\n"));
        fs::write(&file, BOB).unwrap();
        assert!(name(&keys, "alice").is_ok(), "not read yet");
        keys.reload().unwrap();
        assert_eq!(name(&keys, "alice"), Err(Refused::Unknown));
        assert!(name(&keys, "bob").is_ok());
    }

    #[test]
    fn a_file_that_is_broken_when_it_is_read_anew_changes_nothing() {
        let (file, keys) = keys(ALICE);
        fs::write(&file, "alice:12").unwrap();
        assert!(keys.reload().unwrap_err().to_string().contains("line 1"));
        assert!(name(&keys, "alice").is_ok());
        drop(file);
        assert!(keys.reload().unwrap_err().to_string().contains("cannot be read"));
        assert!(name(&keys, "alice").is_ok());
    }

    /// What two looks in a row say.
    fn looks(keys: &Keys) -> [bool; 2] {
        [keys.has_changed(), keys.has_changed()]
    }

    #[test]
    fn another_file_is_noticed_when_it_rests_and_read_once_even_if_it_is_broken() {
        let (file, keys) = keys(ALICE);
        assert_eq!(looks(&keys), [false, false]);
        fs::write(&file, "alice:12").unwrap();
        assert_eq!(looks(&keys), [false, true]);
        assert!(keys.reload().is_err());
        assert_eq!(looks(&keys), [false, false]);
        drop(file);
        assert_eq!(looks(&keys), [false, true], "it is gone");
    }

    #[test]
    fn a_secret_that_is_mounted_and_swapped_by_its_link_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for (version, line) in [("1", ALICE), ("2", BOB)] {
            fs::create_dir(path(version)).unwrap();
            fs::write(path(version).join("keys"), line).unwrap();
        }
        symlink("1", path("..data")).unwrap();
        symlink("..data/keys", path("keys")).unwrap();
        let keys = Keys::load(&path("keys")).unwrap();
        symlink("2", path("..new")).unwrap();
        fs::rename(path("..new"), path("..data")).unwrap();
        assert_eq!(looks(&keys), [false, true]);
        keys.reload().unwrap();
        assert!(name(&keys, "bob").is_ok());
        assert_eq!(name(&keys, "alice"), Err(Refused::Unknown));
        assert_eq!(looks(&keys), [false, false]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_quota_that_is_used_up_is_not_renewed_by_reading_the_file() {
        let (file, keys) = keys(&format!("{ALICE}:rate=1"));
        assert!(keys.find(Some(b"alice")).unwrap().take().is_ok());
        keys.reload().unwrap();
        assert!(keys.find(Some(b"alice")).unwrap().take().is_err());
        fs::write(&file, format!("{ALICE}:rate=2")).unwrap();
        keys.reload().unwrap();
        assert!(keys.find(Some(b"alice")).unwrap().take().is_ok(), "another quota is a new one");
    }
}
