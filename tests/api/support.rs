//! A service without a network, and requests to it.

use std::io::Cursor;
use std::num::NonZeroUsize;
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use image::{ImageFormat, Rgb, RgbImage};
use resnet_serve::api::{AdminState, admin, router};
use resnet_serve::batching::worker::Worker;
use resnet_serve::batching::{self, BatchSizes, Collector, Executor, Gathering, Queue};
use resnet_serve::config::Origin;
use resnet_serve::cpu_pool::CpuPool;
use resnet_serve::grpc;
use resnet_serve::history::History;
use resnet_serve::inference::TensorNames;
use resnet_serve::inference::fake::{FakeControl, FakeEngine, FakeFactory};
use resnet_serve::inference::provider::Provider;
use resnet_serve::jpeg_unit::JpegUnit;
use resnet_serve::keys::Keys;
use resnet_serve::memory::MemoryBudget;
use resnet_serve::model::{Label, Manifest, Model};
use resnet_serve::pipeline::{Pipeline, Resources};
use resnet_serve::preprocess::Packing;
use resnet_serve::readiness::Readiness;
use resnet_serve::reloading;
use resnet_serve::serving::{AppState, Limits, Models, ServedModel};
use resnet_serve::telemetry::logs::{self, LogFormat, LogLevel};
use resnet_serve::telemetry::metrics::Metrics;
use resnet_serve::vitals::Vitals;
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;
use tracing::dispatcher;

/// With what is waited for, which takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(30);

const MANIFEST: &str = r#"
    name = "colors"
    version = "7"
    trained = true
    [weights]
    file = "model.onnx"
    [input]
    layout = "nhwc"
    type = "uint8"
    height = 4
    width = 4
    [preprocess]
    resize_shorter_side = 4
    [output]
    labels = "labels.tsv"
"#;

/// Classes of the fake network: the first three are the colours of the first pixel.
pub(crate) const CLASSES: [(&str, &str); 6] = [
    ("n1", "red"),
    ("n2", "green"),
    ("n3", "blue"),
    ("n4", "cyan"),
    ("n5", "magenta"),
    ("n6", "yellow"),
];

/// A service under test.
pub(crate) struct Service {
    pub(crate) router: Router,
    /// The gRPC listener's.
    pub(crate) grpc: Router,
    /// What the gRPC listener is stopped by.
    pub(crate) stop: CancellationToken,
    pub(crate) engine: FakeControl,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) queue: Queue,
    pub(crate) vitals: Vitals,
    pub(crate) readiness: Readiness,
    pub(crate) pool: CpuPool,
    pub(crate) memory: MemoryBudget,
    pub(crate) history: History,
}

/// What a test may want to be otherwise.
#[derive(Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) queue_capacity: usize,
    pub(crate) max_batch: usize,
    pub(crate) max_body: usize,
    pub(crate) memory: u64,
    pub(crate) max_pixels: u64,
    /// Lines of the file of API keys; none for a service that everybody may ask.
    pub(crate) keys: &'static str,
    /// Origins whose pages may ask.
    pub(crate) cors: &'static [&'static str],
    /// The type of the network's own input: of bytes `[n, 4, 4, 3]`, of floats `[n, 3, 4, 4]`.
    pub(crate) input: &'static str,
    /// What makes probabilities of the network's scores.
    pub(crate) activation: &'static str,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            queue_capacity: 64,
            max_batch: 4,
            max_body: 4 << 20,
            memory: 1 << 30,
            max_pixels: 1_000_000,
            keys: "",
            cors: &[],
            input: "uint8",
            activation: "softmax",
        }
    }
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: axum::http::HeaderMap,
    pub(crate) bytes: Bytes,
    /// The bytes where they are text.
    pub(crate) text: String,
}

fn start_worker(model: &Model, collector: Collector, engine: &FakeControl, metrics: &Arc<Metrics>) {
    let (input, preprocess) = (&model.manifest.input, &model.manifest.preprocess);
    let packing = Packing::new(input.layout, preprocess.color, preprocess.mean, preprocess.std);
    let fake = Box::new(FakeEngine::new(CLASSES.len(), engine.clone()));
    let executor = Executor::new(fake, packing, input, 1);
    let factory = Arc::new(FakeFactory::new(CLASSES.len(), engine.clone()));
    let worker = Worker::new(collector, executor, factory, Arc::clone(metrics));
    let clock = Handle::current();
    // The subscriber of a test's thread is that of its worker's.
    let subscriber = dispatcher::get_default(Clone::clone);
    thread::spawn(move || {
        let _entered = clock.enter();
        dispatcher::with_default(&subscriber, || worker.run());
    });
}

impl Service {
    pub(crate) fn start() -> Self {
        Self::with(Settings::default())
    }

    /// One worker, as [`resnet_serve::loading`] starts it for a real network.
    pub(crate) fn with(settings: Settings) -> Self {
        Self::with_jpeg_unit(settings, None)
    }

    /// The same with what decodes JPEGs beside the CPU.
    pub(crate) fn with_jpeg_unit(settings: Settings, jpeg_unit: Option<JpegUnit>) -> Self {
        let metrics = Arc::new(Metrics::new());
        let engine = FakeControl::default();
        let model = Arc::new(model(&settings));
        let (queue, collector) = batching::pair(gathering(&settings), Arc::clone(&metrics));
        start_worker(&model, collector, &engine, &metrics);
        let memory = MemoryBudget::new(settings.memory);
        let pool = CpuPool::new(NonZeroUsize::MIN);
        let readiness = Readiness::starting();
        let vitals = Vitals::new(readiness.clone(), pool.clone(), memory.clone());
        vitals.watch("colors", Provider::Cpu.to_string(), queue.clone());
        let resources = Resources {
            pool: pool.clone(),
            jpeg_unit,
            memory: memory.clone(),
            max_pixels: settings.max_pixels,
            metrics: Arc::clone(&metrics),
        };
        let served = ServedModel {
            pipeline: Pipeline::new(model, queue.clone(), resources),
            tensors: TensorNames {
                input: "input".to_owned(),
                output: "logits".to_owned(),
                ..TensorNames::default()
            },
            provider: Provider::Cpu,
            onnxruntime: "none".to_owned(),
            sessions: NonZeroUsize::MIN,
        };
        let app = Arc::new(AppState {
            models: Models::new(served, []),
            keys: keys(settings.keys),
            limits: Limits {
                max_body: settings.max_body,
                request_timeout: Duration::from_secs(30),
            },
            memory: memory.clone(),
            metrics: Arc::clone(&metrics),
            readiness: readiness.clone(),
            vitals: vitals.clone(),
        });
        let origins: Vec<Origin> =
            settings.cors.iter().map(|origin| origin.parse().unwrap()).collect();
        let router = router::public(Arc::clone(&app), &origins);
        let stop = CancellationToken::new();
        let grpc = grpc::router(app, stop.clone());
        let history = History::default();
        Self {
            router,
            grpc,
            stop,
            engine,
            metrics,
            queue,
            vitals,
            readiness,
            pool,
            memory,
            history,
        }
    }

    /// What the admin listener answers to a probe or a scrape.
    pub(crate) async fn ask(&self, path: &str) -> (StatusCode, String) {
        let state = AdminState {
            vitals: self.vitals.clone(),
            metrics: Arc::clone(&self.metrics),
            history: self.history.clone(),
            log_level: log_level(),
            reloads: reloading::pair().0,
        };
        let request = Request::get(path).body(Body::empty()).unwrap();
        let answer = Answer::read(admin::router(state).oneshot(request).await.unwrap()).await;
        (answer.status, answer.text)
    }

    /// A metric's value; labels as Prometheus writes them.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let text = self.metrics.render();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("no `{name}`")).parse().unwrap()
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        Answer::read(self.router.clone().oneshot(request).await.unwrap()).await
    }

    /// `POST /classify` with a query, a content type and a body.
    pub(crate) async fn classify(&self, query: &str, kind: &str, body: impl Into<Body>) -> Answer {
        self.send(post(&format!("/classify{query}"), kind, body)).await
    }

    /// After whatever happened before, a good picture still gets its labels.
    pub(crate) async fn assert_still_answers(&self) {
        let answer = self.classify("", "image/png", png([0, 0, 200])).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        assert_eq!(answer.json()["results"][0]["predictions"][0]["label"], "blue");
    }
}

impl Answer {
    async fn read(response: Response<Body>) -> Self {
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Self { status: parts.status, headers: parts.headers, bytes, text }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Asserts on status and code, on the document's form, and returns the detail.
    pub(crate) fn problem(&self, status: u16, code: &str) -> String {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        assert_eq!(self.header("content-type"), "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["status"], status);
        assert_eq!(problem["request_id"], self.header("x-request-id"));
        for key in ["type", "title", "detail"] {
            assert!(problem[key].as_str().is_some_and(|text| !text.is_empty()), "{problem}");
        }
        problem["detail"].as_str().unwrap().to_owned()
    }
}

/// The log that all tests of a process share: only the first that is started can be told its level.
pub(crate) fn log_level() -> LogLevel {
    static LEVEL: LazyLock<LogLevel> = LazyLock::new(|| logs::start(LogFormat::Text));
    LEVEL.clone()
}

pub(crate) fn post(path: &str, kind: &str, body: impl Into<Body>) -> Request<Body> {
    let request = Request::post(path);
    let request = if kind.is_empty() { request } else { request.header("content-type", kind) };
    request.body(body.into()).unwrap()
}

fn keys(lines: &str) -> Option<Keys> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, lines).unwrap();
    (!lines.is_empty()).then(|| Keys::load(file.path()).unwrap())
}

/// Waits for what another task is about to do, without guessing how long it takes.
pub(crate) async fn until(condition: impl Fn() -> bool) {
    // By a clock that no test holds.
    let begin = std::time::Instant::now();
    while !condition() {
        assert!(begin.elapsed() < PATIENCE, "what was waited for has not come");
        tokio::task::yield_now().await;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// A request under way.
pub(crate) fn spawn(service: &Service, query: &str, color: [u8; 3]) -> JoinHandle<StatusCode> {
    let request = post(&format!("/classify{query}"), "", png(color));
    let router = service.router.clone();
    tokio::spawn(async move { router.oneshot(request).await.unwrap().status() })
}

/// A picture of 4×4 pixels in one colour.
pub(crate) fn png(color: [u8; 3]) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    RgbImage::from_pixel(4, 4, Rgb(color)).write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

fn model(settings: &Settings) -> Model {
    let floats = MANIFEST
        .replace("nhwc", "nchw")
        .replace("uint8", settings.input)
        .replace("[output]", "mean = [0.0, 0.0, 0.0]\nstd = [1.0, 1.0, 1.0]\n[output]");
    let manifest = if settings.input == "uint8" { MANIFEST } else { &floats };
    let output = format!("[output]\nactivation = \"{}\"", settings.activation);
    let manifest = &manifest.replace("[output]", &output);
    let label =
        |(id, text): &(&str, &str)| Label { id: (*id).to_owned(), text: (*text).to_owned() };
    let labels = CLASSES.iter().map(label).collect();
    Model::new(Manifest::parse(manifest).unwrap(), labels, ("model.onnx".into(), "0".repeat(64)))
}

fn gathering(settings: &Settings) -> Gathering {
    Gathering {
        queue_capacity: NonZeroUsize::new(settings.queue_capacity).unwrap(),
        sizes: BatchSizes::Any { limit: NonZeroUsize::new(settings.max_batch).unwrap() },
        max_wait: Duration::ZERO,
        workers: NonZeroUsize::MIN,
        decoders: NonZeroUsize::MIN,
    }
}
