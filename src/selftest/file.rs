//! `selftest.toml` as text.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;

use super::{SelfTest, SelfTestError};
use crate::model::digest::Sha256Hex;
use crate::model::write_atomically;

/// Characters in a line.
const LINE: usize = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    picture: String,
    pixels: WrittenPixels,
    logits: WrittenLogits,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenPixels {
    sha256: Sha256Hex,
    samples: Vec<u8>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenLogits {
    tolerance: f32,
    values: Vec<f32>,
}

/// The file, where there is one.
pub(super) fn read(path: &Path) -> Result<Option<SelfTest>, SelfTestError> {
    let failed = |cause: String| SelfTestError::File { path: path.to_owned(), cause };
    match fs::read_to_string(path) {
        Ok(text) => parse(&text).map(Some).map_err(failed),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(failed(cause.to_string())),
    }
}

pub(super) fn write(test: &SelfTest, path: &Path) -> io::Result<PathBuf> {
    write_atomically(path, rendered(test).as_bytes())?;
    Ok(path.to_owned())
}

fn parse(text: &str) -> Result<SelfTest, String> {
    let written: Written = toml::from_str(text).map_err(|cause| cause.to_string())?;
    let picture: String = written.picture.split_whitespace().collect();
    let picture = BASE64_STANDARD.decode(picture);
    let tolerance = written.logits.tolerance;
    if !tolerance.is_finite() || tolerance < 0.0 {
        return Err(format!("logits.tolerance: `{tolerance}` is no difference"));
    }
    Ok(SelfTest {
        picture: picture.map_err(|cause| format!("picture: it is no base64: {cause}"))?,
        pixels_sha256: written.pixels.sha256.as_str().to_owned(),
        samples: written.pixels.samples,
        logits: written.logits.values,
        tolerance,
    })
}

fn rendered(known: &SelfTest) -> String {
    let picture = BASE64_STANDARD.encode(&known.picture);
    let lines: Vec<&str> = (0..picture.len())
        .step_by(LINE)
        .map(|start| &picture[start..picture.len().min(start + LINE)])
        .collect();
    let mut text = format!(
        "# What this model makes of a known picture; checked at every start. Written by\n\
         # `resnet-serve model selftest DIR`, which writes it anew where a change is meant.\n\n\
         # A JPEG, in base64.\npicture = \"\"\"\n{}\n\"\"\"\n\n\
         # What the network sees: the hash of all, and the colours of a grid of {} of its pixels.\n\
         [pixels]\nsha256 = \"{}\"\nsamples = {}\n\n\
         # What it answers, and by how much each number may differ.\n\
         [logits]\ntolerance = {}\nvalues = ",
        lines.join("\n"),
        known.samples.len() / 3,
        known.pixels_sha256,
        list(&known.samples),
        known.tolerance
    );
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{}", list(&known.logits));
    text
}

/// A list in lines that can be read.
fn list<T: ToString>(values: &[T]) -> String {
    let mut text = "[".to_owned();
    let mut column = LINE;
    for value in values.iter().map(ToString::to_string) {
        column += value.len() + 2;
        if column > LINE {
            text.push_str("\n  ");
            column = value.len() + 4;
        } else {
            text.push(' ');
        }
        text.push_str(&value);
        text.push(',');
    }
    text + "\n]"
}
