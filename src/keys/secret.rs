//! A key that is made here, with chance from the system.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use thiserror::Error;

use super::Name;
use crate::model::digest::sha256_of;

/// Says of a word what it is, where it turns up in a place that it should not.
const PREFIX: &str = "rsk_";

/// As many bytes as its digest has.
const BYTES: usize = 32;

/// A new key, and its line in the file.
pub struct NewKey {
    /// For the client, and kept nowhere.
    pub key: String,
    /// For the file.
    pub line: String,
}

/// The system gives no random bytes.
#[derive(Debug, Error)]
#[error("the system gives no random bytes: {0}")]
pub struct SecretError(getrandom::Error);

impl NewKey {
    /// Makes a key of 256 random bits.
    ///
    /// # Errors
    ///
    /// When the system gives none.
    pub fn of(name: &Name) -> Result<Self, SecretError> {
        let mut bytes = [0; BYTES];
        getrandom::fill(&mut bytes).map_err(SecretError)?;
        let key = format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(bytes));
        let line = format!("{name}:{}", sha256_of(key.as_bytes()));
        Ok(Self { key, line })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_keys_are_the_same_and_a_header_can_carry_them() {
        let name = "alice".parse().unwrap();
        let (one, other) = (NewKey::of(&name).unwrap(), NewKey::of(&name).unwrap());
        assert_ne!(one.key, other.key);
        assert_eq!(one.key.len(), PREFIX.len() + 43);
        assert!(one.key.bytes().all(|byte| byte.is_ascii_graphic()));
        assert_eq!(one.line, format!("alice:{}", sha256_of(one.key.as_bytes())));
    }
}
