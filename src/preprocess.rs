//! From encoded bytes to 8-bit pixels in the network's size, and on to its input tensor.
//!
//! [`ImageHeader::parse`] says what a picture is and what decoding it will cost; [`Transform::apply`] gives
//! the [`Pixels`] that torchvision would make of it; [`Packing`] writes them into a batch.

mod baseline;
mod color;
mod decode;
mod error;
mod geometry;
mod guard;
mod header;
mod orient;
mod pack;
mod pixels;
mod region;
mod resize;
mod seen;
mod transform;
mod weights;

pub use crate::model::manifest::Interpolation;
pub use baseline::Baseline;
pub use error::ImageError;
pub use header::{ImageFormat, ImageHeader};
pub use orient::Orientation;
pub use pack::{Packing, Slot};
pub use pixels::Pixels;
pub use region::Region;
pub use seen::Seen;
pub use transform::{Picture, Transform};
pub use weights::Weights;
