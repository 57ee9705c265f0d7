//! `model quantize`: a network in 8 bits that gives nearly the same answers.

use std::fs;
use std::path::Path;
use std::process::Output;

use image::{ImageFormat, Rgb, RgbImage};
use reqwest::{Client, StatusCode};
use serde_json::Value;

use crate::support::{Service, SmallModel, run, stderr, stdout};

/// A network that was trained, so that its answers are sure of themselves.
const TRAINED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models/cifar10-resnet20");

/// Pictures of many colours and edges.
fn pictures(count: u32) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for index in 0..count {
        let shade = |value: u32| u8::try_from(value % 256).unwrap();
        let pixel = |x: u32, y: u32| {
            let disc = (x.abs_diff(20).pow(2) + y.abs_diff(16).pow(2)) < 40 + index * 9;
            let [red, green, blue] = [index * 53, x * (index % 5 + 1) * 3, y * (index % 7 + 1) * 2];
            Rgb(if disc {
                [shade(red), shade(green), shade(blue)]
            } else {
                [shade(blue), shade(red + 40), shade(green)]
            })
        };
        // In folders and beside them.
        let inner = folder.path().join(if index % 2 == 0 { "even/more" } else { "." });
        fs::create_dir_all(&inner).unwrap();
        let file = inner.join(format!("{index}.png"));
        RgbImage::from_fn(40, 32, pixel).save_with_format(file, ImageFormat::Png).unwrap();
    }
    folder
}

fn quantize(model: &Path, data: &Path, to: &Path, flags: &[&str]) -> Output {
    let [model, data, to] = [model, data, to].map(|path| path.to_str().unwrap());
    run(&[&["model", "quantize", model, "--data", data, "-o", to], flags].concat())
}

fn quantized(model: &Path, flags: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let output = quantize(model, pictures(12).path(), &folder.path().join("int8"), flags);
    assert!(output.status.success(), "{}", stderr(&output));
    folder
}

fn refusal(output: &Output, code: i32) -> String {
    let said = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    said
}

/// The probabilities of all classes of each picture, by class.
fn probabilities(model: &Path, data: &Path) -> Vec<Vec<f64>> {
    let mut files: Vec<String> = fs::read_dir(data)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| path.to_str().unwrap().to_owned())
        .collect();
    files.sort();
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let flags = ["classify", "--json", "--top-k=10", "--model", model.to_str().unwrap()];
    let output = run(&[&flags[..], &files].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    let answer: Value = serde_json::from_str(&stdout(&output)).unwrap();
    let results = answer["results"].as_array().unwrap();
    let of_one = |result: &Value| {
        let mut by_class = vec![0.0; 10];
        for prediction in result["predictions"].as_array().unwrap() {
            let class = usize::try_from(prediction["class"].as_u64().unwrap()).unwrap();
            by_class[class] = prediction["probability"].as_f64().unwrap();
        }
        by_class
    };
    results.iter().map(of_one).collect()
}

fn furthest(a: &[Vec<f64>], b: &[Vec<f64>]) -> f64 {
    assert_eq!(a.len(), b.len());
    assert!(!a.is_empty());
    let apart = |(a, b): (&f64, &f64)| (a - b).abs();
    a.iter().zip(b).flat_map(|(a, b)| a.iter().zip(b).map(apart)).fold(0.0, f64::max)
}

#[test]
fn a_network_in_8_bits_answers_nearly_the_same_in_less_than_half_the_bytes() {
    let (folder, data) = (tempfile::tempdir().unwrap(), pictures(24));
    let to = folder.path().join("int8");
    let output = quantize(Path::new(TRAINED), data.path(), &to, &["--images=12"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let said = stdout(&output);
    assert!(said.contains("19 of 20 layers in 8 bits, calibrated with 12 pictures"), "{said}");
    assert!(said.contains("of 12 other pictures"), "{said}");
    assert!(said.contains("one picture"), "{said}");
    let size = |folder: &Path| fs::metadata(folder.join("model.onnx")).unwrap().len();
    assert!(
        size(&to) * 2 < size(Path::new(TRAINED)),
        "{} of {}",
        size(&to),
        size(Path::new(TRAINED))
    );
    let (before, after) =
        (probabilities(Path::new(TRAINED), data.path()), probabilities(&to, data.path()));
    assert!(before.len() >= 12);
    let apart = furthest(&before, &after);
    assert!(apart < 0.25, "{apart}");
    assert!(apart > 0.0, "nothing was quantized");
}

#[tokio::test]
async fn the_new_model_is_served_and_says_what_it_is() {
    let folder = quantized(Path::new(TRAINED), &["--name=ten"]);
    let to = folder.path().join("int8");
    let service = Service::start(&to, &[]);
    let metrics = reqwest::get(service.admin_url("/metrics")).await.unwrap().text().await.unwrap();
    let info = metrics.lines().find(|line| line.starts_with("resnet_serve_model_info")).unwrap();
    assert!(info.contains("model=\"ten\"") && info.contains("precision=\"int8\""), "{info}");
    let answer = Client::new().post(service.url("/classify")).body(crate::support::png()).send();
    let answer = answer.await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(answer["model"]["trained"], true);
}

#[tokio::test]
async fn answers_can_be_explained_as_before() {
    let model = SmallModel::build_with(&["--features"]);
    let folder = quantized(&model.path(), &[]);
    let service = Service::start(&folder.path().join("int8"), &[]);
    let answer = Client::new().post(service.url("/classify?explain=1")).body(crate::support::png());
    let answer: Value = answer.send().await.unwrap().json().await.unwrap();
    assert!(answer["results"][0]["explanation"]["heat_map"].is_string(), "{answer}");
}

#[test]
fn graphs_that_take_bytes_or_store_halves_or_have_projections_are_quantized_too() {
    for flags in [["--input-type=uint8"], ["--weights-type=float16"], ["--shortcut=b"]] {
        let model = SmallModel::build_with(&flags);
        let folder = quantized(&model.path(), &[]);
        let to = folder.path().join("int8");
        let data = pictures(4);
        let apart =
            furthest(&probabilities(&model.path(), data.path()), &probabilities(&to, data.path()));
        assert!(apart < 0.25, "{flags:?}: {apart}");
    }
}

#[test]
fn what_is_there_is_replaced_only_where_that_is_asked_for() {
    let model = SmallModel::build();
    let folder = quantized(&model.path(), &[]);
    let (to, data) = (folder.path().join("int8"), pictures(2));
    for file in ["model.onnx", "labels.tsv", "model.toml"] {
        let said = refusal(&quantize(&model.path(), data.path(), &to, &[]), 78);
        assert!(said.contains("--force") && said.contains(file), "{said}");
        fs::rename(to.join(file), folder.path().join(file)).unwrap();
    }
    fs::rename(folder.path().join("model.toml"), to.join("model.toml")).unwrap();
    assert!(quantize(&model.path(), data.path(), &to, &["--force"]).status.success());
    let itself = model.path().join(".");
    let said = refusal(&quantize(&model.path(), data.path(), &itself, &["--force"]), 78);
    assert!(said.contains("is the model itself"), "{said}");
    let names: Vec<_> =
        fs::read_dir(&to).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 3, "nothing is left behind: {names:?}");
}

#[test]
fn a_network_that_cannot_be_quantized_is_refused_and_leaves_nothing() {
    let half = SmallModel::build_with(&["--precision=fp16"]);
    let (folder, data) = (tempfile::tempdir().unwrap(), pictures(2));
    let to = folder.path().join("int8");
    let said = refusal(&quantize(&half.path(), data.path(), &to, &[]), 78);
    assert!(said.contains("computes in float16"), "{said}");
    let done = quantized(&SmallModel::build().path(), &[]);
    let said = refusal(&quantize(&done.path().join("int8"), data.path(), &to, &[]), 78);
    assert!(said.contains("computes in int8"), "{said}");
    assert!(!to.join("model.onnx").exists() && !to.join("model.toml").exists());

    fs::write(
        folder.path().join("model.toml"),
        "name = \"two\"\nversion = \"1\"\n[ensemble]\nmembers = [\"small\", \"small\"]\n",
    )
    .unwrap();
    let said = refusal(&quantize(folder.path(), data.path(), &to, &[]), 78);
    assert!(said.contains("ensemble"), "{said}");
    let said = refusal(&quantize(&half.path(), data.path(), &to, &["--name=a b"]), 78);
    assert!(said.contains("name"), "{said}");
}

#[test]
fn files_that_are_no_pictures_are_named_and_none_at_all_is_an_error() {
    let model = SmallModel::build();
    let (folder, data) = (tempfile::tempdir().unwrap(), pictures(3));
    fs::write(data.path().join("README.md"), "What these are.").unwrap();
    let to = folder.path().join("int8");
    // It would be the one to compare with.
    let output = quantize(&model.path(), data.path(), &to, &["--images=2"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let said = stdout(&output);
    assert!(said.contains("calibrated with 2 pictures"), "{said}");
    assert!(
        said.contains("1 file could not be read as a picture") && said.contains("README.md"),
        "{said}"
    );

    let text = tempfile::tempdir().unwrap();
    let to = folder.path().join("other");
    let said = refusal(&quantize(&model.path(), text.path(), &to, &[]), 78);
    assert!(said.contains("has no pictures"), "{said}");
    fs::write(text.path().join("a.txt"), "no picture").unwrap();
    let said = refusal(&quantize(&model.path(), text.path(), &to, &[]), 1);
    assert!(said.contains("not one picture could be read"), "{said}");
    let said = refusal(&quantize(&model.path(), Path::new("/nowhere"), &to, &[]), 78);
    assert!(said.contains("/nowhere"), "{said}");
    assert!(!to.join("model.onnx").exists());
}

#[test]
fn a_model_that_was_there_stays_until_another_is_ready_and_leaves_nothing_of_itself() {
    let tested = SmallModel::build();
    assert!(run(&["model", "selftest", &tested.argument()]).status.success());
    let folder = quantized(&tested.path(), &[]);
    let (to, data) = (folder.path().join("int8"), pictures(2));
    assert!(to.join("selftest.toml").exists());
    let before = fs::read(to.join("model.onnx")).unwrap();
    let half = SmallModel::build_with(&["--precision=fp16"]);
    refusal(&quantize(&half.path(), data.path(), &to, &["--force"]), 78);
    assert_eq!(fs::read(to.join("model.onnx")).unwrap(), before);

    let untested = SmallModel::build_with(&["--seed=5"]);
    assert!(quantize(&untested.path(), data.path(), &to, &["--force"]).status.success());
    assert!(!to.join("selftest.toml").exists(), "it is another model's");
    let check = run(&["serve", "--check", "--model", to.to_str().unwrap()]);
    assert!(check.status.success(), "{}", stderr(&check));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
}

#[test]
fn a_graph_in_another_folder_is_not_replaced_by_its_own_copy() {
    let model = SmallModel::build();
    let (elsewhere, data) = (model.path().with_file_name("elsewhere"), pictures(2));
    fs::create_dir(&elsewhere).unwrap();
    let graph = elsewhere.join("model.onnx");
    fs::rename(model.path().join("model.onnx"), &graph).unwrap();
    let manifest = model.path().join("model.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replace("\"model.onnx\"", "\"../elsewhere/model.onnx\"")).unwrap();
    let before = fs::read(&graph).unwrap();
    let said = refusal(&quantize(&model.path(), data.path(), &elsewhere, &["--force"]), 78);
    assert!(said.contains("is the model itself"), "{said}");
    assert_eq!(fs::read(&graph).unwrap(), before);
    let to = model.path().with_file_name("int8");
    assert!(quantize(&model.path(), data.path(), &to, &[]).status.success());
}

#[test]
fn bench_speaks_of_8_bits_where_they_would_gain_something() {
    let model = SmallModel::build();
    let folder = quantized(&model.path(), &[]);
    let int8 = folder.path().join("int8").display().to_string();
    for (model, may_gain) in [(model.argument(), true), (int8, false)] {
        let flags = ["bench", "--provider=cpu", "--duration=1ms", "--rounds=2", "--model"];
        let output = run(&[&flags[..], &[model.as_str()]].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        let spoken_of = stdout(&output).contains("`model quantize`");
        assert_eq!(spoken_of, may_gain && resnet_serve::resources::multiplies_bytes());
    }
}
