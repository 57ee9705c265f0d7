//! The files that wait for the unit, and the threads that take them in batches.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::{BATCH, BATCH_BYTES, RESULT_BYTES};
use crate::preprocess::{Pixels, Region};

/// A file to decode.
pub(super) struct Job {
    pub(super) file: Bytes,
    /// What is wanted of the resized picture.
    pub(super) region: Region,
    pub(super) answer: oneshot::Sender<Pixels>,
    /// Its place, which is taken as long as it is here.
    pub(super) _place: Arc<OwnedSemaphorePermit>,
}

#[derive(Default)]
pub(super) struct Line {
    state: Mutex<State>,
    changed: Condvar,
}

/// A thread that takes from the line. Behind the last one the line is closed, and nobody gets a place
/// any more.
pub(super) struct Attendant {
    pub(super) line: Arc<Line>,
    places: Arc<Semaphore>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Job>,
    threads: usize,
    closed: bool,
    /// Somebody has waited in vain, and no thread has come for more since.
    hangs: bool,
}

impl Line {
    /// `None` where nobody will ever take it.
    pub(super) fn join(&self, job: Job) -> Option<()> {
        let mut state = self.state();
        if state.closed {
            return None;
        }
        state.waiting.push_back(job);
        drop(state);
        self.changed.notify_one();
        Some(())
    }

    /// Waits for files that somebody still wants, as many as fit into a batch; `None` at the end.
    pub(super) fn next_batch(&self) -> Option<Vec<Job>> {
        let mut state = self.state();
        loop {
            state.hangs = false;
            state.waiting.retain(|job| !job.answer.is_closed());
            if !state.waiting.is_empty() {
                return Some(state.take());
            }
            if state.closed {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// One more thread takes from the line, until the guard is dropped.
    pub(super) fn attend(self: &Arc<Self>, places: &Arc<Semaphore>) -> Attendant {
        self.state().threads += 1;
        Attendant { line: Arc::clone(self), places: Arc::clone(places) }
    }

    /// A picture was not decoded in time: nobody else need wait until a thread comes for more.
    pub(super) fn note_hanging(&self) {
        let first = !std::mem::replace(&mut self.state().hangs, true);
        if first {
            tracing::warn!("the JPEG unit hangs, and the CPU decodes");
        }
        self.changed.notify_all();
    }

    /// Pictures that no thread has taken yet.
    pub(super) fn waiting(&self) -> usize {
        self.state().waiting.len()
    }

    pub(super) fn hangs(&self) -> bool {
        self.state().hangs
    }

    pub(super) fn close(&self) {
        self.state().closed = true;
        self.changed.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Attendant {
    fn drop(&mut self) {
        let mut state = self.line.state();
        state.threads -= 1;
        if state.threads == 0 {
            state.closed = true;
            state.waiting.clear();
            self.places.close();
        }
    }
}

impl State {
    fn take(&mut self) -> Vec<Job> {
        let mut batch: Vec<Job> = Vec::with_capacity(BATCH);
        let (mut on_device, mut in_memory) = (0, 0);
        while let Some(job) = self.waiting.front() {
            on_device += job.region.bytes_on_device();
            in_memory += job.region.bytes();
            let fits = on_device <= BATCH_BYTES as u64 && in_memory <= RESULT_BYTES as u64;
            if batch.len() == BATCH || (!fits && !batch.is_empty()) {
                break;
            }
            batch.extend(self.waiting.pop_front());
        }
        batch
    }
}
