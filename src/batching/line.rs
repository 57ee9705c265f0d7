//! The order of service: small requests between the images of large ones.
//!
//! An image's rank is the number of images that were admitted before its request, and [`SPREAD`]
//! more for each image of the same request before it. So a small request waits for one in
//! [`SPREAD`] of the images of the large ones before it, and the second image of a request, say, is
//! overtaken by [`SPREAD`] later ones and no more.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::job::Job;

/// Places between two images of one request.
const SPREAD: usize = 16;

/// When an image is served: by rank, then by arrival.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Turn {
    rank: u64,
    arrival: u64,
}

/// The images that were admitted and that no worker has taken, in their order.
#[derive(Default)]
pub(super) struct Line {
    places: BTreeMap<Turn, Place>,
    arrivals: u64,
    ready: usize,
}

/// An image on its way through the decoder, or behind it.
pub(super) struct Place {
    pub(super) deadline: Instant,
    /// There once the image is decoded.
    job: Option<Job>,
}

impl Line {
    /// All images in line.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Those that are decoded.
    pub(super) fn ready(&self) -> usize {
        self.ready
    }

    /// The rank of a request that is served between the others.
    pub(super) fn fair_rank(&self) -> u64 {
        self.arrivals
    }

    /// The rank of a request that is served after all others.
    pub(super) fn last_rank(&self) -> u64 {
        self.places.last_key_value().map_or(0, |(turn, _)| turn.rank).max(self.arrivals)
    }

    /// The ranks of a request's images.
    pub(super) fn ranks(first: u64, images: usize) -> impl ExactSizeIterator<Item = u64> {
        (0..images).map(move |before| first + (before * SPREAD) as u64)
    }

    /// Places for `images` images, the first of them at a rank.
    pub(super) fn join(&mut self, first: u64, images: usize, deadline: Instant) -> Vec<Turn> {
        let turns = Self::ranks(first, images).map(|rank| {
            self.arrivals += 1;
            let turn = Turn { rank, arrival: self.arrivals };
            self.places.insert(turn, Place { deadline, job: None });
            turn
        });
        turns.collect()
    }

    /// How many are served up to each of these turns, which are in order.
    pub(super) fn positions(&self, turns: &[Turn]) -> Vec<usize> {
        let mut positions = (1..).zip(self.places.keys());
        turns
            .iter()
            .filter_map(|turn| positions.find(|(_, at)| *at == turn))
            .map(|(position, _)| position)
            .collect()
    }

    /// Every place with its rank, in order.
    pub(super) fn places(&self) -> impl Iterator<Item = (u64, &Place)> {
        self.places.iter().map(|(turn, place)| (turn.rank, place))
    }

    /// The decoded images, in order.
    pub(super) fn jobs(&self) -> impl Iterator<Item = &Job> {
        self.places.values().filter_map(|place| place.job.as_ref())
    }

    /// Puts a decoded image in its place.
    pub(super) fn put(&mut self, turn: Turn, job: Job) {
        self.ready += 1;
        self.places.insert(turn, Place { deadline: job.deadline, job: Some(job) });
    }

    /// Gives up a place that no image has come to; `false` where the image was taken already.
    pub(super) fn leave(&mut self, turn: Turn) -> bool {
        self.places.remove(&turn).is_some()
    }

    /// Removes a decoded image; `None` where a worker has it.
    pub(super) fn withdraw(&mut self, turn: Turn) -> Option<Job> {
        let job = self.places.get_mut(&turn)?.job.take()?;
        self.places.remove(&turn);
        self.ready -= 1;
        Some(job)
    }

    /// Removes the first decoded images that are wanted, up to `count`.
    pub(super) fn take(&mut self, count: usize, wanted: impl Fn(&Job) -> bool) -> Vec<Job> {
        let ready = self.places.iter().filter(|(_, place)| place.job.as_ref().is_some_and(&wanted));
        let turns: Vec<Turn> = ready.map(|(turn, _)| *turn).take(count).collect();
        self.ready -= turns.len();
        turns.iter().filter_map(|turn| self.places.remove(turn)?.job).collect()
    }
}
