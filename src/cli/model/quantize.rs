//! `model quantize`: a model folder with the same network in 8 bits.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use crate::cli::Failure;
use crate::config::{DeviceFlags, InferenceConfig, above_zero};
use crate::inference::onnx::OnnxRuntime;
use crate::inference::provider::ProviderChoice;
use crate::loading::{self, Alone, Calibration};
use crate::model::{self, Model};
use crate::preprocess::Pixels;
use crate::{pipeline, selftest};

mod comparison;
mod folder;
mod pictures;
mod report;

use comparison::Comparison;
use folder::Target;
use pictures::Pictures;
use report::Report;

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

    /// Pictures to calibrate with; as many others are compared, or all, where there are not so many
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
    let source = model::resolve(&arguments.model).map_err(Failure::config)?;
    let mut pictures = Pictures::find(&arguments.data, arguments.images)?;
    let target = Target::prepare(arguments, &source)?;
    let config = InferenceConfig::from(arguments.device());
    let runtime = OnnxRuntime::load(config.onnxruntime.as_deref()).map_err(Failure::config)?;
    let load = |model: &Arc<Model>| {
        Alone::load(&runtime, Arc::clone(model), &config).map_err(Failure::config)
    };
    let original = Arc::new(Model::load(&source).map_err(Failure::config)?);
    target.spares(&original.graph)?;
    let mut float32 = load(&original)?;
    let transform = pipeline::transform(&original.manifest);

    let shape = (float32.slots(), config.cores.get());
    let calibration = Calibration::begin(&runtime, &original, shape, &target.scratch());
    let mut calibration = calibration.map_err(Failure::config)?;
    let observe = |pixels: &Pixels| calibration.observe(pixels).map_err(Failure::config);
    let calibrated = pictures.calibrate(transform, observe)?;
    target.write(&calibration.finish().map_err(Failure::config)?, &original)?;

    let quantized = Arc::new(Model::load(target.staging()).map_err(Failure::config)?);
    let mut int8 = load(&quantized)?;
    if source.join(selftest::FILE).exists() {
        let test = loading::measure_loaded(&quantized, &mut int8).map_err(Failure::config)?;
        test.write(target.staging()).map_err(|cause| target.failed(selftest::FILE, &cause))?;
    }
    let mut comparison = Comparison::default();
    pictures.compare(transform, |pixels| comparison.add(pixels, &mut float32, &mut int8))?;
    let [before, after] = [&original, &quantized].map(|model| folder::size(&model.graph));
    let files = [before?, after?];
    target.put_in_place()?;

    Report {
        name: quantized.manifest.name.as_str(),
        folder: &arguments.output,
        layers: calibration.layers(),
        calibrated,
        files,
        comparison: &comparison,
        compared: pictures.chosen.compared(),
    }
    .print()?;
    pictures.tell_unreadable()
}

impl Arguments {
    fn device(&self) -> DeviceFlags {
        // What 8 bits win is won on a CPU; a GPU computes such graphs in floats.
        let provider = ProviderChoice::Cpu;
        DeviceFlags { provider, onnxruntime: self.onnxruntime.clone(), tensorrt_cache: None }
    }
}
