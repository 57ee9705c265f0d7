//! `openapi`: the HTTP contract.
#![expect(clippy::print_stdout, reason = "printing is what the command is for")]

use super::Failure;
use crate::api::document;

#[expect(clippy::unnecessary_wraps, reason = "as every command")]
pub(super) fn run() -> Result<(), Failure> {
    print!("{}", document::yaml());
    Ok(())
}
