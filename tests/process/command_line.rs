//! The commands other than `serve`.

use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;

use serde_json::Value;

use crate::support::{SmallModel, command, png, run, stderr, stdout};

#[test]
fn pictures_are_answered_in_a_table_that_says_that_the_model_is_untrained() {
    let model = SmallModel::build();
    let pictures = [model.picture("a.png"), model.picture("b.png")];
    let output = run(&["classify", "--model", &model.argument(), &pictures[0], &pictures[1]]);
    assert!(output.status.success(), "{}", stderr(&output));
    let table = stdout(&output);
    assert!(table.contains("random weights"), "{table}");
    assert!(pictures.iter().all(|picture| table.contains(picture.as_str())), "{table}");
    assert_eq!(table.matches(" % ").count(), 10, "{table}");
}

#[test]
fn a_bad_picture_is_an_error_line_and_the_others_are_answered() {
    let model = SmallModel::build();
    let (good, bad) = (model.picture("good.png"), model.file("bad.png", b"text"));
    let arguments = ["classify", "--model", &model.argument(), &bad, "/nowhere.png", &good];
    let output = run(&arguments);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).contains(&good), "{}", stdout(&output));
    let said = stderr(&output);
    assert!(said.contains(&bad) && said.contains("/nowhere.png"), "{said}");
    assert!(said.contains("2 of 3"), "{said}");
    let output = run(&[&arguments[..], &["--json"]].concat());
    assert_eq!(output.status.code(), Some(1));
    let printed: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(printed["results"][0]["error"]["code"], "undecodable_image");
    assert_eq!(printed["results"][0]["error"].get("request_id"), None, "nobody has asked");
    let text = stdout(&output);
    let fields =
        ["\"file\"", "\"predictions\"", "\"class\"", "\"id\"", "\"label\"", "\"probability\""];
    let places: Vec<_> = fields.map(|field| text.rfind(&format!("{field}:"))).into();
    assert!(places.is_sorted() && places[0].is_some(), "in the service's order: {text}");
    let number =
        text.rsplit("\"probability\": ").next().unwrap().split([',', '\n']).next().unwrap();
    let probability: f32 = number.parse().unwrap();
    assert_eq!(probability.to_string(), number, "as the service writes it");
}

#[test]
fn more_pictures_than_the_queue_takes_are_all_answered() {
    let model = SmallModel::build();
    let (picture, folder) = (model.picture("a.png"), model.argument());
    let arguments = ["classify", "--json", "--top-k=1", "--model", &folder];
    let output = run(&[&arguments[..], &vec![picture.as_str(); 300]].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    let printed: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(printed["results"].as_array().unwrap().len(), 300);
}

#[test]
fn more_classes_than_there_are_cannot_be_asked_for() {
    let model = SmallModel::build();
    let picture = model.picture("a.png");
    let output = run(&["classify", "--top-k=11", "--model", &model.argument(), &picture]);
    assert_eq!(output.status.code(), Some(78));
    assert!(stderr(&output).contains("10 classes"), "{}", stderr(&output));
}

#[test]
fn the_models_in_a_folder_are_listed_also_those_that_are_not_in_order() {
    let model = SmallModel::build();
    let folder = model.path().parent().unwrap().to_owned();
    std::fs::create_dir(folder.join("broken")).unwrap();
    std::fs::write(folder.join("broken/model.toml"), "name = 1").unwrap();
    std::fs::write(folder.join("default"), "small").unwrap();
    let output = run(&["model", "list", folder.to_str().unwrap()]);
    assert!(output.status.success(), "{}", stderr(&output));
    let table = stdout(&output);
    let line = |name: &str| table.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    assert!(line("small").contains(" cifar-resnet20 "), "{table}");
    assert!(line("small").contains("untrained, default"), "{table}");
    assert!(line("broken").contains("not ready: name: "), "{table}");
}

#[test]
fn a_network_is_built_under_a_name_of_its_own() {
    let model = SmallModel::build_with(&["--name", "tiny"]);
    let manifest = std::fs::read_to_string(model.path().join("model.toml")).unwrap();
    assert!(manifest.starts_with("name = \"tiny\"\n"), "{manifest}");
    let folder = model.file("other", b"");
    let output = run(&["model", "build", "cifar-resnet20", "--name", "a/b", "-o", &folder]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("`a/b` is not made of"), "{}", stderr(&output));
}

#[test]
fn the_contract_is_printed() {
    let output = run(&["openapi"]);
    assert_eq!(stdout(&output), include_str!("../../openapi.yaml"));
}

#[test]
fn a_reader_that_has_enough_ends_a_command_quietly() {
    let mut child =
        command().arg("openapi").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.stderr.is_empty(), "{}", stderr(&output));
}

#[test]
fn a_full_disk_is_a_line_and_exit_code_1_and_takes_no_key_with_it() {
    let model = SmallModel::build();
    let (folder, picture) = (model.argument(), model.picture("a.png"));
    for arguments in [
        ["openapi"].as_slice(),
        &["key", "new", "alice"],
        &["model", "list", "tests"],
        &["model", "inspect", &folder],
        &["classify", "--model", &folder, &picture],
        &["classify", "--json", "--model", &folder, &picture],
    ] {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = command().args(arguments).stdout(full).output().unwrap();
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(said.contains("error: cannot print: No space left"), "{arguments:?}: {said}");
        assert!(!said.contains("rsk_"), "a key without its line: {said}");
    }
}

#[test]
fn a_picture_on_standard_input_is_classified_and_holds_up_no_other() {
    let model = SmallModel::build();
    let first = model.picture("first.png");
    let mut child = command()
        .args(["classify", "--top-k=1", "--model", &model.argument(), &first, "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line == first), "its answer comes before the second picture");
    child.stdin.take().unwrap().write_all(&png()).unwrap();
    assert!(lines.any(|line| line == "-"));
    assert!(lines.any(|line| line.contains(" % ")));
    assert!(child.wait().unwrap().success());
    let twice = run(&["classify", "--model", &model.argument(), "-", "-"]);
    assert!(stderr(&twice).contains("only once"), "{}", stderr(&twice));
}

#[test]
fn where_there_is_no_models_folder_the_catalogue_is_listed() {
    let elsewhere = tempfile::tempdir().unwrap();
    let output = command().current_dir(&elsewhere).args(["model", "list"]).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stdout(&output).contains("resnet50-v1-12"), "{}", stdout(&output));
    let named = run(&["model", "list", "/nowhere"]);
    assert_eq!(named.status.code(), Some(78));
    assert!(stderr(&named).contains("`/nowhere`"), "{}", stderr(&named));
}

#[test]
fn a_variable_that_names_several_models_is_for_serve_alone() {
    let model = SmallModel::build();
    let picture = model.picture("a.png");
    for arguments in [["classify", &picture].as_slice(), &["evaluate", "--data=."], &["bench"]] {
        let output =
            command().args(arguments).env("RESNET_SERVE_MODEL", "one,two").output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        let said = stderr(&output);
        assert!(said.contains("RESNET_SERVE_MODEL") && said.contains("takes one"), "{said}");
    }
}

#[test]
fn numbers_that_no_command_could_work_with_are_refused_with_those_that_are_taken() {
    for (arguments, due) in [
        (["classify", "--top-k=0", "a.png"], "a whole number from 1 on is expected"),
        (["classify", "--max-pixels=many", "a.png"], "a whole number from 1 on is expected"),
        (["classify", "--intra-threads=9999", "a.png"], "a whole number from 1 to 1024"),
        (["serve", "--check", "--sessions=1025"], "a whole number from 1 to 1024"),
        (["bench", "--intra-threads=1,1025", "--json"], "a whole number from 1 to 1024"),
        (["serve", "--check", "--queue-capacity=-1"], "a whole number from 1 on is expected"),
    ] {
        let output = run(&arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).contains(due), "{}", stderr(&output));
    }
}

#[test]
fn a_command_that_does_not_exist_is_a_usage_error() {
    assert_eq!(run(&["server"]).status.code(), Some(2));
}

#[test]
fn a_run_leaves_nothing_in_the_users_folders() {
    let model = SmallModel::build();
    let home = tempfile::tempdir().unwrap();
    let picture = model.picture("a.png");
    let output = command()
        .args(["classify", "--model", &model.argument(), &picture])
        .env("HOME", home.path())
        .env("XDG_CACHE_HOME", home.path())
        .env_remove("ORT_DISABLE_TELEMETRY")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let left: Vec<_> = std::fs::read_dir(home.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}
