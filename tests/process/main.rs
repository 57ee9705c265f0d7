//! The real binary: a real network in ONNX Runtime, real sockets, real signals.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod activations;
mod benching;
mod command_line;
mod ensembles;
mod evaluating;
mod explaining;
mod fetching;
mod file_server;
mod fixed_batch;
mod gpu;
mod grpc;
mod keys;
mod limits;
mod model_files;
mod quantizing;
mod refused_starts;
mod reloading;
mod selftests;
mod serving;
mod support;
mod tls;
mod traces;
