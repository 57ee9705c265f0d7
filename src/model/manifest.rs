//! `model.toml`: its sections, keys and words, checked as a whole.

use std::num::NonZeroU32;

use super::digest::Sha256Hex;
pub use super::names::ModelName;
use super::names::Version;
use super::section::Section;
pub use super::words::{Activation, ColorOrder, ElementType, Interpolation, Layout};
use crate::networks::Network;

/// A greater deviation is one of the 0–255 scale: no values from 0 to 1 have one above 0.5.
const LARGEST_STD: f32 = 2.0;

/// Of a resized picture, which is held as a whole.
const LARGEST_SIDE: NonZeroU32 = NonZeroU32::new(16_384).expect("it is above 0");

/// What `model.toml` says, checked.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// The name under which the model is asked for.
    pub name: ModelName,
    /// Set by whoever publishes the model.
    pub version: String,
    /// `false` for random weights; every answer says so.
    pub trained: bool,
    /// The graph's file.
    pub weights: Weights,
    /// The input tensor.
    pub input: Input,
    /// From a picture to the input tensor.
    pub preprocess: Preprocess,
    /// The output tensor.
    pub output: Output,
}

/// `[weights]`
#[derive(Clone, Debug)]
pub struct Weights {
    /// The ONNX file, relative to the folder.
    pub file: String,
    /// What the file must hash to.
    pub sha256: Option<Sha256Hex>,
    /// Where `model fetch` finds it.
    pub source: Option<String>,
    /// How it is built where it is missing.
    pub build: Option<Recipe>,
}

/// `[weights.build]`: a network of the paper with random weights.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// As `model build` names it.
    pub network: Network,
    /// Where the random numbers begin.
    pub seed: u64,
}

/// `[input]`
#[derive(Clone, Debug)]
pub struct Input {
    /// The graph's input; its only one where this is missing.
    pub name: Option<String>,
    /// Where the channels stand.
    pub layout: Layout,
    /// What the graph takes.
    pub element_type: ElementType,
    /// Pixels.
    pub height: NonZeroU32,
    /// Pixels.
    pub width: NonZeroU32,
}

/// `[preprocess]`
#[derive(Clone, Debug, PartialEq)]
pub struct Preprocess {
    /// Pixels; the longer side follows.
    pub resize_shorter_side: NonZeroU32,
    /// The filter.
    pub interpolation: Interpolation,
    /// Per channel, on the 0–1 scale.
    pub mean: [f32; 3],
    /// Per channel, on the 0–1 scale.
    pub std: [f32; 3],
    /// The order of the channels.
    pub color: ColorOrder,
}

/// `[output]`
#[derive(Clone, Debug)]
pub struct Output {
    /// The graph's output; its only one where this is missing.
    pub name: Option<String>,
    /// What makes probabilities of the output.
    pub activation: Activation,
    /// The label file, relative to the folder.
    pub labels: String,
}

impl Manifest {
    /// Reads the text of a `model.toml`.
    ///
    /// # Errors
    ///
    /// Every mistake in the text, each with its key; a text that is no TOML has one.
    pub fn parse(text: &str) -> Result<Self, Vec<String>> {
        let table = text.parse().map_err(|cause| vec![format!("`model.toml`: {cause}")])?;
        let mut mistakes = Vec::new();
        match Self::read(Section::root(table, &mut mistakes)) {
            Some(manifest) if mistakes.is_empty() => Ok(manifest),
            _ => Err(mistakes),
        }
    }

    fn read(mut root: Section<'_>) -> Option<Self> {
        let name = root.required("name");
        let version: Option<Version> = root.required("version");
        let trained = root.required("trained");
        let weights = Weights::read(root.section("weights"));
        let input = Input::read(root.section("input"));
        let preprocess = Preprocess::read(root.section("preprocess"), input.as_ref());
        let output = Output::read(root.section("output"));
        root.finish();
        Some(Self {
            name: name?,
            version: version?.0,
            trained: trained?,
            weights: weights?,
            input: input?,
            preprocess: preprocess?,
            output: output?,
        })
    }
}

impl Weights {
    fn read(mut section: Section<'_>) -> Option<Self> {
        let file = section.required("file");
        let sha256 = section.optional("sha256");
        let source = section.optional("source");
        let build = section.contains("build").then(|| Recipe::read(section.section("build")));
        section.finish();
        Some(Self { file: file?, sha256, source, build: build.flatten() })
    }
}

impl Recipe {
    fn read(mut section: Section<'_>) -> Option<Self> {
        let name: Option<String> = section.required("network");
        let seed = section.optional("seed").unwrap_or(0);
        let network = name
            .and_then(|name| name.parse().map_err(|cause| section.mistake("network", cause)).ok());
        section.finish();
        Some(Self { network: network?, seed })
    }
}

impl Input {
    fn read(mut section: Section<'_>) -> Option<Self> {
        let name = section.optional("name");
        let layout = section.optional("layout").unwrap_or_default();
        let element_type = section.optional("type").unwrap_or_default();
        let height = section.required("height");
        let width = section.required("width");
        section.finish();
        Some(Self { name, layout, element_type, height: height?, width: width? })
    }
}

impl Preprocess {
    fn read(mut section: Section<'_>, input: Option<&Input>) -> Option<Self> {
        let resize_shorter_side = section.required("resize_shorter_side");
        let interpolation = section.optional("interpolation").unwrap_or_default();
        let color = section.optional("color").unwrap_or_default();
        let bytes = input.is_some_and(|input| input.element_type == ElementType::Uint8);
        let (mean, std) = if bytes {
            refuse_normalisation(&mut section);
            (Some([0.0; 3]), Some([1.0; 3]))
        } else {
            (section.required("mean"), section.required("std"))
        };
        check_mean(&mut section, mean.filter(|_| !bytes));
        check_std(&mut section, std);
        check_size(&mut section, resize_shorter_side, input);
        section.finish();
        let resize_shorter_side = resize_shorter_side?;
        Some(Self { resize_shorter_side, interpolation, mean: mean?, std: std?, color })
    }
}

/// A graph that takes bytes normalises by itself; a second normalisation would be a silent error.
fn refuse_normalisation(section: &mut Section<'_>) {
    for key in ["mean", "std"] {
        if section.optional::<toml::Value>(key).is_some() {
            section.mistake(key, "is to be left out where input.type is `uint8`");
        }
    }
}

fn check_mean(section: &mut Section<'_>, mean: Option<[f32; 3]>) {
    let off = |mean: &f32| !(0.0..=1.0).contains(mean);
    if let Some(mean) = mean.into_iter().flatten().find(off) {
        section.mistake("mean", off_scale(mean));
    }
}

/// What was trained on the 0–255 scale shows in nothing but worse answers.
fn off_scale(value: f32) -> String {
    if value > 1.0 {
        format!("{value} is not on the scale from 0 to 1; divide by 255")
    } else {
        format!("{value} is not on the scale from 0 to 1")
    }
}

fn check_std(section: &mut Section<'_>, std: Option<[f32; 3]>) {
    if let Some(std) = std.into_iter().flatten().find(|std| std.is_finite() && *std > LARGEST_STD) {
        section.mistake("std", off_scale(std));
    }
    if std.is_some_and(|std| std.iter().any(|channel| !channel.is_finite() || *channel <= 0.0)) {
        section.mistake("std", "must be above 0 in every channel");
    }
}

/// A crop that is larger than the resized picture would be padded with black.
fn check_size(section: &mut Section<'_>, shorter_side: Option<NonZeroU32>, input: Option<&Input>) {
    let (Some(shorter_side), Some(input)) = (shorter_side, input) else {
        return;
    };
    if shorter_side > LARGEST_SIDE {
        let problem = format!("`{shorter_side}` is more than `{LARGEST_SIDE}` pixels");
        section.mistake("resize_shorter_side", problem);
    }
    let needed = input.height.max(input.width);
    if shorter_side < needed {
        let problem = format!("`{shorter_side}` is less than the input's `{needed}` pixels");
        section.mistake("resize_shorter_side", problem);
    }
}

impl Output {
    fn read(mut section: Section<'_>) -> Option<Self> {
        let name = section.optional("name");
        let activation = section.optional("activation").unwrap_or_default();
        let labels = section.required("labels");
        section.finish();
        Some(Self { name, activation, labels: labels? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMPLETE: &str = r#"
        name = "resnet50"
        version = "1"
        trained = true
        [weights]
        file = "model.onnx"
        [input]
        height = 224
        width = 224
        [preprocess]
        resize_shorter_side = 256
        mean = [0.485, 0.456, 0.406]
        std = [0.229, 0.224, 0.225]
        [output]
        labels = "labels.tsv"
    "#;

    fn mistakes(text: &str) -> Vec<String> {
        Manifest::parse(text).unwrap_err()
    }

    #[test]
    fn what_is_left_out_has_the_usual_value() {
        let manifest = Manifest::parse(COMPLETE).unwrap();
        assert_eq!(manifest.input.layout, Layout::Nchw);
        assert_eq!(manifest.input.element_type, ElementType::Float32);
        assert_eq!(manifest.preprocess.interpolation, Interpolation::Bilinear);
        assert_eq!(manifest.preprocess.color, ColorOrder::Rgb);
        assert_eq!(manifest.output.activation, Activation::Softmax);
    }

    #[test]
    fn every_mistake_is_reported_at_once_with_its_key() {
        let text = COMPLETE
            .replace("name = \"resnet50\"", "name = \"a b\"\nnane = 1")
            .replace("height = 224", "height = 0\nlayout = \"nhcw\"")
            .replace("trained = true", "")
            .replace("labels = ", "label = ");
        let found = mistakes(&text);
        for key in [
            "name: ",
            "nane: ",
            "trained: ",
            "input.height: ",
            "input.layout: ",
            "output.label: ",
            "output.labels: ",
        ] {
            assert!(found.iter().any(|line| line.starts_with(key)), "{key} in {found:#?}");
        }
        assert_eq!(found.len(), 7, "{found:#?}");
    }

    #[test]
    fn an_empty_file_names_every_missing_key() {
        assert_eq!(mistakes("").len(), 10, "{:#?}", mistakes(""));
    }

    #[test]
    fn a_text_that_is_no_toml_says_where() {
        assert!(mistakes("name = ")[0].contains("line 1"), "{:?}", mistakes("name = "));
    }

    #[test]
    fn bytes_are_not_normalised_twice() {
        let text = COMPLETE.replace("height = 224", "height = 224\ntype = \"uint8\"");
        assert_eq!(mistakes(&text).len(), 2, "{:#?}", mistakes(&text));
    }

    #[test]
    fn a_crop_larger_than_the_resized_picture_is_refused() {
        let found = mistakes(&COMPLETE.replace("= 256", "= 200"));
        assert_eq!(
            found,
            ["preprocess.resize_shorter_side: `200` is less than the input's `224` pixels"]
        );
    }

    #[test]
    fn a_version_that_names_nothing_and_a_size_beyond_memory_are_refused() {
        let found = mistakes(&COMPLETE.replace("version = \"1\"", "version = \"\""));
        assert!(found[0].starts_with("version: "), "{found:?}");
        let found = mistakes(&COMPLETE.replace("= 256", "= 999999999"));
        assert_eq!(
            found,
            ["preprocess.resize_shorter_side: `999999999` is more than `16384` pixels"]
        );
        assert!(Manifest::parse(&COMPLETE.replace("= 256", "= 16384")).is_ok());
    }

    #[test]
    fn a_normalisation_on_another_scale_is_refused() {
        for (from, to, mistake) in [
            ("0.229", "0.0", "std: must be above 0 in every channel"),
            ("0.229", "inf", "std: must be above 0 in every channel"),
            ("0.224", "58.395", "std: 58.395 is not on the scale from 0 to 1; divide by 255"),
            ("0.485", "123.675", "mean: 123.675 is not on the scale from 0 to 1; divide by 255"),
            ("0.456", "nan", "mean: NaN is not on the scale from 0 to 1"),
            ("0.406", "-0.5", "mean: -0.5 is not on the scale from 0 to 1"),
        ] {
            let found = mistakes(&COMPLETE.replace(from, to));
            assert_eq!(found, [format!("preprocess.{mistake}")]);
        }
        for (from, to) in [("0.229", "1.0"), ("0.224", "0.003921569"), ("0.485", "1.0")] {
            assert!(Manifest::parse(&COMPLETE.replace(from, to)).is_ok(), "{to}");
        }
    }
}
