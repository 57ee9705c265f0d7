//! `model fetch`: what is there afterwards, and what is not.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::file_server::{FileServer, Manner};
use crate::support::{BINARY, command, png, run, stderr, stdout};

/// A catalogue of one network, `tiny`, that a server has.
struct Published {
    folder: TempDir,
    graph: Vec<u8>,
}

impl Published {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let built = folder.path().join("built");
        let built = built.to_str().unwrap();
        let output = run(&["model", "build", "cifar-resnet20", "--classes=1000", "-o", built]);
        assert!(output.status.success(), "{}", stderr(&output));
        let graph = fs::read(folder.path().join("built/model.onnx")).unwrap();
        Self { folder, graph }
    }

    /// Writes the catalogue; its hash is that of the graph unless another is given.
    fn catalogue(&self, url: &str, sha256: Option<&str>) -> PathBuf {
        let manifest = fs::read_to_string(self.folder.path().join("built/model.toml")).unwrap();
        let line = manifest.lines().find(|line| line.starts_with("sha256")).unwrap();
        let sha256 = sha256.unwrap_or_else(|| line.split('"').nth(1).unwrap());
        let text = format!(
            "[input]\nheight = 32\nwidth = 32\n\
             [preprocess]\nresize_shorter_side = 32\nmean = [0.5, 0.5, 0.5]\nstd = [0.5, 0.5, 0.5]\n\
             [output]\nname = \"logits\"\nlabels = \"labels.tsv\"\n\
             [networks.tiny]\nurl = \"{url}\"\nsha256 = \"{sha256}\"\nbytes = {}\ntop1 = 12.3\n",
            self.graph.len()
        );
        let path = self.folder.path().join("catalogue.toml");
        fs::write(&path, text).unwrap();
        path
    }

    fn target(&self) -> PathBuf {
        self.folder.path().join("models/tiny")
    }

    fn fetch(&self, catalogue: &Path, options: &[&str]) -> Output {
        let mut command = command();
        command.args(["model", "fetch", "tiny", "--catalogue"]).arg(catalogue).arg("-o");
        command.arg(self.target()).args(options).output().unwrap()
    }

    fn files(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.target()) else { return Vec::new() };
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

const COMPLETE: [&str; 3] = ["labels.tsv", "model.onnx", "model.toml"];

#[test]
fn a_fetched_model_can_be_served_as_it_is() {
    let published = Published::new();
    let server = FileServer::start(&published.graph, &[Manner::Correct]);
    let output = published.fetch(&published.catalogue(&server.url(), None), &[]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stdout(&output).contains("`tiny` is complete"), "{}", stdout(&output));
    assert_eq!(published.files(), COMPLETE);
    let target = published.target().display().to_string();
    let check = run(&["serve", "--check", "--model", &target]);
    assert!(check.status.success(), "{}", stderr(&check));
    fs::write(published.folder.path().join("a.png"), png()).unwrap();
    let picture = published.folder.path().join("a.png").display().to_string();
    let answer = run(&["classify", "--json", "--model", &target, &picture]);
    let answer: Value = serde_json::from_str(&stdout(&answer)).unwrap();
    assert_eq!(answer["model"]["trained"], true);
    assert!(answer["results"][0]["predictions"][0]["id"].as_str().unwrap().starts_with('n'));
}

#[test]
fn a_second_fetch_asks_nobody_and_completes_what_is_missing() {
    let published = Published::new();
    let server = FileServer::start(&published.graph, &[Manner::Correct]);
    let catalogue = published.catalogue(&server.url(), None);
    assert!(published.fetch(&catalogue, &[]).status.success());
    fs::remove_file(published.target().join("labels.tsv")).unwrap();
    let again = published.fetch(&catalogue, &[]);
    assert!(again.status.success(), "{}", stderr(&again));
    assert!(stdout(&again).contains("is there already"), "{}", stdout(&again));
    assert_eq!(published.files(), COMPLETE);
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_fetch_that_broke_off_is_gone_on_with_by_the_next() {
    let published = Published::new();
    let missing = FileServer::start(&published.graph, &[Manner::Cut(100_000), Manner::Page("404")]);
    let output = published.fetch(&published.catalogue(&missing.url(), None), &[]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stdout(&output).contains("broke off after 100000 bytes"), "{}", stdout(&output));
    assert_eq!(published.files(), ["model.onnx.part"]);
    let server = FileServer::start(&published.graph, &[Manner::Correct]);
    let output = published.fetch(&published.catalogue(&server.url(), None), &[]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(server.requests()[0].contains("range: bytes=100000-"), "{:?}", server.requests());
    assert_eq!(published.files(), COMPLETE);
}

#[test]
fn another_place_can_be_named() {
    let published = Published::new();
    let mirror = FileServer::start(&published.graph, &[Manner::Correct]);
    let catalogue = published.catalogue("http://127.0.0.1:1/model.onnx", None);
    let output = published.fetch(&catalogue, &["--url", &mirror.url()]);
    assert!(output.status.success(), "{}", stderr(&output));
    let manifest = fs::read_to_string(published.target().join("model.toml")).unwrap();
    assert!(manifest.contains("source = \"http://127.0.0.1:1/model.onnx\""), "{manifest}");
}

#[test]
fn what_is_not_the_file_is_said_and_nothing_is_left() {
    let published = Published::new();
    let zeros = "0".repeat(64);
    for (manner, sha256, hint) in [
        (Manner::Page("404 Not Found"), None, "no such file"),
        (Manner::Page("403 Forbidden"), None, "--url names another place"),
        (Manner::Page("200 OK"), None, "a page (text/html) in place of the file"),
        (Manner::Correct, Some(zeros.as_str()), "has the SHA-256"),
    ] {
        let server = FileServer::start(&published.graph, &[manner]);
        let output = published.fetch(&published.catalogue(&server.url(), sha256), &[]);
        assert_eq!(output.status.code(), Some(1));
        let said = stderr(&output);
        assert!(said.contains(hint) && said.contains(&server.url()), "{said}");
        assert!(!published.target().exists(), "{hint}: {:?}", published.files());
    }
}

#[test]
fn a_disk_that_takes_no_more_keeps_the_part() {
    let published = Published::new();
    let server = FileServer::start(&published.graph, &[Manner::Correct]);
    let catalogue = published.catalogue(&server.url(), None);
    // Files of at most 200 blocks of 512 bytes, and an error in place of a signal.
    let limited = r#"trap "" XFSZ; ulimit -f 200; exec "$@""#;
    let output = Command::new("sh")
        .args(["-c", limited, "sh", BINARY, "model", "fetch", "tiny", "--catalogue"])
        .arg(&catalogue)
        .arg("-o")
        .arg(published.target())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("cannot write `"), "{}", stderr(&output));
    assert_eq!(published.files(), ["model.onnx.part"]);
    let output = published.fetch(&catalogue, &[]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(published.files(), COMPLETE);
}

#[test]
fn a_folder_with_another_model_is_replaced_only_by_force() {
    let published = Published::new();
    let server = FileServer::start(&published.graph, &[Manner::Correct]);
    let catalogue = published.catalogue(&server.url(), None);
    let target = published.target().display().to_string();
    assert!(run(&["model", "build", "cifar-resnet20", "-o", &target]).status.success());
    let refused = published.fetch(&catalogue, &[]);
    assert_eq!(refused.status.code(), Some(78));
    assert!(stderr(&refused).contains("the model `cifar-resnet20`"), "{}", stderr(&refused));
    let forced = published.fetch(&catalogue, &["--force"]);
    assert!(forced.status.success(), "{}", stderr(&forced));
    assert!(fs::read_to_string(published.target().join("model.toml")).unwrap().contains("tiny"));
}

#[test]
fn a_folder_that_says_where_its_weights_are_gets_them_from_there() {
    let published = Published::new();
    let server = FileServer::start(&published.graph, &[Manner::Correct]);
    let built = published.folder.path().join("built");
    let manifest = fs::read_to_string(built.join("model.toml")).unwrap();
    let source = format!("source = \"{}\"\n[input]", server.url());
    fs::write(built.join("model.toml"), manifest.replacen("[input]", &source, 1)).unwrap();
    fs::remove_file(built.join("model.onnx")).unwrap();
    let built = built.display().to_string();
    let told = run(&["serve", "--check", "--model", &built]);
    assert!(stderr(&told).contains("model fetch cifar-resnet20"), "{}", stderr(&told));
    let output = run(&["model", "fetch", "cifar-resnet20", "-o", &built]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(run(&["serve", "--check", "--model", &built]).status.success());
}

#[test]
fn a_proxy_is_asked_where_the_environment_names_one() {
    let published = Published::new();
    let proxy = FileServer::start(&published.graph, &[Manner::Correct]);
    let address = proxy.url().replace("/model.onnx", "");
    let catalogue = published.catalogue("http://models.invalid/tiny.onnx", None);
    let output = command()
        .args(["model", "fetch", "tiny", "--catalogue"])
        .arg(&catalogue)
        .arg("-o")
        .arg(published.target())
        .env("http_proxy", &address)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let asked = &proxy.requests()[0];
    assert!(asked.starts_with("CONNECT models.invalid:80"), "{asked}");
}

#[test]
fn a_network_that_nobody_has_is_answered_with_those_that_can_be_had() {
    let output = run(&["model", "fetch", "resnet51"]);
    assert_eq!(output.status.code(), Some(78));
    let said = stderr(&output);
    assert!(said.contains("no network `resnet51`") && said.contains("resnet50-v1-12"), "{said}");
}

#[test]
fn what_can_be_fetched_is_listed_unless_it_is_there() {
    let published = Published::new();
    let catalogue = published.catalogue("http://127.0.0.1:1/x", None).display().to_string();
    let folder = published.folder.path().display().to_string();
    let list = ["model", "list", &folder, "--catalogue", &catalogue];
    let table = stdout(&run(&list));
    assert!(table.lines().any(|line| line.starts_with("tiny") && line.contains("12.30 %")));
    fs::rename(published.folder.path().join("built"), published.folder.path().join("tiny"))
        .unwrap();
    assert!(!stdout(&run(&list)).contains("12.30 %"));
}
