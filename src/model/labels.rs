//! The labels of a model's classes: a line per class, in order, `id<TAB>label`.

use std::fs;
use std::path::Path;

/// The name of one class.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Label {
    /// A short name for programs, as in `n02123045`.
    pub id: String,
    /// A name for people, as in `tabby, tabby cat`.
    pub text: String,
}

/// Reads a label file.
///
/// # Errors
///
/// A sentence that names the file, with all lines that are not `id<TAB>label`.
pub fn read(path: &Path) -> Result<Vec<Label>, String> {
    let text = fs::read_to_string(path)
        .map_err(|cause| format!("output.labels: cannot read `{}`: {cause}", path.display()))?;
    parse(&text).map_err(|lines| {
        let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
        format!(
            "output.labels: `{}` is not `id<TAB>label` in line {}",
            path.display(),
            lines.join(", ")
        )
    })
}

/// The labels, or the numbers of the lines that are none.
fn parse(text: &str) -> Result<Vec<Label>, Vec<usize>> {
    let mut labels = Vec::new();
    let mut bad_lines = Vec::new();
    for (index, line) in text.lines().enumerate() {
        match line.split_once('\t') {
            Some((id, label)) if !id.is_empty() && !label.is_empty() => {
                labels.push(Label { id: id.to_owned(), text: label.to_owned() });
            }
            _ => bad_lines.push(index + 1),
        }
    }
    if labels.is_empty() && bad_lines.is_empty() {
        bad_lines.push(1);
    }
    if bad_lines.is_empty() { Ok(labels) } else { Err(bad_lines) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_may_hold_commas_and_spaces() {
        let labels = parse("n01440764\ttench, Tinca tinca\n").unwrap();
        assert_eq!(labels[0].id, "n01440764");
        assert_eq!(labels[0].text, "tench, Tinca tinca");
    }

    #[test]
    fn every_bad_line_is_named() {
        assert_eq!(parse("a\tA\nno tab\n\nb\tB\n\tx"), Err(vec![2, 3, 5]));
    }

    #[test]
    fn an_empty_file_is_an_error() {
        assert_eq!(parse(""), Err(vec![1]));
    }
}
