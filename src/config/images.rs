//! Pictures: what decodes them, and how large they may be.

use std::fmt;
use std::num::{NonZeroU64, NonZeroUsize};

use clap::{Args, ValueEnum};

use super::{above_zero, few};

/// The flags of `serve` about pictures, as typed.
#[derive(Args, Debug)]
pub(super) struct ImageFlags {
    /// What decodes JPEGs: the CPU, or a GPU's JPEG unit beside it (A100, H100 and later ones for data
    /// centres)
    #[arg(
        long,
        help_heading = "Device",
        env = "RESNET_SERVE_JPEG_DECODER",
        value_name = "DECODER",
        default_value = "cpu"
    )]
    pub(super) jpeg_decoder: JpegDecoder,

    /// Threads that feed the JPEG unit, each with over 50 MiB of the GPU's memory
    #[arg(
        long,
        help_heading = "Device",
        env = "RESNET_SERVE_JPEG_THREADS",
        value_name = "N",
        value_parser = few,
        default_value = "3"
    )]
    pub(super) jpeg_threads: NonZeroUsize,

    /// Largest picture, in pixels as it is stored
    #[arg(
        long,
        help_heading = "Limits",
        env = "RESNET_SERVE_MAX_PIXELS",
        value_name = "N",
        value_parser = above_zero::<NonZeroU64>,
        default_value = "100000000"
    )]
    pub(super) max_pixels: NonZeroU64,
}

impl ImageFlags {
    pub(super) fn jpeg(&self) -> Jpeg {
        Jpeg { decoder: self.jpeg_decoder, threads: self.jpeg_threads }
    }
}

/// What decodes JPEGs, and by how many threads of its own, if it has any.
#[derive(Clone, Copy, Debug)]
pub struct Jpeg {
    /// Which.
    pub decoder: JpegDecoder,
    /// Of the GPU's unit.
    pub threads: NonZeroUsize,
}

/// What decodes JPEGs.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum JpegDecoder {
    /// The cores
    Cpu,
    /// NVIDIA's nvJPEG and the cores, whichever is free
    Nvjpeg,
    /// NVIDIA's nvJPEG, with colors repeated instead of interpolated: faster, but probabilities differ
    /// slightly. Cores help only after a second
    NvjpegFast,
}

impl fmt::Display for JpegDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cpu => "cpu",
            Self::Nvjpeg => "nvjpeg",
            Self::NvjpegFast => "nvjpeg-fast",
        })
    }
}
