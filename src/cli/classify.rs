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
use serde_json::{Value, json};

use super::{Failure, block_on, local};
use crate::api::error::ApiError;
use crate::api::response::{ClassifiedImage, ModelSummary};
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
        if arguments.json {
            print_json(&model, &outcomes);
        } else {
            print_table(&model, &outcomes);
        }
        let failed = outcomes.iter().filter(|outcome| outcome.result.is_err()).count();
        if failed > 0 {
            return Err(Failure::Incomplete(format!(
                "{failed} of {} pictures could not be classified",
                outcomes.len()
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

fn print_json(model: &LoadedModel, outcomes: &[Outcome]) {
    let results: Vec<Value> = outcomes.iter().map(entry).collect();
    let summary = ModelSummary::new(&model.pipeline.model);
    println!("{:#}", json!({"model": summary, "results": results}));
}

/// As an entry of the service's answer, with the file's name.
fn entry(outcome: &Outcome) -> Value {
    let file = outcome.file.display().to_string();
    match &outcome.result {
        Ok(image) => {
            json!({"file": file, "predictions": image.predictions, "image": image.image})
        }
        Err(error) => json!({"file": file, "error": error.problem("")}),
    }
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
