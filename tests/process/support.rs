//! The binary, a small model, and a service that ends with its test.

use std::io::{BufRead as _, BufReader, Cursor, Read as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Output, Stdio};

use image::{ImageFormat, Rgb, RgbImage};
use serde_json::Value;
use tempfile::TempDir;

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_resnet-serve");

/// Runs the binary to its end, in the repository's root.
pub(crate) fn run(arguments: &[&str]) -> Output {
    command().args(arguments).output().unwrap()
}

/// The binary with nothing set that a test does not set.
pub(crate) fn command() -> Command {
    // The tests' own client wants to know, even where it speaks no TLS.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut command = Command::new(BINARY);
    command
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env_remove("ORT_DYLIB_PATH")
        .env_remove("RUST_LOG");
    command
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A CIFAR network with random weights, a megabyte large.
pub(crate) struct SmallModel {
    folder: TempDir,
}

impl SmallModel {
    pub(crate) fn build() -> Self {
        Self::build_with(&[])
    }

    pub(crate) fn build_with(flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("small");
        let build = ["model", "build", "cifar-resnet20", "-o", path.to_str().unwrap()];
        let output = run(&[&build, flags].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        Self { folder }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("small")
    }

    pub(crate) fn argument(&self) -> String {
        self.path().display().to_string()
    }

    /// Writes a picture beside the model and returns its path.
    pub(crate) fn picture(&self, name: &str) -> String {
        self.file(name, &png())
    }

    pub(crate) fn file(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.display().to_string()
    }
}

/// A picture of 40×30 pixels with some detail.
pub(crate) fn png() -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let pixel = |x: u32, y: u32| Rgb([x, y, x * y].map(|value| u8::try_from(value % 256).unwrap()));
    RgbImage::from_fn(40, 30, pixel).write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// A running service on free ports.
pub(crate) struct Service {
    child: Child,
    log: BufReader<ChildStderr>,
    /// Every line up to `ready`.
    pub(crate) start_log: Vec<Value>,
    pub(crate) public: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) grpc: SocketAddr,
}

impl Service {
    /// Starts it and waits until it says that it is ready.
    pub(crate) fn start(model: &Path, flags: &[&str]) -> Self {
        Self::start_in(model, flags, &[])
    }

    /// The same with variables set.
    pub(crate) fn start_in(model: &Path, flags: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut child = spawn(model, flags, variables);
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let start_log = lines_until(&mut log, "ready");
        let public = address(&start_log, "public");
        let admin = address(&start_log, "admin");
        let grpc = address(&start_log, "grpc");
        Self { child, log, start_log, public, admin, grpc }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.public)
    }

    pub(crate) fn admin_url(&self, path: &str) -> String {
        format!("http://{}{path}", self.admin)
    }

    /// Reads the log up to a message and returns that line.
    pub(crate) fn wait_for(&mut self, message: &str) -> Value {
        lines_until(&mut self.log, message).pop().unwrap()
    }

    pub(crate) fn signal(&self, signal: &str) {
        send(&self.child, signal);
    }

    /// Waits for the end and returns what was left of the log.
    pub(crate) fn wait(mut self) -> (ExitStatus, String) {
        let mut rest = String::new();
        self.log.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap(), rest)
    }
}

/// The service as it begins, its log in a pipe.
fn spawn(model: &Path, flags: &[&str], variables: &[(&str, &str)]) -> Child {
    command()
        .args(["serve", "--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0"])
        .args(["--grpc-listen=127.0.0.1:0", "--log-format=json", "--model"])
        .arg(model)
        .args(flags)
        .envs(variables.iter().copied())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Ends a service with a signal as soon as it listens, before it has loaded its model; how it
/// ended, and the rest of its log.
pub(crate) fn end_while_loading(model: &Path) -> (ExitStatus, String) {
    let mut child = spawn(model, &[], &[]);
    let mut log = BufReader::new(child.stderr.take().unwrap());
    lines_until(&mut log, "listening");
    send(&child, "-TERM");
    let mut rest = String::new();
    log.read_to_string(&mut rest).unwrap();
    (child.wait().unwrap(), rest)
}

fn send(child: &Child, signal: &str) {
    let status = Command::new("kill").args([signal, &child.id().to_string()]).status();
    assert!(status.unwrap().success());
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn address(log: &[Value], listener: &str) -> SocketAddr {
    let line = log.iter().find(|line| line["listener"] == listener).unwrap();
    line["address"].as_str().unwrap().parse().unwrap()
}

/// The lines of the log up to one with that message.
fn lines_until(log: &mut BufReader<ChildStderr>, message: &str) -> Vec<Value> {
    let (mut seen, mut other) = (Vec::new(), String::new());
    loop {
        let mut text = String::new();
        let read = log.read_line(&mut text).unwrap();
        assert!(read > 0, "the service ended before `{message}`:\n{seen:#?}\n{other}");
        match serde_json::from_str::<Value>(&text) {
            Ok(line) => {
                let last = line["message"] == message;
                seen.push(line);
                if last {
                    return seen;
                }
            }
            Err(_) => other.push_str(&text),
        }
    }
}
