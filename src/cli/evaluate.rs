//! `evaluate`: how often a model is right about labelled pictures.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use futures_util::{StreamExt as _, stream};

use super::output::{self, say};
use super::{Failure, block_on, local, progress};
use crate::config::{InferenceFlags, above_zero, one_model};
use crate::evaluation::{Classes, Dataset, Sample, Score};

mod answerer;
mod report;
mod service;

use answerer::{Answerer, Verdict};
use report::{Report, Unanswered};

/// What `evaluate` takes.
#[derive(Args)]
pub(super) struct Arguments {
    /// Folder with a subfolder for each class, named by the class's id, label or number; or a table
    /// of `file,class` (.csv, .tsv)
    #[arg(long, value_name = "DIR|FILE")]
    data: PathBuf,

    /// Ask a running service, such as `http://127.0.0.1:8080`, or with parameters
    /// `http://127.0.0.1:8080/classify?model=NAME`
    #[arg(long)]
    url: Option<String>,

    /// Header for the service, such as "Authorization: Bearer …"; may be given several times
    #[arg(long, value_name = "NAME: VALUE", requires = "url")]
    header: Vec<String>,

    /// Pictures sent to the service at a time
    #[arg(long, value_name = "N", default_value = "8", value_parser = above_zero::<NonZeroUsize>)]
    concurrency: NonZeroUsize,

    /// Model folder, or a file that names a folder beside it
    #[arg(long, env = "RESNET_SERVE_MODEL", value_name = "DIR", default_value = "models/default", value_parser = one_model)]
    model: PathBuf,

    /// Print JSON
    #[arg(long)]
    json: bool,

    /// Write a line of JSON for each picture: what it shows, and what was answered; `-` writes
    /// them to standard output, and the table to standard error
    #[arg(long, value_name = "FILE")]
    lines: Option<PathBuf>,

    /// Fail with exit code 1 if top-1 is lower
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    min_top1: Option<f64>,

    /// Largest picture, in pixels as it is stored
    #[arg(long, env = "RESNET_SERVE_MAX_PIXELS", value_name = "N", default_value = "100000000", value_parser = above_zero::<NonZeroU64>)]
    max_pixels: NonZeroU64,

    #[command(flatten)]
    inference: InferenceFlags,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let lines_on_output = arguments.lines.as_deref() == Some(Path::new(local::STANDARD));
    if lines_on_output && arguments.json {
        let words = "--lines - and --json would both be written to standard output";
        return Err(Failure::Config(words.to_owned()));
    }
    block_on(async {
        let (answerer, classes) = Answerer::start(arguments).await?;
        let dataset = Dataset::read(&arguments.data, &classes).map_err(Failure::config)?;
        let report = evaluate(arguments, (&answerer, &classes), dataset).await?;
        if arguments.json {
            say!("{:#}", report.json(&classes))?;
        } else if lines_on_output {
            output::complain(format_args!("{}", report.table(&classes).to_string().trim_end()));
        } else {
            say!("{}", report.table(&classes).to_string().trim_end())?;
        }
        judge(&report, arguments.min_top1)
    })
}

async fn evaluate(
    arguments: &Arguments,
    (answerer, classes): (&Answerer, &Classes),
    dataset: Dataset,
) -> Result<Report, Failure> {
    let mut lines = arguments.lines.as_deref().map(Lines::create).transpose()?;
    let bar = progress::pictures(dataset.samples.len());
    let mut report = Report::new(answerer.description(), &arguments.data);
    let started = Instant::now();
    let answers = dataset.samples.iter().map(|sample| answerer.answer(sample));
    let mut answers = stream::iter(answers).buffered(answerer.at_a_time());
    for sample in &dataset.samples {
        let Some(verdict) = answers.next().await else { break };
        let verdict = verdict?;
        if let Some(lines) = &mut lines {
            lines.write(&report::line(sample, &verdict, classes))?;
        }
        count(&mut report, sample, verdict);
        bar.set_message(format!("top-1 {:.2} %", report.score.top1() * 100.0));
        bar.inc(1);
    }
    bar.finish_and_clear();
    report.took = started.elapsed();
    lines.map_or(Ok(()), Lines::finish)?;
    Ok(report)
}

fn count(report: &mut Report, sample: &Sample, verdict: Verdict) {
    let without = |reason| Unanswered { file: sample.file.clone(), reason };
    match verdict {
        Verdict::Ranked(ranked) => report.score.add(sample.class, &ranked),
        Verdict::Unreadable(reason) => report.unreadable.push(without(reason)),
        Verdict::Unanswered(reason) => report.unanswered.push(without(reason)),
    }
}

/// A file that cannot be read is the data's fault; one without an answer is not.
fn judge(report: &Report, least: Option<f64>) -> Result<(), Failure> {
    let score: &Score = &report.score;
    if !report.unanswered.is_empty() {
        let count = report.unanswered.len();
        return Err(Failure::Incomplete(format!("{count} pictures were not answered")));
    }
    if score.answers() == 0 {
        return Err(Failure::Incomplete("not one picture could be read".to_owned()));
    }
    let unreadable = report.unreadable.len();
    let top1 = score.top1_with_wrong(unreadable) * 100.0;
    let counted = match unreadable {
        0 => String::new(),
        count => format!(", where the {count} that could not be read count as wrong"),
    };
    match least.filter(|least| top1 < *least) {
        Some(least) => Err(Failure::Incomplete(format!(
            "top-1 is {top1:.2} %, less than the {least} % of --min-top1{counted}"
        ))),
        None => Ok(()),
    }
}

fn percent(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number| (0.0..=100.0).contains(number));
    number.ok_or_else(|| "a number from 0 to 100 is expected".to_owned())
}

/// The file of `--lines`.
struct Lines {
    path: PathBuf,
    file: Box<dyn Write + Send>,
}

impl Lines {
    fn create(path: &Path) -> Result<Self, Failure> {
        let file: Box<dyn Write + Send> = if path == Path::new(local::STANDARD) {
            Box::new(io::stdout())
        } else {
            Box::new(BufWriter::new(File::create(path).map_err(|cause| failed(path, &cause))?))
        };
        Ok(Self { path: path.to_owned(), file })
    }

    fn write(&mut self, line: &serde_json::Value) -> Result<(), Failure> {
        writeln!(self.file, "{line}").map_err(|cause| failed(&self.path, &cause))
    }

    fn finish(mut self) -> Result<(), Failure> {
        self.file.flush().map_err(|cause| failed(&self.path, &cause))
    }
}

fn failed(path: &Path, cause: &std::io::Error) -> Failure {
    Failure::Incomplete(format!("cannot write `{}`: {cause}", path.display()))
}
