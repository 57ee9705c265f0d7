//! The recommendation in words, with the flags to copy.

use super::figures::{Figures, Spread};
use super::recommendation::{Recommendation, Verdict, WORTH};
use crate::loading::Layout;

/// For a network in float32 on a processor that multiplies bytes.
pub(super) const IN_8_BITS: &str = "\
This processor has instructions for networks in 8 bits: `model quantize` makes one, and says what it
gains and costs.";

/// What to serve with, why, and what an image that comes alone pays for it.
pub(super) fn text(found: &Recommendation<'_>, alone: &[Figures]) -> String {
    let flags = flags(found.recommended.setting);
    let rate = found.recommended.rate().median;
    let departs = found.recommended.setting != found.default;
    let what = if departs { "serve with" } else { "keep the default, which is" };
    let mut lines = vec![
        format!("Recommended: {what} {flags}"),
        format!("  {rate:.1} images/s; {}.", reason(found)),
    ];
    lines.extend(price(found, alone).filter(|_| departs));
    lines.join("\n")
}

/// As `serve` takes them.
fn flags(Layout { sessions, intra_threads, max_batch }: Layout) -> String {
    format!("--sessions {sessions} --intra-threads {intra_threads} --max-batch {max_batch}")
}

fn reason(found: &Recommendation<'_>) -> String {
    let Some(times) = found.times_default else {
        let default = flags(found.default);
        return format!("the device has no memory for the default, {default}");
    };
    let (challenger, default) = (flags(found.challenger.setting), flags(found.default));
    let (more, spread) = (percent(times.median), over_the_rounds(times));
    match found.verdict {
        Verdict::DefaultIsFastest => "no other setting has more".to_owned(),
        Verdict::WithinTheNoise => {
            format!("{challenger} has {more} % more, which is within the noise ({spread})")
        }
        Verdict::NotWorthIt => format!(
            "{challenger} has {more} % more ({spread}), too little to depart from the default ({} %)",
            percent(WORTH)
        ),
        Verdict::Faster | Verdict::DefaultDoesNotRun => {
            format!("{more} % more than by default ({spread}), which is {default}")
        }
    }
}

/// What a lone image pays, where that was measured both ways.
fn price(found: &Recommendation<'_>, alone: &[Figures]) -> Option<String> {
    let of = |wanted: Layout| {
        let same = |one: &&Figures| {
            let Layout { sessions, intra_threads, .. } = one.setting;
            (sessions, intra_threads) == (wanted.sessions, wanted.intra_threads)
        };
        Some(alone.iter().find(same)?.latency(50).as_secs_f64() * 1e3)
    };
    let (now, before) = (of(found.recommended.setting)?, of(found.default)?);
    Some(format!("  An image that comes alone takes {now:.1} ms, by default {before:.1} ms."))
}

fn over_the_rounds(times: Spread) -> String {
    format!("{} to {} % from round to round", percent(times.least), percent(times.most))
}

/// What is on top of once.
fn percent(times: f64) -> String {
    format!("{:.1}", (times - 1.0) * 100.0)
}

#[cfg(test)]
mod tests {
    use super::super::figures::tests::{figures, setting};
    use super::super::recommendation::recommend;
    use super::*;

    const DEFAULT: [usize; 3] = [1, 2, 8];
    const DEFAULT_FLAGS: &str = "--sessions 1 --intra-threads 2 --max-batch 8";

    /// What is said where the default has 10 images a second and another setting has these.
    fn said(other: &[f64]) -> String {
        let all = [figures(DEFAULT, &[10.0; 3], 800), figures([2, 1, 4], other, 400)];
        let alone = [figures([1, 2, 1], &[20.0; 3], 50), figures([2, 1, 1], &[10.0; 3], 90)];
        text(&recommend(&all, setting(DEFAULT)).unwrap(), &alone)
    }

    #[test]
    fn another_setting_comes_with_its_gain_its_spread_and_its_price() {
        let text = said(&[12.0, 12.5, 13.0]);
        let first = "Recommended: serve with --sessions 2 --intra-threads 1 --max-batch 4\n";
        assert!(text.starts_with(first), "{text}");
        assert!(text.contains("25.0 % more than by default (20.0 to 30.0 %"), "{text}");
        assert!(text.ends_with("alone takes 90.0 ms, by default 50.0 ms."), "{text}");
    }

    #[test]
    fn a_difference_within_the_noise_is_called_so_and_the_default_kept() {
        let text = said(&[9.0, 12.0, 13.0]);
        let first = format!("Recommended: keep the default, which is {DEFAULT_FLAGS}\n");
        assert!(text.starts_with(&first), "{text}");
        assert!(text.contains("20.0 % more, which is within the noise (-10.0 to 30.0 %"), "{text}");
        assert!(!text.contains("alone"), "{text}");
    }

    #[test]
    fn a_sure_but_small_difference_is_told_and_the_default_kept() {
        let text = said(&[10.2, 10.3, 10.4]);
        assert!(text.contains("keep the default"), "{text}");
        assert!(text.contains("3.0 % more (2.0 to 4.0 %"), "{text}");
    }

    #[test]
    fn where_the_default_is_best_there_is_nothing_to_compare() {
        assert!(said(&[9.0; 3]).contains("10.0 images/s; no other setting has more."));
    }

    #[test]
    fn a_default_without_room_is_named() {
        let all = [figures([1, 2, 2], &[10.0], 200)];
        let text = text(&recommend(&all, setting(DEFAULT)).unwrap(), &[]);
        let reason = format!("the device has no memory for the default, {DEFAULT_FLAGS}.");
        assert!(text.ends_with(&reason), "{text}");
    }
}
