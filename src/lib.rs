//! Image classification over HTTP, with `ResNet`s in ONNX Runtime.
//!
//! The modules stand in the order in which a request meets them.

pub mod api;
pub mod batching;
pub mod cli;
pub mod client;
pub mod config;
pub mod cpu_pool;
pub mod evaluation;
pub mod explanation;
pub mod file_state;
pub mod grpc;
pub mod history;
pub mod inference;
pub mod jpeg_unit;
pub mod keys;
pub mod loading;
pub mod memory;
pub mod model;
pub mod networks;
pub mod pipeline;
pub mod preprocess;
pub mod protocol;
pub mod quiet;
pub mod ranking;
pub mod readiness;
pub mod reloading;
pub mod rereading;
pub mod resources;
pub mod selftest;
pub mod service;
pub mod serving;
pub mod shutdown;
pub mod telemetry;
pub mod tls;
pub mod vitals;
