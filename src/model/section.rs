//! Reads the keys of a TOML table, collecting every mistake instead of stopping at the first.

use serde::de::DeserializeOwned;
use toml::{Table, Value};

/// One table of the file, from which keys are taken until none is left.
pub(super) struct Section<'a> {
    prefix: String,
    table: Table,
    mistakes: &'a mut Vec<String>,
}

impl<'a> Section<'a> {
    /// The file's top level.
    pub(super) fn root(table: Table, mistakes: &'a mut Vec<String>) -> Self {
        Self { prefix: String::new(), table, mistakes }
    }

    /// A table inside this one; empty where it is missing, so that its keys are reported.
    pub(super) fn section(&mut self, name: &str) -> Section<'_> {
        let table = match self.table.remove(name) {
            Some(Value::Table(table)) => table,
            Some(_) => {
                self.mistake(name, "must be a section, as in `[section]`");
                Table::new()
            }
            None => Table::new(),
        };
        Section { prefix: format!("{}{name}.", self.prefix), table, mistakes: self.mistakes }
    }

    /// Whether a key or section is there.
    pub(super) fn contains(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// A key that must be there.
    pub(super) fn required<T: DeserializeOwned>(&mut self, key: &str) -> Option<T> {
        if !self.table.contains_key(key) {
            self.mistake(key, "is missing");
            return None;
        }
        self.optional(key)
    }

    /// A key that may be there.
    pub(super) fn optional<T: DeserializeOwned>(&mut self, key: &str) -> Option<T> {
        let value = self.table.remove(key)?;
        value.try_into().map_err(|cause| self.mistake(key, first_line(&cause))).ok()
    }

    /// Notes what is wrong with a key.
    pub(super) fn mistake(&mut self, key: &str, problem: impl std::fmt::Display) {
        self.mistakes.push(format!("{}{key}: {problem}", self.prefix));
    }

    /// Reports the keys that nobody asked for.
    pub(super) fn finish(mut self) {
        let unknown: Vec<String> = self.table.keys().cloned().collect();
        for key in unknown {
            self.mistake(&key, "is not known");
        }
    }
}

fn first_line(cause: &toml::de::Error) -> String {
    cause.message().lines().next().unwrap_or_default().to_owned()
}
