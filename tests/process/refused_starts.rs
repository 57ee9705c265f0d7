//! What keeps the service from starting: a clear line and exit code 78.

use std::fs;
use std::net::TcpListener;
use std::process::Command;

use crate::support::{SmallModel, command, run, stderr};

/// Starts with a model and expects exit code 78; returns what was said.
fn refused(model: &SmallModel) -> String {
    let output = run(&["serve", "--check", "--model", &model.argument()]);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(78), "{said}");
    said
}

fn edit(model: &SmallModel, from: &str, to: &str) {
    let manifest = model.path().join("model.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(manifest, text.replace(from, to)).unwrap();
}

#[test]
fn a_model_in_order_passes_the_check() {
    let model = SmallModel::build();
    let output = run(&["serve", "--check", "--model", &model.argument()]);
    assert!(output.status.success(), "{}", stderr(&output));
}

#[test]
fn a_missing_runtime_names_make_runtime() {
    let model = SmallModel::build();
    let elsewhere = tempfile::tempdir().unwrap();
    let output = command()
        .current_dir(elsewhere.path())
        .args(["serve", "--check", "--model", &model.argument()])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(78));
    assert!(stderr(&output).contains("`make runtime`"), "{}", stderr(&output));
}

#[test]
fn a_runtime_that_is_no_library_is_named() {
    let model = SmallModel::build();
    let file = model.file("libonnxruntime.so", b"not a library");
    let arguments = ["serve", "--check", "--model", &model.argument(), "--onnxruntime", &file];
    let output = run(&arguments);
    assert_eq!(output.status.code(), Some(78));
    assert!(stderr(&output).contains(&file), "{}", stderr(&output));
    let output =
        command().args(&arguments[..4]).env("ORT_DYLIB_PATH", "/nowhere/lib.so").output().unwrap();
    assert_eq!(output.status.code(), Some(78));
    assert!(
        stderr(&output).contains("ORT_DYLIB_PATH says `/nowhere/lib.so`"),
        "{}",
        stderr(&output)
    );
}

/// A shared library that says of itself that it is ONNX Runtime 1.20.
const OLD_RUNTIME: &str = "
    static const void *api(unsigned version) { return 0; }
    static const char *version(void) { return \"1.20.0\"; }
    static const struct { const void *(*api)(unsigned); const char *(*version)(void); } base = { api, version };
    const void *OrtGetApiBase(void) { return &base; }
";

#[test]
fn a_runtime_that_is_too_old_is_refused_with_both_versions() {
    let model = SmallModel::build();
    let source = model.file("old.c", OLD_RUNTIME.as_bytes());
    let library = source.replace("old.c", "libonnxruntime.so");
    let compiled = Command::new("cc").args(["-shared", "-fPIC", "-o", &library, &source]).status();
    assert!(compiled.unwrap().success());
    let output =
        run(&["serve", "--check", "--model", &model.argument(), "--onnxruntime", &library]);
    assert_eq!(output.status.code(), Some(78));
    let said = stderr(&output);
    assert!(said.contains("1.31") && said.contains("'1.20.0'"), "{said}");
}

#[test]
fn a_cuda_provider_without_a_gpu_is_no_cpu_in_disguise() {
    let model = SmallModel::build();
    let arguments = ["serve", "--check", "--provider=cuda", "--model", &model.argument()];
    let output = run(&arguments);
    assert_eq!(output.status.code(), Some(78), "{}", stderr(&output));
    assert!(stderr(&output).contains("cuda"), "{}", stderr(&output));
}

#[test]
fn a_wrong_hash_is_refused() {
    let model = SmallModel::build();
    fs::write(model.path().join("model.onnx"), "something else").unwrap();
    assert!(refused(&model).contains("weights.sha256"));
}

#[test]
fn a_graph_that_runs_is_refused_too_where_its_hash_is_another() {
    let (model, other) = (SmallModel::build(), SmallModel::build_with(&["--seed=1"]));
    fs::copy(other.path().join("model.onnx"), model.path().join("model.onnx")).unwrap();
    assert!(refused(&model).contains("weights.sha256"));
}

#[test]
fn a_graph_that_is_no_graph_is_refused() {
    let model = SmallModel::build();
    fs::write(model.path().join("other.onnx"), "no graph").unwrap();
    edit(&model, "file = \"model.onnx\"", "file = \"other.onnx\"");
    let manifest = model.path().join("model.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    let kept: Vec<&str> = text.lines().filter(|line| !line.starts_with("sha256")).collect();
    fs::write(manifest, kept.join("\n")).unwrap();
    assert!(refused(&model).contains("other.onnx"));
}

#[test]
fn a_graph_of_another_size_is_refused_with_both_shapes() {
    let model = SmallModel::build();
    edit(&model, "height = 32", "height = 16");
    let said = refused(&model);
    assert!(said.contains("[n, 3, 16, 32]") && said.contains("[-1, 3, 32, 32]"), "{said}");
}

#[test]
fn an_output_that_the_graph_has_not_is_refused_with_those_it_has() {
    let model = SmallModel::build();
    edit(&model, "[output]", "[output]\nname = \"scores\"");
    let text = fs::read_to_string(model.path().join("model.toml")).unwrap();
    fs::write(model.path().join("model.toml"), text.replace("name = \"logits\"\n", "")).unwrap();
    let said = refused(&model);
    assert!(said.contains("no `scores`") && said.contains("`logits`"), "{said}");
}

#[test]
fn labels_that_do_not_match_the_classes_are_refused_with_both_counts() {
    let model = SmallModel::build();
    fs::write(model.path().join("labels.tsv"), "a\tA\nb\tB\n").unwrap();
    assert!(refused(&model).contains("2 labels for 10 classes"));
}

#[test]
fn every_mistake_in_a_manifest_is_reported_at_once() {
    let model = SmallModel::build();
    edit(&model, "height = 32", "heigth = 32");
    edit(&model, "trained = false", "trained = \"no\"");
    let said = refused(&model);
    for key in ["input.heigth", "input.height", "trained"] {
        assert!(said.contains(key), "{said}");
    }
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let output = run(&["serve", "--check", "--model", "/nowhere/model"]);
    assert_eq!(output.status.code(), Some(78));
    assert!(stderr(&output).contains("/nowhere/model"), "{}", stderr(&output));
}

#[test]
fn flags_that_contradict_each_other_are_all_named() {
    let output = run(&["serve", "--max-batch=1000", "--request-timeout=0s"]);
    assert_eq!(output.status.code(), Some(78));
    let said = stderr(&output);
    assert!(said.contains("--max-batch") && said.contains("--request-timeout"), "{said}");
}

#[test]
fn what_is_no_address_is_told_what_one_looks_like() {
    for address in ["localhost:8080", "8080", "127.0.0.1:80000"] {
        let output = run(&["serve", "--listen", address]);
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains("such as 127.0.0.1:8080"), "{}", stderr(&output));
    }
}

#[test]
fn a_value_that_is_wrong_is_said_to_be_a_variable_s_where_it_is() {
    let tip = "the value is that of the variable `RESNET_SERVE_MAX_BATCH`";
    let serve = |arguments: &[&str], value: &str| {
        let output = command()
            .arg("serve")
            .args(arguments)
            .env("RESNET_SERVE_MAX_BATCH", value)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        stderr(&output)
    };
    assert!(serve(&[], "abc").contains(tip));
    assert!(!serve(&["--max-batch=abc"], "8").contains(tip));
    assert!(!serve(&["--max-body=10XB"], "8").contains(tip));
}

#[test]
fn variables_that_stand_for_no_flag_are_warned_of() {
    let model = SmallModel::build();
    let output = command()
        .args(["serve", "--check", "--model", &model.argument()])
        .env("RESNET_SERVE_MAX_BACH", "8")
        .env("RESNET_SERVE_MAX_BATCH", "4")
        .env("RESNET_SERVE_PORT", "tcp://10.0.0.7:80")
        .output()
        .unwrap();
    let said = stderr(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("RESNET_SERVE_MAX_BACH"), "{said}");
    assert!(
        !said.contains("RESNET_SERVE_MAX_BATCH") && !said.contains("RESNET_SERVE_PORT"),
        "{said}"
    );
}

#[test]
fn the_level_of_the_log_is_said_at_the_start() {
    let model = SmallModel::build();
    let check = |level: &str| {
        run(&["serve", "--check", "--log-level", level, "--model", &model.argument()])
    };
    let said = stderr(&check("off"));
    assert!(said.is_empty(), "{said}");
    assert!(stderr(&check("info")).contains("INFO"));
    let arguments = ["serve", "--check", "--log-level=info", "--model", &model.argument()];
    let output = command().args(arguments).env("RUST_LOG", "off").output().unwrap();
    assert!(stderr(&output).contains("INFO"), "the flag goes before the variable");
    let without = [&arguments[..2], &arguments[3..]].concat();
    let output = command().args(without).env("RUST_LOG", "wran").output().unwrap();
    let said = stderr(&output);
    assert!(said.contains("RUST_LOG is ignored") && said.contains("`wran`"), "{said}");
    let refused = check("loud");
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("`loud` is no log level"), "{}", stderr(&refused));
}

#[test]
fn an_address_that_is_taken_is_named() {
    let model = SmallModel::build();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = run(&[
        "serve",
        "--model",
        &model.argument(),
        "--listen",
        &address,
        "--admin-listen=127.0.0.1:0",
        "--grpc-listen=127.0.0.1:0",
    ]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains(&address), "{}", stderr(&output));
}
