//! `models/catalogue.toml`: pretrained networks that can be fetched.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use serde::Deserialize;
use thiserror::Error;
use toml::{Table, Value};

use super::digest::Sha256Hex;
use super::manifest::{Manifest, ModelName};

/// The catalogue of the repository, for a program that stands alone.
const BUILT_IN: &str = include_str!("../../models/catalogue.toml");

/// What can be fetched.
#[derive(Clone, Debug)]
pub struct Catalogue {
    /// In the order of the names.
    pub entries: Vec<Entry>,
}

/// One network.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Also the folder's name.
    pub name: ModelName,
    /// Where its graph is.
    pub url: String,
    /// What the graph must hash to.
    pub sha256: Sha256Hex,
    /// The graph's size.
    pub bytes: u64,
    /// As published, in per cent.
    pub top1: Option<f32>,
    /// As published, in per cent.
    pub top5: Option<f32>,
    /// `[input]`, `[preprocess]` and `[output]` of its `model.toml`.
    sections: Table,
}

/// A catalogue that cannot be used.
#[derive(Debug, Error)]
pub enum CatalogueError {
    /// The file cannot be read.
    #[error("cannot read the catalogue `{path}`: {cause}")]
    Read {
        /// The file.
        path: String,
        /// What the system says.
        cause: io::Error,
    },
    /// Its text is no catalogue.
    #[error("the catalogue `{path}` is not in order: {mistakes}")]
    Content {
        /// The file.
        path: String,
        /// One or more.
        mistakes: String,
    },
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    networks: BTreeMap<ModelName, WrittenEntry>,
    input: Table,
    preprocess: Table,
    output: Table,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenEntry {
    url: String,
    sha256: Sha256Hex,
    bytes: u64,
    top1: Option<f32>,
    top5: Option<f32>,
    #[serde(default)]
    input: Table,
    #[serde(default)]
    preprocess: Table,
    #[serde(default)]
    output: Table,
}

impl Catalogue {
    /// Reads a file; where it is not there and `required` is not set, the built-in one.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or an entry would make no `model.toml`.
    pub fn read(path: &Path, required: bool) -> Result<Self, CatalogueError> {
        let name = path.display().to_string();
        match fs::read_to_string(path) {
            Ok(text) => Self::parse(&text)
                .map_err(|mistakes| CatalogueError::Content { path: name, mistakes }),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound && !required => {
                let path = "built in".to_owned();
                Self::parse(BUILT_IN).map_err(|mistakes| CatalogueError::Content { path, mistakes })
            }
            Err(cause) => Err(CatalogueError::Read { path: name, cause }),
        }
    }

    /// The network of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.name.as_str() == name)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let written: Written = toml::from_str(text).map_err(|cause| cause.to_string())?;
        let usual = [written.input, written.preprocess, written.output];
        let entries = written.networks.into_iter();
        let entries: Vec<Entry> = entries.map(|(name, entry)| entry.named(name, &usual)).collect();
        for entry in &entries {
            Manifest::parse(&entry.manifest()).map_err(|mistakes| {
                format!("networks.{}: {}", entry.name.as_str(), mistakes.join("; "))
            })?;
        }
        Ok(Self { entries })
    }
}

impl WrittenEntry {
    /// Keys of the entry's own go before the usual ones.
    fn named(self, name: ModelName, usual: &[Table; 3]) -> Entry {
        let own = [self.input, self.preprocess, self.output];
        let merged = usual.iter().zip(own).map(|(usual, own)| {
            let mut section = usual.clone();
            section.extend(own);
            Value::Table(section)
        });
        let names = ["input", "preprocess", "output"].map(str::to_owned);
        Entry {
            name,
            url: self.url,
            sha256: self.sha256,
            bytes: self.bytes,
            top1: self.top1,
            top5: self.top5,
            sections: names.into_iter().zip(merged).collect(),
        }
    }
}

impl Entry {
    /// The text of its `model.toml`.
    #[must_use]
    pub fn manifest(&self) -> String {
        let (name, url, sha256) = (self.name.as_str(), &self.url, self.sha256.as_str());
        format!(
            "name = \"{name}\"\nversion = \"1\"\ntrained = true\n\n\
             [weights]\nfile = \"model.onnx\"\nsha256 = \"{sha256}\"\nsource = {}\n\n{}",
            Value::from(url.as_str()),
            self.sections
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = r#"
        [input]
        height = 224
        width = 224
        [preprocess]
        resize_shorter_side = 256
        mean = [0.5, 0.5, 0.5]
        std = [0.5, 0.5, 0.5]
        [output]
        labels = "labels.tsv"
        [networks.small]
        url = "https://example.org/small.onnx"
        sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
        bytes = 1_000
        [networks.small.input]
        height = 32
        width = 32
    "#;

    #[test]
    fn the_built_in_catalogue_has_the_networks_of_the_zoo() {
        let catalogue = Catalogue::read(Path::new("/nowhere"), false).unwrap();
        assert_eq!(catalogue.entries.len(), 15);
        let entry = catalogue.get("resnet50-v1-12").unwrap();
        assert_eq!((entry.bytes, entry.top1), (102_576_593, Some(74.97)));
        assert!(catalogue.entries.iter().all(|entry| entry.url.starts_with("https://")));
        let manifest = Manifest::parse(&entry.manifest()).unwrap();
        assert_eq!(manifest.weights.source.as_deref(), Some(entry.url.as_str()));
        assert_eq!(manifest.weights.sha256.unwrap(), entry.sha256);
        assert!(manifest.trained);
        assert_eq!(manifest.input.name, None, "files name their inputs differently");
    }

    #[test]
    fn an_entrys_own_keys_go_before_the_usual_ones() {
        let catalogue = Catalogue::parse(SMALL).unwrap();
        let manifest = Manifest::parse(&catalogue.get("small").unwrap().manifest()).unwrap();
        assert_eq!(manifest.input.height.get(), 32);
        assert_eq!(manifest.preprocess.resize_shorter_side.get(), 256);
    }

    #[test]
    fn an_entry_that_would_make_no_manifest_is_named() {
        let broken = SMALL.replace("height = 32", "height = 0\nhigh = 32");
        let mistakes = Catalogue::parse(&broken).unwrap_err();
        for part in ["networks.small: ", "input.height: ", "input.high: "] {
            assert!(mistakes.contains(part), "{mistakes}");
        }
        let misspelt = SMALL.replace("bytes =", "byte =");
        assert!(Catalogue::parse(&misspelt).unwrap_err().contains("unknown field `byte`"));
    }

    #[test]
    fn a_catalogue_that_is_named_must_be_there() {
        let error = Catalogue::read(Path::new("/nowhere"), true).unwrap_err().to_string();
        assert!(error.contains("`/nowhere`"), "{error}");
    }
}
