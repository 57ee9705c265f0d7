//! What an evaluation has found, for people and for programs.

use std::fmt;
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

/// All of it as lines.
pub(super) struct Table<'a>(&'a Report, &'a Classes);

impl fmt::Display for Table<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(report, classes) = self;
        report.write_table(out, classes)
    }
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

    /// For programs.
    pub(super) fn json(&self, classes: &Classes) -> Value {
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

    /// For people.
    pub(super) fn table<'a>(&'a self, classes: &'a Classes) -> Table<'a> {
        Table(self, classes)
    }

    fn write_table(&self, out: &mut fmt::Formatter<'_>, classes: &Classes) -> fmt::Result {
        let word = |key: &str| self.model[key].as_str().unwrap_or_default().to_owned();
        let place = if self.model["url"].is_string() { word("url") } else { word("provider") };
        let (images, seconds) = (self.score.answers(), self.took.as_secs_f64());
        writeln!(out, "{} {} on {place}", word("name"), word("version"))?;
        if self.model["trained"] == false {
            writeln!(out, "This model has random weights: its answers mean nothing.")?;
        }
        writeln!(out, "{images} pictures of {} in {seconds:.1} s\n", self.data.display())?;
        for (name, value) in [
            ("top-1", self.score.top1()),
            ("top-5", self.score.top5()),
            ("calibration error", self.score.calibration_error()),
        ] {
            writeln!(out, "{name:<18} {:6.2} %", value * 100.0)?;
        }
        write_without(out, "could not be read", &self.unreadable)?;
        write_without(out, "were not answered", &self.unanswered)?;
        write_worst(out, &self.score.classes(), classes)
    }
}

/// What is written about one picture.
pub(super) fn line(sample: &Sample, verdict: &Verdict, classes: &Classes) -> Value {
    let mut line = named(classes, sample.class, json!({"file": sample.file}));
    match verdict {
        Verdict::Ranked(ranked) => {
            let predictions = ranked.iter().map(|one| {
                named(classes, one.class, json!({"probability": shortest(one.probability)}))
            });
            line["right"] = ranked.first().is_some_and(|first| first.class == sample.class).into();
            line["predictions"] = predictions.collect();
        }
        Verdict::Unreadable(reason) => line["unreadable"] = reason.as_str().into(),
        Verdict::Unanswered(reason) => line["unanswered"] = reason.as_str().into(),
    }
    line
}

/// A number with no more digits than tell it from its neighbours, as the service writes it.
fn shortest(value: f32) -> f64 {
    value.to_string().parse().unwrap_or_else(|_| value.into())
}

/// A class's number, id and label beside what is said of it.
fn named(classes: &Classes, class: usize, mut value: Value) -> Value {
    let label = classes.label(class);
    value["class"] = class.into();
    value["id"] = label.id.as_str().into();
    value["label"] = label.text.as_str().into();
    value
}

fn write_without(out: &mut fmt::Formatter<'_>, what: &str, files: &[Unanswered]) -> fmt::Result {
    if files.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{} files {what} and do not count:", files.len())?;
    for one in files.iter().take(SHOWN) {
        writeln!(out, "  {}: {}", one.file.display(), one.reason)?;
    }
    if files.len() > SHOWN {
        writeln!(out, "  and {} more", files.len() - SHOWN)?;
    }
    Ok(())
}

fn write_worst(
    out: &mut fmt::Formatter<'_>,
    scores: &[ClassScore],
    classes: &Classes,
) -> fmt::Result {
    let mistaken = scores.iter().filter(|one| !one.confusions.is_empty());
    let worst: Vec<&ClassScore> = mistaken.take(WORST).collect();
    if worst.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{:<24} {:>8} {:>8}  TAKEN FOR", "WORST CLASSES", "TOP-1", "PICTURES")?;
    for one in worst {
        let label: String = classes.label(one.class).text.chars().take(24).collect();
        let confusions = one.confusions.iter().take(CONFUSIONS);
        let confusions = confusions.map(|confusion| {
            format!("{} {}", classes.label(confusion.class).text, confusion.answers)
        });
        let confusions = confusions.collect::<Vec<_>>().join("; ");
        writeln!(out, "{label:<24} {:>6.2} % {:>8}  {confusions}", one.top1 * 100.0, one.answers)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probability_is_written_with_no_digits_that_say_nothing() {
        for (value, text) in [(0.3, "0.3"), (1.0, "1.0"), (0.735_058, "0.735058")] {
            assert_eq!(json!(shortest(value)).to_string(), text);
        }
    }
}
