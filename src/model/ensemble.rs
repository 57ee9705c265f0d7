//! `[ensemble]`: several models that are served as one, which answers with the mean of their
//! probabilities.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::Table;

use super::fingerprint::Fingerprint;
use super::manifest::{Activation, Input, ModelName, Output};
use super::names::Version;
use super::section::Section;
use super::{Manifest, Model, ModelError, digest};

/// What the `model.toml` of an ensemble says.
pub(super) struct Ensemble {
    name: ModelName,
    version: String,
    trained: bool,
    /// Folders beside the ensemble's.
    members: Vec<ModelName>,
}

impl Ensemble {
    /// The ensemble in a folder; `None` where there is another model, or none.
    pub(super) fn in_folder(folder: &Path) -> Option<Result<Self, Vec<String>>> {
        Self::parse(&fs::read_to_string(folder.join("model.toml")).ok()?)
    }

    /// Reads the text of a `model.toml`; `None` where it has no `[ensemble]`, or is no TOML.
    fn parse(text: &str) -> Option<Result<Self, Vec<String>>> {
        let table: Table = text.parse().ok()?;
        if !table.contains_key("ensemble") {
            return None;
        }
        let mut mistakes = Vec::new();
        let read = Self::read(Section::root(table, &mut mistakes));
        Some(read.filter(|_| mistakes.is_empty()).ok_or(mistakes))
    }

    fn read(mut root: Section<'_>) -> Option<Self> {
        let name = root.required("name");
        let version: Option<Version> = root.required("version");
        let trained = root.required("trained");
        let members = read_members(root.section("ensemble"));
        root.finish();
        Some(Self { name: name?, version: version?.0, trained: trained?, members: members? })
    }

    pub(super) fn name(&self) -> &str {
        self.name.as_str()
    }

    /// The members' folders, of an ensemble in that folder.
    pub(super) fn folders(&self, folder: &Path) -> Vec<PathBuf> {
        self.members.iter().map(|member| folder.with_file_name(member.as_str())).collect()
    }

    /// Loads every member and checks that all take and give the same.
    pub(super) fn load(self, folder: &Path) -> Result<Model, ModelError> {
        let mut mistakes = Vec::new();
        let mut members = Vec::new();
        for folder in self.folders(folder) {
            match Self::in_folder(&folder) {
                Some(_) => mistakes.push(format!(
                    "ensemble.members: `{}` is an ensemble itself",
                    folder.display()
                )),
                None if folder.try_exists().is_ok_and(|is_there| !is_there) => {
                    let parent = folder.parent().unwrap_or(&folder).display();
                    mistakes.push(format!(
                        "ensemble.members: there is no folder `{}`; `resnet-serve model list {parent}` \
                         shows which there are",
                        folder.display()
                    ));
                }
                None => match Model::load_network(&folder) {
                    Ok(member) => members.push(Arc::new(member)),
                    Err(error) => {
                        let error = error.to_string().replace('\n', "\n  ");
                        mistakes.push(format!("ensemble.members: {error}"));
                    }
                },
            }
        }
        if let Some((first, others)) = members.split_first().filter(|_| mistakes.is_empty()) {
            mistakes.extend(others.iter().flat_map(|other| differences(first, other)));
            mistakes.extend(members.iter().filter_map(|member| self.unfit(member)));
            if mistakes.is_empty() {
                return Ok(self.model(folder, members.clone()));
            }
        }
        Err(ModelError { path: folder.to_owned(), mistakes })
    }

    fn unfit(&self, member: &Model) -> Option<String> {
        let name = member.manifest.name.as_str();
        let lie = self.trained && !member.manifest.trained;
        lie.then(|| format!("trained: `{name}` has random weights"))
    }

    fn model(self, folder: &Path, members: Vec<Arc<Model>>) -> Model {
        let first = &members[0];
        let hashes: Vec<&str> = members.iter().map(|member| member.sha256()).collect();
        let fingerprint = Fingerprint::known(digest::sha256_of(hashes.join("\n").as_bytes()));
        let output =
            Output { name: None, activation: Activation::None, ..first.manifest.output.clone() };
        Model {
            manifest: Manifest {
                name: self.name,
                version: self.version,
                trained: self.trained,
                output,
                ..first.manifest.clone()
            },
            labels: first.labels.clone(),
            graph: folder.join("model.toml"),
            members,
            folder: folder.to_owned(),
            fingerprint,
        }
    }
}

fn read_members(mut section: Section<'_>) -> Option<Vec<ModelName>> {
    let members: Option<Vec<ModelName>> = section.required("members");
    if members.as_ref().is_some_and(|members| members.len() < 2) {
        section.mistake("members", "must be two or more");
    }
    let mut sorted = members.clone().unwrap_or_default();
    sorted.sort();
    if let Some(twice) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        section.mistake("members", format!("`{}` is there twice", twice[0].as_str()));
    }
    section.finish();
    members
}

/// What keeps two models from seeing the same pixels and meaning the same classes.
fn differences(first: &Model, other: &Model) -> Vec<String> {
    let (a, b) = (&first.manifest, &other.manifest);
    let tensor = |input: &Input| (input.layout, input.element_type, input.height, input.width);
    let differing = [
        ("input", tensor(&a.input) != tensor(&b.input)),
        ("preprocess", a.preprocess != b.preprocess),
        ("output.labels", first.labels != other.labels),
    ];
    let (one, two) = (a.name.as_str(), b.name.as_str());
    let words = |key| format!("ensemble.members: `{one}` and `{two}` differ in their {key}");
    differing.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| words(key)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::MANIFEST;
    use super::*;

    const ENSEMBLE: &str = r#"
        name = "both"
        version = "3"
        trained = false
        [ensemble]
        members = ["one", "two"]
    "#;

    /// Two models and an ensemble of them, in one folder.
    fn models(ensemble: &str) -> (tempfile::TempDir, PathBuf) {
        let root = tempfile::tempdir().unwrap();
        for name in ["one", "two"] {
            write(
                root.path(),
                name,
                &MANIFEST.replace("name = \"two\"", &format!("name = \"{name}\"")),
            );
        }
        write(root.path(), "both", ensemble);
        fs::write(root.path().join("named"), "both").unwrap();
        let folder = root.path().join("both");
        (root, folder)
    }

    fn write(root: &Path, name: &str, manifest: &str) {
        let folder = root.join(name);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("model.toml"), manifest).unwrap();
        fs::write(folder.join("model.onnx"), name).unwrap();
        fs::write(folder.join("labels.tsv"), "a\tA\nb\tB\n").unwrap();
    }

    fn refused(folder: &Path) -> String {
        Model::load(folder).unwrap_err().to_string()
    }

    #[test]
    fn an_ensemble_is_one_model_with_members() {
        let (_root, folder) = models(ENSEMBLE);
        let model = Model::load(&folder).unwrap();
        assert_eq!((model.manifest.name.as_str(), model.manifest.version.as_str()), ("both", "3"));
        let names = model.members.iter().map(|member| member.manifest.name.as_str());
        assert_eq!(names.collect::<Vec<_>>(), ["one", "two"]);
        assert_eq!(model.labels.len(), 2);
        assert_eq!(model.sha256().len(), 64);
    }

    #[test]
    fn members_that_see_or_mean_something_else_are_refused_with_the_key() {
        let (root, folder) = models(ENSEMBLE);
        let other = MANIFEST.replace("mean = [0.5", "mean = [0.4");
        write(root.path(), "two", &other.replace("height = 4", "height = 3"));
        fs::write(root.path().join("two/labels.tsv"), "a\tA\nc\tC\n").unwrap();
        let said = refused(&folder);
        for key in ["their input", "their preprocess", "their output.labels"] {
            assert!(said.contains("`one` and `two` differ") && said.contains(key), "{said}");
        }
    }

    #[test]
    fn what_is_wrong_with_an_ensemble_or_a_member_is_said() {
        for (from, to, hint) in [
            ("trained = false", "trained = true", "trained: `one` has random weights"),
            ("\"one\", \"two\"", "\"one\"", "must be two or more"),
            ("\"one\", \"two\"", "\"one\", \"one\"", "`one` is there twice"),
            ("\"one\", \"two\"", "\"one\", \"../two\"", "is not made of"),
            ("\"two\"", "\"three\"", "three"),
            ("\"two\"", "\"both\"", "is an ensemble itself"),
            ("\"two\"", "\"named\"", "model.toml"),
            ("[ensemble]", "[input]\nheight = 4\n[ensemble]", "input: is not known"),
        ] {
            let (_root, folder) = models(&ENSEMBLE.replace(from, to));
            let said = refused(&folder);
            assert!(said.contains(hint), "{hint}: {said}");
        }
    }
}
