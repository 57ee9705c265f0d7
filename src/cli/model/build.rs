//! `model build`: a network of the paper as a model folder.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use crate::cli::Failure;
use crate::cli::output::say;
use crate::model::derived::{GRAPH, LABELS};
use crate::model::digest;
use crate::model::manifest::ModelName;
use crate::model::template::{self, Template};
use crate::networks::{
    self, BuildOptions, BuildRequest, BuiltNetwork, InputType, Network, Precision, ShortcutOption,
    Variant, WeightSource, WeightsType,
};

/// What `model build` takes.
#[derive(Args)]
pub(in crate::cli) struct Arguments {
    /// Network, such as `resnet50`; a wrong name lists them all
    network: Network,

    /// The model folder to write
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,

    /// Name of the model [default: the network's]
    #[arg(long, value_name = "NAME")]
    name: Option<ModelName>,

    /// Trained weights with torchvision's parameter names; without a file they are random
    #[arg(long, value_name = "FILE.safetensors")]
    weights: Option<PathBuf>,

    /// Seed of random weights; the same seed gives the same file
    #[arg(long, value_name = "N", default_value_t = 0, conflicts_with = "weights")]
    seed: u64,

    /// Number of classes [default: 1000 for ImageNet's networks, 10 for CIFAR's]
    #[arg(long, value_name = "N")]
    classes: Option<usize>,

    /// Where bottleneck blocks have their stride [default: v1.5]
    #[arg(long)]
    variant: Option<VariantName>,

    /// The paper's shortcut option [default: b for ImageNet's networks, a for CIFAR's]
    #[arg(long)]
    shortcut: Option<ShortcutName>,

    /// Height and width of the input, in pixels [default: 224, or 32 for CIFAR's networks]
    #[arg(long, value_name = "PIXELS")]
    side: Option<usize>,

    /// Factor by which the graph enlarges its input before the first convolution [default: 1]
    #[arg(long, value_name = "FACTOR")]
    upscale: Option<usize>,

    /// What the graph takes: normalised floats, or bytes that it normalises by itself
    #[arg(long, default_value = "float32")]
    input_type: InputTypeName,

    /// How the weights of a float32 network are stored; float16 halves the file
    #[arg(long, default_value = "float32")]
    weights_type: WeightsTypeName,

    /// What the layers compute in; fp16 is for GPUs and halves the file; input and output stay as
    /// they are
    #[arg(long, default_value = "fp32")]
    precision: PrecisionName,

    /// Add the outputs `features` and `feature_map`; explanations need them
    #[arg(long)]
    features: bool,

    /// Replace existing files: `model.onnx`, `model.toml` and `labels.tsv`
    #[arg(long)]
    force: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum VariantName {
    /// In the first 1×1 convolution, as in the paper
    V1,
    /// In the 3×3 convolution
    #[value(name = "v1.5")]
    V15,
}

#[derive(Clone, Copy, ValueEnum)]
enum ShortcutName {
    /// Identity with zero channels appended
    A,
    /// Projections where the shape changes
    B,
    /// Projections everywhere
    C,
}

#[derive(Clone, Copy, ValueEnum)]
enum InputTypeName {
    Float32,
    Uint8,
}

#[derive(Clone, Copy, ValueEnum)]
enum WeightsTypeName {
    Float32,
    Float16,
}

#[derive(Clone, Copy, ValueEnum)]
enum PrecisionName {
    Fp32,
    Fp16,
}

pub(in crate::cli) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let folder = &arguments.output;
    let graph = folder.join(GRAPH);
    if graph.exists() && !arguments.force {
        let there = graph.display();
        return Err(Failure::Config(format!("`{there}` is there already; --force replaces it")));
    }
    let request = arguments.request();
    say!("Building {}", request.network)?;
    let built = networks::build(&request).map_err(Failure::config)?;
    write(folder, &graph, &built)?;
    let trained = arguments.weights.is_some();
    let template = Template::new(request.network, request.options, trained);
    let template = template.named(arguments.name.clone());
    write_text(arguments, &template, &digest::sha256_of(built.bytes()))?;
    say!("\n{}", built.inspection())?;
    Ok(())
}

impl Arguments {
    fn request(&self) -> BuildRequest {
        let weights = match &self.weights {
            Some(file) => WeightSource::Safetensors(file.clone()),
            None => WeightSource::Random { seed: self.seed },
        };
        BuildRequest { network: self.network, options: self.options(), weights }
    }

    fn options(&self) -> BuildOptions {
        BuildOptions {
            classes: self.classes,
            height: self.side,
            width: self.side,
            upscale: self.upscale,
            variant: self.variant.map(|variant| match variant {
                VariantName::V1 => Variant::V1,
                VariantName::V15 => Variant::V15,
            }),
            shortcut: self.shortcut.map(|shortcut| match shortcut {
                ShortcutName::A => ShortcutOption::A,
                ShortcutName::B => ShortcutOption::B,
                ShortcutName::C => ShortcutOption::C,
            }),
            input_type: match self.input_type {
                InputTypeName::Float32 => InputType::Float32,
                InputTypeName::Uint8 => InputType::Uint8(template::normalization(self.network)),
            },
            weights_type: match self.weights_type {
                WeightsTypeName::Float32 => WeightsType::Float32,
                WeightsTypeName::Float16 => WeightsType::Float16,
            },
            precision: match self.precision {
                PrecisionName::Fp32 => Precision::Float32,
                PrecisionName::Fp16 => Precision::Float16,
            },
            features: self.features,
        }
    }
}

fn write(folder: &Path, graph: &Path, built: &BuiltNetwork) -> Result<(), Failure> {
    let failed =
        |path: &Path, cause| Failure::Config(format!("cannot write `{}`: {cause}", path.display()));
    fs::create_dir_all(folder).map_err(|cause| failed(folder, cause))?;
    built.write(graph).map_err(|cause| failed(graph, cause))?;
    say!("Wrote {}", graph.display())?;
    Ok(())
}

/// `model.toml` and the labels, unless somebody has written their own.
fn write_text(arguments: &Arguments, template: &Template, sha256: &str) -> Result<(), Failure> {
    for (name, text) in [("model.toml", template.manifest(sha256)), (LABELS, template.labels())] {
        let path = arguments.output.join(name);
        if path.exists() && !arguments.force {
            say!("Kept {}{}", path.display(), remark(&path, sha256))?;
        } else {
            fs::write(&path, text).map_err(Failure::config)?;
            say!("Wrote {}", path.display())?;
            if name == LABELS && template.has_numbered_labels() {
                say!("Its classes have numbers for names: put yours in their place.")?;
            }
        }
    }
    Ok(())
}

/// A kept `model.toml` that names another graph's hash would be refused when it is served.
fn remark(kept: &Path, sha256: &str) -> String {
    let text = fs::read_to_string(kept).unwrap_or_default();
    if text.contains("sha256") && !text.contains(sha256) {
        format!("; the new file's sha256 is {sha256}")
    } else {
        String::new()
    }
}
