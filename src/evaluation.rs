//! How good a model's answers are: labelled pictures, and the score of what was said of them.

mod calibration;
pub mod classes;
pub mod dataset;
pub mod score;

pub use classes::Classes;
pub use dataset::{Dataset, DatasetError, Sample, files_below};
pub(crate) use score::share;
pub use score::{ClassScore, Confusion, Score};
