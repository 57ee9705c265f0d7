//! Graphs that end otherwise than `output.activation` says.

use std::fs;

use serde_json::Value;

use crate::support::{SmallModel, run, stderr, stdout};

/// A field of ONNX's format: a text, or a message that is written already.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2, u8::try_from(content.len()).unwrap()];
    assert!(content.len() < 128, "its length is one byte");
    bytes.extend_from_slice(content);
    bytes
}

/// What makes a graph whose `logits` are `[n, 10]` end in a softmax, when it stands behind the graph.
fn softmax() -> Vec<u8> {
    let size = |content: &[u8]| field(1, content);
    let shape = [size(&field(2, b"batch")), size(&[0x08, 10])].concat();
    let of_floats = [vec![0x08, 1], field(2, &shape)].concat();
    let output = [field(1, b"probabilities"), field(2, &field(1, &of_floats))].concat();
    let node = [field(1, b"logits"), field(2, b"probabilities"), field(4, b"Softmax")].concat();
    let graph = [field(1, &node), field(12, &output)].concat();
    field(7, &graph)
}

/// A model whose graph gives probabilities, and whose `model.toml` has that activation.
fn ending_in_softmax(activation: &str) -> SmallModel {
    let model = SmallModel::build();
    let graph = model.path().join("model.onnx");
    fs::write(&graph, [fs::read(&graph).unwrap(), softmax()].concat()).unwrap();
    let output = "name = \"logits\"\nactivation = \"softmax\"";
    let other = format!("name = \"probabilities\"\nactivation = \"{activation}\"");
    edit(&model, |text| text.replace(output, &other));
    model
}

fn edit(model: &SmallModel, change: impl Fn(String) -> String) {
    let path = model.path().join("model.toml");
    let text = fs::read_to_string(&path).unwrap();
    let kept: Vec<&str> = text.lines().filter(|line| !line.starts_with("sha256")).collect();
    fs::write(path, change(kept.join("\n"))).unwrap();
}

fn refused(arguments: &[&str]) -> String {
    let output = run(arguments);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(78), "{said}");
    said
}

#[test]
fn logits_that_are_served_as_probabilities_are_refused() {
    let model = SmallModel::build();
    edit(&model, |text| text.replace("\"softmax\"", "\"none\""));
    let folder = model.argument();
    for arguments in
        [["serve", "--check", "--model", &folder].as_slice(), &["model", "selftest", &folder]]
    {
        let said = refused(arguments);
        assert!(said.contains("output.activation: the graph's numbers are no prob"), "{said}");
        assert!(said.contains("\"softmax\" makes them so"), "{said}");
    }
}

#[test]
fn probabilities_that_would_become_some_again_are_refused() {
    let model = ending_in_softmax("softmax");
    let said = refused(&["serve", "--check", "--model", &model.argument()]);
    assert!(said.contains("output.activation: "), "{said}");
    assert!(said.contains("are probabilities already") && said.contains("\"none\""), "{said}");
}

#[test]
fn probabilities_of_a_graph_are_answered_as_they_are() {
    let (model, logits) = (ending_in_softmax("none"), SmallModel::build());
    let picture = model.picture("a.png");
    let answer = |folder: &str| -> Vec<f64> {
        let output = run(&["classify", "--json", "--top-k=10", "--model", folder, &picture]);
        assert!(output.status.success(), "{}", stderr(&output));
        let answer: Value = serde_json::from_str(&stdout(&output)).unwrap();
        let predictions = answer["results"][0]["predictions"].as_array().unwrap().clone();
        predictions.iter().map(|found| found["probability"].as_f64().unwrap()).collect()
    };
    let (of_graph, of_logits) = (answer(&model.argument()), answer(&logits.argument()));
    assert!((of_graph.iter().sum::<f64>() - 1.0).abs() < 1e-5, "{of_graph:?}");
    for (one, other) in of_graph.iter().zip(&of_logits) {
        assert!((one - other).abs() < 1e-5, "{of_graph:?} {of_logits:?}");
    }
}

#[test]
fn a_member_of_an_ensemble_is_tried_by_itself() {
    let model = ending_in_softmax("softmax");
    let other = model.path().with_file_name("other");
    let built = run(&["model", "build", "cifar-resnet20", "-o", other.to_str().unwrap()]);
    assert!(built.status.success(), "{}", stderr(&built));
    let folder = model.path().with_file_name("both");
    fs::create_dir(&folder).unwrap();
    let manifest = "name = \"both\"\nversion = \"1\"\ntrained = false\n\
        [ensemble]\nmembers = [\"other\", \"small\"]\n";
    fs::write(folder.join("model.toml"), manifest).unwrap();
    let said = refused(&["serve", "--check", "--model", folder.to_str().unwrap()]);
    assert!(said.contains("small/model.onnx") && said.contains("output.activation"), "{said}");
}
