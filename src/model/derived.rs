//! The `model.toml` of a model that was made of another.

use toml_edit::{DocumentMut, Item, Table, value};

use super::Manifest;

/// Names of files in the new folder.
pub const GRAPH: &str = "model.onnx";
/// The labels.
pub const LABELS: &str = "labels.tsv";

/// The text of another model's `model.toml`, with everything that it says of pictures and answers, under
/// another name and for another graph.
///
/// # Errors
///
/// All mistakes in what comes out, such as a name that is none.
pub fn manifest(original: &str, name: &str, sha256: &str) -> Result<String, Vec<String>> {
    let parsed = original.parse::<DocumentMut>();
    let mut document = parsed.map_err(|cause| vec![cause.to_string()])?;
    document["name"] = value(name);
    let mut weights = Table::new();
    weights["file"] = value(GRAPH);
    weights["sha256"] = value(sha256);
    // In the place of the old one, so that the sections keep their order.
    let position = document.get("weights").and_then(Item::as_table).and_then(Table::position);
    weights.set_position(position);
    weights.decor_mut().set_prefix("\n");
    document["weights"] = Item::Table(weights);
    document["output"]["labels"] = value(LABELS);
    let text = document.to_string();
    Manifest::parse(&text).map(|_| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGINAL: &str = r#"name = "two"
version = "7"
trained = false # random

[weights]
file = "graphs/two.onnx"
source = "https://example.com/two.onnx"

[weights.build]
network = "resnet18"

[input]
height = 4
width = 4

[preprocess]
resize_shorter_side = 4
mean = [0.5, 0.5, 0.5]
std = [0.5, 0.5, 0.5]

[output]
labels = "../labels.tsv" # shared
"#;

    #[test]
    fn all_but_name_graph_and_labels_stays_word_for_word() {
        let hash = "ab".repeat(32);
        let text = manifest(ORIGINAL, "two-int8", &hash).unwrap();
        let expected = ORIGINAL
            .replace("\"two\"", "\"two-int8\"")
            .replace("graphs/two.onnx", "model.onnx")
            .replace("source = \"https://example.com/two.onnx\"", &format!("sha256 = \"{hash}\""))
            .replace("\n[weights.build]\nnetwork = \"resnet18\"\n", "")
            .replace("\"../labels.tsv\" # shared", "\"labels.tsv\"");
        assert_eq!(text, expected);
    }

    #[test]
    fn a_name_that_is_none_is_refused() {
        let mistakes = manifest(ORIGINAL, "two int8", &"ab".repeat(32)).unwrap_err();
        assert!(mistakes[0].contains("name"), "{mistakes:?}");
        assert!(manifest("name = ", "two", "").is_err());
    }
}
