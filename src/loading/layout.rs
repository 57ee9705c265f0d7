//! How many sessions with how many threads, for batches of which sizes.

use std::num::NonZeroUsize;

use crate::batching::BatchSizes;
use crate::config::InferenceConfig;
use crate::inference::provider::Provider;

/// So many cores work on one batch together. With more of them a layer is soon too small to be shared out; with fewer, an
/// image that is alone waits for one core while others idle.
const CORES_A_SESSION: NonZeroUsize = NonZeroUsize::MIN.saturating_add(3);

/// What a thread gets to do before it has to wait for the others at the end of a layer.
const IMAGES_A_THREAD: NonZeroUsize = NonZeroUsize::MIN.saturating_add(3);

/// In a batch on a GPU.
const IMAGES_ON_A_GPU: NonZeroUsize = NonZeroUsize::MIN.saturating_add(31);

/// How the work is laid out on the device.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Layout {
    /// Workers, each with sessions of its own.
    pub sessions: NonZeroUsize,
    /// Threads inside a session.
    pub intra_threads: NonZeroUsize,
    /// Images in a batch.
    pub max_batch: NonZeroUsize,
}

impl Layout {
    /// What is asked for, or what suits the device.
    pub(super) fn of(
        config: &InferenceConfig,
        provider: Provider,
        fixed_batch: Option<usize>,
    ) -> Self {
        let sessions = match provider {
            Provider::Cpu => config.cores.div_ceil(CORES_A_SESSION),
            Provider::Cuda | Provider::TensorRt => NonZeroUsize::MIN,
        };
        let sessions = config.sessions.unwrap_or(sessions);
        // On a GPU nothing is left for them to do.
        let shared = match provider {
            Provider::Cpu => NonZeroUsize::new(config.cores.get() / sessions.get()),
            Provider::Cuda | Provider::TensorRt => None,
        };
        let intra_threads = config.intra_threads.or(shared).unwrap_or(NonZeroUsize::MIN);
        let max_batch = match provider {
            Provider::Cpu => IMAGES_A_THREAD.saturating_mul(intra_threads),
            Provider::Cuda | Provider::TensorRt => IMAGES_ON_A_GPU,
        };
        Self {
            sessions,
            intra_threads,
            max_batch: fixed_batch
                .and_then(NonZeroUsize::new)
                .or(config.max_batch)
                .unwrap_or(max_batch)
                .min(config.queue_capacity),
        }
    }

    /// Every size on the CPU, where a new shape costs nothing; a few on a GPU, each prepared.
    pub(super) fn batch_sizes(&self, provider: Provider, fixed_batch: Option<usize>) -> BatchSizes {
        match (fixed_batch.and_then(NonZeroUsize::new), provider) {
            (Some(images), _) => BatchSizes::Some(vec![images]),
            (None, Provider::Cpu) => BatchSizes::Any { limit: self.max_batch },
            (None, Provider::Cuda | Provider::TensorRt) => BatchSizes::padded(self.max_batch),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::inference::provider::ProviderChoice;

    fn config(cores: usize) -> InferenceConfig {
        InferenceConfig {
            provider: ProviderChoice::Auto,
            onnxruntime: None,
            tensorrt_cache: None,
            cores: NonZeroUsize::new(cores).unwrap(),
            sessions: None,
            intra_threads: None,
            max_batch: None,
            max_wait: Duration::from_millis(2),
            queue_capacity: NonZeroUsize::new(256).unwrap(),
        }
    }

    fn layout(config: &InferenceConfig, provider: Provider) -> [usize; 3] {
        let Layout { sessions, intra_threads, max_batch } = Layout::of(config, provider, None);
        [sessions, intra_threads, max_batch].map(NonZeroUsize::get)
    }

    #[test]
    fn all_cores_are_used_by_sessions_of_up_to_four_threads() {
        for (cores, expected) in [
            (1, [1, 1, 4]),
            (2, [1, 2, 8]),
            (4, [1, 4, 16]),
            (6, [2, 3, 12]),
            (8, [2, 4, 16]),
            (64, [16, 4, 16]),
        ] {
            assert_eq!(layout(&config(cores), Provider::Cpu), expected, "{cores} cores");
        }
    }

    #[test]
    fn what_is_asked_for_is_what_is_done_and_the_rest_follows_from_it() {
        let sessions = NonZeroUsize::new(8);
        let many = InferenceConfig { sessions, ..config(8) };
        assert_eq!(layout(&many, Provider::Cpu), [8, 1, 4]);
        let more_than_cores = InferenceConfig { sessions, ..config(2) };
        assert_eq!(layout(&more_than_cores, Provider::Cpu), [8, 1, 4]);
        let threads = InferenceConfig { intra_threads: NonZeroUsize::new(2), ..config(8) };
        assert_eq!(layout(&threads, Provider::Cpu), [2, 2, 8]);
    }

    #[test]
    fn a_gpu_has_one_session_with_larger_batches() {
        assert_eq!(layout(&config(8), Provider::Cuda), [1, 1, 32]);
    }

    #[test]
    fn no_batch_is_larger_than_the_queue_or_than_the_graph_takes() {
        let queue_capacity = NonZeroUsize::new(3).unwrap();
        let short = InferenceConfig { queue_capacity, ..config(8) };
        assert_eq!(layout(&short, Provider::Cpu)[2], 3);
        let fixed = Layout::of(&config(8), Provider::Cpu, Some(1));
        assert_eq!(fixed.max_batch.get(), 1);
    }
}
