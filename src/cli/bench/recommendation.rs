//! Which setting to serve with, by what was measured.

use super::figures::{Figures, Spread};
use crate::loading::Layout;

/// A setting that is not faster than the default by this is not worth departing from it, nor are
/// larger batches or more sessions that gain less over smaller ones.
pub(super) const WORTH: f64 = 1.05;

/// What to serve with, and how sure that is.
#[derive(Clone, Debug)]
pub(super) struct Recommendation<'a> {
    pub(super) recommended: &'a Figures,
    /// What `serve` does unasked.
    pub(super) default: Layout,
    /// What was held against the default: the recommended setting if it is another, or the fastest.
    pub(super) challenger: &'a Figures,
    /// How many times as fast the challenger is as the default, where the default runs.
    pub(super) times_default: Option<Spread>,
    pub(super) verdict: Verdict,
}

/// Why that setting.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    /// The default has the most images a second.
    DefaultIsFastest,
    /// Another has more, but not in every round.
    WithinTheNoise,
    /// Another has more in every round, but hardly.
    NotWorthIt,
    /// Another has clearly more.
    Faster,
    /// The default does not run on this device.
    DefaultDoesNotRun,
}

impl Verdict {
    /// As JSON has it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::DefaultIsFastest => "default_is_fastest",
            Self::WithinTheNoise => "within_the_noise",
            Self::NotWorthIt => "not_worth_it",
            Self::Faster => "faster",
            Self::DefaultDoesNotRun => "default_does_not_run",
        }
    }
}

/// Weighs the settings against the default; nothing where nothing was measured.
pub(super) fn recommend(all: &[Figures], default: Layout) -> Option<Recommendation<'_>> {
    let slower =
        |one: &&Figures, other: &&Figures| one.rate().median.total_cmp(&other.rate().median);
    let fastest = all.iter().max_by(slower)?;
    let as_good = all.iter().filter(|one| one.rate().median * WORTH >= fastest.rate().median);
    let Some(usual) = all.iter().find(|figures| figures.setting == default) else {
        let recommended = quickest(as_good)?;
        let verdict = Verdict::DefaultDoesNotRun;
        let (challenger, times_default) = (recommended, None);
        return Some(Recommendation { recommended, default, challenger, times_default, verdict });
    };
    let faster = as_good.filter(|one| judge(one, usual) == Verdict::Faster);
    let (recommended, challenger) = match quickest(faster) {
        Some(faster) => (faster, faster),
        None => (usual, fastest),
    };
    let times_default = Some(challenger.times_as_fast_as(usual));
    let verdict = judge(challenger, usual);
    Some(Recommendation { recommended, default, challenger, times_default, verdict })
}

fn judge(one: &Figures, default: &Figures) -> Verdict {
    let gain = one.times_as_fast_as(default);
    if one.setting == default.setting {
        Verdict::DefaultIsFastest
    } else if gain.least <= 1.0 {
        Verdict::WithinTheNoise
    } else if gain.median < WORTH {
        Verdict::NotWorthIt
    } else {
        Verdict::Faster
    }
}

/// Of settings that are equally good the one whose batches end soonest.
fn quickest<'a>(some: impl Iterator<Item = &'a Figures>) -> Option<&'a Figures> {
    some.min_by_key(|figures| figures.latency(50))
}

#[cfg(test)]
mod tests {
    use super::super::figures::tests::{figures, setting};
    use super::*;

    const DEFAULT: [usize; 3] = [1, 2, 8];

    /// What is recommended where the default has 10, 11 and 12 images a second, and why.
    fn beside_the_default(others: &[Figures]) -> (Layout, Verdict) {
        let all = [&[figures(DEFAULT, &[10.0, 11.0, 12.0], 800)], others].concat();
        let found = recommend(&all, setting(DEFAULT)).unwrap();
        (found.recommended.setting, found.verdict)
    }

    #[test]
    fn the_default_is_kept_where_nothing_is_faster() {
        let slower = figures([2, 1, 4], &[9.0, 9.0, 9.0], 400);
        assert_eq!(beside_the_default(&[slower]), (setting(DEFAULT), Verdict::DefaultIsFastest));
    }

    #[test]
    fn the_default_is_kept_where_another_is_faster_in_some_rounds_only() {
        let sometimes = figures([2, 1, 4], &[20.0, 20.0, 11.9], 400);
        assert_eq!(beside_the_default(&[sometimes]), (setting(DEFAULT), Verdict::WithinTheNoise));
    }

    #[test]
    fn the_default_is_kept_where_another_is_faster_by_next_to_nothing() {
        let hardly = figures([2, 1, 4], &[10.4, 11.4, 12.4], 400);
        assert_eq!(beside_the_default(&[hardly]), (setting(DEFAULT), Verdict::NotWorthIt));
    }

    #[test]
    fn what_is_faster_in_every_round_by_more_than_a_little_is_recommended() {
        let faster = figures([2, 1, 4], &[11.0, 12.1, 13.2], 400);
        assert_eq!(beside_the_default(&[faster]), (setting([2, 1, 4]), Verdict::Faster));
    }

    #[test]
    fn of_settings_that_are_nearly_equal_the_one_with_the_shortest_batches_is_recommended() {
        let largest = figures([1, 2, 64], &[20.0, 22.0, 24.0], 4000);
        let nearly = figures([1, 2, 16], &[19.5, 21.5, 23.5], 1000);
        let slower = figures([1, 2, 12], &[15.0, 16.0, 17.0], 900);
        let found = beside_the_default(&[largest, nearly, slower]);
        assert_eq!(found, (setting([1, 2, 16]), Verdict::Faster));
    }

    #[test]
    fn one_lucky_round_of_the_fastest_does_not_hide_one_that_is_faster_in_all() {
        let lucky = figures([1, 1, 4], &[9.0, 16.0, 16.0], 400);
        let steady = figures([2, 1, 4], &[14.0, 15.4, 16.8], 500);
        assert_eq!(beside_the_default(&[lucky, steady]), (setting([2, 1, 4]), Verdict::Faster));
    }

    #[test]
    fn noise_that_all_settings_have_in_common_hides_no_difference() {
        let all = [
            figures(DEFAULT, &[10.0, 5.0, 20.0], 800),
            figures([2, 1, 4], &[12.0, 6.0, 24.0], 400),
        ];
        let found = recommend(&all, setting(DEFAULT)).unwrap();
        assert_eq!(found.verdict, Verdict::Faster);
        assert!((found.times_default.unwrap().least - 1.2).abs() < 1e-9);
    }

    #[test]
    fn a_default_that_does_not_run_is_replaced_by_the_smallest_batch_that_is_as_fast() {
        let all = [figures([1, 2, 2], &[10.0], 200), figures([1, 2, 4], &[10.2], 400)];
        let found = recommend(&all, setting(DEFAULT)).unwrap();
        assert_eq!(found.recommended.setting, setting([1, 2, 2]));
        assert_eq!(found.verdict, Verdict::DefaultDoesNotRun);
        assert!(recommend(&[], setting(DEFAULT)).is_none());
    }
}
