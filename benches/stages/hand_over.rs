//! From a decoded picture into the queue, to a worker, and back with its logits.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use criterion::Criterion;
use resnet_serve::batching::{
    self, Answer, BatchSizes, Collector, Content, Gathering, Prepared, Queue, Row,
};
use resnet_serve::inference::Wanted;
use resnet_serve::memory::Charge;
use resnet_serve::telemetry::metrics::Metrics;
use tokio::runtime::{self, Runtime};
use tokio::time::Instant;

pub(crate) fn bench(criterion: &mut Criterion) {
    let (queue, collector) = pair();
    // As its threads wait in the service, without those.
    let tasks: Runtime = runtime::Builder::new_current_thread().build().unwrap();
    criterion.bench_function("queue, on one thread", |bencher| {
        bencher.iter(|| {
            let answer = submit(&queue);
            answer_batch(&collector);
            tasks.block_on(answer)
        });
    });
    let worker = thread::spawn(move || while answer_batch(&collector) {});
    criterion.bench_function("queue, to a worker's thread and back", |bencher| {
        bencher.iter(|| tasks.block_on(submit(&queue)));
    });
    queue.close();
    worker.join().unwrap();
}

fn pair() -> (Queue, Collector) {
    let one = NonZeroUsize::MIN;
    let gathering = Gathering {
        queue_capacity: one.saturating_add(255),
        sizes: BatchSizes::Any { limit: one.saturating_add(7) },
        max_wait: Duration::ZERO,
        workers: one,
        decoders: one,
    };
    batching::pair(gathering, Arc::new(Metrics::new()))
}

/// An image of no size, so that nothing but the queue is measured.
fn submit(queue: &Queue) -> Answer {
    let deadline = Instant::now() + Duration::from_mins(1);
    let place = queue.reserve(NonZeroUsize::MIN, deadline).unwrap().remove(0);
    let content = Content::Tensor(bytes::Bytes::new());
    let charge = Arc::new(Charge::nothing());
    place.submit(Prepared { content, wanted: Wanted::Logits, charge }, deadline)
}

/// `false` when there will be no more.
fn answer_batch(collector: &Collector) -> bool {
    let Some(jobs) = collector.next_batch() else { return false };
    for job in jobs {
        job.answer(Ok(Row::default()));
    }
    true
}
