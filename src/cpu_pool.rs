//! A bounded pool for work that computes, so that the threads that answer never do.
//!
//! A semaphore over tokio's blocking threads: first come, first served, and a waiter that is dropped is
//! gone. A thread pool of our own would be more code for the same.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task;
use tokio::time::Instant;

/// Runs closures on threads of their own, at most a fixed number at a time. Clones are the same
/// pool.
#[derive(Clone)]
pub struct CpuPool {
    threads: NonZeroUsize,
    cores: Arc<Semaphore>,
    /// Whose turn with a core is next. Nobody else that begins waits for the cores themselves, so that
    /// work which goes on is held up by no more than one.
    next: Arc<Semaphore>,
    running: Arc<Mutex<Running>>,
}

/// One request's share of the pool: of its work no more stands in line than the pool has threads,
/// so that a request with much to do holds up the others by no more than that.
#[derive(Clone)]
pub struct Lane {
    pool: CpuPool,
    turns: Arc<Semaphore>,
}

/// A request's turn: at most as many of its closures as the pool has threads have one.
pub struct Turn {
    pool: CpuPool,
    permit: Option<OwnedSemaphorePermit>,
}

/// A thread of the pool that is free for one closure. Work that is dropped before it has its core
/// never runs.
pub struct Core {
    running: Arc<Mutex<Running>>,
    permits: (Option<OwnedSemaphorePermit>, Option<OwnedSemaphorePermit>),
}

/// The work panicked.
#[derive(Clone, Copy, Debug, Error)]
#[error("the work panicked")]
pub struct Panicked;

/// When each closure that runs has begun.
#[derive(Default)]
struct Running {
    begun: u64,
    since: BTreeMap<u64, Instant>,
}

/// One closure that runs.
struct Entry {
    running: Arc<Mutex<Running>>,
    number: u64,
}

impl CpuPool {
    /// A pool that runs `threads` closures at a time.
    #[must_use]
    pub fn new(threads: NonZeroUsize) -> Self {
        let cores = Arc::new(Semaphore::new(threads.get()));
        Self { threads, cores, next: Arc::new(Semaphore::new(1)), running: Arc::default() }
    }

    /// Closures that run at a time.
    #[must_use]
    pub fn threads(&self) -> NonZeroUsize {
        self.threads
    }

    /// A share for one request.
    #[must_use]
    pub fn lane(&self) -> Lane {
        Lane { pool: self.clone(), turns: Arc::new(Semaphore::new(self.threads.get())) }
    }

    /// For how long the oldest closure has run.
    #[must_use]
    pub fn stalled(&self) -> Duration {
        let oldest = lock(&self.running).since.values().next().copied();
        oldest.map_or(Duration::ZERO, |since| since.elapsed())
    }
}

impl Lane {
    /// Waits for the request's turn, and then for a core, first come, first served.
    pub async fn core(&self) -> Core {
        self.turn().await.core().await
    }

    /// Waits for the request's turn.
    pub async fn turn(&self) -> Turn {
        // The semaphores are never closed, so that there always is a permit in the end.
        let permit = Arc::clone(&self.turns).acquire_owned().await.ok();
        Turn { pool: self.pool.clone(), permit }
    }
}

impl Turn {
    /// Waits for a core, first come, first served.
    pub async fn core(&mut self) -> Core {
        let next = Arc::clone(&self.pool.next);
        let _next = next.acquire().await;
        self.core_to_end().await
    }

    /// Waits for a core with work on what has begun elsewhere: only one of those that begin goes before it.
    /// The turn lasts.
    pub async fn core_to_go_on(&self) -> Core {
        let core = Arc::clone(&self.pool.cores).acquire_owned().await.ok();
        Core { running: Arc::clone(&self.pool.running), permits: (None, core) }
    }

    /// The same, and the turn ends with the work.
    pub async fn core_to_end(&mut self) -> Core {
        let mut core = self.core_to_go_on().await;
        core.permits.0 = self.permit.take();
        core
    }
}

impl Core {
    /// Runs the work, to its end even if nobody awaits that any more.
    ///
    /// # Errors
    ///
    /// When the work panics.
    pub async fn run<T: Send + 'static>(
        self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Panicked> {
        let task = task::spawn_blocking(move || {
            let entry = Entry::begin(self.running);
            let result = work();
            drop((entry, self.permits));
            result
        });
        task.await.map_err(|_| Panicked)
    }
}

impl Entry {
    fn begin(running: Arc<Mutex<Running>>) -> Self {
        let mut entries = lock(&running);
        entries.begun += 1;
        let number = entries.begun;
        entries.since.insert(number, Instant::now());
        drop(entries);
        Self { running, number }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        lock(&self.running).since.remove(&self.number);
    }
}

fn lock(running: &Mutex<Running>) -> MutexGuard<'_, Running> {
    running.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use futures_util::FutureExt as _;

    use super::*;

    fn pool(threads: usize) -> CpuPool {
        CpuPool::new(NonZeroUsize::new(threads).unwrap())
    }

    async fn run<T: Send + 'static>(
        lane: Lane,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Panicked> {
        lane.core().await.run(work).await
    }

    #[tokio::test]
    async fn work_that_panics_is_an_error_and_frees_its_thread() {
        let pool = pool(1);
        assert!(run(pool.lane(), || panic!("on purpose")).await.is_err());
        assert_eq!(run(pool.lane(), || 7).await.unwrap(), 7);
        assert_eq!(pool.stalled(), Duration::ZERO);
    }

    #[tokio::test]
    async fn work_that_nobody_awaits_never_runs() {
        let pool = pool(1);
        let (release, released) = mpsc::channel::<()>();
        let first = tokio::spawn(run(pool.lane(), move || released.recv()));
        tokio::task::yield_now().await;
        let ran = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&ran);
        let mut second = Box::pin(run(pool.lane(), move || count.fetch_add(1, Ordering::SeqCst)));
        assert!(second.as_mut().now_or_never().is_none(), "the pool is busy");
        drop(second);
        release.send(()).unwrap();
        first.await.unwrap().unwrap().unwrap();
        run(pool.lane(), || ()).await.unwrap();
        assert_eq!(ran.load(Ordering::SeqCst), 0);
    }

    #[tokio::test]
    async fn a_request_with_much_to_do_lets_a_small_one_in_between() {
        let pool = pool(1);
        let core = pool.lane().core().await;
        let order = Arc::new(Mutex::new(Vec::new()));
        let note = |name: &'static str| {
            let order = Arc::clone(&order);
            move || order.lock().unwrap().push(name)
        };
        let large = pool.lane();
        let mut all = Vec::new();
        for _ in 0..3 {
            all.push(tokio::spawn(run(large.clone(), note("large"))));
            tokio::task::yield_now().await;
        }
        all.push(tokio::spawn(run(pool.lane(), note("small"))));
        tokio::task::yield_now().await;
        drop(core);
        for work in all {
            work.await.unwrap().unwrap();
        }
        assert_eq!(*order.lock().unwrap(), ["large", "small", "large", "large"]);
    }

    #[tokio::test]
    async fn work_that_goes_on_is_before_work_that_begins() {
        let pool = pool(1);
        let core = pool.lane().core().await;
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut all = Vec::new();
        for (name, goes_on) in [("first", false), ("second", false), ("goes on", true)] {
            let (lane, order) = (pool.lane(), Arc::clone(&order));
            all.push(tokio::spawn(async move {
                let mut turn = lane.turn().await;
                let core = if goes_on { turn.core_to_end().await } else { turn.core().await };
                core.run(move || order.lock().unwrap().push(name)).await
            }));
            tokio::task::yield_now().await;
        }
        drop(core);
        for work in all {
            work.await.unwrap().unwrap();
        }
        assert_eq!(*order.lock().unwrap(), ["first", "goes on", "second"]);
    }

    #[tokio::test]
    async fn work_that_does_not_end_shows() {
        let pool = pool(1);
        let (begun, has_begun) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let work = move || {
            begun.send(()).unwrap();
            released.recv()
        };
        let work = tokio::spawn(run(pool.lane(), work));
        while has_begun.try_recv().is_err() {
            tokio::task::yield_now().await;
        }
        assert!(pool.stalled() > Duration::ZERO);
        release.send(()).unwrap();
        work.await.unwrap().unwrap().unwrap();
        assert_eq!(pool.stalled(), Duration::ZERO);
    }
}
