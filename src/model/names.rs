//! What can stand in a path, a URL and a metric's label.

use std::str::FromStr;

use serde::Deserialize;

/// What a model is asked for by.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[serde(try_from = "String")]
pub struct ModelName(String);

impl ModelName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ModelName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        fit_for_a_url(name).map(Self)
    }
}

impl FromStr for ModelName {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        name.to_owned().try_into()
    }
}

/// What tells a model from what had its name before.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Version(pub(super) String);

impl TryFrom<String> for Version {
    type Error = String;

    fn try_from(version: String) -> Result<Self, String> {
        fit_for_a_url(version).map(Self)
    }
}

fn fit_for_a_url(text: String) -> Result<String, String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if (1..=64).contains(&text.len()) && text.bytes().all(allowed) {
        Ok(text)
    } else {
        Err(format!("`{text}` is not made of 1 to 64 letters, digits, `.`, `_` and `-`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_not_fit_into_a_url_is_refused() {
        for text in ["", "a b", "a/b", "ä", &"a".repeat(65)] {
            let said = Version::try_from(text.to_owned()).unwrap_err();
            assert!(said.contains(&format!("`{text}`")), "{said}");
            assert!(ModelName::try_from(text.to_owned()).is_err());
        }
        assert_eq!(Version::try_from("2026-03.b_1".to_owned()).unwrap().0, "2026-03.b_1");
    }
}
