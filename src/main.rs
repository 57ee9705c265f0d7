//! The `resnet-serve` binary.

fn main() {}
