//! What can go wrong.

use std::ffi::c_int;

use thiserror::Error;

/// Why a picture was not decoded, or never will be.
#[derive(Clone, Debug, Error, Eq, PartialEq)]
pub enum Error {
    /// NVIDIA's library is not where the loader looks.
    #[error(
        "`{name}` is not found; NVIDIA's CUDA toolkit has it, and pip's `nvidia-nvjpeg` and `nvidia-cuda-runtime`"
    )]
    NoLibrary {
        /// The name of the file.
        name: &'static str,
    },
    /// The library has another interface.
    #[error("the library has no `{name}`")]
    NoFunction {
        /// What was looked for in it.
        name: &'static str,
    },
    /// There is nothing that CUDA could use.
    #[error("CUDA finds no GPU")]
    NoGpu,
    /// The GPU is of a kind that has no such unit, or the driver does not offer it.
    #[error(
        "this GPU has no JPEG unit, or its driver does not offer it (`NVIDIA_DRIVER_CAPABILITIES` must have `video`): {cause}"
    )]
    NoUnit {
        /// What nvJPEG said.
        cause: Box<Error>,
    },
    /// More pixels than there is memory for.
    #[error("the batch takes `{needed}` bytes, and `{capacity}` are set aside")]
    TooLarge {
        /// Bytes of all pictures of a batch.
        needed: usize,
        /// Bytes that there are.
        capacity: usize,
    },
    /// A file has not the size that its job says.
    #[error("the picture is not of the size that was said")]
    OtherSize,
    /// Something outside of a picture would be read.
    #[error("a job asks for what is outside of its picture")]
    Unsound,
    /// A call did not work.
    #[error("{function} failed: {}", meaning(.function, *.status))]
    Failed {
        /// Which of NVIDIA's functions.
        function: &'static str,
        /// What it returned.
        status: c_int,
    },
}

impl Error {
    /// Whether one of the files may be to blame.
    #[must_use]
    pub fn is_of_a_file(&self) -> bool {
        const OF_A_FILE: [c_int; 4] = [2, BAD_JPEG, 4, 10];
        match self {
            Self::TooLarge { .. } | Self::OtherSize | Self::Unsound => true,
            Self::Failed { function, status } => {
                function.starts_with("nvjpeg") && OF_A_FILE.contains(status)
            }
            _ => false,
        }
    }
}

pub(crate) fn done(function: &'static str, status: c_int) -> Result<(), Error> {
    if status == 0 { Ok(()) } else { Err(Error::Failed { function, status }) }
}

/// `NVJPEG_STATUS_BAD_JPEG`
const BAD_JPEG: c_int = 3;

/// What nvjpeg.h says of a status.
fn meaning(function: &str, status: c_int) -> String {
    let known = match status {
        2 => "a parameter is invalid",
        BAD_JPEG => "the JPEG is broken",
        4 => "the JPEG is of a kind that is not supported",
        5 => "there is not enough memory",
        6 => "the GPU has failed",
        7 => "the GPU is too old",
        8 => "something inside nvJPEG went wrong",
        9 => "this is not implemented",
        10 => "the JPEG is cut off",
        _ => return format!("status {status}"),
    };
    if function.starts_with("nvjpeg") { known.to_owned() } else { format!("CUDA's error {status}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_told_in_words() {
        let failed = |function, status| Error::Failed { function, status }.to_string();

        assert_eq!(
            failed("nvjpegDecodeBatched", 10),
            "nvjpegDecodeBatched failed: the JPEG is cut off"
        );
        assert_eq!(failed("cudaMalloc", 2), "cudaMalloc failed: CUDA's error 2");
        assert_eq!(failed("nvjpegDecodeBatched", 77), "nvjpegDecodeBatched failed: status 77");
    }
}
