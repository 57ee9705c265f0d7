//! What came of it, for people.

use std::path::Path;

use super::comparison::Comparison;
use crate::cli::Failure;
use crate::cli::output::{self, say};

/// Where fewer answers are the same, somebody has to look.
const FEW_ALIKE: f64 = 0.9;

/// A model that was quantized.
pub(super) struct Report<'a> {
    pub(super) name: &'a str,
    pub(super) folder: &'a Path,
    /// In 8 bits, and all.
    pub(super) layers: (usize, usize),
    /// Pictures.
    pub(super) calibrated: usize,
    /// Of the graphs before and after.
    pub(super) files: [u64; 2],
    pub(super) comparison: &'a Comparison,
    /// Which pictures it was made with, after their number.
    pub(super) compared: &'a str,
}

impl Report<'_> {
    pub(super) fn print(&self) -> Result<(), Failure> {
        let (layers, of) = self.layers;
        let (folder, pictures) = (self.folder.display(), self.calibrated);
        let [before, after] = self.files.map(|bytes| bytesize::ByteSize::b(bytes).display().si());
        say!("Wrote the model `{}` to {folder}", self.name)?;
        say!("{layers} of {of} layers in 8 bits, calibrated with {pictures} pictures")?;
        say!("file            {before} → {after}")?;
        say!("{}", self.comparison.told(self.compared))?;
        let command = format!("resnet-serve evaluate --model {folder} --data …");
        say!("`{command}` says what that costs on labelled pictures.")?;
        if self.comparison.alike() < FEW_ALIKE {
            output::notice(format_args!(
                "warning: many answers are others than in float32; evaluate both models before \
                 you serve this one"
            ))?;
        }
        Ok(())
    }
}
