//! Every metric of the process, declared here and nowhere else.

use std::time::Duration;

use prometheus::{
    Encoder as _, Gauge, GaugeVec, Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    Registry, TextEncoder,
};

use super::metrics_macro::metrics;

mod labels;

pub use labels::{
    Abandonment, File, HandshakeFailure, Listener, Outcome, Reason, Reload, SpanOutcome, Stage,
    UnitResult,
};

/// From a GPU's fraction of a millisecond to a client's patience; a factor of about 1.6 between
/// neighbours, so that a CPU's 50 ms and a GPU's 1 ms are told apart equally well.
pub const SECONDS: [f64; 25] = [
    0.0001, 0.000_25, 0.0005, 0.001, 0.0016, 0.0025, 0.004, 0.0063, 0.01, 0.016, 0.025, 0.04,
    0.063, 0.1, 0.16, 0.25, 0.4, 0.63, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0,
];

/// Powers of two: the sizes to which batches are padded.
pub const IMAGES: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

metrics! {
    /// The metrics of one process.
    pub struct Instruments {
        /// Requests answered, by route and HTTP status; each message of a gRPC stream is one.
        requests: IntCounterVec = "resnet_serve_requests_total" ["route", "status"],
        /// Requests answered to those who have an API key, by the key's name and HTTP status.
        key_requests: IntCounterVec = "resnet_serve_key_requests_total" ["key", "status"],
        /// Seconds from the first byte of a request to its answer.
        request_duration: HistogramVec = "resnet_serve_request_duration_seconds" ["route"] { SECONDS },
        /// Images by what became of them: each is counted exactly once.
        images: IntCounterVec = "resnet_serve_images_total" ["outcome"],
        /// Classified images whose answer is the mean over ten crops, each of which the network ran on.
        ten_crop_images: IntCounter = "resnet_serve_ten_crop_images_total",
        /// Seconds that a stage of the pipeline took for one image or request.
        stage_duration: HistogramVec = "resnet_serve_stage_duration_seconds" ["stage"] { SECONDS },
        /// Images in each batch that ran, padding left out.
        batch_images: Histogram = "resnet_serve_batch_images" { IMAGES },
        /// Slots of padded batches that were computed for nothing.
        padded_images: IntCounter = "resnet_serve_padded_images_total",
        /// Images that wait for a worker.
        queue_images: IntGauge = "resnet_serve_queue_images",
        /// Images admitted and not yet answered.
        inflight_images: IntGauge = "resnet_serve_inflight_images",
        /// Requests refused at the door, by reason.
        rejections: IntCounterVec = "resnet_serve_rejections_total" ["reason"],
        /// Images whose client went away, by how far they had come.
        abandoned: IntCounterVec = "resnet_serve_abandoned_images_total" ["at"],
        /// 1 while the process wants traffic, as `/ready` answers.
        ready: IntGauge = "resnet_serve_ready",
        /// 1 while nothing hangs, as `/live` answers.
        live: IntGauge = "resnet_serve_live",
        /// Seconds for which work has waited without any being done; 0 while there is progress or nothing to do.
        stalled: Gauge = "resnet_serve_stalled_seconds",
        /// Workers whose engine works.
        workers: IntGauge = "resnet_serve_workers",
        /// Workers that there are when all work.
        workers_configured: IntGauge = "resnet_serve_workers_configured",
        /// Attempts to build an engine anew after it failed for good.
        engine_rebuilds: IntCounter = "resnet_serve_engine_rebuilds_total",
        /// Models loaded anew while they serve, by whether the new one took its place.
        reloads: IntCounterVec = "resnet_serve_model_reloads_total" ["result"],
        /// 1 while the last attempt to read a file anew has failed, so that what was read before holds.
        file_stale: GaugeVec = "resnet_serve_file_stale" ["file"],
        /// Times that the batch limit was lowered because the device ran out of memory.
        batch_limit_lowered: IntCounter = "resnet_serve_batch_limit_lowered_total",
        /// Images that may be admitted and not yet answered, of all models together.
        queue_capacity: IntGauge = "resnet_serve_queue_capacity_images",
        /// Cores that this process may use, by affinity and by its container's quota.
        cores: IntGauge = "resnet_serve_cores",
        /// Bytes that bodies and pixels take.
        memory_used: IntGauge = "resnet_serve_memory_used_bytes",
        /// Bytes that bodies and pixels may take together; beyond that requests are refused.
        memory_budget: IntGauge = "resnet_serve_memory_budget_bytes",
        /// Bytes that the whole process may take, by its container's limit or what the machine has.
        memory_limit: IntGauge = "resnet_serve_memory_limit_bytes",
        /// Images per second that this process sustains, as measured from the batches that ran.
        capacity: Gauge = "resnet_serve_capacity_images_per_second",
        /// Images that arrive, refused ones included, over those that this process sustains.
        saturation: Gauge = "resnet_serve_saturation_ratio",
        /// Always 1; the labels say which model is served, and by what.
        model_info: GaugeVec = "resnet_serve_model_info" ["model", "version", "sha256", "provider", "precision", "onnxruntime"],
        /// Always 1; the labels say of which models an ensemble averages the probabilities.
        ensemble_info: GaugeVec = "resnet_serve_ensemble_info" ["model", "member", "version", "sha256"],
        /// Always 1; the labels say what was asked to serve a model and what serves it.
        provider_info: GaugeVec = "resnet_serve_provider_info" ["model", "asked", "used"],
        /// 1 for trained weights, 0 for random ones, whose answers mean nothing.
        model_trained: GaugeVec = "resnet_serve_model_trained" ["model"],
        /// The share of time in which a GPU was computing, from 0 to 1.
        gpu_utilization: GaugeVec = "resnet_serve_gpu_utilization_ratio" ["gpu"],
        /// Bytes of a GPU's memory in use, by all processes.
        gpu_memory_used: GaugeVec = "resnet_serve_gpu_memory_used_bytes" ["gpu"],
        /// Bytes of a GPU's memory.
        gpu_memory_total: GaugeVec = "resnet_serve_gpu_memory_total_bytes" ["gpu"],
        /// JPEGs that the GPU's unit was given, by what became of them.
        jpeg_unit_images: IntCounterVec = "resnet_serve_jpeg_unit_images_total" ["result"],
        /// When the certificate that a listener shows ends, in seconds since 1970.
        certificate_expiry: GaugeVec = "resnet_serve_tls_certificate_expiry_timestamp_seconds" ["listener"],
        /// Connections that ended before they were encrypted, by why.
        handshake_failures: IntCounterVec = "resnet_serve_tls_handshake_failures_total" ["listener", "reason"],
        /// Spans of traced requests, by what became of them.
        spans: IntCounterVec = "resnet_serve_trace_spans_total" ["outcome"],
        /// Always 1; the labels say what was built.
        build_info: GaugeVec = "resnet_serve_build_info" ["version", "commit", "rustc"],
    }
}

/// The instruments and the registry that renders them.
pub struct Metrics {
    instruments: Instruments,
    registry: Registry,
}

impl Metrics {
    /// Registers everything; the process's own figures too, where the system offers them.
    ///
    /// # Panics
    ///
    /// When two metrics have one name, which a test excludes.
    #[must_use]
    pub fn new() -> Self {
        let registry = Registry::new();
        let instruments = Instruments::register(&registry).expect("metric names are distinct");
        #[cfg(target_os = "linux")]
        registry
            .register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))
            .expect("process metrics are registered once");
        for outcome in Outcome::ALL {
            instruments.images.with_label_values(&[outcome.as_str()]);
        }
        for reason in Reason::ALL {
            instruments.rejections.with_label_values(&[reason.as_str()]);
        }
        for outcome in SpanOutcome::ALL {
            instruments.spans.with_label_values(&[outcome.as_str()]);
        }
        for stage in Stage::ALL {
            instruments.stage_duration.with_label_values(&[stage.as_str()]);
        }
        for abandonment in Abandonment::ALL {
            instruments.abandoned.with_label_values(&[abandonment.as_str()]);
        }
        for result in UnitResult::ALL {
            instruments.jpeg_unit_images.with_label_values(&[result.as_str()]);
        }
        for result in Reload::ALL {
            instruments.reloads.with_label_values(&[result.as_str()]);
        }
        Self { instruments, registry }
    }

    /// Counts an image whose client went away.
    pub fn count_abandoned(&self, at: Abandonment) {
        self.abandoned.with_label_values(&[at.as_str()]).inc();
    }

    /// Counts what became of a JPEG that the GPU's unit was given.
    pub fn count_unit_image(&self, result: UnitResult) {
        self.jpeg_unit_images.with_label_values(&[result.as_str()]).inc();
    }

    /// Counts what became of one image.
    pub fn count_image(&self, outcome: Outcome) {
        self.images.with_label_values(&[outcome.as_str()]).inc();
    }

    /// Counts spans of traced requests.
    pub fn count_spans(&self, outcome: SpanOutcome, spans: u64) {
        self.spans.with_label_values(&[outcome.as_str()]).inc_by(spans);
    }

    /// Says until when the certificate holds that every listener shows, from 1970; nothing where
    /// that cannot be told.
    pub fn set_certificate_expiry(&self, expiry: Option<Duration>) {
        self.certificate_expiry.reset();
        let Some(expiry) = expiry else { return };
        for listener in Listener::ALL {
            let series = self.certificate_expiry.with_label_values(&[listener.as_str()]);
            series.set(expiry.as_secs_f64());
        }
    }

    /// A listener encrypts: what may fail there is known from the start.
    pub fn expect_handshakes(&self, listener: Listener) {
        for reason in HandshakeFailure::ALL {
            self.handshake_failures.with_label_values(&[listener.as_str(), reason.as_str()]);
        }
    }

    /// Counts a connection that could not be encrypted.
    pub fn count_handshake_failure(&self, listener: Listener, reason: HandshakeFailure) {
        self.handshake_failures.with_label_values(&[listener.as_str(), reason.as_str()]).inc();
    }

    /// Counts a model that was loaded anew, or was to be.
    pub fn count_reload(&self, succeeded: bool) {
        let result = if succeeded { Reload::Succeeded } else { Reload::Failed };
        self.reloads.with_label_values(&[result.as_str()]).inc();
    }

    /// Says whether a file's content in use is older than the file, which cannot be read.
    pub fn set_stale(&self, file: File, stale: bool) {
        self.file_stale.with_label_values(&[file.as_str()]).set(f64::from(u8::from(stale)));
    }

    /// Counts a refused request.
    pub fn count_rejection(&self, reason: Reason) {
        self.rejections.with_label_values(&[reason.as_str()]).inc();
    }

    /// Counts a request. The names of keys are those of the operator's file, so that no client can
    /// make series of them.
    pub fn count_request(&self, (route, status): (&str, u16), key: Option<&str>) {
        let status = status.to_string();
        self.requests.with_label_values(&[route, &status]).inc();
        if let Some(key) = key {
            self.key_requests.with_label_values(&[key, &status]).inc();
        }
    }

    /// Records how long a stage took.
    pub fn observe_stage(&self, stage: Stage, duration: Duration) {
        self.stage_duration.with_label_values(&[stage.as_str()]).observe(duration.as_secs_f64());
    }

    /// All metrics in Prometheus' text format, version 0.0.4.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = Vec::new();
        // Writing to a vector cannot fail, and every family has a name and a metric.
        let _ = TextEncoder::new().encode(&self.registry.gather(), &mut text);
        String::from_utf8_lossy(&text).into_owned()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl std::ops::Deref for Metrics {
    type Target = Instruments;

    fn deref(&self) -> &Instruments {
        &self.instruments
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_and_reason_is_there_before_it_happens() {
        let text = Metrics::new().render();
        assert!(text.contains(r#"resnet_serve_images_total{outcome="abandoned"} 0"#), "{text}");
        assert!(text.contains(r#"resnet_serve_rejections_total{reason="queue_full"} 0"#), "{text}");
    }

    #[test]
    fn the_help_of_a_metric_is_its_documentation() {
        let text = Metrics::new().render();
        assert!(text.contains("# HELP resnet_serve_queue_images Images that wait for a worker.\n"));
    }

    #[test]
    fn without_tls_there_is_nothing_of_it() {
        let metrics = Metrics::new();
        assert!(!metrics.render().contains("resnet_serve_tls"));
        metrics.set_certificate_expiry(Some(Duration::from_secs(1_800_000_001)));
        let named = r#"resnet_serve_tls_certificate_expiry_timestamp_seconds{listener="grpc"}"#;
        assert!(metrics.render().contains(&format!("{named} 1800000001\n")));
        metrics.set_certificate_expiry(None);
        assert!(!metrics.render().contains("resnet_serve_tls"));
    }

    #[test]
    fn a_stage_is_counted_in_seconds() {
        let metrics = Metrics::new();
        metrics.observe_stage(Stage::Decode, Duration::from_millis(2));
        assert!(
            metrics
                .render()
                .contains(r#"resnet_serve_stage_duration_seconds_sum{stage="decode"} 0.002"#)
        );
    }
}
