//! `classify`: the service's pipeline without the service.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "printing is what the command is for"
)]

use std::num::{NonZeroU64, NonZeroUsize};
use std::path::{Path, PathBuf};

use clap::Args;
use futures_util::{StreamExt as _, stream};
use serde::Serialize;

use super::{Failure, block_on, local};
use crate::api::error::ApiError;
use crate::api::response::{ClassifiedImage, ImageResult, ModelSummary};
use crate::config::InferenceFlags;
use crate::loading::LoadedModel;

/// Files that are open at a time: enough to keep every core busy, far less than the queue takes.
const IN_FLIGHT: usize = 32;

/// What `classify` takes.
#[derive(Args)]
pub(super) struct Arguments {
    /// Pictures
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,

    /// Model folder, or a file that names a folder beside it
    #[arg(long, env = "RESNET_SERVE_MODEL", value_name = "DIR", default_value = "models/default")]
    model: PathBuf,

    /// Classes per picture [default: 5, or all if the model has fewer]
    #[arg(long, value_name = "N")]
    top_k: Option<NonZeroUsize>,

    /// Print JSON, as the service answers it
    #[arg(long)]
    json: bool,

    /// Largest picture, in pixels as it is stored
    #[arg(long, env = "RESNET_SERVE_MAX_PIXELS", value_name = "N", default_value = "100000000")]
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
        let files = arguments.images.iter().map(|file| classify(&model, file, top_k));
        let outcomes: Vec<Outcome> = stream::iter(files).buffered(IN_FLIGHT).collect().await;
        let count = outcomes.len();
        let failed = outcomes.iter().filter(|outcome| outcome.result.is_err()).count();
        if arguments.json {
            print_json(&model, outcomes)?;
        } else {
            print_table(&model, &outcomes);
        }
        if failed > 0 {
            return Err(Failure::Incomplete(format!(
                "{failed} of {count} pictures could not be classified"
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

fn print_json(model: &LoadedModel, outcomes: Vec<Outcome>) -> Result<(), Failure> {
    let failed = |error: ApiError| ImageResult::Failed { error: error.problem("") };
    let entry = |outcome: Outcome| Entry {
        file: outcome.file.display().to_string(),
        result: outcome.result.map_or_else(failed, ImageResult::Classified),
    };
    let model = ModelSummary::new(&model.pipeline.model);
    let answer = Answer { model, results: outcomes.into_iter().map(entry).collect() };
    let text = serde_json::to_string_pretty(&answer);
    println!("{}", text.map_err(|cause| Failure::Incomplete(cause.to_string()))?);
    Ok(())
}

fn print_table(model: &LoadedModel, outcomes: &[Outcome]) {
    let manifest = &model.pipeline.model.manifest;
    println!("{} {} on {}", manifest.name.as_str(), manifest.version, model.provider);
    if !manifest.trained {
        println!("This model has random weights: its answers mean nothing.");
    }
    for outcome in outcomes {
        match &outcome.result {
            Ok(image) => {
                println!("\n{}", outcome.file.display());
                for prediction in &image.predictions {
                    let (percent, label) = (prediction.probability * 100.0, &prediction.label);
                    println!("  {percent:6.2} %  {:<12} {label}", prediction.id);
                }
            }
            Err(error) => eprintln!("error: {}: {error}", outcome.file.display()),
        }
    }
}
