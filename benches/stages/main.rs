//! What each stage of an answer takes of one core, without a server around it.
//!
//! `PHOTOS=DIR` takes the first photograph of a folder in place of the small picture that is made here.
#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark that cannot go on fails")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use resnet_serve::api::response::{ClassifiedImage, ClassifyResponse, ImageResult, ModelSummary};
use resnet_serve::model::manifest::{Activation, ColorOrder, Interpolation, Layout};
use resnet_serve::pipeline::Classification;
use resnet_serve::preprocess::{ImageHeader, Packing, Slot, Transform};
use resnet_serve::{model::Model, ranking};

mod hand_over;
mod pictures;

/// Of the picture that the network sees.
const SIDE: u32 = 224;

/// Numbers of that picture.
const NUMBERS: usize = 3 * 224 * 224;

const CLASSES: u16 = 1000;

/// As ImageNet's networks are tested.
const TRANSFORM: Transform = Transform {
    resize_shorter_side: 256,
    crop_height: SIDE,
    crop_width: SIDE,
    interpolation: Interpolation::Bilinear,
};

criterion_group!(stages, header, decode, resize, jpeg, pack, top_k, json, hand_over::bench);
criterion_main!(stages);

fn header(criterion: &mut Criterion) {
    let file = pictures::small();
    criterion.bench_function("header of a JPEG", |bencher| {
        bencher.iter(|| ImageHeader::parse(black_box(&file), u64::MAX).unwrap());
    });
}

/// In its own size and cut down to one pixel: what is left is the decoder.
fn decode(criterion: &mut Criterion) {
    let file = pictures::small();
    let header = ImageHeader::parse(&file, u64::MAX).unwrap();
    let own_size = header.width().min(header.height());
    let one_pixel =
        Transform { resize_shorter_side: own_size, crop_height: 1, crop_width: 1, ..TRANSFORM };
    apply(criterion, ("decode a small JPEG", one_pixel), &file);
}

/// From BMP, which takes little more than a copy to read.
fn resize(criterion: &mut Criterion) {
    let file = pictures::bmp(pictures::USUAL);
    apply(criterion, ("read, resize and crop a small BMP", TRANSFORM), &file);
}

/// What one upload costs: both, the large one at a reduced scale.
fn jpeg(criterion: &mut Criterion) {
    apply(criterion, ("decode, resize and crop a small JPEG", TRANSFORM), &pictures::small());
    let large = pictures::jpeg(pictures::LARGE);
    apply(criterion, ("decode, resize and crop a large JPEG", TRANSFORM), &large);
}

fn apply(criterion: &mut Criterion, (name, transform): (&str, Transform), file: &[u8]) {
    let header = ImageHeader::parse(file, u64::MAX).unwrap();
    criterion.bench_function(name, |bencher| {
        bencher.iter(|| transform.apply(black_box(file), &header).unwrap());
    });
}

fn pack(criterion: &mut Criterion) {
    let file = pictures::small();
    let header = ImageHeader::parse(&file, u64::MAX).unwrap();
    let pixels = TRANSFORM.apply(&file, &header).unwrap();
    let (mean, std) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
    let mut floats = vec![0.0; NUMBERS];
    for (name, layout) in [("nchw", Layout::Nchw), ("nhwc", Layout::Nhwc)] {
        let packing = Packing::new(layout, ColorOrder::Rgb, mean, std);
        criterion.bench_function(&format!("pack as float32, {name}"), |bencher| {
            bencher.iter(|| packing.pack(black_box(&pixels), Slot::Float32(&mut floats)));
        });
    }
}

fn top_k(criterion: &mut Criterion) {
    let logits = logits();
    criterion.bench_function("softmax and the best 5 of 1000", |bencher| {
        bencher.iter(|| {
            let scores = ranking::probabilities(black_box(&logits), Activation::Softmax);
            ranking::top_k(&scores, 5)
        });
    });
}

/// The default model has short labels and 10 classes; what is written is 5 of them either way.
fn json(criterion: &mut Criterion) {
    let model = Model::load("models/cifar10-resnet20".as_ref()).unwrap();
    let scores = ranking::probabilities(&logits()[..model.labels.len()], Activation::Softmax);
    let ranked = ranking::top_k(&scores, 5);
    let image = ImageHeader::parse(&pictures::small(), u64::MAX).unwrap();
    let classification = Classification { ranked, image, explanation: None };
    criterion.bench_function("the answer as JSON", |bencher| {
        bencher.iter(|| {
            let image = ClassifiedImage::new(&model, black_box(&classification));
            let answer = ClassifyResponse {
                request_id: "0b6f5a3e0a3a4bb0b4c1f5a0f6b8d1c2".to_owned(),
                model: ModelSummary::new(&model),
                crops: None,
                results: vec![ImageResult::Classified(image)],
            };
            serde_json::to_vec(&answer).unwrap()
        });
    });
}

/// Scores in no order.
fn logits() -> Vec<f32> {
    (0..CLASSES).map(|class| f32::from(class * 7919 % CLASSES) / 100.0).collect()
}
