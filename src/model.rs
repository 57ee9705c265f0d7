//! A model as a folder: `model.toml` and the files that it names.

pub mod manifest;
