//! SHA-256 of files.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

/// A SHA-256 as 64 lower-case hexadecimal digits.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "String")]
pub struct Sha256Hex(String);

impl Sha256Hex {
    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Sha256Hex {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(format!("`{text}` is no SHA-256 of 64 hexadecimal digits"))
        }
    }
}

/// A SHA-256 in the making.
#[derive(Clone, Default)]
pub(super) struct Hasher(Sha256);

impl Hasher {
    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Of everything so far, in hexadecimal.
    pub(super) fn digits(&self) -> String {
        hex(&self.0.clone().finalize())
    }
}

/// The SHA-256 of bytes, in hexadecimal.
#[must_use]
pub fn sha256_of(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The SHA-256 of a file's bytes, in hexadecimal.
///
/// # Errors
///
/// When the file cannot be read.
pub fn sha256_of_file(path: &Path) -> io::Result<String> {
    sha256_of_opened(&mut File::open(path)?)
}

/// The same of what is left to read of a file.
pub(super) fn sha256_of_opened(file: &mut File) -> io::Result<String> {
    let mut hasher = Hasher::default();
    read_into(&mut hasher, file)?;
    Ok(hasher.digits())
}

/// Reads a file to its end; how many bytes that were.
pub(super) fn read_into(hasher: &mut Hasher, file: &mut File) -> io::Result<u64> {
    let mut chunk = vec![0; 1 << 20];
    let mut length = 0;
    loop {
        let read = file.read(&mut chunk)?;
        if read == 0 {
            return Ok(length);
        }
        hasher.update(&chunk[..read]);
        length += read as u64;
    }
}

/// Bytes as lower-case hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut digits, byte| {
        // Writing to a string cannot fail.
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}
