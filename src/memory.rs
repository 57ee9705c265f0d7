//! The budget for bodies and pixels: what is not in it is refused, not allocated.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

/// Bytes that may be in use at a time. Clones are the same budget.
#[derive(Clone, Debug)]
pub struct MemoryBudget {
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    limit: AtomicU64,
    used: AtomicU64,
}

/// A part of the budget, given back when dropped.
#[derive(Debug)]
pub struct Charge {
    state: Arc<State>,
    bytes: u64,
}

impl MemoryBudget {
    /// A budget of `limit` bytes.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        Self { state: Arc::new(State { limit: AtomicU64::new(limit), used: AtomicU64::new(0) }) }
    }

    /// A budget for a process that has nobody to protect itself from.
    #[must_use]
    pub fn unlimited() -> Self {
        Self::new(u64::MAX)
    }

    /// Takes a part, or nothing where it is not there.
    #[must_use]
    pub fn charge(&self, bytes: u64) -> Option<Charge> {
        self.state.take(bytes).then(|| Charge { state: Arc::clone(&self.state), bytes })
    }

    /// The whole budget in bytes.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.state.limit.load(Ordering::Relaxed)
    }

    /// Makes the budget smaller, where `bytes` is less; what is in use stays in use.
    pub fn lower_to(&self, bytes: u64) {
        self.state.limit.fetch_min(bytes, Ordering::Relaxed);
    }

    /// Bytes that are left at the moment.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.limit().saturating_sub(self.state.used.load(Ordering::Relaxed))
    }
}

impl Charge {
    /// A part of nobody's budget.
    #[must_use]
    pub fn nothing() -> Self {
        Self { state: MemoryBudget::unlimited().state, bytes: 0 }
    }

    /// Bytes that it holds.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Moves all that it holds into a charge of its own.
    #[must_use]
    pub fn take(&mut self) -> Self {
        Self { state: Arc::clone(&self.state), bytes: mem::take(&mut self.bytes) }
    }

    /// Takes more.
    ///
    /// # Errors
    ///
    /// What it would hold then, where so much more is not there; it holds what it held.
    pub fn grow(&mut self, bytes: u64) -> Result<(), u64> {
        let needed = self.bytes.saturating_add(bytes);
        if !self.state.take(bytes) {
            return Err(needed);
        }
        self.bytes = needed;
        Ok(())
    }

    /// The same bytes, which hold the charge for as long as there are any of them.
    #[must_use]
    pub fn hold(self: &Arc<Self>, bytes: Bytes) -> Bytes {
        Bytes::from_owner(Held { bytes, _charge: Arc::clone(self) })
    }

    /// Gives back all but `bytes`.
    pub fn shrink_to(&mut self, bytes: u64) {
        let surplus = self.bytes.saturating_sub(bytes);
        self.state.used.fetch_sub(surplus, Ordering::Relaxed);
        self.bytes -= surplus;
    }
}

struct Held {
    bytes: Bytes,
    _charge: Arc<Charge>,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl State {
    fn take(&self, bytes: u64) -> bool {
        let limit = self.limit.load(Ordering::Relaxed);
        let within = |used: u64| used.checked_add(bytes).filter(|total| *total <= limit);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, within).is_ok()
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.state.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_exceeds_the_budget_is_refused_until_something_is_given_back() {
        let budget = MemoryBudget::new(100);
        let first = budget.charge(60).unwrap();
        assert!(budget.charge(50).is_none());
        drop(first);
        assert!(budget.charge(100).is_some());
    }

    #[test]
    fn bytes_that_hold_a_charge_give_it_back_when_the_last_of_them_is_gone() {
        let budget = MemoryBudget::new(100);
        let charge = Arc::new(budget.charge(60).unwrap());
        let mut bytes = charge.hold(Bytes::from_static(b"answer"));
        drop(charge);
        drop(bytes.split_to(3));
        assert_eq!((budget.left(), &bytes[..]), (40, &b"wer"[..]));
        drop(bytes);
        assert_eq!(budget.left(), 100);
    }

    #[test]
    fn a_budget_that_was_lowered_gives_no_more_until_enough_is_given_back() {
        let budget = MemoryBudget::new(100);
        let first = budget.charge(60).unwrap();
        budget.lower_to(50);
        assert!(budget.charge(1).is_none());
        assert_eq!(budget.left(), 0);
        drop(first);
        assert!(budget.charge(50).is_some());
    }

    #[test]
    fn a_budget_is_never_raised() {
        let budget = MemoryBudget::new(100);
        budget.lower_to(200);
        assert_eq!(budget.limit(), 100);
    }

    #[test]
    fn a_charge_grows_within_the_budget_and_gives_back_all_of_it() {
        let budget = MemoryBudget::new(100);
        let mut charge = budget.charge(10).unwrap();
        assert_eq!(charge.grow(90), Ok(()));
        assert_eq!(charge.grow(1), Err(101));
        drop(charge);
        assert!(budget.charge(100).is_some());
    }

    #[test]
    fn what_a_charge_holds_can_move_to_another() {
        let budget = MemoryBudget::new(100);
        let mut first = budget.charge(60).unwrap();
        let second = first.take();
        assert_eq!((first.bytes(), second.bytes()), (0, 60));
        drop(first);
        assert_eq!(budget.left(), 40);
        drop(second);
        assert_eq!(budget.left(), 100);
    }

    #[test]
    fn a_charge_shrinks_to_what_is_left_of_it_and_never_grows_by_that() {
        let budget = MemoryBudget::new(100);
        let mut charge = budget.charge(80).unwrap();
        charge.shrink_to(30);
        charge.shrink_to(50);
        assert_eq!(budget.left(), 70);
        drop(charge);
        assert_eq!(budget.left(), 100);
    }
}
