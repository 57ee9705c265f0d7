//! `bench`: how fast this machine runs a model, and which flags suit it.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::Failure;
use crate::config::{DeviceFlags, InferenceConfig, few, one_model};
use crate::inference::onnx::OnnxRuntime;
use crate::loading;
use crate::model::Model;

mod advice;
mod closed_loop;
mod figures;
mod measure;
mod plan;
mod recommendation;
mod report;
mod work;

use measure::Measurement;
use plan::{Circumstances, Wishes};
use report::Report;

/// The largest batch that can be asked for: as many images as wait in `serve` by default.
const LARGEST_BATCH: usize = 256;

/// What `bench` takes.
#[derive(Args)]
pub(super) struct Arguments {
    /// Model folder, or a file that names a folder beside it
    #[arg(long, env = "RESNET_SERVE_MODEL", value_name = "DIR", default_value = "models/default", value_parser = one_model)]
    model: PathBuf,

    /// Sessions side by side [default: from 1 to one per core on the CPU, 1 and 2 on a GPU]
    #[arg(long, value_name = "N,…", value_delimiter = ',', value_parser = few)]
    sessions: Vec<NonZeroUsize>,

    /// Threads in each session [default: the cores divided by the sessions, on a GPU 1]
    #[arg(long, value_name = "N,…", value_delimiter = ',', value_parser = few)]
    intra_threads: Vec<NonZeroUsize>,

    /// Images in a batch [default: 1 to 16 on the CPU, 1 to 128 on a GPU]
    #[arg(long, value_name = "N,…", value_delimiter = ',', value_parser = batch_size)]
    batch_sizes: Vec<NonZeroUsize>,

    /// How long each setting is measured in a round; at least one batch is
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = some_time)]
    duration: Duration,

    /// Rounds over all settings; the differences between them are the noise
    #[arg(long, value_name = "N", default_value = "5", value_parser = clap::value_parser!(u32).range(2..=1000))]
    rounds: u32,

    /// Print JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    device: DeviceFlags,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let config = InferenceConfig::from(arguments.device.clone());
    let runtime = OnnxRuntime::load(config.onnxruntime.as_deref()).map_err(Failure::config)?;
    let model = Arc::new(Model::load(&arguments.model).map_err(Failure::config)?);
    let found = circumstances(&runtime, &model, &config)?;
    let groups = plan::plan(&wishes(arguments), &found).map_err(Failure::Config)?;
    let measurement = Measurement {
        runtime: &runtime,
        model: &model,
        // What has worked is not tried out again.
        config: InferenceConfig { provider: found.provider.into(), ..config },
        duration: arguments.duration,
        rounds: arguments.rounds,
    };
    let smallest = found.fixed_batch.unwrap_or(NonZeroUsize::MIN);
    let measured = measurement.run(&groups, smallest)?;
    let nothing = || Failure::Incomplete("the device has no memory for any of the batches".into());
    let recommendation =
        recommendation::recommend(&measured.busy, found.default).ok_or_else(nothing)?;
    let report = Report { measurement: &measurement, measured: &measured, found, recommendation };
    report.print(arguments.json)
}

/// Finds out by a session as `serve` would make it.
fn circumstances(
    runtime: &OnnxRuntime,
    model: &Arc<Model>,
    config: &InferenceConfig,
) -> Result<Circumstances, Failure> {
    let default = loading::bare(runtime, model, config).map_err(Failure::config)?;
    Ok(Circumstances {
        cores: config.cores,
        provider: default.provider,
        fixed_batch: default.fixed_batch.and_then(NonZeroUsize::new),
        default: default.layout,
    })
}

fn wishes(arguments: &Arguments) -> Wishes {
    Wishes {
        sessions: arguments.sessions.clone(),
        intra_threads: arguments.intra_threads.clone(),
        batch_sizes: arguments.batch_sizes.clone(),
    }
}

fn batch_size(text: &str) -> Result<NonZeroUsize, String> {
    let size = text.parse().ok().filter(|size: &NonZeroUsize| size.get() <= LARGEST_BATCH);
    size.ok_or_else(|| format!("a number from 1 to {LARGEST_BATCH} is expected"))
}

fn some_time(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|cause| cause.to_string())?;
    if duration.is_zero() { Err("must be above 0".to_owned()) } else { Ok(duration) }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn parse(arguments: &[&str]) -> Result<Arguments, String> {
        let parsed = Command::try_parse_from(["bench"].iter().chain(arguments));
        parsed.map(|command| command.arguments).map_err(|cause| cause.to_string())
    }

    #[test]
    fn lists_are_read_with_commas() {
        let arguments = parse(&["--sessions=1,2", "--intra-threads=4", "--batch-sizes=1,256"]);
        let arguments = arguments.unwrap();
        let numbers = |list: &[NonZeroUsize]| list.iter().map(|n| n.get()).collect::<Vec<_>>();
        assert_eq!(numbers(&arguments.sessions), [1, 2]);
        assert_eq!(numbers(&arguments.intra_threads), [4]);
        assert_eq!(numbers(&arguments.batch_sizes), [1, 256]);
        assert_eq!((arguments.duration, arguments.rounds), (Duration::from_secs(1), 5));
    }

    #[test]
    fn what_cannot_be_measured_is_refused_with_the_flag() {
        for (flag, due) in [
            ("--batch-sizes=0", "from 1 to 256"),
            ("--batch-sizes=1,257", "from 1 to 256"),
            ("--batch-sizes=two", "from 1 to 256"),
            ("--sessions=0", "--sessions"),
            ("--intra-threads=-1", "--intra-threads"),
            ("--duration=0s", "must be above 0"),
            ("--duration=fast", "--duration"),
            ("--rounds=1", "2..=1000"),
        ] {
            let Err(said) = parse(&[flag]) else { panic!("{flag} was taken") };
            assert!(said.contains(due), "{flag}: {said}");
        }
    }
}
