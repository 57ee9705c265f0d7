//! The `model.toml` and the labels of a network that was just built.

use super::names::ModelName;
use crate::networks::{BuildOptions, Family, InputType, Network, Normalization};

/// ImageNet's classes, in the order in which common networks have them.
pub const IMAGENET: &str = include_str!("../../data/imagenet-1000.tsv");

/// CIFAR-10's classes, in the data set's order.
const CIFAR10: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

/// Per channel, over ImageNet's training pictures, as torchvision has them.
const IMAGENET_NORMALIZATION: Normalization =
    Normalization { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };

/// Per channel, over CIFAR-10's training pictures.
const CIFAR10_NORMALIZATION: Normalization =
    Normalization { mean: [0.4914, 0.4822, 0.4465], std: [0.2470, 0.2435, 0.2616] };

/// What a model folder says of a network.
pub struct Template {
    /// The network's, unless it is to have another.
    name: Option<ModelName>,
    network: Network,
    options: BuildOptions,
    trained: bool,
}

impl Template {
    /// For a network with these options; `trained` where its weights were not random.
    #[must_use]
    pub fn new(network: Network, options: BuildOptions, trained: bool) -> Self {
        Self { name: None, network, options, trained }
    }

    /// The same for a model of that name.
    #[must_use]
    pub fn named(self, name: Option<ModelName>) -> Self {
        Self { name, ..self }
    }

    /// The text of `model.toml`.
    #[must_use]
    pub fn manifest(&self, sha256: &str) -> String {
        let trained = self.trained;
        let name =
            self.name.as_ref().map_or(self.network.to_string(), |name| name.as_str().to_owned());
        let side = self.options.height.unwrap_or(self.network.default_side());
        let shorter_side = self.shorter_side(side);
        let (input, normalization) = self.input();
        format!(
            "name = \"{name}\"\nversion = \"1\"\ntrained = {trained}\n\n\
             [weights]\nfile = \"model.onnx\"\nsha256 = \"{sha256}\"\n\n\
             [input]\nname = \"input\"\n{input}height = {side}\nwidth = {side}\n\n\
             [preprocess]\nresize_shorter_side = {shorter_side}\ninterpolation = \"bilinear\"\n{normalization}\n\
             [output]\nname = \"logits\"\nactivation = \"softmax\"\nlabels = \"labels.tsv\"\n"
        )
    }

    /// The text of the label file.
    #[must_use]
    pub fn labels(&self) -> String {
        self.known_labels().unwrap_or_else(|| numbered(self.classes()))
    }

    /// Whether its classes have numbers in the place of names, because no data set's are as many.
    #[must_use]
    pub fn has_numbered_labels(&self) -> bool {
        self.known_labels().is_none()
    }

    fn known_labels(&self) -> Option<String> {
        match self.classes() {
            1000 => Some(IMAGENET.to_owned()),
            10 if self.is_cifar() => Some(CIFAR10.map(|name| format!("{name}\t{name}\n")).concat()),
            _ => None,
        }
    }

    fn classes(&self) -> usize {
        self.options.classes.unwrap_or(self.network.default_classes())
    }

    /// The usual margin around the crop: 256 for 224, and none for CIFAR's 32.
    fn shorter_side(&self, side: usize) -> usize {
        if self.is_cifar() { side } else { (side * 256).div_ceil(224) }
    }

    fn input(&self) -> (&'static str, String) {
        match self.options.input_type {
            InputType::Float32 => {
                let Normalization { mean, std } = normalization(self.network);
                (
                    "layout = \"nchw\"\ntype = \"float32\"\n",
                    format!("mean = {mean:?}\nstd = {std:?}\n"),
                )
            }
            InputType::Uint8(_) => ("layout = \"nhwc\"\ntype = \"uint8\"\n", String::new()),
        }
    }

    fn is_cifar(&self) -> bool {
        is_cifar(self.network)
    }
}

/// How a network's pictures are usually normalised.
#[must_use]
pub fn normalization(network: Network) -> Normalization {
    if is_cifar(network) { CIFAR10_NORMALIZATION } else { IMAGENET_NORMALIZATION }
}

fn is_cifar(network: Network) -> bool {
    matches!(network.family(), Family::Cifar { .. })
}

/// Labels for classes that nobody has named.
fn numbered(classes: usize) -> String {
    let lines: Vec<String> =
        (0..classes).map(|class| format!("class-{class}\tclass {class}\n")).collect();
    lines.concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Manifest;
    use crate::model::manifest::ElementType;

    fn template(network: &str, input_type: InputType) -> Template {
        let options = BuildOptions { input_type, ..BuildOptions::default() };
        Template::new(network.parse().unwrap(), options, false)
    }

    #[test]
    fn every_network_gets_a_manifest_that_can_be_read() {
        for network in Network::ALL {
            let text = template(network.name(), InputType::Float32).manifest(&"0".repeat(64));
            let manifest = Manifest::parse(&text).unwrap();
            assert_eq!(manifest.name.as_str(), network.name());
        }
    }

    #[test]
    fn a_graph_that_takes_bytes_gets_no_normalisation() {
        let input = InputType::Uint8(IMAGENET_NORMALIZATION);
        let manifest =
            Manifest::parse(&template("resnet50", input).manifest(&"0".repeat(64))).unwrap();
        assert_eq!(manifest.input.element_type, ElementType::Uint8);
    }

    #[test]
    fn labels_are_those_of_the_data_set_or_numbered() {
        assert_eq!(template("resnet18", InputType::Float32).labels().lines().count(), 1000);
        assert!(template("cifar-resnet20", InputType::Float32).labels().contains("frog\tfrog"));
        let options = BuildOptions { classes: Some(3), ..BuildOptions::default() };
        let labels = Template::new("resnet18".parse().unwrap(), options, true).labels();
        assert!(labels.ends_with("class-2\tclass 2\n"));
        assert!(!template("resnet18", InputType::Float32).has_numbered_labels());
    }
}
