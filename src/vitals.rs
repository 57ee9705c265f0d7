//! What probes and scrapes ask: whether the process works, wants traffic, and how busy it is.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::batching::{Load, Queue};
use crate::cpu_pool::CpuPool;
use crate::memory::MemoryBudget;
use crate::readiness::{Readiness, State};
use crate::telemetry::metrics::Metrics;

/// Work that has waited this long without any being done means that something hangs. No load
/// makes it so long: what is too late is dismissed, and batches take a fraction of it.
const STALL: Duration = Duration::from_mins(1);

/// On a device where a batch takes long, this many of them.
const STALL_BATCHES: u32 = 20;

/// The process's own view of itself. Clones are the same.
#[derive(Clone)]
pub struct Vitals {
    readiness: Readiness,
    pool: CpuPool,
    memory: MemoryBudget,
    models: Arc<Mutex<Vec<Watched>>>,
    divided: Arc<AtomicBool>,
}

/// A model that is watched.
struct Watched {
    model: String,
    provider: String,
    queue: Queue,
}

/// The workers of one model.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Workers {
    /// The model's name.
    pub model: String,
    /// What they run on.
    pub provider: String,
    /// Those whose engine works.
    pub working: usize,
    /// All.
    pub configured: usize,
}

/// Why the process wants no traffic.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Unready {
    /// It has not begun to serve, or is about to end.
    State(State),
    /// No worker of a model runs.
    NoWorker {
        /// The model's name.
        model: String,
    },
}

impl Vitals {
    /// Of a process with these threads for decoding, this memory and, so far, no model.
    #[must_use]
    pub fn new(readiness: Readiness, pool: CpuPool, memory: MemoryBudget) -> Self {
        Self { readiness, pool, memory, models: Arc::default(), divided: Arc::default() }
    }

    /// Watches a model's workers.
    pub fn watch(&self, model: &str, provider: String, queue: Queue) {
        self.models().push(Watched { model: model.to_owned(), provider, queue });
    }

    /// Watches another model's workers in the place of one's.
    pub fn replace(&self, old: &str, (model, provider, queue): (&str, String, Queue)) {
        let mut models = self.models();
        models.retain(|watched| watched.model != old);
        models.push(Watched { model: model.to_owned(), provider, queue });
    }

    /// Every model's workers.
    #[must_use]
    pub fn workers(&self) -> Vec<Workers> {
        let workers = |Watched { model, provider, queue }: &Watched| Workers {
            model: model.clone(),
            provider: provider.clone(),
            working: queue.load().workers,
            configured: queue.workers().get(),
        };
        self.models().iter().map(workers).collect()
    }

    /// What hangs, in words; `None` while there is progress, or nothing to be done.
    #[must_use]
    pub fn hangs(&self) -> Option<String> {
        let decoding = self.pool.stalled();
        if decoding > STALL {
            return Some(format!("a picture has been decoded for {} s", decoding.as_secs()));
        }
        self.models().iter().find_map(|Watched { model, queue, .. }| {
            let stalled = queue.load().stalled;
            let limit = STALL.max(queue.longest_batch() * STALL_BATCHES);
            let words = || format!("no batch of `{model}` has run for {} s", stalled.as_secs());
            (stalled > limit).then(words)
        })
    }

    /// Why no traffic is wanted; `None` while it is. A model that has lost some of its workers goes
    /// on with the others; one that has lost all sends its clients elsewhere.
    #[must_use]
    pub fn unready(&self) -> Option<Unready> {
        let state = self.readiness.state();
        if state != State::Ready {
            return Some(Unready::State(state));
        }
        let lost = self.workers().into_iter().find(|model| model.working == 0);
        lost.map(|model| Unready::NoWorker { model: model.model })
    }

    /// For how long work has waited without any being done.
    fn stalled(&self) -> Duration {
        let queues = self.models().iter().map(|Watched { queue, .. }| queue.load().stalled).max();
        self.pool.stalled().max(queues.unwrap_or_default())
    }

    /// Writes down what changes by itself as time passes.
    pub fn publish(&self, metrics: &Metrics) {
        metrics.ready.set(self.unready().is_none().into());
        metrics.live.set(self.hangs().is_none().into());
        metrics.stalled.set(self.stalled().as_secs_f64());
        metrics.cores.set(count(self.pool.threads().get()));
        metrics.memory_budget.set(bytes(self.memory.limit()));
        metrics.memory_used.set(bytes(self.memory.limit() - self.memory.left()));
        let models = self.models();
        let configured = models.iter().map(|Watched { queue, .. }| queue.workers().get());
        metrics.workers_configured.set(count(configured.sum()));
        let places = models.iter().map(|Watched { queue, .. }| queue.capacity().get());
        metrics.queue_capacity.set(count(places.sum()));
        let loads: Vec<_> = models.iter().map(|Watched { queue, .. }| queue.load()).collect();
        let workers: usize = models.iter().map(|Watched { queue, .. }| queue.workers().get()).sum();
        let apart = self.divided.load(Ordering::Relaxed) && workers <= self.pool.threads().get();
        publish_load(&loads, apart, metrics);
    }

    /// From now on each model has cores of its own, as long as there is one for each worker.
    pub fn divide_cores(&self) {
        self.divided.store(true, Ordering::Relaxed);
    }

    fn models(&self) -> MutexGuard<'_, Vec<Watched>> {
        self.models.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How busy the process is, and what it could do.
fn publish_load(loads: &[Load], apart: bool, metrics: &Metrics) {
    let known = loads.iter().filter(|load| load.capacity > 0.0);
    let shares = known.map(|load| load.arriving / load.capacity);
    // What each asks of a device that they share adds up; of models with cores of their own the
    // busiest tells whether more is needed.
    let saturation: f64 = if apart { shares.fold(0.0, f64::max) } else { shares.sum() };
    metrics.saturation.set(saturation);
    let arriving: f64 = loads.iter().map(|load| load.arriving).sum();
    // Of several models, the capacity for the mix that arrives; of one it is the same.
    let capacity = match loads {
        [.., _, _] if saturation > 0.0 => arriving / saturation,
        loads => loads.first().map_or(0.0, |load| load.capacity),
    };
    metrics.capacity.set(capacity);
}

fn count(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn bytes(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saturation(apart: bool) -> (f64, f64) {
        let metrics = Metrics::new();
        let load =
            |arriving, capacity| Load { arriving, capacity, workers: 1, stalled: Duration::ZERO };
        publish_load(&[load(30.0, 50.0), load(10.0, 100.0)], apart, &metrics);
        (metrics.saturation.get(), metrics.capacity.get())
    }

    #[test]
    fn on_a_shared_device_loads_add_up_and_on_divided_cores_the_busiest_model_counts() {
        let (shared, of_both) = saturation(false);
        assert!((shared - 0.7).abs() < 1e-9 && (of_both - 40.0 / 0.7).abs() < 1e-9);
        let (apart, of_both) = saturation(true);
        assert!((apart - 0.6).abs() < 1e-9 && (of_both - 40.0 / 0.6).abs() < 1e-9);
    }
}
