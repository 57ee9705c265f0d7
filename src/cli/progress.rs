//! Progress bars on standard error, where somebody looks at it.

use indicatif::{ProgressBar, ProgressStyle};

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

/// The templates are constants, so that one that is wrong shows in the first run.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
