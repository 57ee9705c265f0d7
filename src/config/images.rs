//! Pictures: what decodes them, and how large they may be.

use std::fmt;
use std::num::NonZeroU64;

use clap::{Args, ValueEnum};

use super::above_zero;

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

/// What decodes JPEGs.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum JpegDecoder {
    /// The cores
    Cpu,
    /// NVIDIA's nvJPEG and the cores, whichever is free
    Nvjpeg,
}

impl fmt::Display for JpegDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cpu => "cpu",
            Self::Nvjpeg => "nvjpeg",
        })
    }
}
