//! The protocol's messages and the trait of its service, generated from `proto/inference.proto`.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::pedantic,
    reason = "generated code keeps the generator's habits"
)]

include!("../../proto/generated.rs");

/// The definition itself, for those who ask by reflection.
pub(super) const DESCRIPTORS: &[u8] = include_bytes!("../../proto/inference.binpb");
