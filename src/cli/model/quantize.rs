//! `model quantize`: a model folder with the same network in 8 bits.

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use crate::cli::output::say;
use crate::cli::{Failure, progress};
use crate::config::{DeviceFlags, InferenceConfig, above_zero};
use crate::inference::onnx::OnnxRuntime;
use crate::inference::provider::ProviderChoice;
use crate::loading::{self, Alone, Calibration};
use crate::model::derived::{self, GRAPH, LABELS};
use crate::model::{self, Model, digest};
use crate::networks::BuiltNetwork;
use crate::pipeline;
use crate::selftest::FILE as SELF_TEST;

mod comparison;
mod pictures;

use comparison::Comparison;
use pictures::{Chosen, Pictures};

/// What `model quantize` takes.
#[derive(Args)]
pub(in crate::cli) struct Arguments {
    /// Model folder, or a file that names a folder beside it, with a network in float32
    #[arg(value_name = "DIR")]
    model: PathBuf,

    /// Folder with pictures like those to come, at any depth; their classes are not asked for
    #[arg(long, value_name = "DIR")]
    data: PathBuf,

    /// The model folder to write
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,

    /// Pictures to calibrate with; as many others are compared, if there are more
    #[arg(long, value_name = "N", default_value = "256", value_parser = above_zero::<NonZeroUsize>)]
    images: NonZeroUsize,

    /// Name of the new model [default: the old one's with `-int8`]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    /// Replace existing files
    #[arg(long)]
    force: bool,

    /// ONNX Runtime's shared library [default: what `ORT_DYLIB_PATH` says, or else beside the
    /// executable or in .runtime/]
    #[arg(long, env = "RESNET_SERVE_ONNXRUNTIME", value_name = "PATH")]
    onnxruntime: Option<PathBuf>,
}

pub(in crate::cli) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let folder = model::resolve(&arguments.model).map_err(Failure::config)?;
    let chosen = Chosen::from(&arguments.data, arguments.images).map_err(Failure::config)?;
    let target = Target::prepare(arguments, &folder)?;
    let config = InferenceConfig::from(arguments.device());
    let runtime = OnnxRuntime::load(config.onnxruntime.as_deref()).map_err(Failure::config)?;
    let original = Arc::new(Model::load(&folder).map_err(Failure::config)?);
    let mut float32 =
        Alone::load(&runtime, Arc::clone(&original), &config).map_err(Failure::config)?;
    let mut pictures = Pictures::of(pipeline::transform(&original.manifest));

    let shape = (float32.slots(), config.cores.get());
    let mut calibration = Calibration::begin(&runtime, &original, shape, &target.scratch())
        .map_err(Failure::config)?;
    let bar = progress::pictures(chosen.calibrating.len());
    bar.set_message("calibrating");
    let seen = pictures.each(&chosen.calibrating, &bar, |pixels| {
        calibration.see(pixels).map_err(Failure::config)
    })?;
    let network = calibration.finish().map_err(Failure::config)?;
    target.write(&network, &original)?;

    let quantized = Arc::new(Model::load(target.folder).map_err(Failure::config)?);
    let mut int8 =
        Alone::load(&runtime, Arc::clone(&quantized), &config).map_err(Failure::config)?;
    if folder.join(SELF_TEST).exists() {
        let test = loading::measure(&runtime, target.folder, &config).map_err(Failure::config)?;
        test.write(target.folder).map_err(|cause| target.failed(SELF_TEST, &cause))?;
    }
    let bar = progress::pictures(chosen.comparing.len());
    bar.set_message("comparing");
    let mut comparison = Comparison::default();
    pictures
        .each(&chosen.comparing, &bar, |pixels| comparison.add(pixels, &mut float32, &mut int8))?;

    let (name, layers) = (quantized.manifest.name.as_str(), calibration.layers());
    say!("Wrote the model `{name}` to {}", target.folder.display())?;
    say!("{layers} layers in 8 bits, the last in float32; calibrated with {seen} pictures")?;
    say!("file            {} → {}", size(&original.graph)?, size(&quantized.graph)?)?;
    say!("{}", comparison.told(if chosen.apart() { "other" } else { "same" }))?;
    pictures.tell_unreadable()?;
    say!(
        "`resnet-serve evaluate --model {} --data …` says what that costs on labelled pictures.",
        target.folder.display()
    )
}

impl Arguments {
    fn device(&self) -> DeviceFlags {
        // What 8 bits win is won on a CPU; a GPU computes such graphs in floats.
        let provider = ProviderChoice::Cpu;
        DeviceFlags { provider, onnxruntime: self.onnxruntime.clone(), tensorrt_cache: None }
    }
}

/// The folder to be written.
struct Target<'a> {
    folder: &'a Path,
    name: String,
    manifest: String,
}

impl<'a> Target<'a> {
    /// Checks what can be checked before pictures are looked at.
    fn prepare(arguments: &'a Arguments, source: &Path) -> Result<Self, Failure> {
        let folder = arguments.output.as_path();
        let folders = model::folders(source).map_err(Failure::config)?;
        if folders.len() > 1 {
            let source = source.display();
            return Err(Failure::Config(format!(
                "`{source}` is an ensemble; quantize its members one by one"
            )));
        }
        let is_source = fs::canonicalize(folder)
            .is_ok_and(|there| fs::canonicalize(source).is_ok_and(|from| from == there));
        if is_source {
            let words =
                format!("`{}` is the model itself; write to another folder", folder.display());
            return Err(Failure::Config(words));
        }
        let graph = folder.join(GRAPH);
        if graph.exists() && !arguments.force {
            let there = graph.display();
            return Err(Failure::Config(format!(
                "`{there}` is there already; --force replaces it"
            )));
        }
        let text = fs::read_to_string(source.join("model.toml")).map_err(Failure::config)?;
        let name = match &arguments.name {
            Some(name) => name.clone(),
            None => format!("{}-int8", model::name(source).map_err(Failure::config)?),
        };
        // With any hash: whether the name is one shows now.
        derived::manifest(&text, &name, &"0".repeat(64))
            .map_err(|mistakes| Failure::Config(mistakes.join("\n")))?;
        let target = Self { folder, name, manifest: text };
        fs::create_dir_all(folder).map_err(|cause| target.failed("", &cause))?;
        Ok(target)
    }

    /// A file for what is needed for a moment.
    fn scratch(&self) -> PathBuf {
        self.folder.join(format!("{GRAPH}.{}.simplified", std::process::id()))
    }

    fn write(&self, network: &BuiltNetwork, original: &Model) -> Result<(), Failure> {
        let sha256 = digest::sha256_of(network.bytes());
        let manifest = derived::manifest(&self.manifest, &self.name, &sha256)
            .map_err(|mistakes| Failure::Config(mistakes.join("\n")))?;
        let lines = original.labels.iter().map(|label| format!("{}\t{}\n", label.id, label.text));
        network.write(&self.folder.join(GRAPH)).map_err(|cause| self.failed(GRAPH, &cause))?;
        for (file, text) in [("model.toml", manifest), (LABELS, lines.collect())] {
            fs::write(self.folder.join(file), text).map_err(|cause| self.failed(file, &cause))?;
        }
        Ok(())
    }

    fn failed(&self, file: &str, cause: &std::io::Error) -> Failure {
        Failure::Config(format!("cannot write `{}`: {cause}", self.folder.join(file).display()))
    }
}

/// Of a file, in megabytes.
fn size(file: &Path) -> Result<String, Failure> {
    let bytes = fs::metadata(file).map_err(Failure::config)?.len();
    Ok(format!("{}", bytesize::ByteSize::b(bytes).display().si()))
}
