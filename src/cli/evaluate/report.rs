//! What an evaluation has found, for people and for programs.
#![expect(clippy::print_stdout, reason = "printing is what the command is for")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use super::answerer::Verdict;
use crate::evaluation::{ClassScore, Classes, Sample, Score};

/// Classes in the table, the worst ones.
const WORST: usize = 10;

/// Confusions of one class in the table.
const CONFUSIONS: usize = 3;

/// Files in the list of those that have no answer.
const SHOWN: usize = 5;

/// Everything that was found.
pub(super) struct Report {
    model: Value,
    data: PathBuf,
    pub(super) score: Score,
    pub(super) unreadable: Vec<Unanswered>,
    pub(super) unanswered: Vec<Unanswered>,
    pub(super) took: Duration,
}

/// A file without an answer.
pub(super) struct Unanswered {
    pub(super) file: PathBuf,
    pub(super) reason: String,
}

impl Report {
    /// Nothing yet.
    pub(super) fn new(model: Value, data: &Path) -> Self {
        Self {
            model,
            data: data.to_owned(),
            score: Score::default(),
            unreadable: Vec::new(),
            unanswered: Vec::new(),
            took: Duration::ZERO,
        }
    }

    /// Prints it as a table, or as JSON.
    pub(super) fn print(&self, classes: &Classes, as_json: bool) {
        if as_json {
            println!("{:#}", self.json(classes));
        } else {
            self.print_table(classes);
        }
    }

    fn json(&self, classes: &Classes) -> Value {
        let of_class = |one: &ClassScore| {
            let confusions = one.confusions.iter().map(|confusion| {
                named(classes, confusion.class, json!({"images": confusion.answers}))
            });
            let confusions: Vec<Value> = confusions.collect();
            let score = json!({"images": one.answers, "top1": one.top1, "confusions": confusions});
            named(classes, one.class, score)
        };
        let by_class: Vec<Value> = self.score.classes().iter().map(of_class).collect();
        let without = |files: &[Unanswered]| -> Vec<Value> {
            let one = |one: &Unanswered| json!({"file": one.file, "reason": one.reason});
            files.iter().map(one).collect()
        };
        json!({
            "model": self.model,
            "data": self.data,
            "images": self.score.answers(),
            "top1": self.score.top1(),
            "top5": self.score.top5(),
            "calibration_error": self.score.calibration_error(),
            "unreadable": without(&self.unreadable),
            "unanswered": without(&self.unanswered),
            "seconds": self.took.as_secs_f64(),
            "classes": by_class,
        })
    }

    fn print_table(&self, classes: &Classes) {
        let word = |key: &str| self.model[key].as_str().unwrap_or_default().to_owned();
        let place = if self.model["url"].is_string() { word("url") } else { word("provider") };
        let (images, seconds) = (self.score.answers(), self.took.as_secs_f64());
        println!("{} {} on {place}", word("name"), word("version"));
        if self.model["trained"] == false {
            println!("This model has random weights: its answers mean nothing.");
        }
        println!("{images} pictures of {} in {seconds:.1} s\n", self.data.display());
        for (name, value) in [
            ("top-1", self.score.top1()),
            ("top-5", self.score.top5()),
            ("calibration error", self.score.calibration_error()),
        ] {
            println!("{name:<18} {:6.2} %", value * 100.0);
        }
        print_without("could not be read", &self.unreadable);
        print_without("were not answered", &self.unanswered);
        print_worst(&self.score.classes(), classes);
    }
}

/// What is written about one picture.
pub(super) fn line(sample: &Sample, verdict: &Verdict, classes: &Classes) -> Value {
    let mut line = named(classes, sample.class, json!({"file": sample.file}));
    match verdict {
        Verdict::Ranked(ranked) => {
            let predictions = ranked
                .iter()
                .map(|one| named(classes, one.class, json!({"probability": one.probability})));
            line["right"] = ranked.first().is_some_and(|first| first.class == sample.class).into();
            line["predictions"] = predictions.collect();
        }
        Verdict::Unreadable(reason) => line["unreadable"] = reason.as_str().into(),
        Verdict::Unanswered(reason) => line["unanswered"] = reason.as_str().into(),
    }
    line
}

/// A class's number, id and label beside what is said of it.
fn named(classes: &Classes, class: usize, mut value: Value) -> Value {
    let label = classes.label(class);
    value["class"] = class.into();
    value["id"] = label.id.as_str().into();
    value["label"] = label.text.as_str().into();
    value
}

fn print_without(what: &str, files: &[Unanswered]) {
    if files.is_empty() {
        return;
    }
    println!("\n{} files {what} and do not count:", files.len());
    for one in files.iter().take(SHOWN) {
        println!("  {}: {}", one.file.display(), one.reason);
    }
    if files.len() > SHOWN {
        println!("  and {} more", files.len() - SHOWN);
    }
}

fn print_worst(scores: &[ClassScore], classes: &Classes) {
    println!("\n{:<24} {:>8} {:>8}  TAKEN FOR", "WORST CLASSES", "TOP-1", "PICTURES");
    for one in scores.iter().take(WORST) {
        let label: String = classes.label(one.class).text.chars().take(24).collect();
        let confusions = one.confusions.iter().take(CONFUSIONS);
        let confusions = confusions.map(|confusion| {
            format!("{} {}", classes.label(confusion.class).text, confusion.answers)
        });
        let confusions = confusions.collect::<Vec<_>>().join("; ");
        println!("{label:<24} {:>6.2} % {:>8}  {confusions}", one.top1 * 100.0, one.answers);
    }
}
