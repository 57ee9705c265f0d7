//! Progress bars on standard error, where somebody looks at it.

use std::fmt::Write;

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

/// A bar for bytes: how many, how fast, how much longer. Nothing is drawn into a file or a pipe.
pub(super) fn bytes(already: u64, total: Option<u64>) -> ProgressBar {
    let bar = match total {
        Some(total) => ProgressBar::new(total).with_style(style(
            "{wide_bar} {bytes}/{total_bytes}  {binary_bytes_per_sec}  {eta} left",
        )),
        None => ProgressBar::new_spinner()
            .with_style(style("{spinner} {bytes}  {binary_bytes_per_sec}")),
    };
    bar.set_position(already);
    // Drawn once, and then its clock set back: what was there before does not count as speed.
    bar.tick();
    bar.reset_eta();
    bar
}

/// A bar for pictures, with a remark.
pub(super) fn pictures(total: usize) -> ProgressBar {
    let rate = |state: &ProgressState, line: &mut dyn Write| {
        // A line that is not drawn is drawn the next time.
        let _ = write!(line, "{:.0}/s", state.per_sec());
    };
    let style = style("{wide_bar} {pos}/{len}  {msg}  {rate}  {eta} left").with_key("rate", rate);
    ProgressBar::new(total as u64).with_style(style)
}

/// A bar for measurements, with what is measured.
pub(super) fn measurements(total: usize) -> ProgressBar {
    let style = style("{wide_bar} {pos}/{len}  {msg}  {eta} left");
    ProgressBar::new(total as u64).with_style(style)
}

/// The templates are constants, so that one that is wrong shows in the first run.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
