//! The words by which data sets name a model's classes.

use std::collections::HashMap;

use crate::model::Label;

/// Finds classes by id, label or number.
pub struct Classes {
    labels: Vec<Label>,
    by_id: HashMap<String, usize>,
    /// Those of several classes have none.
    by_label: HashMap<String, Option<usize>>,
}

impl Classes {
    /// The classes of a model, in the order of its outputs.
    #[must_use]
    pub fn new(labels: Vec<Label>) -> Self {
        let mut by_label = HashMap::new();
        for (class, label) in labels.iter().enumerate() {
            let class = if by_label.contains_key(&label.text) { None } else { Some(class) };
            by_label.insert(label.text.clone(), class);
        }
        let ids = labels.iter().enumerate();
        let by_id = ids.map(|(class, label)| (label.id.clone(), class)).collect();
        Self { labels, by_id, by_label }
    }

    /// The class of that id or label; a number is one where it is neither.
    ///
    /// # Errors
    ///
    /// A sentence, when there is none or more than one.
    pub fn find(&self, word: &str) -> Result<usize, String> {
        if let Some(class) = self.by_id.get(word) {
            return Ok(*class);
        }
        match self.by_label.get(word) {
            Some(Some(class)) => return Ok(*class),
            Some(None) => return Err(format!("`{word}` is the label of several classes; use ids")),
            None => (),
        }
        let number = word.parse().ok().filter(|number| *number < self.labels.len());
        number.ok_or_else(|| format!("`{word}` is no id, label or number of a class"))
    }

    /// How a class is called.
    #[must_use]
    pub fn label(&self, class: usize) -> &Label {
        &self.labels[class]
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.labels.len()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Two of them are called `crane`.
    pub(in crate::evaluation) fn birds() -> Classes {
        let label = |(id, text): (&str, &str)| Label { id: id.to_owned(), text: text.to_owned() };
        Classes::new([("n1", "crane"), ("n2", "tench, Tinca"), ("n3", "crane")].map(label).into())
    }

    #[test]
    fn a_class_has_an_id_a_label_and_a_number() {
        for word in ["n2", "tench, Tinca", "1"] {
            assert_eq!(birds().find(word), Ok(1), "{word}");
        }
    }

    #[test]
    fn a_word_for_no_class_or_for_several_is_an_error() {
        for word in ["n4", "Tench", "", "3", "-1"] {
            assert!(birds().find(word).unwrap_err().contains("no id, label or number"), "{word}");
        }
        assert!(birds().find("crane").unwrap_err().contains("several classes"));
    }
}
