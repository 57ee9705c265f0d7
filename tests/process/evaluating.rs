//! `evaluate`: in process and against a service, and what ends it.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::Output;

use image::{ImageFormat, Rgb, RgbImage};
use serde_json::Value;

use crate::support::{Service, SmallModel, run, stderr, stdout};

/// Pictures of several shapes and colours.
const PICTURES: u8 = 12;

/// A model and a folder with a folder for each of two classes: those that the model says, so that
/// the share of right answers is known.
struct Data {
    model: SmallModel,
    folder: PathBuf,
    right: usize,
}

impl Data {
    fn new() -> Self {
        let model = SmallModel::build();
        let pictures: Vec<String> = (0..PICTURES)
            .map(|index| model.file(&format!("{index}.png"), &picture(index)))
            .collect();
        let arguments = ["classify", "--json", "--top-k=1", "--model", &model.argument()];
        let pictures: Vec<&str> = pictures.iter().map(String::as_str).collect();
        let answers = json(&run(&[&arguments[..], &pictures].concat()));
        let folder = model.path().with_file_name("data");
        let mut right = 0;
        for (index, picture) in pictures.iter().enumerate() {
            let said = answers["results"][index]["predictions"][0]["id"].as_str().unwrap();
            // Every third picture is put into a folder that the model does not say.
            let is_right = index % 3 != 0;
            let other = if said == "cat" { "dog" } else { "cat" };
            let class = folder.join(if is_right { said } else { other });
            fs::create_dir_all(&class).unwrap();
            fs::copy(picture, class.join(Path::new(picture).file_name().unwrap())).unwrap();
            right += usize::from(is_right);
        }
        Self { model, folder, right }
    }

    fn evaluate(&self, options: &[&str]) -> Output {
        let folder = self.folder.to_str().unwrap();
        let model = self.model.argument();
        run(&[&["evaluate", "--data", folder, "--model", &model], options].concat())
    }

    fn lines(&self, name: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.model.path().with_file_name(name)).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn path(&self, name: &str) -> String {
        self.model.path().with_file_name(name).display().to_string()
    }
}

fn picture(index: u8) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let side = 32 + u32::from(index) * 3;
    let pixel = |x: u32, y: u32| {
        let wave = (x * (1 + u32::from(index)) + y * 3) % 256;
        Rgb([u8::try_from(wave).unwrap(), index * 20, u8::try_from(y % 256).unwrap()])
    };
    RgbImage::from_fn(side, 40, pixel).write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

fn json(output: &Output) -> Value {
    serde_json::from_str(&stdout(output)).unwrap_or_else(|_| panic!("{}", stderr(output)))
}

#[test]
fn a_model_and_its_service_have_the_same_score_to_the_last_picture() {
    let data = Data::new();
    let local = data.evaluate(&["--json", "--lines", &data.path("local")]);
    assert!(local.status.success(), "{}", stderr(&local));
    let service = Service::start(&data.model.path(), &[]);
    let remote = ["--json", "--url", &service.url(""), "--lines", &data.path("remote")];
    let remote = data.evaluate(&remote);
    assert!(remote.status.success(), "{}", stderr(&remote));
    let (local, remote) = (json(&local), json(&remote));
    assert_eq!(local["images"], PICTURES);
    let top1 = local["top1"].as_f64().unwrap();
    let due = f64::from(u32::try_from(data.right).unwrap()) / f64::from(PICTURES);
    assert!((top1 - due).abs() < 1e-9, "{local:#}");
    for key in ["top1", "top5", "classes", "images"] {
        assert_eq!(local[key], remote[key], "{key}");
    }
    let answers = |name: &str| -> Vec<(Value, Value, Vec<Value>)> {
        let classes = |line: &Value| {
            let predictions = line["predictions"].as_array().unwrap().clone();
            predictions.iter().map(|one| one["class"].clone()).collect()
        };
        let line = |line: &Value| (line["file"].clone(), line["right"].clone(), classes(line));
        data.lines(name).iter().map(line).collect()
    };
    assert_eq!(answers("local"), answers("remote"));
    assert_eq!(answers("local").len(), usize::from(PICTURES));
}

#[test]
fn the_table_has_the_figures_and_the_worst_classes() {
    let table = stdout(&Data::new().evaluate(&[]));
    for part in ["top-1", "66.67 %", "top-5", "calibration error", "random weights", "TAKEN FOR"] {
        assert!(table.contains(part), "{table}");
    }
}

#[test]
fn where_every_answer_is_right_no_class_is_the_worst() {
    let data = Data::new();
    for class in fs::read_dir(&data.folder).unwrap() {
        for index in (0..PICTURES).step_by(3) {
            // One of the folders has it.
            let _ = fs::remove_file(class.as_ref().unwrap().path().join(format!("{index}.png")));
        }
    }
    let table = stdout(&data.evaluate(&[]));
    assert!(table.contains("100.00 %") && !table.contains("WORST CLASSES"), "{table}");
}

#[test]
fn a_score_that_is_too_low_is_exit_code_1() {
    let data = Data::new();
    assert!(data.evaluate(&["--min-top1=66"]).status.success());
    let low = data.evaluate(&["--min-top1=67"]);
    assert_eq!(low.status.code(), Some(1));
    assert!(stderr(&low).contains("top-1 is 66.67 %, less than the 67 %"), "{}", stderr(&low));
    assert_eq!(data.evaluate(&["--min-top1=0.9x"]).status.code(), Some(2));
}

#[test]
fn for_a_least_score_what_cannot_be_read_counts_as_wrong() {
    let data = Data::new();
    fs::write(data.folder.join("cat/broken.png"), "no picture").unwrap();
    let low = data.evaluate(&["--min-top1=66"]);
    assert_eq!(low.status.code(), Some(1));
    assert!(stderr(&low).contains("where the 1 that could not be read"), "{}", stderr(&low));
    assert!(data.evaluate(&[]).status.success());
}

#[test]
fn files_that_are_no_pictures_are_counted_and_do_no_harm() {
    let data = Data::new();
    fs::write(data.folder.join("cat/notes.txt"), "no picture").unwrap();
    let service = Service::start(&data.model.path(), &[]);
    for options in [vec!["--json"], vec!["--json", "--url", &service.url("/classify")]] {
        let output = data.evaluate(&options);
        assert!(output.status.success(), "{}", stderr(&output));
        let found = json(&output);
        assert_eq!(found["images"], PICTURES);
        let unreadable = found["unreadable"].as_array().unwrap();
        assert_eq!(unreadable.len(), 1);
        assert!(unreadable[0]["file"].as_str().unwrap().ends_with("notes.txt"));
    }
}

#[test]
fn data_without_one_picture_is_no_success() {
    let model = SmallModel::build();
    let table = model.file("data.csv", b"file,class\nmissing.png,cat\n");
    let output = run(&["evaluate", "--data", &table, "--model", &model.argument()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("not one picture"), "{}", stderr(&output));
}

#[test]
fn a_folder_that_is_no_class_is_named_before_anything_is_classified() {
    let data = Data::new();
    fs::create_dir(data.folder.join("unicorn")).unwrap();
    let output = data.evaluate(&[]);
    assert_eq!(output.status.code(), Some(78));
    assert!(stderr(&output).contains("folder `unicorn` is no id"), "{}", stderr(&output));
}

#[test]
fn a_service_that_is_full_is_waited_for() {
    let data = Data::new();
    let service = Service::start(&data.model.path(), &["--queue-capacity=2", "--max-batch=1"]);
    let options = ["--json", "--url", &service.url(""), "--concurrency=3"];
    let output = data.evaluate(&options);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(json(&output)["images"], PICTURES);
}

#[test]
fn a_service_that_is_not_there_is_named() {
    let data = Data::new();
    let output = data.evaluate(&["--url", "http://127.0.0.1:1"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("http://127.0.0.1:1/classify"), "{}", stderr(&output));
}

#[test]
fn lines_on_standard_output_leave_the_table_to_standard_error() {
    let data = Data::new();
    let output = data.evaluate(&["--lines", "-"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let text = stdout(&output);
    assert_eq!(text.lines().count(), usize::from(PICTURES));
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        for one in line["predictions"].as_array().unwrap() {
            let written = one["probability"].to_string();
            let short: f32 = written.parse().unwrap();
            assert_eq!(short.to_string().parse::<f64>().unwrap().to_string(), written);
        }
    }
    assert!(stderr(&output).contains("66.67 %"), "{}", stderr(&output));
    let both = data.evaluate(&["--lines", "-", "--json"]);
    assert_eq!(both.status.code(), Some(78));
    assert!(stderr(&both).contains("--lines -"), "{}", stderr(&both));
}
