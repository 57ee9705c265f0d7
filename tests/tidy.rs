//! The invariants of ARCHITECTURE.md that can be read off the source.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::{Path, PathBuf};

use resnet_serve::model::digest::sha256_of;

/// What each part may use of the crate; a part that is not listed may use anything.
const MAY_USE: &[(&str, &[&str])] = &[
    ("networks", &[]),
    ("ranking", &["model"]),
    ("model", &["client", "networks"]),
    ("client", &[]),
    ("evaluation", &["model", "ranking"]),
    ("preprocess", &["model"]),
    ("explanation", &["networks", "preprocess"]),
    ("inference", &["model", "networks", "ranking"]),
    ("batching", &["inference", "memory", "preprocess", "telemetry"]),
    ("selftest", &["model", "preprocess"]),
    ("telemetry", &[]),
    ("readiness", &[]),
    ("reloading", &[]),
    ("shutdown", &[]),
    ("resources", &[]),
    ("keys", &["file_state", "model"]),
    ("rereading", &["keys", "shutdown", "telemetry", "tls"]),
    ("tls", &["file_state", "telemetry"]),
    ("file_state", &[]),
    ("jpeg_unit", &["preprocess"]),
    ("memory", &[]),
    ("cpu_pool", &[]),
    (
        "serving",
        &[
            "batching",
            "inference",
            "keys",
            "memory",
            "pipeline",
            "readiness",
            "telemetry",
            "vitals",
        ],
    ),
    (
        "grpc",
        &["api", "batching", "keys", "memory", "pipeline", "protocol", "serving", "telemetry"],
    ),
    ("protocol", &["inference", "memory", "model", "pipeline", "ranking", "serving", "telemetry"]),
    ("history", &["telemetry", "vitals"]),
    ("vitals", &["batching", "cpu_pool", "memory", "readiness", "telemetry"]),
];

/// No file of the program is longer.
const LONGEST_FILE: usize = 400;

#[test]
fn dependencies_point_one_way() {
    for &(part, allowed) in MAY_USE {
        for file in sources().iter().filter(|file| belongs_to(file, part)) {
            for (line, used) in uses(&read(file)) {
                let fine = used == part || allowed.contains(&used.as_str());
                assert!(fine, "{}:{line} uses `{used}`", file.display());
            }
        }
    }
}

#[test]
fn only_the_engine_knows_the_runtime() {
    let allowed = ["inference/onnx.rs", "inference/onnx/", "inference/provider.rs"];
    for file in sources() {
        let path = relative(&file);
        let knows = read(&file).lines().any(|line| names(line, "ort"));
        let may = allowed.iter().any(|place| path.starts_with(place));
        assert!(may || !knows, "{path} names the runtime's crate");
    }
}

#[test]
fn only_the_interface_knows_axum() {
    for file in sources() {
        let path = relative(&file);
        let may = path == "api.rs" || path.starts_with("api/");
        assert!(may || !read(&file).contains("axum::"), "{path} uses axum");
    }
}

#[test]
fn only_the_grpc_door_knows_tonic() {
    for file in sources() {
        let path = relative(&file);
        let may = path == "grpc.rs" || path.starts_with("grpc/");
        assert!(may || !read(&file).contains("tonic::"), "{path} uses tonic");
    }
}

#[test]
fn a_metric_is_named_in_its_declaration_only() {
    for file in sources() {
        let path = relative(&file);
        let text = read(&file);
        let program = text.split("#[cfg(test)]").next().unwrap_or_default();
        let names = program.contains("\"resnet_serve_");
        assert!(path == "telemetry/metrics.rs" || !names, "{path} names a metric");
    }
}

#[test]
fn every_file_opens_with_a_sentence_and_is_not_long() {
    for file in sources() {
        let text = read(&file);
        assert!(text.starts_with("//! "), "{} has no opening sentence", file.display());
        let lines = text.lines().count();
        assert!(lines <= LONGEST_FILE, "{} has {lines} lines", file.display());
    }
}

/// Whether a line has a path that begins with this word, and not just one that ends in it.
fn names(line: &str, word: &str) -> bool {
    let path = format!("{word}::");
    let mut places = line.match_indices(&path);
    places.any(|(at, _)| !line[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_'))
}

/// The parts of the crate that a text names, with their lines; tests may use anything.
fn uses(text: &str) -> Vec<(usize, String)> {
    let program = text.split("#[cfg(test)]").next().unwrap_or_default();
    let numbered = program.lines().enumerate().filter(|(_, line)| !line.trim().starts_with("//"));
    numbered
        .flat_map(|(index, line)| {
            line.split("crate::").skip(1).map(move |rest| {
                let name = rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_');
                (index + 1, name.collect())
            })
        })
        .collect()
}

fn belongs_to(file: &Path, part: &str) -> bool {
    let path = relative(file);
    path == format!("{part}.rs") || path.starts_with(&format!("{part}/"))
}

fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    assert!(found.len() > 20, "the sources were found");
    found
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn relative(file: &Path) -> String {
    file.strip_prefix(root()).unwrap().display().to_string()
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap()
}

#[test]
fn the_gpu_s_kernels_are_made_of_their_source() {
    let folder = root().parent().unwrap().join("nvjpeg/kernels");
    let source = fs::read(folder.join("resize.cu")).unwrap();
    let digest = sha256_of(&source);
    let made = read(&folder.join("resize.ptx"));

    let first = made.lines().next().unwrap();
    assert!(first.ends_with(digest.as_str()), "run nvjpeg/kernels/make_ptx.py: {first}");
}
