//! The decisions, one by one, on a paused clock.

use std::num::NonZeroUsize;
use std::sync::Arc;

use tokio::sync::oneshot::error::TryRecvError;

use super::*;
use crate::batching::job::{Content, JobError, Prepared, Row};
use crate::batching::queue::Slot;
use crate::batching::{Answer, BatchSizes, Collector, Queue, Rejection, pair};
use crate::inference::Wanted;
use crate::memory::Charge;
use crate::preprocess::Pixels;
use crate::telemetry::metrics::{Metrics, Reason};

const MILLISECOND: Duration = Duration::from_millis(1);
const WAIT: Duration = Duration::from_millis(50);
const LONG: Duration = Duration::from_mins(1);

fn count(number: usize) -> NonZeroUsize {
    NonZeroUsize::new(number).unwrap()
}

/// One worker with batches of up to 4.
fn queue(queue_capacity: usize) -> (Queue, Collector) {
    with_sizes(queue_capacity, BatchSizes::Any { limit: count(4) })
}

fn with_sizes(queue_capacity: usize, sizes: BatchSizes) -> (Queue, Collector) {
    with_workers(1, queue_capacity, sizes)
}

pub(in crate::batching) fn with_workers(
    workers: usize,
    queue_capacity: usize,
    sizes: BatchSizes,
) -> (Queue, Collector) {
    let gathering = Gathering {
        queue_capacity: count(queue_capacity),
        sizes,
        max_wait: WAIT,
        workers: count(workers),
        decoders: count(workers),
    };
    pair(gathering, Arc::new(Metrics::new()))
}

fn reserve(queue: &Queue, images: usize, within: Duration) -> Result<Vec<Slot>, Rejection> {
    queue.reserve(count(images), Instant::now() + within)
}

fn submit(queue: &Queue, images: usize, within: Duration) -> Vec<Answer> {
    let deadline = Instant::now() + within;
    let slots = reserve(queue, images, within).unwrap();
    slots.into_iter().map(|slot| slot.submit(picture(), deadline)).collect()
}

pub(in crate::batching) fn picture() -> Prepared {
    let content = Content::Pixels(Pixels::black(1, 1));
    Prepared { content, wanted: Wanted::Logits, charge: Arc::new(Charge::nothing()) }
}

fn reason(refused: Result<Vec<Slot>, Rejection>) -> Option<Reason> {
    refused.err().map(|rejection| rejection.reason)
}

/// Batches of `n` images take `fixed + n · each`.
fn teach(collector: &Collector, (fixed, each): (u64, u64)) {
    for images in [1, 2, 4].repeat(5) {
        collector
            .observe(images, MILLISECOND * u32::try_from(fixed + each * images as u64).unwrap());
    }
}

fn run(next: Next) -> Vec<Job> {
    match next {
        Next::Run(jobs) => jobs,
        _ => panic!("a batch was due"),
    }
}

fn size(next: Next) -> usize {
    run(next).len()
}

#[tokio::test(start_paused = true)]
async fn places_are_taken_all_or_none_and_given_back() {
    let (queue, _collector) = queue(4);
    let three = reserve(&queue, 3, LONG).unwrap();
    assert_eq!(reason(reserve(&queue, 2, LONG)), Some(Reason::QueueFull));
    assert!(reserve(&queue, 1, LONG).is_ok(), "the refused two took nothing");
    drop(three);
    assert!(reserve(&queue, 4, LONG).is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_herd_of_large_requests_leaves_places_for_small_ones() {
    let (queue, _collector) = queue(64);
    let mut herd = Vec::new();
    while let Ok(slots) = reserve(&queue, 16, LONG) {
        herd.push(slots);
    }
    assert_eq!(herd.len(), 3, "48 of 64 places");
    let small: Vec<_> = (0..16).map(|_| reserve(&queue, 1, LONG)).collect();
    assert!(small.iter().all(Result::is_ok));
}

#[tokio::test(start_paused = true)]
async fn the_largest_request_is_admitted_to_an_empty_queue() {
    assert!(reserve(&queue(64).0, 64, LONG).is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_deadline_out_of_reach_is_refused_with_the_time_to_drain() {
    let (queue, collector) = queue(64);
    teach(&collector, (0, 100));
    let alone = reserve(&queue, 1, 20 * MILLISECOND).err().unwrap().to_string();
    assert!(alone.contains(" ms, and due in 20.0 ms; nothing else is waiting"), "{alone}");
    let _backlog: Vec<_> = (0..8).map(|_| reserve(&queue, 1, LONG).unwrap()).collect();
    let refused = reserve(&queue, 1, 850 * MILLISECOND).err().unwrap();
    assert_eq!(refused.reason, Reason::Deadline);
    let off = refused.retry_after.as_secs_f64() - 0.8;
    assert!(off.abs() < 0.01, "{:?}", refused.retry_after);
    assert!(refused.late.is_some_and(|late| late.predicted > late.due), "{:?}", refused.late);
    assert!(refused.to_string().ends_with(" ms, and due in 850.0 ms"), "{refused}");
    assert!(reserve(&queue, 1, 1250 * MILLISECOND).is_ok());
}

#[tokio::test(start_paused = true)]
async fn nothing_is_refused_for_its_deadline_while_nothing_is_known() {
    let (queue, _collector) = queue(64);
    assert!(reserve(&queue, 64, MILLISECOND).is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_runs_counts_for_what_is_left_of_it() {
    let (queue, collector) = queue(64);
    teach(&collector, (0, 100));
    let _running = submit(&queue, 4, LONG);
    let _jobs = run(collector.decide(Instant::now()));
    let within = 200 * MILLISECOND;
    assert_eq!(reason(reserve(&queue, 1, within)), Some(Reason::Deadline), "400 ms are left");
    tokio::time::advance(390 * MILLISECOND).await;
    assert!(reserve(&queue, 1, within).is_ok(), "10 ms are left");
}

#[tokio::test(start_paused = true)]
async fn with_two_workers_a_batch_waits_for_the_one_that_is_free_first() {
    let (queue, collector) = with_workers(2, 64, BatchSizes::Any { limit: count(4) });
    teach(&collector, (0, 10));
    let mut answers = submit(&queue, 4, LONG);
    let _first = run(collector.decide(Instant::now()));
    tokio::time::advance(20 * MILLISECOND).await;
    answers.extend(submit(&queue, 4, LONG));
    let _second = run(collector.for_worker(1).decide(Instant::now()));
    // A promise allows for 1.3 of the forecast at first.
    assert!(
        reserve(&queue, 4, 77 * MILLISECOND).is_err(),
        "20 ms until the first, 40 ms of its own"
    );
    let _third = reserve(&queue, 4, 79 * MILLISECOND).unwrap();
    assert!(reserve(&queue, 4, 103 * MILLISECOND).is_err(), "40 ms until the second is free");
    let _fourth = reserve(&queue, 4, 105 * MILLISECOND).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_small_request_is_served_between_the_images_of_a_large_one() {
    let (queue, collector) = queue(64);
    let _large = submit(&queue, 12, LONG);
    let mut small = submit(&queue, 1, LONG);
    drop(run(collector.decide(Instant::now())));
    assert_eq!(
        small[0].receiver.try_recv().err(),
        Some(TryRecvError::Closed),
        "in the first batch"
    );
}

#[tokio::test(start_paused = true)]
async fn requests_of_one_image_are_served_in_their_order() {
    let (queue, collector) = queue(64);
    let mut replies: Vec<_> = (0..6).flat_map(|_| submit(&queue, 1, LONG)).collect();
    assert_eq!(collector.next_batch().unwrap().len(), 4);
    let state: Vec<_> =
        replies.iter_mut().map(|reply| reply.receiver.try_recv().err().unwrap()).collect();
    assert!(state[..4].iter().all(|error| *error == TryRecvError::Closed));
    assert!(state[4..].iter().all(|error| *error == TryRecvError::Empty));
}

#[tokio::test(start_paused = true)]
async fn what_a_large_request_was_promised_is_not_given_to_a_later_one() {
    let (queue, collector) = queue(64);
    teach(&collector, (0, 10));
    // 12 images of 10 ms are promised within 165 ms: some 10 ms of allowance are left.
    let _large = submit(&queue, 12, 165 * MILLISECOND);
    let mut late = submit(&queue, 4, LONG);
    for _ in 0..3 {
        drop(run(collector.decide(Instant::now())));
    }
    assert!(
        late.iter_mut().all(|reply| reply.receiver.try_recv().err() == Some(TryRecvError::Empty))
    );
}

#[tokio::test(start_paused = true)]
async fn an_image_waits_for_others_where_batches_of_the_present_size_do_not_keep_up() {
    let (queue, collector) = queue(64);
    teach(&collector, (8, 1));
    // Without batches 111 images a second; 150 arrive.
    for _ in 0..4500 {
        tokio::time::advance(Duration::from_micros(6667)).await;
        drop(reserve(&queue, 1, LONG));
    }
    let _first = submit(&queue, 1, LONG);
    let now = Instant::now();
    assert!(matches!(collector.decide(now), Next::WaitUntil(time) if time == now + WAIT));
    assert_eq!(size(collector.decide(now + WAIT)), 1, "long enough");
    let _four = submit(&queue, 4, LONG);
    assert_eq!(size(collector.decide(now)), 4, "a full batch");
    let _urgent = submit(&queue, 1, 60 * MILLISECOND);
    let Next::WaitUntil(time) = collector.decide(now) else { panic!("no full batch") };
    let waits = (time - now).as_millis();
    assert!((47..=48).contains(&waits), "{waits} ms; a full batch takes 12 of its 60 ms");
}

#[tokio::test(start_paused = true)]
async fn no_image_waits_where_small_batches_keep_up_large_ones_are_no_cheaper_or_others_are_gone() {
    for (cost, arrivals, ago) in [((8, 1), 1, 0), ((0, 10), 4000, 0), ((8, 1), 4000, 500)] {
        let (queue, collector) = queue(64);
        teach(&collector, cost);
        for _ in 0..arrivals {
            tokio::time::advance(MILLISECOND).await;
            drop(reserve(&queue, 1, LONG));
        }
        tokio::time::advance(ago * MILLISECOND).await;
        let _one = submit(&queue, 1, LONG);
        assert_eq!(size(collector.decide(Instant::now())), 1, "{cost:?}, {ago} ms ago");
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_stays_small_where_its_last_image_would_make_its_first_too_late() {
    let (queue, collector) = queue(64);
    teach(&collector, (0, 10));
    let _urgent = submit(&queue, 1, 25 * MILLISECOND);
    let _others = submit(&queue, 5, LONG);
    assert_eq!(size(collector.decide(Instant::now())), 2);
    assert_eq!(size(collector.decide(Instant::now())), 4, "the others have time");
}

#[tokio::test(start_paused = true)]
async fn a_batch_stays_smaller_still_where_batches_are_uneven() {
    let (queue, collector) = queue(64);
    for took in [7, 13].repeat(50) {
        collector.observe(1, took * MILLISECOND);
        collector.observe(4, 4 * took * MILLISECOND);
    }
    let _urgent = submit(&queue, 1, 35 * MILLISECOND);
    let _others = submit(&queue, 5, LONG);
    assert_eq!(size(collector.decide(Instant::now())), 1, "two take up to 40 ms");
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_full_where_a_small_one_would_waste_the_device() {
    let (queue, collector) = queue(64);
    teach(&collector, (20, 1));
    let _urgent = submit(&queue, 1, 30 * MILLISECOND);
    let _others = submit(&queue, 3, LONG);
    collector.observe(4, 40 * MILLISECOND);
    assert_eq!(size(collector.decide(Instant::now())), 4);
}

#[tokio::test(start_paused = true)]
async fn padding_is_avoided_where_it_costs_more_than_another_batch() {
    let (queue, collector) = with_sizes(64, BatchSizes::padded(count(8)));
    for slots in [1, 2, 3, 4, 6, 8] {
        collector.observe(slots, MILLISECOND * u32::try_from(slots).unwrap());
    }
    let _five = submit(&queue, 5, LONG);
    assert_eq!(size(collector.decide(Instant::now())), 4);
    assert_eq!(size(collector.decide(Instant::now())), 1);
}

#[tokio::test(start_paused = true)]
async fn the_late_are_told_and_the_abandoned_are_dropped() {
    let (queue, collector) = queue(64);
    let mut late = submit(&queue, 1, WAIT);
    drop(submit(&queue, 1, LONG));
    let _kept = submit(&queue, 1, LONG);
    tokio::time::advance(WAIT).await;
    assert_eq!(collector.next_batch().unwrap().len(), 1);
    assert!(matches!(late.pop().unwrap().await, Err(JobError::Expired)));
}

#[tokio::test(start_paused = true)]
async fn who_goes_away_frees_the_place_at_once_though_the_workers_are_busy() {
    let (queue, collector) = queue(6);
    let running = submit(&queue, 4, LONG);
    let jobs = run(collector.decide(Instant::now()));
    let mut waiting = submit(&queue, 2, LONG);
    assert_eq!(reason(reserve(&queue, 1, LONG)), Some(Reason::QueueFull));
    drop(waiting.pop());
    let next = reserve(&queue, 1, LONG);
    assert!(next.is_ok(), "the place of the image that was withdrawn");
    drop(running);
    assert_eq!(reason(reserve(&queue, 1, LONG)), Some(Reason::QueueFull), "a batch goes on");
    drop((jobs, next));
    assert_eq!(size(collector.decide(Instant::now())), 1, "the one that is still waited for");
    drop(waiting);
    assert!(reserve(&queue, 6, LONG).is_ok(), "every place was given back once");
}

#[tokio::test]
async fn who_rebuilds_an_engine_takes_no_image_away_from_a_worker_that_is_free() {
    let (queue, collector) = queue(64);
    let (free, rebuilding) = (collector.for_worker(0), collector.for_worker(0));
    let workers = [
        std::thread::spawn(move || {
            while let Some(jobs) = free.next_batch() {
                for job in jobs {
                    job.answer(Ok(Row::default()));
                }
            }
        }),
        std::thread::spawn(move || assert!(!rebuilding.pause(LONG))),
    ];
    for _ in 0..100 {
        let answers = submit(&queue, 1, LONG);
        let all = futures_util::future::join_all(answers);
        assert!(tokio::time::timeout(LONG / 10, all).await.is_ok(), "nobody took it");
    }
    queue.close();
    for worker in workers {
        worker.join().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn workers_stop_when_a_closed_queue_has_given_its_last_answer() {
    let (queue, collector) = queue(64);
    let slots = reserve(&queue, 1, LONG).unwrap();
    queue.close();
    assert_eq!(reason(reserve(&queue, 1, LONG)), Some(Reason::Draining));
    assert!(matches!(collector.decide(Instant::now()), Next::WaitForArrival));
    drop(slots);
    assert!(collector.next_batch().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_queue_without_a_worker_admits_nothing_and_keeps_what_it_has() {
    let (queue, collector) = queue(64);
    let mut replies = submit(&queue, 2, LONG);
    let jobs = run(collector.decide(Instant::now()));
    collector.set_working(false);
    collector.give_back(jobs);
    assert_eq!(reason(reserve(&queue, 1, LONG)), Some(Reason::NoWorker));
    collector.set_working(true);
    assert_eq!(size(collector.decide(Instant::now())), 2);
    assert_eq!(replies[0].receiver.try_recv().err(), Some(TryRecvError::Closed));
    assert!(reserve(&queue, 64, LONG).is_ok(), "every place was given back");
}

#[tokio::test(start_paused = true)]
async fn work_that_waits_while_none_is_done_is_a_stall_and_load_is_none() {
    let (queue, collector) = queue(64);
    tokio::time::advance(LONG).await;
    assert_eq!(queue.load().stalled, Duration::ZERO, "nothing to be done");
    let _replies = submit(&queue, 8, LONG * 10);
    tokio::time::advance(LONG).await;
    assert_eq!(queue.load().stalled, LONG, "no worker came for it");
    let running = run(collector.decide(Instant::now()));
    assert_eq!(queue.load().stalled, Duration::ZERO, "progress");
    tokio::time::advance(2 * LONG).await;
    assert_eq!(queue.load().stalled, 2 * LONG, "a batch that does not end");
    drop((running, run(collector.decide(Instant::now()))));
    assert_eq!(queue.load().stalled, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn refused_images_count_as_arrivals() {
    let (queue, collector) = queue(2);
    teach(&collector, (0, 100));
    for _ in 0..1000 {
        tokio::time::advance(50 * MILLISECOND).await;
        drop(reserve(&queue, 4, LONG));
    }
    let load = queue.load();
    assert!((75.0..85.0).contains(&load.arriving), "{load:?}");
    assert!((9.5..10.5).contains(&load.capacity), "{load:?}");
}

#[tokio::test(start_paused = true)]
async fn decoding_bounds_the_capacity_where_it_is_the_slower() {
    let (queue, collector) = queue(64);
    teach(&collector, (0, 1));
    (0..8).for_each(|_| queue.observe_decode(10 * MILLISECOND));
    assert!((queue.load().capacity - 100.0).abs() < 1.0, "{:?}", queue.load());
}
