//! A model of the whole: arrivals by chance, a device that takes its time, and the real queue
//! between them, on a paused clock.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_distr::{Distribution as _, Exp1, Uniform};
use tokio::runtime;
use tokio::sync::oneshot::error::TryRecvError;

use super::*;
use crate::batching::job::{Content, JobError, Prepared, Row};
use crate::batching::queue::Slot;
use crate::batching::{Answer, BatchSizes, Collector, Queue, pair};
use crate::inference::Wanted;
use crate::memory::Charge;
use crate::preprocess::Pixels;
use crate::telemetry::metrics::Metrics;

mod scenarios;

const DECODE: Duration = Duration::from_millis(2);

/// What is simulated.
#[derive(Clone, Debug)]
struct Scenario {
    seed: u64,
    /// Arriving images over what the device sustains.
    load: f64,
    requests: usize,
    /// Every how many requests one is large; 0 for none.
    large_every: usize,
    large: usize,
    timeout: Duration,
    workers: usize,
    max_batch: usize,
    /// Milliseconds of a batch, and of each image in it.
    cost: (f64, f64),
    /// A batch takes up to this share more or less than it should.
    noise: f64,
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            seed: 1,
            load: 1.0,
            requests: 2000,
            large_every: 0,
            large: 1,
            timeout: Duration::from_secs(1),
            workers: 2,
            max_batch: 4,
            cost: (0.0, 40.0),
            noise: 0.1,
        }
    }
}

/// What became of the requests of one size.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    arrived: usize,
    refused: usize,
    answered: usize,
    late: usize,
    expired: usize,
    longest: Duration,
}

/// What became of all.
#[derive(Debug, Default)]
struct Outcome {
    small: Tally,
    large: Tally,
    /// From the first arrival to the last answer.
    took: Duration,
}

/// What happens next; equal times in the order of their making.
enum Event {
    Arrival,
    Decoded(Slot, Image),
    BatchEnd(usize, Vec<Job>, Duration),
    Look,
}

/// An admitted image.
#[derive(Clone, Copy)]
struct Image {
    arrived: Instant,
    deadline: Instant,
    large: bool,
}

struct Simulation {
    scenario: Scenario,
    queue: Queue,
    collectors: Vec<Collector>,
    idle: Vec<bool>,
    events: BinaryHeap<Reverse<(Instant, usize)>>,
    pending: Vec<Option<Event>>,
    random: ChaCha8Rng,
    waiting: Vec<(Image, Answer)>,
    outcome: Outcome,
}

impl Scenario {
    fn run(&self) -> Outcome {
        let mut runtime = runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async { Simulation::new(self.clone()).run().await })
    }

    /// Images per second that the device sustains with full batches.
    fn capacity(&self) -> f64 {
        let batch = self.cost.0 + self.cost.1 * into_f64(self.max_batch);
        into_f64(self.workers * self.max_batch) * 1000.0 / batch
    }

    fn is_large(&self, request: usize) -> bool {
        self.large_every > 0 && request.is_multiple_of(self.large_every)
    }

    /// Images of a request, on average.
    fn mean_images(&self) -> f64 {
        let large = (0..self.requests).filter(|request| self.is_large(*request)).count();
        1.0 + into_f64(large * (self.large - 1)) / into_f64(self.requests)
    }
}

impl Simulation {
    fn new(scenario: Scenario) -> Self {
        let count = |number| NonZeroUsize::new(number).unwrap();
        let gathering = Gathering {
            queue_capacity: count(256),
            sizes: BatchSizes::Any { limit: count(scenario.max_batch) },
            max_wait: Duration::from_millis(2),
            workers: count(scenario.workers),
            decoders: count(scenario.workers),
        };
        let (queue, collector) = pair(gathering, Arc::new(Metrics::new()));
        let mut simulation = Self {
            queue,
            collectors: (0..scenario.workers).map(|worker| collector.for_worker(worker)).collect(),
            idle: vec![true; scenario.workers],
            events: BinaryHeap::new(),
            pending: Vec::new(),
            random: ChaCha8Rng::seed_from_u64(scenario.seed),
            waiting: Vec::new(),
            outcome: Outcome::default(),
            scenario,
        };
        simulation.warm_up();
        simulation
    }

    fn warm_up(&mut self) {
        for images in [1, self.scenario.max_batch].repeat(3) {
            let took = self.batch_time(images);
            self.collectors[0].observe(images, took);
        }
    }

    async fn run(mut self) -> Outcome {
        let start = Instant::now();
        self.schedule_arrival();
        while let Some(Reverse((time, index))) = self.events.pop() {
            let now = Instant::now();
            tokio::time::advance(time.saturating_duration_since(now)).await;
            let event = self.pending[index].take().unwrap();
            self.happen(event);
            self.put_to_work();
            self.assert_work_is_conserved();
            self.note_answers();
        }
        self.outcome.took = start.elapsed();
        assert!(self.waiting.is_empty(), "every image has its answer");
        self.queue.close();
        assert!(
            matches!(self.collectors[0].decide(Instant::now()), Next::Stop),
            "no place is lost"
        );
        self.outcome
    }

    fn schedule(&mut self, after: Duration, event: Event) {
        self.events.push(Reverse((Instant::now() + after, self.pending.len())));
        self.pending.push(Some(event));
    }

    fn schedule_arrival(&mut self) {
        let arrived = self.outcome.small.arrived + self.outcome.large.arrived;
        if arrived == self.scenario.requests {
            return;
        }
        let rate = self.scenario.load * self.scenario.capacity() / self.scenario.mean_images();
        let gap: f64 = Exp1.sample(&mut self.random);
        self.schedule(Duration::from_secs_f64(gap / rate), Event::Arrival);
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrival => self.arrive(),
            Event::Decoded(slot, image) => {
                let content = Content::Pixels(Pixels::black(1, 1));
                let prepared = Prepared {
                    content,
                    wanted: Wanted::Logits,
                    charge: Arc::new(Charge::nothing()),
                };
                self.waiting.push((image, slot.submit(prepared, image.deadline)));
            }
            Event::BatchEnd(worker, jobs, took) => {
                self.collectors[worker].observe_batch(&jobs, took);
                for job in jobs {
                    job.answer(Ok(Row::default()));
                }
                self.idle[worker] = true;
            }
            Event::Look => (),
        }
    }

    fn arrive(&mut self) {
        let now = Instant::now();
        let request = self.outcome.small.arrived + self.outcome.large.arrived;
        let large = self.scenario.is_large(request);
        let images = NonZeroUsize::new(if large { self.scenario.large } else { 1 }).unwrap();
        let deadline = now + self.scenario.timeout;
        let reserved = self.queue.reserve(images, deadline);
        let tally = self.tally(large);
        tally.arrived += 1;
        match reserved {
            Err(_) => tally.refused += 1,
            Ok(slots) => {
                assert_eq!(slots.len(), images.get());
                let image = Image { arrived: now, deadline, large };
                for slot in slots {
                    self.schedule(DECODE, Event::Decoded(slot, image));
                }
            }
        }
        self.schedule_arrival();
    }

    fn put_to_work(&mut self) {
        for worker in 0..self.idle.len() {
            if !self.idle[worker] {
                continue;
            }
            let now = Instant::now();
            match self.collectors[worker].decide(now) {
                Next::Run(jobs) => {
                    let took = self.batch_time(jobs.len());
                    self.idle[worker] = false;
                    self.schedule(took, Event::BatchEnd(worker, jobs, took));
                }
                Next::WaitUntil(time) => self.schedule(time - now, Event::Look),
                Next::WaitForArrival | Next::Stop => (),
            }
        }
    }

    /// No worker is free while an image waits, unless waiting is what was decided on.
    fn assert_work_is_conserved(&self) {
        let now = Instant::now();
        for worker in (0..self.idle.len()).filter(|worker| self.idle[*worker]) {
            let decision = self.collectors[worker].decide(now);
            assert!(!matches!(decision, Next::Run(_)), "worker {worker} stands idle");
        }
    }

    /// Whoever has an answer has exactly one; a dropped question would be an error here.
    fn note_answers(&mut self) {
        let now = Instant::now();
        for (image, mut reply) in std::mem::take(&mut self.waiting) {
            let took = now - image.arrived;
            let tally = self.tally(image.large);
            match reply.receiver.try_recv() {
                Err(TryRecvError::Empty) => self.waiting.push((image, reply)),
                Err(TryRecvError::Closed) => panic!("an admitted image got no answer"),
                Ok(Err(JobError::Failed(cause))) => panic!("{cause}"),
                Ok(Err(JobError::Expired)) => tally.expired += 1,
                Ok(Ok(_)) => {
                    tally.answered += 1;
                    tally.late += usize::from(now > image.deadline);
                    tally.longest = tally.longest.max(took);
                }
            }
        }
    }

    fn tally(&mut self, large: bool) -> &mut Tally {
        if large { &mut self.outcome.large } else { &mut self.outcome.small }
    }

    fn batch_time(&mut self, images: usize) -> Duration {
        let (fixed, each) = self.scenario.cost;
        let noise = self.scenario.noise;
        let factor = 1.0 + Uniform::new_inclusive(-noise, noise).unwrap().sample(&mut self.random);
        Duration::from_secs_f64((fixed + each * into_f64(images)) * factor / 1000.0)
    }
}
