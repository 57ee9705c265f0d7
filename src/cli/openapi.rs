//! `openapi`: the HTTP contract.

use super::Failure;
use super::output::say;
use crate::api::document;

pub(super) fn run() -> Result<(), Failure> {
    say!("{}", document::yaml().trim_end_matches('\n'))
}
