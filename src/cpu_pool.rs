//! A bounded pool for work that computes, so that the threads that answer never do.

use std::num::NonZeroUsize;
use std::sync::Arc;

use thiserror::Error;
use tokio::sync::Semaphore;
use tokio::task;

/// Runs closures on threads of their own, at most a fixed number at a time, first come first
/// served. A closure whose future is dropped before its turn never runs.
#[derive(Clone)]
pub struct CpuPool {
    permits: Arc<Semaphore>,
}

/// The work panicked.
#[derive(Clone, Copy, Debug, Error)]
#[error("the work panicked")]
pub struct Panicked;

impl CpuPool {
    /// A pool that runs `threads` closures at a time.
    #[must_use]
    pub fn new(threads: NonZeroUsize) -> Self {
        Self { permits: Arc::new(Semaphore::new(threads.get())) }
    }

    /// Runs the work when its turn comes.
    ///
    /// # Errors
    ///
    /// When the work panics.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Panicked> {
        // The semaphore is never closed.
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| Panicked)?;
        let task = task::spawn_blocking(move || {
            let result = work();
            drop(permit);
            result
        });
        task.await.map_err(|_| Panicked)
    }
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

    #[tokio::test]
    async fn work_that_panics_is_an_error_and_frees_its_thread() {
        let pool = pool(1);
        assert!(pool.run(|| panic!("on purpose")).await.is_err());
        assert_eq!(pool.run(|| 7).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn work_that_nobody_awaits_never_runs() {
        let pool = pool(1);
        let (release, released) = mpsc::channel::<()>();
        let first = tokio::spawn({
            let pool = pool.clone();
            async move { pool.run(move || released.recv()).await }
        });
        tokio::task::yield_now().await;
        let ran = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&ran);
        let mut second = Box::pin(pool.run(move || count.fetch_add(1, Ordering::SeqCst)));
        assert!(second.as_mut().now_or_never().is_none(), "the pool is busy");
        drop(second);
        release.send(()).unwrap();
        first.await.unwrap().unwrap().unwrap();
        pool.run(|| ()).await.unwrap();
        assert_eq!(ran.load(Ordering::SeqCst), 0);
    }
}
