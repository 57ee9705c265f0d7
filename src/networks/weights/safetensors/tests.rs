//! What a file of weights may hold, and how it is refused.

use std::collections::BTreeMap;

use safetensors::tensor::TensorView;

use super::*;
use crate::networks::description::{Layer, describe};
use crate::networks::name::{Family, Network};
use crate::networks::options::BuildOptions;

const TINY: Network = Network::new("tiny", Family::Cifar { blocks_per_stage: 1, residual: false });

/// Tensors by name: their type, shape and bytes.
type Tensors = BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>;

fn description() -> Description {
    describe(TINY, &BuildOptions::default().check(TINY).unwrap())
}

/// Every tensor of the tiny network, full of ones.
fn ones() -> Tensors {
    let parameters = description().parameters().into_iter();
    parameters
        .map(|parameter| {
            let count: usize = parameter.shape.iter().product();
            let bytes = bytemuck::cast_slice(&vec![1.0_f32; count]).to_vec();
            (parameter.name, (Dtype::F32, parameter.shape, bytes))
        })
        .collect()
}

fn file(tensors: &Tensors) -> (tempfile::TempDir, PathBuf) {
    let views = tensors.iter().map(|(name, (kind, shape, bytes))| {
        (name.clone(), TensorView::new(*kind, shape.clone(), bytes).unwrap())
    });
    let bytes = safetensors::serialize(views, None).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    std::fs::write(&path, bytes).unwrap();
    (folder, path)
}

fn refusal(tensors: &Tensors) -> String {
    let (_folder, path) = file(tensors);
    let message = Imported::read(&path, &description()).err().unwrap().to_string();
    message.replace(&path.display().to_string(), "weights.safetensors")
}

#[test]
fn a_complete_file_is_read_and_its_counters_are_ignored() {
    let mut tensors = ones();
    let counter = (Dtype::I64, vec![], vec![0; 8]);
    tensors.insert("bn1.num_batches_tracked".to_owned(), counter);
    let (_folder, path) = file(&tensors);
    let description = description();
    let weights = Imported::read(&path, &description).unwrap();
    let Layer::Convolution(first) = &description.layers[0] else { panic!("no stem") };
    let affine = weights.convolution(first);
    assert_eq!(affine.weight.len(), 432);
    assert!((affine.weight[0] - 0.999_995).abs() < 1e-6, "1 / sqrt(1 + 1e-5)");
    assert!(affine.bias[0] > 0.0 && affine.bias[0] < 1e-5);
}

#[test]
fn half_precision_is_taken_in_both_forms() {
    for (kind, one) in [(Dtype::F16, [0x00, 0x3c]), (Dtype::BF16, [0x80, 0x3f])] {
        let mut tensors = ones();
        tensors.insert("fc.bias".to_owned(), (kind, vec![10], one.repeat(10)));
        let (_folder, path) = file(&tensors);
        let weights = Imported::read(&path, &description()).unwrap();
        assert_eq!(weights.tensor("fc", "bias"), [1.0; 10]);
    }
}

#[test]
fn everything_that_does_not_fit_is_named_at_once() {
    let mut tensors = ones();
    tensors.remove("conv1.weight");
    tensors.remove("layer2.0.bn2.running_var");
    tensors.insert("fc.weight".to_owned(), (Dtype::F32, vec![1, 2], vec![0; 8]));
    tensors.insert("fc.bias".to_owned(), (Dtype::I64, vec![10], vec![0; 80]));
    tensors.insert("head.weight".to_owned(), (Dtype::F32, vec![2, 1], vec![0; 8]));
    assert_eq!(
        refusal(&tensors),
        "the tensors in `weights.safetensors` are not those of the network:
  missing `conv1.weight`, shape [16, 3, 3, 3]
  missing `layer2.0.bn2.running_var`, shape [32]
  `fc.weight` has shape [1, 2], expected [10, 64]
  `fc.bias` has elements of type I64, expected F32, F16 or BF16
  unexpected `head.weight`, shape [2, 1]"
    );
}

#[test]
fn what_is_no_safetensors_file_is_refused() {
    let (_folder, path) = file(&ones());
    let whole = std::fs::read(&path).unwrap();
    let cut = whole[..whole.len() - 1].to_vec();
    let huge_header = u64::MAX.to_le_bytes().to_vec();
    for bytes in [cut, Vec::new(), b"not weights at all".to_vec(), huge_header] {
        std::fs::write(&path, bytes).unwrap();
        let error = Imported::read(&path, &description()).err().unwrap();
        assert!(matches!(error, ImportError::Format { .. }), "{error}");
        assert!(error.to_string().contains("no complete .safetensors file"));
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = Imported::read(Path::new("no/weights"), &description()).err().unwrap();
    assert!(error.to_string().starts_with("cannot read the weights `no/weights`"));
}
