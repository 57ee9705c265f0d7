//! What a request may take of the memory budget.

use super::{ClassifyError, Pipeline};
use crate::memory::Charge;
use crate::telemetry::metrics::Reason;

impl Pipeline {
    /// Charges what a request, or a part of one, takes from now on.
    ///
    /// # Errors
    ///
    /// As [`no_room`](Self::no_room), where it is not there.
    pub fn charge(&self, bytes: u64) -> Result<Charge, ClassifyError> {
        self.resources.memory.charge(bytes).ok_or_else(|| self.no_room(bytes))
    }

    /// Charges `bytes` more for what a request becomes.
    ///
    /// # Errors
    ///
    /// As [`no_room`](Self::no_room), where they are not there.
    pub fn grow(&self, charge: &mut Charge, bytes: u64) -> Result<(), ClassifyError> {
        charge.grow(bytes).map_err(|needed| self.no_room(needed))
    }

    /// The refusal of what takes `needed` bytes, which are not there: for good where the whole budget
    /// has not as many, else for now.
    #[must_use]
    pub fn no_room(&self, needed: u64) -> ClassifyError {
        let budget = self.resources.memory.limit();
        if needed > budget {
            return ClassifyError::TooLarge { needed, budget };
        }
        self.resources.metrics.count_rejection(Reason::Memory);
        self.queue.rejection(Reason::Memory).into()
    }
}
