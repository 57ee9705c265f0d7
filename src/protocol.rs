//! The Open Inference Protocol without a transport: what REST and gRPC ask and answer alike.

pub mod body;
pub mod config;
pub mod inference;
mod input;
mod interface;
pub mod json;
pub mod message;
pub mod metadata;
mod output;

pub use inference::{Arrival, Prepared, run};
pub use message::{InferRequest, InferResponse};
