//! torchvision's evaluation transform: resize the shorter side, then crop.

use super::decode::{decode, decode_part};
use super::error::ImageError;
use super::geometry::{Size, Window};
use super::header::{ImageHeader, Reduction};
use super::orient::mirrored;
use super::pixels::Pixels;
use super::region::Region;
use super::resize::{Resize, cut_from_part};
use super::seen::Seen;
use crate::model::manifest::Interpolation;

/// A JPEG is decoded at a reduced scale only where this many times the target's resolution remains.
///
/// At twice the target the antialiased filter still averages at least two decoded pixels, and what
/// the reduction adds stays below what JPEG itself has lost; at once it would decide the sharpness.
const OVERSAMPLING: u64 = 2;

/// Pixels of the shorter side that always remain. A network for tiny pictures would otherwise see
/// every photo reduced, which moved the probabilities of one for 32×32 pixels by up to 0.07; where
/// this much remains, decoding is cheap already.
const ALWAYS_KEPT: u64 = 512;

/// How a picture becomes the network's input; sizes in pixels.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Transform {
    /// What the shorter side becomes; the longer one keeps the aspect, rounded down.
    pub resize_shorter_side: u32,
    /// Rows of the result.
    pub crop_height: u32,
    /// Columns of the result.
    pub crop_width: u32,
    /// The antialiased filter of the resize.
    pub interpolation: Interpolation,
}

impl Transform {
    /// The upright picture, resized, and its centre: `[crop_height, crop_width, 3]`.
    ///
    /// # Errors
    ///
    /// [`ImageError::Undecodable`] where `bytes`, which have this `header`, are broken or cut off.
    pub fn apply(&self, bytes: &[u8], header: &ImageHeader) -> Result<Pixels, ImageError> {
        self.open_region_of(bytes, header, self.region_of_center(header).as_ref())?.center()
    }

    /// The decoded picture, to be cropped: all of it, as the format's library decodes it.
    ///
    /// # Errors
    ///
    /// As [`apply`](Self::apply).
    pub fn open<'a>(
        &self,
        bytes: &[u8],
        header: &'a ImageHeader,
    ) -> Result<Picture<'a>, ImageError> {
        let reduction = self.reduction(header);
        let pixels = decode(bytes, header, reduction)?;
        Ok(self.picture(Made::Decoded { pixels, top: 0 }, self.resize(header, reduction), header))
    }

    /// A picture of which only a `region` is cropped, or nothing. The rest may be black, though not broken;
    /// a JPEG at a reduced scale may have the means of its pixels where the library has what is near to them.
    ///
    /// # Errors
    ///
    /// As [`apply`](Self::apply).
    pub fn open_region_of<'a>(
        &self,
        bytes: &[u8],
        header: &'a ImageHeader,
        region: Option<&Region>,
    ) -> Result<Picture<'a>, ImageError> {
        let reduction = self.reduction(header);
        let resize = self.resize(header, reduction);
        let made = region.and_then(|region| {
            let seen = resize.region([region.place].into_iter())?.seen();
            let top = seen.0.start;
            let pixels = decode_part(bytes, header, reduction, seen)?;
            Some(Made::Decoded { pixels, top })
        });
        let Some(made) = made else { return self.open(bytes, header) };
        Ok(self.picture(made, resize, header))
    }

    /// What must be decoded and resized for [`Picture::center`]; `None` where nothing of the
    /// picture is seen.
    #[must_use]
    pub fn region_of_center(&self, header: &ImageHeader) -> Option<Region> {
        self.region(header, &[self.center(header)])
    }

    /// The same for [`Picture::ten_crops`].
    #[must_use]
    pub fn region_of_ten_crops(&self, header: &ImageHeader) -> Option<Region> {
        self.region(header, &self.corners_and_center(header))
    }

    /// The picture of which something else has made that region; `None` where it is not of its size.
    #[must_use]
    pub fn open_region<'a>(
        &self,
        (pixels, region): (Pixels, &Region),
        header: &'a ImageHeader,
    ) -> Option<Picture<'a>> {
        let fits = [pixels.height(), pixels.width()] == region.size();
        let resize = self.resize(header, Reduction::NONE);
        let made = Made::Resized { pixels, place: region.place };
        fits.then(|| self.picture(made, resize, header))
    }

    /// The part of the picture that [`apply`](Self::apply) shows.
    #[must_use]
    pub fn seen(&self, header: &ImageHeader) -> Seen {
        let resized = self.resized(header);
        let picture = header.orientation().turn(header.size());
        Seen::new(picture, (resized, self.center(header)))
    }

    /// At most how many bytes [`apply`](Self::apply) takes at its peak, beside the encoded ones.
    #[must_use]
    pub fn peak_bytes(&self, encoded: usize, header: &ImageHeader) -> u64 {
        let reduction = self.reduction(header);
        let decoded = reduction.of(header.size());
        let longest_crop = u64::from(self.crop_height.max(self.crop_width));
        // Between the two passes of the filter: the needed columns of every resized row.
        let half_resized = u64::from(decoded.width) * longest_crop * 3;
        // The filter's weights are as many as pixels that it sees, in two precisions.
        let weights =
            (u64::from(decoded.width) + u64::from(decoded.height) + longest_crop * 8) * 32;
        let crops = self.crop().pixels() * 3 * 2;
        header.decoding_bytes(encoded, reduction).saturating_add(half_resized + weights + crops)
    }

    /// The same for [`Picture::ten_crops`]: five crops, and their mirrors beside
    /// copies of them.
    #[must_use]
    pub fn peak_bytes_of_ten_crops(&self, encoded: usize, header: &ImageHeader) -> u64 {
        self.peak_bytes(encoded, header).saturating_add(self.crop().pixels() * 3 * 15)
    }

    fn picture<'a>(&self, made: Made, resize: Resize, header: &'a ImageHeader) -> Picture<'a> {
        Picture { made, header, resize, transform: *self }
    }

    fn resize(&self, header: &ImageHeader, reduction: Reduction) -> Resize {
        let to = header.orientation().turn(self.resized(header));
        Resize { from: header.size(), reduction, to, interpolation: self.interpolation }
    }

    fn region(&self, header: &ImageHeader, places: &[Window]) -> Option<Region> {
        let resize = self.resize(header, Reduction::NONE);
        let stored = |place: &Window| header.orientation().to_stored(*place, resize.to);
        resize.region(places.iter().map(stored))
    }

    fn reduction(&self, header: &ImageHeader) -> Reduction {
        header.reduction((u64::from(self.resize_shorter_side) * OVERSAMPLING).max(ALWAYS_KEPT))
    }

    /// The size of the upright picture after the resize.
    fn resized(&self, header: &ImageHeader) -> Size {
        header.orientation().turn(header.size()).resized(self.resize_shorter_side)
    }

    /// What [`Picture::center`] shows of the upright, resized picture.
    fn center(&self, header: &ImageHeader) -> Window {
        Window::centered(self.resized(header), self.crop())
    }

    /// What [`Picture::ten_crops`] shows, without the mirrors.
    fn corners_and_center(&self, header: &ImageHeader) -> [Window; 5] {
        Window::corners_and_center(self.resized(header), self.crop())
    }

    fn crop(&self) -> Size {
        Size { width: self.crop_width, height: self.crop_height }
    }
}

/// A decoded picture from which crops are taken.
pub struct Picture<'a> {
    made: Made,
    header: &'a ImageHeader,
    resize: Resize,
    transform: Transform,
}

/// What there is of a picture.
enum Made {
    /// Decoded rows, and which is the first.
    Decoded { pixels: Pixels, top: u32 },
    /// What something else has resized, and where it lies in the resized picture.
    Resized { pixels: Pixels, place: Window },
}

impl Picture<'_> {
    /// What [`Transform::apply`] gives.
    ///
    /// # Errors
    ///
    /// Where the resize cannot be done.
    pub fn center(&self) -> Result<Pixels, ImageError> {
        let Self { transform, header, .. } = self;
        self.crop(transform.center(header))
    }

    /// Ten crops of the upright, resized picture, as the paper tests: top left, top right, bottom
    /// left, bottom right and centre, then the mirrors of these.
    ///
    /// # Errors
    ///
    /// As [`center`](Self::center).
    pub fn ten_crops(&self) -> Result<Vec<Pixels>, ImageError> {
        let Self { transform, header, .. } = self;
        let places = transform.corners_and_center(header);
        let mut crops =
            places.into_iter().map(|place| self.crop(place)).collect::<Result<Vec<_>, _>>()?;
        crops.extend(crops.clone().iter().map(mirrored));
        Ok(crops)
    }

    /// The `place` of the upright, resized picture. Turning so few pixels costs less than turning all
    /// before the resize, and gives the same, because the place is turned along.
    fn crop(&self, place: Window) -> Result<Pixels, ImageError> {
        let orientation = self.header.orientation();
        let place = orientation.to_stored(place, self.resize.to);
        let stored = match &self.made {
            Made::Resized { pixels, place: part } => cut_from_part(pixels, *part, place),
            Made::Decoded { pixels, top } => self.resize.window((pixels, *top), place)?,
        };
        Ok(orientation.upright(stored))
    }
}
