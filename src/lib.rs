//! Image classification over HTTP.

pub mod model;
pub mod preprocess;
pub mod telemetry;
