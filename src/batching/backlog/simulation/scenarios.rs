//! What comes of loads of many kinds.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::*;

/// Of a long run the share of what the device could have done that was done in time.
fn goodput(scenario: &Scenario, outcome: &Outcome) -> f64 {
    let both = [outcome.small, outcome.large];
    let in_time: usize = both.iter().map(|tally| tally.answered - tally.late).sum();
    into_f64(in_time) / outcome.took.as_secs_f64() / scenario.capacity()
}

fn share(part: usize, of: usize) -> f64 {
    into_f64(part) / into_f64(of.max(1))
}

/// That at least 0.95 of the capacity is used, and that less than a share of the answers is late.
fn assert_works_in_time(scenario: &Scenario, most_late: f64) {
    let outcome = scenario.run();
    let Tally { answered, late, expired, .. } = outcome.small;
    assert!(goodput(scenario, &outcome) > 0.95, "{scenario:?} {:?}", outcome.small);
    assert!(share(late + expired, answered) < most_late, "{scenario:?} {:?}", outcome.small);
}

#[test]
fn nothing_is_refused_at_half_of_the_capacity() {
    let outcome = Scenario { load: 0.5, ..Scenario::default() }.run();
    assert_eq!(outcome.small.refused, 0, "{outcome:?}");
    assert_eq!(outcome.small.answered, 2000);
    assert_eq!(outcome.small.late, 0);
}

#[test]
fn at_three_times_the_capacity_the_device_works_for_answers_in_time_only() {
    for cost in [(0.0, 40.0), (10.0, 5.0), (2.0, 0.2)] {
        for noise in [0.0, 0.3] {
            let max_batch = if cost.0 > 0.0 { 32 } else { 4 };
            let scenario = Scenario {
                load: 3.0,
                requests: 20_000,
                max_batch,
                cost,
                noise,
                ..Scenario::default()
            };
            assert_works_in_time(&scenario, 0.02);
        }
    }
}

/// As on a machine of 64 cores; each worker has a batch or two before a deadline.
#[test]
fn many_workers_keep_what_was_promised_for_all_of_them() {
    let scenario = Scenario {
        load: 3.0,
        requests: 20_000,
        timeout: Duration::from_millis(400),
        workers: 16,
        cost: (2.0, 40.0),
        ..Scenario::default()
    };
    assert_works_in_time(&scenario, 0.005);
}

#[test]
fn a_herd_of_large_requests_does_not_starve_small_ones() {
    let scenario = Scenario {
        load: 3.0,
        requests: 4000,
        large_every: 2,
        large: 64,
        timeout: Duration::from_secs(20),
        ..Scenario::default()
    };
    let Outcome { small, large, .. } = scenario.run();
    assert!(share(small.refused, small.arrived) < 0.02, "{small:?}");
    assert!(share(large.refused, large.arrived) > 0.5, "{large:?}");
    assert!(small.longest < large.longest / 3, "{small:?} {large:?}");
    assert_eq!((small.late, small.expired), (0, 0));
}

/// What a line's images have in common, batches that were all a little slow, is no rule for the next line.
#[test]
fn a_long_line_of_uneven_batches_is_promised_no_more_than_is_kept() {
    let scenario = Scenario {
        seed: 2_043_192_566_707_904_111,
        load: 2.347,
        requests: 1500,
        large_every: 2,
        large: 3,
        timeout: Duration::from_millis(2193),
        workers: 1,
        max_batch: 9,
        cost: (8.37, 12.52),
        noise: 0.179,
    };
    let outcome = scenario.run();
    let Outcome { small, large, .. } = outcome;
    assert!(goodput(&scenario, &outcome) > 0.98, "{outcome:?}");
    let missed = [small.late, small.expired, large.late, large.expired];
    assert!(missed.iter().sum::<usize>() < 10, "{outcome:?}");
}

proptest! {
    // Always the same scenarios: the last bound below is one of statistics, not of logic.
    #![proptest_config(ProptestConfig { cases: 64, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    /// Whatever comes: each request has exactly one answer, no worker stands idle while an image
    /// waits, and next to nothing that was admitted comes too late.
    #[test]
    fn promises_are_kept(
        seed in any::<u64>(),
        load in 0.2..6.0_f64,
        (large_every, large) in (0_usize..6, 1_usize..64),
        timeout in 100_u64..3000,
        (workers, max_batch) in (1_usize..4, 1_usize..16),
        cost in (0.0..10.0_f64, 0.5..20.0_f64),
        noise in 0.0..0.3_f64,
    ) {
        let scenario = Scenario {
            seed, load, requests: 1500, large_every, large, workers, max_batch, cost, noise,
            timeout: Duration::from_millis(timeout),
        };
        let outcome = scenario.run();
        let Outcome { small, large, .. } = outcome;
        prop_assert_eq!(small.arrived + large.arrived, scenario.requests);
        prop_assert_eq!(small.refused + small.answered + small.expired, small.arrived);
        let answered = small.answered + large.answered;
        let missed = small.late + small.expired + large.late + large.expired;
        prop_assert!(share(missed, answered) < 0.02, "{:?} {:?}", small, large);
    }
}
