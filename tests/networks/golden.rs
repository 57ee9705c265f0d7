//! A file of `tests/fixtures/networks`: a network, its options, and what PyTorch answers.

use std::path::Path;

use resnet_serve::networks::{
    BlockKind, BuildOptions, Family, InputType, Network, Normalization, Precision, ShortcutOption,
    Variant, WeightsType,
};
use serde_json::Value;

use crate::formula::Shapes;

pub(crate) struct Golden {
    pub(crate) network: Network,
    pub(crate) options: BuildOptions,
    /// Height and width of the pictures.
    pub(crate) size: [usize; 2],
    pub(crate) tensors: Shapes,
    /// Per picture.
    pub(crate) logits: Vec<Vec<f32>>,
    /// Per picture, where the network was asked for them.
    pub(crate) features: Option<Vec<Vec<f32>>>,
}

impl Golden {
    pub(crate) fn read(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/networks");
        let text = std::fs::read_to_string(folder.join(format!("{name}.json"))).unwrap();
        let json: Value = serde_json::from_str(&text).unwrap();
        let [height, width] = ["height", "width"].map(|key| number(&json, key).unwrap());
        Self {
            network: Network::new("golden", family(&json)),
            options: options(&json),
            size: [height, width],
            tensors: tensors(&json),
            logits: serde_json::from_value(json["logits"].clone()).unwrap(),
            features: serde_json::from_value(json["features"].clone()).unwrap(),
        }
    }
}

fn family(json: &Value) -> Family {
    let blocks: Vec<usize> = serde_json::from_value(json["blocks"].clone()).unwrap();
    let imagenet = |kind| Family::ImageNet { blocks: blocks.clone().try_into().unwrap(), kind };
    let cifar = |residual| Family::Cifar { blocks_per_stage: blocks[0], residual };
    match json["family"].as_str().unwrap() {
        "plain" => imagenet(BlockKind::Plain),
        "basic" => imagenet(BlockKind::Basic),
        "bottleneck" => imagenet(BlockKind::Bottleneck),
        "cifar-plain" => cifar(false),
        "cifar-resnet" => cifar(true),
        other => panic!("no family `{other}`"),
    }
}

fn options(json: &Value) -> BuildOptions {
    let is = |key: &str, word: &str| json[key] == word;
    let shortcuts = [("a", ShortcutOption::A), ("b", ShortcutOption::B), ("c", ShortcutOption::C)];
    let variants = [("v1", Variant::V1), ("v1.5", Variant::V15)];
    BuildOptions {
        classes: number(json, "classes"),
        height: number(json, "height"),
        width: number(json, "width"),
        upscale: number(json, "upscale"),
        variant: variants.into_iter().find(|(name, _)| is("variant", name)).map(|pair| pair.1),
        shortcut: shortcuts.into_iter().find(|(name, _)| is("shortcut", name)).map(|pair| pair.1),
        input_type: if is("input_type", "uint8") {
            InputType::Uint8(Normalization::IMAGENET)
        } else {
            InputType::Float32
        },
        weights_type: if is("weights_type", "float16") {
            WeightsType::Float16
        } else {
            WeightsType::Float32
        },
        precision: Precision::Float32,
        features: !json["features"].is_null(),
    }
}

fn number(json: &Value, key: &str) -> Option<usize> {
    usize::try_from(json[key].as_u64()?).ok()
}

fn tensors(json: &Value) -> Shapes {
    let shapes = json["tensors"].as_object().unwrap().iter();
    let shape = |value: &Value| serde_json::from_value(value.clone()).unwrap();
    shapes.map(|(name, value)| (name.clone(), shape(value))).collect()
}
