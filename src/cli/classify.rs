//! `classify`: the service's pipeline without the service.

use std::num::{NonZeroU64, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::pin::pin;

use clap::Args;
use futures_util::{Stream, StreamExt as _, stream};
use serde::Serialize;

use super::output::{self, say};
use super::{Failure, block_on, local};
use crate::api::error::ApiError;
use crate::api::response::{ClassifiedImage, ImageResult, ModelSummary};
use crate::config::{InferenceFlags, above_zero, one_model};
use crate::loading::LoadedModel;

/// Files that are open at a time: enough to keep every core busy, far less than the queue takes.
const IN_FLIGHT: usize = 32;

/// What `classify` takes.
#[derive(Args)]
pub(super) struct Arguments {
    /// Pictures; `-` reads one from standard input
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,

    /// Model folder, or a file that names a folder beside it
    #[arg(long, env = "RESNET_SERVE_MODEL", value_name = "DIR", default_value = "models/default", value_parser = one_model)]
    model: PathBuf,

    /// Classes per picture [default: 5, or all if the model has fewer]
    #[arg(long, value_name = "N", value_parser = above_zero::<NonZeroUsize>)]
    top_k: Option<NonZeroUsize>,

    /// Print JSON, as the service answers it
    #[arg(long)]
    json: bool,

    /// Largest picture, in pixels as it is stored
    #[arg(long, env = "RESNET_SERVE_MAX_PIXELS", value_name = "N", default_value = "100000000", value_parser = above_zero::<NonZeroU64>)]
    max_pixels: NonZeroU64,

    #[command(flatten)]
    inference: InferenceFlags,
}

/// One file and what became of it.
struct Outcome {
    file: PathBuf,
    result: Result<ClassifiedImage, ApiError>,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    block_on(async {
        let config = arguments.inference.clone().into();
        let model = local::load(&arguments.model, config, arguments.max_pixels).await?;
        let classes = model.pipeline.model.labels.len();
        let top_k = arguments.top_k.map_or(classes.min(5), NonZeroUsize::get);
        if top_k > classes {
            return Err(Failure::Config(format!("--top-k is more than the {classes} classes")));
        }
        let standard = |file: &&PathBuf| file.as_path() == Path::new(local::STANDARD);
        if arguments.images.iter().filter(standard).count() > 1 {
            return Err(Failure::Config("`-` can be read only once".to_owned()));
        }
        let files = arguments.images.iter().map(|file| classify(&model, file, top_k));
        let outcomes = stream::iter(files).buffered(IN_FLIGHT);
        let failed = if arguments.json {
            print_json(&model, outcomes.collect().await)?
        } else {
            print_table(&model, outcomes).await?
        };
        if failed > 0 {
            return Err(Failure::Incomplete(format!(
                "{failed} of {} pictures could not be classified",
                arguments.images.len()
            )));
        }
        Ok(())
    })
}

async fn classify(model: &LoadedModel, file: &Path, top_k: usize) -> Outcome {
    let result = local::classify(model, file, top_k).await;
    let result = result.map(|found| ClassifiedImage::new(&model.pipeline.model, &found));
    Outcome { file: file.to_owned(), result }
}

/// The service's answer, without what is a request's.
#[derive(Serialize)]
struct Answer {
    model: ModelSummary,
    results: Vec<Entry>,
}

/// An entry of it, with the file's name.
#[derive(Serialize)]
struct Entry {
    file: String,
    #[serde(flatten)]
    result: ImageResult,
}

/// Prints all of them at once; so many failed.
fn print_json(model: &LoadedModel, outcomes: Vec<Outcome>) -> Result<usize, Failure> {
    let failed_ones = outcomes.iter().filter(|outcome| outcome.result.is_err()).count();
    let failed = |error: ApiError| ImageResult::Failed { error: error.problem("") };
    let entry = |outcome: Outcome| Entry {
        file: outcome.file.display().to_string(),
        result: outcome.result.map_or_else(failed, ImageResult::Classified),
    };
    let model = ModelSummary::new(&model.pipeline.model);
    let answer = Answer { model, results: outcomes.into_iter().map(entry).collect() };
    let text = serde_json::to_string_pretty(&answer);
    say!("{}", text.map_err(|cause| Failure::Incomplete(cause.to_string()))?)?;
    Ok(failed_ones)
}

/// Prints each as soon as it and those before it are there; so many failed.
async fn print_table(
    model: &LoadedModel,
    outcomes: impl Stream<Item = Outcome>,
) -> Result<usize, Failure> {
    let manifest = &model.pipeline.model.manifest;
    say!("{} {} on {}", manifest.name.as_str(), manifest.version, model.provider)?;
    if !manifest.trained {
        say!("This model has random weights: its answers mean nothing.")?;
    }
    let mut failed = 0;
    let mut outcomes = pin!(outcomes);
    while let Some(Outcome { file, result }) = outcomes.next().await {
        match result {
            Ok(image) => print_predictions(&file, &image)?,
            Err(error) => {
                failed += 1;
                output::complain(format_args!("error: {}: {error}", file.display()));
            }
        }
    }
    Ok(failed)
}

fn print_predictions(file: &Path, image: &ClassifiedImage) -> Result<(), Failure> {
    say!("\n{}", file.display())?;
    image.predictions.iter().try_for_each(|prediction| {
        let (percent, label) = (prediction.probability * 100.0, &prediction.label);
        say!("  {percent:6.2} %  {:<12} {label}", prediction.id)
    })
}
