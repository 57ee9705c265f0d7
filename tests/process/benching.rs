//! `bench`: what a model does on this machine, in tables and in JSON.

use std::fs;

use serde_json::Value;

use crate::support::{SmallModel, run, stderr, stdout};

/// As short as a measurement can be: of speed these tests say nothing.
const SHORT: [&str; 5] = ["bench", "--provider=cpu", "--duration=1ms", "--rounds=2", "--model"];

fn bench(model: &str, flags: &[&str]) -> std::process::Output {
    run(&[&SHORT[..], &[model], flags].concat())
}

fn measured(model: &str, flags: &[&str]) -> Value {
    let output = bench(model, &[flags, &["--json"]].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    serde_json::from_str(&stdout(&output)).unwrap()
}

/// Sessions, threads and images in a batch of each entry.
fn settings(list: &Value) -> Vec<[u64; 3]> {
    let keys = ["sessions", "intra_threads", "max_batch"];
    let one = |entry: &Value| keys.map(|key| entry[key].as_u64().unwrap());
    list.as_array().unwrap().iter().map(one).collect()
}

#[test]
fn json_has_each_setting_that_was_asked_for_and_the_default_beside_them() {
    let flags = ["--sessions=1,3", "--intra-threads=1", "--batch-sizes=1,2"];
    let found = measured("models/cifar10-resnet20", &flags);
    assert_eq!(found["model"]["name"], "cifar10-resnet20");
    assert_eq!((&found["provider"], &found["rounds"]), (&"cpu".into(), &2.into()));
    let all = settings(&found["settings"]);
    for due in [[1, 1, 1], [1, 1, 2], [3, 1, 1], [3, 1, 2]] {
        assert!(all.contains(&due), "{due:?} is not in {all:?}");
    }
    let default = settings(&vec![found["default"].clone()].into())[0];
    assert!(all.contains(&default), "{default:?} is not in {all:?}");
    for setting in found["settings"].as_array().unwrap() {
        let rate = &setting["images_per_second"];
        let [least, median, most] = ["min", "median", "max"].map(|key| rate[key].as_f64().unwrap());
        assert!(0.0 < least && least <= median && median <= most, "{setting}");
        let latency = &setting["latency_seconds"];
        let [p50, p99] = ["p50", "p99"].map(|key| latency[key].as_f64().unwrap());
        assert!(0.0 < p50 && p50 <= p99, "{setting}");
        let sessions = setting["sessions"].as_u64().unwrap();
        assert!(setting["batches"].as_u64().unwrap() >= 2 * sessions, "one a session a round");
    }
    let alone = settings(&found["alone"]);
    assert!(alone.contains(&[1, 1, 1]) && alone.contains(&[3, 1, 1]), "{alone:?}");
}

#[test]
fn json_recommends_one_of_the_settings_and_says_why() {
    let found = measured("models/cifar10-resnet20", &["--batch-sizes=1,2"]);
    let all = settings(&found["settings"]);
    for key in ["default", "recommended", "challenger"] {
        let setting = settings(&vec![found[key].clone()].into())[0];
        assert!(all.contains(&setting), "{key}: {setting:?} is not in {all:?}");
    }
    let changes = found["recommended"] != found["default"];
    assert_eq!(found["verdict"] == "faster", changes, "{found}");
}

#[test]
fn the_table_has_a_line_a_setting_and_ends_with_flags_that_serve_takes() {
    let output = bench("models/cifar10-resnet20", &["--sessions=1", "--batch-sizes=1,2"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let table = stdout(&output);
    assert!(table.starts_with("cifar10-resnet20 1 on cpu, ONNX Runtime 1.31"), "{table}");
    for due in ["images/s", "p50 ms", "p99 ms", "An image that comes alone", "default"] {
        assert!(table.contains(due), "no `{due}`:\n{table}");
    }
    assert_eq!(stderr(&output), "", "no bar is drawn into a pipe");
    let advice = table.lines().find(|line| line.starts_with("Recommended: ")).unwrap();
    let flags: Vec<&str> = advice[advice.find("--").unwrap()..].split(' ').collect();
    assert_eq!(flags.len(), 6, "{advice}");
    let model = ["serve", "--check", "--provider=cpu", "--model=models/cifar10-resnet20"];
    let checked = run(&[&model[..], &flags].concat());
    assert!(checked.status.success(), "{}", stderr(&checked));
}

#[test]
fn an_ensemble_is_measured_as_one_model() {
    let model = SmallModel::build();
    let folder = model.path().with_file_name("both");
    let other = model.path().with_file_name("other");
    let built =
        run(&["model", "build", "cifar-resnet20", "--seed=7", "-o", other.to_str().unwrap()]);
    assert!(built.status.success(), "{}", stderr(&built));
    fs::create_dir(&folder).unwrap();
    let manifest = "name = \"both\"\nversion = \"1\"\ntrained = false\n\n\
        [ensemble]\nmembers = [\"small\", \"other\"]\n";
    fs::write(folder.join("model.toml"), manifest).unwrap();
    let found = measured(folder.to_str().unwrap(), &["--sessions=1", "--batch-sizes=2"]);
    assert_eq!(found["model"]["members"].as_array().unwrap().len(), 2, "{found}");
    assert!(settings(&found["settings"]).iter().any(|setting| setting[2] == 2), "{found}");
}

#[test]
fn what_cannot_be_measured_is_refused_with_the_exit_code_of_every_command() {
    let missing = bench("/nowhere", &[]);
    assert_eq!(missing.status.code(), Some(78), "{}", stderr(&missing));
    assert!(stderr(&missing).contains("/nowhere"), "{}", stderr(&missing));
    let usage = bench("models/cifar10-resnet20", &["--batch-sizes=0"]);
    assert_eq!(usage.status.code(), Some(2), "{}", stderr(&usage));
    let runtime = bench("models/cifar10-resnet20", &["--onnxruntime=/nowhere/lib.so"]);
    assert_eq!(runtime.status.code(), Some(78), "{}", stderr(&runtime));
    assert!(stderr(&runtime).contains("make runtime"), "{}", stderr(&runtime));
}

#[test]
fn a_provider_that_does_not_work_is_no_reason_to_measure_another() {
    // The library has no CUDA in it, whatever the machine has.
    let model = ["--model", "models/cifar10-resnet20"];
    let output = run(&[&["bench", "--provider=cuda", "--duration=1ms"][..], &model].concat());
    assert_eq!(output.status.code(), Some(78), "{}", stdout(&output));
    assert!(stderr(&output).contains("on cuda"), "{}", stderr(&output));
    assert_eq!(stdout(&output), "");
}
