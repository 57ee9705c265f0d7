//! `model selftest` and what it makes a start notice.

use std::fs;
use std::process::Output;

use crate::support::{SmallModel, run, stderr, stdout};

fn tested() -> SmallModel {
    let model = SmallModel::build();
    let output = run(&["model", "selftest", &model.argument()]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stdout(&output).contains("selftest.toml"), "{}", stdout(&output));
    model
}

fn check(model: &SmallModel) -> Output {
    run(&["serve", "--check", "--model", &model.argument()])
}

/// A start is refused, and says all of this.
fn assert_refused(model: &SmallModel, words: &[&str]) {
    let output = check(model);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(said.contains("the self-test of the model `cifar-resnet20` failed"), "{said}");
    for word in words {
        assert!(said.contains(word), "{word}: {said}");
    }
}

fn edit(model: &SmallModel, file: &str, (from, to): (&str, &str)) {
    let path = model.path().join(file);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(path, text.replacen(from, to, 1)).unwrap();
}

#[test]
fn a_model_that_has_not_changed_starts_and_its_test_is_the_same_each_time() {
    let model = tested();
    let first = fs::read(model.path().join("selftest.toml")).unwrap();
    let output = check(&model);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(run(&["model", "selftest", &model.argument()]).status.success());
    assert_eq!(fs::read(model.path().join("selftest.toml")).unwrap(), first);
}

#[test]
fn another_resize_is_refused_for_its_pixels() {
    let model = tested();
    edit(&model, "model.toml", ("\"bilinear\"", "\"bicubic\""));
    assert_refused(&model, &["the pixels differ by up to", "levels", "SHA-256"]);
}

#[test]
fn other_weights_are_refused_for_their_logits() {
    let model = tested();
    let other = ["model", "build", "cifar-resnet20", "--force", "--seed=9", "-o"];
    assert!(run(&[&other[..], &[&model.argument()]].concat()).status.success());
    assert_refused(&model, &["the pixels are as they were", "the logits differ by up to"]);
    assert!(run(&["model", "selftest", &model.argument()]).status.success());
    assert!(check(&model).status.success(), "a change that is meant is written down anew");
}

#[test]
fn another_normalisation_is_refused_for_its_logits() {
    let model = tested();
    edit(&model, "model.toml", ("mean = [0.4914", "mean = [0.6"));
    assert_refused(&model, &["the logits differ by up to", "is allowed"]);
}

#[test]
fn scores_that_are_no_numbers_are_not_written_down() {
    let model = tested();
    edit(&model, "model.toml", ("std = [0.2", "std = [1e-38, 1e-38, 1e-38] # [0.2"));
    let output = run(&["model", "selftest", &model.argument()]);
    assert_ne!(output.status.code(), Some(0));
    assert!(stderr(&output).contains("no finite numbers"), "{}", stderr(&output));
}

#[test]
fn a_test_that_cannot_be_read_is_no_test_that_was_passed() {
    let model = tested();
    edit(&model, "selftest.toml", ("[logits]", "[loggits]"));
    assert_refused(&model, &["selftest.toml`", "loggits"]);
}

#[test]
fn the_model_of_the_repository_is_what_it_was() {
    let output = run(&["serve", "--check", "--model", "models/cifar10-resnet20"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(fs::exists("models/cifar10-resnet20/selftest.toml").unwrap());
}
