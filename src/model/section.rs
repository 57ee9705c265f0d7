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

/// What the reader says in words of Rust, and in those of whoever writes the file.
const PLAIN: [(&str, &str); 6] = [
    ("a nonzero u32", "a whole number from 1 on"),
    ("expected u64", "expected a whole number"),
    ("expected f32", "expected a number"),
    ("expected a boolean", "expected `true` or `false`"),
    ("an array of length 3", "a list of 3 numbers"),
    ("unknown variant", "unknown word"),
];

fn first_line(cause: &toml::de::Error) -> String {
    let line = cause.message().lines().next().unwrap_or_default();
    let plain = |line: String, (rust, words): &(&str, &str)| line.replace(rust, words);
    PLAIN.iter().fold(line.to_owned(), plain)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    /// What is said of a value where a `T` is due.
    fn mistake<T: DeserializeOwned>(value: &str) -> String {
        let mut mistakes = Vec::new();
        let table = format!("key = {value}").parse().unwrap();
        Section::root(table, &mut mistakes).required::<T>("key");
        mistakes.pop().unwrap()
    }

    #[test]
    fn what_is_due_is_said_without_a_word_of_rust() {
        let said = [mistake::<NonZeroU32>("0"), mistake::<NonZeroU32>("-224")];
        assert!(
            said.iter().all(|said| said.ends_with("expected a whole number from 1 on")),
            "{said:?}"
        );
        assert!(said[1].contains("`-224`"), "{said:?}");
        let said = mistake::<[f32; 3]>("[0.5, 0.5]");
        assert!(said.contains("a list of 3 numbers"), "{said}");
        let said = mistake::<bool>("\"no\"");
        assert!(said.ends_with("\"no\", expected `true` or `false`"), "{said}");
    }
}
