"""Writes tests/fixtures/preprocess: pictures made by formula, and the pixels that Pillow makes of them.

    python -m venv venv && venv/bin/pip install -r tests/reference/requirements-preprocess.txt
    venv/bin/python tests/reference/make_preprocess_goldens.py [--check-torchvision]

cases.tsv has a line for each comparison: file, shorter side, crop height, crop width, filter, and the kind
of source that decides how far the pixels may differ. expected.rgb has the crops of these lines, one after
another, as [height, width, 3] bytes. --check-torchvision asserts that torchvision's Resize and CenterCrop
give the same bytes as the few lines of `reference` here.
"""

import io
import math
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

FIXTURES = Path(__file__).parent.parent / "fixtures" / "preprocess"
FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
ORIENTATION = 0x0112


def picture(width, height, channels=3):
    """Waves, each channel with its own, and one hard edge."""
    y, x = np.mgrid[0:height, 0:width]
    waves = []
    for channel in range(channels):
        across = np.sin(x / width * math.tau * (channel + 1) + channel)
        down = np.cos(y / height * math.tau * (channel + 0.5))
        waves.append(127.5 + 80 * across * down + 40 * np.sign(x / width + y / height - 1.1))
    return np.clip(np.stack(waves, -1), 0, 255).astype(np.uint8)


def image(width, height, mode="RGB"):
    channels = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4, "CMYK": 4}[mode]
    return Image.fromarray(np.squeeze(picture(width, height, channels), -1) if channels == 1
                           else picture(width, height, channels), mode)


def png(array, depth, color, interlaced=False):
    """A PNG of the kinds that Pillow does not write: 16 bits, Adam7, 2 and 4 bits of gray."""
    array = array.reshape(array.shape[0], array.shape[1], -1)
    height, width = array.shape[:2]
    adam7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    passes = [array[y::dy, x::dx] for x, y, dx, dy in adam7] if interlaced else [array]
    rows = b"".join(b"\0" + packed(row, depth) for part in passes if part.size for row in part)

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, int(interlaced))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9))
            + chunk(b"IEND", b""))


def packed(row, depth):
    if depth == 16:
        return row.astype(">u2").tobytes()
    if depth == 8:
        return row.astype(np.uint8).tobytes()
    bits = np.unpackbits(row.astype(np.uint8).reshape(-1, 1), axis=1)[:, 8 - depth:]
    return np.packbits(bits.reshape(-1)).tobytes()


def sixteen_bits(width, height, channels):
    array = picture(width, height, channels).astype(np.uint16)
    return array * 256 + np.arange(width, dtype=np.uint16)[None, :, None] * 37 % 256


def saved(picture, format, **options):
    file = io.BytesIO()
    picture.save(file, format, **options)
    return file.getvalue()


def jpeg(picture, **options):
    return saved(picture, "JPEG", **{"quality": 90, **options})


def exif(orientation):
    data = Image.Exif()
    data[ORIENTATION] = orientation
    return data


def resampled(jpeg_bytes, sampling):
    """The same blocks under another declared sampling of the first component: a valid file of odd looks."""
    frame = jpeg_bytes.index(b"\xff\xc0")
    return jpeg_bytes[: frame + 11] + bytes([sampling]) + jpeg_bytes[frame + 12:]


def as_ycck(jpeg_bytes):
    """Adobe's marker says that the four channels are YCCK."""
    transform = jpeg_bytes.index(b"Adobe") + 11
    return jpeg_bytes[:transform] + b"\x02" + jpeg_bytes[transform + 1:]


def files():
    """(file, bytes, kind)"""
    for width, height in [(1, 1), (1, 37), (53, 1), (31, 47), (67, 45), (32, 32), (320, 201), (400, 23)]:
        yield f"size-{width}x{height}.png", saved(image(width, height), "PNG", optimize=True), "lossless"
    yield from pngs()
    for orientation in range(1, 9):
        yield f"orientation-{orientation}.png", saved(image(61, 44), "PNG", exif=exif(orientation)), "lossless"
    yield "orientation-6.webp", saved(image(61, 44), "WEBP", lossless=True, exif=exif(6)), "lossless"
    yield "orientation-8.tiff", saved(image(61, 44), "TIFF", exif=exif(8)), "lossless"
    yield "orientation-5.jpg", jpeg(image(61, 44), exif=exif(5)), "jpeg"
    yield from jpegs()
    yield from others()


def pngs():
    yield "gray.png", saved(image(50, 38, "L"), "PNG"), "lossless"
    yield "gray-alpha.png", saved(image(50, 38, "LA"), "PNG"), "alpha"
    yield "rgba.png", saved(image(50, 38, "RGBA"), "PNG"), "alpha"
    palette = image(50, 38).quantize(16)
    yield "palette.png", saved(palette, "PNG"), "lossless"
    yield "palette-transparent.png", saved(palette, "PNG", transparency=3), "alpha"
    yield "rgb-transparent.png", saved(image(50, 38), "PNG", transparency=(0, 0, 0)), "alpha"
    yield "black-white.png", saved(image(50, 38, "L").convert("1"), "PNG"), "lossless"
    for depth in (2, 4):
        yield f"gray-{depth}.png", png(picture(50, 38, 1) >> (8 - depth), depth, 0), "lossless"
        yield f"palette-{depth}.png", saved(image(50, 38).quantize(1 << depth), "PNG", bits=depth), "lossless"
    yield "gray-16.png", png(sixteen_bits(50, 38, 1), 16, 0), "lossless"
    yield "gray-alpha-16.png", png(sixteen_bits(50, 38, 2), 16, 4), "alpha"
    yield "rgb-16.png", png(sixteen_bits(50, 38, 3), 16, 2), "lossless"
    yield "rgba-16.png", png(sixteen_bits(50, 38, 4), 16, 6), "alpha"
    yield "interlaced.png", png(picture(50, 38), 8, 2, interlaced=True), "lossless"


def jpegs():
    yield "gray.jpg", jpeg(image(63, 49, "L")), "jpeg"
    for name, subsampling in [("444", 0), ("422", 1), ("420", 2)]:
        yield f"sampling-{name}.jpg", jpeg(image(63, 49), subsampling=subsampling), "jpeg"
    yield "sampling-440.jpg", resampled(jpeg(image(64, 64), subsampling=1), 0x12), "jpeg"
    yield "sampling-411.jpg", resampled(jpeg(image(64, 64), subsampling=2), 0x41), "jpeg"
    yield "progressive.jpg", jpeg(image(63, 49), progressive=True), "jpeg"
    yield "restarts.jpg", jpeg(image(63, 49), restart_marker_blocks=3), "jpeg"
    yield "cmyk.jpg", jpeg(image(63, 49, "CMYK")), "jpeg"
    yield "ycck.jpg", as_ycck(jpeg(image(63, 49, "CMYK"))), "jpeg"
    # Decoded at 1/2, 1/4 and 1/8: a shorter side of 512 pixels always remains.
    for width, height in [(1301, 1025), (2701, 2049)]:
        yield f"scaled-{width}x{height}.jpg", jpeg(image(width, height), quality=40), "scaled"
    yield "scaled-4105x4098.jpg", jpeg(image(4105, 4098, "L"), quality=10), "scaled"
    yield "scaled-444.jpg", jpeg(image(1101, 1030), subsampling=0, quality=40), "scaled"
    yield "scaled-gray.jpg", jpeg(image(2111, 2050, "L"), quality=40), "scaled"
    yield "scaled-progressive.jpg", jpeg(image(2111, 2050), progressive=True, quality=40), "scaled"
    yield "scaled-cmyk.jpg", jpeg(image(1101, 1030, "CMYK"), quality=40), "scaled"
    yield "scaled-orientation-7.jpg", jpeg(image(1301, 1025), exif=exif(7), quality=40), "scaled"
    # Not reduced, however small the target is.
    yield "unscaled-500x375.jpg", jpeg(image(500, 375), quality=75), "jpeg"


def others():
    yield "lossy.webp", saved(image(63, 49), "WEBP", quality=80), "webp"
    yield "lossy-alpha.webp", saved(image(63, 49, "RGBA"), "WEBP", quality=80), "webp"
    yield "lossless.webp", saved(image(63, 49), "WEBP", lossless=True), "lossless"
    yield "lossless-alpha.webp", saved(image(63, 49, "RGBA"), "WEBP", lossless=True), "alpha"
    frames = [image(40, 30), image(40, 30).transpose(Image.Transpose.ROTATE_180)]
    more = {"save_all": True, "append_images": frames[1:], "duration": 100}
    yield "animated.webp", saved(frames[0], "WEBP", lossless=True, **more), "lossless"
    yield "animated.gif", saved(frames[0], "GIF", **more), "lossless"
    yield "palette.gif", saved(image(50, 38).quantize(32), "GIF"), "lossless"
    yield "transparent.gif", saved(image(50, 38).quantize(32), "GIF", transparency=5), "alpha"
    yield "rgb.bmp", saved(image(33, 25), "BMP"), "lossless"
    yield "gray.bmp", saved(image(33, 25, "L"), "BMP"), "lossless"
    yield "palette.bmp", saved(image(33, 25).quantize(16), "BMP"), "lossless"
    yield "black-white.bmp", saved(image(33, 25, "L").convert("1"), "BMP"), "lossless"
    yield "rgb.tiff", saved(image(33, 25), "TIFF"), "lossless"
    yield "lzw.tiff", saved(image(33, 25), "TIFF", compression="tiff_lzw"), "lossless"
    yield "deflate.tiff", saved(image(33, 25), "TIFF", compression="tiff_adobe_deflate"), "lossless"
    yield "rgba.tiff", saved(image(33, 25, "RGBA"), "TIFF"), "alpha"
    yield "gray-16.tiff", saved(Image.fromarray(sixteen_bits(33, 25, 1)[..., 0]), "TIFF"), "lossless"
    yield "black-white.tiff", saved(image(33, 25, "L").convert("1"), "TIFF"), "lossless"
    yield "cmyk.tiff", saved(image(33, 25, "CMYK"), "TIFF"), "alpha"


def rgb(bytes):
    """The upright picture in RGB: the first frame, alpha over white, of 16 bits the upper 8."""
    picture = ImageOps.exif_transpose(Image.open(io.BytesIO(bytes)))
    if picture.mode.startswith("I"):
        picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return picture.convert("RGB")


def reference(picture, shorter_side, crop_height, crop_width, filter):
    """torchvision's Resize and CenterCrop."""
    width, height = picture.size
    short, long = min(width, height), max(width, height)
    longer_side = int(shorter_side * long / short)
    size = (shorter_side, longer_side) if width <= height else (longer_side, shorter_side)
    picture = picture.resize(size, FILTERS[filter])
    pixels = np.asarray(picture)
    missing = [max(crop_height - pixels.shape[0], 0), max(crop_width - pixels.shape[1], 0)]
    pixels = np.pad(pixels, [(side // 2, (side + 1) // 2) for side in missing] + [(0, 0)])
    top = int(round((pixels.shape[0] - crop_height) / 2.0))
    left = int(round((pixels.shape[1] - crop_width) / 2.0))
    return pixels[top:top + crop_height, left:left + crop_width]


def check_torchvision(picture, expected, shorter_side, crop_height, crop_width, filter):
    from torchvision.transforms import functional
    from torchvision.transforms.functional import InterpolationMode

    resized = functional.resize(picture, shorter_side, InterpolationMode(filter))
    assert np.array_equal(np.asarray(functional.center_crop(resized, [crop_height, crop_width])), expected)


def transforms(name):
    yield (32, 28, 28, "bilinear")
    if name.startswith(("size-", "orientation-", "sampling-420", "scaled-1301")):
        yield (32, 28, 28, "bicubic")
        yield (21, 30, 17, "bilinear")


def main():
    FIXTURES.mkdir(parents=True, exist_ok=True)
    cases, crops = [], []
    for name, bytes, kind in files():
        (FIXTURES / name).write_bytes(bytes)
        upright = rgb(bytes)
        for transform in transforms(name):
            crop = reference(upright, *transform)
            if "--check-torchvision" in sys.argv:
                check_torchvision(upright, crop, *transform)
            cases.append("\t".join(map(str, [name, *transform, kind])))
            crops.append(np.ascontiguousarray(crop).tobytes())
    (FIXTURES / "cases.tsv").write_text("\n".join(cases) + "\n")
    (FIXTURES / "expected.rgb").write_bytes(b"".join(crops))


if __name__ == "__main__":
    main()
