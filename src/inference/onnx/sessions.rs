//! The sessions of a network: one for all batch sizes, or one for each.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use ort::session::Session;

use super::LoadError;

/// Creates a session for batches of so many images.
pub(super) type Create<S> = Box<dyn Fn(usize) -> Result<S, LoadError> + Send>;

/// A network's sessions.
///
/// ONNX Runtime plans CUDA's convolutions for one shape. A session that is given another makes all
/// its plans anew, there and back again: with ResNet-50 on an H200 three sizes in turn took one
/// session 409 ms and three sessions 4.4 ms. Hence on a GPU each size has a session of its own,
/// with weights and working memory of its own on the device.
pub(super) enum Sessions<S = Session> {
    /// Takes every size.
    One(S),
    /// Each takes one.
    PerSize {
        /// Created to see what the graph takes; it waits for batches of `first_size`.
        first: Option<S>,
        first_size: usize,
        of_size: HashMap<usize, S>,
        create: Create<S>,
    },
}

impl<S> Sessions<S> {
    /// One session for each size; `first` is that of `first_size`.
    pub(super) fn per_size((first, first_size): (S, usize), create: Create<S>) -> Self {
        Self::PerSize { first: Some(first), first_size, of_size: HashMap::new(), create }
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
            Self::PerSize { first, first_size, of_size, create } => {
                Ok(match of_size.entry(images) {
                    Entry::Occupied(session) => session.into_mut(),
                    Entry::Vacant(place) => {
                        let first = first.take_if(|_| images == *first_size);
                        place.insert(first.map_or_else(|| create(images), Ok)?)
                    }
                })
            }
        }
    }

    /// Frees what the session of a size holds, for those of smaller ones.
    pub(super) fn forget(&mut self, images: usize) {
        if let Self::PerSize { of_size, .. } = self {
            of_size.remove(&images);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inference::provider::Provider;

    /// The first session is 0, each other is the size that it was created for.
    fn per_size(first_size: usize) -> Sessions<usize> {
        Sessions::per_size((0, first_size), Box::new(Ok))
    }

    #[test]
    fn each_size_has_its_own_session_and_the_first_is_not_wasted() {
        let mut sessions = per_size(1);
        assert!(sessions.on_gpu().is_some());
        let mut of_size = |images| *sessions.of_size(images).unwrap();
        assert_eq!([8, 1, 8, 32, 1].map(&mut of_size), [8, 0, 8, 32, 0]);
    }

    #[test]
    fn what_is_forgotten_is_created_again() {
        let mut sessions = per_size(4);
        assert_eq!(*sessions.of_size(4).unwrap(), 0);
        sessions.forget(4);
        assert_eq!(*sessions.of_size(4).unwrap(), 4);
    }

    #[test]
    fn a_size_that_could_not_be_created_is_tried_again() {
        let refused = |images| match images {
            0 => Ok(0),
            _ => Err(LoadError::Session {
                graph: "graph".into(),
                provider: Provider::Cuda,
                cause: "out of memory".into(),
            }),
        };
        let mut sessions = Sessions::per_size((0, 1), Box::new(refused));
        for _ in 0..2 {
            assert!(sessions.of_size(8).is_err());
        }
        assert_eq!(*sessions.of_size(1).unwrap(), 0);
    }

    #[test]
    fn one_session_takes_every_size() {
        let mut sessions = Sessions::One(0);
        sessions.forget(8);
        assert_eq!([8, 1].map(|images| *sessions.of_size(images).unwrap()), [0, 0]);
        assert!(sessions.on_gpu().is_none());
    }
}
