//! What is generated from `proto/inference.proto` is what stands beside it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::{Path, PathBuf};
use std::{env, fs};

use protox::Compiler;

/// Set, it writes the files anew in place of comparing them.
const UPDATE: &str = "UPDATE_GENERATED";

#[test]
fn the_code_and_the_descriptors_are_those_of_the_definition() {
    let compiled = |comments: bool| {
        let mut compiler = Compiler::new([proto()]).unwrap();
        compiler.include_source_info(comments).open_file("inference.proto").unwrap();
        compiler
    };
    hold("inference.binpb", &compiled(false).encode_file_descriptor_set());
    let folder = tempfile::tempdir().unwrap();
    tonic_prost_build::configure()
        .build_client(false)
        .btree_map(".")
        // The tensors of a request stay where they were received.
        .bytes(".")
        .emit_rerun_if_changed(false)
        .out_dir(folder.path())
        .compile_fds(compiled(true).file_descriptor_set())
        .unwrap();
    hold("generated.rs", &fs::read(folder.path().join("inference.rs")).unwrap());
}

fn hold(name: &str, expected: &[u8]) {
    let path = proto().join(name);
    if env::var_os(UPDATE).is_some() {
        fs::write(&path, expected).unwrap();
    }
    let kept = fs::read(&path).unwrap_or_default();
    assert!(kept == expected, "run `{UPDATE}=1 cargo test --test generated`: proto/{name} is old");
}

fn proto() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("proto")
}
