//! The HTTP contract, through the router, on an engine without a network.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod admin;
mod answers;
mod bad_input;
mod compression;
mod cors;
mod crops;
mod failures;
mod grpc;
mod jpeg_unit;
mod keys;
mod limits;
mod live;
mod load;
mod metrics;
mod page;
mod support;
mod traces;
mod v2;
