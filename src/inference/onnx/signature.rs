//! What the graph takes and gives, held against what `model.toml` says of it.

use ort::session::Session;
use ort::value::{Outlet, TensorElementType, ValueType};

use crate::inference::FeatureShapes;
use crate::model::Model;
use crate::model::manifest::{ElementType, Input, Layout};
use crate::networks::{FEATURE_MAP, FEATURES};

/// The names under which a session is run, and what was learned on the way.
pub(super) struct Signature {
    pub(super) input: String,
    pub(super) output: String,
    pub(super) fixed_batch: Option<usize>,
    pub(super) half_output: bool,
    pub(super) features: FeatureShapes,
}

impl Signature {
    /// Finds input and output and checks their types and shapes.
    ///
    /// # Errors
    ///
    /// All that does not fit, each with its key in `model.toml`.
    pub(super) fn check(session: &Session, model: &Model) -> Result<Self, Vec<String>> {
        let mut mistakes = Vec::new();
        let manifest = &model.manifest;
        let input = find("input", session.inputs(), manifest.input.name.as_deref(), &mut mistakes);
        let output =
            find("output", session.outputs(), manifest.output.name.as_deref(), &mut mistakes);
        let (Some(input), Some(output)) = (input, output) else { return Err(mistakes) };
        check_input(input.dtype(), &manifest.input, &mut mistakes);
        check_output(output.dtype(), model.labels.len(), &mut mistakes);
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        Ok(Self {
            input: input.name().to_owned(),
            output: output.name().to_owned(),
            fixed_batch: dimensions(input.dtype())
                .first()
                .and_then(|size| usize::try_from(*size).ok()),
            half_output: output.dtype().tensor_type() == Some(TensorElementType::Float16),
            features: features(session.outputs()),
        })
    }
}

/// The outlet of that name, or the only one.
fn find<'a>(
    key: &str,
    outlets: &'a [Outlet],
    name: Option<&str>,
    mistakes: &mut Vec<String>,
) -> Option<&'a Outlet> {
    let names: Vec<&str> = outlets.iter().map(Outlet::name).collect();
    let found = match name {
        Some(name) => outlets.iter().find(|outlet| outlet.name() == name),
        None if outlets.len() == 1 => outlets.first(),
        None => None,
    };
    if found.is_none() {
        let wanted = name.map_or("is missing".to_owned(), |name| format!("no `{name}`"));
        mistakes.push(format!("{key}.name: {wanted}; the graph has `{}`", names.join("`, `")));
    }
    found
}

fn check_input(found: &ValueType, input: &Input, mistakes: &mut Vec<String>) {
    let element_type = match input.element_type {
        ElementType::Float32 => TensorElementType::Float32,
        ElementType::Float16 => TensorElementType::Float16,
        ElementType::Uint8 => TensorElementType::Uint8,
    };
    if found.tensor_type() != Some(element_type) {
        let (takes, says) = (word(found), input.element_type.as_str());
        mistakes.push(format!("input.type: the graph takes `{takes}`, `model.toml` says `{says}`"));
    }
    let (height, width) = (i64::from(input.height.get()), i64::from(input.width.get()));
    let expected = match input.layout {
        Layout::Nchw => [-1, 3, height, width],
        Layout::Nhwc => [-1, height, width, 3],
    };
    let shape = dimensions(found);
    if shape.len() != 4 || !shape[1..].iter().zip(&expected[1..]).all(|(a, b)| *a == -1 || a == b) {
        let wanted = format!("[n, {}, {}, {}]", expected[1], expected[2], expected[3]);
        mistakes.push(format!("input: the graph takes `{shape:?}`, `model.toml` says `{wanted}`"));
    }
}

fn check_output(found: &ValueType, labels: usize, mistakes: &mut Vec<String>) {
    let types = [Some(TensorElementType::Float32), Some(TensorElementType::Float16)];
    if !types.contains(&found.tensor_type()) {
        let answers = word(found);
        mistakes.push(format!("output.name: the graph answers with `{answers}`, not with floats"));
    }
    let shape = dimensions(found);
    let known = shape.get(1..).filter(|rest| rest.iter().all(|size| *size > 0));
    let classes = known.map(|rest| rest.iter().product::<i64>());
    if let Some(classes) = classes.filter(|classes| usize::try_from(*classes) != Ok(labels)) {
        mistakes.push(format!("output.labels: {labels} labels for {classes} classes"));
    }
}

/// A type as `model.toml` spells it.
fn word(found: &ValueType) -> String {
    let word = |found| format!("{found:?}").to_lowercase();
    found.tensor_type().map_or_else(|| "no tensor".to_owned(), word)
}

/// What the graph shows beside its scores, under the names that `model build` gives it.
fn features(outputs: &[Outlet]) -> FeatureShapes {
    let behind_count = |name: &str| {
        let outlet = outputs.iter().find(|outlet| outlet.name() == name)?;
        let is_float = outlet.dtype().tensor_type() == Some(TensorElementType::Float32);
        let rest = dimensions(outlet.dtype()).get(1..).filter(|_| is_float)?;
        let sizes = rest.iter().map(|size| usize::try_from(*size).ok().filter(|size| *size > 0));
        sizes.collect::<Option<Vec<usize>>>()
    };
    FeatureShapes {
        vector: behind_count(FEATURES)
            .and_then(|sizes| <[usize; 1]>::try_from(sizes).ok())
            .map(|[size]| size),
        map: behind_count(FEATURE_MAP).and_then(|sizes| sizes.try_into().ok()),
    }
}

/// The shape, with -1 for what is left open; empty for what is no tensor.
fn dimensions(found: &ValueType) -> &[i64] {
    match found {
        ValueType::Tensor { shape, .. } => shape,
        _ => &[],
    }
}
