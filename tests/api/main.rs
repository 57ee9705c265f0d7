//! The HTTP contract, through the router, on an engine without a network.

mod admin;
mod answers;
mod bad_input;
mod load;
mod support;
