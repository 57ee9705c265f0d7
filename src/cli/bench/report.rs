//! What was measured and what to make of it, for people and for programs.

use serde_json::{Value, json};

use super::advice;
use super::figures::{Figures, Spread};
use super::measure::{Measured, Measurement};
use super::plan::Circumstances;
use super::recommendation::Recommendation;
use crate::api::response::ModelSummary;
use crate::cli::Failure;
use crate::cli::output::say;
use crate::inference::provider::Provider;
use crate::loading::Layout;
use crate::model::Model;
use crate::{networks, resources};

/// What was measured, on what, and what came of it.
pub(super) struct Report<'a> {
    pub(super) measurement: &'a Measurement<'a>,
    pub(super) measured: &'a Measured,
    pub(super) found: Circumstances,
    pub(super) recommendation: Recommendation<'a>,
}

impl Report<'_> {
    /// Prints it as tables and advice, or as JSON.
    pub(super) fn print(&self, as_json: bool) -> Result<(), Failure> {
        if as_json {
            return say!("{:#}", self.json());
        }
        self.print_head()?;
        self.print_busy()?;
        self.print_alone()?;
        say!("\n{}", advice::text(&self.recommendation, &self.measured.alone))?;
        if self.would_gain_by_8_bits() {
            say!("{}", advice::IN_8_BITS)?;
        }
        Ok(())
    }

    /// Whether a network in float32 runs where one in 8 bits would be faster.
    fn would_gain_by_8_bits(&self) -> bool {
        let float32 = |model: &Model| {
            networks::arithmetic(&model.graph)
                .is_ok_and(|found| found.as_deref() == Some("float32"))
        };
        self.found.provider == Provider::Cpu
            && resources::multiplies_bytes()
            && self.measurement.model.networks().iter().any(|network| float32(network))
    }

    fn print_head(&self) -> Result<(), Failure> {
        let Measurement { runtime, model, duration, rounds, .. } = self.measurement;
        let (name, version) = (model.manifest.name.as_str(), &model.manifest.version);
        let Circumstances { provider, cores, .. } = self.found;
        say!("{name} {version} on {provider}, ONNX Runtime {}, {cores} cores", runtime.version)?;
        let each = humantime::format_duration(*duration);
        say!("Medians of {rounds} rounds of {each} for each setting, ± their spread\n")
    }

    fn print_busy(&self) -> Result<(), Failure> {
        say!("sessions  threads  batch   images/s     ±     p50 ms     p99 ms")?;
        for figures in &self.measured.busy {
            let rate = figures.rate();
            let line = format!(
                "{}  {:>9}  {:>3.0}%  {:>9.2}  {:>9.2}  {}",
                row(figures.setting),
                significant(rate.median),
                rate.width() * 100.0,
                milliseconds(figures, 50),
                milliseconds(figures, 99),
                self.remark(figures.setting),
            );
            say!("{}", line.trim_end())?;
        }
        for setting in &self.measured.too_large {
            say!("{}  the device is out of memory", row(*setting))?;
        }
        Ok(())
    }

    fn print_alone(&self) -> Result<(), Failure> {
        say!("\nAn image that comes alone:\nsessions  threads  batch     p50 ms     p99 ms")?;
        for figures in &self.measured.alone {
            let (p50, p99) = (milliseconds(figures, 50), milliseconds(figures, 99));
            say!("{}  {p50:>9.2}  {p99:>9.2}", row(figures.setting))?;
        }
        Ok(())
    }

    fn remark(&self, setting: Layout) -> &'static str {
        let recommended = setting == self.recommendation.recommended.setting;
        match (setting == self.recommendation.default, recommended) {
            (true, true) => "default, recommended",
            (true, false) => "default",
            (false, true) => "recommended",
            (false, false) => "",
        }
    }

    fn json(&self) -> Value {
        let busy: Vec<Value> = self.measured.busy.iter().map(busy).collect();
        let alone: Vec<Value> = self.measured.alone.iter().map(alone).collect();
        let too_large: Vec<Value> =
            self.measured.too_large.iter().map(|setting| flags(*setting)).collect();
        let found = &self.recommendation;
        let Measurement { runtime, model, duration, rounds, .. } = self.measurement;
        json!({
            "model": ModelSummary::new(model),
            "provider": self.found.provider.to_string(),
            "onnxruntime": runtime.version,
            "cores": self.found.cores,
            "seconds": duration.as_secs_f64(),
            "rounds": rounds,
            "settings": busy,
            "alone": alone,
            "out_of_memory": too_large,
            "default": flags(found.default),
            "recommended": flags(found.recommended.setting),
            "challenger": flags(found.challenger.setting),
            "challenger_times_default": found.times_default.map(spread),
            "verdict": found.verdict.as_str(),
        })
    }
}

/// Three columns.
fn row(Layout { sessions, intra_threads, max_batch }: Layout) -> String {
    format!("{sessions:>8}  {intra_threads:>7}  {max_batch:>5}")
}

/// As many digits as mean something.
fn significant(value: f64) -> String {
    if value < 100.0 { format!("{value:.2}") } else { format!("{value:.0}") }
}

fn milliseconds(figures: &Figures, percent: usize) -> f64 {
    figures.latency(percent).as_secs_f64() * 1e3
}

fn busy(figures: &Figures) -> Value {
    let mut value = flags(figures.setting);
    value["images_per_second"] = spread(figures.rate());
    value["latency_seconds"] = latency(figures);
    value["batches"] = figures.batches().into();
    value
}

fn alone(figures: &Figures) -> Value {
    let mut value = flags(figures.setting);
    value["latency_seconds"] = latency(figures);
    value
}

fn latency(figures: &Figures) -> Value {
    let seconds = |percent| figures.latency(percent).as_secs_f64();
    json!({"p50": seconds(50), "p99": seconds(99)})
}

fn spread(Spread { median, least, most }: Spread) -> Value {
    json!({"median": median, "min": least, "max": most})
}

/// By the names of `serve`'s flags.
fn flags(Layout { sessions, intra_threads, max_batch }: Layout) -> Value {
    json!({"sessions": sessions, "intra_threads": intra_threads, "max_batch": max_batch})
}
