//! What the fuzz targets share: the service under test, and what must hold whatever comes.

use std::collections::HashSet;
use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::panic;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{Request, StatusCode};
use peak_alloc::PeakAlloc;
use resnet_serve::inference::fake::{LETHAL, POISON};
use tempfile::{tempfile, tempfile_in};
use tokio::runtime::{Builder, Runtime};

#[path = "../../tests/api/support.rs"]
#[allow(dead_code, reason = "the tests of the API use more of it")]
mod support;

use support::{Answer, Service, Settings};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// The budget of the service for bodies and pixels; what a request takes beside it must fit in
/// [`BESIDE`].
const BUDGET: u64 = 8 << 20;

/// Bytes that a request may take beside its bodies and pixels: the answer, the batch, and the
/// longest list of texts that is read.
const BESIDE: u64 = 6 << 20;

/// Pixels of a picture; more take time without telling more.
const MAX_PIXELS: u64 = 1 << 16;

/// How long what a request has taken may outlive its answer.
const GIVEN_BACK_WITHIN: Duration = Duration::from_secs(5);

/// The public listener's router with the fake network, one for all executions.
pub struct Target {
    runtime: Runtime,
    service: Service,
}

/// A file that holds one input after another, for what reads files.
pub struct Scratch {
    file: File,
    path: PathBuf,
}

impl Target {
    /// Starts the service. Its network takes floats, in which no picture has the pixels at which
    /// the fake engine fails.
    pub fn start() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let settings = Settings {
            memory: BUDGET,
            max_body: 1 << 20,
            max_pixels: MAX_PIXELS,
            input: "float32",
            ..Settings::default()
        };
        let service = runtime.block_on(async { Service::with(settings) });
        Self { runtime, service }
    }

    /// Sends a request and checks what must hold for any: an answer that is no failure of the
    /// service, an error that is a document, memory within the budget, and all of it given back.
    pub fn send(&self, request: Request<Body>) {
        let (answer, peak) = peak_of(|| self.runtime.block_on(self.service.send(request)));
        let fine = answer.status.is_success()
            || answer.status.is_client_error()
            || matches!(
                answer.status,
                StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT
            );
        assert!(fine, "{} {}", answer.status, answer.text);
        check_document(&answer);
        assert!(peak <= BUDGET + BESIDE, "{peak} bytes at the peak for {}", answer.text);
        self.wait_until_given_back();
    }

    fn wait_until_given_back(&self) {
        let begun = Instant::now();
        while self.service.memory.left() != BUDGET {
            assert!(
                begun.elapsed() < GIVEN_BACK_WITHIN,
                "{} bytes left",
                self.service.memory.left()
            );
            thread::yield_now();
        }
    }
}

fn check_document(answer: &Answer) {
    if !answer.status.is_success() {
        let document = answer.json();
        let words = document.get("detail").or(document.get("error"));
        assert!(words.is_some_and(|words| words.is_string()), "{}", answer.text);
        assert!(answer.text.len() < 4096, "an error of {} bytes", answer.text.len());
    }
}

/// Whether these bytes may be elements at which the fake engine fails on purpose.
pub fn fails_on_purpose(data: &[u8]) -> bool {
    let floats = |pixel: [u8; 3]| pixel.map(|byte| f32::from(byte).to_le_bytes()).concat();
    let has = |needle: &[u8]| data.windows(needle.len()).any(|window| window == needle);
    [POISON, LETHAL].into_iter().any(|pixel| has(&floats(pixel))) || has(b"255")
}

impl Scratch {
    /// A file without a name, so that none is left behind; in memory, where that is a folder.
    pub fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let file = if memory.is_dir() { tempfile_in(memory) } else { tempfile() };
        let file = file.expect("a scratch file");
        let path = PathBuf::from(format!("/dev/fd/{}", file.as_raw_fd()));
        Self { file, path }
    }

    /// The file, with this input in it.
    pub fn holding(&self, data: &[u8]) -> &Path {
        let mut file = &self.file;
        let written = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(data))
            .and_then(|()| file.rewind());
        written.expect("the scratch file is written");
        &self.path
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

/// Runs `work`, and measures how many bytes it took at its peak.
pub fn peak_of<T>(work: impl FnOnce() -> T) -> (T, u64) {
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    let result = work();
    (result, ALLOCATOR.peak_usage().saturating_sub(before) as u64)
}

/// What reading `length` bytes of a model's file may take: structures are larger than their bytes.
pub fn assert_in_proportion(peak: u64, length: usize) {
    let limit = (1 << 20) + 1024 * length as u64;
    assert!(peak <= limit, "{peak} bytes at the peak for {length} of input");
}

/// Prints the place of each panic once, in place of libFuzzer's end at the first: the program has
/// walls around decoders and handlers. A panic that passes them ends the run all the same.
pub fn print_panics_once() {
    let seen = Mutex::new(HashSet::new());
    panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        if seen.lock().is_ok_and(|mut seen| seen.insert(place)) {
            eprintln!("a panic: {panic}");
        }
    }));
}
