//! Image classification over HTTP.

pub mod model;
