//! Whether the process wants traffic, and if not, why.

use std::sync::Arc;

use tokio::sync::watch;

/// The states between start and exit, in the order in which they come.
#[derive(Clone, Copy, Debug, Eq, PartialEq, PartialOrd)]
pub enum State {
    /// Models are loaded and warmed up.
    Starting,
    /// Every batch size that will be used has been run on the device that is claimed.
    Ready,
    /// The process was told to stop; what was accepted is finished.
    Draining,
}

/// A latch that only moves forward. Clones are the same latch.
#[derive(Clone, Debug)]
pub struct Readiness {
    state: Arc<watch::Sender<State>>,
}

impl Readiness {
    /// The process has just started.
    #[must_use]
    pub fn starting() -> Self {
        Self { state: Arc::new(watch::Sender::new(State::Starting)) }
    }

    /// Moves on; a state that lies behind is not gone back to.
    pub fn advance(&self, to: State) {
        self.state.send_if_modified(|state| {
            let moves = to > *state;
            if moves {
                *state = to;
            }
            moves
        });
    }

    /// Sees every change from now on.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// The present state.
    #[must_use]
    pub fn state(&self) -> State {
        *self.state.borrow()
    }
}

impl State {
    /// The state as a word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Draining => "draining",
        }
    }

    /// Why it is so, in words.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Starting => "the models are being loaded and warmed up",
            Self::Ready => "every model serves",
            Self::Draining => "the process was told to stop; what was accepted is finished",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drain_is_not_undone_by_a_late_start() {
        let readiness = Readiness::starting();
        readiness.advance(State::Draining);
        readiness.advance(State::Ready);
        assert_eq!(readiness.state(), State::Draining);
    }
}
