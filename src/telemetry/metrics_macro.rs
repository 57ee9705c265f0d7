//! The macro that makes one field of a struct the only declaration of a metric.

/// Declares a struct of Prometheus metrics.
///
/// The doc comment of a field is the metric's HELP, the string after `=` its name. Labels stand
/// in brackets, buckets of a histogram in braces.
macro_rules! metrics {
    (
        $(#[doc = $struct_doc:literal])*
        $visibility:vis struct $name:ident {
            $(
                #[doc = $help:literal]
                $field:ident: $kind:ty = $metric:literal $([$($label:literal),+])? $({ $buckets:expr })?,
            )+
        }
    ) => {
        $(#[doc = $struct_doc])*
        $visibility struct $name {
            $(#[doc = $help] pub $field: $kind,)+
        }

        impl $name {
            /// Creates every metric and registers it.
            ///
            /// # Errors
            ///
            /// When a metric of the same name is registered already.
            pub fn register(registry: &prometheus::Registry) -> prometheus::Result<Self> {
                $(
                    #[allow(unused_mut, reason = "only histograms have buckets to set")]
                    let mut options: <$kind as $crate::telemetry::metrics_macro::Declared>::Options =
                        $crate::telemetry::metrics_macro::options($metric, $help.trim());
                    $(options = options.buckets($buckets.to_vec());)?
                    let $field = <$kind as $crate::telemetry::metrics_macro::Declared>::create(options, &[$($($label),+)?])?;
                    registry.register(Box::new($field.clone()))?;
                )+
                Ok(Self { $($field),+ })
            }
        }
    };
}

pub(crate) use metrics;
use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    Opts, Result,
};

/// A kind of metric that the macro can create.
pub(crate) trait Declared: Sized {
    /// Name, HELP and, for a histogram, buckets.
    type Options: From<Opts>;

    /// Creates the metric; kinds without labels take none.
    fn create(options: Self::Options, labels: &[&str]) -> Result<Self>;
}

/// Name and HELP as the options of one kind of metric.
pub(crate) fn options<O: From<Opts>>(name: &str, help: &str) -> O {
    O::from(Opts::new(name, help))
}

macro_rules! declared {
    ($kind:ty, $options:ty, |$opts:ident, $labels:pat_param| $create:expr) => {
        impl Declared for $kind {
            type Options = $options;

            fn create($opts: Self::Options, $labels: &[&str]) -> Result<Self> {
                $create
            }
        }
    };
}

declared!(Gauge, Opts, |options, _| Gauge::with_opts(options));
declared!(IntGauge, Opts, |options, _| IntGauge::with_opts(options));
declared!(IntCounter, Opts, |options, _| IntCounter::with_opts(options));
declared!(Histogram, HistogramOpts, |options, _| Histogram::with_opts(options));
declared!(GaugeVec, Opts, |options, labels| GaugeVec::new(options, labels));
declared!(IntCounterVec, Opts, |options, labels| IntCounterVec::new(options, labels));
declared!(HistogramVec, HistogramOpts, |options, labels| HistogramVec::new(options, labels));
