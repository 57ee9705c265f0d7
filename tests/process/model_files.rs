//! `model build` and `model inspect`: what they write, print and refuse.

use std::fs;
use std::process::Output;

use resnet_serve::inference::EngineFactory as _;
use resnet_serve::inference::onnx::OnnxRuntime;
use resnet_serve::inference::provider::Provider;
use resnet_serve::model::Model;
use serde_json::Value;

use crate::support::{SmallModel, run, stderr, stdout};

fn build(network: &str, folder: &str, options: &[&str]) -> Output {
    run(&[&["model", "build", network, "-o", folder], options].concat())
}

/// That a command ended with `code` and said `what` on standard error.
fn assert_refused(output: &Output, code: i32, what: &str) {
    let said = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(what), "{said}");
}

#[test]
fn an_engine_is_built_anew_from_the_bytes_that_were_loaded_and_no_others() {
    let model = SmallModel::build();
    let loaded = std::sync::Arc::new(Model::load(&model.path()).unwrap());
    let runtime = OnnxRuntime::load(None).unwrap();
    let sessions = runtime.sessions(loaded, (Provider::Cpu, None), 1);
    assert!(sessions.create().is_ok());
    let other = SmallModel::build_with(&["--seed=7"]);
    fs::copy(other.path().join("model.onnx"), model.path().join("model.onnx")).unwrap();
    let refused = sessions.create().err().unwrap().to_string();
    assert!(refused.contains("is no longer what was loaded"), "{refused}");
}

#[test]
fn a_model_folder_is_written_and_its_figures_are_printed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("new/model");
    let output = build("cifar-resnet20", folder.to_str().unwrap(), &[]);
    assert!(output.status.success(), "{}", stderr(&output));
    let printed = stdout(&output);
    for figure in ["20 layers with weights", "269,722", "40,551,040 (40.6 M)"] {
        assert!(printed.contains(figure), "{printed}");
    }
    let mut names: Vec<_> = fs::read_dir(&folder).unwrap().collect::<Result<_, _>>().unwrap();
    names.sort_by_key(fs::DirEntry::file_name);
    let names: Vec<_> = names.iter().map(fs::DirEntry::file_name).collect();
    assert_eq!(names, ["labels.tsv", "model.onnx", "model.toml"]);
    let manifest = fs::read_to_string(folder.join("model.toml")).unwrap();
    assert!(manifest.contains("trained = false"), "{manifest}");
}

#[test]
fn a_graph_that_is_there_is_replaced_only_by_force() {
    let model = SmallModel::build();
    let again = build("cifar-resnet20", &model.argument(), &[]);
    assert_refused(&again, 78, "is there already; --force replaces it");
    let forced = build("cifar-resnet20", &model.argument(), &["--force"]);
    assert!(forced.status.success(), "{}", stderr(&forced));
    assert!(!stdout(&forced).contains("Kept"), "{}", stdout(&forced));
}

#[test]
fn a_folder_that_was_replaced_can_be_served() {
    let model = SmallModel::build();
    let forced = build("cifar-resnet20", &model.argument(), &["--force", "--classes", "3"]);
    assert!(forced.status.success(), "{}", stderr(&forced));
    assert!(stdout(&forced).contains("numbers for names"), "{}", stdout(&forced));
    let check = run(&["serve", "--check", "--model", &model.argument()]);
    assert!(check.status.success(), "{}", stderr(&check));
}

#[test]
fn a_kept_manifest_with_the_hash_of_another_graph_is_pointed_out() {
    let model = SmallModel::build();
    fs::remove_file(model.path().join("model.onnx")).unwrap();
    let output = build("cifar-resnet20", &model.argument(), &["--seed", "9"]);
    let printed = stdout(&output);
    assert!(printed.contains("the new file's sha256"), "{printed}");
}

#[test]
fn what_cannot_be_built_is_said_in_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("model").display().to_string();
    let refused = |network: &str, options: &[&str], code, what: &str| {
        assert_refused(&build(network, &target, options), code, what);
    };
    refused("resnet51", &[], 2, "the networks are plain18, plain34, resnet18");
    refused("resnet18", &["--classes", "0"], 78, "classes is 0; it must be from 1 to 100000");
    refused("resnet18", &["--upscale", "0"], 78, "upscale is 0; it must be from 1 to 16");
    refused("resnet18", &["--variant", "v1"], 78, "no bottleneck blocks");
    refused("plain18", &["--shortcut", "a"], 78, "no shortcuts");
    refused("resnet18", &["--shortcut", "d"], 2, "possible values: a, b, c");
    refused("resnet18", &["--weights", "/nowhere"], 78, "cannot read the weights `/nowhere`");
    assert!(!folder.path().join("model").exists(), "nothing is left of what failed");
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let inside = file.join("model").display().to_string();
    assert_refused(&build("cifar-resnet20", &inside, &[]), 78, &inside);
}

#[test]
fn a_folder_and_its_file_are_inspected_alike() {
    let model = SmallModel::build();
    let file = model.path().join("model.onnx").display().to_string();
    let by_folder = run(&["model", "inspect", &model.argument(), "--json"]);
    let by_file = run(&["model", "inspect", &file, "--json"]);
    assert_eq!(stdout(&by_folder), stdout(&by_file));
    let printed: Value = serde_json::from_str(&stdout(&by_folder)).unwrap();
    assert_eq!(printed["depth"], 20);
    assert_eq!(printed["parameters"]["unfolded"], 269_722);
}

#[test]
fn what_is_no_graph_cannot_be_inspected() {
    let model = SmallModel::build();
    let text = model.file("text.onnx", b"<html></html>");
    assert_refused(&run(&["model", "inspect", &text]), 78, "is no ONNX file");
    assert_refused(&run(&["model", "inspect", "/nowhere.onnx"]), 78, "cannot read `/nowhere.onnx`");
}

#[test]
fn a_folder_is_inspected_by_what_its_manifest_says() {
    let model = SmallModel::build();
    let (folder, manifest) = (model.path(), model.path().join("model.toml"));
    fs::rename(folder.join("model.onnx"), folder.join("weights.onnx")).unwrap();
    let text = fs::read_to_string(&manifest).unwrap().replace("model.onnx", "weights.onnx");
    fs::write(&manifest, &text).unwrap();
    let inspect = || run(&["model", "inspect", &model.argument()]);
    assert!(stdout(&inspect()).contains("20 layers"), "{}", stderr(&inspect()));
    let recipe = "[weights.build]\nnetwork = \"resnet18\"\n[input]";
    let unbuilt = text.replace("weights.onnx", "later.onnx").replace("[input]", recipe);
    fs::write(&manifest, unbuilt).unwrap();
    assert_refused(&inspect(), 78, "later.onnx` is not built yet");
    let ensemble = "name = \"both\"\nversion = \"1\"\ntrained = false\n\
        [ensemble]\nmembers = [\"one\", \"other\"]\n";
    fs::write(&manifest, ensemble).unwrap();
    assert_refused(&inspect(), 78, "inspect its members: ");
    fs::remove_file(&manifest).unwrap();
    fs::rename(folder.join("weights.onnx"), folder.join("model.onnx")).unwrap();
    assert!(inspect().status.success(), "without a manifest it is `model.onnx`");
}
