//! The service from start to exit: parts, listeners, warm-up, drain, in that order.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use thiserror::Error;
use tokio::task;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::api::listener::{self, Entrance};
use crate::api::{self, AdminState, Router};
use crate::config::{Config, Doors, Jpeg, JpegDecoder};
use crate::cpu_pool::CpuPool;
use crate::grpc;
use crate::history::History;
use crate::inference::provider::Provider;
use crate::jpeg_unit::{self, Colors, JpegUnit};
use crate::keys::{Keys, KeysError};
use crate::loading::StartError;
use crate::memory::MemoryBudget;
use crate::pipeline::Resources;
use crate::readiness::{Readiness, State};
use crate::reloading;
use crate::rereading::{self, Files};
use crate::resources::{memory_limit, resident_memory};
use crate::serving::{App, AppState, Limits, Models};
use crate::shutdown::{self, Signals};
use crate::telemetry::metrics::{Listener, Metrics};
use crate::telemetry::traces::Traces;
use crate::telemetry::{Telemetry, gpu};
use crate::tls::{Tls, TlsError};
use crate::vitals::Vitals;

mod bound;
mod loader;
mod reload;
mod watch;

use bound::Bound;
use loader::{Loader, Ready};
use reload::{Crew, Place, Reloader};
use watch::Look;

/// How long a scrape or probe that is under way at the end may take.
const ADMIN_GRACE: Duration = Duration::from_secs(1);

/// Why the service did not start, or did not end well.
#[derive(Debug, Error)]
pub enum ServeError {
    /// A model cannot be served.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A model is asked for twice.
    #[error("the model `{}` is given twice", .0.display())]
    Twice(PathBuf),
    /// Two models have one name.
    #[error(
        "two models are named `{name}`: `{}` and `{}`; change `name` in the model.toml of one",
        .folders[0].display(), .folders[1].display()
    )]
    SameName {
        /// Of both.
        name: String,
        /// Where they are.
        folders: [PathBuf; 2],
    },
    /// The API keys are not in order.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The certificates are not in order.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// An address cannot be listened on.
    #[error("cannot listen on `{address}` ({flag}): {cause}")]
    Listen {
        /// Where it comes from.
        flag: &'static str,
        /// As it was given.
        address: String,
        /// What the system says.
        cause: io::Error,
    },
    /// The GPU's unit for JPEG is asked for and is not there.
    #[error("--jpeg-decoder {decoder} cannot be had: {cause}")]
    JpegUnit {
        /// As it was asked for.
        decoder: JpegDecoder,
        /// What is missing.
        cause: String,
    },
    /// A signal cannot be handled.
    #[error("cannot handle signals: {0}")]
    Signals(io::Error),
}

/// The models, and what it takes to load them anew.
struct Loaded {
    models: Models,
    crew: Crew,
    loader: Loader,
    places: Vec<Place>,
}

/// What runs while the service serves.
struct Running {
    /// For clients.
    doors: [Listening; 2],
    admin: Listening,
    app: App,
    crew: Crew,
    reloader: task::JoinHandle<()>,
    traces: Option<Traces>,
}

/// A listener that accepts until it is told to stop.
struct Listening {
    task: tokio::task::JoinHandle<()>,
    stop: CancellationToken,
}

/// Serves until a signal comes, then drains.
///
/// # Errors
///
/// When an address is taken or a model cannot be served.
pub async fn run(config: Config, telemetry: Telemetry) -> Result<(), ServeError> {
    let Telemetry { log_level, metrics, traces } = telemetry;
    let mut signals = Signals::listen().map_err(ServeError::Signals)?;
    let hangups = || shutdown::hangups().map_err(ServeError::Signals);
    let (to_reload, to_reread) = (hangups()?, hangups()?);
    let files = files(&config.doors, &metrics)?;
    warn_if_open(&config);
    let resources = resources(&config, &metrics);
    announce(&config);
    let readiness = Readiness::starting();
    let [public, admin, grpc] = bind_all(&config, &files)?;
    let vitals = Vitals::new(readiness.clone(), resources.pool.clone(), resources.memory.clone());
    gpu::watch(Arc::clone(&metrics));
    let history = History::default();
    task::spawn(history.clone().write(vitals.clone(), Arc::clone(&metrics)));
    let (reloads, orders) = reloading::pair();
    let state = AdminState { vitals: vitals.clone(), metrics, history, log_level, reloads };
    let admin = Listening::start(admin.listen()?, |_| api::admin::router(state));

    // A signal during the start ends it; there is nothing to drain.
    let Loaded { models, crew, loader, places } = tokio::select! {
        loaded = load(&config, &resources) => loaded?,
        signal = signals.next() => {
            tracing::info!(signal, "stopped before the models were loaded");
            return Ok(());
        }
    };
    watch_over(&models, &vitals);
    rereading::start(to_reread, files.clone());
    let app = app((models, files.keys), (&config, &resources), (readiness.clone(), vitals.clone()));
    // Not before: a connection that is accepted and then waits says less than one that is refused.
    let doors = [
        Listening::start(public.listen()?, |_| {
            api::router::public(app.clone(), &config.doors.cors_allow_origin)
        }),
        Listening::start(grpc.listen()?, |stop| grpc::router(app.clone(), stop)),
    ];
    let reloader = Reloader { app: Arc::clone(&app), vitals, crew: crew.clone(), loader, places };
    let reloader = task::spawn(reloader.run((orders, to_reload), config.watch));
    let running = Running { doors, admin, app, crew, reloader, traces };
    readiness.advance(State::Ready);
    tracing::info!("ready");

    let signal = signals.next().await;
    readiness.advance(State::Draining);
    tracing::info!(signal, "draining");
    tokio::select! {
        () = running.drain(&config, &resources.metrics) => (),
        signal = signals.next() => tracing::warn!(signal, "stopped at once by a second signal"),
    }
    Ok(())
}

impl Running {
    /// Finishes what was accepted, and what that has left to be told.
    async fn drain(self, config: &Config, metrics: &Metrics) {
        let Self { doors, admin, app, crew, reloader, traces } = self;
        reloader.abort();
        tokio::time::sleep(config.drain_delay).await;
        finish_in_time(finish(doors, &app, &crew), config.drain_timeout, metrics).await;
        // A client that holds its connection open does not hold the process.
        let _ = timeout(ADMIN_GRACE, admin.stop()).await;
        // The spans of the last answers are there now.
        if let Some(traces) = traces {
            let _ = task::spawn_blocking(move || traces.flush()).await;
        }
    }
}

impl Listening {
    /// What is served may want to know when it will be stopped.
    fn start(entrance: Entrance, router: impl FnOnce(CancellationToken) -> Router) -> Self {
        let stop = CancellationToken::new();
        let router = router(stop.clone());
        Self { task: task::spawn(listener::serve(entrance, router, stop.clone())), stop }
    }

    /// Accepts nothing more and waits for the answers that are due.
    async fn stop(self) {
        self.stop.cancel();
        let _ = self.task.await;
    }
}

async fn finish_in_time(finish: impl Future<Output = ()>, limit: Duration, metrics: &Metrics) {
    let late = timeout(limit, finish).await.is_err();
    let images = metrics.inflight_images.get();
    // Late with none of them: a connection that nobody asks anything on was open still.
    if late && images > 0 {
        tracing::warn!(images, "the drain timeout passed with images unanswered");
    } else {
        tracing::info!("drained");
    }
}

/// The order matters: answers need workers, and a closed queue admits nothing.
async fn finish(doors: [Listening; 2], app: &App, crew: &Crew) {
    join_all(doors.map(Listening::stop)).await;
    app.models.close();
    crew.join().await;
}

/// What can be read anew later, as it is now.
fn files(doors: &Doors, metrics: &Arc<Metrics>) -> Result<Files, ServeError> {
    let keys = doors.api_keys_file.as_deref().map(Keys::load).transpose()?;
    let tls = doors.tls.clone().map(Tls::load).transpose()?;
    let files = Files { keys, tls, metrics: Arc::clone(metrics) };
    files.publish();
    Ok(files)
}

fn warn_if_open(config: &Config) {
    let beyond = [config.listen, config.grpc_listen].iter().any(|door| !door.ip().is_loopback());
    let tls = config.doors.tls.as_ref();
    let open =
        config.doors.api_keys_file.is_none() && tls.is_none_or(|tls| tls.client_ca.is_none());
    if open && beyond {
        tracing::warn!("there are no API keys: whoever reaches this service may ask it");
    }
    if !config.admin_listen.ip().is_loopback() {
        tracing::info!(
            "the admin listener is open to others and asks for no key: whoever reaches it may reload models and change the log level"
        );
    }
}

fn app(
    (models, keys): (Models, Option<Keys>),
    (config, resources): (&Config, &Resources),
    (readiness, vitals): (Readiness, Vitals),
) -> App {
    Arc::new(AppState {
        models,
        keys,
        limits: Limits { max_body: config.max_body, request_timeout: config.request_timeout },
        memory: resources.memory.clone(),
        metrics: Arc::clone(&resources.metrics),
        readiness,
        vitals,
    })
}

/// Loads and warms up everything that [`run`] would, and stops it again.
///
/// # Errors
///
/// As [`run`], addresses excepted.
pub async fn check(config: Config, telemetry: &Telemetry) -> Result<(), ServeError> {
    let resources = resources(&config, &telemetry.metrics);
    files(&config.doors, &telemetry.metrics)?;
    warn_if_open(&config);
    let Loaded { models, crew, .. } = load(&config, &resources).await?;
    models.close();
    crew.join().await;
    tracing::info!("everything is in order");
    Ok(())
}

fn watch_over(models: &Models, vitals: &Vitals) {
    for model in models.iter() {
        vitals.watch(model.name(), model.provider.to_string(), model.pipeline.queue());
    }
    // A GPU is shared by all.
    if models.iter().all(|model| model.provider == Provider::Cpu) {
        vitals.divide_cores();
    }
}

/// Three quarters of what the networks leave, if bodies and pixels would take more by default. In a
/// small container a large network leaves less than their share.
fn leave_room(config: &Config, memory: &MemoryBudget) {
    let resident = resident_memory().filter(|_| !config.memory_budget_is_fixed);
    if let Some(resident) = resident {
        memory.lower_to(memory_limit().saturating_sub(resident) / 4 * 3);
    }
    tracing::info!(bytes = memory.limit(), "memory for bodies and pixels");
}

fn resources(config: &Config, metrics: &Arc<Metrics>) -> Resources {
    metrics.memory_limit.set(i64::try_from(memory_limit()).unwrap_or(i64::MAX));
    let build = [env!("CARGO_PKG_VERSION"), env!("BUILD_COMMIT"), env!("BUILD_RUSTC")];
    metrics.build_info.with_label_values(&build).set(1.0);
    Resources {
        pool: CpuPool::new(config.inference.cores),
        jpeg_unit: None,
        memory: MemoryBudget::new(config.memory_budget),
        max_pixels: config.max_pixels,
        metrics: Arc::clone(metrics),
    }
}

/// What holds for all models; each says for itself what it runs on.
fn announce(config: &Config) {
    let traces = config.telemetry.traces.as_ref();
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        commit = env!("BUILD_COMMIT"),
        cores = config.inference.cores,
        memory_limit = memory_limit(),
        memory_budget = config.memory_budget,
        max_body = config.max_body,
        max_pixels = config.max_pixels,
        jpeg_decoder = %config.jpeg.decoder,
        jpeg_threads = config.jpeg.threads,
        queue_capacity = config.inference.queue_capacity,
        request_timeout = ?config.request_timeout,
        drain_delay = ?config.drain_delay,
        drain_timeout = ?config.drain_timeout,
        otlp_endpoint = traces.map(|traces| tracing::field::display(&traces.endpoint)),
        otlp_protocol = traces.map(|traces| tracing::field::display(traces.protocol)),
        trace_ratio = traces.map(|traces| tracing::field::display(traces.ratio)),
        "starting"
    );
}

fn bind_all(config: &Config, files: &Files) -> Result<[Bound; 3], ServeError> {
    let public = Bound::to((config.listen, Listener::Public), files)?;
    let admin = Bound::to((config.admin_listen, Listener::Admin), files)?;
    let grpc = Bound::to((config.grpc_listen, Listener::Grpc), files)?;
    Ok([public, admin, grpc])
}

/// Loading computes, so it runs off the async threads.
async fn load(config: &Config, resources: &Resources) -> Result<Loaded, ServeError> {
    let (config, resources) = (config.clone(), resources.clone());
    let loading = task::spawn_blocking(move || load_all(&config, &resources));
    loading.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
}

fn load_all(config: &Config, resources: &Resources) -> Result<Loaded, ServeError> {
    let resources = &with_jpeg_unit(config, resources)?;
    let loader = Loader::new(config, resources)?;
    let (crew, mut places, mut served) = (Crew::default(), Vec::new(), Vec::new());
    let looks: Vec<Look> =
        config.models.iter().map(|folder| Look::before_loading(folder)).collect();
    for ((ready, folder), look) in loader.load_all()?.into_iter().zip(&config.models).zip(looks) {
        places.push(Place::of(&ready, folder.clone(), look));
        let Ready { model, info, workers } = ready;
        info.publish(&resources.metrics);
        crew.add(workers);
        served.push(model);
    }
    leave_room(config, &resources.memory);
    let first = served.remove(0);
    Ok(Loaded { models: Models::new(first, served), crew, loader, places })
}

/// The same, with the GPU's unit for JPEG where that is asked for.
fn with_jpeg_unit(config: &Config, resources: &Resources) -> Result<Resources, ServeError> {
    let Jpeg { decoder, threads } = config.jpeg;
    let start = |colors| {
        JpegUnit::start(threads, move || jpeg_unit::open_nvjpeg(colors))
            .map_err(|cause| ServeError::JpegUnit { decoder, cause })
    };
    let jpeg_unit = match decoder {
        JpegDecoder::Cpu => None,
        JpegDecoder::Nvjpeg => Some(start(Colors::Interpolated)?),
        JpegDecoder::NvjpegFast => Some(start(Colors::Repeated)?.alone()),
    };
    Ok(Resources { jpeg_unit, ..resources.clone() })
}
