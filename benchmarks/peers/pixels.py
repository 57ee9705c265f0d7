"""What Pillow makes of a picture for a network, as torchvision uses it, for every peer and every loop without a server."""

import numpy as np
from PIL import Image

# As resnet-serve has it: a JPEG is decoded at a reduced scale only where so many times the target's resolution remains,
# and so many pixels on the shorter side.
OVERSAMPLING, ALWAYS_KEPT = 2, 512


def cropped(picture: Image.Image, shorter: int, crop: int, in_full: bool = False) -> np.ndarray:
    """[crop, crop, 3] from the middle, after the shorter side has become `shorter`."""
    picture = (picture if in_full else reduced(picture, shorter)).convert("RGB")
    width, height = picture.size
    size = (shorter, shorter * height // width) if width <= height else (shorter * width // height, shorter)
    picture = picture.resize(size, Image.Resampling.BILINEAR)
    left, top = round((size[0] - crop) / 2), round((size[1] - crop) / 2)
    return np.asarray(picture.crop((left, top, left + crop, top + crop)))


def reduced(picture: Image.Image, shorter: int) -> Image.Image:
    """A picture that is still to be decoded, at the smallest scale that leaves enough."""
    kept = max(OVERSAMPLING * shorter, ALWAYS_KEPT)
    picture.draft("RGB", tuple(side * kept // min(picture.size) for side in picture.size))
    return picture
