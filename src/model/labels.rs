//! The labels of a model's classes: a line per class, in order, `id<TAB>label`.

use std::collections::HashMap;
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

/// Bad lines that are named.
const SHOWN: usize = 3;

/// Of a bad line.
const LONGEST_EXCERPT: usize = 60;

/// Reads a label file.
///
/// # Errors
///
/// A sentence that names the file, with the first lines that are not `id<TAB>label`, or with an id
/// that two classes have.
pub fn read(path: &Path) -> Result<Vec<Label>, String> {
    let text = fs::read_to_string(path)
        .map_err(|cause| format!("output.labels: cannot read `{}`: {cause}", path.display()))?;
    let labels = parse(&text).map_err(|lines| {
        let lines = told(&lines, &text);
        format!("output.labels: `{}` is not `id<TAB>label` in {lines}", path.display())
    })?;
    match twice(&labels) {
        None => Ok(labels),
        Some((id, [first, second])) => Err(format!(
            "output.labels: the id `{id}` is in lines {first} and {second} of `{}`",
            path.display()
        )),
    }
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

/// The first of the bad lines, how many there are, and what stands in the first.
fn told(lines: &[usize], text: &str) -> String {
    let numbers: Vec<String> = lines.iter().take(SHOWN).map(ToString::to_string).collect();
    let more = lines.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let first = lines.first().and_then(|line| text.lines().nth(line - 1)).unwrap_or_default();
    let excerpt: String = first.chars().take(LONGEST_EXCERPT).collect();
    format!("line {}{more}; line {} is `{excerpt}`", numbers.join(", "), numbers[0])
}

/// An id that is there twice, with its lines: of two classes of one name an evaluation would not
/// know which is meant.
fn twice(labels: &[Label]) -> Option<(&str, [usize; 2])> {
    let mut lines = HashMap::new();
    labels.iter().zip(1..).find_map(|(label, line)| {
        let id = label.id.as_str();
        lines.insert(id, line).map(|earlier| (id, [earlier, line]))
    })
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

    /// What is said of a file.
    fn mistake(text: &str) -> String {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(&file, text).unwrap();
        let said = read(file.path()).unwrap_err();
        said.replace(&file.path().display().to_string(), "FILE")
    }

    #[test]
    fn of_many_bad_lines_three_are_named_and_the_first_is_shown() {
        assert_eq!(
            mistake(&"tench, Tinca tinca\n".repeat(1000)),
            "output.labels: `FILE` is not `id<TAB>label` in line 1, 2, 3 and 997 more; line 1 is \
             `tench, Tinca tinca`"
        );
        let said = mistake(&format!("a\tA\n{}", "é".repeat(1000)));
        assert!(said.ends_with(&format!("line 2 is `{}`", "é".repeat(60))), "{said}");
    }

    #[test]
    fn an_id_of_two_classes_is_refused_with_both_lines() {
        let said = mistake("crane\tbird\nowl\tbird\ncrane\tmachine\n");
        assert_eq!(said, "output.labels: the id `crane` is in lines 1 and 3 of `FILE`");
    }

    #[test]
    fn an_empty_file_is_an_error() {
        assert_eq!(parse(""), Err(vec![1]));
    }
}
