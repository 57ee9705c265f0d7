//! `model fetch`: pretrained weights as a model folder.

use std::cell::OnceCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use bytesize::ByteSize;
use clap::Args;
use indicatif::ProgressBar;

use crate::cli::output::say;
use crate::cli::{Failure, progress};
use crate::model::catalogue::{Catalogue, Entry};
use crate::model::fetch::{self, FetchError, Patience, Wanted, Watcher};
use crate::model::{Manifest, Model, digest, template};

/// The catalogue of the repository.
pub(super) const CATALOGUE: &str = "models/catalogue.toml";

/// What `model fetch` takes.
#[derive(Args)]
pub(in crate::cli) struct Arguments {
    /// A network from the catalogue, which `model list` shows, or a model folder whose model.toml
    /// has a source
    name: String,

    /// The model folder to write [default: models/NAME]
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,

    /// Another address of the same file, such as a mirror
    #[arg(long)]
    url: Option<String>,

    /// Another catalogue [default: models/catalogue.toml, or the one built in]
    #[arg(long, value_name = "FILE")]
    catalogue: Option<PathBuf>,

    /// Replace existing files: `model.onnx`, `model.toml` and `labels.tsv`
    #[arg(long)]
    force: bool,
}

/// What is downloaded, and what is written beside it.
struct Plan {
    wanted: Wanted,
    folder: PathBuf,
    /// The graph's name in the folder.
    file: String,
    /// Of a network of the catalogue; a folder of one's own has its files.
    texts: Vec<(&'static str, String)>,
}

/// Draws while it comes.
struct Bar(OnceCell<ProgressBar>);

pub(in crate::cli) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let plan = plan(arguments)?;
    let graph = plan.folder.join(&plan.file);
    if arguments.force || !is_there(&plan, &graph)? {
        download(&plan.wanted, &graph)?;
    }
    write_texts(&plan, arguments.force)?;
    let model = Model::load(&plan.folder).map_err(Failure::config)?;
    say!(
        "`{}` is complete; `resnet-serve serve --model {}` serves it",
        model.manifest.name.as_str(),
        plan.folder.display()
    )?;
    Ok(())
}

/// Reads the catalogue at the place that was named, or at the usual one.
pub(super) fn catalogue(named: Option<&Path>) -> Result<Catalogue, Failure> {
    let path = named.unwrap_or(Path::new(CATALOGUE));
    Catalogue::read(path, named.is_some()).map_err(Failure::config)
}

fn plan(arguments: &Arguments) -> Result<Plan, Failure> {
    let catalogue = catalogue(arguments.catalogue.as_deref())?;
    let name = &arguments.name;
    let folder = arguments.output.clone().unwrap_or_else(|| Path::new("models").join(name));
    let mut plan = match catalogue.get(name) {
        Some(entry) => Plan::of_entry(entry, folder, arguments.force)?,
        None => Plan::of_folder(folder)
            .map_err(|reason| Failure::Config(unknown(name, &reason, &catalogue)))?,
    };
    if let Some(url) = &arguments.url {
        plan.wanted.url.clone_from(url);
    }
    Ok(plan)
}

impl Plan {
    fn of_entry(entry: &Entry, folder: PathBuf, force: bool) -> Result<Self, Failure> {
        let manifest = entry.manifest();
        let kept = fs::read_to_string(folder.join("model.toml")).ok().filter(|_| !force);
        let kept = kept.and_then(|text| Manifest::parse(&text).ok());
        if let Some(other) = kept.filter(|kept| kept.weights.sha256.as_ref() != Some(&entry.sha256))
        {
            return Err(Failure::Config(format!(
                "`{}` is the folder of the model `{}` with other weights; choose another with \
                 --output, or replace it with --force",
                folder.display(),
                other.name.as_str()
            )));
        }
        let wanted = Wanted {
            url: entry.url.clone(),
            sha256: Some(entry.sha256.clone()),
            bytes: Some(entry.bytes),
        };
        let texts = vec![("labels.tsv", template::IMAGENET.to_owned()), ("model.toml", manifest)];
        Ok(Self { wanted, folder, file: "model.onnx".to_owned(), texts })
    }

    /// A folder that says itself where its weights are.
    fn of_folder(folder: PathBuf) -> Result<Self, String> {
        let path = folder.join("model.toml");
        let text =
            fs::read_to_string(&path).map_err(|cause| format!("`{}`: {cause}", path.display()))?;
        let manifest = Manifest::parse(&text)
            .map_err(|mistakes| format!("`{}`: {}", path.display(), mistakes.join("; ")))?;
        let weights = manifest.weights;
        let source = weights
            .source
            .ok_or_else(|| format!("`{}` has no `source` under `[weights]`", path.display()))?;
        let wanted = Wanted { url: source, sha256: weights.sha256, bytes: None };
        Ok(Self { wanted, folder, file: weights.file, texts: Vec::new() })
    }
}

fn unknown(name: &str, reason: &str, catalogue: &Catalogue) -> String {
    let names: Vec<&str> = catalogue.entries.iter().map(|entry| entry.name.as_str()).collect();
    format!(
        "there is no network `{name}` in the catalogue, and no folder that says where its weights \
         are ({reason}); the catalogue has {}",
        names.join(", ")
    )
}

/// Whether the graph is there already, and is the right one.
fn is_there(plan: &Plan, graph: &Path) -> Result<bool, Failure> {
    if !graph.exists() {
        return Ok(false);
    }
    let found = digest::sha256_of_file(graph).map_err(Failure::config)?;
    let there = graph.display();
    match &plan.wanted.sha256 {
        Some(expected) if expected.as_str() != found => Err(Failure::Config(format!(
            "`{there}` is there already and is another file (SHA-256 `{found}`); --force replaces it"
        ))),
        _ => {
            say!("`{there}` is there already")?;
            Ok(true)
        }
    }
}

fn download(wanted: &Wanted, graph: &Path) -> Result<(), Failure> {
    say!("Fetching {}", wanted.url)?;
    let (started, bar) = (Instant::now(), Bar(OnceCell::new()));
    let fetched = fetch::fetch(wanted, graph, (Patience::default(), &bar));
    bar.clear();
    let fetched = fetched.map_err(|cause| Failure::Incomplete(cause.to_string()))?;
    let (size, took) = (ByteSize(fetched.bytes), started.elapsed().as_secs_f64());
    say!("Wrote {}: {size} in {took:.1} s", graph.display())?;
    if wanted.sha256.is_none() {
        say!("model.toml has no `sha256` to check it against; it is {}", fetched.sha256)?;
    }
    Ok(())
}

/// What is not there yet, or is to be replaced.
fn write_texts(plan: &Plan, force: bool) -> Result<(), Failure> {
    for (name, text) in &plan.texts {
        let path = plan.folder.join(name);
        if path.exists() && !force {
            continue;
        }
        let failed =
            |cause| Failure::Incomplete(format!("cannot write `{}`: {cause}", path.display()));
        crate::model::write_atomically(&path, text.as_bytes()).map_err(failed)?;
        say!("Wrote {}", path.display())?;
    }
    Ok(())
}

impl Bar {
    fn clear(&self) {
        if let Some(bar) = self.0.get() {
            bar.finish_and_clear();
        }
    }
}

impl Watcher for Bar {
    fn at(&self, bytes: u64, total: Option<u64>) {
        self.0.get_or_init(|| progress::bytes(bytes, total)).set_position(bytes);
    }

    fn interrupted(&self, cause: &FetchError) {
        let line = format!("{cause}; trying again");
        match self.0.get() {
            Some(bar) if !bar.is_hidden() => bar.println(line),
            _ => {
                // A remark that cannot be printed ends no download.
                let _ = say!("{line}");
            }
        }
    }
}
