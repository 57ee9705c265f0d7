//! Which format a file has, by its first bytes.

use std::fmt;

use super::super::error::ImageError;

/// A picture format that is decoded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ImageFormat {
    /// Baseline and progressive.
    Jpeg,
    /// Of an animated one the default picture.
    Png,
    /// Lossy and lossless; of an animated one the first frame.
    WebP,
    /// The first frame.
    Gif,
    /// Windows and OS/2 bitmaps.
    Bmp,
    /// The first page.
    Tiff,
}

/// What people also send, to be told apart from garbage.
const UNSUPPORTED: [(usize, &[u8], &str); 9] = [
    (4, b"ftypavi", "AVIF"),
    (4, b"ftyphei", "HEIC"),
    (4, b"ftypmif1", "HEIC"),
    (0, b"\xff\x0a", "JPEG XL"),
    (0, b"\0\0\0\x0cJXL ", "JPEG XL"),
    (0, b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (0, b"%PDF", "PDF"),
    (0, b"<svg", "SVG"),
    (0, b"II+\0", "BigTIFF"),
];

impl ImageFormat {
    /// The format of `bytes`.
    ///
    /// # Errors
    ///
    /// [`ImageError::Undecodable`], with a guess at what was sent.
    pub fn of(bytes: &[u8]) -> Result<Self, ImageError> {
        match bytes {
            [0xff, 0xd8, 0xff, ..] => Ok(Self::Jpeg),
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Ok(Self::Png),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Ok(Self::WebP),
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Ok(Self::Gif),
            [b'B', b'M', ..] => Ok(Self::Bmp),
            [b'I', b'I', b'*', 0, ..] | [b'M', b'M', 0, b'*', ..] => Ok(Self::Tiff),
            _ => Err(ImageError::undecodable(not_a_picture(bytes))),
        }
    }

    /// The name in answers: `jpeg`, `png`, `webp`, `gif`, `bmp` or `tiff`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "jpeg",
            Self::Png => "png",
            Self::WebP => "webp",
            Self::Gif => "gif",
            Self::Bmp => "bmp",
            Self::Tiff => "tiff",
        }
    }
}

impl fmt::Display for ImageFormat {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

fn not_a_picture(bytes: &[u8]) -> String {
    const TAKEN: &str = "`jpeg`, `png`, `webp`, `gif`, `bmp` and `tiff` are taken";
    if bytes.is_empty() {
        return format!("there are no bytes; {TAKEN}");
    }
    let known = UNSUPPORTED.iter().find(|(offset, magic, _)| {
        bytes.get(*offset..).is_some_and(|bytes| bytes.starts_with(magic))
    });
    if let Some((_, _, name)) = known {
        return format!("`{name}` is not supported; {TAKEN}");
    }
    if bytes.trim_ascii_start().starts_with(b"{") {
        return format!(
            "these bytes look like JSON, which is sent with `content-type: application/json`; {TAKEN}"
        );
    }
    let start = &bytes[..bytes.len().min(12)];
    format!("these bytes are no picture; they start with `{}`; {TAKEN}", start.escape_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(bytes: &[u8]) -> String {
        ImageFormat::of(bytes).unwrap_err().to_string()
    }

    #[test]
    fn bytes_that_are_no_picture_are_named_by_what_they_are() {
        assert!(reason(b"").starts_with("there are no bytes"));
        assert!(
            reason(b"hello, world, how")
                .starts_with("these bytes are no picture; they start with `hello, world`")
        );
        assert!(reason(b"{\"images\": []}").starts_with("these bytes look like JSON"));
        assert!(reason(b"\0\0\0\x1cftypavif").starts_with("`AVIF` is not supported"));
        assert!(
            reason(b"\xff\xd8")
                .starts_with(r"these bytes are no picture; they start with `\xff\xd8`")
        );
    }

    #[test]
    fn names_are_those_of_the_answers() {
        assert_eq!(ImageFormat::of(b"GIF89a").unwrap().to_string(), "gif");
        assert_eq!(ImageFormat::of(b"MM\0*").unwrap().to_string(), "tiff");
    }
}
