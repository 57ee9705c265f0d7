//! What commands print, where a full disk is an error with a line and not a panic.

use std::fmt;
use std::io::{self, Write};

use super::Failure;

/// Prints a line on standard output, as `println!` does.
macro_rules! say {
    ($($argument:tt)*) => { $crate::cli::output::line(format_args!($($argument)*)) };
}
pub(super) use say;

/// A line on standard output.
pub(super) fn line(text: fmt::Arguments<'_>) -> Result<(), Failure> {
    write(&mut io::stdout().lock(), text)
}

/// A line on standard error that has to be read.
pub(super) fn notice(text: fmt::Arguments<'_>) -> Result<(), Failure> {
    write(&mut io::stderr().lock(), text)
}

/// A line on standard error that goes with an exit code: where nobody can be told, that is all.
pub(super) fn complain(text: fmt::Arguments<'_>) {
    let _ = write(&mut io::stderr().lock(), text);
}

fn write(out: &mut impl Write, text: fmt::Arguments<'_>) -> Result<(), Failure> {
    let written = writeln!(out, "{text}").and_then(|()| out.flush());
    written.map_err(|cause| Failure::Incomplete(format!("cannot print: {cause}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk that is full.
    struct Full;

    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_disk_that_is_full_is_an_error_that_says_so() {
        let failure = write(&mut Full, format_args!("a line")).unwrap_err();
        assert_eq!(failure.exit_code(), 1);
        assert_eq!(failure.to_string(), "cannot print: no storage space");
    }
}
