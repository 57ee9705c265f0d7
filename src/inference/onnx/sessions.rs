//! The sessions of a network: one for every batch size, or one for each.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use ort::session::Session;

use super::LoadError;

/// Creates a session like the first, for batches of so many images.
pub(super) type Create<S> = Box<dyn Fn(usize) -> Result<S, LoadError> + Send>;

/// A network's sessions.
///
/// ONNX Runtime plans CUDA's convolutions for one shape. A session that is given another makes all
/// its plans anew, there and back again: with ResNet-50 on an H200 three sizes in turn took one
/// session 409 ms and three sessions 4.4 ms. Hence on a GPU each size has a session of its own,
/// and weights of its own on the device.
pub(super) enum Sessions<S = Session> {
    /// Takes every size.
    One(S),
    /// Each takes one.
    PerSize {
        /// Created first, to see what the graph takes; it is the first size's.
        first: Option<S>,
        of_size: HashMap<usize, S>,
        create: Create<S>,
    },
}

impl<S> Sessions<S> {
    /// One session for each size, the first size's being `first`.
    pub(super) fn per_size(first: S, create: Create<S>) -> Self {
        Self::PerSize { first: Some(first), of_size: HashMap::new(), create }
    }

    /// A session on the GPU, where they are for one size each.
    pub(super) fn on_gpu(&self) -> Option<&S> {
        match self {
            Self::One(_) => None,
            Self::PerSize { first, of_size, .. } => {
                first.as_ref().or_else(|| of_size.values().next())
            }
        }
    }

    /// The session for batches of `images` images, created if need be.
    pub(super) fn of_size(&mut self, images: usize) -> Result<&mut S, LoadError> {
        match self {
            Self::One(session) => Ok(session),
            Self::PerSize { first, of_size, create } => Ok(match of_size.entry(images) {
                Entry::Occupied(session) => session.into_mut(),
                Entry::Vacant(place) => {
                    place.insert(first.take().map_or_else(|| create(images), Ok)?)
                }
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_size_has_its_own_session_and_the_first_is_not_wasted() {
        let mut sessions = Sessions::per_size(0, Box::new(Ok));
        let mut of_size = |images| *sessions.of_size(images).unwrap();
        assert_eq!([8, 1, 8, 32, 1].map(&mut of_size), [0, 1, 0, 32, 1]);
        assert!(sessions.on_gpu().is_some());
    }

    #[test]
    fn one_session_takes_every_size() {
        let mut sessions = Sessions::One(0);
        assert_eq!([8, 1].map(|images| *sessions.of_size(images).unwrap()), [0, 0]);
        assert!(sessions.on_gpu().is_none());
    }
}
