//! How networks run: the flags that every command shares, and what comes of them.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;

use crate::inference::provider::ProviderChoice;
use crate::resources;

/// Threads of a session, and sessions: more than any machine has cores.
const MOST: usize = 1024;

/// The flags of every command that runs a network.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Device")]
pub struct InferenceFlags {
    /// The device.
    #[command(flatten)]
    pub device: DeviceFlags,

    /// Threads in each session [default: the cores divided by the sessions, on a GPU 1]
    #[arg(long, env = "RESNET_SERVE_INTRA_THREADS", value_name = "N", value_parser = few)]
    pub intra_threads: Option<NonZeroUsize>,
}

/// What networks run on, and with what.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Device")]
pub struct DeviceFlags {
    /// Device that networks run on
    #[arg(long, env = "RESNET_SERVE_PROVIDER", value_name = "PROVIDER", default_value = "auto")]
    pub provider: ProviderChoice,

    /// ONNX Runtime's shared library [default: what `ORT_DYLIB_PATH` says, or else beside the
    /// executable or in .runtime/]
    #[arg(long, env = "RESNET_SERVE_ONNXRUNTIME", value_name = "PATH")]
    pub onnxruntime: Option<PathBuf>,

    /// Folder where TensorRT keeps what it compiled, for the next start on the same kind of GPU
    #[arg(long, env = "RESNET_SERVE_TENSORRT_CACHE", value_name = "DIR")]
    pub tensorrt_cache: Option<PathBuf>,
}

/// How networks run; what is `None` depends on the device that is found.
#[derive(Clone, Debug)]
pub struct InferenceConfig {
    /// What was asked for.
    pub provider: ProviderChoice,
    /// The shared library, where it was named.
    pub onnxruntime: Option<PathBuf>,
    /// Where compiled engines are kept.
    pub tensorrt_cache: Option<PathBuf>,
    /// Cores to share out.
    pub cores: NonZeroUsize,
    /// Sessions side by side.
    pub sessions: Option<NonZeroUsize>,
    /// Threads in each.
    pub intra_threads: Option<NonZeroUsize>,
    /// Images in a batch.
    pub max_batch: Option<NonZeroUsize>,
    /// How long an image may wait for others.
    pub max_wait: Duration,
    /// Images admitted and not yet answered.
    pub queue_capacity: NonZeroUsize,
}

impl From<InferenceFlags> for InferenceConfig {
    /// For a command that classifies one image after another.
    fn from(flags: InferenceFlags) -> Self {
        Self {
            sessions: Some(NonZeroUsize::MIN),
            intra_threads: flags.intra_threads,
            ..flags.device.into()
        }
    }
}

impl From<DeviceFlags> for InferenceConfig {
    /// What `serve` does with one model where nothing else is asked for; no image waits for others.
    fn from(flags: DeviceFlags) -> Self {
        Self {
            provider: flags.provider,
            onnxruntime: flags.onnxruntime,
            tensorrt_cache: flags.tensorrt_cache,
            cores: resources::cores(),
            sessions: None,
            intra_threads: None,
            max_batch: None,
            max_wait: Duration::ZERO,
            queue_capacity: NonZeroUsize::MIN.saturating_add(255),
        }
    }
}

/// A number of sessions or of threads, as typed.
pub(crate) fn few(text: &str) -> Result<NonZeroUsize, String> {
    let number = text.parse().ok().filter(|number: &NonZeroUsize| number.get() <= MOST);
    number.ok_or_else(|| format!("a whole number from 1 to {MOST} is expected"))
}

/// A number that must not be 0, as typed.
pub(crate) fn above_zero<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| "a whole number from 1 on is expected".to_owned())
}

/// The folder of the only model of a command, as typed.
pub(crate) fn one_model(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    if text.contains(',') && !path.exists() {
        return Err("this command takes one model; for `serve` the variable `RESNET_SERVE_MODEL` \
            may name several, separated by commas"
            .to_owned());
    }
    Ok(path)
}
