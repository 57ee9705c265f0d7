//! What the GPUs of this machine are doing, asked of NVIDIA's library where there is one.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use nvml_wrapper::error::NvmlError;
use nvml_wrapper::{Device, Nvml};

use super::metrics::Metrics;

/// Between two looks; the library itself averages over up to a second.
const PERIOD: Duration = Duration::from_secs(2);

/// Keeps the GPUs' metrics up to date from a thread of its own, because a driver in trouble answers
/// late or never. Where there is no GPU this does nothing and says nothing.
pub fn watch(metrics: Arc<Metrics>) {
    let nvml = match Nvml::init() {
        Ok(nvml) => nvml,
        Err(cause) => return tracing::debug!(%cause, "no GPU is watched"),
    };
    let watching = move || {
        loop {
            observe(&nvml, &metrics);
            thread::sleep(PERIOD);
        }
    };
    if let Err(cause) = thread::Builder::new().name("gpu".to_owned()).spawn(watching) {
        tracing::warn!(%cause, "the GPUs cannot be watched");
    }
}

fn observe(nvml: &Nvml, metrics: &Metrics) {
    for index in 0..nvml.device_count().unwrap_or(0) {
        // By itself each: a GPU that is shared out in parts, for one, has memory but no utilization.
        let device = nvml.device_by_index(index);
        let utilization = device.as_ref().ok().and_then(|device| utilization(device).ok());
        let memory = device.as_ref().ok().and_then(|device| memory(device).ok());
        let label = index.to_string();
        show(&metrics.gpu_utilization, &label, utilization);
        show(&metrics.gpu_memory_used, &label, memory.map(|(used, _)| used));
        show(&metrics.gpu_memory_total, &label, memory.map(|(_, total)| total));
    }
}

/// What cannot be asked any more is not shown any more.
fn show(gauge: &prometheus::GaugeVec, gpu: &str, value: Option<f64>) {
    match value {
        Some(value) => gauge.with_label_values(&[gpu]).set(value),
        None => drop(gauge.remove_label_values(&[gpu])),
    }
}

fn utilization(device: &Device<'_>) -> Result<f64, NvmlError> {
    Ok(f64::from(device.utilization_rates()?.gpu) / 100.0)
}

#[expect(clippy::cast_precision_loss, reason = "no GPU has 2^52 bytes")]
fn memory(device: &Device<'_>) -> Result<(f64, f64), NvmlError> {
    let memory = device.memory_info()?;
    Ok((memory.used as f64, memory.total as f64))
}
